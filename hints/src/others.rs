//! Options of bubblewrap, systemd-nspawn and podman that docker does not have.

use crate::foreign::Here::{self, Line, NotHere, Nothing, Option};
use crate::foreign::{CGEXEC, CHROOT, FETCH, Foreign, UNSHARE, option};

const BIND_RO: Here = Option(CHROOT, "--bind SRC:DST:ro");
const BIND: Here = Option(CHROOT, "--bind SRC:DST");
const KERNEL_MOUNTS: Here =
    Nothing("chroot-rs mounts proc, sys and dev by itself where NEWROOT has the directories");
const CONTAINER: Here =
    Nothing("unshare-rs enters the namespaces of a container by itself; --share leaves some out");
const DIES: Here = Nothing("the command ends with its parent; unshare-rs --no-kill-child lets it go on");
const IN_ROOT: Here = NotHere("it is made in NEWROOT before the chain begins: mkdir, ln, cp");
const SERVICE: Here = NotHere("a service manager keeps it: ExecStart= can be the whole chain");

/// The options of each program, by its name in messages.
pub static OPTIONS: &[(&str, &[Foreign])] = &[
    (
        "bwrap",
        &[
            option(&["--ro-bind", "--ro-bind-try", "--ro-bind-data"], BIND_RO),
            option(&["--dev-bind", "--dev-bind-try", "--bind-try", "--bind-data"], BIND),
            option(&["--proc", "--dev", "--mqueue"], KERNEL_MOUNTS),
            option(&["--unshare-all"], CONTAINER),
            option(&["--unshare-user", "--unshare-user-try"], Option(UNSHARE, "--user")),
            option(&["--unshare-ipc"], Option(UNSHARE, "--ipc")),
            option(&["--unshare-pid"], Option(UNSHARE, "--pid")),
            option(&["--unshare-net"], Option(UNSHARE, "--net")),
            option(&["--unshare-uts"], Option(UNSHARE, "--uts")),
            option(&["--unshare-cgroup", "--unshare-cgroup-try"], Option(UNSHARE, "--cgroup")),
            option(&["--share-net"], Option(UNSHARE, "--share net")),
            option(&["--die-with-parent"], DIES),
            option(&["--new-session"], Line("setsid --wait unshare-rs -- chroot-rs ubuntu-fs COMMAND")),
            option(&["--chdir"], Option(CHROOT, "--workdir DIR")),
            option(&["--setenv"], Option(CHROOT, "--env NAME=VALUE")),
            option(&["--unsetenv"], Line("env -u NAME chroot-rs ubuntu-fs COMMAND")),
            option(&["--clearenv"], Option(UNSHARE, "--clear-env")),
            option(&["--as-pid-1"], Option(UNSHARE, "--pid")),
            option(&["--uid"], Option(CHROOT, "--userspec USER")),
            option(&["--gid"], Option(CHROOT, "--userspec :GROUP")),
            option(&["--add-seccomp-fd"], Option(CHROOT, "--seccomp FILE")),
            option(&["--tmp-overlay", "--overlay", "--overlay-src"], Option(CHROOT, "--ephemeral")),
            option(&["--remount-ro"], Option(CHROOT, "--read-only")),
            option(&["--dir", "--file", "--symlink", "--chmod", "--perms"], IN_ROOT),
            option(&["--size"], Option(CHROOT, "--tmpfs DST:SIZE")),
            option(&["--info-fd", "--json-status-fd"], Option(UNSHARE, "--pid-file FILE")),
            option(&["--args"], NotHere("xargs(1) makes a command line of a file")),
        ],
    ),
    (
        "systemd-nspawn",
        &[
            option(
                &["-D", "--directory"],
                Nothing("the directory is chroot-rs' first operand: 'chroot-rs ubuntu-fs COMMAND'"),
            ),
            option(&["--bind-ro"], BIND_RO),
            option(&["-x"], Option(CHROOT, "--ephemeral")),
            option(&["--volatile"], Option(CHROOT, "--ephemeral")),
            option(&["--private-network"], Option(UNSHARE, "--net")),
            option(
                &["-n", "--network-veth"],
                NotHere("pasta(1) before unshare-rs makes a network that reaches out: docs/network.md"),
            ),
            option(&["--private-users"], Option(UNSHARE, "--user --map-auto")),
            option(&["--port"], crate::docker::PUBLISH),
            option(&["-E"], Option(CHROOT, "--env NAME=VALUE")),
            option(&["--capability"], Option(CHROOT, "--cap-add CAP")),
            option(&["--drop-capability"], Option(CHROOT, "--cap-drop CAP")),
            option(&["--system-call-filter"], Option(CHROOT, "--seccomp FILE")),
            option(&["-M", "--machine"], Option(UNSHARE, "--hostname NAME")),
            option(&["--as-pid2"], Option(UNSHARE, "--init")),
            option(&["-S", "--slice"], Option(CGEXEC, "--parent PATH")),
            option(&["--property"], Option(CGEXEC, "--memory BYTES")),
            option(&["--image"], NotHere("mount the image first: systemd-dissect --mount IMAGE DIRECTORY")),
            option(&["--template"], Line("cp -a --reflink=auto TEMPLATE ubuntu-fs")),
            option(
                &["-b", "--boot"],
                NotHere("an init is a command as any other: 'chroot-rs debian-fs /sbin/init'"),
            ),
            option(&["--pipe", "-P", "--console"], Nothing("the command has the caller's descriptors")),
            option(&["--register", "--keep-unit", "--notify-ready"], SERVICE),
        ],
    ),
    (
        "podman",
        &[
            option(
                &["--rootfs"],
                Nothing("the directory is chroot-rs' first operand: 'chroot-rs ubuntu-fs COMMAND'"),
            ),
            option(&["--replace"], Nothing("nothing is left of a container whose command has ended")),
            option(
                &["--pod"],
                NotHere(
                    "containers share namespaces by files: unshare-rs --net=FILE, then nsenter --net=FILE",
                ),
            ),
            option(&["--tls-verify"], Option(FETCH, "--insecure-http")),
            option(
                &["--creds", "--authfile"],
                NotHere("rootfs-fetch reads what 'docker login' or 'podman login' wrote"),
            ),
            option(&["--arch", "--variant"], Option(FETCH, "--platform linux/ARM64")),
            option(&["--timeout"], Option(CGEXEC, "--wall-time SECONDS")),
            option(&["--uidmap"], Option(UNSHARE, "--map-users INSIDE:OUTSIDE:COUNT")),
            option(&["--gidmap"], Option(UNSHARE, "--map-groups INSIDE:OUTSIDE:COUNT")),
            option(&["--env-host"], Nothing("the command has the caller's environment")),
            option(&["--unsetenv-all"], Option(UNSHARE, "--clear-env")),
        ],
    ),
];

//! Options of bubblewrap, systemd-nspawn and podman that docker does not have, and options of programs that
//! download and unpack.

use crate::docker::{HIDES, JOINS, REAPER};
use crate::foreign::Here::{self, Default, Line, NotHere, Nothing, Option, RootLine};
use crate::foreign::{CGEXEC, CHROOT, FETCH, Foreign, UNSHARE, option};

const BIND_RO: Here = Option(CHROOT, "--bind SRC:DST:ro");
const BIND: Here = Option(CHROOT, "--bind SRC:DST");
const KERNEL_MOUNTS: Here =
    Default(&[CHROOT], "proc, sys and dev are mounted by default, where NEWROOT has the directories");
const CONTAINER: Here = Default(
    &[UNSHARE],
    "the command gets the namespaces of a container by default; --share keeps some of yours",
);
// a command ends with its tool; the tool would outlive its own parent
const DIES: Here = Line("setpriv --pdeathsig KILL unshare-rs -- chroot-rs ubuntu-fs COMMAND");
const IN_ROOT: Here = NotHere("prepare NEWROOT before the chain starts, with mkdir, ln, cp or chmod");
// for root, the line would change the limit of the whole machine
const NO_USERNS: Here = NotHere(
    "in a container that root starts, the command cannot create user namespaces by default; as an ordinary user: \
    unshare-rs -- sh -c 'echo 0 >/proc/sys/user/max_user_namespaces; exec chroot-rs ubuntu-fs COMMAND'",
);
const LABEL: Here = NotHere("the command keeps your label; runcon(1) in the chain changes it");
const BOOT: &str = "unshare-rs --no-init -- cgexec-rs -- chroot-rs --cap-add SYS_ADMIN --cgroup rw --tmpfs /run --env container=chain debian-fs /sbin/init";
const SERVICE: Here = NotHere("let a service manager run it: ExecStart= can be the whole chain");

const PLATFORM: Here = Option(FETCH, "--platform OS/ARCH");
const VERIFIED: Here = Nothing("certificates are checked by default");
const UNVERIFIED: Here = Option(FETCH, "--insecure-registry HOST --insecure-tls");
const UNVERIFIED_URL: Here = NotHere("trust the server's certificate authority with --cacert FILE");
const LOGIN: Here = NotHere("log in with 'docker login' or 'podman login': rootfs-fetch uses the same file");
const ARCHIVE: Here = Nothing("the archive is the first operand: 'rootfs-fetch root.tar.gz my-root'");
const DIRECTORY: Here = Nothing("the directory is the last operand: 'rootfs-fetch root.tar.gz my-root'");
const FORMAT: Here = Nothing("rootfs-fetch detects the compression");
const ATTRIBUTES: Here =
    Nothing("rootfs-fetch keeps modes, owners and attributes as far as your rights permit");

/// Options of programs that unpack and download. Only rootfs-fetch uses them: in a chain, most of these
/// letters mean something else.
pub static FETCHERS: &[(&str, &[Foreign])] = &[
    (
        "tar",
        &[
            option(
                &["-x", "--extract", "--get"],
                Nothing("rootfs-fetch always unpacks: 'rootfs-fetch root.tar.gz my-root'"),
            ),
            option(&["-t"], Option(FETCH, "--dry-run")),
            option(&["-f", "--file"], ARCHIVE),
            option(&["-C", "--directory", "--cd", "--one-top-level"], DIRECTORY),
            option(
                &["-a", "-j", "-J", "-z", "--auto-compress", "--bzip2", "--gzip", "--xz", "--zstd"],
                FORMAT,
            ),
            option(
                &["-p", "--acls", "--numeric-owner", "--preserve-permissions", "--same-owner", "--xattrs"],
                ATTRIBUTES,
            ),
        ],
    ),
    (
        "skopeo",
        &[
            option(&["--override-arch", "--override-os", "--override-variant"], PLATFORM),
            option(&["--src-tls-verify"], VERIFIED).with_values(&[("false", UNVERIFIED)]),
            option(&["--src-authfile", "--src-creds"], LOGIN),
            option(&["--src-cert-dir", "--cert-dir"], Option(FETCH, "--cacert FILE")),
            option(&["--insecure-policy", "--policy"], Nothing("rootfs-fetch reads no policy file")),
        ],
    ),
    (
        "umoci",
        &[
            option(
                &["--image"],
                Nothing("the image is the first operand: 'rootfs-fetch oci:DIR:TAG my-root'"),
            ),
            option(&["--rootless"], Nothing("it is the default for an ordinary user")),
        ],
    ),
    ("oras", &[option(&["--plain-http"], Option(FETCH, "--insecure-http"))]),
    (
        "curl",
        &[
            option(&["-o", "-O", "--output", "--remote-name"], DIRECTORY),
            option(&["-k", "--insecure"], UNVERIFIED_URL),
            option(&["-L", "--location"], Nothing("rootfs-fetch follows redirects")),
            option(&["-m", "--max-time", "--connect-timeout"], Option(FETCH, "--timeout SECONDS")),
            option(
                &["--retry"],
                Nothing("rootfs-fetch resumes a broken transfer and tries a busy server again"),
            ),
            option(&["-s", "--silent"], Option(FETCH, "--quiet")),
            option(&["--proxy"], NotHere("set it in the environment: https_proxy=http://HOST:PORT")),
            option(
                &["--cert", "--key"],
                NotHere("copy them to ~/.config/containers/certs.d/HOST/, as client.cert and client.key"),
            ),
        ],
    ),
    (
        "wget",
        &[
            option(&["-P", "--directory-prefix", "--output-document"], DIRECTORY),
            option(&["--no-check-certificate"], UNVERIFIED_URL),
            option(&["--ca-certificate"], Option(FETCH, "--cacert FILE")),
        ],
    ),
];

/// The options of each program, by its name in messages.
pub static OPTIONS: &[(&str, &[Foreign])] = &[
    (
        "bwrap",
        &[
            option(&["--ro-bind", "--ro-bind-data", "--ro-bind-fd"], BIND_RO),
            option(&["--ro-bind-try"], Option(CHROOT, "--bind-try SRC:DST:ro")),
            option(&["--bind-data", "--bind-fd"], BIND),
            option(
                &["--dev-bind", "--dev-bind-try"],
                NotHere(
                    "/dev has the usual devices by default; bind others one by one: chroot-rs --bind /dev/fuse",
                ),
            ),
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
            option(&["--as-pid-1"], Option(UNSHARE, "--no-init")),
            option(&["--uid"], Option(CHROOT, "--userspec USER")),
            option(&["--gid"], Option(CHROOT, "--userspec :GROUP")),
            option(&["--add-seccomp-fd"], Option(CHROOT, "--seccomp FILE")),
            option(&["--tmp-overlay"], Option(CHROOT, "--ephemeral")),
            option(&["--overlay"], Option(CHROOT, "--changes DIR")),
            option(
                &["--overlay-src", "--ro-overlay"],
                NotHere("mount an overlay of several directories with mount(8) before the chain"),
            ),
            option(&["--remount-ro"], Option(CHROOT, "--read-only")),
            option(&["--dir", "--file", "--symlink", "--chmod", "--perms"], IN_ROOT),
            option(&["--size"], Option(CHROOT, "--tmpfs DST:SIZE")),
            option(&["--info-fd", "--json-status-fd"], Option(UNSHARE, "--pid-file FILE")),
            option(&["--args"], NotHere("xargs(1) builds a command line from a file")),
            option(&["--userns", "--userns2"], JOINS),
            option(&["--pidns"], JOINS),
            option(&["--disable-userns", "--assert-userns-disabled"], NO_USERNS),
            option(&["--lock-file"], Line("flock FILE unshare-rs -- chroot-rs ubuntu-fs COMMAND")),
            option(&["--sync-fd"], Option(CHROOT, "--keep-fds")),
            option(
                &["--block-fd", "--userns-block-fd"],
                NotHere(
                    "let a shell in the chain wait: unshare-rs -- sh -c 'read line <FIFO; exec chroot-rs ubuntu-fs'",
                ),
            ),
            option(&["--exec-label", "--file-label"], LABEL),
            option(&["--argv0"], Line("bash -c 'exec -a NAME unshare-rs -- chroot-rs ubuntu-fs'")),
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
            option(&["--volatile"], Option(CHROOT, "--ephemeral"))
                .with_values(&[("state", Option(CHROOT, "--read-only --tmpfs /var"))]),
            option(&["--private-network"], Option(UNSHARE, "--net")),
            option(
                &["-n", "--network-veth"],
                NotHere("pasta(1) before unshare-rs connects the container to the network: docs/network.md"),
            ),
            option(&["--private-users", "-U"], Option(UNSHARE, "--userns auto"))
                .with_values(&[("no", Nothing("root's containers have no user namespace by default"))]),
            option(&["--port"], crate::docker::PUBLISH),
            option(&["-E"], Option(CHROOT, "--env NAME=VALUE")),
            option(&["--capability"], Option(CHROOT, "--cap-add CAP")),
            option(&["--drop-capability"], Option(CHROOT, "--cap-drop CAP")),
            option(&["--system-call-filter"], Option(CHROOT, "--seccomp FILE")),
            option(&["-M", "--machine"], Option(UNSHARE, "--hostname NAME")),
            option(&["-S", "--slice"], Option(CGEXEC, "--parent PATH")),
            option(&["--property"], Option(CGEXEC, "--set FILE=VALUE")),
            option(&["--image"], NotHere("mount the image first: systemd-dissect --mount IMAGE DIRECTORY")),
            option(&["--template"], Line("cp -a --reflink=auto TEMPLATE ubuntu-fs")),
            option(&["-b", "--boot"], Line(BOOT)),
            option(&["--pipe", "-P", "--console"], Nothing("the command inherits your descriptors")),
            option(&["-a", "--as-pid2"], REAPER),
            option(
                &["--kill-signal"],
                NotHere("send the chain any signal with kill(1): it passes the signal on to the command"),
            ),
            option(&["--no-new-privileges"], Option(CHROOT, "--no-new-privs")),
            option(&["--ambient-capability"], Option(CHROOT, "--cap-add CAP")),
            option(&["--rlimit"], Line("prlimit --nofile=1024 unshare-rs -- chroot-rs ubuntu-fs COMMAND")),
            option(
                &["--oom-score-adjust"],
                Line("choom -n 500 -- unshare-rs -- chroot-rs ubuntu-fs COMMAND"),
            ),
            option(&["--cpu-affinity"], Option(CGEXEC, "--cpuset-cpus LIST")),
            option(&["--personality"], Line("setarch ARCH unshare-rs -- chroot-rs ubuntu-fs COMMAND")),
            option(&["--inaccessible"], HIDES),
            option(&["--overlay-ro"], Option(CHROOT, "--read-only")),
            option(&["--bind-user"], Option(CHROOT, "--bind SRC:DST")),
            option(
                &[
                    "--network-interface",
                    "--network-macvlan",
                    "--network-ipvlan",
                    "--network-bridge",
                    "--network-zone",
                    "--network-veth-extra",
                ],
                NotHere(
                    "as root, move a device with ip(8) into the network namespace that 'unshare-rs --net=FILE' keeps",
                ),
            ),
            option(
                &["--network-namespace-path"],
                RootLine("nsenter --net=FILE -- unshare-rs --share net -- chroot-rs ubuntu-fs"),
            ),
            option(&["-Z", "--selinux-context", "-L", "--selinux-apifs-context"], LABEL),
            option(
                &["--load-credential", "--set-credential"],
                NotHere("pass a file or a variable: chroot-rs --bind SRC:DST:ro, or --env NAME=VALUE"),
            ),
            option(&["--timezone"], Option(CHROOT, "--bind /etc/localtime:/etc/localtime:ro")),
            option(
                &["--settings", "--oci-bundle", "--uuid", "--link-journal", "-j"],
                NotHere("only options describe a container"),
            ),
            option(
                &["--root-hash", "--verity-data", "--root-hash-sig"],
                NotHere("open the image with veritysetup(8) before the chain"),
            ),
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
                    "containers can share namespaces through files: as root, unshare-rs --net=FILE, then nsenter --net=FILE",
                ),
            ),
            option(&["--tls-verify"], VERIFIED).with_values(&[("false", UNVERIFIED)]),
            option(&["--creds", "--authfile"], LOGIN),
            option(&["--arch", "--variant"], PLATFORM),
            option(&["--timeout"], Option(CGEXEC, "--wall-time SECONDS")),
            option(&["--uidmap"], Option(UNSHARE, "--map-users INSIDE:OUTSIDE:COUNT")),
            option(&["--gidmap"], Option(UNSHARE, "--map-groups INSIDE:OUTSIDE:COUNT")),
            option(&["--env-host"], Nothing("the command inherits your environment")),
            option(&["--unsetenv-all"], Option(UNSHARE, "--clear-env")),
            option(&["--os"], Option(FETCH, "--platform OS/ARCH")),
            option(&["--cert-dir"], Option(FETCH, "--cacert FILE")),
            option(&["--pidfile", "--conmon-pidfile"], Option(UNSHARE, "--pid-file FILE")),
            option(&["--preserve-fds", "--preserve-fd"], Option(CHROOT, "--keep-fds")),
            option(&["--umask"], Line("sh -c 'umask 027; exec unshare-rs -- chroot-rs ubuntu-fs COMMAND'")),
            option(&["--tz"], Option(CHROOT, "--bind /etc/localtime:/etc/localtime:ro")),
            option(&["--secret"], Option(CHROOT, "--bind FILE:/run/secrets/NAME:ro")),
            option(
                &["--hostuser", "--passwd", "--passwd-entry"],
                NotHere("chroot-rs reads accounts from NEWROOT's /etc/passwd"),
            ),
            option(&["--subuidname", "--subgidname"], Option(UNSHARE, "--map-auto")),
            option(
                &["--cgroups"],
                Nothing("without cgexec-rs in the chain, the command stays in the caller's group"),
            ),
            option(&["--cgroup-conf"], Option(CGEXEC, "--set FILE=VALUE")),
            option(&["--http-proxy"], Nothing("the command inherits your environment")),
            option(&["--no-hostname"], Nothing("chroot-rs leaves NEWROOT's /etc/hostname as it is")),
            option(&["--read-only-tmpfs"], Option(CHROOT, "--tmpfs DST[:SIZE]")),
            option(&["--systemd"], Line(BOOT))
                .with_values(&[("false", Nothing("only --no-init makes the command process 1"))]),
            option(&["--sdnotify", "--requires"], SERVICE),
            option(
                &["--retry", "--retry-delay"],
                Nothing("rootfs-fetch resumes a broken transfer and tries again"),
            ),
            option(&["--init-path"], REAPER),
        ],
    ),
];

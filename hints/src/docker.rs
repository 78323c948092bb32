//! Every option of `docker run`. The file is long because that list is.

use crate::foreign::Here::{self, Default, Line, NotHere, Nothing, Option, RootLine};
use crate::foreign::{CGEXEC, CHROOT, FETCH, Foreign, UNSHARE, option as flag};

const RESOLV_CONF: Here = Option(CHROOT, "--bind ./resolv.conf:/etc/resolv.conf:ro");
const RATES_RT: Here = NotHere(
    "version 2 of control groups has no such limit; chrt(1) in the chain runs the command with real-time priority",
);
const HEALTH: Here = NotHere("let a service manager watch it: WatchdogSec= in systemd.service(5)");
const ADDRESS: Here =
    NotHere("pasta(1) copies the machine's addresses, or sets the one in --address: docs/network.md");
const LABELS: Here =
    NotHere("there is no record of a container to label; cgexec-rs --name NAME names its control group");
const LOGS: Here = NotHere(
    "the command writes to your standard output: redirect it, or pipe it to logger(1) or systemd-cat(1)",
);
const REACHES_OUT: Here =
    Line("pasta --config-net -- unshare-rs --share net,user -- chroot-rs --resolv-conf ubuntu-fs");
pub(crate) const PUBLISH: Here =
    Line("pasta --config-net -t 8080 -- unshare-rs --share net,user -- chroot-rs ubuntu-fs");

const OWN: Here = Default(&[UNSHARE], "each container gets a new one by default");
// the value extends to the end of its line, blanks and quotation marks included; the shell's "." would interpret them
const ENV_FILE: &str = r#"(while IFS= read -r line || [ "$line" ]; do case $line in \#*) ;; *=*) export "$line";; esac; done <FILE; exec chroot-rs ubuntu-fs COMMAND)"#;
const RESTARTS: Here = NotHere("let a service manager restart it: Restart=always in systemd.service(5)");
const JOIN_NETWORK: Here =
    RootLine("nsenter --net --target PID -- unshare-rs --share net -- chroot-rs ubuntu-fs");
pub(crate) const HIDES: Here =
    NotHere("chroot-rs --bind /dev/null:FILE hides a file, and chroot-rs --tmpfs DIR a directory");
const NO_MODE: Here = NotHere(
    "chroot-rs has an option only for seccomp (--seccomp), no-new-privileges (--no-new-privs), systempaths and unmask (--unmask)",
);
const SET_ID_WORKS: Here = Nothing("set-user-ID programs work by default");
const NO_NEW_PRIVS: Here = Option(CHROOT, "--no-new-privs");
pub(crate) const REAPER: Here = Default(
    &[UNSHARE, CHROOT],
    "unshare-rs and chroot-rs start a reaper as process 1; --no-init starts none",
);
pub(crate) const JOINS: Here = NotHere(
    "as root, enter the namespace with nsenter(1) before unshare-rs, and keep it with unshare-rs --share NAMESPACE",
);

/// Commands of docker, and their equivalents here.
pub(crate) const COMMANDS: &[(&[&str], &str)] = &[
    (&["run", "create", "start"], "a chain here: 'unshare-rs -- cgexec-rs -- chroot-rs ubuntu-fs'"),
    (
        &["exec"],
        "nsenter(1) here: as root, 'nsenter --target PID --all COMMAND'; as a user, with -U --preserve-credentials -m -u -i -n -p instead of --all",
    ),
    (&["pull"], "rootfs-fetch here: 'rootfs-fetch docker://ubuntu ubuntu-fs'"),
];

/// In the order of `docker run --help`; options of newer versions come last.
pub static FLAGS: &[Foreign] = &[
    flag(&["--add-host"], Option(CHROOT, "--bind ./hosts:/etc/hosts:ro")),
    flag(
        &["-a", "--attach"],
        NotHere("the command inherits your descriptors: redirect those it should not have"),
    ),
    flag(&["--blkio-weight"], Option(CGEXEC, "--blkio-weight N")),
    flag(&["--blkio-weight-device"], NotHere("a weight applies to all disks: cgexec-rs --blkio-weight N")),
    flag(&["--cap-add"], Option(CHROOT, "--cap-add CAP")),
    flag(&["--cap-drop"], Option(CHROOT, "--cap-drop CAP")),
    flag(&["--cgroup-parent"], Option(CGEXEC, "--parent PATH")),
    flag(
        &["--cgroupns"],
        NotHere(
            "as root, enter the namespace with nsenter(1) before the chain, and keep it with cgexec-rs --no-cgroupns",
        ),
    )
    .with_values(&[
        ("host", Option(CGEXEC, "--no-cgroupns")),
        ("private", Default(&[CGEXEC], "the command gets a new cgroup namespace by default")),
    ]),
    flag(&["--cidfile"], Option(UNSHARE, "--pid-file FILE")),
    flag(&["--cpu-period"], Option(CGEXEC, "--cpu-period USEC")),
    flag(&["--cpu-quota"], Option(CGEXEC, "--cpu-quota USEC")),
    flag(&["--cpu-rt-period"], RATES_RT),
    flag(&["--cpu-rt-runtime"], RATES_RT),
    flag(&["-c", "--cpu-shares"], Option(CGEXEC, "--cpu-shares N")),
    flag(&["--cpus"], Option(CGEXEC, "--cpus N")),
    flag(&["--cpuset-cpus"], Option(CGEXEC, "--cpuset-cpus LIST")),
    flag(&["--cpuset-mems"], Option(CGEXEC, "--cpuset-mems LIST")),
    flag(
        &["-d", "--detach"],
        Line("setsid -f unshare-rs -- chroot-rs ubuntu-fs COMMAND >log 2>&1 </dev/null"),
    ),
    flag(&["--detach-keys"], NotHere("tmux(1) and dtach(1) detach from any command")),
    flag(&["--device"], Option(CHROOT, "--bind /dev/fuse")),
    flag(&["--device-cgroup-rule"], Option(CGEXEC, "--device RULE")),
    flag(&["--device-read-bps"], Option(CGEXEC, "--device-read-bps DISK:RATE")),
    flag(&["--device-read-iops"], Option(CGEXEC, "--device-read-iops DISK:RATE")),
    flag(&["--device-write-bps"], Option(CGEXEC, "--device-write-bps DISK:RATE")),
    flag(&["--device-write-iops"], Option(CGEXEC, "--device-write-iops DISK:RATE")),
    flag(
        &["--disable-content-trust"],
        Nothing("rootfs-fetch checks every layer against its digest; --digest pins the image"),
    ),
    flag(&["--dns"], RESOLV_CONF),
    flag(&["--dns-option"], RESOLV_CONF),
    flag(&["--dns-search"], RESOLV_CONF),
    flag(
        &["--domainname"],
        RootLine(
            "unshare-rs -- sh -c 'echo NAME >/proc/sys/kernel/domainname; exec chroot-rs ubuntu-fs COMMAND'",
        ),
    ),
    flag(&["--entrypoint"], Option(CHROOT, "--image-config FILE --entrypoint PROGRAM")),
    flag(&["-e", "--env"], Option(CHROOT, "--env NAME=VALUE")),
    flag(&["--env-file"], Line(ENV_FILE)),
    flag(&["--expose"], Nothing("it only documents a port; 'pasta -t PORT' before unshare-rs publishes one")),
    flag(
        &["--gpus"],
        NotHere("bind the driver's files and devices one by one: chroot-rs --bind /dev/dri/renderD128"),
    ),
    flag(&["--group-add"], Option(CHROOT, "--groups GROUP,...")),
    flag(&["--health-cmd"], HEALTH),
    flag(&["--health-interval"], HEALTH),
    flag(&["--health-retries"], HEALTH),
    flag(&["--health-start-period"], HEALTH),
    flag(&["--health-timeout"], HEALTH),
    flag(&["--help"], Option(UNSHARE, "--help")),
    flag(&["-h", "--hostname"], Option(UNSHARE, "--hostname NAME")),
    flag(&["--init"], REAPER).with_values(&[("false", Option(UNSHARE, "--no-init"))]),
    flag(
        &["-i", "--interactive", "-it", "-ti"],
        Nothing("the command inherits your terminal and standard input"),
    ),
    flag(&["--ip"], ADDRESS),
    flag(&["--ip6"], ADDRESS),
    flag(&["--ipc"], JOINS).with_values(&[
        ("host", Option(UNSHARE, "--share ipc")),
        ("none", OWN),
        ("private", OWN),
        ("shareable", OWN),
    ]),
    flag(&["--isolation"], NotHere("it is for Windows")),
    flag(
        &["--kernel-memory"],
        NotHere("Linux removed this limit; cgexec-rs --memory includes the kernel's memory"),
    ),
    flag(&["-l", "--label"], LABELS),
    flag(&["--label-file"], LABELS),
    flag(
        &["--link"],
        NotHere(
            "containers can share a network: as root, unshare-rs --net=FILE for the first, nsenter --net=FILE for the next",
        ),
    ),
    flag(&["--link-local-ip"], ADDRESS),
    flag(&["--log-driver"], LOGS),
    flag(&["--log-opt"], LOGS),
    flag(&["--mac-address"], NotHere("pasta(1) sets it with --ns-mac-addr: docs/network.md")),
    flag(&["-m", "--memory"], Option(CGEXEC, "--memory BYTES")),
    flag(&["--memory-reservation"], Option(CGEXEC, "--memory-low BYTES")),
    flag(&["--memory-swap"], Option(CGEXEC, "--memory-swap BYTES")),
    flag(
        &["--memory-swappiness"],
        NotHere("version 2 of control groups does not have it; cgexec-rs --memory-swap-max 0 forbids swap"),
    ),
    flag(&["--mount"], Option(CHROOT, "--bind SRC:DST[:ro]"))
        .with_values(&[("type=tmpfs", Option(CHROOT, "--tmpfs DST[:SIZE]"))]),
    flag(&["--name"], Option(CGEXEC, "--name NAME")),
    flag(
        &["--network", "--net"],
        NotHere(
            "networks have no names here; pasta(1) before unshare-rs reaches the machine's network: docs/network.md",
        ),
    )
    .with_values(&[
        ("host", Option(UNSHARE, "--share net")),
        ("none", Default(&[UNSHARE], "a container has only the interface lo by default")),
        ("bridge", REACHES_OUT),
        ("default", REACHES_OUT),
        ("pasta", REACHES_OUT),
        ("slirp4netns", REACHES_OUT),
        ("container:ID", JOIN_NETWORK),
        ("ns:PATH", RootLine("nsenter --net=PATH -- unshare-rs --share net -- chroot-rs ubuntu-fs")),
    ]),
    flag(&["--network-alias"], NotHere("containers have no network that resolves their names")),
    flag(&["--no-healthcheck"], Nothing("an image's HEALTHCHECK is never run")),
    flag(
        &["--oom-kill-disable"],
        NotHere(
            "version 2 of control groups does not have it; cgexec-rs --memory-high slows the command down instead of killing it",
        ),
    ),
    flag(&["--oom-score-adj"], Line("choom -n 500 -- unshare-rs -- chroot-rs ubuntu-fs COMMAND")),
    flag(&["--pid"], JOINS).with_values(&[("host", Option(UNSHARE, "--share pid")), ("private", OWN)]),
    flag(&["--pids-limit"], Option(CGEXEC, "--pids-limit N")),
    flag(&["--platform"], Option(FETCH, "--platform OS/ARCH")),
    flag(&["--privileged"], Option(CHROOT, "--privileged")),
    flag(&["-p", "--publish"], PUBLISH),
    flag(&["-P", "--publish-all"], PUBLISH),
    flag(&["--pull"], Line("test -d ubuntu-fs || rootfs-fetch docker://ubuntu ubuntu-fs")).with_values(&[
        ("always", NotHere("give rootfs-fetch a new DIRECTORY for each run")),
        ("never", Nothing("a chain fetches nothing; only rootfs-fetch does")),
    ]),
    flag(&["--read-only"], Option(CHROOT, "--read-only")),
    flag(&["--restart"], RESTARTS).with_values(&[
        ("no", Nothing("a command that has ended is not started again")),
        ("on-failure", Line("until unshare-rs -- chroot-rs ubuntu-fs COMMAND; do sleep 1; done")),
    ]),
    flag(&["--rm"], Option(CHROOT, "--ephemeral")),
    flag(&["--runtime"], NotHere("the chain itself is the runtime")),
    flag(&["--security-opt"], NO_MODE).with_values(&[
        ("seccomp=unconfined", Option(CHROOT, "--seccomp unconfined")),
        ("seccomp=builtin", Default(&[CHROOT], "system calls are filtered by default")),
        ("seccomp=FILE", Option(CHROOT, "--seccomp FILE")),
        ("no-new-privileges:false", SET_ID_WORKS),
        ("no-new-privileges=false", SET_ID_WORKS),
        ("no-new-privileges", NO_NEW_PRIVS),
        ("no-new-privileges=true", NO_NEW_PRIVS),
        ("systempaths=unconfined", Option(CHROOT, "--unmask")),
        ("unmask=PATH", Option(CHROOT, "--unmask")),
        ("mask=PATH", HIDES),
        ("apparmor=PROFILE", NotHere("the command keeps your profile; aa-exec(1) in the chain changes it")),
        ("label=LABEL", NotHere("the command keeps your label; runcon(1) in the chain changes it")),
    ]),
    flag(&["--shm-size"], Option(CHROOT, "--tmpfs /dev/shm:SIZE")),
    flag(&["--sig-proxy"], Nothing("each tool passes its signals on to the command")),
    flag(
        &["--stop-signal"],
        Line("timeout --foreground --signal INT 60 unshare-rs -- chroot-rs ubuntu-fs COMMAND"),
    ),
    flag(
        &["--stop-timeout"],
        NotHere(
            "the program that stops the chain decides how long to wait: timeout(1) with --kill-after, or TimeoutStopSec= in systemd.service(5)",
        ),
    ),
    flag(&["--storage-opt"], Option(CHROOT, "--ephemeral=SIZE")),
    flag(
        &["--sysctl"],
        Line("unshare-rs -- sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; exec chroot-rs ubuntu-fs COMMAND'"),
    ),
    flag(&["--tmpfs"], Option(CHROOT, "--tmpfs DST[:SIZE]")),
    flag(
        &["-t", "--tty"],
        Nothing("the command inherits your terminal; if you have none, script(1) in the chain creates one"),
    ),
    flag(&["--ulimit"], Line("prlimit --nofile=1024 unshare-rs -- chroot-rs ubuntu-fs COMMAND")),
    flag(&["-u", "--user"], Option(CHROOT, "--userspec USER[:GROUP]")),
    flag(&["--userns"], JOINS).with_values(&[
        ("auto", Option(UNSHARE, "--userns auto")),
        ("nomap", Option(UNSHARE, "--userns auto")),
        ("host", Option(UNSHARE, "--share user")),
        ("keep-id", Option(UNSHARE, "--map-current-user")),
    ]),
    flag(&["--uts"], JOINS).with_values(&[("host", Option(UNSHARE, "--share uts")), ("private", OWN)]),
    flag(&["-v", "--volume"], Option(CHROOT, "--bind SRC:DST[:ro]")),
    flag(
        &["--volume-driver"],
        NotHere("mount the volume outside, and make it visible inside: chroot-rs --bind SRC:DST"),
    ),
    flag(&["--volumes-from"], NotHere("repeat the other container's chroot-rs --bind SRC:DST")),
    flag(&["-w", "--workdir"], Option(CHROOT, "--workdir DIR")),
    flag(&["--annotation"], LABELS),
    flag(
        &["--cpu-count", "--cpu-percent", "--io-maxbandwidth", "--io-maxiops"],
        NotHere("it is for Windows"),
    ),
    flag(&["--health-start-interval"], HEALTH),
    flag(&["-q", "--quiet"], Option(FETCH, "--quiet")),
    flag(&["--use-api-socket"], NotHere("there is no engine, so it has no socket")),
];

//! Every option of `docker run`. The file is as long as that list.

use crate::foreign::Here::{self, Line, NotHere, Nothing, Option};
use crate::foreign::{CGEXEC, CHROOT, FETCH, Foreign, UNSHARE, option as flag};

const RESOLV_CONF: Here = Option(CHROOT, "--bind ./resolv.conf:/etc/resolv.conf:ro");
const RATES_RT: Here =
    NotHere("version 2 of control groups has no such limit; chrt(1) in the chain makes a command real-time");
const HEALTH: Here = NotHere("a service manager watches: WatchdogSec= in systemd.service(5)");
const ADDRESS: Here =
    NotHere("pasta(1) copies the machine's addresses or takes one with --address: docs/network.md");
const LABELS: Here = NotHere("nothing is kept about a container; cgexec-rs --name names its control group");
const LOGS: Here =
    NotHere("standard output is the caller's: redirect it, or pipe it to logger(1) or systemd-cat(1)");
pub(crate) const PUBLISH: Here =
    Line("pasta --config-net -t 8080 -- unshare-rs --share net,user -- chroot-rs ubuntu-fs");

/// In the order of `docker run --help`; what newer versions have besides comes last.
pub static FLAGS: &[Foreign] = &[
    flag(&["--add-host"], Option(CHROOT, "--bind ./hosts:/etc/hosts:ro")),
    flag(
        &["-a", "--attach"],
        NotHere("the command has the caller's descriptors: redirect those it should not have"),
    ),
    flag(&["--blkio-weight"], Option(CGEXEC, "--blkio-weight N")),
    flag(&["--blkio-weight-device"], NotHere("a weight counts for all disks: cgexec-rs --blkio-weight N")),
    flag(&["--cap-add"], Option(CHROOT, "--cap-add CAP")),
    flag(&["--cap-drop"], Option(CHROOT, "--cap-drop CAP")),
    flag(&["--cgroup-parent"], Option(CGEXEC, "--parent PATH")),
    flag(&["--cgroupns"], Option(CGEXEC, "--no-cgroupns")),
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
        Nothing("every layer is checked by its digest; rootfs-fetch --digest pins the image"),
    ),
    flag(&["--dns"], RESOLV_CONF),
    flag(&["--dns-option"], RESOLV_CONF),
    flag(&["--dns-search"], RESOLV_CONF),
    flag(
        &["--domainname"],
        Line(
            "unshare-rs -- sh -c 'echo NAME >/proc/sys/kernel/domainname; exec chroot-rs ubuntu-fs COMMAND'",
        ),
    ),
    flag(&["--entrypoint"], Option(CHROOT, "--image-config FILE --entrypoint PROGRAM")),
    flag(&["-e", "--env"], Option(CHROOT, "--env NAME=VALUE")),
    flag(&["--env-file"], Line("env $(grep -v '^#' FILE) chroot-rs ubuntu-fs COMMAND")),
    flag(&["--expose"], Nothing("it opens nothing; 'pasta -t PORT' before unshare-rs publishes a port")),
    flag(&["--gpus"], NotHere("bind its driver's files and devices one by one: chroot-rs --bind /dev/dri")),
    flag(&["--group-add"], Option(CHROOT, "--groups GROUP,...")),
    flag(&["--health-cmd"], HEALTH),
    flag(&["--health-interval"], HEALTH),
    flag(&["--health-retries"], HEALTH),
    flag(&["--health-start-period"], HEALTH),
    flag(&["--health-timeout"], HEALTH),
    flag(&["--help"], Option(UNSHARE, "--help")),
    flag(&["-h", "--hostname"], Option(UNSHARE, "--hostname NAME")),
    flag(&["--init"], Nothing("a reaper is process 1 by default; unshare-rs --no-init leaves it out")),
    flag(
        &["-i", "--interactive", "-it", "-ti"],
        Nothing("the command has the caller's terminal and standard input: leave it out"),
    ),
    flag(&["--ip"], ADDRESS),
    flag(&["--ip6"], ADDRESS),
    flag(&["--ipc"], Option(UNSHARE, "--share ipc")),
    flag(&["--isolation"], NotHere("it is for Windows")),
    flag(&["--kernel-memory"], NotHere("Linux dropped it; cgexec-rs --memory includes the kernel's memory")),
    flag(&["-l", "--label"], LABELS),
    flag(&["--label-file"], LABELS),
    flag(
        &["--link"],
        NotHere(
            "containers share a network: unshare-rs --net=FILE for the first, nsenter --net=FILE for the next",
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
    flag(&["--mount"], Option(CHROOT, "--bind SRC:DST[:ro]")),
    flag(&["--name"], Option(CGEXEC, "--name NAME")),
    flag(&["--network", "--net"], Option(UNSHARE, "--share net")),
    flag(&["--network-alias"], NotHere("there is no container network with its own names")),
    flag(&["--no-healthcheck"], Nothing("an image's HEALTHCHECK is never run")),
    flag(
        &["--oom-kill-disable"],
        NotHere(
            "version 2 of control groups does not have it; cgexec-rs --memory-high slows instead of killing",
        ),
    ),
    flag(&["--oom-score-adj"], Line("choom -n 500 -- unshare-rs -- chroot-rs ubuntu-fs COMMAND")),
    flag(&["--pid"], Option(UNSHARE, "--share pid")),
    flag(&["--pids-limit"], Option(CGEXEC, "--pids-limit N")),
    flag(&["--platform"], Option(FETCH, "--platform OS/ARCH")),
    flag(&["--privileged"], Option(CHROOT, "--privileged")),
    flag(&["-p", "--publish"], PUBLISH),
    flag(&["-P", "--publish-all"], PUBLISH),
    flag(&["--pull"], Line("test -d ubuntu-fs || rootfs-fetch docker://ubuntu ubuntu-fs")),
    flag(&["--read-only"], Option(CHROOT, "--read-only")),
    flag(&["--restart"], Line("until unshare-rs -- chroot-rs ubuntu-fs COMMAND; do sleep 1; done")),
    flag(&["--rm"], Option(CHROOT, "--ephemeral")),
    flag(&["--runtime"], NotHere("the chain is the runtime")),
    flag(&["--security-opt"], Option(CHROOT, "--seccomp FILE")),
    flag(&["--shm-size"], Option(CHROOT, "--tmpfs /dev/shm:SIZE")),
    flag(&["--sig-proxy"], Nothing("each tool passes its signals on to the command")),
    flag(
        &["--stop-signal"],
        Line("timeout --foreground --signal INT 60 unshare-rs -- chroot-rs ubuntu-fs COMMAND"),
    ),
    flag(&["--stop-timeout"], Option(CGEXEC, "--kill-after SECONDS")),
    flag(
        &["--storage-opt"],
        NotHere(
            "a directory has no size of its own: chroot-rs --tmpfs DST:SIZE, or a quota of its file system",
        ),
    ),
    flag(
        &["--sysctl"],
        Line("unshare-rs -- sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; exec chroot-rs ubuntu-fs COMMAND'"),
    ),
    flag(&["--tmpfs"], Option(CHROOT, "--tmpfs DST[:SIZE]")),
    flag(
        &["-t", "--tty"],
        Nothing("the command has the caller's terminal; without one, script(1) in the chain creates it"),
    ),
    flag(&["--ulimit"], Line("prlimit --nofile=1024 unshare-rs -- chroot-rs ubuntu-fs COMMAND")),
    flag(&["-u", "--user"], Option(CHROOT, "--userspec USER[:GROUP]")),
    flag(&["--userns"], Option(UNSHARE, "--userns auto")),
    flag(&["--uts"], Option(UNSHARE, "--share uts")),
    flag(&["-v", "--volume"], Option(CHROOT, "--bind SRC:DST[:ro]")),
    flag(
        &["--volume-driver"],
        NotHere("mount it where you like and show it inside: chroot-rs --bind SRC:DST"),
    ),
    flag(&["--volumes-from"], NotHere("give the same chroot-rs --bind SRC:DST again")),
    flag(&["-w", "--workdir"], Option(CHROOT, "--workdir DIR")),
    flag(&["--annotation"], LABELS),
    flag(
        &["--cpu-count", "--cpu-percent", "--io-maxbandwidth", "--io-maxiops"],
        NotHere("it is for Windows"),
    ),
    flag(&["--health-start-interval"], HEALTH),
    flag(&["-q", "--quiet"], Option(FETCH, "--quiet")),
    flag(&["--use-api-socket"], NotHere("there is no engine, and so no socket of it")),
];

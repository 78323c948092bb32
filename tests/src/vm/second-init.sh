#!/bin/sh
# Sets up the machine that the tests expect, runs /jobs, and stops the machine.
# The host reads the lines that start with [vm].
. /bin/mounts.sh
for module in /modules/*.ko; do
    [ ! -e "$module" ] || insmod "$module"
done
hostname vm
chown user:user /home/user
export PATH=/tools:/bin HOME=/root CHAIN_TOOLS=/tools CHAIN_VM=1

as_root() { "$@"; }

as_user() { su -s /bin/sh -c 'cd; exec "$@"' -- user sh "$@"; }

# The user owns a part of the hierarchy, with controllers, and runs in a leaf of it,
# as in a session that a service manager has set up.
delegated() (
    group=/sys/fs/cgroup/users
    echo '+cpu +memory +pids' >/sys/fs/cgroup/cgroup.subtree_control
    mkdir -p "$group"
    echo '+cpu +memory +pids' >"$group/cgroup.subtree_control"
    mkdir -p "$group/session"
    for own in "$group" "$group/session"; do
        chown user:user "$own" "$own/cgroup.procs" "$own/cgroup.threads" "$own/cgroup.subtree_control"
    done
    echo 0 >"$group/session/cgroup.procs"
    as_user "$@"
)

# job WHO PROGRAM [ARG]...
job() {
    local who=$1
    echo "[vm] begins: $*"
    shift
    ("$who" again "$@") </dev/null 2>&1
    echo "[vm] ended: $?"
}

. /jobs
echo "[vm] over"
# with -no-reboot this ends qemu
reboot -f

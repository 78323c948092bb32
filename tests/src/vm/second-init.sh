#!/bin/sh
# Makes the machine that the tests expect, runs /jobs, and stops the machine.
# Lines that start with [vm] are for the host.
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount -t devtmpfs -o mode=755 devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
ln -s /proc/self/fd /dev/fd
if grep -q chain.v1 /proc/cmdline; then
    # as distributions did before version 2, without it beside
    mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
    for controller in memory pids cpu,cpuacct cpuset blkio freezer; do
        mkdir "/sys/fs/cgroup/$controller"
        mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller"
    done
else
    # as systemd mounts it
    mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
fi
for module in /modules/*.ko; do
    [ ! -e "$module" ] || insmod "$module"
done
hostname vm
ip link set lo up
chown user:user /home/user
export PATH=/tools:/bin HOME=/root CHAIN_TOOLS=/tools CHAIN_VM=1

as_root() { "$@"; }

as_user() { su -s /bin/sh -c 'cd; exec "$@"' -- user sh "$@"; }

# The user owns a part of the hierarchy, with controllers, and runs in a leaf of it:
# what a service manager leaves to a user's session.
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

job() {
    echo "[vm] begins: $*"
    ("$@") </dev/null 2>&1
    echo "[vm] ended: $?"
}

. /jobs
echo "[vm] over"
# with -no-reboot this ends qemu
reboot -f

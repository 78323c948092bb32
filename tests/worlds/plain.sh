#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The init of the same machine without systemd: the control groups belong to root, and nobody manages them.
# chain.v1 on the kernel's command line mounts those of version 1 instead.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
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
    mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
    for controller in memory pids cpu,cpuacct cpuset blkio freezer; do
        mkdir "/sys/fs/cgroup/$controller"
        mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller"
    done
else
    mount -t cgroup2 -o nosuid,nodev,noexec,nsdelegate cgroup2 /sys/fs/cgroup
fi
hostname machine
ip link set lo up

. /world/containers.sh
wanted=$(sed -n 's/.*chain\.worlds=\([^ ]*\).*/\1/p' /proc/cmdline)
# on a terminal, as login(1) leaves it
as_root() { script -qec "$run run $1" /dev/null; }
as_user() { script -qec "su -l alice -c 'CHAIN_TOOLS=$CHAIN_TOOLS $run run $1'" /dev/null; }
world openrc-root as_root
world openrc-user as_user
world v1-root as_root
world v1-user as_user
echo "[vm] over"
busybox reboot -f

# The mounts of a machine's init without systemd, and the loopback interface: an sh(1) reads this file.
# chain.v1 on the kernel's command line mounts only the control groups of version 1, as distributions did
# before version 2.
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
    # as systemd mounts it
    mount -t cgroup2 -o nosuid,nodev,noexec,nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
fi
ip link set lo up

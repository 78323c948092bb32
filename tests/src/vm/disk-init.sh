#!/bin/sh
# Loads the driver of the disk, mounts /world there, and becomes the init of the disk, or the program
# that world.init= on the kernel's command line names.
busybox() { /bin/busybox "$@"; }
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs devtmpfs /dev
# the modules depend on each other, and some may be built in: try until it works
tries=0
until busybox mount -t ext4 /dev/vda /disk 2>/dev/null; do
    for module in /modules/*.ko; do busybox insmod "$module" 2>/dev/null; done
    tries=$((tries + 1))
    [ $tries -lt 100 ] || exec echo "no disk"
    [ $tries -lt 4 ] || busybox sleep 0.1
done
busybox cp -a /world/. /disk/world/
busybox mount -t ext4 -o ro /dev/vdb /disk/srv/root
init=/sbin/init
for word in $(busybox cat /proc/cmdline); do
    case $word in world.init=*) init=${word#world.init=} ;; esac
done
busybox umount /proc
busybox umount /sys
busybox umount /dev
exec /bin/busybox switch_root /disk "$init"

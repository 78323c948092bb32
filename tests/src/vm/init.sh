#!/bin/sh
# The kernel starts this script in its first root, which cannot be a container's root: pivot_root(2)
# refuses to move it. So everything is moved to a tmpfs, as on a machine with a disk.
set -e
mkdir /moved
mount -t tmpfs -o mode=755,size=90% tmpfs /moved
for each in /*; do
    [ "$each" = /moved ] || cp -a "$each" /moved
done
exec switch_root /moved /bin/second-init

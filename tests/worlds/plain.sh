#!/bin/bash
# The init of the same machine without systemd: the control groups belong to root, and nothing manages them.
# chain.v1 on the kernel's command line mounts control groups of version 1 instead.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
. /world/mounts.sh
hostname machine

. /world/containers.sh
wanted=$(sed -n 's/.*chain\.worlds=\([^ ]*\).*/\1/p' /proc/cmdline)
# on a terminal, as after login(1)
as_root() { script -qec "$run run $1" /dev/null; }
as_user() { script -qec "su -l alice -c 'CHAIN_TOOLS=$CHAIN_TOOLS $run run $1'" /dev/null; }
world openrc-root as_root
world openrc-user as_user
world v1-root as_root
world v1-user as_user
echo "[vm] over"
busybox reboot -f

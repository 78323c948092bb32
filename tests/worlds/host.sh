#!/bin/bash
# Runs the worlds in containers of this host, as root: tests/run worlds.
# host.sh DIRECTORY ARCHIVE PROGRAMS WORLD,WORLD...: DIRECTORY has the tools, ARCHIVE is the root of
# tests/worlds/image, and PROGRAMS a PATH with runc and a Docker engine.
#
# All its mounts vanish with its mount namespace; all its other files are in DIRECTORY.
set -u
if [ -z "${CHAIN_MOUNTS:-}" ]; then
    CHAIN_MOUNTS=own exec unshare --mount bash "$0" "$@"
fi
world=$1 archive=$2 programs=$3 wanted=$4
export PATH=$programs:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
state=$world/state
root=$state/root
mkdir -p "$state"
mount -t tmpfs -o mode=755 tmpfs "$state"
# engines always create their sockets there
mount -t tmpfs -o mode=755 tmpfs /run
mkdir "$root"
tar -xf "$archive" -C "$root" --exclude='./dev/*' --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*'
. "$(dirname "$0")/containers.sh"

# the control group of the engines' containers, which they leave behind
group=chain-worlds-$$
end_engines() {
    if [ -n "${engine:-}" ]; then
        kill "$engine"
        wait "$engine"
    fi
    # podman's conmon ends after the container
    for _ in $(seq 30); do
        find /sys/fs/cgroup -depth -type d -path "*/$group*" -exec rmdir {} + 2>/dev/null
        compgen -G "/sys/fs/cgroup/*/$group" >/dev/null || break
        sleep 1
    done
}
trap end_engines EXIT

world host-runc runc_spec '.'
if [[ ,$wanted, == *,host-docker,* ]]; then
    start_docker --cgroup-parent "/$group"
    world host-docker docker_run
fi

# in_archive COMMAND...: with the programs of the archive, which see the kernel and the control groups of this host
in_archive() {
    local at directory
    at=$(overlay engine)
    for directory in /dev /proc /sys "$world"; do
        mkdir -p "$at$directory"
        mountpoint -q "$at$directory" || mount --rbind "$directory" "$at$directory"
    done
    mkdir -p "$at/run" && mount -t tmpfs tmpfs "$at/run"
    chroot "$at" "$@"
}
# its root is below the directory of the worlds, which has the same path there; crun refuses hybrid control groups;
# and root in a container cannot always raise a resource limit
world host-podman podman_run "in_archive podman --cgroup-manager=cgroupfs --runtime=runc" --cgroup-parent="/$group" \
    --ulimit="nofile=1024:$(ulimit -Hn)" --ulimit=nproc=4096:4096 --rootfs "$(overlay podman)"
echo "[vm] over"

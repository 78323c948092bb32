#!/bin/bash
# Runs the worlds in containers of this host, as root: tests/run worlds.
# host.sh DIRECTORY ARCHIVE PROGRAMS WORLD,WORLD...: DIRECTORY has the tools, ARCHIVE is the root of
# tests/worlds/image, and PROGRAMS a PATH with runc and a Docker engine.
#
# Everything that it mounts goes with its mount namespace; what else it writes is in DIRECTORY.
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
# sockets of engines are made there whatever they are told
mount -t tmpfs -o mode=755 tmpfs /run
mkdir "$root"
tar -xf "$archive" -C "$root" --exclude='./dev/*' --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*'
. "$(dirname "$0")/containers.sh"

# the group of the engine's containers, which it leaves
group=chain-worlds-$$
end_engine() {
    [ -n "${engine:-}" ] || return 0
    kill "$engine"
    wait "$engine"
    rmdir /sys/fs/cgroup/$group /sys/fs/cgroup/*/$group 2>/dev/null
}
trap end_engine EXIT

world host-runc runc_spec '.'
if [[ ,$wanted, == *,host-docker,* ]]; then
    start_docker --cgroup-parent "/$group"
    world host-docker docker_run
fi
echo "[vm] over"

# Worlds in other containers, of the machine and of this host: other scripts read this file.
# $root is a Debian root directory. /world or $world has the tools, which are below /world in each container.
# $wanted lists the worlds to run, and a Docker engine is in PATH.
world=${world:-/world}
export CHAIN_TOOLS=$world/tools
run=$world/tools/worlds
inside=/world/tools
state=${state:-/run/worlds}
mkdir -p "$state"

# world NAME COMMAND...: `COMMAND... NAME` runs the sessions of a world, if it is wanted
world() {
    local name=$1
    shift
    [[ ,$wanted, == *",$name,"* ]] || return 0
    echo "[vm] begins: world $name ($(date +%T))"
    "$@" "$name" </dev/null 2>&1
    local status=$?
    echo "[vm] ended: $status ($(date +%T))"
}

# overlay NAME: prints the path of a root that may be changed
overlay() {
    local at=$state/roots/$1
    if [ ! -d "$at/root" ]; then
        mkdir -p "$at"
        mount -t tmpfs tmpfs "$at"
        mkdir "$at/root" "$at/upper" "$at/work"
        mount -t overlay -o "lowerdir=$root,upperdir=$at/upper,workdir=$at/work" overlay "$at/root"
    fi
    echo "$at/root"
}

# bundle NAME FILTER: a bundle for runc(8) with its default settings, changed by a filter of jq(1)
bundle() {
    local at=$state/bundles/$1
    mkdir -p "$at"
    (cd "$at" && rm -f config.json && runc spec) &&
        jq --arg root "$(overlay "$1")" --arg world "$world" --arg tools "$inside" '
            .root.path = $root | .process.terminal = false | .process.env += ["CHAIN_TOOLS=" + $tools]
            | .mounts += [{destination: "/world", type: "bind", source: $world, options: ["rbind", "ro"]},
                {destination: "/tmp", type: "tmpfs", source: "tmpfs"}]' "$at/config.json" |
        jq "$2" >"$at/new.json" && mv "$at/new.json" "$at/config.json"
    echo "$at"
}

# runc_spec FILTER NAME: in a container as described by `runc spec`
runc_spec() {
    local filter=$1 name=$2 at
    at=$(bundle "$name" "$filter | .process.args = [\"/world/tools/worlds\", \"run\", \"$name\"]")
    runc run --bundle "$at" "worlds-$name"
}

# as in a pod: Docker's capabilities, read-only control groups, another program is process 1, and there
# is no terminal
pod() {
    local name=$1 at
    at=$(bundle "$name" '
        ["CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
            "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"] as $names | [$names[] | "CAP_" + .] as $capabilities
        | .process.capabilities = {bounding: $capabilities, effective: $capabilities, permitted: $capabilities}
        | .process.noNewPrivileges = false | .root.readonly = false
        | .linux.namespaces |= (map(select(.type != "cgroup")) + [{type: "cgroup"}]) | .process.args = ["sleep", "infinity"]')
    runc run --detach --bundle "$at" "worlds-$name" >"$state/$name.pause" 2>&1
    runc exec "worlds-$name" /world/tools/worlds run "$name"
    runc delete --force "worlds-$name"
}

# podman_run PODMAN [OPTION]... NAME: PODMAN is the words of the command
podman_run() {
    local podman name=${*: -1}
    read -ra podman <<<"$1"
    set -- "${@:2:$#-2}"
    "${podman[@]}" run --rm --network none -v "$world:/world:ro" -e CHAIN_TOOLS="/world/tools" "$@" /world/tools/worlds run "$name"
}

# start_docker [OPTION]...: an engine with all its state in one directory, and an empty image: all files are mounted
start_docker() {
    local at=$state/docker
    mkdir -p "$at"
    mount -t tmpfs tmpfs "$at"
    echo '{}' >"$at/settings.json"
    # containerd(8) writes its stacks to TMPDIR if it answers late
    TMPDIR=$at dockerd --config-file "$at/settings.json" --data-root "$at/data" --exec-root "$at/exec" \
        --pidfile "$at/pid" --host "unix://$at/socket" --bridge=none --iptables=false --ip6tables=false \
        --ip-forward=false --ip-masq=false "$@" >"$at/log" 2>&1 &
    engine=$!
    export DOCKER_HOST=unix://$at/socket
    for _ in $(seq 120); do
        ! docker version >/dev/null 2>&1 || break
        sleep 1
    done
    docker version >/dev/null || tail -n 20 "$at/log"
    # links as in Debian's root; /etc is writable
    mkdir -p "$at/small/usr" "$at/small/var" "$at/small/tmp"
    chmod 1777 "$at/small/tmp"
    cp -a "$root/etc" "$root"/{bin,sbin,lib,lib64} "$at/small/"
    tar -C "$at/small" -c . | docker import - worlds:1
}

# docker_run [OPTION]... NAME
docker_run() {
    local name=${*: -1}
    set -- "${@:1:$#-1}"
    docker run --rm --network none -v "$world:/world:ro" -v "$root/usr:/usr:ro" \
        -v "$root/var:/var:ro" --tmpfs /tmp:exec,mode=1777 -e CHAIN_TOOLS=/world/tools "$@" worlds:1 \
        /world/tools/worlds run "$name"
}

# chain NEWROOT NAME: in a container of our own chain
chain() {
    local at=$1 name=$2
    PATH=$world/tools:$PATH:/usr/sbin:/sbin unshare-rs -- cgexec-rs -- chroot-rs --ephemeral --bind "$world:/world:ro" \
        --tmpfs /tmp "$at" /bin/sh -c "CHAIN_TOOLS=$inside exec $inside/worlds run $name"
}

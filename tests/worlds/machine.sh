#!/bin/bash
# Runs the worlds of this machine, which systemd has started as it starts any: tests/run worlds.
# chain.worlds=WORLD,WORLD... on the kernel's command line are those that run.
. /world/containers.sh

# login USER COMMAND...: as who logs in by ssh(1), on a terminal
login() {
    local user=$1
    shift
    ssh -tt -q -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i /root/key "$user@localhost" \
        "CHAIN_TOOLS=$CHAIN_TOOLS $*"
}

# as a desktop starts a shell in a terminal: a scope of the user's systemd, with its default limit of tasks
in_terminal() {
    login alice systemd-run --user --scope -q --unit=vte-spawn-12345678 "$run" run "$1"
}

# the server is not a child of who asks
in_tmux() {
    local out=/home/alice/out
    login alice "tmux new-session -d '$run run $1 >$out 2>&1; tmux wait-for -S over' \\; wait-for over"
    cat "$out"
}

# logged_out USER: waits until nothing is left of a login before. A user's systemd ends some seconds after the last
# login, logind.conf(5), and until then a job of cron would find it, or not, as the machine goes.
logged_out() {
    local runtime
    runtime=/run/user/$(id -u "$1")
    for _ in $(seq 120); do
        [ -e "$runtime" ] || return 0
        sleep 1
    done
    echo "$runtime is still there after 120 s"
    loginctl list-sessions
}

# without a terminal, a session bus or most variables
in_cron() {
    local user=$1 name=$2 out=/home/$1/cron
    logged_out "$user"
    install -o "$user" /dev/null "$out"
    # each minute, until it has begun
    echo "* * * * * $user flock -n $out env CHAIN_TOOLS=$CHAIN_TOOLS $run run $name >>$out 2>&1" >/etc/cron.d/worlds
    for _ in $(seq 180); do
        [ ! -s "$out" ] || break
        sleep 1
    done
    rm /etc/cron.d/worlds
    flock "$out" cat "$out"
}

# A user whose programs have the rights of root in a user namespace only if their AppArmor profile has the rule
# `userns,`, as on Ubuntu since 23.10, where the kernel's own switch says so; the tools' profiles are loaded.
in_apparmor() {
    local name=$1 at=/opt/apparmor
    local lib=$at/usr/lib/x86_64-linux-gnu tools=/usr/local/bin
    cp "$CHAIN_TOOLS"/* "$tools/"
    {
        printf 'abi <abi/4.0>,\nprofile restricted {\n'
        printf '  %s,\n' capability network mount remount umount pivot_root ptrace signal dbus unix mqueue \
            '/{,**} rwlkmpix'
        echo '}'
    } >/run/restricted
    "$lib/ld-linux-x86-64.so.2" --library-path "$lib" $at/usr/sbin/apparmor_parser --config-file /dev/null \
        --base $at/etc/apparmor.d --skip-cache --replace /run/restricted /world/unshare-rs.apparmor /world/chroot-rs.apparmor
    login alice sh -c "'echo exec restricted >/proc/self/attr/apparmor/exec; CHAIN_TOOLS=$tools exec $run run $name'"
}

wanted=$(sed -n 's/.*chain\.worlds=\([^ ]*\).*/\1/p' /proc/cmdline)
uname -r
systemctl --failed --no-legend


for kernel in debian testing; do
    world $kernel-root login root "$run" run
    world $kernel-user login alice "$run" run
done
world debian-bob login bob "$run" run
world terminal in_terminal
world tmux in_tmux
world cron in_cron alice
[ ! -d /opt/apparmor ] || world apparmor in_apparmor
world sudo login alice sudo CHAIN_TOOLS=$CHAIN_TOOLS "$run" run

if [[ ,$wanted, == *,cluster-* ]]; then
    . /world/cluster.sh
    start_network
    start_slurm
    # where packages put them: pasta(1) of Debian starts nothing from elsewhere
    cp "$CHAIN_TOOLS"/*-rs "$CHAIN_TOOLS"/rootfs-fetch /usr/bin/
    CHAIN_TOOLS=/usr/bin world cluster-user login alice "$run" run
    CHAIN_TOOLS=/usr/bin world cluster-root login root "$run" run
fi

# the images of tests/images.rs in a user's podman
if [[ ,$wanted, == *,images,* ]]; then
    echo "[vm] begins: user /tests/images-0000000000000000 ($(date +%T))"
    login alice "$CHAIN_TOOLS/images" --ignored with_podman:: || broken=1
    echo "[vm] ended: images ($(date +%T))"
fi

root=/srv/root
[ ! -e /world/look.sh ] || . /world/look.sh
world runc-root runc_spec '.'
world runc-user runc_spec '.process.user = {uid: 1000, gid: 1000}'
world pod pod
world podman-root podman_run podman --rootfs "$(overlay podman)"
world podman-user podman_run podman --user alice --rootfs "$(overlay podman)"
world rootless login alice podman run --rm --network none -v /world:/world:ro -e CHAIN_TOOLS=$CHAIN_TOOLS --rootfs /srv/rootless:O "$run" run
if [ -x /opt/docker/dockerd ] && [[ $wanted == *docker-* ]]; then
    PATH=/opt/docker:$PATH start_docker
    PATH=/opt/docker:$PATH world docker-root docker_run
    PATH=/opt/docker:$PATH world docker-user docker_run --user 1000:1000
fi
world chain-root chain "$(overlay chain)"
world chain-user login alice ". /world/containers.sh; chain /srv/rootless"
[ -n "${broken:-}" ] || echo "[vm] over"

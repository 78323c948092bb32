#!/bin/bash
# Runs the worlds of this machine, in which systemd has booted as usual: tests/run worlds.
# chain.worlds=WORLD,WORLD... on the kernel's command line selects them.
. /world/containers.sh

# login USER COMMAND...: as from a login by ssh(1), on a terminal
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

# the server is not a child of the caller
in_tmux() {
    local out=/home/alice/out
    login alice "tmux new-session -d '$run run $1 >$out 2>&1; tmux wait-for -S over' \\; wait-for over"
    cat "$out"
}

# logged_out USER: waits until nothing is left of an earlier login. A user's systemd ends some seconds after the last
# logout, logind.conf(5). Until then it is a matter of chance whether a cron job finds it.
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
    # every minute, until it has started
    echo "* * * * * $user flock -n $out env CHAIN_TOOLS=$CHAIN_TOOLS $run run $name >>$out 2>&1" >/etc/cron.d/worlds
    for _ in $(seq 180); do
        [ ! -s "$out" ] || break
        sleep 1
    done
    rm /etc/cron.d/worlds
    flock "$out" cat "$out"
}

# A user whose programs have capabilities in a user namespace only if their AppArmor profile has the rule
# `userns,`, as on Ubuntu since 23.10, which turns this on with a sysctl; the tools' profiles are loaded.
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

# the path of a root directory with systemd on pages for users
ln -s rootless /srv/debian-fs

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
    start_nfs
    start_slurm
    # where packages install them: Debian's pasta(1) starts nothing from other directories
    cp "$CHAIN_TOOLS"/*-rs "$CHAIN_TOOLS"/rootfs-fetch /usr/bin/
    CHAIN_TOOLS=/usr/bin world cluster-user login alice "$run" run
    CHAIN_TOOLS=/usr/bin world cluster-root login root "$run" run
fi

# test_program PROGRAM NAME USER OPTION...: runs tests of the file NAME, whose program is PROGRAM among the tools
test_program() {
    local program=$1 name=$2 user=$3
    shift 3
    echo "[vm] begins: $user /tests/$name-0000000000000000 ($(date +%T))"
    login "$user" /world/again "$CHAIN_TOOLS/$program" "$@" || broken=1
    echo "[vm] ended: $name ($(date +%T))"
}
[[ ,$wanted, != *,ways-out,* ]] || test_program ways_out_test ways_out root --ignored as_root:: --skip on_host::
if [[ ,$wanted, == *,systemd-inside,* ]]; then
    # the test compares the state of the machine before and after; the systemd of an earlier login would end meanwhile
    logged_out alice
    test_program systemd_inside systemd_inside root --ignored under_systemd::
    logged_out root
    test_program systemd_inside systemd_inside alice --ignored under_login::
fi
# the images of tests/images.rs in a user's podman
[[ ,$wanted, != *,images,* ]] || test_program images images alice --ignored with_podman::

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

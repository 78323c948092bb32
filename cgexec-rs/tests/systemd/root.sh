# As root, in a session like that of a login.
. /check.sh

# $alice COMMAND runs as a user without a session; $of_alice also finds the user's systemd
alice='setpriv --reuid 1000 --regid 1000 --init-groups env -i PATH='$PATH
of_alice="$alice XDG_RUNTIME_DIR=/run/user/1000"
bob='setpriv --reuid 1001 --regid 1001 --init-groups env -i PATH='$PATH

limits() { echo 'g=$(cut -d: -f3 /proc/self/cgroup); cd "/sys/fs/cgroup${g%/cmd}"; cat '"$*"; }
scope='^0::/user\.slice/user-0\.slice/cgexec-[0-9a-f]{16}\.scope/cgexec-[0-9a-f]{16}'
check 'root gets a scope beside the session' 0 "$scope" cgexec-rs --no-cgroupns $own
check 'and sees its group as the root of all groups' 0 '^0::/cmd.$' cgexec-rs -m 50M $own
check 'its limits are those that were asked for' 0 '^52428800' cgexec-rs --no-cgroupns -m 50M -- sh -c "$(limits memory.max)"
check 'the controllers of a disk and of processors too' 0 '^0' cgexec-rs --no-cgroupns --cpuset-cpus 0 --io-weight 50 -- \
    sh -c "$(limits cpuset.cpus.effective)"
check 'what systemd does not delegate is refused' 125 'hugetlb is not available in .*\.scope \(available: cpuset cpu io memory pids\)' \
    cgexec-rs --hugetlb 2M=4M true
check 'the process id stays with --exec' 0 '^same' bash -c 'exec cgexec-rs --exec -m 20M -- sh -c "test \$\$ = $$ && echo same"'
check 'a supervisor stays by default, and prints which limit was hit' 137 'the memory limit of 20 MiB was hit: 1 process killed' \
    cgexec-rs -m 20M --memory-swap-max 0 -- tail /dev/zero
check 'a report names the manager of the group' 137 'the memory limit of 20 MiB was hit: 1 process killed.*"manager":"systemd".*"reason":"oom-own-limit"' \
    cgexec-rs --report=json -m 20M -- tail /dev/zero
check 'a dry run asks for nothing' 0 'StartTransientUnit' cgexec-rs --dry-run -m 20M -- touch /was-run
check 'and runs nothing' 2 'No such file' ls /was-run
check 'files alone are refused there' 125 'systemd manages .* and has not delegated it' cgexec-rs --manager cgroupfs -m 5M true
check 'a limit without a controller is left out, and the others get a scope' 0 'did not limit x\.y to 1: no mounted hierarchy has the controller x.*
0::/cmd' cgexec-rs --try --set x.y=1 -m 5M $own
check 'a kept group is not for a scope, and the hint leads to one that is kept' 125 "hint: '--parent /' creates it at the top" \
    cgexec-rs --keep --name kept -m 5M true
check 'that one' 0 '^5242880' sh -c 'cgexec-rs --keep --parent / --name kept -m 5M true && cat /sys/fs/cgroup/kept/memory.max &&
    rmdir /sys/fs/cgroup/kept/cmd /sys/fs/cgroup/kept'
. /units.sh
. /hints.sh
. /worlds.sh
check 'a service with Delegate=yes needs no scope' 0 '^0::/system\.slice/run-.*\.service/cgexec-[0-9a-f]{16}' \
    systemd-run -q --wait --pipe -p Delegate=yes /tools/cgexec-rs --no-cgroupns -m 20M $own
. /twins.sh

mkdir /sys/fs/cgroup/box
check 'a group that is not there has another status there' 82 '' cgexec -g memory:none true
check 'than with cgexec-rs, which names it' 125 'no such group: /sys/fs/cgroup/none' cgexec-rs -g memory:none true
rmdir /sys/fs/cgroup/box

systemd-run -q --wait --pipe -p User=alice -p PAMName=login bash /user.sh

check 'a user without a systemd of their own runs without a group' 0 'created no group: user 1001 has no systemd.*
ran' $bob cgexec-rs echo ran
check 'and a hint names the way to one where a limit is set' 125 'hint: loginctl enable-linger 1001' $bob cgexec-rs -m 5M true
loginctl enable-linger alice
# the session above ended, so this systemd may be about to stop, and its sockets are still there
systemctl start user@1000
await test -S /run/user/1000/bus
check 'sudo and cron, without any variable' 0 'user@1000\.service/app\.slice/cgexec-.*\.scope/' \
    $alice cgexec-rs --no-cgroupns -m 5M $own

# a controller that is not delegated to users
of_a_disk='cgexec-rs --cpuset-cpus 0 --io-weight 50 --'
advice=$($alice $of_a_disk true 2>&1 | sed -n 's/^cgexec-rs: hint: as root: //p')
sh -c "${advice%, which ends*}"
await test -S /run/user/1000/bus
check "what root gives to a user: $advice" 0 '^ran' $alice $of_a_disk echo ran
rm /etc/systemd/system/user@.service.d/delegate.conf
systemctl daemon-reload
systemctl restart user@1000
await test -S /run/user/1000/bus

# a service of a lingering user's systemd
check "a user's service gets a scope in its slice" 0 'app\.slice/cgexec-[0-9a-f]{16}\.scope/' \
    $of_alice systemd-run --user -q --wait --pipe -E PATH="$PATH" cgexec-rs --no-cgroupns -m 50M $own
check 'unless it has a limit' 125 'its memory.max of 31457280 would not hold' \
    $of_alice systemd-run --user -q --wait --pipe -p MemoryMax=30M -E PATH="$PATH" cgexec-rs -m 50M true
$of_alice systemd-run --user -q --unit=stopped -E PATH="$PATH" sh -c "cgexec-rs -m 50M -- sh -c '$run'; true"
stops "a user's service" "$of_alice systemctl --user" stopped.service

run_tests under_systemd

left() { find /sys/fs/cgroup -name '*cgexec-*'; systemctl list-units --all --no-legend 'cgexec*'; }
await is_empty left
check 'nothing is left' 0 '^.?$' left
echo 'all of it ran'

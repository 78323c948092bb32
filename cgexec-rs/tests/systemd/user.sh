# As a user after a login.
. /check.sh

scope='^0::/user\.slice/user-1000\.slice/user@1000\.service/app\.slice/cgexec-[0-9a-f]{16}\.scope/'
check 'a user gets a scope of their own systemd' 0 "$scope" cgexec-rs --no-cgroupns $own
check 'with limits' 0 '^52428800
7
50000 100000' cgexec-rs --no-cgroupns -m 50M --pids-limit 7 --cpus 0.5 -- \
    sh -c 'g=$(cut -d: -f3 /proc/self/cgroup); cd "/sys/fs/cgroup${g%/cmd}"; cat memory.max pids.max cpu.max'
check 'a controller that users are not given comes with what to write where' 125 \
    'cpuset is not available in .* \(available: cpu memory pids\).*user@\.service\.d/delegate\.conf' cgexec-rs --cpuset-cpus 0 true
check 'or is left out' 0 'did not limit the processors to 0: ' cgexec-rs --try --cpuset-cpus 0 -m 5M true
check 'a group to keep, and the hint for it' 125 'hint: .*: cgexec-rs -m max -- sh' \
    cgexec-rs --keep -m 20M true
check 'that hint' 0 '^20971520' cgexec-rs -m max -- sh -c 'cgexec-rs --keep --name kept -m 20M true &&
    g=$(cut -d: -f3 /proc/self/cgroup) && cat "/sys/fs/cgroup${g%/cmd}/kept/memory.max"'
check 'a parent that is not the own one' 125 'hint: without --parent, systemd delegates a scope' cgexec-rs --parent / -m 20M true
check 'a daemon that left its session ends with the command' 3 '^.?$' \
    cgexec-rs -m 20M -- sh -c 'setsid sleep 1000 >/dev/null 2>&1 & exit 3'
check 'inside of new user and PID namespaces' 137 '^1
.*the memory limit of 30 MiB was hit: 1 process killed' \
    unshare-rs -- sh -c 'echo $$; cgexec-rs --report -m 30M -- tail /dev/zero'
check 'and in those of another container' 137 'the memory limit of 30 MiB was hit: 1 process killed' \
    unshare-rs -- unshare-rs -- cgexec-rs -m 30M -- tail /dev/zero
# without newuidmap the tool prints a line first
check 'and around them' 0 "${scope#^}" cgexec-rs -m 50M -- unshare-rs -- $own
check 'a command that is not there has its own status' 127 'command not found: "nonesuch"' cgexec-rs -m 20M nonesuch
# a user's systemd does not mark scopes as delegated, and cgexec-rs does not use its slices
check 'a scope that systemd-run asked for is left for one of our own' 0 "$scope" \
    systemd-run --user --scope -q -p Delegate=yes cgexec-rs --no-cgroupns -m 7M $own
check 'unless that is what was asked for' 0 '/run-[^/]*\.scope/cgexec-[0-9a-f]{16}/cmd.$' \
    systemd-run --user --scope -q -p Delegate=yes cgexec-rs --parent . --no-cgroupns -m 7M $own
run_tests under_login

systemd-run --user -q --unit=box -p Delegate=yes sleep 1000
join='cgexec-rs -g :user.slice/user-1000.slice/user@1000.service/app.slice/box.service'
advice=$($join true 2>&1 | sed -n 's/^cgexec-rs: hint: join it from .* systemd: //p')
check "a group of their own systemd's is joined from there: $advice" 0 'box\.service' \
    sh -c "${advice/cgexec-rs -g CONTROLLERS:PATH COMMAND/$join -- $own}"
systemctl --user stop box

# A unit's limits apply to what cgexec-rs starts in it, and stopping the unit stops it; root.sh reads this file.

# in_service PROPERTY... -- COMMAND...: the output in a system service
in_service() {
    local properties=()
    while [ "$1" != -- ]; do properties+=(-p "$1"); shift; done
    shift
    systemd-run -q --wait --pipe -E PATH="$PATH" "${properties[@]}" "$@"
}
in_scope() {
    local properties=()
    while [ "$1" != -- ]; do properties+=(-p "$1"); shift; done
    shift
    systemd-run -q --scope "${properties[@]}" "$@"
}

refused='is a service, and systemd has not delegated its group.*hint: '
check 'a service is never left' 125 "cannot limit: run-.*\.service $refused.*Delegate=yes" in_service -- cgexec-rs -m 50M -- echo ran
check 'nor by default, with a line' 0 'created no group: run-.*\.service is a service.*
ran' in_service -- cgexec-rs -- echo ran
check 'nor with a shell between' 125 'is a service, and systemd has not delegated' in_service -- sh -c 'cgexec-rs --wait -m 50M -- echo ran; exit $?'
check 'a service with Delegate=yes whose shell stays has no room' 125 'holds other processes, so' \
    in_service Delegate=yes -- sh -c 'cgexec-rs -m 50M -- echo ran; exit $?'
# which systemd-run(1) reports for any signal
check 'the limits of a service with Delegate=yes go on to hold' 255 'memory ran out above this group, at the limit of .*\.service: 1' \
    in_service Delegate=yes MemoryMax=20M MemorySwapMax=0 -- cgexec-rs -m 200M -- tail /dev/zero
check 'a scope with a limit is not left' 125 'elsewhere its memory.max of 31457280 would not hold' in_scope MemoryMax=30M -- cgexec-rs -m 50M -- echo ran
check 'nor by default' 0 'created no group: .* its cpuset.cpus of 0 would not hold.*
ran' in_scope AllowedCPUs=0 -- cgexec-rs -- echo ran
check 'a scope without a limit is' 0 '^ran' in_scope -- cgexec-rs -m 50M -- echo ran
check 'with --exec too' 0 '^ran' in_scope -- cgexec-rs --exec -m 50M -- echo ran
check 'for one in the same slice' 0 '^0::/mine\.slice/cgexec-[0-9a-f]{16}\.scope/' \
    systemd-run -q --scope --slice=mine cgexec-rs --no-cgroupns -m 50M $own

# minbase has no pgrep(1); grep does not find itself
sleeping() { grep -lsaz -x '9876[5]' /proc/[0-9]*/cmdline; }
# the shell's own kill: minbase has no kill(1) either
end_sleeping() {
    local pid
    for pid in $(sleeping | tr -dc '0-9\n'); do kill -9 "$pid" 2>/dev/null; done
}
# stops WHO SYSTEMCTL UNIT: `systemctl stop` must end what cgexec-rs started in it
stops() {
    local name="$1 stops with it" systemctl=$2 unit=$3
    if await is_not_empty sleeping && $systemctl stop "$unit"; then
        if await is_empty sleeping; then echo "ok $name"; else echo "FAILED $name: $(sleeping)"; fi
    else
        echo "FAILED $name: it never slept, or the unit does not exist"
    fi
    end_sleeping
}
run='setsid sleep 98765 >/dev/null 2>&1 & sleep 98765'
systemd-run -q --scope --unit=stopped sh -c "cgexec-rs -m 50M -- sh -c '$run'; true" &
stops "a scope's command" systemctl stopped.scope
systemd-run -q --unit=stopped -p Delegate=yes -E PATH="$PATH" cgexec-rs -m 50M -- sh -c "$run"
stops "a service's command" systemctl stopped.service

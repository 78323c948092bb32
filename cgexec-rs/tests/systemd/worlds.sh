# In each place of worlds.tab the surrounding limits hold, or nothing runs; root.sh reads this file.

# login USER: a session that stays open; its group is in logins
declare -A logins
login() {
    systemctl stop "login-$1" 2>/dev/null
    systemd-run -q --unit="login-$1" -p User="$1" -p PAMName=login sleep 10000
    await logged_in "$1"
}
logged_in() {
    logins[$1]=$(cut -d: -f3 "/proc/$(systemctl show -P MainPID "login-$1")/cgroup" 2>/dev/null)
    [[ ${logins[$1]} == */session-*.scope ]]
}
# no_limits UNIT: resets each property that a cell sets
no_limits() { systemctl -q set-property --runtime "$1" MemoryMax=infinity MemorySwapMax=infinity TasksMax=infinity AllowedCPUs=; }
# inside UNIT-PATH WORDS -- COMMAND...: in a running unit, with the properties; WORDS change the user
inside() {
    local path=$1 words=$2 status=0
    shift 3
    [ ${#properties[@]} = 0 ] || systemctl -q set-property --runtime "${path##*/}" "${properties[@]}"
    sh -c 'echo $$ >"/sys/fs/cgroup$0/cgroup.procs"; exec "$@"' "$path" $words "$@" || status=$?
    [ ${#properties[@]} = 0 ] || no_limits "${path##*/}"
    return $status
}
# a unit of systemd-run(1): OPTIONS... -- COMMAND...
unit() {
    local options=()
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    systemd-run -q --unit="$unit" -E PATH="$PATH" "${options[@]}" ${properties[@]/#/-p } "$@"
}
shell=(sh -c '"$@"; exit $?' sh)
# the control groups of a container, as an engine sets them up
container=(unshare-rs --mount --cgroup -- sh -c
    'umount /sys/fs/cgroup && mount -t cgroup2 -o $0 none /sys/fs/cgroup && mount -t tmpfs none /run && exec "$@"')

# in_place PLACE COMMAND...: with $properties, in the unit $unit
in_place() {
    local place=$1
    shift
    case $place in
        "root's login") inside "${logins[root]}" '' -- "$@" ;;
        "a user's login" | "the same, the user lingers") inside "${logins[alice]}" "$alice" -- "$@" ;;
        "a login without a user's systemd") inside "${logins[bob]}" "$bob" -- "$@" ;;
        "sudo from a user's login") inside "${logins[alice]}" '' -- "$@" ;;
        "a service") unit --wait --pipe -- "$@" ;;
        "a service with a shell, as cron's") unit --wait --pipe -- "${shell[@]}" "$@" ;;
        "a user's job in a service, as cron's") unit --wait --pipe -p User=bob -- "${shell[@]}" "$@" ;;
        "a service with Delegate=yes") unit --wait --pipe -p Delegate=yes -- "$@" ;;
        "the same with a shell") unit --wait --pipe -p Delegate=yes -- "${shell[@]}" "$@" ;;
        "a user's service") $of_alice systemd-run --user -q --unit="$unit" -E PATH="$PATH" --wait --pipe ${properties[@]/#/-p } "$@" ;;
        "a user's service with Delegate=yes")
            $of_alice systemd-run --user -q --unit="$unit" -E PATH="$PATH" --wait --pipe -p Delegate=yes ${properties[@]/#/-p } "$@" ;;
        "a container as docker's, read-only") unit --scope -p Delegate=yes -- "${container[@]}" ro "$@" ;;
        "a container as docker's, writable") unit --scope -p Delegate=yes -- "${container[@]}" rw "$@" ;;
        "a container in a pod, writable")
            [ ${#properties[@]} = 0 ] || systemctl -q set-property --runtime kubepods-one.slice "${properties[@]}"
            local properties=() status=0
            unit --scope --slice=kubepods-one.slice -p Delegate=yes -- "${container[@]}" rw "$@" || status=$?
            no_limits kubepods-one.slice
            return $status ;;
    esac
}
# stopped PLACE: stops its unit
stopped() {
    case $1 in
        *"user's login" | "the same, the user lingers") systemctl stop "${logins[alice]##*/}" ;;
        "root's login") systemctl stop "${logins[root]##*/}" ;;
        *"without a user's systemd") systemctl stop "${logins[bob]##*/}" ;;
        "a user's service"*) $of_alice systemctl --user stop "$unit" ;;
        *) systemctl stop "$unit.service" 2>/dev/null || systemctl stop "$unit.scope" ;;
    esac
}

both_sleep() { [ "$(sleeping | wc -l)" = 2 ]; }

units=0

# cell PLACE COLUMN EXPECTED LINE
cell() {
    local place=$1 column=$2 expected=$3 line=$4 held=. command properties=() unit=world-$((++units)) out got=0 user
    for user in root alice bob; do
        # a cell may have stopped it
        [ -n "${logins[$user]}" ] && [ -d "/sys/fs/cgroup${logins[$user]}" ] || login "$user"
    done
    local nested='cgexec-rs -m 80M -- tail /dev/zero; exit $?' above='memory ran out above this group'
    case $column in
        once) held=$above command=(cgexec-rs -m 20M --memory-swap-max 0 -- sh -c "$nested") ;;
        twice) held=$above command=(cgexec-rs -m 20M --memory-swap-max 0 -- sh -c "cgexec-rs -m 70M -- sh -c '$nested'; exit \$?") ;;
        memory)
            held=$above properties=(MemoryMax=20M MemorySwapMax=0)
            command=(cgexec-rs -m 80M -- tail /dev/zero) ;;
        processes)
            held='limit of processes (of .* )?above' properties=(TasksMax=12)
            command=(cgexec-rs --pids-limit 50 -- sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1000 & done; exit 4') ;;
        processors) held='Cpus_allowed_list:.0.?$' properties=(AllowedCPUs=0) command=(cgexec-rs --pids-limit 20 -- grep -w Cpus_allowed_list /proc/self/status) ;;
        stop) command=(cgexec-rs -- sh -c 'setsid sleep 98765 >/dev/null 2>&1 </dev/null & sleep 98765') ;;
    esac
    # after the last logout, systemd kills the processes of a user who does not linger
    case $place in "a user's login") loginctl disable-linger alice ;; esac
    if [ "$column" = stop ]; then
        in_place "$place" "${command[@]}" >/dev/null 2>&1 </dev/null &
        await both_sleep || got=never
        stopped "$place"
        [ "$expected" = stays ] || await is_empty sleeping
        [ -z "$(sleeping)" ] && out=ended || out=stays
        end_sleeping
        wait
        [ "$got $out" = "0 $expected" ]
    else
        out=$(in_place "$place" "${command[@]}" 2>&1 </dev/null) || got=$?
        case $expected in
            held) grep -qE -- "$held" <<<"$out" ;;
            refused) [ "$got" = 125 ] && grep -qE -- "$line" <<<"$out" ;;
        esac
    fi && echo "ok $place, $column: $expected" || printf 'FAILED %s, %s: %s, %s\n%s\n' "$place" "$column" "$expected" "$got" "$out"
    loginctl enable-linger alice
}

ln -s /dev/null /run/systemd/system/user@1001.service
systemctl daemon-reload
loginctl enable-linger alice
while IFS='|' read -r place once twice memory processes processors stop line; do
    [[ $place != \#* ]] || continue
    place=$(echo $place) line=$(echo $line)
    for column in once twice memory processes processors stop; do
        expected=$(echo ${!column})
        [ "$expected" = - ] || cell "$place" "$column" "$expected" "$line"
    done
done </worlds.tab
for user in root alice bob; do systemctl stop login-$user; done
loginctl disable-linger alice
rm /run/systemd/system/user@1001.service
systemctl daemon-reload

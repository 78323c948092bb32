# The same command lines for libcgroup's cgexec(1), systemd-run(1) and our tool; root.sh reads this file.

# joins OPTIONS COMMAND...: both must have the same output and status
joins() {
    local options=$1 theirs ours
    shift
    theirs=$(cgexec $options "$@" 2>&1; echo "status $?")
    ours=$(cgexec-rs $options "$@" 2>&1; echo "status $?")
    if [ "$ours" = "$theirs" ]; then
        echo "ok cgexec $options $1 is the same with ours"
    else
        printf 'FAILED cgexec %s %s: theirs and ours\n%s\n%s\n' "$options" "$*" "$theirs" "$ours"
    fi
}

# writes FILE PROPERTY OPTION...: both must leave the same text in a file of the group
writes() {
    local file=$1 property=$2 theirs show
    shift 2
    # ours runs in a leaf below its limits
    show='g=$(cut -d: -f3 /proc/self/cgroup); cat "/sys/fs/cgroup${g%/cmd}/'$file'"'
    theirs=$(systemd-run -q --scope -p "$property" sh -c "$show")
    # without the lines about the limit
    check "systemd-run -p $property writes as $* does" 0 "^${theirs:-nothing}.?$" \
        sh -c 'exec "$@" 2>/dev/null' sh cgexec-rs --no-cgroupns "$@" -- sh -c "$show"
}

mkdir /sys/fs/cgroup/box
for options in '-g memory:box' '-g memory:/box' '-g memory,pids:box' '-g memory:box -g pids:box' \
    '--sticky -g memory:box'; do
    joins "$options" $own
    joins "$options" sh -c 'exit 7'
    joins "$options" sh -c 'kill -TERM $$'
done
joins '-g memory:box' printenv PATH
joins '-g memory:box' ls -l /proc/self/fd/0
# process group and session: proc_pid_stat(5)
joins '-g memory:box' cut -d ' ' -f 5,6 /proc/self/stat
# there '*' means every controller of the machine, and all of them must exist
check 'cgexec joins no group with * where a controller is not enabled' 81 '' cgexec -g '*:box' true
check 'and ours does' 0 '^0::/box' cgexec-rs -g '*:box' $own
rmdir /sys/fs/cgroup/box

writes memory.max MemoryMax=50M -m 50M
writes memory.max MemoryMax=infinity -m max
writes memory.high MemoryHigh=40M --memory-high 40M
writes memory.low MemoryLow=10M --memory-low 10M
writes memory.min MemoryMin=10M --memory-min 10M
writes memory.swap.max MemorySwapMax=0 --memory-swap-max 0
writes pids.max TasksMax=20 --pids-limit 20
writes cpu.max CPUQuota=50% --cpus 0.5
writes cpu.weight CPUWeight=50 --cpu-weight 50
writes cpuset.cpus AllowedCPUs=0 --cpuset-cpus 0
writes io.weight IOWeight=200 --io-weight 200

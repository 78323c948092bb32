# check NAME STATUS PATTERN COMMAND...: both output streams of the command must match an extended
# regular expression, and its status must be STATUS.
export PATH=/tools:$PATH SYSTEMD_PAGER=cat CHAIN_TOOLS=/tools

# run_tests MODULE: the module's tests in every test program; tests/run reads the output
run_tests() {
    local program
    for program in /tests/*; do
        echo "[vm] begins: $1 $program --ignored $1::"
        /again "$program" --ignored --test-threads=1 "$1::" 2>&1
        echo "[vm] ended: $?"
    done
}

check() {
    local name=$1 status=$2 pattern=$3 said got=0
    shift 3
    said=$("$@" 2>&1) || got=$?
    if [ "$got" = "$status" ] && grep -qzE -- "$pattern" <<<"$said"; then
        echo "ok $name"
    else
        printf 'FAILED %s: %s instead of %s\n%s\n' "$name" "$got" "$status" "$said"
    fi
}

# await COMMAND...: until it succeeds, for at most a minute
await() {
    local _
    for _ in $(seq 600); do ! "$@" || return 0; sleep 0.1; done
    return 1
}

is_empty() { [ -z "$("$@")" ]; }
is_not_empty() { [ -n "$("$@")" ]; }

# own: prints the group that a command sees itself in
own='grep ^0:: /proc/self/cgroup'

# SPDX-License-Identifier: MIT OR Apache-2.0
# check NAME STATUS PATTERN COMMAND...: what a command says, both streams, is a match of an
# extended regular expression, and its status is STATUS.
export PATH=/tools:$PATH SYSTEMD_PAGER=cat

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

# own: the group that a command sees itself in
own='grep ^0:: /proc/self/cgroup'

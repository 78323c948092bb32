# Each hint in a systemd unit, followed literally, makes the command run; root.sh reads this file.

ran='cgexec-rs -m 50M -- echo ran'
# hint PLACE...: the hint of cgexec-rs in a shell there
hint() { "$@" sh -c "$ran; :" 2>&1 | sed -n 's/^cgexec-rs: hint: //p'; }
# typed HINT: the hint with the command in place of its dots
typed() { echo "${1/cgexec-rs .../$ran}"; }

advice=$(hint in_service --)
check "root's job in a service with other processes: $advice" 0 '^ran' in_service -- sh -c "$(typed "$advice"); exit \$?"
advice=$(hint in_service Delegate=yes --)
check "and where that is delegated: $advice" 0 '^ran' in_service Delegate=yes -- sh -c "$(typed "$advice"); exit \$?"

advice=$(in_service -- $ran 2>&1 | sed -n 's/^cgexec-rs: hint: //p')
check "a service of systemd-run's: $advice" 0 '^ran' in_service -- $(typed "$advice")

printf '%s\n' '[Service]' Type=oneshot "ExecStart=/tools/$ran" StandardError=file:/run/said StandardOutput=file:/run/out \
    >/run/systemd/system/named.service
systemctl daemon-reload
systemctl start named.service 2>/dev/null
advice=$(sed -n 's/^cgexec-rs: hint: //p' /run/said)
lines=$(sed -n 's/.*, with the lines \(.*\) and \(.*\), then .*/\1\\n\2\\n/p' <<<"$advice")
edit=${advice%%,*} restart=${advice##*then }
printf '#!/bin/sh\nprintf "%s" >"$1"\n' "$lines" >/run/editor
chmod +x /run/editor
check "a service with a name: $advice" 0 '^ran' \
    sh -c "script -qec 'SYSTEMD_EDITOR=/run/editor $edit' /dev/null >/run/edited 2>&1 </dev/null && $restart && cat /run/out; cat /run/edited"

of_bob() { in_service User=bob -- "$@"; }
advice=$(hint of_bob)
# same NAME HINT HINT: two places must have the same hint
same() { check "$1: $3" 0 '^same' sh -c '[ -n "$0" ] && [ "$0" = "$1" ] && echo same || printf "%s\n" "$0" "$1"' "$2" "$3"; }
same "the user's job in namespaces" "$advice" "$(hint of_bob unshare-rs --)"
for option in '--keep' '--parent /' '--manager cgroupfs'; do
    same "the user's job with $option" "$advice" \
        "$(of_bob sh -c "cgexec-rs $option -m 50M true; :" 2>&1 | sed -n 's/^cgexec-rs: hint: //p')"
done
as_root=${advice#as root: } as_root=${as_root%%; then *} as_bob=${advice##*as user 1001: }
sh -c "$as_root"
await test -S /run/user/1001/systemd/private
check "a user's job in a service: $advice" 0 'ran' of_bob sh -c "$(typed "$as_bob"); exit \$?"
advice=$(hint of_bob)
check "and the next time: $advice" 0 'ran' of_bob sh -c "$(typed "$advice"); exit \$?"
same "and then in namespaces" "$advice" "$(hint of_bob unshare-rs --)"
same "and in namespaces of namespaces" "$advice" "$(hint of_bob unshare-rs -- unshare-rs --)"
loginctl disable-linger bob

advice=$(cgexec-rs --hugetlb 2M=4M true 2>&1 | sed -n 's/^cgexec-rs: hint: //p')
options=$(sed -n "s/.*; as root, '\(.*\)' creates the group at the top.*/\1/p" <<<"$advice")
check "what systemd does not delegate: $advice" 0 '^ran' cgexec-rs ${options:-none} --hugetlb 2M=4M -- echo ran

for limit in MemoryMax=60M TasksMax=50 AllowedCPUs=0 CPUQuota=50%; do
    advice=$(hint in_scope $limit --)
    check "a scope with $limit: $advice" 0 'ran' in_scope $limit -- sh -c "$(typed "$advice"); exit \$?"
done
# a unit of the systemd that runs for root's logins
in_root_scope() { systemd-run --user -q --scope -p MemoryMax=60M "$@"; }
advice=$(hint in_root_scope)
check "a scope of root's own systemd: $advice" 0 'ran' in_root_scope sh -c "$(typed "$advice"); exit \$?"

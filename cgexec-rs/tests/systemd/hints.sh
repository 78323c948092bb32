# Each hint in a systemd unit, followed literally, ends in the command running; root.sh reads this file.

ran='cgexec-rs -m 50M -- echo ran'
# hint PLACE...: what cgexec-rs advises in a shell there
hint() { "$@" sh -c "$ran; :" 2>&1 | sed -n 's/^cgexec-rs: hint: //p'; }
# typed HINT: with the command for its dots
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
as_root=${advice#as root: } as_root=${as_root%%; then *} as_bob=${advice##*as user 1001: }
sh -c "$as_root"
for _ in $(seq 100); do [ ! -S /run/user/1001/systemd/private ] || break; sleep 0.1; done
check "a user's job in a service: $advice" 0 'ran' of_bob sh -c "$(typed "$as_bob"); exit \$?"
advice=$(hint of_bob)
check "and the next time: $advice" 0 'ran' of_bob sh -c "$(typed "$advice"); exit \$?"
loginctl disable-linger bob

for limit in MemoryMax=60M TasksMax=50 AllowedCPUs=0 CPUQuota=50%; do
    advice=$(hint in_scope $limit --)
    check "a scope with $limit: $advice" 0 'ran' in_scope $limit -- sh -c "$(typed "$advice"); exit \$?"
done
# the one that systemd keeps for root's logins
in_root_scope() { systemd-run --user -q --scope -p MemoryMax=60M "$@"; }
advice=$(hint in_root_scope)
check "a scope of root's own systemd: $advice" 0 'ran' in_root_scope sh -c "$(typed "$advice"); exit \$?"

complete -c unshare-rs -s m -l mount -d 'Enter a new mount namespace; mounts made in it stay in it' -r
complete -c unshare-rs -s u -l uts -d 'Enter a new UTS namespace, with its own hostname' -r
complete -c unshare-rs -s i -l ipc -d 'Enter a new IPC namespace, with its own System V IPC and message queues' -r
complete -c unshare-rs -s n -l net -d 'Enter a new network namespace, which has only lo' -r
complete -c unshare-rs -s p -l pid -d 'Enter a new PID namespace, with the command as its process 1' -r
complete -c unshare-rs -s U -l user -d 'Enter a new user namespace, with its own user and group ids' -r
complete -c unshare-rs -s C -l cgroup -d 'Enter a new cgroup namespace rooted at the current control group' -r
complete -c unshare-rs -s T -l time -d 'Enter a new time namespace, with its own monotonic and boot clocks' -r
complete -c unshare-rs -l kill-child -d 'Send the child SIGNAL when this process dies [default: KILL, even without this option]; implies --fork' -r
complete -c unshare-rs -l pid-file -d 'Write the PID of COMMAND, as seen from outside, to FILE' -r -F
complete -c unshare-rs -l mount-proc -d 'Mount a new proc at DIR [default: /proc]; implies --mount' -r -F
complete -c unshare-rs -l propagation -d 'How mounts spread to and from a new mount namespace: private, shared, slave or unchanged [default: private]' -r -f -a "private\t'Not at all'
shared\t'In both directions, within the peer group'
slave\t'From outside to inside only'
unchanged\t'As in the caller\'s namespace'"
complete -c unshare-rs -s R -l root -d 'Run COMMAND with DIR as root, using chroot(2); for a root that cannot be left, use chroot-rs' -r -F
complete -c unshare-rs -s w -l wd -d 'Run COMMAND in the working directory DIR, inside the root' -r -F
complete -c unshare-rs -l whitelist-env -d 'Give COMMAND only these variables' -r
complete -c unshare-rs -l mount-binfmt -d 'Mount a separate binfmt_misc at DIR [default: /proc/sys/fs/binfmt_misc]; implies --mount, --user and, without DIR, --mount-proc, which needs --pid; needs Linux 6.7' -r -F
complete -c unshare-rs -s l -l load-interp -d 'Register an interpreter there, as :NAME:TYPE:OFFSET:MAGIC:MASK:INTERPRETER:FLAGS; implies --mount-binfmt' -r
complete -c unshare-rs -l map-user -d 'Map your user to USER; implies --user' -r
complete -c unshare-rs -l map-group -d 'Map your group to GROUP and deny setgroups(2); implies --user' -r
complete -c unshare-rs -l map-users -d 'Map COUNT user ids: INSIDE... inside to OUTSIDE... outside; or \'auto\' (all of /etc/subuid, from 0), \'subids\' (the same, unchanged), \'all\' (every id, unchanged); implies --user' -r
complete -c unshare-rs -l map-groups -d 'Map group ids in the same way, with /etc/subgid; implies --user' -r
complete -c unshare-rs -l owner -d 'Make USER and GROUP the owner of the user namespace; implies --user' -r
complete -c unshare-rs -l setgroups -d 'Allow or deny setgroups(2) in a new user namespace: allow, deny' -r -f -a "allow\t'It works as in the parent user namespace'
deny\t'It fails, and this cannot be reversed'"
complete -c unshare-rs -s S -l setuid -d 'Become USER inside' -r
complete -c unshare-rs -s G -l setgid -d 'Become GROUP inside and drop the supplementary groups' -r
complete -c unshare-rs -l hostname -d 'Set the hostname; implies --uts with options that name namespaces' -r
complete -c unshare-rs -l monotonic -d 'Move the monotonic clock by SECONDS; implies --time' -r
complete -c unshare-rs -l boottime -d 'Move the boot clock by SECONDS; implies --time' -r
complete -c unshare-rs -l explain -d 'Print each step to standard error before it runs; =short prints only the reason, =see also a command that shows the effect; CHAIN_EXPLAIN=1, short or see does the same for a whole chain' -r -f -a "short\t''
see\t''"
complete -c unshare-rs -l share -d 'Share namespaces with the caller instead of creating new ones: net, ipc, ...' -r -f -a "mount\t''
uts\t''
ipc\t''
net\t''
pid\t''
user\t''
cgroup\t''
none\t''"
complete -c unshare-rs -l userns -d 'Make COMMAND root among 65536 ids that no account of this machine has (auto); needs root' -r -f -a "auto\t''"
complete -c unshare-rs -s f -l fork -d 'Run COMMAND as a child and stay until it ends; implied by --pid and --time'
complete -c unshare-rs -l no-kill-child -d 'Let the child outlive this process'
complete -c unshare-rs -l forward-signals -d 'Pass signals on to the child (already the default); implies --fork'
complete -c unshare-rs -l init -d 'Run a reaper as process 1 and COMMAND as process 2, as in a container; needs a new PID namespace'
complete -c unshare-rs -l no-init -d 'Run COMMAND as process 1 of a container, for systemd and other inits; the kernel drops signals that process 1 does not catch'
complete -c unshare-rs -l no-mount-proc -d 'Leave /proc as it is, even in a container'
complete -c unshare-rs -l clear-env -d 'Give COMMAND an empty environment'
complete -c unshare-rs -s r -l map-root-user -d 'Map your user and group to root inside; implies --user'
complete -c unshare-rs -s c -l map-current-user -d 'Keep your user and group inside; implies --user'
complete -c unshare-rs -l map-auto -d 'Map all subordinate ids, from 0: --map-users=auto --map-groups=auto'
complete -c unshare-rs -l map-subids -d 'Map all subordinate ids, unchanged: --map-users=subids --map-groups=subids'
complete -c unshare-rs -l keep-caps -d 'Let COMMAND keep the capabilities of a new user namespace'
complete -c unshare-rs -l no-loopback -d 'Leave lo down in a new network namespace'
complete -c unshare-rs -l dry-run -d 'Print the steps without running them; CHAIN_DRY_RUN=1 does the same for a whole chain'
complete -c unshare-rs -s h -l help -d 'Print help'
complete -c unshare-rs -s V -l version -d 'Print version'
complete -c unshare-rs -x -a '(__fish_complete_subcommand --fcs-skip=1 - --pid-file --propagation --root -R --wd -w --whitelist-env --load-interp -l --map-user --map-group --map-users --map-groups --owner --setgroups --setuid -S --setgid -G --hostname --monotonic --boottime --share --userns)'

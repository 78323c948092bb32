complete -c unshare-rs -s m -l mount -d 'Enter a new mount namespace; mounts made in it stay in it' -r
complete -c unshare-rs -s u -l uts -d 'Enter a new UTS namespace: an own hostname' -r
complete -c unshare-rs -s i -l ipc -d 'Enter a new IPC namespace: own System V IPC and message queues' -r
complete -c unshare-rs -s n -l net -d 'Enter a new network namespace: own interfaces, only lo at first' -r
complete -c unshare-rs -s p -l pid -d 'Enter a new PID namespace, with the command as its process 1' -r
complete -c unshare-rs -s U -l user -d 'Enter a new user namespace: own user and group ids' -r
complete -c unshare-rs -s C -l cgroup -d 'Enter a new cgroup namespace: the own control group is the root' -r
complete -c unshare-rs -s T -l time -d 'Enter a new time namespace: own offsets of the monotonic and boot clocks' -r
complete -c unshare-rs -l kill-child -d 'Send the child SIGNAL when this process dies [default: KILL, also without this option]; implies --fork' -r
complete -c unshare-rs -l pid-file -d 'Write the PID of COMMAND, as seen from outside, to FILE' -r -F
complete -c unshare-rs -l mount-proc -d 'Mount a new proc at DIR [default: /proc]; implies --mount' -r -F
complete -c unshare-rs -l propagation -d 'How mounts spread to and from a new mount namespace: private, shared, slave or unchanged [default: private]' -r -f -a "private\t'Neither way'
shared\t'Both ways, among those who share them'
slave\t'In, but not out'
unchanged\t'As they did'"
complete -c unshare-rs -s R -l root -d 'Run COMMAND in this root directory: chroot(2); chroot-rs makes one that nothing leaves' -r -F
complete -c unshare-rs -s w -l wd -d 'Run COMMAND in this working directory, inside the root' -r -F
complete -c unshare-rs -l whitelist-env -d 'Give COMMAND these variables and no other' -r
complete -c unshare-rs -l mount-binfmt -d 'Mount a binfmt_misc of its own at DIR [default: /proc/sys/fs/binfmt_misc]; implies --mount, --user and, without DIR, --mount-proc; takes Linux 6.7' -r -F
complete -c unshare-rs -s l -l load-interp -d 'Register an interpreter there, as :NAME:TYPE:OFFSET:MAGIC:MASK:INTERPRETER:FLAGS; implies --mount-binfmt' -r
complete -c unshare-rs -l map-user -d 'Map the own user to this one; implies --user' -r
complete -c unshare-rs -l map-group -d 'Map the own group to this one and deny setgroups(2); implies --user' -r
complete -c unshare-rs -l map-users -d 'Map COUNT users from OUTSIDE on to those from INSIDE on; or \'auto\': every range of /etc/subuid, from 0 on; \'subids\': those ranges, each id with its own number; \'all\': every user there is, with its own number; implies --user' -r
complete -c unshare-rs -l map-groups -d 'The same for groups and /etc/subgid' -r
complete -c unshare-rs -l userns -d 'Give COMMAND 65536 ids that no account of this machine has, and be root among them: auto; needs root' -r
complete -c unshare-rs -l owner -d 'Let this user and group own the user namespace; implies --user' -r
complete -c unshare-rs -l setgroups -d 'Allow or deny setgroups(2) in a new user namespace: allow, deny' -r -f -a "allow\t'It works as in the parent user namespace'
deny\t'It fails, and nothing can allow it again'"
complete -c unshare-rs -s S -l setuid -d 'Become this user inside' -r
complete -c unshare-rs -s G -l setgid -d 'Become this group inside and give up the supplementary groups' -r
complete -c unshare-rs -l hostname -d 'Set the hostname; implies --uts where namespaces are named' -r
complete -c unshare-rs -l share -d 'Leave these namespaces out of the container set: net, ipc, ...' -r
complete -c unshare-rs -l monotonic -d 'Move the monotonic clock by this many seconds; implies --time' -r
complete -c unshare-rs -l boottime -d 'Move the boot clock by this many seconds; implies --time' -r
complete -c unshare-rs -l explain -d 'Say each step on standard error before it is made, with =see also what shows its effect; CHAIN_EXPLAIN=1 or =see does it for a whole chain' -r -f -a "1\t''
see\t''"
complete -c unshare-rs -s f -l fork -d 'Run COMMAND as a child and stay until it ends; implied by --pid and --time'
complete -c unshare-rs -l no-kill-child -d 'Let the child outlive this process'
complete -c unshare-rs -l forward-signals -d 'Pass signals on to the child, which is done without this option, too; implies --fork'
complete -c unshare-rs -l init -d 'Run a reaper as process 1 and COMMAND as process 2, as in a container; needs a new PID namespace'
complete -c unshare-rs -l no-init -d 'Run COMMAND as process 1 of a container, for systemd and other inits; the kernel drops signals that process 1 does not catch'
complete -c unshare-rs -l no-mount-proc -d 'Leave /proc as it is, also in a container'
complete -c unshare-rs -l clear-env -d 'Give COMMAND an empty environment'
complete -c unshare-rs -s r -l map-root-user -d 'Be root inside: map the own user and group to 0; implies --user'
complete -c unshare-rs -s c -l map-current-user -d 'Keep the own user and group inside; implies --user'
complete -c unshare-rs -l map-auto -d 'As --map-users=auto --map-groups=auto'
complete -c unshare-rs -l map-subids -d 'As --map-users=subids --map-groups=subids'
complete -c unshare-rs -l keep-caps -d 'Let COMMAND keep the capabilities of a new user namespace'
complete -c unshare-rs -l no-loopback -d 'Leave lo down in a new network namespace'
complete -c unshare-rs -l dry-run -d 'Say each step and make none; CHAIN_DRY_RUN=1 does it for a whole chain'
complete -c unshare-rs -s h -l help -d 'Print help'
complete -c unshare-rs -s V -l version -d 'Print version'
complete -c unshare-rs -x -a '(__fish_complete_subcommand --fcs-skip=1 - --pid-file --propagation --root -R --wd -w --whitelist-env --load-interp -l --map-user --map-group --map-users --map-groups --userns --owner --setgroups --setuid -S --setgid -G --hostname --share --monotonic --boottime)'

complete -c unshare-rs -l mount-proc -d 'Mount a new proc at DIR [default: /proc]; implies --mount' -r -F
complete -c unshare-rs -l hostname -d 'Set the hostname; implies --uts where namespaces are named' -r
complete -c unshare-rs -l share -d 'Leave these namespaces out of the container set: net, ipc, ...' -r
complete -c unshare-rs -s m -l mount -d 'Enter a new mount namespace; mounts made in it stay in it'
complete -c unshare-rs -s u -l uts -d 'Enter a new UTS namespace: an own hostname'
complete -c unshare-rs -s i -l ipc -d 'Enter a new IPC namespace: own System V IPC and message queues'
complete -c unshare-rs -s n -l net -d 'Enter a new network namespace: own interfaces, only lo at first'
complete -c unshare-rs -s p -l pid -d 'Enter a new PID namespace, with the command as its process 1'
complete -c unshare-rs -s U -l user -d 'Enter a new user namespace: own user and group ids'
complete -c unshare-rs -s C -l cgroup -d 'Enter a new cgroup namespace: the own control group is the root'
complete -c unshare-rs -s T -l time -d 'Enter a new time namespace: own offsets of the monotonic and boot clocks'
complete -c unshare-rs -s f -l fork -d 'Run COMMAND as a child and stay until it ends; implied by --pid and --time'
complete -c unshare-rs -s r -l map-root-user -d 'Be root inside: map the own user and group to 0; implies --user'
complete -c unshare-rs -s c -l map-current-user -d 'Keep the own user and group inside; implies --user'
complete -c unshare-rs -l no-loopback -d 'Leave lo down in a new network namespace'
complete -c unshare-rs -l explain -d 'Say each step on standard error before it is made; CHAIN_EXPLAIN=1 does it for a whole chain'
complete -c unshare-rs -l dry-run -d 'Say each step and make none'
complete -c unshare-rs -s h -l help -d 'Print help'
complete -c unshare-rs -s V -l version -d 'Print version'

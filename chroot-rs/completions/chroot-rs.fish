complete -c chroot-rs -l ephemeral -d 'Let everything be written to NEWROOT, at most SIZE, and forget it when the command ends' -r
complete -c chroot-rs -l changes -d 'Let everything be written to NEWROOT, and keep it in DIR, apart from NEWROOT, also for the next run' -r -F
complete -c chroot-rs -l list -d 'Of DIR of --changes: print what was created, changed and removed, a line each or as json, and run nothing' -r -f -a "text\t''
json\t''"
complete -c chroot-rs -l apply -d 'Of DIR of --changes: make NEWROOT what it was for the command, with force also where both changed, and run nothing' -r -f -a "unchanged\t''
force\t''"
complete -c chroot-rs -l propagation -d 'How mounts that are made outside later spread in: private, not at all; slave, to what is bound' -r -f -a "private\t''
slave\t''"
complete -c chroot-rs -l bind -d 'Show a file or directory inside, at DST or its own path: ro, noexec, bind without mounts below; repeatable' -r
complete -c chroot-rs -l bind-try -d 'The same as --bind, and nothing where there is no SRC' -r
complete -c chroot-rs -l tmpfs -d 'Mount an empty file system in memory; repeatable, in order with --bind' -r
complete -c chroot-rs -s w -l workdir -d 'Start in DIR, a directory inside, instead of "/"' -r -F
complete -c chroot-rs -l userspec -d 'Run as this user and group: names of NEWROOT\'s own files, or numbers' -r
complete -c chroot-rs -l groups -d 'Have exactly these supplementary groups; empty for none' -r
complete -c chroot-rs -l image-config -d 'Run what the image in NEWROOT is made for, as its configuration says that rootfs-fetch --config wrote: command, environment, working directory, user; COMMAND takes the place of its Cmd' -r -F
complete -c chroot-rs -l entrypoint -d 'Run PROGRAM in the place of the image\'s Entrypoint and Cmd; empty for COMMAND alone' -r
complete -c chroot-rs -s e -l env -d 'Set a variable for COMMAND, or take the caller\'s value; repeatable' -r
complete -c chroot-rs -l seccomp -d 'Refuse system calls by the usual list (default), by docker\'s profile in FILE, or none (unconfined)' -r
complete -c chroot-rs -l explain -d 'Print each step to standard error before it runs; =see also prints a command that shows its effect; CHAIN_EXPLAIN=1 or =see does the same for a whole chain' -r -f -a "1\t''
see\t''"
complete -c chroot-rs -l cap-add -d 'Keep this capability too, as NET_ADMIN, or ALL; for a user of --userspec it is then in force' -r -f -a "ALL\t''
CHOWN\t''
DAC_OVERRIDE\t''
DAC_READ_SEARCH\t''
FOWNER\t''
KILL\t''
MKNOD\t''
NET_ADMIN\t''
NET_BIND_SERVICE\t''
NET_RAW\t''
SETFCAP\t''
SETGID\t''
SETUID\t''
SYS_ADMIN\t''
SYS_CHROOT\t''
SYS_NICE\t''
SYS_PTRACE\t''
SYS_TIME\t''"
complete -c chroot-rs -l cap-drop -d 'Give up this capability too, as NET_RAW, or ALL' -r -f -a "ALL\t''
CHOWN\t''
DAC_OVERRIDE\t''
DAC_READ_SEARCH\t''
FOWNER\t''
KILL\t''
MKNOD\t''
NET_ADMIN\t''
NET_BIND_SERVICE\t''
NET_RAW\t''
SETFCAP\t''
SETGID\t''
SETUID\t''
SYS_ADMIN\t''
SYS_CHROOT\t''
SYS_NICE\t''
SYS_PTRACE\t''
SYS_TIME\t''"
complete -c chroot-rs -l plain -d 'Exactly chroot(2) and chdir(2), as chroot(1) does: no mounts, and root can get out'
complete -c chroot-rs -l no-mount -d 'Change the root, but mount no proc, sys and dev'
complete -c chroot-rs -l share-pid -d 'Keep the caller\'s processes in sight, although the roots of those outside lead out'
complete -c chroot-rs -l no-init -d 'Let COMMAND be process 1, for which the kernel drops signals it does not catch: for systemd and other inits'
complete -c chroot-rs -l unmask -d 'Where the machine\'s root exists inside: leave its switches in /proc and /sys writable (/proc/sys, ...)'
complete -c chroot-rs -l read-only -d 'Let nothing be written to NEWROOT and what is mounted below it'
complete -c chroot-rs -l discard -d 'Of DIR of --changes: throw the changes away, and run nothing'
complete -c chroot-rs -l resolv-conf -d 'Show the caller\'s /etc/resolv.conf inside, read-only'
complete -c chroot-rs -l keep-fds -d 'Leave open what the caller left open and leads out of NEWROOT: directories, namespaces, sockets'
complete -c chroot-rs -l privileged -d 'Keep everything: each capability, every system call, the machine\'s switches writable; root inside can get out'
complete -c chroot-rs -l nosuid -d 'Let set-user-ID bits and file capabilities in NEWROOT and what is bound count for nothing'
complete -c chroot-rs -l no-new-privs -d 'Let no program inside give more rights than its caller has, as su and sudo do'
complete -c chroot-rs -l skip-chdir -d 'Stay in the working directory; only where NEWROOT is "/" already'
complete -c chroot-rs -l dry-run -d 'Print the steps without running them; CHAIN_DRY_RUN=1 does the same for a whole chain'
complete -c chroot-rs -s h -l help -d 'Print help'
complete -c chroot-rs -s V -l version -d 'Print version'
function __chroot_rs_has_newroot
    set -l words (commandline -cop)
    set -l is_value 0
    for word in $words[2..]
        if test $is_value = 1
            set is_value 0
        else if contains -- $word --changes --propagation --bind --bind-try --tmpfs --workdir -w --userspec --groups --image-config --entrypoint --env -e --seccomp --cap-add --cap-drop
            set is_value 1
        else if not string match -q -- '-*' $word
            return 0
        end
    end
    return 1
end
complete -c chroot-rs -n 'not __chroot_rs_has_newroot' -x -a '(__fish_complete_directories)'
complete -c chroot-rs -n __chroot_rs_has_newroot -x -a '(__fish_complete_subcommand --fcs-skip=2 - --changes --propagation --bind --bind-try --tmpfs --workdir -w --userspec --groups --image-config --entrypoint --env -e --seccomp --cap-add --cap-drop)'

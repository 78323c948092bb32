complete -c chroot-rs -l ephemeral -d 'Keep what is written to NEWROOT in memory, at most SIZE, and discard it when the command ends' -r
complete -c chroot-rs -s w -l workdir -d 'Start in DIR, a directory inside, instead of "/"' -r -F
complete -c chroot-rs -l changes -d 'Keep what is written to NEWROOT in DIR, where the next run with DIR finds it; NEWROOT stays unchanged' -r -F
complete -c chroot-rs -l list -d 'Print what was created, changed and removed in DIR of --changes, as text or json, and run nothing' -r -f -a "text\t''
json\t''"
complete -c chroot-rs -l apply -d 'Apply DIR of --changes to NEWROOT, with force also where both changed, and run nothing' -r -f -a "unchanged\t''
force\t''"
complete -c chroot-rs -l bind -d 'Show a file or directory inside, at DST or its own path; options: ro, noexec, bind (without mounts below); repeatable' -r
complete -c chroot-rs -l bind-try -d 'Like --bind, but do nothing if SRC does not exist' -r
complete -c chroot-rs -l tmpfs -d 'Mount an empty file system in memory; repeatable, in order with --bind' -r
complete -c chroot-rs -l cgroup -d 'Mount the command\'s own control groups on /sys/fs/cgroup: ro, rw or none; default ro if it has a cgroup namespace' -r -f -a "ro\t''
rw\t''
none\t''"
complete -c chroot-rs -l propagation -d 'Hide mounts that are made outside later (private), or show them in bound directories (slave)' -r -f -a "private\t''
slave\t''"
complete -c chroot-rs -l userspec -d 'Run as this user and group: names of NEWROOT\'s own files, or numbers' -r
complete -c chroot-rs -l groups -d 'Set the supplementary groups to these; empty for none' -r
complete -c chroot-rs -l userns -d 'Run COMMAND as root of a user namespace whose ids no account has; files of NEWROOT keep their owners' -r -f -a "auto\t''"
complete -c chroot-rs -l image-config -d 'Use the image\'s command, environment, working directory and user, from the FILE that rootfs-fetch --config wrote; COMMAND replaces its Cmd' -r -F
complete -c chroot-rs -l entrypoint -d 'Run PROGRAM instead of the image\'s Entrypoint and Cmd; empty for COMMAND alone' -r
complete -c chroot-rs -s e -l env -d 'Set a variable for COMMAND, or pass on the caller\'s value; repeatable' -r
complete -c chroot-rs -l seccomp -d 'Refuse the usual system calls (default), those that a docker profile in FILE refuses, or none (unconfined)' -r
complete -c chroot-rs -l explain -d 'Print each step to standard error before it runs; =short prints only the reason, =see also a command that shows the effect; CHAIN_EXPLAIN=1, short or see does the same for a whole chain' -r -f -a "short\t''
see\t''"
complete -c chroot-rs -l cap-add -d 'Also keep this capability, such as NET_ADMIN, or ALL; the user of --userspec can then use it, too' -r -f -a "ALL\t''
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
complete -c chroot-rs -l cap-drop -d 'Also drop this capability, such as NET_RAW, or ALL' -r -f -a "ALL\t''
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
complete -c chroot-rs -l plain -d 'Call only chroot(2) and chdir(2), as chroot(1) does: no mounts, and root can get out'
complete -c chroot-rs -l no-mount -d 'Change the root, but do not mount proc, sys and dev'
complete -c chroot-rs -l read-only -d 'Make NEWROOT and the mounts below it read-only'
complete -c chroot-rs -l skip-chdir -d 'Stay in the working directory; only if NEWROOT is "/" already'
complete -c chroot-rs -l discard -d 'Discard the changes in DIR of --changes, and run nothing'
complete -c chroot-rs -l resolv-conf -d 'Show the caller\'s /etc/resolv.conf inside, read-only'
complete -c chroot-rs -l no-hosts -d 'Show NEWROOT\'s /etc/hosts as it is, even if it does not contain the hostname'
complete -c chroot-rs -l unmask -d 'Leave kernel settings in /proc and /sys writable, if the machine\'s root exists inside'
complete -c chroot-rs -l share-pid -d 'Show the processes outside; their /proc/PID/root leads out of NEWROOT'
complete -c chroot-rs -l no-init -d 'Run COMMAND as process 1, for systemd and other inits; the kernel drops signals that process 1 does not catch'
complete -c chroot-rs -l keep-fds -d 'Keep inherited descriptors open even if they lead out of NEWROOT: directories, namespaces, sockets'
complete -c chroot-rs -l privileged -d 'Keep all capabilities, allow all system calls and leave kernel settings writable; root inside can get out'
complete -c chroot-rs -l nosuid -d 'Ignore set-user-ID bits and file capabilities in NEWROOT and in bound directories'
complete -c chroot-rs -l no-new-privs -d 'Keep programs such as su and sudo from giving more rights than their caller has'
complete -c chroot-rs -l dry-run -d 'Print the steps without running them; CHAIN_DRY_RUN=1 does the same for a whole chain'
complete -c chroot-rs -s h -l help -d 'Print help'
complete -c chroot-rs -s V -l version -d 'Print version'
function __chroot_rs_has_newroot
    set -l words (commandline -cop)
    set -l is_value 0
    for word in $words[2..]
        if test $is_value = 1
            set is_value 0
        else if contains -- $word --workdir -w --changes --bind --bind-try --tmpfs --cgroup --propagation --userspec --groups --userns --image-config --entrypoint --env -e --seccomp --cap-add --cap-drop
            set is_value 1
        else if not string match -q -- '-*' $word
            return 0
        end
    end
    return 1
end
complete -c chroot-rs -n 'not __chroot_rs_has_newroot' -x -a '(__fish_complete_directories)'
complete -c chroot-rs -n __chroot_rs_has_newroot -x -a '(__fish_complete_subcommand --fcs-skip=2 - --workdir -w --changes --bind --bind-try --tmpfs --cgroup --propagation --userspec --groups --userns --image-config --entrypoint --env -e --seccomp --cap-add --cap-drop)'

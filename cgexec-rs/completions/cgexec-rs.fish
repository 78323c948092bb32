complete -c cgexec-rs -s g -l group -d 'Join an existing group, as cgexec(1) does: memory,pids:PATH, *:PATH, or :PATH for version 2' -r
complete -c cgexec-rs -s m -l memory -d 'Let COMMAND use at most BYTES of memory: 50M, 1.5G, max (k, m, g, t are powers of 1024)' -r
complete -c cgexec-rs -l memory-high -d 'Slow COMMAND down, rather than kill, when it uses more than BYTES of memory' -r
complete -c cgexec-rs -l memory-low -l memory-reservation -d 'Take memory below BYTES away last when others need it' -r
complete -c cgexec-rs -l memory-min -d 'Never take memory below BYTES away' -r
complete -c cgexec-rs -l memory-swap -d 'Let COMMAND use at most BYTES of memory and swap together, as docker counts; needs --memory' -r
complete -c cgexec-rs -l memory-swap-max -d 'Let COMMAND use at most BYTES of swap; 0 for none' -r
complete -c cgexec-rs -l pids-limit -d 'Let COMMAND have at most N processes and threads at once; max for no limit' -r
complete -c cgexec-rs -l cpus -d 'Let COMMAND use as much time as N processors have: 0.5, 2' -r
complete -c cgexec-rs -l cpu-quota -d 'Let COMMAND use USEC microseconds of processor time in each period; max for no limit' -r
complete -c cgexec-rs -l cpu-period -d 'The period of --cpu-quota [default: 100000]' -r
complete -c cgexec-rs -l cpu-weight -d 'Give COMMAND a part of busy processors by weight: 1 to 10000, 100 is as others have' -r
complete -c cgexec-rs -l cpu-shares -d 'The same in docker\'s unit: 2 to 262144, 1024 is as others have' -r
complete -c cgexec-rs -l cpuset-cpus -d 'Let COMMAND run on these processors only: 0-3,7' -r
complete -c cgexec-rs -l cpuset-mems -d 'Let COMMAND use memory of these nodes only' -r
complete -c cgexec-rs -l io-max -d 'Limit a disk\'s rates in a second: /dev/sda:rbps=1M,wbps=1M,riops=100,wiops=max' -r
complete -c cgexec-rs -l device-read-bps -d 'Let COMMAND read at most RATE bytes a second from a disk: /dev/sda:1M' -r
complete -c cgexec-rs -l device-write-bps -d 'Let COMMAND write at most RATE bytes a second to a disk' -r
complete -c cgexec-rs -l device-read-iops -d 'Let COMMAND read at most RATE times a second from a disk' -r
complete -c cgexec-rs -l device-write-iops -d 'Let COMMAND write at most RATE times a second to a disk' -r
complete -c cgexec-rs -l io-weight -d 'Give COMMAND a part of busy disks by weight: 1 to 10000, 100 is as others have' -r
complete -c cgexec-rs -l blkio-weight -d 'The same in docker\'s unit: 10 to 1000' -r
complete -c cgexec-rs -l hugetlb -d 'Let COMMAND use at most LIMIT bytes of huge pages of one size: 2M=64M' -r
complete -c cgexec-rs -l device -d 'Let COMMAND use no devices but those of a container\'s /dev and this one: \'c 10:229 rwm\', as with docker\'s --device-cgroup-rule, or /dev/fuse:rwm; root only' -r
complete -c cgexec-rs -l set -d 'Write VALUE to a FILE of the group: memory.oom.group=1' -r
complete -c cgexec-rs -l cpu-time -d 'End COMMAND, by SIGTERM and then SIGKILL, when all of its processes together have used so much processor time: 90, 1.5, 2m, 1h' -r
complete -c cgexec-rs -l wall-time -d 'End COMMAND in the same way when it has run for so long' -r
complete -c cgexec-rs -l kill-after -d 'The time between SIGTERM and SIGKILL [default: 10]' -r
complete -c cgexec-rs -l parent -d 'Make the group below this one, a path from the top of the hierarchy; . is the own group' -r
complete -c cgexec-rs -l name -d 'Call the group NAME' -r
complete -c cgexec-rs -l manager -d 'Who makes the group: auto, systemd (a scope of its own), cgroupfs (files), or none for no group at all' -r
complete -c cgexec-rs -l report -d 'Say at the end what COMMAND used: human, json, or runexec for its lines' -r
complete -c cgexec-rs -l report-file -d 'Write the report to FILE, not to standard error' -r -F
complete -c cgexec-rs -l explain -d 'Print each step to standard error before it runs; =see also prints a command that shows its effect; CHAIN_EXPLAIN=1 or =see does the same for a whole chain' -r -f -a "1\t''
see\t''"
complete -c cgexec-rs -l move -d 'Move running processes, whose ids are the operands, into the group of -g or into a new one, which stays while they run; no COMMAND is run'
complete -c cgexec-rs -l oom-group -d 'End all of the group, not one process, when memory runs out'
complete -c cgexec-rs -l cpu-idle -d 'Give COMMAND only the processor time that nobody else wants'
complete -c cgexec-rs -l try -d 'Leave out what cannot be limited here, with a line that says so'
complete -c cgexec-rs -l keep -d 'Leave the group, and what still runs in it, when COMMAND has ended'
complete -c cgexec-rs -l cgroupns -d 'Let COMMAND see the group as the root of all groups: a cgroup namespace; the default where a group is made and that is permitted'
complete -c cgexec-rs -l no-cgroupns -d 'Let COMMAND see where the group is'
complete -c cgexec-rs -l exec -d 'Become COMMAND and keep the process id; an empty group then stays until the next run removes it'
complete -c cgexec-rs -l wait -d 'Stay and wait for COMMAND, then end what is left and remove the group: the default'
complete -c cgexec-rs -l check -d 'Say what can be limited here, or whether the limits that are given can, and run nothing'
complete -c cgexec-rs -s b -l from-top -d 'Does nothing: paths already start at the top of the hierarchy, as with cgexec -b'
complete -c cgexec-rs -s s -l sticky -d 'Does nothing: there is no daemon that moves processes'
complete -c cgexec-rs -l dry-run -d 'Print the steps without running them; CHAIN_DRY_RUN=1 does the same for a whole chain'
complete -c cgexec-rs -s h -l help -d 'Print help'
complete -c cgexec-rs -s V -l version -d 'Print version'
complete -c cgexec-rs -x -a '(__fish_complete_subcommand --fcs-skip=1 - --group -g --memory -m --memory-high --memory-low --memory-reservation --memory-min --memory-swap --memory-swap-max --pids-limit --cpus --cpu-quota --cpu-period --cpu-weight --cpu-shares --cpuset-cpus --cpuset-mems --io-max --device-read-bps --device-write-bps --device-read-iops --device-write-iops --io-weight --blkio-weight --hugetlb --device --set --cpu-time --wall-time --kill-after --parent --name --manager --report-file)'

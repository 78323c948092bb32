complete -c cgexec-rs -s g -l group -d 'Join an existing group, as cgexec(1) does: memory,pids:PATH, *:PATH, or :PATH for version 2' -r
complete -c cgexec-rs -s m -l memory -d 'Limit memory to BYTES: 50M, 1.5G, max (k, m, g, t are powers of 1024)' -r
complete -c cgexec-rs -l memory-high -d 'Slow COMMAND down, instead of killing it, above BYTES of memory' -r
complete -c cgexec-rs -l memory-low -l memory-reservation -d 'Reclaim the first BYTES of memory only as a last resort' -r
complete -c cgexec-rs -l memory-min -d 'Never reclaim the first BYTES of memory' -r
complete -c cgexec-rs -l memory-swap -d 'Limit memory and swap together to BYTES, as docker does; needs --memory' -r
complete -c cgexec-rs -l memory-swap-max -d 'Limit swap to BYTES; 0 for none' -r
complete -c cgexec-rs -l pids-limit -d 'Limit the number of processes and threads at one time to N; max for no limit' -r
complete -c cgexec-rs -l cpus -d 'Limit processor time to that of N processors: 0.5, 2' -r
complete -c cgexec-rs -l cpu-quota -d 'Limit processor time to USEC microseconds in each period; max for no limit' -r
complete -c cgexec-rs -l cpu-period -d 'The period of --cpu-quota [default: 100000]' -r
complete -c cgexec-rs -l cpu-weight -d 'Set the CPU weight, for when processors are busy: 1 to 10000, 100 is the default' -r
complete -c cgexec-rs -l cpu-shares -d 'The same in docker\'s unit: 2 to 262144, 1024 is the default' -r
complete -c cgexec-rs -l cpuset-cpus -d 'Run COMMAND only on these processors: 0-3,7' -r
complete -c cgexec-rs -l cpuset-mems -d 'Allocate memory only on these nodes' -r
complete -c cgexec-rs -l io-max -d 'Limit a disk\'s rates per second: /dev/sda:rbps=1M,wbps=1M,riops=100,wiops=max' -r
complete -c cgexec-rs -l device-read-bps -d 'Limit reads from a disk to RATE bytes per second: /dev/sda:1M' -r
complete -c cgexec-rs -l device-write-bps -d 'Limit writes to a disk to RATE bytes per second' -r
complete -c cgexec-rs -l device-read-iops -d 'Limit reads from a disk to RATE operations per second' -r
complete -c cgexec-rs -l device-write-iops -d 'Limit writes to a disk to RATE operations per second' -r
complete -c cgexec-rs -l io-weight -d 'Set the I/O weight, for when disks are busy: 1 to 10000, 100 is the default' -r
complete -c cgexec-rs -l blkio-weight -d 'The same in docker\'s unit: 10 to 1000' -r
complete -c cgexec-rs -l hugetlb -d 'Limit huge pages of one size to LIMIT bytes: 2M=64M' -r
complete -c cgexec-rs -l device -d 'Allow only the devices of a container\'s /dev and this one: \'c 10:229 rwm\', as docker\'s --device-cgroup-rule, or /dev/fuse:rwm; root only' -r
complete -c cgexec-rs -l set -d 'Write VALUE to a FILE of the group: memory.oom.group=1' -r
complete -c cgexec-rs -l cpu-time -d 'End COMMAND with SIGTERM, then SIGKILL, when its processes together have used SECONDS of processor time: 90, 1.5, 2m, 1h' -r
complete -c cgexec-rs -l wall-time -d 'End COMMAND in the same way after SECONDS' -r
complete -c cgexec-rs -l kill-after -d 'The time between SIGTERM and SIGKILL [default: 10]' -r
complete -c cgexec-rs -l parent -d 'Create the group below PATH, from the top of the hierarchy; . is the current group' -r
complete -c cgexec-rs -l name -d 'Name the group NAME' -r
complete -c cgexec-rs -l report-file -d 'Write the report to FILE instead of standard error' -r -F
complete -c cgexec-rs -l explain -d 'Print each step to standard error before it runs; =short prints only the reason, =see also a command that shows the effect; CHAIN_EXPLAIN=1, short or see does the same for a whole chain' -r -f -a "short\t''
see\t''"
complete -c cgexec-rs -l manager -d 'Create the group by WHO: auto, systemd (a delegated scope), cgroupfs (files), or none for no group at all' -r -f -a "auto\t''
systemd\t''
cgroupfs\t''
none\t''"
complete -c cgexec-rs -l report -d 'Print at the end what COMMAND used: human, json, or runexec for its lines' -r -f -a "human\t''
json\t''
runexec\t''"
complete -c cgexec-rs -l move -d 'Move the running processes whose ids are the operands into the group of -g, or into a new group that stays while they run'
complete -c cgexec-rs -l oom-group -d 'Kill the whole group, not one process, when memory runs out'
complete -c cgexec-rs -l cpu-idle -d 'Use only processor time that no other process needs'
complete -c cgexec-rs -l try -d 'Skip limits that this machine does not support, with a line for each'
complete -c cgexec-rs -l keep -d 'Keep the group, and the processes in it, when COMMAND has ended'
complete -c cgexec-rs -l cgroupns -d 'Enter a cgroup namespace with the group as its root: the default for a new group, where it is permitted'
complete -c cgexec-rs -l no-cgroupns -d 'Keep the current cgroup namespace, so that COMMAND sees where its group is'
complete -c cgexec-rs -l exec -d 'Become COMMAND and keep the process id; the next run removes the empty group'
complete -c cgexec-rs -l wait -d 'Wait for COMMAND, then kill what is left and remove the group: the default'
complete -c cgexec-rs -l check -d 'Print what can be limited here, or whether the given limits can be set, and run nothing'
complete -c cgexec-rs -s b -l from-top -d 'Accepted for cgexec -b; has no effect, paths already start at the top of the hierarchy'
complete -c cgexec-rs -s s -l sticky -d 'Accepted for cgexec --sticky; has no effect, no daemon moves processes'
complete -c cgexec-rs -l dry-run -d 'Print the steps without running them; CHAIN_DRY_RUN=1 does the same for a whole chain'
complete -c cgexec-rs -s h -l help -d 'Print help'
complete -c cgexec-rs -s V -l version -d 'Print version'
complete -c cgexec-rs -x -a '(__fish_complete_subcommand --fcs-skip=1 - --group -g --memory -m --memory-high --memory-low --memory-reservation --memory-min --memory-swap --memory-swap-max --pids-limit --cpus --cpu-quota --cpu-period --cpu-weight --cpu-shares --cpuset-cpus --cpuset-mems --io-max --device-read-bps --device-write-bps --device-read-iops --device-write-iops --io-weight --blkio-weight --hugetlb --device --set --cpu-time --wall-time --kill-after --parent --name --report-file --manager)'

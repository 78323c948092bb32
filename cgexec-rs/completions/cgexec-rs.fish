complete -c cgexec-rs -s m -l memory -d 'Let COMMAND use at most BYTES of memory: 50M, 1.5G, max (k, m, g, t are powers of 1024)' -r
complete -c cgexec-rs -l pids-limit -d 'Let COMMAND have at most N processes and threads at once; max for no limit' -r
complete -c cgexec-rs -l cpus -d 'Let COMMAND use as much time as N processors have: 0.5, 2' -r
complete -c cgexec-rs -s g -l group -d 'Join an existing group, as cgexec(1) does: memory,pids:PATH, *:PATH, or :PATH for version 2' -r
complete -c cgexec-rs -l explain -d 'Say each step on standard error before it is made; CHAIN_EXPLAIN=1 does it for a whole chain'
complete -c cgexec-rs -l dry-run -d 'Say each step and make none'
complete -c cgexec-rs -s h -l help -d 'Print help'
complete -c cgexec-rs -s V -l version -d 'Print version'

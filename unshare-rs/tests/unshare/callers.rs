//! Callers in unusual states, signals, and behaviour that util-linux' own tests check in unshare(1).

use super::harness::script;

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs user namespaces"]
    fn a_caller_that_ignores_sigchld_learns_the_status_and_the_command_still_ignores_it() {
        // the fifth digit from the right contains the bit of SIGCHLD, 17
        let text = "env --ignore-signal=CHLD $T -rpf grep -c 'SigIgn:.*[13579bdf]....$' /proc/self/status
            env --ignore-signal=CHLD $T -rpf sh -c 'exit 7'; echo $?
            env --ignore-signal=CHLD $T -rpf --map-user=3 --pid-file /dev/null sh -c 'exit 8'; echo $?";
        assert_eq!(script(text).ok(), "1\n7\n8\n");
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn signals_that_the_caller_blocks_are_blocked_for_the_command_and_no_others() {
        let text = "env --block-signal=TERM,USR1 $T -rpf grep SigBlk /proc/self/status";
        assert_eq!(script(text).ok(), "SigBlk:\t0000000000004200\n");
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn closed_standard_descriptors_stay_closed() {
        // a shell opens descriptors for itself; those that it opens meanwhile appear without a tool, too
        let listed = |tool: &str| {
            script(&format!(
                "f=$(mktemp); {tool} sh -c 'ls -l /proc/self/fd >\"$1\"; exit 7' sh $f <&- >&- 2>&-; echo $?
                sed -n 's/.* \\([0-9]*\\) -> .*/\\1/p' $f; rm $f"
            ))
            .ok()
        };
        let plain = listed("");
        assert!(plain.starts_with("7\n") && !plain.lines().any(|fd| fd == "2"), "{plain}");
        for tool in ["$T -rpf --", "$T -rpf --init --", "$T -U --"] {
            assert_eq!(listed(tool), plain, "{tool}");
        }
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn a_working_directory_of_mode_0700_is_kept() {
        let text = "d=$(mktemp -d); chmod 700 $d; cd $d; $T -r pwd | grep -c $d; rmdir $d";
        assert_eq!(script(text).ok(), "1\n");
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn a_forwarded_signal_is_handled_by_the_command() {
        let text = "f=$(mktemp); for o in '' --forward-signals --kill-child; do
            $T -rp $o sh -c 'trap \"echo handled; exit 5\" TERM; echo ready >\"$1\"; while :; do sleep 0.05; done' sh $f & 
            until [ -s $f ]; do sleep 0.02; done; kill -TERM $!; wait $!; echo $?; : >$f; done; rm $f";
        assert_eq!(script(text).ok(), "handled\n5\n".repeat(3));
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn a_signal_ends_a_first_process_that_does_not_know_it() {
        let text = "exec 2>/dev/null; f=$(mktemp); for s in TERM INT HUP QUIT USR1; do
            env --default-signal=INT,QUIT $T -rp --pid-file $f sleep 20 &
            until [ \"$(cat /proc/$(cat $f)/comm)\" = sleep ]; do sleep 0.02; done
            kill -$s $!; wait $!; echo $?; : >$f; done; rm $f";
        assert_eq!(script(text).ok(), "143\n130\n129\n131\n138\n");
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn a_stop_from_outside_stops_a_first_process_that_does_not_know_it() {
        let text = "f=$(mktemp); state() { until grep -q \"^State:.$1\" /proc/$2/status; do sleep 0.02; done; echo $1; }
            $T -rp --pid-file $f sleep 20 & until [ \"$(cat /proc/$(cat $f)/comm)\" = sleep ]; do sleep 0.02; done
            kill -TSTP $!; state T $!; state T $(cat $f); kill -CONT $!; state S $!; state S $(cat $f)
            kill -TERM $!; wait $!; echo $?; rm $f";
        assert_eq!(script(text).out, "T\nT\nS\nS\n143\n");
    }

    #[test]
    #[ignore = "needs user namespaces and strace"]
    fn a_signal_that_comes_before_process_one_has_its_signals_back_ends_it() {
        // the child sets its death signal while all signals are blocked; strace ends as the tool does
        let text = "exec 2>/dev/null; below() { cat /proc/$1/task/$1/children; }
            strace -f -o /dev/null --inject=prctl:delay_enter=400000 $T -rp sleep 10 &
            until [ -n \"$(below $(below $!))\" ]; do sleep 0.01; done
            kill -TERM $(below $!); wait $!; echo $?";
        assert_eq!(script(text).out, "143\n");
    }

    #[test]
    #[ignore = "needs user namespaces and strace"]
    fn a_signal_that_comes_while_a_tool_as_process_one_blocks_it_ends_it() {
        // a step with an undo is not interrupted: the inner tool blocks all signals until it becomes sleep
        let text = "exec 2>/dev/null; d=$(mktemp -d); touch $d/u
            strace -f -o /dev/null --inject=chdir:delay_enter=400000 $T -rpm --pid-file $d/n \\
                $T --uts=$d/u -w / sleep 10 &
            until { grep -q 'SigBlk:.*f$' /proc/$(cat $d/n)/status && ! grep -qz -e -rpm /proc/$(cat $d/n)/cmdline; } ||
                [ \"$(cat /proc/$(cat $d/n)/comm)\" = sleep ]
            do sleep 0.01; done
            kill -TERM $(cat /proc/$!/task/$!/children); wait $!; echo $?; rm -r $d";
        assert_eq!(script(text).out, "143\n");
    }

    #[test]
    #[ignore = "needs user namespaces and strace"]
    fn a_signal_that_a_shell_as_process_one_blocks_for_a_moment_ends_it() {
        // dash blocks all signals while it starts a program, and the kernel drops what it unblocks then
        let text = "exec 2>/dev/null; d=$(mktemp -d)
            strace -f -o /dev/null --inject=vfork:delay_enter=400000:when=1 $T -rp --pid-file $d/n sh -c 'sleep 8; :' &
            until [ \"$(cat /proc/$(cat $d/n)/comm)\" = sh ]; do sleep 0.01; done
            n=0; until grep -q 'SigBlk:.*f$' /proc/$(cat $d/n)/status || [ $n = 30 ]; do sleep 0.01; n=$((n+1)); done
            kill -TERM $(cat /proc/$!/task/$!/children); wait $!; echo $?; rm -r $d";
        assert_eq!(script(text).out, "143\n");
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn a_killed_parent_takes_the_command_along_unless_told_not_to() {
        let text = "f=$(mktemp); for o in --kill-child --no-kill-child; do
            $T -rp $o --pid-file $f sleep 20 & until [ -s $f ]; do sleep 0.02; done
            c=$(cat $f); until [ \"$(cat /proc/$c/comm)\" = sleep ]; do sleep 0.02; done
            kill -KILL $!; wait $!
            case $o in --no*) sleep 0.2; kill -KILL $c && echo lives;;
            *) while kill -0 $c && ! grep -q '^State:.Z' /proc/$c/status; do sleep 0.02; done; echo dead;; esac
            : >$f; done 2>/dev/null; rm $f";
        assert_eq!(script(text).out, "dead\nlives\n");
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn a_reaper_is_process_one_and_ends_as_the_command_does() {
        // the process that lost its parent ends and leaves no zombie: process 1 and the shell remain
        let inside = "echo $$; (sh -c \"sleep 0.1 &\"); \
            until set -- /proc/[0-9]*; [ $# = 2 ]; do sleep 0.02; done; exit 6";
        let text = format!("$T -rmp --mount-proc --init sh -c '{inside}' 2>/dev/null; echo $?");
        assert_eq!(script(&text).ok(), "2\n6\n");
        let text = "exec 2>/dev/null; $T -rp --init sh -c 'kill -TERM $$'; echo $?";
        assert_eq!(script(text).ok(), "143\n");
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn an_environment_is_cleared_but_for_named_variables() {
        assert_eq!(script("$T -U --clear-env /usr/bin/env").ok(), "");
        let text = "A=1 B=2 C= $T -U --whitelist-env=A,C,D /usr/bin/env | sort";
        assert_eq!(script(text).ok(), "A=1\nC=\n");
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn clocks_move_by_whole_fractional_and_negative_seconds() {
        let text = "$T -r --monotonic=-1.5 --boottime 100000 cat /proc/self/timens_offsets | tr -s ' '";
        assert_eq!(script(text).ok(), "monotonic -2 500000000\nboottime 100000 0\n");
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn an_interpreter_is_registered_for_this_namespace_alone() {
        let text = "d=$(mktemp -d); printf abcdef >$d/x; chmod +x $d/x
            $T -rp -l ':unshare-test:M::abc::/bin/echo:' -- $d/x hi | grep -c 'x hi'
            ls /proc/sys/fs/binfmt_misc 2>/dev/null | grep -c unshare-test; rm -r $d";
        assert_eq!(script(text).ok(), "1\n0\n");
    }
}

mod as_user {
    use super::*;

    #[test]
    #[ignore = "needs an ordinary user with subordinate ids"]
    fn at_the_limit_of_processes_the_reason_is_told() {
        let ran = script("exec prlimit --nproc=1 $T -rp true");
        ran.refused(&[
            "unshare-rs: cannot start process 1 and wait for it: fork(): Resource temporarily unavailable (EAGAIN)",
            "unshare-rs: hint: the process limit is reached: raise ulimit -u, or pids.max of the control group",
        ]);
    }

    #[test]
    #[ignore = "needs an ordinary user with subordinate ids"]
    fn every_id_exists_in_a_container_and_files_have_several_owners() {
        let inside = "d=$(mktemp -d); chmod 755 $d; touch $d/a; chown 7:8 $d/a; stat -c %u:%g $d/a; rm -r $d
            cat /proc/self/setgroups; id -u";
        assert_eq!(script(&format!("$T -- sh -c '{inside}'")).ok(), "7:8\nallow\n0\n");
    }

    #[test]
    #[ignore = "needs an ordinary user with subordinate ids"]
    fn no_helper_and_no_zombie_is_left() {
        // the reaper, and the command once it sleeps: a third child would be awaited in vain
        let text =
            "$T -- sh -c 'exec sleep 1000' & until [ \"$(echo $(ps -o s=,comm= --ppid $!))\" = 'S unshare-rs S sleep' ]
            do sleep 0.02; done; echo they alone; kill $!";
        assert_eq!(script(text).ok(), "they alone\n");
        let text = "$T -c --map-auto ps -o stat=,comm= --ppid $$ | grep -v 'ps$' | grep -c 'Z\\|unshare-rs'";
        assert_eq!(script(text).out, "0\n");
    }
}

mod as_root {
    use tests::accounts::unused_id;

    use super::*;

    #[test]
    #[ignore = "needs root, setpriv and newuidmap"]
    fn where_newuidmap_refuses_the_own_id_alone_is_mapped() {
        // no account has this id
        let id = unused_id();
        let text = format!(
            "unshare --mount sh -ec 'f=$(mktemp); echo {id}:100000:65536 >$f; chmod 644 $f; mount --bind $f /etc/subuid
            mount --bind $f /etc/subgid; rm $f
            exec setpriv --reuid={id} --regid={id} --clear-groups '$T' -- cat /proc/self/uid_map /proc/self/gid_map'"
        );
        let ran = script(&text);
        let line = format!("         0 {id:>10}          1\n");
        assert_eq!((ran.status, ran.out), (0, line.repeat(2)), "{}", ran.err);
        let why = format!("newuidmap maps nothing for this process: user {id} has no account");
        assert_eq!(ran.err, format!("unshare-rs: only user 0 and group 0 exist inside: {why}\n"));
    }

    #[test]
    #[ignore = "needs root and setpriv"]
    fn root_without_the_right_to_mount_maps_every_id_and_is_told_what_a_map_takes() {
        let text = "setpriv --bounding-set=-sys_admin $T -- sh -c 'cat /proc/self/uid_map; cat /proc/self/setgroups'";
        assert_eq!(script(text).ok(), "         0          0 4294967295\nallow\n");
        let ran = script("setpriv --bounding-set=-sys_admin,-setfcap $T -- true");
        assert_eq!(ran.status, 125);
        let hint = "unshare-rs: hint: a map with user 0 needs CAP_SETFCAP outside: \
            --cap-add SETFCAP (docker, podman), or run as another user\n";
        assert!(ran.err.ends_with(hint), "{}", ran.err);
    }

    #[test]
    #[ignore = "needs root"]
    fn runs_at_once_with_userns_auto_have_different_ids_that_no_account_has() {
        let run = "$T --userns auto sh -c 'cat /proc/self/uid_map; read -r line <go'";
        let text = format!(
            "d=$(mktemp -d); cd $d; chmod 755 .; mkfifo -m 644 go
            for run in 1 2 3 4 5 6; do {run} >map$run & done
            until [ $(cat map* | wc -l) = 6 ]; do sleep 0.02; done
            exec 3<>go; echo 1 >&3; echo 2 >&3; echo 3 >&3; echo 4 >&3; echo 5 >&3; echo 6 >&3; wait
            sort -u map* | wc -l; cat map* | while read -r inside first count; do
            echo $inside $count $((first % 65536)); getent passwd $first; done | sort -u; cd /; rm -r $d"
        );
        assert_eq!(script(&text).ok(), "6\n0 65536 0\n");
    }
}

//! Limits of time, for all processes of a group together.

use super::*;

mod anywhere {
    use super::*;

    #[test]
    fn a_run_that_becomes_its_command_cannot_end_it() {
        for (options, wrong) in [
            (
                vec!["--exec", "--cpu-time", "1"],
                "the argument '--exec' cannot be used with '--cpu-time <SECONDS>'",
            ),
            (
                vec!["-g", ":x", "--wall-time", "1"],
                "the argument '--group <CONTROLLERS:PATH>' cannot be used with",
            ),
            (
                vec!["--cpu-time", "0"],
                "invalid value '0' for '--cpu-time <SECONDS>': the time must be more than 0",
            ),
            (
                vec!["--wall-time", "1y"],
                "invalid value '1y' for '--wall-time <SECONDS>': expected seconds, or a number with",
            ),
            (
                vec!["--manager", "none", "--wall-time", "1"],
                "'--manager none' creates no group, and limits, reports and names need one",
            ),
        ] {
            let ended = shell(&options, "echo ran").ended(End::Exit(125));
            assert!(ended.err().starts_with(&format!("cgexec-rs: {wrong}")), "{}", ended.err());
            assert_eq!(ended.out(), "");
        }
    }
}

/// For each machine where root can create groups, including the VM with only version 1.
pub fn processor_time_of_all_processes_is_one_sum() {
    let two = "while :; do :; done & while :; do :; done";
    // most of the time was used by children that have ended
    let many = "while :; do sh -c 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done'; done";
    for script in [two, many] {
        once_of_five(|| {
            let ended = shell(&["--cpu-time", "0.5", "--report=json"], script).ended(End::Signal(15));
            let line = "cgexec-rs: the limit of 0.5 s of processor time was hit: SIGTERM to ";
            assert!(ended.err().starts_with(line), "{}", ended.err());
            let report = reported(&ended);
            assert_eq!(report.text("reason"), "cputime");
            let used = report.number("cpu/usage_usec");
            // the kernel updates its counter at every tick
            assert!(used >= 0.49e6, "{used}");
            if used < 0.6e6 { Ok(()) } else { Err(format!("{used} microseconds")) }
        });
    }
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root"]
    fn a_limit_of_processor_time_is_over_all_processes() {
        processor_time_of_all_processes_is_one_sum();
    }

    #[test]
    #[ignore = "needs root"]
    fn a_command_that_takes_too_long_is_ended() {
        let ended = shell(&["--wall-time", "0.3", "--report"], "sleep 60 & sleep 60");
        let err = ended.ended(End::Signal(15)).err();
        let first = "cgexec-rs: the limit of 0.3 s was hit: SIGTERM to ";
        let wall = err.split("\ncgexec-rs: signal 15, wall ").nth(1).and_then(|rest| rest.split_once(" s,"));
        let wall: f64 = wall.expect(&err).0.parse().unwrap();
        // the start of the run counts, too
        assert!(err.starts_with(first) && (0.3..10.0).contains(&wall), "{err}");
        assert!(err.contains(", reason: wall time"), "{err}");
    }

    #[test]
    #[ignore = "needs root"]
    fn what_does_not_end_when_it_is_asked_to_is_killed() {
        // the command ignores SIGTERM from its first moment on
        let script = "trap '' TERM; exec \"$0\" --wall-time 0.2 --kill-after 0.3 --report=json -- \
            sh -c 'while :; do sleep 0.05; done'";
        let ended = Run::new("sh").args(["-c", script]).arg(program()).end().ended(End::Signal(9));
        assert!(
            ended.err().contains("\ncgexec-rs: still running after 0.3 s: SIGKILL to "),
            "{}",
            ended.err()
        );
        let report = reported(&ended);
        assert_eq!(report.text("reason"), "walltime");
        assert!(report.number("wall_usec") >= 0.5e6);
        is_gone(&report);
    }

    #[test]
    #[ignore = "needs root"]
    fn a_stopped_command_takes_its_end_too() {
        let ended = shell(&["--wall-time", "0.2"], "kill -STOP $$; echo went on").ended(End::Signal(15));
        assert_eq!(ended.out(), "");
    }

    #[test]
    #[ignore = "needs root"]
    fn within_its_time_a_command_ends_as_it_does_and_in_silence() {
        let ended =
            shell(&["--wall-time", "1h", "--cpu-time", "60"], "echo fine; exit 7").ended(End::Exit(7));
        assert_eq!((ended.out().as_str(), ended.err().as_str()), ("fine\n", ""));
    }
}

//! Correct numbers, written to the right place.

use super::*;

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root"]
    fn a_strangers_kill_is_not_called_a_limit() {
        let ended = shell(&["-m", "50M"], "kill -9 $$").ended(End::Signal(9));
        assert_eq!(ended.err(), "cgexec-rs: SIGKILL came from elsewhere, not from the memory limit\n");
    }

    #[test]
    #[ignore = "needs root"]
    fn a_report_goes_to_its_file() {
        let scratch = Scratch::new();
        let file = scratch.path("report");
        let file = file.to_str().unwrap();
        let ended = shell(&["--report=json", "--report-file", file], "exit 3").ended(End::Exit(3));
        assert_eq!(ended.err(), "");
        assert_eq!(parse(&fs::read_to_string(file).unwrap()).unwrap().number("exit/code"), 3.0);
        assert_eq!(fs::metadata(file).unwrap().mode() & 0o111, 0);
        let pipe = scratch.path("pipe").display().to_string();
        Run::new("mkfifo").arg(&pipe).end().ok();
        let ended = shell(&["--report-file", &pipe, "--pids-limit", "9"], "exit 3").ended(End::Exit(3));
        assert_eq!(
            ended.err(),
            format!("cgexec-rs: cannot write the report to {pipe}: no process reads the pipe\n")
        );
    }

    #[test]
    #[ignore = "needs root"]
    fn the_parts_of_a_report_are_not_more_than_the_whole() {
        for script in ["true", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"] {
            let report = reported(&shell(&["--report=json"], script).ended(End::Exit(0)));
            let part = |name: &str| report.number(&format!("cpu/{name}"));
            assert!(part("user_usec") + part("system_usec") <= part("usage_usec"), "{report:?}");
            assert!(part("usage_usec") <= report.number("wall_usec") * 64.0, "{report:?}");
        }
    }

    #[test]
    #[ignore = "needs root"]
    fn a_machine_without_swap_reports_none() {
        let used = fs::read_to_string("/proc/swaps").unwrap().lines().count() > 1;
        let ended = shell(&["-m", "50M", "--report=json"], &eats(4)).ended(End::Exit(0));
        let line = ended.err();
        assert!(used || !line.contains("swap_peak") || line.contains("\"swap_peak\":0"), "{line}");
        assert_eq!(line.matches("usage_usec").count(), 1, "{line}");
    }

    #[test]
    #[ignore = "needs root"]
    fn a_report_does_not_take_real_time_scheduling_away() {
        let chrt = "chrt -r 10 true";
        if Run::new("sh").args(["-c", chrt]).end().err().is_empty() {
            let ended = shell(&["--report=json"], chrt).ended(End::Exit(0));
            reported(&ended);
        }
    }
}

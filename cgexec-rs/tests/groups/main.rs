//! Groups in a real kernel: limits that hold, the lines at the end, and nothing left behind.
#![cfg(test)]

mod anywhere;
mod delegated;
mod devices;
mod hints;
mod hostile;
mod in_v1;
mod in_vm;
mod leftovers;
mod moving;
mod reports;
mod time;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use tests::json_schema::{Fields as _, Value, parse, validate};
use tests::{End, Ended, Run, Scratch, tools};

/// The VM has no cargo; CARGO_BIN_EXE is a path on the build machine.
fn program() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_cgexec-rs"));
    if built.is_file() { built.to_path_buf() } else { tools().cgexec() }
}

fn cgexec(args: &[&str]) -> Run {
    Run::new(program()).args(args)
}

fn shell(options: &[&str], script: &str) -> Ended {
    let mut args = options.to_vec();
    args.extend(["--", "sh", "-c", script]);
    cgexec(&args).end()
}

/// All our groups that this process can see.
fn groups() -> Vec<PathBuf> {
    fn below(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with("cgexec-") {
                    found.push(entry.path());
                }
                below(&entry.path(), found);
            }
        }
    }
    let mut found = Vec::new();
    below(Path::new("/sys/fs/cgroup"), &mut found);
    found.sort();
    found
}

/// All groups of this name.
fn groups_named(name: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let groups =
        mounts.lines().filter(|line| line.contains(" cgroup")).filter_map(|line| line.split(' ').nth(1));
    groups.map(|mount| Path::new(mount).join(name)).filter(|path| path.is_dir()).collect()
}

/// The groups of a run, in all hierarchies.
#[track_caller]
fn is_gone(report: &Value) {
    let group = PathBuf::from(report.text("group"));
    let name = group.file_name().unwrap();
    let left: Vec<PathBuf> = groups().into_iter().filter(|path| path.file_name() == Some(name)).collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}

/// Runs again until no group's path contains `name`: a run leaves alone what another one is looking at.
#[track_caller]
fn until_removed(run: impl Fn() -> Ended, name: &str) {
    tests::deadline::until("a later run to remove the group", || {
        run().ended(End::Exit(0));
        (!groups().iter().any(|path| path.to_string_lossy().contains(name))).then_some(())
    });
}

#[track_caller]
fn reported(ended: &Ended) -> Value {
    let err = ended.err();
    let line = err.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("no report in {err}"));
    let json = parse(line).unwrap();
    let schema = parse(include_str!("../../report.schema.json")).unwrap();
    assert_eq!(validate(&schema, &json, ""), [""; 0], "{line}");
    json
}

/// The number of processes that sleep for this time.
fn asleep(seconds: &str) -> usize {
    let words = format!("sleep\0{seconds}\0");
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|own| own == words.as_bytes()))
        .count()
}

/// What holds in one measurement of five, because other load on the machine can only lower it.
#[track_caller]
fn once_of_five(mut measure: impl FnMut() -> Result<(), String>) {
    let mut fell_short = Vec::new();
    while let Err(why) = measure() {
        fell_short.push(why);
        assert!(fell_short.len() < 5, "{fell_short:?}");
    }
}

/// Uses this many MiB of memory, in one process.
fn eats(mib: u32) -> String {
    format!("x=$(head -c {} /dev/zero | tr '\\0' x); : ${{#x}}", mib << 20)
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root"]
    fn a_memory_limit_kills_and_says_so() {
        let options = ["-m", "20M", "--memory-swap-max", "0", "--report=json"];
        let ended = shell(&options, "exec tail /dev/zero").ended(End::Signal(9));
        assert!(
            ended.err().contains("cgexec-rs: the memory limit of 20 MiB was hit: 1 process killed\n"),
            "{}",
            ended.err()
        );
        let report = reported(&ended);
        assert_eq!(report.text("reason"), "oom-own-limit");
        let peak = report.number("memory/peak");
        assert!((19e6..=21.5e6).contains(&peak), "{peak}");
        is_gone(&report);
    }

    #[test]
    #[ignore = "needs root"]
    fn within_its_limits_a_command_runs_in_silence() {
        let ended = shell(&["-m", "60M", "--pids-limit", "20", "--cpus", "1"], "echo fine; exit 7");
        let ended = ended.ended(End::Exit(7));
        assert_eq!((ended.out().as_str(), ended.err().as_str()), ("fine\n", ""));
    }

    #[test]
    #[ignore = "needs root"]
    fn a_limit_of_twenty_processes_stops_the_twenty_first() {
        // the shell is the first process
        let all_but_one = "for i in $(seq 19); do sleep 30 & done; echo twenty";
        let ended = shell(&["--pids-limit", "20"], &format!("{all_but_one}; sleep 30 & echo more"));
        assert_eq!(ended.out(), "twenty\n");
        assert!(ended.err().contains("cgexec-rs: the limit of 20 processes was hit: "), "{}", ended.err());
        let ended = shell(&["--pids-limit", "20"], all_but_one).ended(End::Exit(0));
        assert_eq!((ended.out().as_str(), ended.err().as_str()), ("twenty\n", ""));
    }

    #[test]
    #[ignore = "needs root"]
    fn half_a_processor_is_half_a_processor() {
        once_of_five(|| {
            let script = "timeout 2 sh -c 'while :; do :; done'; true";
            let ended = shell(&["--cpus", "0.5", "--report=json"], script);
            let report = reported(&ended.ended(End::Exit(0)));
            let part = report.number("cpu/usage_usec") / report.number("wall_usec");
            assert!(part <= 0.55, "{part}");
            if part >= 0.45 { Ok(()) } else { Err(format!("{part} of a processor")) }
        });
    }

    #[test]
    #[ignore = "needs root"]
    fn a_limit_that_does_not_hold_is_an_error_and_a_rounding_is_told() {
        let ended = shell(&["--cpuset-cpus", "4000"], "echo ran").ended(End::Exit(125));
        assert!(ended.err().contains("hint: the group above has 0"), "{}", ended.err());
        assert_eq!(ended.out(), "");
        let ended = shell(&["-m", "10000001"], "echo ran").ended(End::Exit(0));
        assert!(ended.err().ends_with(" instead of 10000001 bytes\n"), "{}", ended.err());
    }

    #[test]
    #[ignore = "needs root"]
    fn what_may_be_left_out_is_left_out_aloud() {
        let ended =
            shell(&["--try", "--set", "pids.nonesuch=1", "--set", "x.y=1", "--pids-limit", "9"], "echo ran");
        let ended = ended.ended(End::Exit(0));
        assert_eq!(ended.out(), "ran\n");
        assert!(
            ended.err().contains("cgexec-rs: did not limit x.y to 1: no mounted hierarchy"),
            "{}",
            ended.err()
        );
        assert!(
            ended.err().contains("cgexec-rs: cannot limit pids.nonesuch to 1: write("),
            "{}",
            ended.err()
        );
    }

    #[test]
    #[ignore = "needs root"]
    fn processors_that_do_not_exist_are_skipped() {
        // in version 1 a group without processors accepts no process
        let ended = shell(&["--try", "--cpuset-cpus", "4000", "--pids-limit", "9"], "echo ran");
        let ended = ended.ended(End::Exit(0));
        assert_eq!(ended.out(), "ran\n");
        let line = "cgexec-rs: cannot limit the processors to 4000: ";
        assert!(ended.err().starts_with(line), "{}", ended.err());
    }

    #[test]
    #[ignore = "needs root"]
    fn processors_are_those_of_the_list() {
        let ended =
            shell(&["--cpuset-cpus", "0"], "grep Cpus_allowed_list /proc/self/status").ended(End::Exit(0));
        assert_eq!(ended.out(), "Cpus_allowed_list:\t0\n");
    }

    #[test]
    #[ignore = "needs root"]
    fn the_command_sees_its_group_as_the_root_unless_it_is_told_not_to() {
        let own = "grep '^0::' /proc/self/cgroup";
        let root = shell(&[], own).ended(End::Exit(0)).out();
        assert!(["0::/\n", "0::/cmd\n"].contains(&root.as_str()), "{root}");
        let seen = shell(&["--no-cgroupns"], own).ended(End::Exit(0)).out();
        assert!(seen.contains("/cgexec-"), "{seen}");
    }

    #[test]
    #[ignore = "needs root"]
    fn the_limit_of_processes_that_was_hit_is_the_one_that_is_named() {
        let program = program();
        let forks = "for i in 1 2 3 4 5 6 7 8 9; do sleep 100 & done; wait";
        let nested =
            |inner: &str| format!("{} --pids-limit {inner} -- sh -c '{forks}'; true", program.display());
        let lines = |ended: Ended| {
            let err = ended.err();
            err.lines().filter(|line| line.starts_with("cgexec-rs: ")).map(str::to_string).collect::<Vec<_>>()
        };
        let outer = lines(shell(&["--pids-limit", "6"], &nested("50")));
        // the outer group is the root of the inner run's cgroup namespace, or above it
        let is_above = ["a limit of processes outside the cgroup namespace", "a limit of processes above"]
            .iter()
            .any(|line| outer[0].starts_with(&format!("cgexec-rs: {line}")));
        assert!(is_above, "{outer:#?}");
        // if each group counts its own refusals, those of the inner one are lost with it
        let rest = &outer[1..];
        let own = |line: &String| line.starts_with("cgexec-rs: the limit of 6 processes was hit: ");
        assert!(rest.iter().all(own), "{outer:#?}");
        let inner = lines(shell(&["--pids-limit", "50"], &nested("4")));
        assert!(inner[0].starts_with("cgexec-rs: the limit of 4 processes was hit: "), "{inner:#?}");
        assert!(!inner.iter().any(|line| line.contains("50")), "{inner:#?}");
    }
}

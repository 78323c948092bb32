//! Groups of a real kernel: limits that hold, what is said afterwards, and nothing left.
#![cfg(test)]

mod anywhere;
mod delegated;
mod devices;
mod hints;
mod hostile;
mod in_v1;
mod in_vm;
mod moving;
mod reports;
mod time;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use tests::json_schema::{Fields as _, Value, parse, validate};
use tests::{End, Ended, Run, Scratch, tools};

fn cgexec(args: &[&str]) -> Run {
    // the VM has no cargo; CARGO_BIN_EXE is of the machine that built this
    let built = Path::new(env!("CARGO_BIN_EXE_cgexec-rs"));
    let program = if built.is_file() { built.to_path_buf() } else { tools().cgexec() };
    Run::new(program).args(args)
}

fn shell(options: &[&str], script: &str) -> Ended {
    let mut args = options.to_vec();
    args.extend(["--", "sh", "-c", script]);
    cgexec(&args).end()
}

/// Every group of ours that this process can see.
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

/// Every group of this name.
fn groups_named(name: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let groups =
        mounts.lines().filter(|line| line.contains(" cgroup")).filter_map(|line| line.split(' ').nth(1));
    groups.map(|mount| Path::new(mount).join(name)).filter(|path| path.is_dir()).collect()
}

/// The groups of a run, in every hierarchy.
#[track_caller]
fn is_gone(report: &Value) {
    let group = PathBuf::from(report.text("group"));
    let name = group.file_name().unwrap();
    let left: Vec<PathBuf> = groups().into_iter().filter(|path| path.file_name() == Some(name)).collect();
    assert_eq!(left, Vec::<PathBuf>::new());
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

/// How many processes sleep for so long.
fn asleep(seconds: &str) -> usize {
    let words = format!("sleep\0{seconds}\0");
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|own| own == words.as_bytes()))
        .count()
}

/// What holds in one measurement of five: whatever else runs on the machine only takes away.
#[track_caller]
fn once_of_five(mut measure: impl FnMut() -> Result<(), String>) {
    let mut fell_short = Vec::new();
    while let Err(why) = measure() {
        fell_short.push(why);
        assert!(fell_short.len() < 5, "{fell_short:?}");
    }
}

/// Uses so many MiB of memory, in one process.
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
        // the shell is the first
        let all_but_one = "for i in $(seq 19); do sleep 30 & done; echo twenty";
        let ended = shell(&["--pids-limit", "20"], &format!("{all_but_one}; sleep 30 & echo more"));
        assert_eq!(ended.out(), "twenty\n");
        assert!(ended.err().contains("cgexec-rs: the limit of 20 processes was hit: "), "{}", ended.err());
        let ended = shell(&["--pids-limit", "20"], all_but_one).ended(End::Exit(0));
        assert_eq!((ended.out().as_str(), ended.err().as_str()), ("twenty\n", ""));
    }

    #[test]
    #[ignore = "needs root"]
    fn a_fork_bomb_stays_in_its_group_and_leaves_nothing() {
        // what the bomb says would end up in the middle of the report
        let bomb = "exec 2>/dev/null; b() { b | b & }; b; sleep 0.3; exit 4";
        let ended = shell(&["--pids-limit", "30", "--report=json"], bomb);
        let report = reported(&ended);
        assert!(report.number("pids/peak") <= 30.0);
        assert!(report.number("pids/denied") > 0.0);
        is_gone(&report);
    }

    #[test]
    #[ignore = "needs root"]
    fn a_second_run_below_a_parent_named_after_a_controller_leaves_the_first_alone() {
        // both groups of a run have "memory" in their path, and each needs its own lock
        let name = format!("cgtest-{}/memory", std::process::id());
        let parents = ["memory", "pids"].map(|kind| Path::new("/sys/fs/cgroup").join(kind).join(&name));
        if !Path::new("/sys/fs/cgroup/memory/tasks").exists() {
            // version 2 has one group for both
            return;
        }
        parents.iter().for_each(|parent| fs::create_dir_all(parent).unwrap());
        let options = ["--parent", &name, "--memory", "50M", "--pids-limit", "5", "--"];
        let first = cgexec(&options).args(["sleep", "60"]).start();
        tests::deadline::until("the first command to be in its group", || {
            let groups = fs::read_dir(&parents[0]).ok()?.flatten();
            let mut procs = groups.filter_map(|group| fs::read_to_string(group.path().join("tasks")).ok());
            procs.any(|procs| !procs.is_empty()).then_some(())
        });
        let second = cgexec(&options).args(["echo", "fine"]).end();
        // one that was killed meanwhile has ended by SIGKILL
        let _ = kill(first.pid(), Signal::SIGTERM);
        let ended = first.end();
        for parent in parents {
            fs::remove_dir(&parent).unwrap();
            fs::remove_dir(parent.parent().unwrap()).unwrap();
        }
        second.ended(End::Exit(0));
        ended.ended(End::Signal(15));
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
            ended.err().contains("cgexec-rs: does not limit x.y to 1: no mounted hierarchy"),
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
    fn processors_that_nobody_has_are_left_out_too() {
        // in version 1 a group without processors takes no process
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
    fn what_left_its_session_ends_with_the_command() {
        let script = "setsid sleep 1000 >&2 & echo $!; until grep -q sleep /proc/$!/comm; do :; done";
        let ended = shell(&["--report=json"], script).ended(End::Exit(0));
        let report = reported(&ended);
        assert_eq!(report.number("leftovers"), 1.0);
        // dead; whoever inherited it may not have looked yet
        let status = fs::read_to_string(format!("/proc/{}/status", ended.out().trim())).unwrap_or_default();
        assert!(status.is_empty() || status.contains("State:\tZ"), "{status}");
        is_gone(&report);
    }

    #[test]
    #[ignore = "needs root"]
    fn with_exec_the_process_id_stays_and_a_later_run_removes_the_group() {
        let script = "echo $$; exec \"$0\" --exec -- sh -c 'echo $$; cat /proc/self/cgroup'";
        let program = env!("CARGO_BIN_EXE_cgexec-rs");
        let program = if Path::new(program).is_file() {
            program.to_string()
        } else {
            tools().cgexec().display().to_string()
        };
        let ended = Run::new("sh").args(["-c", script, &program]).end().ended(End::Exit(0));
        let out = ended.out();
        let mut lines = out.lines();
        assert_eq!(lines.next(), lines.next());
        shell(&[], "true").ended(End::Exit(0));
        let left: Vec<PathBuf> =
            groups().into_iter().filter(|path| path.to_string_lossy().contains("cgexec-exec-")).collect();
        assert_eq!(left, Vec::<PathBuf>::new());
    }

    #[test]
    #[ignore = "needs root"]
    fn a_kept_group_is_kept_and_one_of_that_name_can_be_joined() {
        let name = format!("kept-{}", std::process::id());
        // no report: on a hybrid host it would bring a group of each hierarchy that counts
        let ended = shell(&["--keep", "--name", &name, "--no-cgroupns"], "grep '^0::' /proc/self/cgroup");
        let out = ended.ended(End::Exit(0)).out();
        // in a leaf, where there are controllers to hand on
        let own = out.trim().trim_start_matches("0::/").trim_end_matches("/cmd");
        let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
        let group = mounts.iter().map(|mount| Path::new(mount).join(own)).find(|path| path.is_dir());
        let group = group.expect("the kept group");
        if group.join("cmd").is_dir() {
            fs::remove_dir(group.join("cmd")).unwrap();
        }
        fs::remove_dir(group).unwrap();
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
    fn sixty_four_at_once_do_not_collide() {
        let script = "for i in $(seq 64); do \"$0\" --pids-limit 10 --report=json -- true & done; wait";
        let program = env!("CARGO_BIN_EXE_cgexec-rs");
        let program = if Path::new(program).is_file() {
            program.to_string()
        } else {
            tools().cgexec().display().to_string()
        };
        let ended = Run::new("sh").args(["-c", script, &program]).end().ended(End::Exit(0));
        let err = ended.err();
        let reports: Vec<Value> =
            err.lines().map(|line| parse(line).unwrap_or_else(|_| panic!("{line}"))).collect();
        assert_eq!(reports.len(), 64);
        reports.iter().for_each(is_gone);
    }

    #[test]
    #[ignore = "needs root"]
    fn what_a_killed_run_left_is_gone_after_the_next() {
        let running = cgexec(&[
            "--pids-limit",
            "9",
            "--no-cgroupns",
            "--",
            "sh",
            "-c",
            "setsid sleep 1000 & grep -h '' /proc/self/cgroup; wait",
        ])
        .start();
        let pid = running.pid();
        let group = tests::deadline::until("the group of the run", || {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
            let own = fs::read_to_string(format!("/proc/{}/cgroup", children.split(' ').next()?)).ok()?;
            let line =
                own.lines().find(|line| line.starts_with("0::"))?.rsplit_once("/cgexec-")?.1.to_string();
            Some(line)
        });
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        running.end().ended(End::Signal(9));
        shell(&["--pids-limit", "9"], "true").ended(End::Exit(0));
        let left: Vec<PathBuf> =
            groups().into_iter().filter(|path| path.to_string_lossy().contains(&group)).collect();
        assert_eq!(left, Vec::<PathBuf>::new());
    }

    #[test]
    #[ignore = "needs root"]
    fn many_runs_and_many_killed_ones_leave_nothing_after_one_more() {
        let before = groups();
        let full = std::env::var_os("CHAIN_LOAD").is_some_and(|load| load == "full");
        let (runs, killed) = if full { (1000, 100) } else { (50, 10) };
        for _ in 0..runs {
            shell(&["--pids-limit", "9"], ":").ended(End::Exit(0));
        }
        for number in 0..killed {
            let script =
                "setsid sleep 98764 >/dev/null 2>&1 </dev/null & sleep 98764 >/dev/null 2>&1 </dev/null";
            let running = cgexec(&["-m", "50M", "--pids-limit", "9", "--", "sh", "-c", script]).start();
            // at another moment each time, from before its first call on
            std::thread::sleep(std::time::Duration::from_micros(number * 200));
            nix::sys::signal::kill(running.pid(), nix::sys::signal::Signal::SIGKILL).unwrap();
            running.end();
        }
        // without limits: what was killed had groups in hierarchies that this run needs not
        // one more is enough where the last killed one is dead by then, which takes a moment
        tests::deadline::until("one more run to leave nothing", || {
            shell(&[], "true").ended(End::Exit(0));
            groups().iter().all(|path| before.contains(path)).then_some(())
        });
        assert_eq!(asleep("98764"), 0);
    }

    #[test]
    #[ignore = "needs root"]
    fn a_kept_group_of_a_run_that_failed_is_not_kept() {
        let before = groups();
        let name = format!("refused-{}", std::process::id());
        for limit in ["pids.max=many", "memory.nonesuch=1"] {
            shell(&["--keep", "--name", &name, "--set", limit], "echo ran").ended(End::Exit(125));
        }
        let left: Vec<PathBuf> = ["", "pids", "memory", "unified", "freezer"]
            .map(|hierarchy| Path::new("/sys/fs/cgroup").join(hierarchy).join(&name))
            .into_iter()
            .filter(|group| group.is_dir())
            .collect();
        assert_eq!(left, Vec::<PathBuf>::new());
        assert!(groups().iter().all(|group| before.contains(group) || !group.ends_with(&name)));
    }

    #[test]
    #[ignore = "needs root"]
    fn the_limit_of_processes_that_was_hit_is_the_one_that_is_named() {
        let program = Path::new(env!("CARGO_BIN_EXE_cgexec-rs"));
        let program = if program.is_file() { program.to_path_buf() } else { tools().cgexec() };
        let forks = "for i in 1 2 3 4 5 6 7 8 9; do sleep 0.5 & done; wait";
        let nested =
            |inner: &str| format!("{} --pids-limit {inner} -- sh -c '{forks}'; true", program.display());
        let lines = |ended: Ended| {
            let err = ended.err();
            err.lines().filter(|line| line.starts_with("cgexec-rs: ")).map(str::to_string).collect::<Vec<_>>()
        };
        let outer = lines(shell(&["--pids-limit", "6"], &nested("50")));
        assert!(outer[0].starts_with("cgexec-rs: the limit of processes of "), "{outer:#?}");
        // where each group counts its own refusals, those of the inner one are gone with it
        let rest = &outer[1..];
        let own = |line: &String| line.starts_with("cgexec-rs: the limit of 6 processes was hit: ");
        assert!(rest.iter().all(own), "{outer:#?}");
        let inner = lines(shell(&["--pids-limit", "50"], &nested("4")));
        assert!(inner[0].starts_with("cgexec-rs: the limit of 4 processes was hit: "), "{inner:#?}");
        assert!(!inner.iter().any(|line| line.contains("50")), "{inner:#?}");
    }
}

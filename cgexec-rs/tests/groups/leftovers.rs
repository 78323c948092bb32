//! What a run leaves: its group as long as it is wanted, and after a killed run nothing.

use super::*;

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root"]
    fn a_fork_bomb_stays_in_its_group_and_leaves_nothing() {
        let scratch = Scratch::new();
        // until a fork is refused; the bomb's output would otherwise be mixed with the report
        let said = scratch.path("said").display().to_string();
        let bomb = format!("exec 2>{said}; b() {{ b | b & }}; b; until [ -s {said} ]; do :; done; exit 4");
        let ended = shell(&["--pids-limit", "30", "--report=json"], &bomb);
        let report = reported(&ended);
        assert!(report.number("pids/peak") <= 30.0);
        assert!(report.number("pids/denied") > 0.0);
        is_gone(&report);
    }

    #[test]
    #[ignore = "needs root"]
    fn a_run_without_descriptors_leaves_no_group() {
        let name = format!("cgtest-descriptors-{}", std::process::id());
        let mut statuses = Vec::new();
        for limit in 3..16 {
            let limited = Run::new("prlimit").arg(format!("--nofile={limit}")).arg(program());
            let limited =
                limited.args(["--name", &name, "--pids-limit", "20", "--memory", "50M", "--", "true"]);
            let ended = limited.end();
            let left = Run::new("find").args(["/sys/fs/cgroup", "-name", &name]).end().out();
            assert_eq!(left, "", "{limit}: {}", ended.err());
            statuses.push(ended.end);
        }
        // too few at first, and then enough
        assert_eq!((statuses.first(), statuses.last()), (Some(&End::Exit(125)), Some(&End::Exit(0))));
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
        // a run that was killed meanwhile ended by SIGKILL
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
    fn what_left_its_session_ends_with_the_command() {
        let script = "setsid sleep 1000 >&2 & echo $!; until grep -q sleep /proc/$!/comm; do :; done";
        let ended = shell(&["--report=json"], script).ended(End::Exit(0));
        let report = reported(&ended);
        assert_eq!(report.number("leftovers"), 1.0);
        // dead, but its new parent may not have waited yet
        let status = fs::read_to_string(format!("/proc/{}/status", ended.out().trim())).unwrap_or_default();
        assert!(status.is_empty() || status.contains("State:\tZ"), "{status}");
        is_gone(&report);
    }

    #[test]
    #[ignore = "needs root"]
    fn with_exec_the_process_id_stays_and_a_later_run_removes_the_group() {
        let script = "echo $$; exec \"$0\" --exec --no-cgroupns -- sh -c 'echo $$; cat /proc/self/cgroup'";
        let ended = Run::new("sh").args(["-c", script]).arg(program()).end().ended(End::Exit(0));
        let out = ended.out();
        let mut lines = out.lines();
        assert_eq!(lines.next(), lines.next());
        // other tests leave such groups at the same time
        let own: Vec<&str> = out.split(['/', '\n']).filter(|name| name.starts_with("cgexec-exec-")).collect();
        assert!(!own.is_empty(), "{out}");
        own.iter().for_each(|name| until_removed(|| shell(&[], "true"), name));
    }

    #[test]
    #[ignore = "needs root"]
    fn a_kept_group_is_kept_and_one_of_that_name_can_be_joined() {
        let name = format!("kept-{}", std::process::id());
        // no report: on a hybrid host it needs a group in each hierarchy with a counter
        let ended = shell(&["--keep", "--name", &name, "--no-cgroupns"], "grep '^0::' /proc/self/cgroup");
        let out = ended.ended(End::Exit(0)).out();
        // in a leaf, if there are controllers
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
    fn sixty_four_at_once_do_not_collide() {
        let script = "for i in $(seq 64); do \"$0\" --pids-limit 10 --report=json -- true & done; wait";
        let ended = Run::new("sh").args(["-c", script]).arg(program()).end().ended(End::Exit(0));
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
            "setsid sleep 1000 >/dev/null 2>&1 & grep -h '' /proc/self/cgroup; wait",
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
        until_removed(|| shell(&["--pids-limit", "9"], "true"), &group);
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
            // at another moment each time, from before the first call on
            std::thread::sleep(std::time::Duration::from_micros(number * 200));
            nix::sys::signal::kill(running.pid(), nix::sys::signal::Signal::SIGKILL).unwrap();
            running.end();
        }
        // without limits: the killed runs had groups in hierarchies that this run does not need
        // one more run is enough once the last killed one is dead, which takes a moment
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
}

//! Processes that are already running.

use super::*;

/// The groups of a process, except those that it shares with this test.
fn new_groups(pid: i32) -> Vec<String> {
    let of = |pid: &str| fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let own = of("self");
    of(&pid.to_string()).lines().filter(|line| !own.contains(line)).map(str::to_string).collect()
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root"]
    fn a_running_process_gets_a_limit_and_its_group_goes_when_it_has_ended() {
        let sleeper = Run::new("sleep").arg("60").start();
        let pid = sleeper.pid();
        let moved = cgexec(&["--move", "--pids-limit", "7", &pid.to_string()]).end().ended(End::Exit(0));
        let groups = new_groups(pid.as_raw());
        let _ = kill(pid, Signal::SIGTERM);
        sleeper.end().ended(End::Signal(15));
        assert_eq!((moved.out(), moved.err()), (String::new(), String::new()));
        assert!(
            !groups.is_empty() && groups.iter().all(|group| group.contains("/cgexec-exec-")),
            "{groups:?}"
        );
        let name = groups[0].rsplit('/').next().unwrap().to_string();
        until_removed(|| shell(&[], "true"), &name);
    }

    #[test]
    #[ignore = "needs root"]
    fn a_running_process_joins_a_group_that_exists_and_others_do_not() {
        let name = format!("moved-{}", std::process::id());
        let ended = shell(
            &["--keep", "--name", &name, "--pids-limit", "9", "--no-cgroupns"],
            "grep pids /proc/self/cgroup || grep '^0::' /proc/self/cgroup",
        );
        let own = ended.ended(End::Exit(0)).out();
        let own = own.trim().rsplit(':').next().unwrap().trim_start_matches('/').to_string();
        let sleeper = Run::new("sleep").arg("60").start();
        let pid = sleeper.pid();
        let target = format!("pids:{own}");
        let moved = cgexec(&["--move", "-g", &target, &pid.to_string()]).end();
        let groups = new_groups(pid.as_raw());
        let _ = kill(pid, Signal::SIGTERM);
        sleeper.end().ended(End::Signal(15));
        // version 2 has a leaf in it
        for path in super::groups_named(&name) {
            let remove = || {
                let below = ["ns/cmd", "ns", "cmd"].map(|leaf| fs::remove_dir(path.join(leaf)).is_ok());
                (fs::remove_dir(&path).is_ok() || below.contains(&true) && !path.exists()).then_some(())
            };
            tests::deadline::until("the group to be empty", remove);
        }
        assert_eq!(moved.ended(End::Exit(0)).err(), "");
        assert!(groups.len() == 1 && groups[0].contains(&name), "{groups:?}");
    }

    #[test]
    #[ignore = "needs root"]
    fn what_cannot_be_moved_is_said() {
        let ended = cgexec(&["--move", "--pids-limit", "7", "4194304"]).end().ended(End::Exit(125));
        assert!(ended.err().starts_with("cgexec-rs: there is no process 4194304\n"), "{}", ended.err());
        // a kernel thread is in a group, and stays there
        let ended = cgexec(&["--move", "--pids-limit", "7", "2"]).end().ended(End::Exit(125));
        assert!(ended.err().contains("cgexec-rs: hint: "), "{}", ended.err());
        let name = ended.err();
        assert!(name.contains("cannot move process 2 into the group "), "{name}");
    }
}

//! Each hint, followed literally, makes the command run.

use super::*;

/// The hint of a run that failed.
#[track_caller]
fn hint(ended: &Ended) -> String {
    let err = ended.err();
    let hint = err.lines().find_map(|line| line.strip_prefix("cgexec-rs: hint: "));
    hint.unwrap_or_else(|| panic!("no hint in {err}")).to_string()
}

mod anywhere {
    use super::*;

    #[test]
    fn what_is_typed_from_elsewhere_has_its_name_here_or_its_tool() {
        for (typed, answer) in [
            (&["--pid", "host"][..], "docker's --pid host is an option of unshare-rs here: "),
            (&["--cgroup-parent", "/x"], "docker's --cgroup-parent is '--parent PATH' here"),
            (&["--ulimit", "nofile=64"], "docker's --ulimit is this command here: 'prlimit --nofile=1024 "),
            (&["--oom-score-adj=500"], "docker's --oom-score-adj is this command here: 'choom -n 500 -- "),
            (&["--timeout", "5"], "podman's --timeout is '--wall-time SECONDS' here"),
        ] {
            let ended = cgexec(typed).arg("true").end().ended(End::Exit(125));
            assert!(hint(&ended).contains(answer), "{typed:?}: {}", ended.err());
        }
        let ended = cgexec(&["--pids-limit", "host", "true"]).end().ended(End::Exit(125));
        assert!(!ended.err().contains("unshare-rs"), "{}", ended.err());
    }

    #[test]
    fn the_other_tools_do_what_the_hints_say() {
        let limit =
            shell(&["--manager", "none"], "prlimit --nofile=64 sh -c 'ulimit -n'").ended(End::Exit(0));
        assert_eq!(limit.out(), "64\n");
        let score = "choom -n 500 -- cat /proc/self/oom_score_adj";
        assert_eq!(shell(&["--manager", "none"], score).ended(End::Exit(0)).out(), "500\n");
    }
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root"]
    fn a_burst_is_at_most_the_quota() {
        let (file, v1) = ("cpu.max.burst", "cpu.cfs_burst_us");
        let file = if Path::new("/sys/fs/cgroup/cpu/tasks").exists() { v1 } else { file };
        let burst = |usec: &str| shell(&["--cpus", "0.5", "--set", &format!("{file}={usec}")], "echo ran");
        let ended = burst("90000").ended(End::Exit(125));
        assert_eq!(hint(&ended), "a burst cannot be more than the quota of --cpus or --cpu-quota");
        assert_eq!(burst("50000").ended(End::Exit(0)).out(), "ran\n");
    }
}

mod in_vm {
    use super::*;

    #[test]
    #[ignore = "needs the VM"]
    fn a_user_without_systemd_gets_a_group_by_what_root_is_told_to_type() {
        tests::vm::only_here();
        let scratch = Scratch::new();
        let (said, go) =
            (scratch.path("said").display().to_string(), scratch.path("go").display().to_string());
        fs::set_permissions(scratch.path("."), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let tool = tools().cgexec().display().to_string();
        // the shell in the hint waits until the hint has been followed
        let script = format!(
            "{tool} -m 20M --pids-limit 9 true 2>{said}; until [ -e {go} ]; do sleep 0.05; done; \
             {tool} -m 20M --pids-limit 9 echo ran; {tool} -m 20M echo again"
        );
        let user = ["--plain", "--userspec=4242:4242", "/", "sh", "-c", &script];
        let running = Run::new(tools().chroot()).args(user).start();
        let command = tests::deadline::until("the hint", || {
            let text = fs::read_to_string(&said).ok()?;
            let hint = text.lines().find_map(|line| line.strip_prefix("cgexec-rs: hint: as root: "))?;
            text.ends_with('\n').then(|| hint.to_string())
        });
        Run::new("sh").args(["-c", &command]).end().ended(End::Exit(0));
        fs::write(&go, "").unwrap();
        let ended = running.end();
        let group = Path::new("/sys/fs/cgroup/user-4242");
        let removed =
            || fs::remove_dir(group.join("shell")).and_then(|()| fs::remove_dir(group)).is_ok().then_some(());
        tests::deadline::until("the user's group to be empty", removed);
        assert_eq!(ended.ended(End::Exit(0)).out(), "ran\nagain\n", "{command}");
    }

    #[test]
    #[ignore = "needs the VM"]
    fn a_containers_shell_that_is_not_alone_moves_everybody_down() {
        tests::vm::only_here();
        let (tool, unshare) =
            (tools().cgexec().display().to_string(), tools().unshare().display().to_string());
        // as engines set it up: the group is the root of the visible hierarchy, and holds all processes
        let inside = format!(
            "umount /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; sleep 30 & \
             {tool} -m 20M true 2>/tmp/said; follow=$(sed -n 's/^cgexec-rs: hint: move every process down first: //p' /tmp/said); \
             [ -n \"$follow\" ] || cat /tmp/said; (eval \"$follow\") 2>/dev/null; {tool} -m 20M echo ran; kill $!"
        );
        let script = "g=/sys/fs/cgroup/box; mkdir $g; echo +memory >$g/../cgroup.subtree_control; \
             echo 0 >$g/cgroup.procs; \"$0\" --mount --cgroup -- sh -c \"$1\"; \
             echo 0 >/sys/fs/cgroup/cgroup.procs; until rmdir $g/init 2>/dev/null; do :; done; rmdir $g";
        let ended = Run::new("sh").args(["-c", script, &unshare, &inside]).end();
        assert_eq!(ended.out(), "ran\n", "{}", ended.err());
    }

    #[test]
    #[ignore = "needs the VM"]
    fn a_device_that_rdma_does_not_know_is_one_to_look_up() {
        tests::vm::only_here();
        let ended = shell(&["--set", "rdma.max=nosuch hca_handle=2"], "echo ran").ended(End::Exit(125));
        assert_eq!(hint(&ended), "to list the devices: ls /sys/class/infiniband");
    }

    #[test]
    #[ignore = "needs the VM"]
    fn what_systemd_does_not_hand_on_is_limited_at_the_top() {
        tests::vm::only_here();
        let options = ["--manager", "cgroupfs", "--parent", "/", "--hugetlb", "2M=0"];
        assert_eq!(shell(&options, "echo ran").ended(End::Exit(0)).out(), "ran\n");
    }
}

mod in_v1 {
    use super::*;

    /// A group next to ours that has processors of its own.
    struct Exclusive(PathBuf);

    impl Exclusive {
        fn new(processors: &str) -> Self {
            let group = PathBuf::from("/sys/fs/cgroup/cpuset/exclusive");
            fs::create_dir(&group).unwrap();
            for (file, value) in
                [("cpuset.mems", "0"), ("cpuset.cpus", processors), ("cpuset.cpu_exclusive", "1")]
            {
                fs::write(group.join(file), value).unwrap();
            }
            Self(group)
        }
    }

    impl Drop for Exclusive {
        fn drop(&mut self) {
            let _ = fs::remove_dir(&self.0);
        }
    }

    #[test]
    #[ignore = "needs the VM with version 1 alone"]
    fn processors_of_an_exclusive_group_are_avoided_or_shared_again() {
        tests::vm::only_here();
        let _turn = tests::snapshot::turn();
        let on = |processors: &str| shell(&["--cpuset-cpus", processors], "echo ran");
        {
            let _one = Exclusive::new("1");
            let hint = hint(&on("0-1").ended(End::Exit(125)));
            let rest =
                hint.split("; --cpuset-cpus ").nth(1).and_then(|rest| rest.strip_suffix(" uses the rest"));
            let rest = rest.unwrap_or_else(|| panic!("{hint}"));
            assert_eq!(on(rest).ended(End::Exit(0)).out(), "ran\n", "{hint}");
        }
        let _all = Exclusive::new("0-1");
        let hint = hint(&on("0-1").ended(End::Exit(125)));
        let command = hint.split(" keeps other groups out: ").nth(1).unwrap_or_else(|| panic!("{hint}"));
        Run::new("sh").args(["-c", command]).end().ended(End::Exit(0));
        assert_eq!(on("0-1").ended(End::Exit(0)).out(), "ran\n", "{hint}");
    }
}

mod without_memory {
    use super::*;

    #[test]
    #[ignore = "needs the VM whose kernel has no memory controller"]
    fn a_kernel_that_was_started_without_a_controller_is_told_apart() {
        tests::vm::only_here();
        let ended = shell(&["-m", "20M"], "echo ran").ended(End::Exit(125));
        let word = hint(&ended)
            .strip_prefix("the kernel was started without it: remove ")
            .and_then(|rest| rest.strip_suffix(" from its command line and reboot"))
            .map(str::to_string);
        // the other VM is started without that word, and has the controller
        let started_with = fs::read_to_string("/proc/cmdline").unwrap();
        let word = word.unwrap_or_else(|| panic!("{}", ended.err()));
        assert!(started_with.split_whitespace().any(|with| with == word), "{word}: {started_with}");
        let ended = shell(&["--try", "-m", "20M", "--pids-limit", "9"], "echo ran").ended(End::Exit(0));
        assert_eq!(ended.out(), "ran\n");
        assert!(ended.err().starts_with("cgexec-rs: did not limit memory to 20 MiB: "), "{}", ended.err());
    }
}

//! Limits hold, a line reports a limit that was hit, and the group is removed whatever happened.

use std::ffi::OsString;
use std::fs;

use tests::{End, Link, Scratch, Snapshot, tools};

/// cgexec-rs with options, as one link.
fn cgexec(options: &[&str]) -> Link {
    let options = options.iter().map(OsString::from);
    Link::new("cgexec", [tools().cgexec().into()].into_iter().chain(options).chain(["--".into()]))
}

/// The limits, for every caller who can have a group.
mod limits {
    use super::*;

    pub fn a_limit_of_processes_stops_the_next_one_and_is_said() {
        let _before = Snapshot::take();
        // the shell is one of the five, and ends when it gets no sixth
        let script = "for i in 1 2 3 4 5 6 7 8; do sleep 1000 & echo $i; done";
        let ended = cgexec(&["--pids-limit", "5"]).run(["sh", "-c", script]).end();
        assert_eq!(ended.out(), "1\n2\n3\n4\n", "{}", ended.err());
        let said = ended.err();
        let hits =
            said.lines().filter(|line| line.starts_with("cgexec-rs: the limit of 5 processes was hit: "));
        assert_eq!(hits.count(), 1, "{said}");
    }

    pub fn a_limit_of_memory_kills_who_wants_more_and_is_said() {
        let _before = Snapshot::take();
        let root = Scratch::busybox_root();
        let dd = |size: &str| {
            let size = format!("bs={size}");
            cgexec(&["--memory", "30M"])
                .run([
                    root.path("bin/dd").into(),
                    OsString::from("if=/dev/zero"),
                    "of=/dev/null".into(),
                    size.into(),
                    "count=1".into(),
                ])
                .end()
        };
        let fits = dd("5M");
        assert_eq!(fits.end, End::Exit(0), "{}", fits.err());
        assert!(!fits.err().contains("cgexec-rs"), "{}", fits.err());
        let killed = dd("100M");
        assert_eq!(killed.end, End::Signal(9), "{}", killed.err());
        let line = "cgexec-rs: the memory limit of 30 MiB was hit: 1 process killed\n";
        assert_eq!(killed.err(), line);
    }

    pub fn a_fifth_of_a_processor_is_a_fifth_of_the_time() {
        let _before = Snapshot::take();
        // utime in ticks of 10 ms, proc_pid_stat(5), and the time that has passed meanwhile in the same unit: the
        // limit also makes the start of sleep(1) slow
        let script = "now() { IFS='. ' read -r s h _ </proc/uptime; t=$s$h; }; now; a=$t; (while :; do :; done) & sleep 2; \
            read -r _ _ _ _ _ _ _ _ _ _ _ _ _ ticks _ </proc/$!/stat; now; kill -9 $!; echo $ticks $((t - a))";
        let limited = cgexec(&["--cpus", "0.2"]).run(["sh", "-c", script]).end().ok();
        let numbers: Vec<u64> = limited.split_whitespace().map(|number| number.parse().unwrap()).collect();
        let [ticks, all] = numbers[..] else { panic!("two numbers: {limited}") };
        assert!(ticks >= 1 && ticks * 2 < all, "{ticks} of {all} ticks");
    }

    pub fn limits_hold_in_the_whole_chain_in_both_orders() {
        let before = Snapshot::take();
        let root = Scratch::busybox_root();
        let limited = || cgexec(&["--pids-limit", "20", "--memory", "50M"]);
        let chroot = Link::chroot(&root);
        for chain in [
            Link::unshare().then(limited(), "").then(chroot.clone(), "unshare, cgexec, chroot"),
            limited().then(Link::unshare(), "").then(chroot.clone(), "cgexec, unshare, chroot"),
        ] {
            let bomb = "bomb() { bomb | bomb & }; bomb 2>/tmp/refused; until [ -s /tmp/refused ]; do :; done; exit 4";
            let ended = chain.run(["sh", "-c", bomb]).end().ended(End::Exit(4));
            fs::remove_file(root.path("tmp/refused")).unwrap();
            assert!(
                ended.err().contains("the limit of 20 processes was hit"),
                "{}: {}",
                chain.name,
                ended.err()
            );
            before.unchanged();
            let hog = chain.run(["dd", "if=/dev/zero", "of=/dev/null", "bs=100M", "count=1"]).end();
            assert!([End::Signal(9), End::Exit(137)].contains(&hog.end), "{}: {:?}", chain.name, hog.end);
            assert!(
                hog.err().contains("the memory limit of 50 MiB was hit"),
                "{}: {}",
                chain.name,
                hog.err()
            );
            before.unchanged();
        }
    }

    pub fn inside_the_root_the_group_is_the_top_and_its_limit_is_there_to_read() {
        let _before = Snapshot::take();
        let root = Scratch::busybox_root();
        let limited = || cgexec(&["--memory", "50M"]);
        let chroot = Link::chroot(&root);
        let cgroup = ["cat", "/proc/self/cgroup"];
        let memory = ["cat", "/sys/fs/cgroup/memory.max"];
        let on_v2 = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").is_ok();
        let first = Link::unshare().then(limited(), "").then(chroot.clone(), "unshare, cgexec, chroot");
        let last = limited().then(Link::unshare(), "").then(chroot, "cgexec, unshare, chroot");
        for (chain, admin) in [(first, true), (last, nix::unistd::geteuid().is_root())] {
            let own = chain.run(cgroup).end().ok();
            // in version 2 the command is in a group below the one that it sees as the root
            let tops = own.lines().filter(|line| line.ends_with(":/") || *line == "0::/cmd").count();
            // a cgroup namespace needs CAP_SYS_ADMIN, which a user only has under unshare-rs
            assert_eq!(tops == own.lines().count(), admin, "{}: {own}", chain.name);
            let seen = chain.run(memory).end();
            assert_eq!(seen.out(), if on_v2 && admin { "52428800\n" } else { "" }, "{}", chain.name);
        }
    }

    pub fn the_group_goes_whatever_the_command_leaves_in_it() {
        let before = Snapshot::take();
        for script in ["exit 3", "kill -9 $$", "kill -SEGV $$", "setsid sleep 1000 & exit 3"] {
            cgexec(&["--pids-limit", "20"]).run(["sh", "-c", script]).end();
            before.unchanged();
        }
        // the command was never there
        cgexec(&["--pids-limit", "20"]).run(["no-such-command"]).end().ended(End::Exit(127));
    }
}

/// The same tests for each kind of caller who can have a group.
macro_rules! limit_tests {
    ($($test:ident),+ $(,)?) => {
        mod as_root {
            $(
                #[test]
                #[ignore = "needs root and control groups"]
                fn $test() {
                    super::limits::$test();
                }
            )+
        }

        mod delegated {
            $(
                #[test]
                #[ignore = "needs an ordinary user's own control group"]
                fn $test() {
                    super::limits::$test();
                }
            )+
        }
    };
}

limit_tests!(
    a_limit_of_processes_stops_the_next_one_and_is_said,
    a_limit_of_memory_kills_who_wants_more_and_is_said,
    a_fifth_of_a_processor_is_a_fifth_of_the_time,
    limits_hold_in_the_whole_chain_in_both_orders,
    inside_the_root_the_group_is_the_top_and_its_limit_is_there_to_read,
    the_group_goes_whatever_the_command_leaves_in_it,
);

mod as_user {
    use super::*;

    #[test]
    #[ignore = "needs an ordinary user without a control group"]
    fn a_limit_that_cannot_be_set_is_125_and_the_command_does_not_run() {
        let _before = Snapshot::take();
        for option in [["--memory", "50M"], ["--pids-limit", "20"], ["--cpus", "1"]] {
            let ended = cgexec(&option).run(["echo", "ran"]).end().ended(End::Exit(125));
            assert_eq!(ended.out(), "");
            assert!(ended.err().starts_with("cgexec-rs: "), "{}", ended.err());
        }
    }
}

mod in_vm {
    use super::*;

    #[test]
    #[ignore = "needs the VM"]
    fn the_machine_has_one_hierarchy_of_version_2() {
        tests::vm::only_here();
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mounts = tests::snapshot::cgroup_mounts(&mountinfo);
        assert_eq!(mounts, [std::path::Path::new("/sys/fs/cgroup")]);
        assert_eq!(fs::read_to_string("/proc/self/cgroup").unwrap(), "0::/\n");
    }

    #[test]
    #[ignore = "needs the VM"]
    fn the_command_sees_its_group_as_the_root_of_the_hierarchy() {
        tests::vm::only_here();
        let _before = Snapshot::take();
        let seen = cgexec(&["--pids-limit", "20"]).run(["cat", "/proc/self/cgroup"]).end().ok();
        assert_eq!(seen, "0::/cmd\n");
    }
}

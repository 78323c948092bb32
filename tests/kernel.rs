// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel does for a container, and that nothing of it stays.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;

use nix::unistd::geteuid;
use tests::{End, Link, Run, Scratch, Snapshot, tools};

/// unshare-rs with options, as one link.
fn unshare(options: &[&str]) -> Link {
    let options = options.iter().map(OsString::from);
    Link::new("unshare", [tools().unshare().into()].into_iter().chain(options).chain(["--".into()]))
}

/// cgexec-rs with options, as one link.
fn cgexec(options: &[&str]) -> Link {
    let options = options.iter().map(OsString::from);
    Link::new("cgexec", [tools().cgexec().into()].into_iter().chain(options).chain(["--".into()]))
}

/// Each namespace of a process that prints them, by name.
fn namespaces(of: Run) -> BTreeMap<String, String> {
    let lines = of.end().ok();
    let pair = |line: &str| line.split_once(' ').map(|(name, id)| (name.to_string(), id.to_string()));
    lines.lines().filter_map(pair).collect()
}

const SHOW_NAMESPACES: [&str; 3] =
    ["sh", "-c", "cd /proc/self/ns && for each in *; do echo $each $(readlink $each); done"];

/// The names of those that differ from the test's own.
fn new_namespaces(link: &Link) -> Vec<String> {
    let outside = namespaces(Run::new("sh").args(&SHOW_NAMESPACES[1..]));
    let inside = namespaces(link.run(SHOW_NAMESPACES));
    assert_eq!(inside.keys().collect::<Vec<_>>(), outside.keys().collect::<Vec<_>>());
    let differ = inside.into_iter().filter(|(name, id)| outside.get(name) != Some(id));
    // what children get is the same as what the process has, after the fork that makes it so
    differ.map(|(name, _)| name).filter(|name| !name.ends_with("_for_children")).collect()
}

/// A few by default; all that the issue asks for with CHAIN_LOAD=full.
fn times(full: usize) -> usize {
    if std::env::var_os("CHAIN_LOAD").is_some_and(|load| load == "full") { full } else { full / 10 }
}

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs namespaces"]
    fn the_container_set_is_mount_uts_ipc_net_pid_and_user_without_privilege() {
        let _before = Snapshot::take();
        let expected = ["ipc", "mnt", "net", "pid", "uts"].map(String::from).to_vec();
        let user = if geteuid().is_root() { vec![] } else { vec!["user".to_string()] };
        let new = new_namespaces(&Link::unshare());
        let mut expected = [expected, user].concat();
        expected.sort();
        assert_eq!(new, expected);
    }

    #[test]
    #[ignore = "needs namespaces"]
    fn a_named_namespace_is_new_and_the_others_are_not() {
        let _before = Snapshot::take();
        let options = [
            ("--mount", "mnt"),
            ("--uts", "uts"),
            ("--ipc", "ipc"),
            ("--net", "net"),
            ("--pid", "pid"),
            ("--cgroup", "cgroup"),
            ("--time", "time"),
        ];
        for (option, name) in options {
            let root = geteuid().is_root();
            let options = if root { vec![option] } else { vec!["--user", option] };
            let mut expected = if root { vec![name] } else { vec![name, "user"] };
            expected.sort_unstable();
            assert_eq!(new_namespaces(&unshare(&options)), expected, "{option}");
        }
        assert_eq!(new_namespaces(&unshare(&["--user"])), ["user"]);
    }

    #[test]
    #[ignore = "needs namespaces"]
    fn what_is_shared_is_not_new() {
        let _before = Snapshot::take();
        let new = new_namespaces(&unshare(&["--share", "net,ipc"]));
        assert!(!new.contains(&"net".into()) && !new.contains(&"ipc".into()), "{new:?}");
        assert!(new.contains(&"mnt".into()) && new.contains(&"pid".into()), "{new:?}");
    }

    #[test]
    #[ignore = "needs namespaces"]
    fn the_hostname_is_container_inside_and_as_before_outside() {
        let _before = Snapshot::take();
        let outside = Run::new("hostname").end().ok();
        assert_eq!(Link::unshare().run(["hostname"]).end().ok(), "container\n");
        assert_eq!(unshare(&["--hostname", "other.name"]).run(["hostname"]).end().ok(), "other.name\n");
        assert_eq!(Run::new("hostname").end().ok(), outside);
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn the_only_interface_is_lo_and_it_is_up() {
        let _before = Snapshot::take();
        let root = Scratch::busybox_root();
        let [.., chain, _] = Link::all(&root);
        let devices = chain.run(["cat", "/proc/net/dev"]).end().ok();
        let names: Vec<_> = devices.lines().filter_map(|line| line.split_once(':')).collect();
        let names: Vec<_> = names.into_iter().map(|(name, _)| name.trim()).collect();
        // the kernel gives a new network namespace a fallback for each tunnel that it has loaded
        assert!(names.contains(&"lo"), "{names:?}");
        let up = chain.run(["ip", "-o", "link", "show", "up"]).end().ok();
        let up: Vec<_> = up.lines().filter_map(|line| line.split(": ").nth(1)).collect();
        assert_eq!(up, ["lo"]);
        let listens = "nc -l -p 7 127.0.0.1 </dev/null >/tmp/got & \
            until echo hello | nc -w 2 127.0.0.1 7; do sleep 0.05; done; wait; cat /tmp/got";
        assert_eq!(chain.run(["sh", "-c", listens]).end().ok(), "hello\n", "a connection to itself");
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn only_the_containers_processes_are_seen() {
        let _before = Snapshot::take();
        let root = Scratch::busybox_root();
        let [.., first, second] = Link::all(&root);
        for chain in [first, second, Link::unshare()] {
            let pids = chain.run(["sh", "-c", "cd /proc && ls -d [0-9]*"]).end().ok();
            // the shell, or a tool that stays as process 1, and ls
            let pids: Vec<_> = pids.lines().collect();
            assert!(pids.contains(&"1") && pids.len() <= 4, "{}: {pids:?}", chain.name);
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn everybody_is_root_inside() {
        let _before = Snapshot::take();
        let root = Scratch::busybox_root();
        for chain in Link::all(&root).into_iter().filter(|link| link.name != "cgexec") {
            assert_eq!(chain.run(["id", "-u"]).end().ok(), "0\n", "{}", chain.name);
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn no_path_leads_to_the_hosts_files() {
        let _before = Snapshot::take();
        let root = Scratch::busybox_root();
        let secret = Scratch::new();
        fs::write(secret.path("secret"), "host\n").unwrap();
        let path = secret.path("secret").display().to_string();
        let ways = format!("{path} /../../..{path} /proc/self/root/..{path} /proc/self/cwd/..{path}");
        let ends = ["root", "cwd", "fd/*/.."].map(|end| format!("$pid/{end}{path}")).join(" ");
        let processes = format!("for pid in /proc/[0-9]*; do cat {ends}; done");
        for chain in Link::all(&root).into_iter().filter(|link| link.changes_root) {
            let ended = chain.run(["sh", "-c", &format!("cat {ways}")]).end();
            assert_eq!(ended.out(), "", "{}", chain.name);
            // without a PID namespace the host's processes are in sight, and what they see with them
            if chain.name != "chroot" {
                let ended = chain.run(["sh", "-c", &processes]).end();
                assert_eq!(ended.out(), "", "{}: another process leads out", chain.name);
            }
            let top = chain.run(["ls", "/"]).end().ok();
            assert_eq!(top, "bin\ndev\netc\nproc\nroot\nsys\ntmp\n", "{}", chain.name);
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn an_inherited_directory_is_no_way_out() {
        let _before = Snapshot::take();
        let root = Scratch::busybox_root();
        fs::write(root.path("../chain-test-way-out"), "host\n").unwrap();
        let chroot = Link::typed(&Link::chroot(&root).words(["ls", "/proc/self/fd/9/"]));
        let ended = Run::new("sh").args(["-c", &format!("exec 9</; exec {chroot}")]).end();
        fs::remove_file(root.path("../chain-test-way-out")).unwrap();
        assert_ne!(ended.end, End::Exit(0), "{}", ended.out());
        assert_eq!(ended.out(), "");
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn mounts_made_inside_stay_inside() {
        let _before = Snapshot::take();
        let root = Scratch::busybox_root();
        for chain in Link::all(&root).into_iter().filter(|link| link.changes_root) {
            let script = "mount -t tmpfs tmpfs /tmp && touch /tmp/x && ls /tmp";
            assert_eq!(chain.run(["sh", "-c", script]).end().ok(), "x\n", "{}", chain.name);
            assert!(!root.path("tmp/x").exists());
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn chains_in_a_row_leave_nothing() {
        let before = Snapshot::take();
        let root = Scratch::busybox_root();
        for chain in Link::all(&root) {
            for _ in 0..times(200) {
                chain.run(["true"]).end().ended(End::Exit(0));
            }
            before.unchanged();
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn chains_killed_at_any_moment_leave_no_process_and_the_next_run_takes_their_groups() {
        let before = Snapshot::take();
        let root = Scratch::busybox_root();
        let [.., first, second] = Link::all(&root);
        for chain in [first, second] {
            for moment in 0..times(100) {
                let run = chain.run(["sh", "-c", "sleep 1000 & sleep 1000"]).start();
                // not to wait for something, but to strike at another moment each time
                std::thread::sleep(std::time::Duration::from_micros(300 * moment as u64));
                nix::sys::signal::kill(run.pid(), nix::sys::signal::SIGKILL).unwrap();
                run.end().ended(End::Signal(9));
            }
            before.all_ended();
            chain.run(["true"]).end().ended(End::Exit(0));
            before.unchanged();
        }
    }
}

/// The limits, for whoever may have a group.
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
        // utime in ticks of 10 ms: proc_pid_stat(5)
        let script = "(while :; do :; done) & sleep 2; cut -d ' ' -f 14 /proc/$!/stat; kill -9 $!";
        let limited = cgexec(&["--cpus", "0.2"]).run(["sh", "-c", script]).end().ok();
        let ticks: u64 = limited.trim().parse().unwrap();
        assert!((1..100).contains(&ticks), "{ticks} of 200 ticks");
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
            let bomb = "bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 1; echo contained";
            let ended = chain.run(["sh", "-c", bomb]).end();
            // the shell may be the one that gets no process for its sleep
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

    pub fn the_group_goes_whatever_the_command_leaves_in_it() {
        let before = Snapshot::take();
        for script in [
            "exit 3",
            "kill -9 $$",
            "kill -SEGV $$",
            "setsid sleep 1000 & exit 3",
            "mkdir -p /nonexistent/x; exit 3",
        ] {
            cgexec(&["--pids-limit", "20"]).run(["sh", "-c", script]).end();
            before.unchanged();
        }
        // the command was never there
        cgexec(&["--pids-limit", "20"]).run(["no-such-command"]).end().ended(End::Exit(127));
    }
}

/// The same tests for each kind of caller that may have a group.
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
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mounts = tests::snapshot::cgroup_mounts(&mountinfo);
        assert_eq!(mounts, [std::path::Path::new("/sys/fs/cgroup")]);
        assert_eq!(fs::read_to_string("/proc/self/cgroup").unwrap(), "0::/\n");
    }

    #[test]
    #[ignore = "needs the VM"]
    fn the_command_sees_its_group_as_the_root_of_the_hierarchy() {
        let _before = Snapshot::take();
        let seen = cgexec(&["--pids-limit", "20"]).run(["cat", "/proc/self/cgroup"]).end().ok();
        assert_eq!(seen, "0::/\n");
    }
}

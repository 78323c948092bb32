//! What the kernel does for a container, and that none of it stays.

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

/// Each namespace of a process, which prints them, by name.
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
    // after the fork that children need, their namespaces are those of the process
    differ.map(|(name, _)| name).filter(|name| !name.ends_with("_for_children")).collect()
}

/// A few by default; the full number with CHAIN_LOAD=full.
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
        // in a new network namespace, the kernel creates a fallback device for each tunnel that it has loaded
        assert!(names.contains(&"lo"), "{names:?}");
        let up = chain.run(["ip", "-o", "link", "show", "up"]).end().ok();
        let up: Vec<_> = up.lines().filter_map(|line| line.split(": ").nth(1)).collect();
        assert_eq!(up, ["lo"]);
        // an input that stays open: its end could reach the other side before that has written
        let listens = "mkfifo /tmp/open; nc -l -p 7 127.0.0.1 <>/tmp/open >/tmp/got & \
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
            // without a PID namespace, the host's processes are visible, and what they see as well
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
        // the right to mount is not among the default ones
        let chroot = || Link::chroot(&root).with("--cap-add=SYS_ADMIN");
        let (unshare, cgexec) = (Link::unshare(), Link::cgexec());
        for chain in [
            chroot(),
            unshare.clone().then(cgexec.clone(), "").then(chroot(), "unshare, cgexec, chroot"),
            cgexec.then(unshare, "").then(chroot(), "cgexec, unshare, chroot"),
        ] {
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
                // not to wait for anything, but to kill at another moment each time
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

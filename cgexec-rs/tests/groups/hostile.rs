//! Commands that attack their group, and runs that interfere with each other.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;

/// The tools, for scripts that start them.
fn program() -> String {
    tools().cgexec().display().to_string()
}

/// The directories in which this process, and all that it starts, creates groups.
const OWN_GROUPS: &str = "own() { sed -n 's,^[^:]*:,,p' /proc/self/cgroup | while IFS=: read -r names path; do \
    for top in /sys/fs/cgroup/${names:-unified} /sys/fs/cgroup; do \
    [ ! -e $top/cgroup.procs ] || { echo $top${path%/}; break; }; done; done; }";

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root"]
    fn of_many_runs_with_one_name_one_at_a_time_has_the_group() {
        let scratch = Scratch::new();
        let inside = scratch.path("inside");
        // mkdir succeeds only once, so a second run could not share the group
        let command = "mkdir \"$0\" || echo together; sleep 0.02; rmdir \"$0\"";
        let script =
            "for i in $(seq 40); do \"$1\" --name \"$3\" --pids-limit 9 -- sh -c \"$2\" \"$0\" & done; wait";
        let name = format!("shared-{}", std::process::id());
        let args = [OsStr::new("-c"), script.as_ref(), inside.as_os_str()];
        let run = Run::new("sh").args(args).args([program().as_str(), command, &name]);
        let ended = run.end().ended(End::Exit(0));
        assert_eq!(ended.out(), "", "{}", ended.err());
        for line in ended.err().lines() {
            let expected = line.contains(" is in use")
                || line.contains("File exists (EEXIST)")
                || line.starts_with("cgexec-rs: hint: ");
            assert!(expected, "{line}");
        }
        let left = |path: &PathBuf| path.to_string_lossy().contains(&name);
        assert!(!groups_called(&name).iter().any(left));
    }

    #[test]
    #[ignore = "needs root"]
    fn a_group_of_a_killed_run_that_cannot_be_removed_stops_no_run() {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let v2 = mountinfo.lines().find(|line| line.contains(" - cgroup2 ")).unwrap().to_string();
        // below a separate group, because the runs of other tests would remove it
        let parent = format!("hostile-{}", std::process::id());
        let group = PathBuf::from(v2.split(' ').nth(4).unwrap()).join(&parent);
        fs::create_dir(&group).unwrap();
        // in a new mount namespace with a mount on the group
        let script = "g=$1/cgexec-00000000deadbeef; mkdir $g && mount --bind $g $g || exit 99; \
            \"$0\" --parent $2 -- sh -c 'echo ran; exit 4'; s=$?; umount $g; \
            \"$0\" --parent $2 -- true; [ ! -d $g ] && echo gone; exit $s";
        let args = ["--mount", "--", "sh", "-c", script, &program(), group.to_str().unwrap(), &parent];
        let ended = Run::new(tools().unshare()).args(args).end();
        fs::remove_dir(group).unwrap();
        let ended = ended.ended(End::Exit(4));
        assert_eq!(ended.out(), "ran\ngone\n", "{}", ended.err());
        let line = "cgexec-rs: cannot remove a group that a killed run left: flock(";
        assert!(ended.err().starts_with(line), "{}", ended.err());
        assert_eq!(ended.err().lines().count(), 1, "{}", ended.err());
    }

    #[test]
    #[ignore = "needs root"]
    fn the_next_run_removes_what_a_run_with_more_limits_left() {
        let ended =
            shell(&["--exec", "--no-cgroupns", "--pids-limit", "9", "-m", "50M"], "cat /proc/self/cgroup");
        let ended = ended.ended(End::Exit(0)).out();
        let group = ended.split("/cgexec-exec-").nth(1).and_then(|rest| rest.split('\n').next()).unwrap();
        until_removed(|| shell(&[], "true"), group);
    }

    #[test]
    #[ignore = "needs root"]
    fn a_parent_that_is_not_there_is_said_to_be_that() {
        for options in [vec!["--parent", "nonesuch"], vec!["--parent", "nonesuch", "--pids-limit", "4"]] {
            let ended = shell(&options, "echo ran").ended(End::Exit(125));
            assert!(ended.err().contains(": no such group: /sys/fs/cgroup/"), "{}", ended.err());
            assert!(ended.err().contains("hint: create it first: mkdir "), "{}", ended.err());
        }
    }

    #[test]
    #[ignore = "needs root"]
    fn names_are_any_bytes_that_the_kernel_takes() {
        for name in [&b" "[..], b"-x", b"a\tb:\"c\" (deleted)", b"\xff\xfe", &[b'x'; 255]] {
            let mut option = b"--name=".to_vec();
            option.extend(name);
            let words = [OsStr::from_bytes(&option), "--pids-limit".as_ref(), "4".as_ref()];
            let command = ["--report=json", "--", "sh", "-c", "exit 3"];
            let ended = cgexec(&[]).args(words).args(command).end().ended(End::Exit(3));
            reported(&ended);
        }
    }

    #[test]
    #[ignore = "needs root"]
    fn a_parent_that_was_stopped_finds_its_group_as_it_was() {
        // otherwise, as root of a cgroup namespace, the command would not see its parent's PID
        let running = cgexec(&["--pids-limit", "9", "--", "sh", "-c", "kill -STOP $PPID; exit 4"]).start();
        let pid = running.pid();
        tests::deadline::until("it to be stopped", || {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            status.contains("State:\tT").then_some(())
        });
        // it removes groups without processes
        shell(&["--pids-limit", "9"], "true").ended(End::Exit(0));
        kill(pid, Signal::SIGCONT).unwrap();
        let ended = running.end().ended(End::Exit(4));
        assert_eq!(ended.err(), "");
    }

    #[test]
    #[ignore = "needs root"]
    fn a_group_that_vanishes_under_the_command_is_no_failure() {
        let script = format!(
            "{OWN_GROUPS}; for g in $(own); do h=${{g%/cmd}}; case $h in */cgexec-*) echo 0 >${{h%/*}}/cgroup.procs \
             && {{ [ $g = $h ] || rmdir $g; }} && rmdir $h && echo gone; esac; done; exit 3"
        );
        let ended = shell(&["--no-cgroupns", "--pids-limit", "9", "--report=json"], &script);
        let ended = ended.ended(End::Exit(3));
        assert!(ended.out().lines().count() > 0, "{}", ended.err());
        is_gone(&reported(&ended));
    }

    #[test]
    #[ignore = "needs root"]
    fn who_leaves_the_group_is_waited_for_and_not_killed() {
        let script = format!(
            "{OWN_GROUPS}; for g in $(own); do g=${{g%/cmd}}; case $g in */cgexec-*) echo 0 >${{g%/*}}/cgroup.procs; esac; done; \
             sleep 98762 >/dev/null 2>&1 </dev/null & echo $!; exit 3"
        );
        let ended = shell(&["--no-cgroupns", "--pids-limit", "9"], &script).ended(End::Exit(3));
        let pid = Pid::from_raw(ended.out().trim().parse().unwrap());
        tests::deadline::until("it to sleep", || (asleep("98762") == 1).then_some(()));
        kill(pid, Signal::SIGKILL).unwrap();
        assert_eq!(ended.err(), "");
    }

    #[test]
    #[ignore = "needs root"]
    fn a_command_that_runs_as_another_user_ends_with_the_group_too() {
        // PR_SET_PDEATHSIG is reset for it, and its parent must not send it a signal
        let script = format!(
            "{} --uts --setuid 65534 --setgid 65534 -- sleep 98761 >/dev/null 2>&1 </dev/null & \
             until grep -q 65534 /proc/$!/status && grep -q sleep /proc/$!/comm; do :; done; exit 3",
            tools().unshare().display()
        );
        let ended = shell(&["--pids-limit", "9", "--report=json"], &script).ended(End::Exit(3));
        let report = reported(&ended);
        assert_eq!(report.number("leftovers"), 1.0);
        is_gone(&report);
        assert_eq!(asleep("98761"), 0);
    }
}

mod in_vm {
    use super::*;

    #[test]
    #[ignore = "needs the VM"]
    fn a_parent_that_holds_processes_takes_groups_and_no_limits() {
        tests::vm::only_here();
        let script = "echo +memory >/sys/fs/cgroup/cgroup.subtree_control; g=/sys/fs/cgroup/full; mkdir $g; sleep 1000 >/dev/null 2>&1 & echo $! >$g/cgroup.procs; \
            \"$0\" --parent full -m 20M -- echo limited; echo $?; \"$0\" --parent full -- echo ran; \
            cat $g/cgroup.subtree_control $g/cgroup.type; \
            hint=$(\"$0\" --parent full -m 20M -- true 2>&1 | sed -n 's/^cgexec-rs: hint: move every process down first: //p'); \
            (eval \"$hint\"); \"$0\" --parent full -m 20M -- echo followed; \
            echo 1 >$g/cgroup.kill; until rmdir $g/init 2>/dev/null; do :; done; rmdir $g";
        let ended = Run::new("sh").args(["-c", script, &program()]).end();
        let ended = ended.ended(End::Exit(0));
        // no controller was enabled, which would have made it a threaded group
        assert_eq!(ended.out(), "125\nran\ndomain\nfollowed\n", "{}", ended.err());
        let refusal = "cgexec-rs: cannot limit: /sys/fs/cgroup/full holds other processes, so it cannot enable controllers for groups below it\n";
        assert!(ended.err().starts_with(refusal), "{}", ended.err());
    }
}

/// The groups of this name in all hierarchies.
fn groups_called(name: &str) -> Vec<PathBuf> {
    let tops = fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|entry| entry.path());
    let all = tops.chain([PathBuf::from("/sys/fs/cgroup")]).map(|top| top.join(name));
    all.filter(|path| path.is_dir()).collect()
}

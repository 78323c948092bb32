//! Tests on machines with only version 1.

use super::*;

/// Waits until the shell's child has become sleep; frozen earlier, it would keep the shell's files open.
const RUNS: &str = "until grep -q sleep /proc/$!/comm; do :; done";

#[test]
#[ignore = "needs the VM with version 1 alone"]
fn what_the_command_froze_is_thawed_and_ended() {
    tests::vm::only_here();
    let _turn = tests::snapshot::turn();
    let script = format!(
        "g=/sys/fs/cgroup/freezer$(grep :freezer: /proc/self/cgroup | cut -d: -f3); mkdir -p $g/a/b; \
        setsid sleep 98763 >/dev/null 2>&1 </dev/null & {RUNS}; echo $! >$g/a/b/tasks; echo FROZEN >$g/a/freezer.state; \
        until grep -q FROZEN $g/a/freezer.state; do :; done; echo frozen"
    );
    let ended = shell(&["--no-cgroupns", "--report=json"], &script).ended(End::Exit(0));
    assert_eq!(ended.out(), "frozen\n");
    is_gone(&reported(&ended));
    assert_eq!(asleep("98763"), 0);
}

#[test]
#[ignore = "needs the VM with version 1 alone"]
fn a_frozen_group_that_stays_is_reported_and_stops_no_run() {
    tests::vm::only_here();
    let _turn = tests::snapshot::turn();
    let outside = "/sys/fs/cgroup/freezer/outside";
    let script = format!(
        "g={outside}; mkdir $g; sleep 98758 >/dev/null 2>&1 </dev/null & {RUNS}; echo $! >$g/tasks; \
         echo FROZEN >$g/freezer.state; until grep -q FROZEN $g/freezer.state; do :; done; exit 3"
    );
    let ended = shell(&["--no-cgroupns", "--pids-limit", "9"], &script).ended(End::Exit(3));
    let said = |err: &str, what: &str| {
        let line = err.lines().find(|line| line.starts_with(&format!("cgexec-rs: cannot {what}: ")));
        assert!(line.is_some_and(|line| line.contains("unlinkat(") && line.ends_with("(EBUSY)")), "{err}");
        assert!(err.contains("cgexec-rs: hint: process "), "{err}");
    };
    said(&ended.err(), "remove the group");
    let next = shell(&["--pids-limit", "9"], "echo ran").ended(End::Exit(0));
    assert_eq!(next.out(), "ran\n");
    said(&next.err(), "remove a group that a killed run left");
    fs::write(format!("{outside}/freezer.state"), "THAWED").unwrap();
    let is_gone = || fs::remove_dir(outside).is_ok().then_some(());
    tests::deadline::until("the process to end", is_gone);
    shell(&["--pids-limit", "9"], "true").ended(End::Exit(0));
    assert_eq!(groups(), Vec::<PathBuf>::new());
}

#[test]
#[ignore = "needs the VM with version 1 alone"]
fn a_fork_bomb_is_frozen_while_it_is_ended() {
    tests::vm::only_here();
    let _turn = tests::snapshot::turn();
    // without a limit of processes, so that it still forks while it is killed; it doubles every 20 ms, because
    // a bomb without a pause fills a slow machine before anything can kill it
    let bomb = "b() { sleep 0.02; b | b & }; set -- /proc/[0-9]*; most=$(($# + 12)); b; \
        until set -- /proc/[0-9]*; [ $# -gt $most ]; do sleep 0.02; done; exit 4";
    let ended = shell(&["-m", "100M", "--report=json"], &format!("exec 2>/dev/null; {bomb}"));
    let report = reported(&ended.ended(End::Exit(4)));
    assert!(report.number("leftovers") > 5.0);
    assert_eq!(report.text("hierarchy"), "v1");
    is_gone(&report);
}

#[test]
#[ignore = "needs the VM with version 1 alone"]
fn processor_time_is_counted_by_cpuacct() {
    tests::vm::only_here();
    let _turn = tests::snapshot::turn();
    super::time::processor_time_of_all_processes_is_one_sum();
}

//! A user who owns a part of the hierarchy.

use super::*;

#[test]
#[ignore = "needs the VM"]
fn a_user_limits_below_a_group_of_their_own() {
    tests::vm::only_here();
    let ended = shell(&["-m", "20M", "--pids-limit", "9", "--report=json"], "exit 3").ended(End::Exit(3));
    let report = reported(&ended);
    assert_eq!(report.number("memory/limit"), f64::from(20 << 20));
    is_gone(&report);
}

#[test]
#[ignore = "needs the VM"]
fn what_is_above_the_own_part_is_not_ours() {
    tests::vm::only_here();
    for options in [vec!["--parent", "/"], vec!["--parent", "/", "-m", "20M"]] {
        let ended = shell(&options, "echo ran").ended(End::Exit(125));
        assert!(ended.err().contains("/sys/fs/cgroup is not writable here\n"), "{}", ended.err());
        assert_eq!(ended.out(), "");
    }
}

#[test]
#[ignore = "needs the VM"]
fn a_user_who_may_start_no_more_processes_is_told_and_leaves_no_group() {
    tests::vm::only_here();
    let before = groups();
    // the shell becomes cgexec-rs, which otherwise would be one parent too many
    let script = "ulimit -u 1 2>/dev/null || ulimit -p 1; exec \"$0\" --wait -m 20M -- true";
    let ended = Run::new("sh").args(["-c", script, &tools().cgexec().display().to_string()]).end();
    let ended = ended.ended(End::Exit(125));
    let err = ended.err();
    assert!(
        err.starts_with("cgexec-rs: cannot start a child in the group and wait for it: clone3("),
        "{err}"
    );
    assert!(
        err.contains("(EAGAIN)\ncgexec-rs: hint: the process limit is reached: raise ulimit -u"),
        "{err}"
    );
    // the groups of parallel tests come and go
    let new = || groups().into_iter().find(|path| !before.contains(path));
    tests::deadline::until("no group to be left", || new().is_none().then_some(()));
}

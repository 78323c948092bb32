//! The plans of cgexec-rs, as text: no right and no kernel is needed.

use super::*;
use crate::group::Cleanup;
use crate::hierarchy::Version;
use crate::limits::size::Memory;
use crate::limits::{Limit, Pids};

const MEMORY: Limit = Limit::Memory(Memory(Some(50 << 20)));
const PIDS: Limit = Limit::Pids(Pids(Some(20)));

fn group(version: Version, path: &str, limits: &[Limit]) -> Group {
    let mut group = Group::new(version, path.into());
    limits.iter().for_each(|limit| group.limit(limit).unwrap());
    group
}

fn lines(placement: Placement) -> Vec<String> {
    lines_of(placement, RunMode { cgroupns: true, ..RunMode::default() })
}

fn lines_of(placement: Placement, mode: RunMode) -> Vec<String> {
    plan(placement, mode, Command::shell("/bin/true".into())).lines()
}

#[test]
fn to_keep_the_process_id_it_enters_the_group_itself_and_nobody_stays() {
    let v2 = Some(group(Version::V2, "/cg/x", &[PIDS]));
    let exec = RunMode { cleanup: Cleanup::ByLaterRun, ..RunMode::default() };
    assert_eq!(
        lines_of(Placement { v2, ..Placement::default() }, exec),
        [
            "mkdirat(AT_FDCWD, \"/cg/x\", 0700)",
            "write(</cg/x/pids.max>, \"20\", 2)",
            "write(</cg/x/cgroup.procs>, \"0\", 1)",
        ]
    );
}

#[test]
fn alone_in_its_own_group_it_leaves_that_before_the_limits() {
    let placement = Placement {
        leave: Some("/cg/own".into()),
        enable: Some(("/cg/own".into(), vec!["pids".into()])),
        v2: Some(group(Version::V2, "/cg/own/x", &[PIDS])),
        ..Placement::default()
    };
    let exec = RunMode { cleanup: Cleanup::ByLaterRun, ..RunMode::default() };
    assert_eq!(
        lines_of(placement, exec),
        [
            "mkdirat(AT_FDCWD, \"/cg/own/x\", 0700)",
            "write(</cg/own/x/cgroup.procs>, \"0\", 1)",
            "write(</cg/own/cgroup.subtree_control>, \"+pids\", 5)",
            "write(</cg/own/x/pids.max>, \"20\", 2)",
        ]
    );
}

#[test]
fn limits_are_set_before_the_child_starts_in_the_group() {
    let v2 = Some(group(Version::V2, "/cg/x", &[MEMORY, PIDS]));
    assert_eq!(
        lines(Placement { v2, ..Placement::default() }),
        [
            "mkdirat(AT_FDCWD, \"/cg/x\", 0700)",
            "write(</cg/x/memory.max>, \"52428800\", 8)",
            "write(</cg/x/pids.max>, \"20\", 2)",
            "clone3({flags=CLONE_INTO_CGROUP, exit_signal=SIGCHLD, stack=NULL, stack_size=0, cgroup=<group>}, 88)",
            "unshare(CLONE_NEWCGROUP)",
        ]
    );
}

#[test]
fn in_version_1_the_child_enters_by_tasks() {
    let v1 = vec![group(Version::V1, "/cg/memory/x", &[MEMORY]), group(Version::V1, "/cg/pids/x", &[PIDS])];
    let lines = lines(Placement { v1, ..Placement::default() });
    let fork = lines.iter().position(|line| line == "fork()").unwrap();
    assert_eq!(
        lines[fork + 1..],
        [
            "write(</cg/pids/x/tasks>, \"0\", 1)",
            "write(</cg/memory/x/tasks>, \"0\", 1)",
            "unshare(CLONE_NEWCGROUP)",
        ]
    );
}

#[test]
fn the_group_that_every_run_has_is_made_first() {
    let v1 = vec![group(Version::V1, "/cg/memory/x", &[MEMORY]), group(Version::V1, "/cg/pids/x", &[PIDS])];
    let v2 = Some(group(Version::V2, "/cg/unified/x", &[]));
    let made = |placement: Placement| -> Vec<String> {
        lines(placement).into_iter().filter(|line| line.starts_with("mkdirat(")).collect()
    };
    let all = made(Placement { v1: v1.clone(), v2, ..Placement::default() });
    assert_eq!(all[0], "mkdirat(AT_FDCWD, \"/cg/unified/x\", 0700)");
    assert_eq!(all.len(), 3);
    // in version 1 alone the last is the freezer's
    let freezer = group(Version::V1, "/cg/freezer/x", &[]);
    let all = made(Placement { v1: v1.into_iter().chain([freezer]).collect(), ..Placement::default() });
    assert_eq!(all[0], "mkdirat(AT_FDCWD, \"/cg/freezer/x\", 0700)");
}

#[test]
fn alone_in_a_delegated_group_we_move_aside_before_it_hands_controllers_on() {
    let placement = Placement {
        leave: Some("/cg/own".into()),
        enable: Some(("/cg/own".into(), vec!["memory".into(), "pids".into()])),
        v2: Some(group(Version::V2, "/cg/own/x", &[MEMORY, PIDS])),
        ..Placement::default()
    };
    assert_eq!(
        lines(placement)[..4],
        [
            "mkdirat(AT_FDCWD, \"/cg/own/x-aside\", 0700)",
            "write(</cg/own/x-aside/cgroup.procs>, \"0\", 1)",
            "write(</cg/own/cgroup.subtree_control>, \"+memory +pids\", 13)",
            "mkdirat(AT_FDCWD, \"/cg/own/x\", 0700)",
        ]
    );
}

#[test]
fn what_a_killed_run_left_is_removed_first() {
    let v2 = Some(group(Version::V2, "/cg/x", &[]));
    let placement = Placement { v2, stale: vec![vec!["/cg/old".into()]], ..Placement::default() };
    assert_eq!(lines(placement)[0], "unlinkat(AT_FDCWD, \"/cg/old\", AT_REMOVEDIR)");
}

#[test]
fn where_we_are_process_1_the_command_becomes_it() {
    let v2 = Some(group(Version::V2, "/cg/x", &[]));
    let mode = RunMode { first: true, ..RunMode::default() };
    let placement = Placement { v2, ..Placement::default() };
    let lines = plan(placement, mode, Command::shell("/bin/true".into())).lines();
    let at = lines.iter().position(|line| line == "unshare(CLONE_NEWPID)").unwrap();
    assert!(lines[at + 1].starts_with("clone3({flags=CLONE_INTO_CGROUP"), "{lines:#?}");
    assert_eq!(lines[at + 2], "mount(\"proc\", \"/proc\", \"proc\", MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL)");
}

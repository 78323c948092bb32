//! The plans of cgexec-rs, as text: no right and no kernel is needed.

use super::*;
use crate::levels::Levels;
use crate::limits::Pids;
use crate::limits::size::Memory;
use crate::new_scope::NewScope;
use crate::systemd::{Scope, Systemd};
use crate::v2_parent::V2Parent;

const MEMORY: Limit = Limit::Memory(Memory(Some(50 << 20)));
const PIDS: Limit = Limit::Pids(Pids(Some(20)));

fn v1(path: &str, limits: &[Limit]) -> Group {
    let mut group = Group::new(Version::V1, path.into());
    limits.iter().for_each(|limit| group.limit(limit).unwrap());
    group
}

/// A run with this anchor alone.
pub(crate) fn placement(anchor: Group) -> Placement {
    Placement {
        stale: StaleGroups::default(),
        anchor,
        others: Vec::new(),
        v2_parent: None,
        cleanup: Cleanup::ByUs,
        attempt: false,
        levels: None,
        scope: None,
        skipped: Vec::new(),
    }
}

pub(crate) fn v2(path: &str, limits: &[Limit]) -> Placement {
    placement(Group::v2(path.into(), limits))
}

fn lines(place: Placement) -> Vec<String> {
    lines_of(place, RunMode { cgroupns: CgroupNs::NewGroup, ..RunMode::default() })
}

fn lines_of(place: Placement, mode: RunMode) -> Vec<String> {
    plan(Outcome::Create(Box::new(place)), mode, Command::shell("/bin/true".into())).lines()
}

#[test]
fn to_keep_the_process_id_it_enters_the_group_itself_without_a_supervisor() {
    assert_eq!(
        lines_of(Placement { cleanup: Cleanup::ByLaterRun, ..v2("/cg/x", &[PIDS]) }, RunMode::default()),
        [
            "mkdirat(AT_FDCWD, \"/cg/x\", 0700), flock(<group>, LOCK_EX|LOCK_NB), fchmod(<group>, 0755)",
            "write(</cg/x/pids.max>, \"20\", 2)",
            "write(</cg/x/cgroup.procs>, \"0\", 1)",
        ]
    );
}

#[test]
fn alone_in_its_own_group_it_leaves_that_before_the_limits() {
    let parent = V2Parent { path: "/cg/own".into(), enable: vec!["pids".into()], leave: true };
    let place =
        Placement { v2_parent: Some(parent), cleanup: Cleanup::ByLaterRun, ..v2("/cg/own/x", &[PIDS]) };
    assert_eq!(
        lines_of(place, RunMode::default()),
        [
            "mkdirat(AT_FDCWD, \"/cg/own/x\", 0700), flock(<group>, LOCK_EX|LOCK_NB), fchmod(<group>, 0755)",
            "write(</cg/own/x/cgroup.procs>, \"0\", 1)",
            "write(</cg/own/cgroup.subtree_control>, \"+pids\", 5)",
            "write(</cg/own/x/pids.max>, \"20\", 2)",
        ]
    );
}

#[test]
fn limits_are_set_before_the_child_starts_in_the_group() {
    assert_eq!(
        lines(v2("/cg/x", &[MEMORY, PIDS])),
        [
            "mkdirat(AT_FDCWD, \"/cg/x\", 0700), flock(<group>, LOCK_EX|LOCK_NB), fchmod(<group>, 0755)",
            "write(</cg/x/memory.max>, \"52428800\", 8)",
            "write(</cg/x/pids.max>, \"20\", 2)",
            "clone3({flags=CLONE_INTO_CGROUP, exit_signal=SIGCHLD, stack=NULL, stack_size=0, cgroup=<group>}, 88)",
            "unshare(CLONE_NEWCGROUP)",
        ]
    );
}

#[test]
fn in_version_1_the_child_enters_by_tasks() {
    let others = vec![v1("/cg/memory/x", &[MEMORY])];
    let lines = lines(Placement { others, ..placement(v1("/cg/pids/x", &[PIDS])) });
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
fn the_anchor_is_created_first() {
    let others = vec![v1("/cg/memory/x", &[MEMORY]), v1("/cg/pids/x", &[PIDS])];
    let lines = lines(Placement { others, ..v2("/cg/unified/x", &[]) });
    let created: Vec<_> = lines.iter().filter(|line| line.starts_with("mkdirat(")).collect();
    assert_eq!(
        created[0],
        "mkdirat(AT_FDCWD, \"/cg/unified/x\", 0700), flock(<group>, LOCK_EX|LOCK_NB), fchmod(<group>, 0755)"
    );
    assert_eq!(created.len(), 3);
}

#[test]
fn alone_in_a_delegated_group_we_move_aside_before_it_enables_controllers() {
    let parent =
        V2Parent { path: "/cg/own".into(), enable: vec!["memory".into(), "pids".into()], leave: true };
    assert_eq!(
        lines(Placement { v2_parent: Some(parent), ..v2("/cg/own/x", &[MEMORY, PIDS]) })[..4],
        [
            "mkdirat(AT_FDCWD, \"/cg/own/x-aside\", 0700), flock(<aside>, LOCK_EX|LOCK_NB), fchmod(<aside>, 0755)",
            "write(</cg/own/x-aside/cgroup.procs>, \"0\", 1)",
            "write(</cg/own/cgroup.subtree_control>, \"+memory +pids\", 13)",
            "mkdirat(AT_FDCWD, \"/cg/own/x\", 0700), flock(<group>, LOCK_EX|LOCK_NB), fchmod(<group>, 0755)",
        ]
    );
}

#[test]
fn what_a_killed_run_left_is_removed_first() {
    let stale = StaleGroups { killed: vec![vec!["/cg/old".into()]], empty: Vec::new() };
    let lines = lines(Placement { stale, ..v2("/cg/x", &[]) });
    assert_eq!(
        lines[0],
        "flock(</cg/old>, LOCK_EX|LOCK_NB), kill(<each process of /cg/old>, SIGKILL), unlinkat(AT_FDCWD, \"/cg/old\", AT_REMOVEDIR)"
    );
}

#[test]
fn where_we_are_process_1_the_command_becomes_it() {
    let lines = lines_of(v2("/cg/x", &[]), RunMode { new_init: true, ..RunMode::default() });
    let at = lines.iter().position(|line| line == "unshare(CLONE_NEWPID)").unwrap();
    assert!(lines[at + 1].starts_with("clone3({flags=CLONE_INTO_CGROUP"), "{lines:#?}");
    assert_eq!(lines[at + 2], "mount(\"proc\", \"/proc\", \"proc\", MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL)");
}

#[test]
fn in_version_2_devices_are_limited_by_a_program() {
    let lines = lines(v2("/cg/x", &[Limit::Devices(vec!["c 10:229 rw".parse().unwrap()])]));
    assert!(
        lines[1].starts_with("bpf(BPF_PROG_LOAD, {prog_type=BPF_PROG_TYPE_CGROUP_DEVICE, insn_cnt=")
            && lines[1].contains("bpf(BPF_PROG_ATTACH, {target_fd=</cg/x>, "),
        "{lines:#?}"
    );
    assert!(lines[2].starts_with("clone3("), "{lines:#?}");
}

fn with_levels(place: Placement, hides_limits: bool) -> Placement {
    let levels = Levels::below(&place.anchor.path, vec!["memory".into(), "pids".into()], hides_limits);
    Placement { levels, ..place }
}

#[test]
fn the_command_starts_in_a_leaf_and_sees_the_group_with_the_limits_as_the_root() {
    assert_eq!(
        lines(with_levels(v2("/cg/x", &[PIDS]), false))[1..],
        [
            "mkdirat(AT_FDCWD, \"/cg/x/cmd\", 0755)",
            "write(</cg/x/pids.max>, \"20\", 2)",
            "clone3({flags=CLONE_VM|CLONE_FILES|CLONE_VFORK|CLONE_NEWCGROUP|CLONE_INTO_CGROUP, exit_signal=0, stack=NULL, stack_size=0, cgroup=<group>}, 88)",
            "clone3({flags=CLONE_INTO_CGROUP, exit_signal=SIGCHLD, stack=NULL, stack_size=0, cgroup=<leaf>}, 88)",
            "setns(<namespace>, CLONE_NEWCGROUP)",
        ]
    );
}

#[test]
fn where_its_limits_could_be_written_from_inside_that_group_is_out_of_sight() {
    let lines = lines(with_levels(v2("/cg/x", &[PIDS]), true));
    assert!(lines[1].starts_with("mkdirat(AT_FDCWD, \"/cg/x/ns\""), "{lines:#?}");
    assert!(lines[2].starts_with("mkdirat(AT_FDCWD, \"/cg/x/ns/cmd\""), "{lines:#?}");
    assert_eq!(lines[3], "write(</cg/x/cgroup.subtree_control>, \"+memory +pids\", 13)");
    assert!(lines[5].contains("CLONE_NEWCGROUP") && lines[5].contains("cgroup=<root>"), "{lines:#?}");
    assert!(lines[6].contains("cgroup=<leaf>"), "{lines:#?}");
}

#[test]
fn with_a_group_of_version_1_it_moves_down_when_it_has_entered_that() {
    let others = vec![v1("/cg/memory/x", &[MEMORY])];
    let lines = lines(with_levels(Placement { others, ..v2("/cg/x", &[PIDS]) }, false));
    let fork = lines.iter().position(|line| line.starts_with("clone3({flags=CLONE_INTO_CGROUP")).unwrap();
    assert!(lines[fork].contains("cgroup=<group>"), "{lines:#?}");
    assert_eq!(
        lines[fork + 1..],
        [
            "write(</cg/memory/x/tasks>, \"0\", 1)",
            "unshare(CLONE_NEWCGROUP)",
            "write(</cg/x/cmd/cgroup.procs>, \"0\", 1)"
        ]
    );
}

#[test]
fn without_a_namespace_it_starts_in_the_leaf() {
    let lines = lines_of(with_levels(v2("/cg/x", &[PIDS]), false), RunMode::default());
    assert!(lines.last().unwrap().starts_with("clone3({flags=CLONE_INTO_CGROUP"), "{lines:#?}");
    assert!(lines.last().unwrap().contains("cgroup=<leaf>"), "{lines:#?}");
}

fn in_scope(has_keeper: bool) -> Placement {
    let scope = Scope {
        name: "cgexec-0.scope".to_string(),
        slice: "app.slice".to_string(),
        bound_to: Some("x.service".to_string()),
        tasks_max: Some(2719),
    };
    let path = PathBuf::from("/cg/app.slice/cgexec-0.scope");
    let systemd = Systemd::of_the_system();
    let parent = V2Parent { path: path.clone(), enable: vec!["pids".into()], leave: !has_keeper };
    Placement {
        scope: Some(NewScope { systemd, scope, path, has_keeper }),
        v2_parent: Some(parent),
        ..v2("/cg/app.slice/cgexec-0.scope/x", &[PIDS])
    }
}

#[test]
fn a_scope_is_asked_for_by_who_keeps_it_and_the_parent_stays_in_its_unit() {
    let lines = lines(in_scope(true));
    assert_eq!(
        lines[..5],
        [
            "fork()",
            "StartTransientUnit(\"cgexec-0.scope\", \"fail\", [PIDs=[0], Delegate=true, Slice=app.slice, BindsTo=[x.service], \
             After=[x.service], TasksMax=2719, CollectMode=inactive-or-failed])",
            "mkdirat(AT_FDCWD, \"/cg/app.slice/cgexec-0.scope/x-aside\", 0700), flock(<aside>, LOCK_EX|LOCK_NB), fchmod(<aside>, 0755)",
            "write(</cg/app.slice/cgexec-0.scope/x-aside/cgroup.procs>, \"0\", 1)",
            "write(</cg/app.slice/cgexec-0.scope/cgroup.subtree_control>, \"+pids\", 5)",
        ]
    );
}

#[test]
fn from_a_session_it_goes_into_its_scope_itself() {
    let lines = lines(in_scope(false));
    assert!(lines[0].starts_with("StartTransientUnit("), "{lines:#?}");
    assert_eq!(lines[2], "write(</cg/app.slice/cgexec-0.scope/x-aside/cgroup.procs>, \"0\", 1)");
}

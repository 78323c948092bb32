//! All that a run does, in order: [`plan`] is the tool, the functions below it are its phrases.

pub mod moving;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use chain::call::ForkOptions;
use chain::exec::Command;
use chain::handles::FdSlot;
use chain::{Plan, call};
use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use crate::cgroup_calls::{
    CreateCgroup, CreateLevel, CreateNamespace, EnterNamespace, KillCgroup, RemoveCgroup, RemoveEmptyCgroup,
    RemoveStaleCgroups, WriteCgroup,
};
use crate::device_policy::AttachDeviceProgram;
use crate::group::Group;
use crate::group_name::Cleanup;
use crate::limits::Limit;
use crate::outcome::Outcome;
use crate::placement::Placement;
use crate::report::Report;
use crate::run_mode::{CgroupNs, RunMode};
use crate::scope_call::StartScope;
use crate::stale::StaleGroups;
use crate::time_watch::{CpuClock, TimeWatch};
use crate::version::Version;

/// The plan of a run: the command in its groups with their limits, and no group left when it has
/// ended.
pub fn plan(outcome: Outcome, mode: RunMode, command: Command) -> Plan {
    let mut enters_cgroupns = match outcome {
        Outcome::Create(_) => mode.cgroupns != CgroupNs::No,
        Outcome::Join(_) | Outcome::None => mode.cgroupns == CgroupNs::Always,
    };
    let mut report = Report::of(&outcome, &mode, &command);
    let mut plan = Plan::new(command);
    match outcome {
        Outcome::None => {}
        Outcome::Join(groups) => groups.iter().for_each(|group| enter(&mut plan, group)),
        Outcome::Create(place) if place.cleanup == Cleanup::ByLaterRun => {
            enter_without_supervisor(&mut plan, &place);
        }
        Outcome::Create(place) => {
            ask_for_scope(&mut plan, &place);
            remove_stale(&mut plan, &place.stale);
            move_to_sibling(&mut plan, &place);
            enable_controllers(&mut plan, &place);
            let into = create_groups(&mut plan, &place);
            let into = create_levels(&mut plan, &place, into);
            kill_at_end(&mut plan, &place);
            set_limits(&mut plan, &place);
            watch_time(&mut plan, &place, &mode, report.as_mut());
            start_child(&mut plan, &place, into, enters_cgroupns, mode.new_init, mode.times.waiting());
            enters_cgroupns = false;
        }
    }
    if enters_cgroupns {
        enter_namespace(&mut plan);
    }
    if let Some(report) = report {
        plan.on_exit(move |reporter, ended| report.print(reporter, ended));
    }
    plan
}

/// After the command is in its groups: they become its roots.
fn enter_namespace(plan: &mut Plan) {
    let call = call::Unshare(CloneFlags::CLONE_NEWCGROUP);
    plan.step("make the group the root of its cgroup namespace", call);
}

/// Requests the scope that is the parent. A keeper in it lets this process stay in its own group.
fn ask_for_scope(plan: &mut Plan, place: &Placement) {
    let Some(scope) = &place.scope else { return };
    plan.step("ask systemd for a delegated scope", StartScope::new(scope.clone()));
    if !scope.has_keeper {
        return;
    }
    plan.in_helper();
    plan.keep_helper();
    let aside = sibling(place);
    let slot = plan.slot("aside");
    // it goes with the scope
    plan.step("create a group for the helper to wait in", CreateCgroup { path: aside.clone(), slot });
    let reason = "move it there, so that the scope itself holds no process";
    plan.step(reason, write(&aside, "cgroup.procs", "0"));
    plan.in_helper();
}

/// This process becomes the command: it enters the groups itself, and a later run removes them. It
/// must leave its own group before that can enable controllers.
fn enter_without_supervisor(plan: &mut Plan, place: &Placement) {
    let leaves = place.v2_parent.as_ref().is_some_and(|parent| parent.leave);
    ask_for_scope(plan, place);
    remove_stale(plan, &place.stale);
    if !leaves {
        enable_controllers(plan, place);
    }
    create_groups(plan, place);
    if !leaves {
        set_limits(plan, place);
    }
    for group in place.groups() {
        enter(plan, group);
        // a group cannot be removed from inside
        plan.point_of_no_return();
    }
    if leaves {
        enable_controllers(plan, place);
        set_limits(plan, place);
    }
}

/// Removes groups of earlier runs. A failure does not keep this run from its own groups.
fn remove_stale(plan: &mut Plan, stale: &StaleGroups) {
    for run in &stale.killed {
        plan.step("remove a group that a killed run left", RemoveStaleCgroups(run.clone()));
        plan.optional();
    }
    for group in &stale.empty {
        plan.step("remove a group whose command has ended", RemoveEmptyCgroup(group.clone()));
        plan.optional();
    }
}

/// A group beside the anchor, for a process that must not be in the parent.
fn sibling(place: &Placement) -> PathBuf {
    let mut sibling = place.anchor.path.clone().into_os_string();
    sibling.push("-aside");
    sibling.into()
}

/// Moves this process out of the parent, which cannot enable controllers while it holds a process.
fn move_to_sibling(plan: &mut Plan, place: &Placement) {
    let Some(parent) = place.v2_parent.as_ref().filter(|parent| parent.leave) else { return };
    let sibling = sibling(place);
    let slot = plan.slot("aside");
    plan.step("create a group to wait in", CreateCgroup { path: sibling.clone(), slot });
    plan.undo("remove the group it waited in", RemoveCgroup(sibling.clone()));
    let reason = "move there, so that the current group holds no process";
    plan.step(reason, write(&sibling, "cgroup.procs", "0"));
    plan.undo("return to the current group", write(&parent.path, "cgroup.procs", "0"));
}

/// Lets the parent enable the controllers of the limits for its children.
fn enable_controllers(plan: &mut Plan, place: &Placement) {
    let Some(parent) = &place.v2_parent else { return };
    // one write is all or nothing, so with --try each controller has its own
    let at_once = if place.attempt { 1 } else { parent.enable.len().max(1) };
    for controllers in parent.enable.chunks(at_once) {
        let signed = |sign: &str| format!("{sign}{}", controllers.join(&format!(" {sign}")));
        let reason = format!("enable {} for the groups below", controllers.join(" and "));
        plan.step(reason, write(&parent.path, "cgroup.subtree_control", &signed("+")));
        // in any other parent, groups of other programs may use the controller by then
        if parent.leave && place.cleanup != Cleanup::ByLaterRun {
            let call = write(&parent.path, "cgroup.subtree_control", &signed("-"));
            plan.undo("disable it again", call);
        }
        if place.attempt {
            plan.optional();
        }
    }
}

/// Where the command starts in version 2.
#[derive(Clone, Copy)]
struct StartPlace {
    /// The group that becomes the root of its cgroup namespace.
    root: FdSlot,
    /// The group it runs in.
    leaf: FdSlot,
}

/// Creates the groups; that of version 2 is where a child can start.
fn create_groups(plan: &mut Plan, place: &Placement) -> Option<StartPlace> {
    let mut into = None;
    for group in place.groups() {
        let slot = plan.slot("group");
        plan.step("create a group", CreateCgroup { path: group.path.clone(), slot });
        let remove = RemoveCgroup(group.path.clone());
        match place.cleanup {
            Cleanup::Never => plan.undo_if_failed("remove the group", remove),
            _ => plan.undo("remove the group", remove),
        }
        if group.version == Version::V2 {
            into = Some(StartPlace { root: slot, leaf: slot });
        }
    }
    into
}

/// Creates the groups below that of version 2.
fn create_levels(plan: &mut Plan, place: &Placement, into: Option<StartPlace>) -> Option<StartPlace> {
    let (Some(levels), Some(StartPlace { root, .. })) = (&place.levels, into) else { return into };
    let mut create = |name, reason, path: &PathBuf| {
        let slot = plan.slot(name);
        plan.step(reason, CreateLevel { path: path.clone(), slot });
        let remove = RemoveCgroup(path.clone());
        match place.cleanup {
            Cleanup::Never => plan.undo_if_failed("remove it", remove),
            _ => plan.undo("remove it", remove),
        }
        slot
    };
    let mut into = root;
    if levels.has_own_root() {
        into = create(
            "root",
            "create a group below it, for the root of the command's cgroup namespace",
            &levels.root,
        );
    }
    let leaf = create(
        "leaf",
        "create a group below it for the command, because the one above must hold no process",
        &levels.leaf,
    );
    if levels.has_own_root() {
        let all = format!("+{}", levels.hand_on.join(" +"));
        plan.step(
            "enable the controllers that can limit inside",
            write(&place.anchor.path, "cgroup.subtree_control", &all),
        );
    }
    Some(StartPlace { root: into, leaf })
}

/// Kills at the end what is left in the groups. The last step, which creates the last group, takes it
/// back first: before any group is removed.
fn kill_at_end(plan: &mut Plan, place: &Placement) {
    if place.cleanup != Cleanup::Never {
        let Group { version, path, .. } = place.anchor.clone();
        plan.undo("kill what is left in the group", KillCgroup { version, path });
    }
}

fn set_limits(plan: &mut Plan, place: &Placement) {
    for group in place.groups() {
        for (reason, setting) in &group.settings {
            plan.step(reason.clone(), write(&group.path, &setting.file, &setting.value));
            let (path, setting, reason) = (group.path.clone(), setting.clone(), reason.clone());
            plan.verify(move |reporter| match setting.verify(&path) {
                Ok(None) => Ok(()),
                Ok(Some(note)) => {
                    reporter.message(note);
                    Ok(())
                }
                Err(wrong) => Err(format!("cannot {reason}: {wrong}")),
            });
            if place.attempt {
                plan.optional();
            }
        }
        limit_devices(plan, group, place.attempt);
    }
}

/// Lets the parent that stays end the command when its time is over.
fn watch_time(plan: &mut Plan, place: &Placement, mode: &RunMode, report: Option<&mut Report>) {
    if !mode.times.are_set() {
        return;
    }
    let reached = Rc::new(Cell::new(None));
    if let Some(report) = report {
        report.out_of_time = Some(Rc::clone(&reached));
    }
    let clock = CpuClock::of(place.groups());
    let mut watch = TimeWatch::new(mode.times, place.anchor.path.clone(), clock, reached);
    plan.watch(Box::new(move |reporter, child| watch.look(reporter, child)));
}

/// Version 2 has no file for the rules about devices.
fn limit_devices(plan: &mut Plan, group: &Group, attempt: bool) {
    let rules = group.limits.iter().filter_map(|limit| match limit {
        Limit::Devices(rules) if group.version == Version::V2 => Some((limit, rules)),
        _ => None,
    });
    for (limit, rules) in rules {
        let call = AttachDeviceProgram { group: group.path.clone(), rules: rules.clone() };
        plan.step(format!("limit {limit}"), call);
        if attempt {
            plan.optional();
        }
    }
}

/// Starts a child in the groups. A child of PID 1 becomes PID 1 of a new PID namespace, as
/// the command would be without us; a new proc hides this process, whose root directory is still the
/// old one when the command has a new one.
fn start_child(
    plan: &mut Plan,
    place: &Placement,
    into: Option<StartPlace>,
    namespace: bool,
    new_init: bool,
    waiting: String,
) {
    let levels = place.levels.as_ref().filter(|_| namespace).zip(into);
    // version 1 comes before the namespace, so then the child moves down when it has entered all
    let moves_down = place.v1().next().is_some();
    let made = levels.filter(|_| !moves_down).map(|(levels, StartPlace { root, .. })| {
        let slot = plan.slot("namespace");
        plan.step("create a cgroup namespace with that group as its root", CreateNamespace { root, slot });
        EnterNamespace { namespace: slot, root: levels.root.clone(), leaf: levels.leaf.clone() }
    });
    if new_init {
        let reason = "enter a new PID namespace, for the command to be process 1";
        plan.step(reason, call::Unshare(CloneFlags::CLONE_NEWPID));
    }
    let moved = levels.filter(|_| moves_down);
    let group = into.map(|StartPlace { root, leaf }| if moved.is_some() { root } else { leaf });
    let who = if new_init { "process 1" } else { "a child" };
    let options = ForkOptions { into: group, child_is_init: new_init };
    plan.fork(format!("start {who} in the group and wait for it{waiting}"), options);
    if new_init {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        plan.step("mount a proc that shows its processes", call::Mount::new("proc", "/proc", flags));
    }
    place.v1().for_each(|group| enter(plan, group));
    match made {
        Some(namespace) => plan.step("enter that cgroup namespace", namespace),
        None if namespace => enter_namespace(plan),
        None => {}
    }
    if let Some((levels, _)) = moved {
        plan.step(
            "move down, because the group above must hold no process",
            write(&levels.leaf, "cgroup.procs", "0"),
        );
    }
}

fn enter(plan: &mut Plan, group: &Group) {
    // a thread that moves itself by "0" needs no lock in version 1's tasks; version 2 moves processes
    let file = match group.version {
        Version::V1 => "tasks",
        Version::V2 => "cgroup.procs",
    };
    plan.step(format!("enter the group {}", group.path.display()), write(&group.path, file, "0"));
}

fn write(group: &Path, file: &str, value: &str) -> WriteCgroup {
    WriteCgroup::new(group.join(file), value)
}

#[cfg(test)]
pub(crate) mod tests;

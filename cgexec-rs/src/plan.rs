//! Everything that a run does, in order: [`plan`] is the outline, and the functions below it are its parts.

pub mod moving;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use chain::call::ForkOptions;
use chain::command::Command;
use chain::handles::FdSlot;
use chain::plan::Step;
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

/// The plan of a run: the command in its groups with their limits, which are removed when it has ended.
pub fn plan(outcome: Outcome, mode: RunMode, command: Command) -> Plan {
    let mut enters_cgroupns = match outcome {
        Outcome::Create(_) => mode.cgroupns != CgroupNs::No,
        Outcome::Join(_) | Outcome::None => mode.cgroupns == CgroupNs::Always,
    };
    let mut report = Report::of(&outcome, &mode, &command);
    let mut plan = Plan::new(command);
    match outcome {
        Outcome::None => {}
        Outcome::Join(groups) => groups.iter().for_each(|group| plan.add(enter(group))),
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

/// After the command has entered its groups, they become the roots of its namespace.
fn enter_namespace(plan: &mut Plan) {
    let call = call::Unshare(CloneFlags::CLONE_NEWCGROUP);
    plan.step("make the group the root of its cgroup namespace", call);
}

/// Requests the scope that is the parent. With a helper process in it, this process stays in its own group.
fn ask_for_scope(plan: &mut Plan, place: &Placement) {
    let Some(scope) = &place.scope else { return };
    let (reason, start) = ("ask systemd for a delegated scope", StartScope::new(scope.clone()));
    if !scope.has_keeper {
        plan.step(reason, start);
        return;
    }
    plan.add(Step::in_helper(reason, start));
    plan.keep_helper();
    let aside = sibling(place);
    let slot = plan.slot("aside");
    // it is removed with the scope
    plan.step("create a group for the helper to wait in", CreateCgroup { path: aside.clone(), slot });
    let reason = "move it there, so that the scope itself holds no process";
    plan.add(Step::in_helper(reason, write(&aside, "cgroup.procs", "0")));
}

/// This process becomes the command: it enters the groups itself, and a later run removes them. It must leave
/// its own group before that group can enable controllers.
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
        // a group cannot be removed from inside
        plan.add(enter(group).point_of_no_return());
    }
    if leaves {
        enable_controllers(plan, place);
        set_limits(plan, place);
    }
}

/// Removes groups of earlier runs. A failure does not prevent this run.
fn remove_stale(plan: &mut Plan, stale: &StaleGroups) {
    for run in &stale.killed {
        let remove = RemoveStaleCgroups(run.clone());
        plan.add(Step::new("remove a group that a killed run left", remove).optional());
    }
    for group in &stale.empty {
        let remove = RemoveEmptyCgroup(group.clone());
        plan.add(Step::new("remove a group whose command has ended", remove).optional());
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
    let step = Step::new("create a group to wait in", CreateCgroup { path: sibling.clone(), slot });
    plan.add(step.undo("remove the group it waited in", RemoveCgroup(sibling.clone())));
    let reason = "move there, so that the current group holds no process";
    let step = Step::new(reason, write(&sibling, "cgroup.procs", "0"));
    plan.add(step.undo("return to the current group", write(&parent.path, "cgroup.procs", "0")));
}

/// Makes the parent enable the controllers of the limits for its subgroups.
fn enable_controllers(plan: &mut Plan, place: &Placement) {
    let Some(parent) = &place.v2_parent else { return };
    // one write is all or nothing, so with --try each controller gets a write of its own
    let at_once = if place.attempt { 1 } else { parent.enable.len().max(1) };
    for controllers in parent.enable.chunks(at_once) {
        let signed = |sign: &str| format!("{sign}{}", controllers.join(&format!(" {sign}")));
        let reason = format!("enable {} for the groups below", controllers.join(" and "));
        let step = Step::new(reason, write(&parent.path, "cgroup.subtree_control", &signed("+")));
        let step = step.optional_if(place.attempt);
        // in any other parent, groups of other programs can use the controller by then
        plan.add(if parent.leave && place.cleanup != Cleanup::ByLaterRun {
            step.undo(
                "disable the controllers again",
                write(&parent.path, "cgroup.subtree_control", &signed("-")),
            )
        } else {
            step
        });
    }
}

/// Where the command starts in version 2.
#[derive(Clone, Copy)]
struct StartPlace {
    /// The group that becomes the root of its cgroup namespace.
    root: FdSlot,
    /// The group that it runs in.
    leaf: FdSlot,
}

/// Creates the groups. A child can start in the version 2 group.
fn create_groups(plan: &mut Plan, place: &Placement) -> Option<StartPlace> {
    let mut into = None;
    for group in place.groups() {
        let slot = plan.slot("group");
        let step = Step::new("create a group", CreateCgroup { path: group.path.clone(), slot });
        plan.add(with_removal(step, "remove the group", &group.path, place.cleanup));
        if group.version == Version::V2 {
            into = Some(StartPlace { root: slot, leaf: slot });
        }
    }
    into
}

/// A kept group is removed only if the command does not start.
fn with_removal(step: Step, reason: &'static str, path: &Path, cleanup: Cleanup) -> Step {
    let remove = RemoveCgroup(path.to_path_buf());
    match cleanup {
        Cleanup::Never => step.undo_if_failed(reason, remove),
        Cleanup::ByUs | Cleanup::ByLaterRun => step.undo(reason, remove),
    }
}

/// Creates the groups below the version 2 group.
fn create_levels(plan: &mut Plan, place: &Placement, into: Option<StartPlace>) -> Option<StartPlace> {
    let (Some(levels), Some(StartPlace { root, .. })) = (&place.levels, into) else { return into };
    let mut create = |name, reason, path: &PathBuf| {
        let slot = plan.slot(name);
        let step = Step::new(reason, CreateLevel { path: path.clone(), slot });
        plan.add(with_removal(step, "remove the group below it", path, place.cleanup));
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
        let all = format!("+{}", levels.enabled.join(" +"));
        plan.step(
            "enable the controllers for limits inside",
            write(&place.anchor.path, "cgroup.subtree_control", &all),
        );
    }
    Some(StartPlace { root: into, leaf })
}

/// Kills the remaining processes in the groups at the end, before any group is removed.
fn kill_at_end(plan: &mut Plan, place: &Placement) {
    if place.cleanup != Cleanup::Never {
        let Group { version, path, .. } = place.anchor.clone();
        plan.before_undo("kill what is left in the group", KillCgroup { version, path });
    }
}

fn set_limits(plan: &mut Plan, place: &Placement) {
    for group in place.groups() {
        for (reason, setting) in &group.settings {
            let step = Step::new(reason.clone(), write(&group.path, &setting.file, &setting.value));
            let (path, setting, reason) = (group.path.clone(), setting.clone(), reason.clone());
            let step = step.verify(move |reporter| match setting.verify(&path) {
                Ok(None) => Ok(()),
                Ok(Some(note)) => {
                    reporter.message(note);
                    Ok(())
                }
                Err(wrong) => Err(format!("cannot {reason}: {wrong}")),
            });
            plan.add(step.optional_if(place.attempt));
        }
        limit_devices(plan, group, place.attempt);
    }
}

/// Lets the supervisor end the command when its time is over.
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

/// Version 2 has no file for device rules.
fn limit_devices(plan: &mut Plan, group: &Group, attempt: bool) {
    let rules = group.limits.iter().filter_map(|limit| match limit {
        Limit::Devices(rules) if group.version == Version::V2 => Some((limit, rules)),
        _ => None,
    });
    for (limit, rules) in rules {
        let call = AttachDeviceProgram { group: group.path.clone(), rules: rules.clone() };
        plan.add(Step::new(format!("limit {limit}"), call).optional_if(attempt));
    }
}

/// Starts a child in the groups. If this process is PID 1, the child becomes PID 1 of a new PID namespace, as
/// the command would be without us. A new proc hides this process, whose root directory is still the old one
/// if the command has a new one.
fn start_child(
    plan: &mut Plan,
    place: &Placement,
    into: Option<StartPlace>,
    namespace: bool,
    new_init: bool,
    waiting: String,
) {
    let levels = place.levels.as_ref().filter(|_| namespace).zip(into);
    // version 1 groups come before the namespace, so the child moves down after it has entered all of them
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
    place.v1().for_each(|group| plan.add(enter(group)));
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

fn enter(group: &Group) -> Step {
    // in version 1, a thread that moves itself by writing "0" to tasks needs no lock; version 2 moves
    // processes
    let file = match group.version {
        Version::V1 => "tasks",
        Version::V2 => "cgroup.procs",
    };
    Step::new(format!("enter the group {}", group.path.display()), write(&group.path, file, "0"))
}

fn write(group: &Path, file: &str, value: &str) -> WriteCgroup {
    WriteCgroup::new(group.join(file), value)
}

#[cfg(test)]
pub(crate) mod tests;

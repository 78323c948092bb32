// SPDX-License-Identifier: MIT OR Apache-2.0
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
    CreateCgroup, KillCgroup, RemoveCgroup, RemoveEmptyCgroup, RemoveStaleCgroups, WriteCgroup,
};
use crate::group::Group;
use crate::group_name::Cleanup;
use crate::outcome::Outcome;
use crate::placement::Placement;
use crate::report::Report;
use crate::run_mode::{CgroupNs, RunMode};
use crate::stale::StaleGroups;
use crate::time_watch::{CpuClock, TimeWatch};
use crate::version::Version;

/// The plan of a run: the command in its groups with their limits, and no group left when it has
/// ended.
pub fn plan(outcome: Outcome, mode: RunMode, command: Command) -> Plan {
    let enters_cgroupns = match outcome {
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
            remove_stale(&mut plan, &place.stale);
            move_to_sibling(&mut plan, &place);
            enable_controllers(&mut plan, &place);
            let into = create_groups(&mut plan, &place);
            kill_at_end(&mut plan, &place);
            set_limits(&mut plan, &place);
            watch_time(&mut plan, &place, &mode, report.as_mut());
            start_child(&mut plan, into, &mode, mode.new_init && !place.proc_is_covered);
            place.v1().for_each(|group| enter(&mut plan, group));
        }
    }
    if enters_cgroupns {
        // after the command is in its groups: they become its roots
        let call = call::Unshare(CloneFlags::CLONE_NEWCGROUP);
        plan.step("make the group the root of what it sees", call);
    }
    if let Some(report) = report {
        plan.on_exit(move |reporter, ended| report.print(reporter, ended));
    }
    plan
}

/// This process becomes the command: it enters the groups itself, and a later run removes them. It
/// must leave its own group before that can enable controllers.
fn enter_without_supervisor(plan: &mut Plan, place: &Placement) {
    let leaves = place.v2_parent.as_ref().is_some_and(|parent| parent.leave);
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

/// Moves this process out of the parent, which enables no controller while it holds a process.
fn move_to_sibling(plan: &mut Plan, place: &Placement) {
    let Some(parent) = place.v2_parent.as_ref().filter(|parent| parent.leave) else { return };
    let mut sibling = place.anchor.path.clone().into_os_string();
    sibling.push("-aside");
    let sibling = PathBuf::from(sibling);
    let slot = plan.slot("aside");
    plan.step("make a group to wait in", CreateCgroup { path: sibling.clone(), slot });
    plan.undo("remove the group that was waited in", RemoveCgroup(sibling.clone()));
    let reason = "wait there, so that the own group holds no process";
    plan.step(reason, write(&sibling, "cgroup.procs", "0"));
    plan.undo("go back to the own group", write(&parent.path, "cgroup.procs", "0"));
}

/// Lets the parent enable the controllers of the limits for its children.
fn enable_controllers(plan: &mut Plan, place: &Placement) {
    let Some(parent) = &place.v2_parent else { return };
    // one write is all or nothing, so with --try each controller has its own
    let at_once = if place.attempt { 1 } else { parent.enable.len().max(1) };
    for controllers in parent.enable.chunks(at_once) {
        let signed = |sign: &str| format!("{sign}{}", controllers.join(&format!(" {sign}")));
        let reason = format!("hand {} on to the groups below", controllers.join(" and "));
        plan.step(reason, write(&parent.path, "cgroup.subtree_control", &signed("+")));
        // in any other parent, groups of others may rely on the controller by the end
        if parent.leave && place.cleanup != Cleanup::ByLaterRun {
            let call = write(&parent.path, "cgroup.subtree_control", &signed("-"));
            plan.undo("hand it on no longer", call);
        }
        if place.attempt {
            plan.optional();
        }
    }
}

/// Creates the groups; the slot of the version 2 group is where a child can start.
fn create_groups(plan: &mut Plan, place: &Placement) -> Option<FdSlot> {
    let mut into = None;
    for group in place.groups() {
        let slot = plan.slot("group");
        plan.step("make a group", CreateCgroup { path: group.path.clone(), slot });
        if place.cleanup != Cleanup::Never {
            plan.undo("remove the group", RemoveCgroup(group.path.clone()));
        }
        if group.version == Version::V2 {
            into = Some(slot);
        }
    }
    into
}

/// Kills at the end what is left in the groups. The last step, which creates the last group, takes it
/// back first: before any group is removed.
fn kill_at_end(plan: &mut Plan, place: &Placement) {
    if place.cleanup != Cleanup::Never {
        let Group { version, path, .. } = place.anchor.clone();
        plan.undo("end what is left in the group", KillCgroup { version, path });
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

/// Starts a child in the version 2 group. A child of PID 1 becomes PID 1 of a new PID namespace, as
/// the command would be without us; a new proc hides this process, whose root directory is still the
/// old one when the command has a new one.
fn start_child(plan: &mut Plan, into: Option<FdSlot>, mode: &RunMode, new_init: bool) {
    let waiting = mode.times.waiting();
    if !new_init {
        let options = ForkOptions { into, child_is_init: false };
        plan.fork(format!("start a child in the group and wait for it{waiting}"), options);
        return;
    }
    let reason = "enter a new PID namespace, for the command to be process 1";
    plan.step(reason, call::Unshare(CloneFlags::CLONE_NEWPID));
    let reason = format!("start process 1 in the group and wait for it{waiting}");
    plan.fork(reason, ForkOptions { into, child_is_init: true });
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    plan.step("mount a proc that shows its processes", call::Mount::new("proc", "/proc", flags));
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

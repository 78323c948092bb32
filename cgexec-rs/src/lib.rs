// SPDX-License-Identifier: MIT OR Apache-2.0
//! cgexec-rs: enter a control group with limits, then become the next command.
#![forbid(unsafe_code)]
// nothing read from outside may end in a panic: CONTRIBUTING.md, "No panic"
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unimplemented,
        clippy::unreachable
    )
)]

pub mod check;
pub mod cli;
pub mod control_file;
pub mod dbus;
pub mod fuzzed;
pub mod group;
pub mod hierarchy;
pub mod join;
pub mod json;
pub mod limits;
pub mod oom;
pub mod placement;
pub mod refusal;
pub mod report;
pub mod run_mode;
pub mod scope;
pub mod stats;
pub mod systemd;
pub mod v2_parent;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use chain::args::{self, Parsed};
use chain::call::ForkOptions;
use chain::exec::Command;
use chain::handles::FdSlot;
use chain::namespace::capability::CAP_SYS_ADMIN;
use chain::{Plan, Reporter, call, sys};
use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use crate::check::Check;
use crate::cli::{Manager, Options, TOOL};
use crate::group::Group;
use crate::hierarchy::{Hierarchies, Version};
use crate::placement::{GroupRequest, Placement};
use crate::run_mode::RunMode;

/// What helps where limits contradict each other.
const SWAP: &str = "docker counts so; --memory-swap-max counts swap alone";

/// Runs the tool with its argument vector; becomes the command and does not return.
pub fn run(argv: Vec<OsString>) -> ! {
    let Parsed { options, verbosity, operands } = args::parse::<Options>(&TOOL, argv);
    let reporter = Reporter::new(TOOL.name, verbosity);
    if options.check {
        check(options, &operands, &reporter)
    }
    let command = Command::from_operands(operands).unwrap_or_else(|| Command::shell(args::default_shell()));
    let mut mode = RunMode::of(&options, sys::has_capability(CAP_SYS_ADMIN))
        .unwrap_or_else(|(wrong, hint)| args::exit_usage(&reporter, &wrong, &hint));
    if !options.group.is_empty() {
        if options.limits.limits().is_ok_and(|limits| !limits.is_empty()) {
            args::exit_usage(
                &reporter,
                "-g joins a group as it is, limits are for a new one",
                "cgset(1) or a write to its files changes it",
            );
        }
        let mut plan = Plan::new(command);
        join::plan(&mut plan, &options.group, &Hierarchies::of_this_process(&reporter))
            .unwrap_or_else(|(wrong, hint)| args::exit_usage(&reporter, &wrong, &hint));
        unshare_cgroupns(&mut plan, options.cgroupns);
        plan.execute(&reporter)
    }
    let (manager, cgroupns) = (options.manager, options.cgroupns);
    let named = options.parent.is_some() || options.name.is_some() || options.keep;
    let request = GroupRequest::of(options).unwrap_or_else(|wrong| args::exit_usage(&reporter, &wrong, SWAP));
    // what was asked for happens or is refused; what a default wanted is left out aloud
    let limits = !request.limits.is_empty();
    let asked = limits && !request.attempt;
    let must = asked || request.account || named || manager != Manager::Auto;
    if manager == Manager::None && must && (asked || request.account || named) {
        let wrong = "without a group nothing is limited, counted or kept";
        args::exit_usage(&reporter, wrong, "leave --manager none away");
    }
    match scope::choose(manager, request, &mut mode, &reporter) {
        Ok(Some(placement)) => {
            placement.left_out.iter().for_each(|what| reporter.message(what));
            plan(placement, mode, command).execute(&reporter)
        }
        Ok(None) => {}
        Err(refusal) if must => {
            let what = if limits { "limit" } else { "make a group" };
            args::exit_usage(&reporter, &format!("cannot {what}: {}", refusal.wrong), &refusal.hint)
        }
        Err(refusal) => {
            reporter.message(format_args!("no group of its own: {}; {}", refusal.wrong, refusal.hint))
        }
    }
    let mut plan = Plan::new(command);
    unshare_cgroupns(&mut plan, cgroupns);
    plan.execute(&reporter)
}

/// Says what a run could do, and ends.
fn check(options: Options, operands: &[OsString], reporter: &Reporter) -> ! {
    if !operands.is_empty() {
        args::exit_usage(reporter, "--check runs no command", "leave one of them away");
    }
    let (manager, admin) = (options.manager, sys::has_capability(CAP_SYS_ADMIN));
    let request = GroupRequest::of(options).unwrap_or_else(|wrong| args::exit_usage(reporter, &wrong, SWAP));
    let check = Check::of(manager, &request, &Hierarchies::of_this_process(reporter), admin);
    sys::write_stdout(check.text.as_bytes());
    sys::exit(if check.possible { 0 } else { chain::FAILED })
}

/// The story: groups with their limits, the command in them, and nothing left when it has ended.
pub fn plan(placement: Placement, mode: RunMode, command: Command) -> Plan {
    let report = mode.report(&placement, &command);
    let mut plan = Plan::new(command);
    for stale in placement.stale {
        plan.step("remove a group that a killed run left", call::RemoveStaleCgroups(stale));
        // what cannot be ended is no reason to keep others from running
        plan.optional();
    }
    for empty in placement.empty {
        plan.step("remove a group whose command has ended", call::RemoveEmptyCgroup(empty));
        plan.optional();
    }
    // the one that every run has comes first and goes last: whoever finds it finds the others
    let mut groups: Vec<Group> = placement.v1.into_iter().chain(placement.v2).collect();
    let last = groups.len().saturating_sub(1);
    groups.rotate_left(last);
    if mode.stays() {
        if let Some(own) = &placement.leave {
            move_to_sibling(&mut plan, own, groups.first().map_or(own, |group| &group.path));
        }
        enable_controllers(&mut plan, placement.enable.as_ref(), placement.leave.is_some(), &mode);
        let mut into = None;
        for (number, group) in groups.iter().enumerate() {
            // what is left is killed in the first, before any can be removed
            let kill = groups.first().filter(|_| number == last);
            let slot = make(&mut plan, group, &mode, kill);
            if group.version == Version::V2 {
                into = Some(slot);
            }
            set(&mut plan, group, &mode);
        }
        start(&mut plan, into, mode.first);
        for group in groups.iter().filter(|group| group.version == Version::V1) {
            join::enter(&mut plan, group.version, &group.path);
        }
    } else {
        enter_without_supervisor(
            &mut plan,
            &groups,
            placement.enable.as_ref(),
            placement.leave.is_some(),
            &mode,
        );
    }
    unshare_cgroupns(&mut plan, mode.cgroupns);
    plan.on_exit(move |reporter, ended| report.say(reporter, ended));
    plan
}

/// A child in the group. Where we are process 1, the command shall be it, as it would be without us,
/// and not find us beside it: whoever waits here still has the old root when the command has a new one.
fn start(plan: &mut Plan, into: Option<FdSlot>, first: bool) {
    if !first {
        plan.fork("start a child in the group and wait for it", ForkOptions { into, child_is_init: false });
        return;
    }
    plan.step(
        "enter a new PID namespace, for the command to be process 1",
        call::Unshare(CloneFlags::CLONE_NEWPID),
    );
    plan.fork("start process 1 in the group and wait for it", ForkOptions { into, child_is_init: true });
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    plan.step("mount a proc that shows its processes", call::Mount::new("proc", "/proc", flags));
}

/// Without a parent that stays: this process enters the groups itself.
fn enter_without_supervisor(
    plan: &mut Plan,
    groups: &[Group],
    enable: Option<&(PathBuf, Vec<String>)>,
    leave: bool,
    mode: &RunMode,
) {
    if !leave {
        enable_controllers(plan, enable, leave, mode);
    }
    for group in groups {
        make(plan, group, mode, None);
        // before anybody is in it, where the parent hands the controllers on already
        if !leave {
            set(plan, group, mode);
        }
    }
    for group in groups {
        join::enter(plan, group.version, &group.path);
        // a group cannot be removed from inside; the next run does it
        plan.point_of_no_return();
    }
    if leave {
        enable_controllers(plan, enable, leave, mode);
        groups.iter().for_each(|group| set(plan, group, mode));
    }
}

/// Our own group hands nothing on while we are in it.
fn move_to_sibling(plan: &mut Plan, own: &Path, group: &Path) {
    let mut aside = group.as_os_str().to_os_string();
    aside.push("-aside");
    let aside = Path::new(&aside);
    let slot = plan.slot("aside");
    plan.step("make a group to wait in", call::CreateCgroup { path: aside.to_path_buf(), slot });
    plan.undo("remove the group that was waited in", call::RemoveCgroup(aside.to_path_buf()));
    plan.step("wait there, so that the own group holds no process", write_to(aside, "cgroup.procs", "0"));
    plan.undo("go back to the own group", write_to(own, "cgroup.procs", "0"));
}

fn enable_controllers(plan: &mut Plan, enable: Option<&(PathBuf, Vec<String>)>, leave: bool, mode: &RunMode) {
    let Some((parent, controllers)) = enable else { return };
    let file = "cgroup.subtree_control";
    // one write is all or nothing, so what may fail is written by itself
    let at_once = if mode.attempt { 1 } else { controllers.len().max(1) };
    for controllers in controllers.chunks(at_once) {
        let names = controllers.join(" and ");
        plan.step(
            format!("hand {names} on to the groups below"),
            write_to(parent, file, &signed('+', controllers)),
        );
        // elsewhere other groups may have come to rely on it
        if mode.stays() && leave {
            plan.undo("hand it on no longer", write_to(parent, file, &signed('-', controllers)));
        }
        if mode.attempt {
            plan.optional();
        }
    }
}

/// A group, and how it ends; the last one made says in which what is left is killed. Returns where
/// the group is held open.
fn make(plan: &mut Plan, group: &Group, mode: &RunMode, kill: Option<&Group>) -> FdSlot {
    let slot = plan.slot("group");
    plan.step("make a group", call::CreateCgroup { path: group.path.clone(), slot });
    if mode.keeps() {
        return slot;
    }
    plan.undo("remove the group", call::RemoveCgroup(group.path.clone()));
    if let Some(Group { version, path, .. }) = kill {
        let reason = "end what is left in the group";
        match version {
            Version::V2 => plan.undo(reason, call::KillCgroup(path.clone())),
            Version::V1 => plan.undo(reason, call::KillCgroupV1(path.clone())),
        }
    }
    slot
}

/// The limits of a group, each read back.
fn set(plan: &mut Plan, group: &Group, mode: &RunMode) {
    for (reason, setting) in &group.settings {
        plan.step(reason.clone(), write_to(&group.path, &setting.file, &setting.value));
        let (path, setting, reason) = (group.path.clone(), setting.clone(), reason.clone());
        plan.verify(move |reporter| match setting.verify(&path) {
            Ok(None) => Ok(()),
            Ok(Some(told)) => {
                reporter.message(told);
                Ok(())
            }
            Err(wrong) => Err(format!("cannot {reason}: {wrong}")),
        });
        if mode.attempt {
            plan.optional();
        }
    }
}

/// What COMMAND sees begins at its group: after it is there, the only order that works.
fn unshare_cgroupns(plan: &mut Plan, hide: bool) {
    if hide {
        plan.step("make the group the root of what it sees", call::Unshare(CloneFlags::CLONE_NEWCGROUP));
    }
}

fn write_to(group: &Path, file: &str, value: &str) -> call::WriteCgroup {
    call::WriteCgroup::new(group.join(file), value)
}

fn signed(sign: char, controllers: &[String]) -> String {
    controllers.iter().map(|name| format!("{sign}{name}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;

// SPDX-License-Identifier: MIT OR Apache-2.0
//! cgexec-rs: enter a control group with limits, then become the next command.
#![forbid(unsafe_code)]

pub mod cli;
pub mod hierarchy;
pub mod join;
pub mod limits;
pub mod place;
pub mod report;

use std::ffi::OsString;

use chain::args::{self, Line};
use chain::call::Stay;
use chain::exec::Command;
use chain::namespace::capability::CAP_SYS_ADMIN;
use chain::{Call, Plan, Tell, sys};
use nix::sched::CloneFlags;

use crate::cli::{Options, TOOL};
use crate::hierarchy::Hierarchies;
use crate::place::{Group, Placement};

/// The descriptor of the version 2 group, in the plan.
const GROUP: &str = "group";

/// Runs the tool with its argument vector; becomes the command and does not return.
pub fn run(argv: Vec<OsString>) -> ! {
    let Line { options, voice, operands } = args::parse::<Options>(&TOOL, argv);
    let tell = Tell::new(TOOL.name, voice);
    let command = Command::from_operands(operands).unwrap_or_else(|| Command::shell(args::default_shell()));
    let found = Hierarchies::of_this_process();
    if !options.group.is_empty() {
        let mut plan = Plan::new(command);
        join::plan(&mut plan, &options.group, &found)
            .unwrap_or_else(|(wrong, hint)| args::refuse(&tell, &wrong, &hint));
        plan.carry_out(&tell)
    }
    let limits = options.limits();
    match Placement::choose(&limits, &found) {
        Ok(placement) => plan(placement, sys::has_capability(CAP_SYS_ADMIN), command).carry_out(&tell),
        Err(refusal) if limits.is_empty() => {
            tell.line(format_args!("no group of its own: {}", refusal.wrong));
            Plan::new(command).carry_out(&tell)
        }
        Err(refusal) => args::refuse(&tell, &format!("cannot limit: {}", refusal.wrong), &refusal.hint),
    }
}

/// The story: groups with their limits, a child in them, and nothing left when it has ended.
pub fn plan(placement: Placement, admin: bool, command: Command) -> Plan {
    let mut plan = Plan::new(command);
    for stale in placement.stale {
        plan.will("remove a group that a killed run left", Call::CollectGroup(stale));
    }
    if let Some((own, aside)) = &placement.aside {
        plan.will("make a group to wait in", Call::MakeGroup { path: aside.clone(), opened: "aside" });
        plan.undo("remove the group that was waited in", Call::RemoveGroup(aside.clone()));
        plan.will("wait there, so that the own group holds no process", write_to(aside, "cgroup.procs", "0"));
        plan.undo("go back to the own group", write_to(own, "cgroup.procs", "0"));
    }
    if let Some((parent, controllers)) = &placement.enable {
        plan.will(
            format!("hand {} on to the groups below", controllers.join(" and ")),
            write_to(parent, "cgroup.subtree_control", &signed('+', controllers)),
        );
        // elsewhere other groups may have come to rely on it
        if placement.aside.is_some() {
            plan.undo(
                "hand it on no longer",
                write_to(parent, "cgroup.subtree_control", &signed('-', controllers)),
            );
        }
    }
    let alone = placement.v2.is_none();
    // version 2 comes last, because what is left is killed there, before any group can be removed
    for group in placement.v1.iter().chain(&placement.v2) {
        make(&mut plan, group, group.version == hierarchy::Version::V2 || alone);
    }
    let into = placement.v2.is_some().then_some(GROUP);
    plan.will("start a child in the group and wait for it", Call::Fork(Stay { into, child_is_init: false }));
    for group in &placement.v1 {
        join::enter(&mut plan, group.version, &group.path);
    }
    if admin {
        plan.will("make the group the root of what it sees", Call::Unshare(CloneFlags::CLONE_NEWCGROUP));
    }
    let groups: Vec<Group> = placement.v2.into_iter().chain(placement.v1).collect();
    plan.when_ended(move |tell, _| report::say_hits(tell, &groups));
    plan
}

/// A group, its limits, and how it ends. Killing in the version 2 group, where there is one, is enough.
fn make(plan: &mut Plan, group: &Group, kills: bool) {
    let opened = match group.version {
        hierarchy::Version::V2 => GROUP,
        hierarchy::Version::V1 => lock_name(group),
    };
    plan.will("make a group", Call::MakeGroup { path: group.path.clone(), opened });
    plan.undo("remove the group", Call::RemoveGroup(group.path.clone()));
    if kills {
        plan.undo("end what is left in the group", Call::KillGroup(group.path.clone()));
    }
    for limit in &group.limits {
        for (file, value) in limit.files(group.version) {
            plan.will(format!("limit {limit}"), write_to(&group.path, file, &value));
        }
    }
}

/// Each version 1 group is held open under a name of its own.
fn lock_name(group: &Group) -> &'static str {
    group.limits.first().map_or("v1", |limit| limit.controller())
}

fn write_to(group: &std::path::Path, file: &str, value: &str) -> Call {
    Call::write(group.join(file), value)
}

fn signed(sign: char, controllers: &[&str]) -> String {
    controllers.iter().map(|name| format!("{sign}{name}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;

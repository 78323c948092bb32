// SPDX-License-Identifier: MIT OR Apache-2.0
//! unshare-rs: enter new namespaces, then become the next command.
#![forbid(unsafe_code)]

pub mod account;
pub mod caller;
pub mod cli;
pub mod idmap;
pub mod ids;
pub mod namespaces;
pub mod subid;
pub mod world;

use std::ffi::OsString;

use chain::args::{self, Line};
use chain::call::Stay;
use chain::exec::Command;
use chain::{Call, Plan, Tell};
use nix::sched::CloneFlags;

use crate::caller::Caller;
use crate::cli::{Options, TOOL};
use crate::ids::HELPER;
use crate::world::World;

/// Runs the tool with its argument vector; becomes the command and does not return.
pub fn run(argv: Vec<OsString>) -> ! {
    let Line { options, voice, operands } = args::parse::<Options>(&TOOL, argv);
    let tell = Tell::new(TOOL.name, voice);
    let caller = Caller::of_this_process();
    let world = World::from_options(&options, &caller)
        .unwrap_or_else(|(wrong, hint)| args::refuse(&tell, &wrong, &hint));
    for note in &world.notes {
        tell.line(note);
    }
    let command = Command::from_operands(operands).unwrap_or_else(|| Command::shell(args::default_shell()));
    plan(&world, caller.pid, command).carry_out(&tell)
}

/// The story: new namespaces, the ids in them, the world they show, and a child to enter them.
pub fn plan(world: &World, pid: u32, command: Command) -> Plan {
    let new = world.namespaces;
    let mut plan = Plan::new(command);
    let outside: Vec<Call> = world.ids.outside(pid).into_iter().map(|(_, call)| call).collect();
    if !outside.is_empty() {
        plan.will("leave a helper outside", Call::Helper { calls: outside, opened: HELPER });
    }
    world.ids.plan_owner(&mut plan);
    if !new.is_empty() {
        let plural = if new.flags().iter().count() == 1 { "a new" } else { "new" };
        let noun = if plural == "new" { "namespaces" } else { "namespace" };
        plan.will(format!("enter {plural} {new} {noun}"), Call::Unshare(new.flags()));
    }
    world.ids.plan_maps(&mut plan, pid);
    if new.has(CloneFlags::CLONE_NEWNS) {
        world::keep_mounts_inside(&mut plan);
    }
    if let Some(hostname) = &world.hostname {
        plan.will("set the hostname", Call::SetHostname(hostname.clone()));
    }
    if world.loopback {
        plan.will("bring up lo", Call::BringUp("lo"));
    }
    if world.child {
        let child_is_init = new.has(CloneFlags::CLONE_NEWPID);
        let reason =
            if child_is_init { "start process 1 and wait for it" } else { "start a child and wait for it" };
        plan.will(reason, Call::Fork(Stay { into: None, child_is_init }));
    }
    if let Some(at) = &world.proc {
        world::mount_proc(&mut plan, at);
    }
    world.ids.plan_credentials(&mut plan);
    plan
}

#[cfg(test)]
mod tests;

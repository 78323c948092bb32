// SPDX-License-Identifier: MIT OR Apache-2.0
//! unshare-rs: enter new namespaces, then become the next command.
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

pub mod account;
pub mod caller;
pub mod cli;
pub mod clock;
pub mod filesystem;
pub mod idmap;
pub mod ids;
pub mod namespaces;
pub mod process;
pub mod setup;
pub mod subid;

use std::ffi::OsString;

use chain::args::{self, Parsed};
use chain::exec::Command;
use chain::{Plan, Reporter, call};
use nix::sched::CloneFlags;

use crate::caller::Caller;
use crate::cli::{Options, TOOL};
use crate::setup::Setup;

/// Runs the tool with its argument vector; becomes the command and does not return.
pub fn run(argv: Vec<OsString>) -> ! {
    let Parsed { options, verbosity, operands } = args::parse::<Options>(&TOOL, argv);
    let reporter = Reporter::new(TOOL.name, verbosity);
    let caller = Caller::of_this_process();
    let setup = Setup::from_options(&options, &caller)
        .unwrap_or_else(|(wrong, hint)| args::exit_usage(&reporter, &wrong, &hint));
    for note in &setup.notes {
        reporter.message(note);
    }
    let command = Command::from_operands(operands).unwrap_or_else(|| Command::shell(args::default_shell()));
    plan(&setup, caller.pid, command).execute(&reporter)
}

/// The story: new namespaces, the ids in them, the setup they show, and a child to enter them.
pub fn plan(setup: &Setup, pid: u32, command: Command) -> Plan {
    let new = setup.namespaces;
    let mut plan = Plan::new(command);
    setup.ids.plan_owner(&mut plan);
    if !new.is_empty() {
        let noun = if new.flags().iter().count() == 1 { "namespace" } else { "namespaces" };
        let article = if noun == "namespace" { "a new" } else { "new" };
        plan.step(format!("enter {article} {new} {noun}"), call::Unshare(new.flags()));
    }
    setup.ids.plan_maps(&mut plan, pid);
    setup.plan_kept(&mut plan, pid, |kind| kind.flag != CloneFlags::CLONE_NEWPID);
    setup.filesystem.plan_propagation(&mut plan);
    if let Some(hostname) = &setup.hostname {
        plan.step("set the hostname", call::SetHostname(hostname.clone()));
    }
    if setup.loopback {
        plan.step("bring up lo", call::BringUp("lo"));
    }
    for (clock, offset) in &setup.clocks {
        offset.plan(&mut plan, clock);
    }
    setup.process.plan(&mut plan);
    // works once its first process is there
    setup.plan_kept(&mut plan, pid, |kind| kind.flag == CloneFlags::CLONE_NEWPID);
    setup.filesystem.plan(&mut plan);
    setup.process.plan_reaper(&mut plan);
    setup.ids.plan_credentials(&mut plan);
    setup.filesystem.plan_environment(&mut plan);
    plan
}

#[cfg(test)]
mod tests;

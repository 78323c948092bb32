// SPDX-License-Identifier: MIT OR Apache-2.0
//! chroot-rs: change the root directory so that nothing inside can see out, then become the next command.
#![forbid(unsafe_code)]

pub mod cli;
mod credentials;
mod descriptors;
mod dev;
mod extra_mount;
mod ids;
mod mask;
mod mount_request;
mod mount_target;
mod mounts;
mod namespaces;
mod probe;
mod root;
mod root_mount;
mod setup;

use std::ffi::OsString;
use std::path::PathBuf;

use chain::args::{self, Parsed};
use chain::exec::Command;
use chain::reporter::quoted;
use chain::{Failure, Plan, Reporter, call};
use nix::mount::MsFlags;

use crate::cli::{Options, TOOL};
use crate::probe::Probe;
use crate::root::Root;
use crate::setup::{PivotSetup, Setup, Strategy};

/// Runs the tool with its argument vector; becomes the command and does not return.
pub fn run(argv: Vec<OsString>) -> ! {
    let Parsed { options, verbosity, operands } = args::parse::<Options>(&TOOL, argv);
    let reporter = Reporter::new(TOOL.name, verbosity);
    let setup = prepare(&options, operands).unwrap_or_else(|failure| reporter.exit_with(&failure));
    for note in &setup.notes {
        reporter.message(note);
    }
    plan(setup).execute(&reporter)
}

/// Reads the system and decides, and changes nothing.
fn prepare(options: &Options, mut operands: Vec<OsString>) -> Result<Setup, Failure> {
    if operands.is_empty() {
        return Err(Failure::new("missing operand: NEWROOT").hint("chroot-rs ubuntu-fs /bin/bash"));
    }
    let command = operands.split_off(1);
    let root = Root::open(operands.pop().map(PathBuf::from).unwrap_or_default())?;
    let command = Command::from_operands(command).unwrap_or_else(|| interactive_shell(&root));
    Setup::resolve(options, Probe::read(root, options), command)
}

/// Every step between now and the command.
///
/// A step that limits what the command may do belongs after the root has changed. One that needs
/// root's rights belongs before the credentials, which give them up.
fn plan(setup: Setup) -> Plan {
    let mut plan = Plan::new(setup.command);
    match setup.strategy {
        Strategy::Plain { skip_chdir } => {
            plan.step("change the root directory", call::Chroot(setup.root.path));
            if !skip_chdir {
                plan.step("start at the root", call::Chdir("/".into()));
            }
        }
        Strategy::Pivot(pivot) => plan_pivot(&mut plan, setup.root, *pivot),
    }
    setup.credentials.plan(&mut plan);
    if let Some(path) = setup.path {
        plan.step("look for programs where they usually are", call::SetPath(path));
    }
    if let Some(dir) = setup.workdir {
        plan.step(format!("start in {}", quoted(&dir)), call::Chdir(dir));
    }
    plan
}

/// A new mount namespace, the new root as a mount in it, the file systems inside, then pivot_root(2).
fn plan_pivot(plan: &mut Plan, root: Root, pivot: PivotSetup) {
    descriptors::plan_close_on_exec(plan, pivot.escaping_fds);
    let new_root = plan.attach_fd("new root", root.dir);
    if pivot.root_mount.has_open_tree {
        root::chdir_to_root(plan, new_root);
    }
    namespaces::plan_namespaces(plan, pivot.map_to_root, pivot.new_pid);
    plan.step("keep mounts from spreading outside", call::Mount::propagate("/", MsFlags::MS_PRIVATE));
    pivot.root_mount.plan(plan, new_root, pivot.write_mode, &root.path);
    pivot.kernel_mounts.plan_proc(plan, new_root);
    pivot.kernel_mounts.plan_sys(plan, new_root);
    if let Some(dev) = pivot.dev {
        dev.plan(plan, new_root);
    }
    for mount in pivot.extra_mounts {
        mount.plan(plan, new_root);
    }
    pivot.root_mount.plan_pivot(plan, new_root);
}

fn interactive_shell(root: &Root) -> Command {
    let program = root.shell(std::env::var_os("SHELL"));
    Command { argv: vec![program.clone(), "-i".into()], ..Command::shell(program) }
}

#[cfg(test)]
mod tests;

// SPDX-License-Identifier: MIT OR Apache-2.0
//! chroot-rs: change the root directory so that nothing inside can see out, then become the next command.
#![forbid(unsafe_code)]

pub mod capabilities;
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
mod nested_mounts;
mod overlay;
mod plan;
mod probe;
mod rights;
mod root;
mod root_mount;
pub mod seccomp;
mod setup;

use std::ffi::OsString;
use std::path::PathBuf;

use chain::args::{self, Parsed};
use chain::exec::Command;
use chain::{Failure, Reporter};

use crate::cli::{Options, TOOL};
use crate::probe::Probe;
use crate::root::Root;
use crate::setup::Setup;

/// Runs the tool with its argument vector; becomes the command and does not return.
pub fn run(argv: Vec<OsString>) -> ! {
    let Parsed { options, verbosity, operands, .. } = args::parse::<Options>(&TOOL, argv);
    let reporter = Reporter::new(TOOL.name, verbosity);
    let setup = prepare(&options, operands).unwrap_or_else(|failure| reporter.exit_with(&failure));
    for note in &setup.notes {
        reporter.message(note);
    }
    plan::plan(setup).execute(&reporter)
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

fn interactive_shell(root: &Root) -> Command {
    let program = root.shell(std::env::var_os("SHELL"));
    Command { argv: vec![program.clone(), "-i".into()], ..Command::shell(program) }
}

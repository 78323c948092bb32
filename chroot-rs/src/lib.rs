// SPDX-License-Identifier: MIT OR Apache-2.0
//! chroot-rs: change the root directory so that nothing inside can see out, then become the next command.
#![forbid(unsafe_code)]

pub mod capabilities;
pub mod changes;
pub mod cli;
mod credentials;
mod descriptors;
mod dev;
mod environment;
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
mod standard_pipes;

use std::ffi::OsString;
use std::path::PathBuf;

use chain::args::{self, Parsed};
use chain::exec::Command;
use chain::{Failure, Reporter};
use system::sys;

use crate::cli::{Options, TOOL};
use crate::probe::Probe;
use crate::root::Root;
use crate::setup::Setup;

/// Runs the tool with its argument vector; becomes the command and does not return.
pub fn run(argv: Vec<OsString>) -> ! {
    let Parsed { options, verbosity, operands, .. } = args::parse::<Options>(&TOOL, argv);
    let reporter = Reporter::new(TOOL.name, verbosity);
    if options.changes.run_nothing() {
        match open_root(operands).and_then(|(root, _)| options.changes.act(&root)) {
            Ok(()) => sys::exit(0),
            Err(failure) => reporter.exit_with(&failure),
        }
    }
    let setup = prepare(&options, operands).unwrap_or_else(|failure| reporter.exit_with(&failure));
    for note in &setup.notes {
        reporter.message(note);
    }
    plan::plan(setup).execute(&reporter)
}

/// Reads the system and decides, and changes nothing.
fn prepare(options: &Options, operands: Vec<OsString>) -> Result<Setup, Failure> {
    let (root, command) = open_root(operands)?;
    let command = Command::from_operands(command).unwrap_or_else(|| interactive_shell(&root));
    Setup::resolve(options, Probe::read(root, options), command)
}

/// NEWROOT, and the words of the command.
fn open_root(mut operands: Vec<OsString>) -> Result<(Root, Vec<OsString>), Failure> {
    if operands.is_empty() {
        return Err(Failure::new("missing operand: NEWROOT").hint("chroot-rs ubuntu-fs /bin/bash"));
    }
    let command = operands.split_off(1);
    Ok((Root::open(operands.pop().map(PathBuf::from).unwrap_or_default())?, command))
}

fn interactive_shell(root: &Root) -> Command {
    let program = root.shell(std::env::var_os("SHELL"));
    Command { argv: vec![program.clone(), "-i".into()], ..Command::shell(program) }
}

//! unshare-rs: enter new namespaces, then become the next command.
#![forbid(unsafe_code)]

pub mod caller;
pub mod cli;
pub mod clock;
pub mod filesystem;
pub mod idmap;
pub mod ids;
pub mod namespaces;
pub mod newuidmap;
pub mod persist;
pub mod plan;
pub mod process;
pub mod setup;

use std::ffi::OsString;

use chain::Reporter;
use chain::args::{self, Parsed};
use chain::command::Command;

use crate::caller::Caller;
use crate::cli::{Options, TOOL};
use crate::setup::Setup;

/// Runs the tool with its arguments; becomes the command and never returns.
pub fn run(argv: Vec<OsString>) -> ! {
    let Parsed { options, verbosity, operands, last_option } = args::parse::<Options>(&TOOL, argv);
    let reporter = Reporter::new(TOOL.name, verbosity);
    let meant = operands
        .first()
        .and_then(|word| hints::for_command(TOOL.name, last_option.as_deref(), &word.to_string_lossy()));
    let command = Command::from_operands(operands).unwrap_or_else(|| Command::shell(args::default_shell()));
    let command = command.or_hint(meant);
    // with --root, the command can exist in that root
    if let Some(failure) = command.is_missing().filter(|_| options.filesystem.root.is_none()) {
        reporter.exit_with(&failure)
    }
    let setup = Setup::resolve(&options, &Caller::of_this_process(&command))
        .unwrap_or_else(|failure| reporter.exit_with(&failure));
    for note in &setup.notes {
        reporter.message(note);
    }
    let command = if setup.environment.is_some() { command.found_by_caller() } else { command };
    plan::plan(setup, command).execute(&reporter)
}

//! unshare-rs: enter new namespaces, then become the next command.
#![forbid(unsafe_code)]

pub mod caller;
pub mod cli;
pub mod clock;
pub mod filesystem;
pub mod idmap;
pub mod ids;
pub mod mapper;
pub mod namespaces;
pub mod persist;
pub mod plan;
pub mod process;
pub mod setup;

use std::ffi::OsString;

use chain::Reporter;
use chain::args::{self, Parsed};
use chain::exec::Command;

use crate::caller::Caller;
use crate::cli::{Options, TOOL};
use crate::setup::Setup;

/// Runs the tool with its argument vector; becomes the command and does not return.
pub fn run(argv: Vec<OsString>) -> ! {
    let Parsed { options, verbosity, operands, last_option } = args::parse::<Options>(&TOOL, argv);
    let reporter = Reporter::new(TOOL.name, verbosity);
    let unjoined = last_option
        .zip(operands.first())
        .and_then(|(option, value)| hints::unjoined(TOOL.name, &option, &value.to_string_lossy()));
    let command = Command::from_operands(operands).unwrap_or_else(|| Command::shell(args::default_shell()));
    let setup = Setup::resolve(&options, &Caller::of_this_process(&command))
        .unwrap_or_else(|failure| reporter.exit_with(&failure));
    for note in &setup.notes {
        reporter.message(note);
    }
    let command = command.or_hint(unjoined);
    let command = if setup.environment.is_some() { command.found_by_caller() } else { command };
    plan::plan(setup, command).execute(&reporter)
}

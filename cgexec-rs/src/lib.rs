//! cgexec-rs: enter a control group with limits, then become the next command.
#![forbid(unsafe_code)]

mod cgroup;
mod cgroup_calls;
mod cgroup_hints;
mod check;
pub mod cli;
mod control_file;
mod counters;
pub mod dbus;
mod device_policy;
mod fork_limit;
mod group;
mod group_files;
mod group_name;
mod group_path;
mod held_limits;
pub mod hierarchy;
mod join;
mod join_target;
mod levels;
mod limits;
mod membership;
mod moving;
mod new_scope;
mod notes;
mod oom;
mod outcome;
mod outer_user;
mod placement;
mod plan;
mod refusal;
mod report;
mod report_output;
mod request;
mod run_mode;
mod scope;
mod scope_call;
mod stale;
mod stats;
mod stats_reader;
pub mod systemd;
mod time_limit;
mod time_watch;
mod unit;
mod unit_group;
mod v2_parent;
mod version;

use std::ffi::OsString;

use chain::args::{self, Parsed};
use chain::command::Command;
use chain::handover::Handover;
use chain::{Failure, Plan, Reporter};
use system::namespace::capability::CAP_SYS_ADMIN;
use system::sys;

use crate::check::Check;
use crate::cli::{Options, TOOL};
use crate::hierarchy::Hierarchies;
use crate::outcome::Outcome;
use crate::request::GroupRequest;
use crate::run_mode::{CgroupNs, RunMode};

/// Runs the tool with its arguments; becomes the command and never returns.
pub fn run(argv: Vec<OsString>) -> ! {
    let Parsed { options, verbosity, operands, last_option } = args::parse::<Options>(&TOOL, argv);
    let reporter = Reporter::new(TOOL.name, verbosity);
    if options.check {
        let check =
            check(options, &operands, &reporter).unwrap_or_else(|failure| reporter.exit_with(&failure));
        args::print(&TOOL, &check.text, if check.possible { 0 } else { chain::FAILED })
    }
    if options.moves {
        let plan = move_processes(options, &operands, &reporter);
        plan.unwrap_or_else(|failure| reporter.exit_with(&failure)).execute(&reporter)
    }
    let meant = operands
        .first()
        .and_then(|word| hints::for_command(TOOL.name, last_option.as_deref(), &word.to_string_lossy()));
    let command = Command::from_operands(operands).unwrap_or_else(|| Command::shell(args::default_shell()));
    let command = command.or_hint(meant);
    if let Some(failure) = command.is_missing() {
        reporter.exit_with(&failure)
    }
    let (outcome, mode) = resolve(options, &reporter).unwrap_or_else(|failure| reporter.exit_with(&failure));
    let handover = Handover::for_last_link(&command);
    let mut plan = plan::plan(outcome, mode, command);
    if let Some(handover) = handover {
        handover.plan_here(&mut plan);
    }
    plan.execute(&reporter)
}

fn resolve(options: Options, reporter: &Reporter) -> Result<(Outcome, RunMode), Failure> {
    let mode = RunMode::of(&options, sys::has_capability(CAP_SYS_ADMIN))?;
    let outcome = Outcome::resolve(options, mode.cgroupns != CgroupNs::No, reporter)?;
    if let Outcome::Create(place) = &outcome {
        notes::notes(place).iter().for_each(|note| reporter.message(note));
    }
    Ok((outcome, mode))
}

/// The plan of `--move`.
fn move_processes(options: Options, operands: &[OsString], reporter: &Reporter) -> Result<Plan, Failure> {
    let pids = moving::pids(operands)?;
    let outcome = moving::resolve(options, &pids, reporter)?;
    Ok(plan::moving::plan(&outcome, &pids))
}

/// What a run could limit.
fn check(options: Options, operands: &[OsString], reporter: &Reporter) -> Result<Check, Failure> {
    if !operands.is_empty() {
        return Err(Failure::new("--check runs no command").hint("omit --check or COMMAND"));
    }
    let admin = sys::has_capability(CAP_SYS_ADMIN);
    let request = GroupRequest::of(options)?;
    Ok(Check::of(&request, &Hierarchies::of_this_process(reporter), admin))
}

//! The options of cgexec-rs.

mod limits;
mod time;

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use chain::args::Tool;
use clap::builder::{OsStringValueParser, TypedValueParser};

pub use limits::LimitOptions;
pub use time::TimeOptions;

use crate::group_name::{Cleanup, GroupName};
use crate::group_path::Parent;
use crate::join_target::Target;

/// The tool's name and texts.
pub const TOOL: Tool = Tool {
    name: "cgexec-rs",
    about: "Run COMMAND in a control group with limits.\n\n\
        Without -g, cgexec-rs creates a group for this run below the current group, \
        and removes it afterwards.",
    operands: "[--] [COMMAND [ARG]...]",
    version: env!("CARGO_PKG_VERSION"),
    usage_error: chain::FAILED,
    write_error: chain::FAILED,
    advice: hints::advice,
};

/// The parsed options.
#[derive(Debug, Default, clap::Args)]
pub struct Options {
    /// Join an existing group, as cgexec(1) does: memory,pids:PATH, *:PATH, or :PATH for version 2
    #[arg(
        short,
        long,
        value_name = "CONTROLLERS:PATH",
        value_parser = bytes::<Target>(),
        conflicts_with_all = ["parent", "name", "keep", "wait", "report", "report_file", "attempt", "check", "cpu_time", "wall_time"]
    )]
    pub group: Vec<Target>,

    /// Move the running processes whose ids are the operands into the group of -g, or into a new group
    /// that stays while they run
    #[arg(
        long = "move",
        conflicts_with_all = ["wait", "exec", "report", "report_file", "check", "cgroupns", "cpu_time", "wall_time", "kill_after"]
    )]
    pub moves: bool,

    /// The limits.
    #[command(flatten)]
    pub limits: LimitOptions,

    /// The time limits.
    #[command(flatten)]
    pub time: TimeOptions,

    /// Skip limits that this machine does not support, with a line for each
    #[arg(long = "try", help_heading = "Limits")]
    pub attempt: bool,

    /// Create the group below PATH, from the top of the hierarchy; . is the current group
    #[arg(long, value_name = "PATH", value_parser = bytes::<Parent>(), help_heading = "The group")]
    pub parent: Option<Parent>,

    /// Name the group NAME
    #[arg(long, value_parser = bytes::<GroupName>(), help_heading = "The group")]
    pub name: Option<GroupName>,

    /// Keep the group, and the processes in it, when COMMAND has ended
    #[arg(long, help_heading = "The group")]
    pub keep: bool,

    /// Create the group by WHO: auto, systemd (a delegated
    /// scope), cgroupfs (files), or none for no group at all
    #[arg(long, value_name = "WHO", default_value = "auto", help_heading = "The group")]
    pub manager: Manager,

    /// Enter a cgroup namespace with the group as its root: the default for a new group, where it is
    /// permitted
    #[arg(long, conflicts_with = "no_cgroupns", help_heading = "The group")]
    pub cgroupns: bool,

    /// Keep the current cgroup namespace, so that COMMAND sees where its group is
    #[arg(long, help_heading = "The group")]
    pub no_cgroupns: bool,

    /// Become COMMAND and keep the process id; the next run removes the empty group
    #[arg(long, conflicts_with_all = ["wait", "keep", "report", "report_file", "cpu_time", "wall_time"], help_heading = "Staying")]
    pub exec: bool,

    /// Wait for COMMAND, then kill what is left and remove the group: the default
    #[arg(long, help_heading = "Staying")]
    pub wait: bool,

    /// Print at the end what COMMAND used: human, json, or runexec for its lines
    #[arg(
        long,
        value_name = "FORM",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "human",
        help_heading = "Staying"
    )]
    pub report: Option<ReportFormat>,

    /// Write the report to FILE instead of standard error
    #[arg(long, value_name = "FILE", help_heading = "Staying")]
    pub report_file: Option<PathBuf>,

    /// Print what can be limited here, or whether the given limits can be set, and run nothing
    #[arg(long)]
    pub check: bool,

    /// Accepted for cgexec -b; has no effect, paths already start at the top of the hierarchy
    #[arg(short, long = "from-top", help_heading = "Compatibility with cgexec(1)")]
    pub b: bool,

    /// Accepted for cgexec --sticky; has no effect, no daemon moves processes
    #[arg(short, long, help_heading = "Compatibility with cgexec(1)")]
    pub sticky: bool,
}

/// Names of groups are bytes, like names of files.
fn bytes<T>() -> impl TypedValueParser<Value = T>
where
    T: TryFrom<OsString, Error = &'static str> + Clone + Send + Sync + 'static,
{
    OsStringValueParser::new().try_map(T::try_from)
}

/// How the group is created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manager {
    /// With files if the group is delegated, otherwise with a scope.
    #[default]
    Auto,
    /// A scope that systemd delegates.
    Systemd,
    /// Files.
    Cgroupfs,
    /// No group.
    None,
}

impl FromStr for Manager {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "systemd" => Ok(Self::Systemd),
            "cgroupfs" => Ok(Self::Cgroupfs),
            "none" => Ok(Self::None),
            _ => Err("expected auto, systemd, cgroupfs or none".to_string()),
        }
    }
}

/// The format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFormat {
    /// Lines for human readers.
    Human,
    /// One line of JSON: report.schema.json.
    Json,
    /// Lines in the format of BenchExec's runexec(1).
    Runexec,
}

impl FromStr for ReportFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            "runexec" => Ok(Self::Runexec),
            _ => Err("expected human, json or runexec".to_string()),
        }
    }
}

impl Options {
    /// What happens to the group at the end.
    pub fn cleanup(&self) -> Cleanup {
        match (self.exec, self.keep) {
            (true, _) => Cleanup::ByLaterRun,
            (_, true) => Cleanup::Never,
            _ => Cleanup::ByUs,
        }
    }

    /// The format of the report, if one is requested.
    pub fn report(&self) -> Option<ReportFormat> {
        self.report.or(self.report_file.as_ref().map(|_| ReportFormat::Human))
    }
}

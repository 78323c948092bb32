//! The options that limit how long COMMAND runs.

use std::time::Duration;

use crate::time_limit::{TimeLimits, duration};

/// How long COMMAND may run.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct TimeOptions {
    /// End COMMAND, by SIGTERM and then SIGKILL, when all of its processes together have used so much
    /// processor time: 90, 1.5, 2m, 1h
    #[arg(long, value_name = "SECONDS", value_parser = duration)]
    pub cpu_time: Option<Duration>,
    /// End COMMAND in the same way when it has run for so long
    #[arg(long, value_name = "SECONDS", value_parser = duration)]
    pub wall_time: Option<Duration>,
    /// The time between SIGTERM and SIGKILL [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = duration)]
    pub kill_after: Option<Duration>,
}

impl TimeOptions {
    /// The limits that were asked for.
    pub fn limits(&self) -> TimeLimits {
        let default = TimeLimits::default();
        TimeLimits {
            cpu: self.cpu_time,
            wall: self.wall_time,
            kill_after: self.kill_after.unwrap_or(default.kill_after),
        }
    }
}

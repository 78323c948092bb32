//! The options that limit how long COMMAND runs.

use std::time::Duration;

use chain::Failure;

use crate::time_limit::{TimeLimits, duration};

/// How long COMMAND may run.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct TimeOptions {
    /// End COMMAND with SIGTERM, then SIGKILL, when its processes together have used SECONDS of
    /// processor time: 90, 1.5, 2m, 1h
    #[arg(long, value_name = "SECONDS", value_parser = duration)]
    pub cpu_time: Option<Duration>,
    /// End COMMAND in the same way after SECONDS
    #[arg(long, value_name = "SECONDS", value_parser = duration)]
    pub wall_time: Option<Duration>,
    /// The time between SIGTERM and SIGKILL [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = duration)]
    pub kill_after: Option<Duration>,
}

impl TimeOptions {
    /// The limits of the options.
    ///
    /// # Errors
    /// `--kill-after` without a time limit.
    pub fn limits(&self) -> Result<TimeLimits, Failure> {
        let limits = TimeLimits { cpu: self.cpu_time, wall: self.wall_time, ..TimeLimits::default() };
        match self.kill_after {
            None => Ok(limits),
            Some(kill_after) if limits.are_set() => Ok(TimeLimits { kill_after, ..limits }),
            Some(_) => Err(Failure::new("--kill-after needs --cpu-time or --wall-time")
                .hint("--wall-time 60 --kill-after 3 sends SIGTERM after 60 s, and SIGKILL 3 s later")),
        }
    }
}

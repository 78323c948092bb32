// SPDX-License-Identifier: MIT OR Apache-2.0
//! The options of cgexec-rs.

use chain::args::Tool;

use crate::join::Target;
use crate::limits::{Cpus, Limit, Memory, Pids};

/// What cgexec-rs says of itself.
pub const TOOL: Tool = Tool {
    name: "cgexec-rs",
    about: "Enter a control group with limits, then become COMMAND.\n\n\
        Without -g it makes a group for this one run, below the group it was started in, \
        and removes it afterwards.",
    operands: "[--] [COMMAND [ARG]...]",
    version: env!("CARGO_PKG_VERSION"),
    usage_error: chain::FAILED,
};

/// The options, read.
#[derive(Debug, Default, clap::Args)]
pub struct Options {
    /// Let COMMAND use at most BYTES of memory: 50M, 1.5G, max (k, m, g, t are powers of 1024)
    #[arg(short, long, value_name = "BYTES")]
    pub memory: Option<Memory>,

    /// Let COMMAND have at most N processes and threads at once; max for no limit
    #[arg(long, value_name = "N")]
    pub pids_limit: Option<Pids>,

    /// Let COMMAND use as much time as N processors have: 0.5, 2
    #[arg(long, value_name = "N")]
    pub cpus: Option<Cpus>,

    /// Join an existing group, as cgexec(1) does: memory,pids:PATH, *:PATH, or :PATH for version 2
    #[arg(short, long, value_name = "CONTROLLERS:PATH", conflicts_with_all = ["memory", "pids_limit", "cpus"])]
    pub group: Vec<Target>,
}

impl Options {
    /// The limits that were asked for.
    pub fn limits(&self) -> Vec<Limit> {
        let memory = self.memory.map(Limit::Memory);
        let pids = self.pids_limit.map(Limit::Pids);
        let cpus = self.cpus.map(Limit::Cpus);
        [memory, pids, cpus].into_iter().flatten().collect()
    }
}

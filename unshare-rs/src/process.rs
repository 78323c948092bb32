// SPDX-License-Identifier: MIT OR Apache-2.0
//! The processes: the child that enters the namespaces, an init above the command, the PID file.

use std::path::PathBuf;

use chain::Failure;
use chain::call::ForkOptions;
use nix::sched::CloneFlags;
use nix::sys::signal::Signal;

use crate::cli::ProcessOptions;
use crate::namespaces::Namespaces;

/// The processes that the options and the namespaces need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// The fork of a child that runs the rest of the plan, and its reason.
    pub child: Option<(&'static str, ForkOptions)>,
    /// The signal that the child receives when its parent dies, if not SIGKILL, and the reason.
    /// 0 is no signal.
    pub death_signal: Option<(&'static str, i32)>,
    /// Where the PID of the child is written.
    pub pid_file: Option<PathBuf>,
    /// Whether PID 1 stays as an init and the command is its child.
    pub has_init: bool,
}

impl Process {
    /// What the options ask for, in these new namespaces.
    ///
    /// # Errors
    /// `--init` without a new PID namespace.
    pub fn from_options(options: &ProcessOptions, namespaces: Namespaces) -> Result<Self, Failure> {
        let child_is_init = namespaces.has(CloneFlags::CLONE_NEWPID);
        if options.init && !child_is_init {
            return Err(Failure::new("--init is process 1 of a new PID namespace, and none is made")
                .hint("add --pid"));
        }
        let has_child = options.imply_fork() || namespaces.need_child();
        let reason =
            if child_is_init { "start process 1 and wait for it" } else { "start a child and wait for it" };
        let death_signal = match options.kill_child {
            _ if options.no_kill_child => Some(("outlive the parent", 0)),
            // without another wish a fork asks for SIGKILL
            None | Some(Signal::SIGKILL) => None,
            Some(signal) => Some(("choose what comes when the parent dies", signal as i32)),
        };
        Ok(Self {
            child: has_child.then_some((reason, ForkOptions { child_is_init, ..ForkOptions::default() })),
            death_signal: death_signal.filter(|_| has_child),
            pid_file: options.pid_file.clone(),
            has_init: options.init,
        })
    }
}

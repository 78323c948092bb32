// SPDX-License-Identifier: MIT OR Apache-2.0
//! The child, the process 1 it may have for a parent, and the file that tells its number.

use std::path::PathBuf;

use chain::call::ForkOptions;
use chain::{Plan, call};
use nix::sched::CloneFlags;
use nix::sys::signal::Signal;

use crate::cli::ProcessOptions;
use crate::ids::Wrong;
use crate::namespaces::Namespaces;

/// Whether there is a child, and what becomes of it when its parent dies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    child: bool,
    /// It is process 1 of a new PID namespace.
    is_first: bool,
    /// Process 1 is a reaper, and the command its child.
    reaper: bool,
    /// The signal that comes when the parent dies, where it is not SIGKILL; 0 is none.
    death_signal: Option<i32>,
    pid_file: Option<PathBuf>,
}

impl Process {
    /// # Errors
    /// `--init` without a new PID namespace.
    pub fn from_options(options: &ProcessOptions, namespaces: Namespaces) -> Result<Self, Wrong> {
        let is_first = namespaces.has(CloneFlags::CLONE_NEWPID);
        if options.init && !is_first {
            return Err((
                "--init is process 1 of a new PID namespace, and none is made".to_string(),
                "add --pid".to_string(),
            ));
        }
        let named = options.kill_child.map(|signal| signal.0 as i32);
        let death_signal = if options.no_kill_child { Some(0) } else { named };
        Ok(Self {
            child: options.imply_fork() || namespaces.need_child(),
            is_first,
            reaper: options.init,
            // SIGKILL is what a fork asks for by itself
            death_signal: death_signal.filter(|signo| *signo != Signal::SIGKILL as i32),
            pid_file: options.pid_file.clone(),
        })
    }

    /// Adds the first child, which goes on with the plan.
    pub fn plan(&self, plan: &mut Plan) {
        if self.child {
            let reason = if self.is_first {
                "start process 1 and wait for it"
            } else {
                "start a child and wait for it"
            };
            plan.fork(reason, ForkOptions { into: None, child_is_init: self.is_first });
        }
        match self.death_signal {
            Some(0) if self.child => plan.step("outlive the parent", call::DeathSignal(0)),
            Some(signo) if self.child => {
                plan.step("choose what comes when the parent dies", call::DeathSignal(signo))
            }
            _ => {}
        }
        // while /proc still is the one outside
        if let Some(file) = &self.pid_file {
            plan.step("tell the number of this process", call::WritePid(file.clone()));
        }
    }

    /// Adds the child of the reaper.
    pub fn plan_reaper(&self, plan: &mut Plan) {
        if self.reaper {
            plan.fork("be process 1, which reaps, and start a child", ForkOptions::default());
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who is process 1 of a new PID namespace.

use crate::Plan;
use crate::call::ForkOptions;

/// Process 1 of a PID namespace, for which the kernel drops signals it does not catch, and whose end
/// ends the namespace: pid_namespaces(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessOne {
    /// A process that only reaps; the command is process 2, and signals act on it as everywhere.
    Reaper,
    /// The command.
    Command,
}

impl ProcessOne {
    /// Starts it in the PID namespace that the plan has just made, and the command, which goes on with the
    /// plan. `limit_reaper` adds the steps by which the reaper gets no more rights than the command will have.
    pub fn plan(self, plan: &mut Plan, limit_reaper: impl FnOnce(&mut Plan)) {
        match self {
            Self::Reaper => {
                plan.start_reaper(limit_reaper);
                let reason = "start process 2, for the command, and wait for it";
                plan.fork(reason, ForkOptions::default());
            }
            Self::Command => {
                let options = ForkOptions { child_is_init: true, ..ForkOptions::default() };
                plan.fork("start process 1 and wait for it", options);
            }
        }
    }
}

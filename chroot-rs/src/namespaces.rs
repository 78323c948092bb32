// SPDX-License-Identifier: MIT OR Apache-2.0
//! The namespaces that the new root needs.

use chain::call::ForkOptions;
use chain::{Plan, call, idmap};
use nix::sched::CloneFlags;

/// The namespaces to enter besides the mount namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// The user and group that become root in a new user namespace, if one is needed.
    pub map_to_root: Option<(u32, u32)>,
    /// Whether the command gets a new PID namespace.
    pub pid: bool,
}

impl Namespaces {
    /// Enters them; the child that starts a PID namespace carries on with the plan.
    pub fn plan(self, plan: &mut Plan) {
        let user = self.map_to_root.is_some();
        let mut flags = CloneFlags::CLONE_NEWNS;
        flags.set(CloneFlags::CLONE_NEWUSER, user);
        flags.set(CloneFlags::CLONE_NEWPID, self.pid);
        let reason = match (user, self.pid) {
            (true, true) => "enter new user, mount and PID namespaces",
            (true, false) => "enter new user and mount namespaces",
            (false, true) => "enter new mount and PID namespaces",
            (false, false) => "enter a new mount namespace",
        };
        plan.step(reason, call::Unshare(flags));
        if let Some(caller) = self.map_to_root {
            idmap::map_one(plan, (0, 0), caller);
        }
        if self.pid {
            let reason = "start process 1, so that no process outside is in sight, and wait for it";
            plan.fork(reason, ForkOptions { into: None, child_is_init: true });
        }
    }
}

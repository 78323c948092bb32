// SPDX-License-Identifier: MIT OR Apache-2.0
//! The namespaces that the new root needs.

use chain::call::ForkOptions;
use chain::{Plan, call, idmap};
use nix::sched::CloneFlags;

/// Enters a mount namespace, a user namespace in which the user and group `map_to_root` are root, and a
/// PID namespace. The child that begins a PID namespace carries on with the plan.
pub fn plan_namespaces(plan: &mut Plan, map_to_root: Option<(u32, u32)>, new_pid: bool) {
    let mut flags = CloneFlags::CLONE_NEWNS;
    flags.set(CloneFlags::CLONE_NEWUSER, map_to_root.is_some());
    flags.set(CloneFlags::CLONE_NEWPID, new_pid);
    let reason = match (map_to_root, new_pid) {
        (Some(_), true) => "enter new user, mount and PID namespaces",
        (Some(_), false) => "enter new user and mount namespaces",
        (None, true) => "enter new mount and PID namespaces",
        (None, false) => "enter a new mount namespace",
    };
    plan.step(reason, call::Unshare(flags));
    if let Some(caller) = map_to_root {
        idmap::map_one(plan, (0, 0), caller);
    }
    if new_pid {
        let reason = "start process 1, so that no process outside is in sight, and wait for it";
        plan.fork(reason, ForkOptions { into: None, child_is_init: true });
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The map of a user namespace that holds one user and one group.
//!
//! A process may write its own map with one id only, and that must be its own:
//! user_namespaces(7), "Defining user and group ID mappings".

use crate::{Call, Plan};

/// Adds the writes that make `outside`, the ids of this process, `inside`.
pub fn map_one(plan: &mut Plan, inside: (u32, u32), outside: (u32, u32)) {
    plan.will(
        format!("be user {} inside, user {} outside", inside.0, outside.0),
        Call::write("/proc/self/uid_map", format!("{} {} 1", inside.0, outside.0)),
    );
    // "deny" must come before gid_map: user_namespaces(7)
    plan.will(
        "give up setgroups(2), without which no group may be mapped",
        Call::write("/proc/self/setgroups", "deny"),
    );
    plan.will(
        format!("be group {} inside, group {} outside", inside.1, outside.1),
        Call::write("/proc/self/gid_map", format!("{} {} 1", inside.1, outside.1)),
    );
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The map of a user namespace: as it is read, and one that holds one user and one group.
//!
//! A process may write its own map with one id only, and that must be its own:
//! user_namespaces(7), "Defining user and group ID mappings".

use std::ops::Range;

use crate::call;
use crate::plan::Plan;

/// The inner ids of a map: the first number of a line, and the third is how many.
pub fn inner_ids(map: &str) -> Vec<Range<u64>> {
    let range = |line: &str| {
        let mut fields = line.split_whitespace().filter_map(|field| field.parse::<u64>().ok());
        let (first, _, count) = (fields.next()?, fields.next()?, fields.next()?);
        Some(first..first.saturating_add(count))
    };
    map.lines().filter_map(range).collect()
}

/// Adds the writes that make `outside`, the ids of this process, `inside`.
pub fn map_one(plan: &mut Plan, inside: (u32, u32), outside: (u32, u32)) {
    plan.step(
        format!("be user {} inside, user {} outside", inside.0, outside.0),
        call::Write::new("/proc/self/uid_map", format!("{} {} 1", inside.0, outside.0)),
    );
    // "deny" must come before gid_map: user_namespaces(7)
    plan.step(
        "give up setgroups(2), without which no group may be mapped",
        call::Write::new("/proc/self/setgroups", "deny"),
    );
    plan.step(
        format!("be group {} inside, group {} outside", inside.1, outside.1),
        call::Write::new("/proc/self/gid_map", format!("{} {} 1", inside.1, outside.1)),
    );
}

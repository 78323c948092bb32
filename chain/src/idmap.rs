// SPDX-License-Identifier: MIT OR Apache-2.0
//! The map of a user namespace: as it is read, and the one that a process may write itself.
//!
//! A process may write its own map with one id only, and that must be its own:
//! user_namespaces(7), "Defining user and group ID mappings".

use std::ops::Range;

use crate::call;
use crate::plan::Plan;

/// What is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdKind {
    /// Users.
    User,
    /// Groups.
    Group,
}

impl IdKind {
    /// What a message calls one of them.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }

    /// The file of the map in /proc/PID.
    pub const fn map_file(self) -> &'static str {
        match self {
            Self::User => "uid_map",
            Self::Group => "gid_map",
        }
    }

    /// The file of the subordinate ids: subuid(5), subgid(5).
    pub const fn subid_file(self) -> &'static str {
        match self {
            Self::User => "/etc/subuid",
            Self::Group => "/etc/subgid",
        }
    }
}

/// The inner ids of a map: the first number of a line, and the third is how many.
pub fn inner_ids(map: &str) -> Vec<Range<u64>> {
    let range = |line: &str| {
        let mut fields = line.split_whitespace().filter_map(|field| field.parse::<u64>().ok());
        let (first, _, count) = (fields.next()?, fields.next()?, fields.next()?);
        Some(first..first.saturating_add(count))
    };
    map.lines().filter_map(range).collect()
}

/// Maps `outside`, the user and the group of this process, to `inside`.
pub fn map_one(plan: &mut Plan, inside: (u32, u32), outside: (u32, u32)) {
    map_own_id(plan, IdKind::User, inside.0, outside.0);
    map_own_id(plan, IdKind::Group, inside.1, outside.1);
}

/// Maps `outside`, the user or the group of this process, to `inside`.
pub fn map_own_id(plan: &mut Plan, kind: IdKind, inside: u32, outside: u32) {
    if kind == IdKind::Group {
        // "deny" must come before gid_map: user_namespaces(7)
        let deny = call::Write::new("/proc/self/setgroups", "deny");
        plan.step("give up setgroups(2), without which no group may be mapped", deny);
    }
    let noun = kind.noun();
    let map = call::Write::new(format!("/proc/self/{}", kind.map_file()), format!("{inside} {outside} 1"));
    plan.step(format!("be {noun} {inside} inside, {noun} {outside} outside"), map);
}

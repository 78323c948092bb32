// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which user and group ids exist in a new user namespace, and who they are outside.

use chain::{Plan, idmap};

/// The one id that a new user namespace has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdMap {
    /// Root inside, the caller outside (`--map-root-user`).
    Root,
    /// The caller, inside and outside (`--map-current-user`).
    Current,
}

impl IdMap {
    /// Adds the writes of the map of a process with these ids to the plan.
    pub fn plan(self, plan: &mut Plan, ids: (u32, u32)) {
        let inside = match self {
            Self::Root => (0, 0),
            Self::Current => ids,
        };
        idmap::map_one(plan, inside, ids);
    }
}

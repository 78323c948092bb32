// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who calls: what this process may do, and which ids it has at hand.

use std::path::PathBuf;

use chain::namespace::capability::CAP_SYS_ADMIN;
use chain::sys;

use crate::subid::{self, IdKind, Owner, SubidRange};

/// Whether namespaces can be made without a new user namespace: capabilities(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// CAP_SYS_ADMIN: they can.
    Admin,
    /// They cannot.
    None,
}

/// The process that calls. The files about its ids are read only where a plan needs them.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What it may do.
    pub privilege: Privilege,
    /// Effective user and group.
    pub ids: (u32, u32),
    /// Its number as /proc shows it.
    pub pid: u32,
    /// Its subordinate ids.
    pub ranges: fn(IdKind, u32) -> Vec<SubidRange>,
    /// The ids of its own user namespace.
    pub existing: fn(IdKind) -> Vec<SubidRange>,
    /// The program that writes a map for it.
    pub mapper: fn(IdKind) -> Result<PathBuf, String>,
}

impl Caller {
    /// This process.
    pub fn of_this_process() -> Self {
        let privilege = if sys::has_capability(CAP_SYS_ADMIN) { Privilege::Admin } else { Privilege::None };
        Self {
            privilege,
            ids: sys::effective_ids(),
            pid: pid_in_proc(),
            ranges: |kind, uid| Owner::new(uid).ranges(kind),
            existing: subid::existing,
            mapper: subid::mapper,
        }
    }

    /// The subordinate ids, all of which exist in the user namespace of now.
    ///
    /// # Errors
    /// Why there are none, with the line to add.
    pub fn subordinate(&self, kind: IdKind) -> Result<Vec<SubidRange>, String> {
        let ranges = (self.ranges)(kind, self.ids.0);
        if ranges.is_empty() {
            let line = subid::line_to_add(&Owner::new(self.ids.0), kind);
            return Err(format!("{} has no line for this user, like {line}", kind.file()));
        }
        let existing = (self.existing)(kind);
        let exists = |&(first, count): &SubidRange| {
            // ranges of a map may touch, but the whole of one usually lies in one
            existing.iter().any(|&(start, len)| {
                start <= first && u64::from(first) + u64::from(count) <= u64::from(start) + u64::from(len)
            })
        };
        match ranges.iter().find(|range| !exists(range)) {
            Some((first, _)) => Err(format!(
                "{} has {} {first} for this user, whom this user namespace lacks (/proc/self/{})",
                kind.file(),
                kind.noun(),
                kind.map()
            )),
            None => Ok(ranges),
        }
    }
}

/// Not getpid(2): where a PID namespace still has the /proc from outside, the numbers there differ,
/// and newuidmap(1) goes by them.
fn pid_in_proc() -> u32 {
    let link = std::fs::read_link("/proc/self").ok();
    let pid = link.and_then(|link| link.to_str()?.parse().ok());
    pid.unwrap_or_else(std::process::id)
}

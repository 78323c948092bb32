//! The calling process: its rights, its ids, and the ids it can map.

use std::path::PathBuf;

use chain::command::Command;
use chain::handover;
use system::namespace::capability::{CAP_SETFCAP, CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN};
use system::sys;

use crate::newuidmap;
use system::idmap::{IdKind, SubidRange};
use system::subid::{self, Owner};

/// Whether it can create namespaces without a new user namespace: capabilities(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// It can, with CAP_SYS_ADMIN.
    Admin,
    /// It cannot.
    None,
}

/// The calling process. Facts that cost reading a file or running a program are functions, called only if an
/// option needs them.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its rights.
    pub privilege: Privilege,
    /// Whether it can, without CAP_SYS_ADMIN, map any id of its user namespace, even user 0:
    /// user_namespaces(7).
    pub may_map: bool,
    /// Effective user and group.
    pub ids: (u32, u32),
    /// Its number in /proc.
    pub pid: u32,
    /// Whether the command is a tool of ours that can take over a PID namespace.
    pub next_takes: bool,
    /// The subordinate ids of a user.
    pub ranges: fn(IdKind, u32) -> Vec<SubidRange>,
    /// The ids of its user namespace.
    pub existing: fn(IdKind) -> Vec<SubidRange>,
    /// The program that writes a map for this process, or why there is none.
    pub find_newuidmap: fn(IdKind) -> Result<PathBuf, String>,
}

impl Caller {
    /// This process.
    pub fn of_this_process(command: &Command) -> Self {
        let privilege = if sys::has_capability(CAP_SYS_ADMIN) { Privilege::Admin } else { Privilege::None };
        Self {
            privilege,
            may_map: privilege == Privilege::None
                && [CAP_SETUID, CAP_SETGID, CAP_SETFCAP].into_iter().all(sys::has_capability),
            ids: sys::effective_ids(),
            pid: pid_in_proc(),
            next_takes: handover::is_taker(command),
            ranges: |kind, uid| Owner::new(uid).ranges(kind),
            existing: subid::existing,
            find_newuidmap: newuidmap::find,
        }
    }

    /// The subordinate ids. All of them exist in the current user namespace.
    ///
    /// # Errors
    /// Why there are none, with the line to add.
    pub fn subordinate(&self, kind: IdKind) -> Result<Vec<SubidRange>, String> {
        let (file, uid) = (kind.subid_file(), self.ids.0);
        let ranges = (self.ranges)(kind, uid);
        if ranges.is_empty() {
            let line = Owner::new(uid).line_to_add(kind);
            return Err(format!("{file} has no line for this user; as root, add one such as {line}"));
        }
        let existing = (self.existing)(kind);
        // adjacent ranges of a map are not merged: a range of subuid(5) usually lies in one of them
        let exists = |range: &SubidRange| existing.iter().any(|outer| outer.contains(*range));
        match ranges.iter().find(|range| !exists(range)) {
            Some(SubidRange { first, .. }) => Err(format!(
                "{file} lists {} {first} for this user, which does not exist in this user namespace (/proc/self/{})",
                kind.noun(),
                kind.map_file()
            )),
            None => Ok(ranges),
        }
    }
}

/// The PID in /proc. Not getpid(2): if a PID namespace still has the outer /proc, the numbers there differ,
/// and newuidmap(1) uses those.
fn pid_in_proc() -> u32 {
    let link = std::fs::read_link("/proc/self").ok();
    let pid = link.and_then(|link| link.to_str()?.parse().ok());
    pid.unwrap_or_else(std::process::id)
}

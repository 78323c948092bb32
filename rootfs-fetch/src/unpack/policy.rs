//! Whose the files become, and what is made at all.

use rustix::process::{Gid, Uid};

use crate::unpack::selection::Selection;

/// Who owns what is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners {
    /// As the archive says, by number.
    Keep,
    /// As the archive says, where the number exists here; else the caller's (`--squash`).
    Squash,
    /// The caller.
    Caller,
}

/// What becomes of device nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Devices {
    /// Left out and counted.
    LeaveOut,
    /// Made, each its owner's alone, or the run fails.
    Make,
    /// Made with the mode that the archive gives them, or the run fails.
    KeepMode,
}

/// The default limit of entries.
pub const DEFAULT_MAX_ENTRIES: u64 = 4_000_000;

/// How a tree is made.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Who owns what is made.
    pub owners: Owners,
    /// What becomes of device nodes.
    pub devices: Devices,
    /// Which entries are made, and under which names.
    pub selection: Selection,
    /// Whether each entry is printed.
    pub verbose: bool,
    /// Whether long runs of zeros become holes.
    pub sparse: bool,
    /// Most entries.
    pub max_entries: u64,
    /// Most bytes of copies that take the place of hard links.
    pub max_copied_bytes: u64,
    /// The mode of DIRECTORY; without it, the archive's under the caller's mask.
    pub root_mode: Option<u32>,
    /// The caller's; calls that would set it are skipped.
    pub uid: Uid,
    /// Likewise.
    pub gid: Gid,
    /// Whether new files may inherit a group or mode from the directory, by set-group-ID or a default
    /// ACL; owner and mode are then always set.
    pub may_inherit: bool,
}

impl Policy {
    /// What the caller's rights allow: root keeps owners, everybody else owns all.
    pub fn for_caller() -> Self {
        let uid = rustix::process::geteuid();
        let owners = if uid.is_root() { Owners::Keep } else { Owners::Caller };
        Self {
            owners,
            devices: Devices::LeaveOut,
            selection: Selection::default(),
            verbose: false,
            sparse: false,
            max_entries: DEFAULT_MAX_ENTRIES,
            max_copied_bytes: u64::MAX,
            root_mode: None,
            uid,
            gid: rustix::process::getegid(),
            may_inherit: false,
        }
    }
}

//! The owners of the files, and what is created at all.

use rustix::process::{Gid, Uid};

use crate::unpack::selection::Selection;

/// The owner of created files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners {
    /// As in the archive, by number.
    Keep,
    /// As in the archive, if the number exists here; else the caller (`--squash`).
    Squash,
    /// The caller.
    Caller,
}

/// What to do with device nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Devices {
    /// Skip and count them.
    LeaveOut,
    /// Create them, accessible only to their owners, or fail.
    Make,
    /// Create them with the archive's mode, or fail.
    KeepMode,
}

/// The default limit for the number of entries.
pub const DEFAULT_MAX_ENTRIES: u64 = 4_000_000;

/// How a tree is created.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The owner of created files.
    pub owners: Owners,
    /// What to do with device nodes.
    pub devices: Devices,
    /// Which entries are created, and with which names.
    pub selection: Selection,
    /// Whether each entry is printed.
    pub verbose: bool,
    /// Whether long runs of zeros become holes.
    pub sparse: bool,
    /// The maximum number of entries.
    pub max_entries: u64,
    /// The maximum size of copies that replace hard links, in bytes.
    pub max_copied_bytes: u64,
    /// The mode of DIRECTORY; without one, the archive's, with the umask applied.
    pub root_mode: Option<u32>,
    /// The caller's user; calls that would set it are skipped.
    pub uid: Uid,
    /// The caller's group; the same.
    pub gid: Gid,
    /// Whether new files can inherit a group or mode from the directory, by set-group-ID or a default ACL.
    /// Owner and mode are then always set.
    pub may_inherit: bool,
}

impl Policy {
    /// The policy that the caller's rights allow: root keeps owners, other users own everything.
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

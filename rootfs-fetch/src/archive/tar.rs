//! The tar format: from 512-byte blocks to entries.
//!
//! Our own parser, because the maintained sans-IO one (tar-core 0.1.0) does not
//! hold what a tool that unpacks strangers' archives needs: it forgets a pax
//! header when a global one stands between it and its entry, with it the size
//! that says where the next header is; it wraps base-256 numbers silently; it
//! stops at a malformed pax record as if there were no more; it refuses times
//! before 1970; and it takes the stored size of a sparse 1.0 entry from the
//! wrong place when the pax header gives it.
//!
//! Where readers of tar disagree about how long an entry is, one of them can be
//! led to see entries the others do not; such archives are refused.
//!
//! # Source
//! POSIX pax(1), "ustar Interchange Format" and "pax Interchange Format";
//! GNU tar's manual, "Tar Internals".

pub mod acl;
pub mod header;
pub mod number;
pub mod pax;
pub mod reader;
pub mod sparse;

pub use header::BLOCK;

/// One thing an archive holds, with everything its headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name as it stands in the archive.
    pub raw_name: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits, set-id and sticky included.
    pub mode: u32,
    /// The owner, unless the archive's number is none a system has.
    pub uid: Option<u32>,
    /// The group, likewise.
    pub gid: Option<u32>,
    /// When it was last changed.
    pub mtime: Time,
    /// Extended attributes, name and value.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes of contents that follow in the archive.
    pub stored: u64,
}

/// The kinds of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A regular file with holes.
    Sparse(sparse::Map),
    /// A regular file, because POSIX has a reader take an unknown type so.
    Unknown(u8),
    /// A directory.
    Directory,
    /// A symbolic link and its text.
    Symlink(Vec<u8>),
    /// Another name of the entry with this one.
    HardLink(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A character device, major and minor.
    CharDevice(u32, u32),
    /// A block device, major and minor.
    BlockDevice(u32, u32),
}

/// Seconds since 1970, and nanoseconds after them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time {
    /// Whole seconds, negative before 1970.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanoseconds: u32,
}

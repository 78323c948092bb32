//! The tar format: from 512-byte blocks to entries.
//!
//! We have our own parser, because the maintained sans-IO one (tar-core 0.1.0) is not safe enough for
//! untrusted archives. It forgets a pax header if a global one comes between it and its entry, and with it
//! the size that locates the next header. It wraps base-256 numbers silently. It stops at a malformed pax
//! record as if there were no more. It refuses times before 1970. And it reads the stored size of a sparse
//! 1.0 entry from the wrong place if the pax header has it.
//!
//! If tar readers disagree about the length of an entry, one of them can be made to see entries that the
//! others do not; such archives are refused.
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

/// One entry of an archive, with everything in its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, as in the archive.
    pub raw_name: Vec<u8>,
    /// The kind of the entry.
    pub kind: EntryKind,
    /// Permission bits, set-id and sticky included.
    pub mode: u32,
    /// The owner; None if the archive's number is not a valid user id.
    pub uid: Option<u32>,
    /// The group; None if the archive's number is not a valid group id.
    pub gid: Option<u32>,
    /// The time of its last change.
    pub mtime: Time,
    /// Extended attributes, name and value.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// The number of bytes of contents that follow in the archive.
    pub stored: u64,
}

/// The kinds of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A regular file with holes.
    Sparse(sparse::Map),
    /// A regular file: POSIX requires readers to treat an unknown type as one.
    Unknown(u8),
    /// A directory.
    Directory,
    /// A symbolic link and its text.
    Symlink(Vec<u8>),
    /// Another name for the entry with this name.
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

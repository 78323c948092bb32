//! The hint for a full disk: how much space the archive needs, and how much there was.
//!
//! The rest of the archive is read for its sizes, unless that takes too long.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use indicatif::HumanCount;
use rustix::fs::StatVfs;

use crate::archive::stream::Stream;
use crate::archive::tar::EntryKind;
use crate::archive::tar::reader::{Reader, padded};
use crate::failure::{Failure, Result};
use crate::tree::name::Name;
use crate::unpack::report::{Report, Size};
use crate::unpack::selection::Selection;

/// How long to read the rest of the archive for its sizes.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// The block size of a file system that does not report one.
const DEFAULT_BLOCK_BYTES: u64 = 4096;

/// The space for the contents of files, in whole blocks of their file system.
#[derive(Clone, Debug)]
pub(super) struct DiskUsage {
    block_bytes: u64,
    bytes: u64,
}

impl DiskUsage {
    /// Starts without files, on the file system of this directory.
    pub(super) fn new(root: BorrowedFd<'_>) -> Self {
        let block = rustix::fs::fstatvfs(root).map(|stat| stat.f_frsize.clamp(512, 1 << 20));
        Self { block_bytes: block.unwrap_or(DEFAULT_BLOCK_BYTES), bytes: 0 }
    }

    /// Adds a file with this number of bytes.
    pub(super) fn add(&mut self, bytes: u64) {
        // sizes are below 2^63
        self.bytes = self.bytes.saturating_add(bytes.next_multiple_of(self.block_bytes));
    }

    /// Adds directories, each of which takes one block.
    fn add_directories(&mut self, count: u64) {
        self.bytes = self.bytes.saturating_add(count.saturating_mul(self.block_bytes));
    }
}

/// An archive with an entry that did not fit, and what was unpacked before.
#[derive(Debug)]
pub(super) struct FullDisk<'a> {
    pub(super) root: BorrowedFd<'a>,
    pub(super) usage: DiskUsage,
    pub(super) report: &'a Report,
    pub(super) selection: &'a Selection,
    pub(super) reader: &'a mut Reader,
    pub(super) stream: &'a mut Stream,
    /// Bytes up to the next header.
    pub(super) skip: u64,
    /// Bytes of contents of the entry that did not fit.
    pub(super) stored: u64,
    /// Whether more archives follow.
    pub(super) is_layer: bool,
}

impl FullDisk<'_> {
    /// The space that is needed, and the space that there was.
    pub(super) fn hint(mut self) -> String {
        let mut inodes = self.report.files + self.report.directories;
        self.usage.add_directories(self.report.directories);
        let is_exact = self.read_rest(&mut inodes).is_ok() && !self.is_layer;
        let at_least = if is_exact { "" } else { "at least " };
        let inodes = match rustix::fs::fstatvfs(self.root) {
            Ok(StatVfs { f_files: 1.., f_ffree: 0, .. }) => {
                format!(" and {} inodes, of which none is left,", HumanCount(inodes))
            }
            _ => String::new(),
        };
        let needed = Size(self.usage.bytes);
        format!("{at_least}{needed}{inodes} are needed; there was room for {}", self.report)
    }

    fn read_rest(&mut self, inodes: &mut u64) -> Result<()> {
        let deadline = Instant::now() + READ_TIMEOUT;
        self.usage.add(self.stored);
        *inodes += 1;
        self.stream.skip(self.skip)?;
        while let Some(entry) = self.reader.next(self.stream)? {
            if Instant::now() > deadline {
                return Err(Failure::damaged("the rest takes too long to read"));
            }
            if self.selection.select(&Name::parse(&entry.raw_name)?).is_some() {
                self.usage.add(entry.stored);
                self.usage.add_directories(u64::from(entry.kind == EntryKind::Directory));
                *inodes += 1;
            }
            self.stream.skip(padded(entry.stored))?;
        }
        Ok(())
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A full disk: how far we came, and what would have been needed.
//!
//! The rest of the archive is read for its sizes, as long as that takes no time worth saying.

use std::time::{Duration, Instant};

use rustix::fs::StatVfs;

use crate::archive::stream::Stream;
use crate::archive::tar::EntryKind;
use crate::archive::tar::reader::{Reader, padded};
use crate::failure::{Failure, Result};
use crate::tree::Tree;
use crate::tree::name::Name;
use crate::unpack::report::{Grouped, Size};
use crate::unpack::{ArchiveKind, Unpacker};

/// A slow source is not read to its end for a number.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Where the file system does not say what it counts in.
const DEFAULT_BLOCK_BYTES: u64 = 4096;

/// What is left of an archive when the space ends in one of its entries.
#[derive(Debug)]
pub(super) struct Rest<'a> {
    pub(super) reader: &'a mut Reader,
    pub(super) stream: &'a mut Stream,
    /// Bytes up to the next header.
    pub(super) skip: u64,
    /// Bytes of the entry itself.
    pub(super) current: u64,
}

impl Unpacker {
    /// Says of a full disk what was needed; any other failure stays as it is.
    pub(super) fn full(&self, failure: Failure, kind: ArchiveKind, rest: Rest<'_>) -> Failure {
        if !failure.is_full() {
            return failure;
        }
        let mut bytes = self.disk_bytes + self.report.directories * self.block;
        let mut names = self.report.files + self.report.directories;
        let whole = match self.needed(rest, &mut bytes, &mut names) {
            Ok(()) if kind == ArchiveKind::Whole => "",
            // more layers may follow, or what is left cannot be read in time
            _ => "at least ",
        };
        let inodes = match rustix::fs::fstatvfs(self.tree.root()) {
            Ok(StatVfs { f_files: 1.., f_ffree: 0, .. }) => {
                format!(" and {} inodes, of which none is left,", Grouped(names))
            }
            _ => String::new(),
        };
        let need = Size(bytes);
        failure.hint(format_args!("{whole}{need}{inodes} are needed; there was room for {}", self.report))
    }

    fn needed(&self, rest: Rest<'_>, bytes: &mut u64, names: &mut u64) -> Result<()> {
        let until = Instant::now() + READ_TIMEOUT;
        *bytes = bytes.saturating_add(self.in_blocks(rest.current));
        *names += 1;
        rest.stream.skip(rest.skip)?;
        while let Some(entry) = rest.reader.next(rest.stream)? {
            if Instant::now() > until {
                return Err(Failure::damaged("there is more"));
            }
            if self.policy.selection.select(&Name::parse(&entry.raw_name)?).is_some() {
                let directory = if entry.kind == EntryKind::Directory { self.block } else { 0 };
                *bytes = bytes.saturating_add(self.in_blocks(entry.stored)).saturating_add(directory);
                *names += 1;
            }
            rest.stream.skip(padded(entry.stored))?;
        }
        Ok(())
    }

    /// What contents take on the disk.
    pub(super) fn in_blocks(&self, bytes: u64) -> u64 {
        // sizes are below 2^63
        bytes.next_multiple_of(self.block)
    }
}

/// What the file system counts in.
pub(super) fn block_of(tree: &Tree) -> u64 {
    rustix::fs::fstatvfs(tree.root()).map_or(DEFAULT_BLOCK_BYTES, |stat| stat.f_frsize.clamp(512, 1 << 20))
}

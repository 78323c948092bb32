// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contents of a regular file, written from the decoder's chunks without a copy.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use crate::archive::stream::Stream;
use crate::archive::tar::sparse::Map;
use crate::failure::{Failure, Result};
use crate::io::write_all;
use crate::tree::entry_path::EntryPath;

/// Makes a new file; never opens one that exists, never follows a link.
///
/// # Errors
/// As openat(2).
pub fn create(entry_path: &EntryPath, mode: Mode) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(entry_path.dir(), entry_path.leaf(), flags, mode)
}

/// Writes the next `size` bytes of the stream.
///
/// # Errors
/// I/O, and what the stream says.
pub fn fill(fd: impl AsFd, size: u64, stream: &mut Stream) -> Result<()> {
    let mut rest = size;
    while rest > 0 {
        let bytes = stream.bytes(rest)?;
        rest -= bytes.len() as u64;
        write_all(&fd, bytes)?;
    }
    Ok(())
}

/// Writes what the archive has of a file with holes; the holes stay holes.
///
/// # Errors
/// I/O, and what the stream says.
pub fn fill_sparse(fd: impl AsFd, map: &Map, stream: &mut Stream) -> Result<()> {
    rustix::fs::ftruncate(&fd, map.size()).map_err(|error| Failure::call("size it", "ftruncate()", error))?;
    for segment in map.segments() {
        rustix::fs::seek(&fd, rustix::fs::SeekFrom::Start(segment.offset))
            .map_err(|error| Failure::call("write it", "lseek()", error))?;
        fill(&fd, segment.length, stream)?;
    }
    Ok(())
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contents of a regular file, written from the decoder's chunks without a copy.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use crate::failure::{Failure, Result};
use crate::spot::Spot;
use crate::stream::Stream;
use crate::tar::sparse::Map;

/// Makes a new file; never opens one that exists, never follows a link.
///
/// # Errors
/// As openat(2).
pub fn create(spot: &Spot, mode: Mode) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(spot.dir(), spot.leaf(), flags, mode)
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

/// Writes all of some bytes.
///
/// # Errors
/// I/O.
pub fn write_all(fd: impl AsFd, mut rest: &[u8]) -> Result<()> {
    while !rest.is_empty() {
        match rustix::io::write(&fd, rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Failure::call("write it", "write()", error)),
        }
    }
    Ok(())
}

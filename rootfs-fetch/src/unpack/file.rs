//! Writes the contents of a regular file from the decoder's chunks, without a copy.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use crate::archive::stream::Stream;
use crate::archive::tar::sparse::Map;
use crate::failure::{Failure, Result};
use crate::io::{umask, write_all};
use crate::tree::entry_path::EntryPath;

/// Creates a new file with this mode, whatever the umask is. It never opens an existing file or follows a
/// link.
///
/// # Errors
/// Those of openat(2).
pub fn create(entry_path: &EntryPath, mode: Mode) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(entry_path.dir(), entry_path.leaf(), flags, mode)?;
    if mode.intersects(umask()) {
        rustix::fs::fchmod(&fd, mode)?;
    }
    Ok(fd)
}

/// Writes the next `size` bytes of the stream.
///
/// # Errors
/// I/O, and those of the stream.
pub fn fill(fd: impl AsFd, size: u64, stream: &mut Stream) -> Result<()> {
    let mut rest = size;
    while rest > 0 {
        let bytes = stream.bytes(rest)?;
        rest -= bytes.len() as u64;
        write_all(&fd, bytes)?;
    }
    Ok(())
}

/// How many bytes are checked for zeros at once; a multiple of every file system's block.
const HOLE_SIZE: usize = 32 * 1024;
/// The shortest hole, in bytes, at the end of a chunk of the stream.
const MIN_HOLE_SIZE: usize = 4096;

static ZEROS: [u8; HOLE_SIZE] = [0; HOLE_SIZE];

/// Writes the next `size` bytes of the stream; long runs of zeros become holes.
///
/// # Errors
/// I/O, and those of the stream.
pub fn fill_with_holes(fd: impl AsFd, size: u64, stream: &mut Stream) -> Result<()> {
    let mut rest = size;
    let mut hole = 0;
    while rest > 0 {
        let bytes = stream.bytes(rest)?;
        rest -= bytes.len() as u64;
        // a comparison handles 32 bytes at a time
        let is_zero = |block: &&[u8]| {
            block.len() >= MIN_HOLE_SIZE && ZEROS.get(..block.len()).is_some_and(|zeros| *block == zeros)
        };
        let blocks: Vec<&[u8]> = bytes.chunks(HOLE_SIZE).collect();
        let mut at = 0;
        for run in blocks.chunk_by(|one, other| is_zero(one) == is_zero(other)) {
            let length: usize = run.iter().map(|block| block.len()).sum();
            if run.first().is_some_and(is_zero) {
                hole += length as u64;
            } else {
                skip(&fd, &mut hole)?;
                write_all(&fd, bytes.get(at..at + length).unwrap_or_default())?;
            }
            at += length;
        }
    }
    if hole == 0 {
        return Ok(());
    }
    rustix::fs::ftruncate(&fd, size).map_err(|error| Failure::call("size it", "ftruncate()", error))
}

/// Continues after a hole.
fn skip(fd: impl AsFd, hole: &mut u64) -> Result<()> {
    let length = i64::try_from(std::mem::take(hole)).unwrap_or(i64::MAX);
    if length > 0 {
        rustix::fs::seek(fd, rustix::fs::SeekFrom::Current(length))
            .map_err(|error| Failure::call("write it", "lseek()", error))?;
    }
    Ok(())
}

/// Writes the stored parts of a file with holes; the holes stay holes.
///
/// # Errors
/// I/O, and those of the stream.
pub fn fill_sparse(fd: impl AsFd, map: &Map, stream: &mut Stream) -> Result<()> {
    rustix::fs::ftruncate(&fd, map.size()).map_err(|error| Failure::call("size it", "ftruncate()", error))?;
    for segment in map.segments() {
        rustix::fs::seek(&fd, rustix::fs::SeekFrom::Start(segment.offset))
            .map_err(|error| Failure::call("write it", "lseek()", error))?;
        fill(&fd, segment.length, stream)?;
    }
    Ok(())
}

//! Copies a file that was already created, if a hard link to it is refused.

use std::ops::Range;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use crate::interrupt::Interrupt;
use crate::tree::entry_path::EntryPath;
use crate::unpack::file;

/// The number of bytes to read at once.
const BUFFER_SIZE: usize = 256 * 1024;
/// The maximum size of all attribute names, and of one value: xattr(7).
const MAX_XATTR_SIZE: usize = 64 * 1024;

/// Creates `new` with the contents, holes, owner, attributes, mode and times of `old`. Both are in open
/// directories, and links are not followed.
///
/// # Errors
/// Those of the calls; `EEXIST` if `new` exists; `EINTR` after a signal.
pub fn entry(old: &EntryPath, new: &EntryPath, interrupt: &Interrupt) -> rustix::io::Result<()> {
    let stat = old.stat()?;
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    let mode = Mode::from_raw_mode(stat.st_mode);
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => return regular_file(old, new, &stat, interrupt),
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(old.dir(), old.leaf(), Vec::new())?;
            rustix::fs::symlinkat(&target, new.dir(), new.leaf())?;
        }
        kind => rustix::fs::mknodat(new.dir(), new.leaf(), kind, mode, stat.st_rdev)?,
    }
    rustix::fs::chownat(new.dir(), new.leaf(), Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    rustix::fs::utimensat(new.dir(), new.leaf(), &times(&stat), AtFlags::SYMLINK_NOFOLLOW)
}

fn regular_file(
    old: &EntryPath,
    new: &EntryPath,
    stat: &Stat,
    interrupt: &Interrupt,
) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let from = rustix::fs::openat(old.dir(), old.leaf(), flags, Mode::empty())?;
    let to = file::create(new, Mode::RUSR | Mode::WUSR)?;
    let copied = (|| {
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        rustix::fs::ftruncate(&to, size)?;
        let mut end = 0;
        while end < size {
            let start = match rustix::fs::seek(&from, SeekFrom::Data(end)) {
                Err(Errno::NXIO) => break,
                start => start?,
            };
            end = rustix::fs::seek(&from, SeekFrom::Hole(start))?;
            part(&from, &to, start..end, interrupt)?;
        }
        // the same order as in metadata.rs: chown(2) clears what the others set
        rustix::fs::fchown(&to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
        rustix::fs::fchmod(&to, Mode::from_raw_mode(stat.st_mode | 0o200))?;
        attributes(&from, &to)?;
        rustix::fs::fchmod(&to, Mode::from_raw_mode(stat.st_mode))?;
        rustix::fs::futimens(&to, &times(stat))
    })();
    if copied.is_err() {
        // half a copy is worse than none
        let _ = rustix::fs::unlinkat(new.dir(), new.leaf(), AtFlags::empty());
    }
    copied
}

/// Copies a range of contents.
fn part(from: &OwnedFd, to: &OwnedFd, range: Range<u64>, interrupt: &Interrupt) -> rustix::io::Result<()> {
    let mut buffer = vec![0; BUFFER_SIZE];
    let mut at = range.start;
    while at < range.end {
        interrupt.check().map_err(|_| Errno::INTR)?;
        let most = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(BUFFER_SIZE);
        let count = rustix::io::pread(from, buffer.get_mut(..most).unwrap_or_default(), at)?;
        let mut rest = buffer.get(..count).unwrap_or_default();
        if rest.is_empty() {
            return Err(Errno::IO);
        }
        while !rest.is_empty() {
            let written = rustix::io::pwrite(to, rest, at)?;
            rest = rest.get(written..).unwrap_or_default();
            at += written as u64;
        }
    }
    Ok(())
}

fn attributes(from: &OwnedFd, to: &OwnedFd) -> rustix::io::Result<()> {
    let mut names = vec![0; MAX_XATTR_SIZE];
    let length = match rustix::fs::flistxattr(from, &mut names) {
        Err(Errno::OPNOTSUPP) => 0,
        length => length?,
    };
    let mut value = vec![0; MAX_XATTR_SIZE];
    let names = names.get(..length).unwrap_or_default().split(|&byte| byte == 0);
    for name in names.filter(|name| !name.is_empty()) {
        let length = rustix::fs::fgetxattr(from, name, &mut value)?;
        rustix::fs::fsetxattr(to, name, value.get(..length).unwrap_or_default(), XattrFlags::empty())?;
    }
    Ok(())
}

fn times(stat: &Stat) -> Timestamps {
    let time = |tv_sec: i64, nanoseconds: u64| Timespec { tv_sec, tv_nsec: nanoseconds as i64 };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

//! Removes a tree of any depth with two open directories and without recursion.
//!
//! The children of a subdirectory are moved up next to it and removed there, so
//! depth costs nothing. No link is followed, and what is removed is always
//! a name in an open directory.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use chain::reporter::Quoted;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;

use crate::failure::{Failure, Result};
use crate::tree::directories::Inode;
use crate::tree::mount_id;

/// Names read before they are removed: unlink(2) during readdir(3) can hide names.
const MAX_BATCH: usize = 4096;

/// Removes `name` from `dir` and everything below it. `gone` is called for each directory.
///
/// # Errors
/// As unlinkat(2); what could not be removed stays.
pub fn entry(dir: BorrowedFd<'_>, name: &[u8], gone: &mut dyn FnMut(Inode)) -> Result<()> {
    let failed = |error| Failure::entry_call(format_args!("remove {}", Quoted(name)), "unlinkat()", error);
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // what Linux says of a directory, and what POSIX says
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(failed(error)),
    }
    let top = open(dir, name).map_err(failed)?;
    contents(top.as_fd(), gone).map_err(failed)?;
    gone(Inode::of(&rustix::fs::fstat(&top).map_err(failed)?));
    rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR).map_err(failed)
}

/// Empties an open directory.
///
/// # Errors
/// As the calls it is made of.
pub fn contents(top: BorrowedFd<'_>, gone: &mut dyn FnMut(Inode)) -> rustix::io::Result<()> {
    let mut moved = 0_u64;
    loop {
        let names = names(top, MAX_BATCH)?;
        if names.is_empty() {
            return Ok(());
        }
        for (name, kind) in names {
            if kind == FileType::Directory {
                flatten(top, &name, &mut moved, gone)?;
            } else {
                unlink(top, &name)?;
            }
        }
    }
}

/// Removes the directory `name` of `top`, moving its subdirectories up into `top`.
fn flatten(
    top: BorrowedFd<'_>,
    name: &[u8],
    moved: &mut u64,
    gone: &mut dyn FnMut(Inode),
) -> rustix::io::Result<()> {
    let dir = open(top, name)?;
    loop {
        let names = names(dir.as_fd(), MAX_BATCH)?;
        if names.is_empty() {
            break;
        }
        for (name, kind) in names {
            if kind == FileType::Directory {
                // moving a directory changes its "..", which needs write permission
                drop(open(dir.as_fd(), &name)?);
                lift(dir.as_fd(), &name, top, moved)?;
            } else {
                unlink(dir.as_fd(), &name)?;
            }
        }
    }
    gone(Inode::of(&rustix::fs::fstat(&dir)?));
    rustix::fs::unlinkat(top, name, AtFlags::REMOVEDIR)
}

fn lift(dir: BorrowedFd<'_>, name: &[u8], top: BorrowedFd<'_>, moved: &mut u64) -> rustix::io::Result<()> {
    loop {
        *moved += 1;
        let new = format!(".removed-{moved}");
        match rustix::fs::renameat_with(dir, name, top, &new, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            // a file system without RENAME_NOREPLACE: an empty directory in the way is no loss
            Err(Errno::INVAL) => return rustix::fs::renameat(dir, name, top, &new),
            other => return other,
        }
    }
}

fn unlink(dir: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Opens a directory to empty it; if its mode forbids that, changes the mode.
fn open(dir: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let writable = |fd: OwnedFd| match rustix::fs::fchmod(&fd, Mode::RWXU) {
        // a directory that is not ours may still let us
        Ok(()) | Err(Errno::PERM) => Ok(fd),
        Err(error) => Err(error),
    };
    // mounts are neither entered nor emptied
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let opened = match rustix::fs::openat2(dir, name, flags, Mode::empty(), how) {
        // before Linux 5.6, or a filter that is older
        Err(Errno::NOSYS | Errno::PERM) => {
            rustix::fs::openat(dir, name, flags, Mode::empty()).and_then(|fd| not_mounted(dir, fd))
        }
        other => other,
    };
    match opened {
        Ok(fd) => writable(fd),
        Err(Errno::ACCESS) => {
            // it is a directory, and only this process writes to its parent
            rustix::fs::chmodat(dir, name, Mode::RWXU, AtFlags::empty())?;
            rustix::fs::openat(dir, name, flags, Mode::empty()).and_then(|fd| not_mounted(dir, fd))
        }
        Err(error) => Err(error),
    }
}

/// What openat2(2) says of a mount point, RESOLVE_NO_XDEV.
fn not_mounted(dir: BorrowedFd<'_>, fd: OwnedFd) -> rustix::io::Result<OwnedFd> {
    if mount_id::same_mount(dir, &fd) { Ok(fd) } else { Err(Errno::XDEV) }
}

/// The names in an open directory and what they are, `max_count` of them.
///
/// # Errors
/// As getdents64(2).
pub fn names(dir: BorrowedFd<'_>, max_count: usize) -> rustix::io::Result<Vec<(Vec<u8>, FileType)>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let kind = match entry.file_type() {
            // some file systems do not say
            FileType::Unknown => {
                let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(stat.st_mode)
            }
            kind => kind,
        };
        names.push((name.to_vec(), kind));
        if names.len() == max_count {
            break;
        }
    }
    Ok(names)
}

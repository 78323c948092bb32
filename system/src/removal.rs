//! Removes a tree of any depth with two open directories.
//!
//! The children of a subdirectory are moved up next to it and removed there, so depth costs nothing. Only if a
//! directory cannot be moved, for example out of a lower layer of an overlay, each level is a recursion. Links are not
//! followed, and mounts are not entered. Only names in open directories are removed, so a command that runs in the
//! tree, or chose its names, cannot redirect the removal. A name that another process has removed
//! meanwhile is not an error.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat};
use rustix::io::{Errno, Result};

use crate::mountinfo::are_on_one_mount;

/// Names read before they are removed: unlink(2) during readdir(3) can hide names.
const MAX_BATCH: usize = 4096;

/// Removes `name` from `dir` and everything below it. `gone` is called for each directory.
///
/// # Errors
/// Those of unlinkat(2); `EXDEV` at a mount; what could not be removed stays.
pub fn remove(dir: BorrowedFd<'_>, name: &[u8], gone: &mut dyn FnMut(&Stat)) -> Result<()> {
    let top = match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // the error for a directory, on Linux and in POSIX
        Err(error @ (Errno::ISDIR | Errno::PERM)) => match open(dir, name) {
            Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(error),
            opened => opened?,
        },
        Err(error) => return Err(error),
    };
    empty(top.as_fd(), gone)?;
    gone(&rustix::fs::fstat(&top)?);
    unless_gone(rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR))
}

fn unless_gone(done: Result<()>) -> Result<()> {
    if done == Err(Errno::NOENT) { Ok(()) } else { done }
}

/// Empties an open directory.
///
/// # Errors
/// Those of [`remove`].
pub fn empty(top: BorrowedFd<'_>, gone: &mut dyn FnMut(&Stat)) -> Result<()> {
    let mut moved = 0_u64;
    loop {
        let names = names(top, MAX_BATCH)?;
        if names.is_empty() {
            return Ok(());
        }
        for (name, kind) in names {
            if kind == FileType::Directory {
                unless_gone(flatten(top, &name, &mut moved, gone))?;
            } else {
                unlink(top, &name)?;
            }
        }
    }
}

/// Removes the directory `name` of `top`, moving its subdirectories up into `top`.
fn flatten(top: BorrowedFd<'_>, name: &[u8], moved: &mut u64, gone: &mut dyn FnMut(&Stat)) -> Result<()> {
    let dir = open(top, name)?;
    loop {
        let names = names(dir.as_fd(), MAX_BATCH)?;
        if names.is_empty() {
            break;
        }
        for (name, kind) in names {
            if kind != FileType::Directory {
                unlink(dir.as_fd(), &name)?;
                continue;
            }
            // moving a directory changes its "..", which needs write permission
            drop(open(dir.as_fd(), &name)?);
            match move_up(dir.as_fd(), &name, top, moved) {
                // an overlay does not move the directories of its lower layers
                Err(Errno::XDEV) => remove(dir.as_fd(), &name, gone)?,
                done => done?,
            }
        }
    }
    gone(&rustix::fs::fstat(&dir)?);
    rustix::fs::unlinkat(top, name, AtFlags::REMOVEDIR)
}

fn move_up(dir: BorrowedFd<'_>, name: &[u8], top: BorrowedFd<'_>, moved: &mut u64) -> Result<()> {
    loop {
        *moved += 1;
        let new = format!(".removed-{moved}");
        match rustix::fs::renameat_with(dir, name, top, &new, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            // a file system without RENAME_NOREPLACE: an empty directory in the way may be replaced
            Err(Errno::INVAL) => match rustix::fs::renameat(dir, name, top, &new) {
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR | Errno::ISDIR) => {}
                other => return other,
            },
            other => return other,
        }
    }
}

fn unlink(dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    unless_gone(rustix::fs::unlinkat(dir, name, AtFlags::empty()))
}

/// Opens a directory to empty it; if its mode forbids that, changes the mode. The kernel leaves such directories in an
/// overlay's work directory, and root inside can create them.
fn open(dir: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let writable = |fd: OwnedFd| {
        if Mode::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode).contains(Mode::RWXU) {
            return Ok(fd);
        }
        match rustix::fs::fchmod(&fd, Mode::RWXU) {
            // another user's directory may still be writable
            Ok(()) | Err(Errno::PERM) => Ok(fd),
            Err(error) => Err(error),
        }
    };
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let opened = match rustix::fs::openat2(dir, name, flags, Mode::empty(), how) {
        // before Linux 5.6, or with an older seccomp filter
        Err(Errno::NOSYS | Errno::PERM) => {
            rustix::fs::openat(dir, name, flags, Mode::empty()).and_then(|fd| not_mounted(dir, fd))
        }
        other => other,
    };
    match opened {
        Ok(fd) => writable(fd),
        Err(Errno::ACCESS) => {
            // it is a directory; if a command in the tree replaces it by a link, the link is not followed
            let held = rustix::fs::openat(dir, name, flags | OFlags::PATH, Mode::empty())?;
            let held = not_mounted(dir, held)?;
            rustix::fs::chmod(format!("/proc/self/fd/{}", held.as_raw_fd()), Mode::RWXU)?;
            rustix::fs::openat(dir, name, flags, Mode::empty()).and_then(|fd| not_mounted(dir, fd))
        }
        Err(error) => Err(error),
    }
}

/// Fails at a mount point, like openat2(2) with RESOLVE_NO_XDEV.
fn not_mounted(dir: BorrowedFd<'_>, fd: OwnedFd) -> Result<OwnedFd> {
    if are_on_one_mount(dir, fd.as_fd()) { Ok(fd) } else { Err(Errno::XDEV) }
}

/// At most `max_count` names in an open directory, with their types.
///
/// # Errors
/// Those of getdents64(2).
pub fn names(dir: BorrowedFd<'_>, max_count: usize) -> Result<Vec<(Vec<u8>, FileType)>> {
    let mut names = Vec::new();
    let entries = match Dir::read_from(dir) {
        // a directory that was removed has no name for itself
        Err(Errno::NOENT) => return Ok(names),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let kind = match entry.file_type() {
            // some file systems do not report it
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;

    use super::*;

    #[test]
    fn two_removals_of_one_tree_both_succeed() {
        let scratch = std::env::temp_dir().join(format!("two-removals-{}", std::process::id()));
        for round in 0..20 {
            for dir in 0..30 {
                let dir = scratch.join(format!("tree/{dir}/below/further"));
                fs::create_dir_all(&dir).expect("a tree");
                for file in 0..10 {
                    fs::write(dir.join(format!("../f{file}")), "").expect("a file");
                }
            }
            let parent = fs::File::open(&scratch).expect("a directory");
            let done = thread::scope(|scope| {
                let removals = [0, 1].map(|_| scope.spawn(|| remove(parent.as_fd(), b"tree", &mut |_| {})));
                removals.map(|removal| removal.join().expect("no panic"))
            });
            assert_eq!(done, [Ok(()), Ok(())], "round {round}");
        }
        fs::remove_dir(&scratch).expect("empty");
    }
}

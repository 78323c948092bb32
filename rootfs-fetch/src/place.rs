// SPDX-License-Identifier: MIT OR Apache-2.0
//! DIRECTORY appears complete or not at all.
//!
//! The tree grows in `DIRECTORY.partial-XXXXXX`, a sibling that only we can
//! enter, and is renamed into place at the end. The sibling is locked while it
//! grows, so that a run that finds one unlocked knows that its maker is dead,
//! and removes it.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use chain::tell::quoted;
use rustix::fs::{AtFlags, CWD, Dir, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::directories::Inode;
use crate::failure::{Failure, Kind, Result};
use crate::remove;

const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const RANDOM: usize = 6;

/// The sibling in which the tree grows.
#[derive(Debug)]
pub struct Place {
    /// DIRECTORY as the user wrote it, for messages.
    directory: PathBuf,
    parent: OwnedFd,
    name: OsString,
    partial: OsString,
    root: OwnedFd,
    existing: Existing,
}

/// What becomes of a DIRECTORY that exists and is not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It is refused.
    Refuse,
    /// It changes places with the new tree, and goes.
    Replace,
}

impl Place {
    /// Makes the sibling, after a look at DIRECTORY and at what dead runs left.
    ///
    /// # Errors
    /// Exists, if DIRECTORY is there and not an empty directory; I/O.
    pub fn beside(directory: &Path, existing: Existing) -> Result<Self> {
        let (parent_path, name) = parent_and_name(directory)?;
        let parent = crate::tree::open_plain(&parent_path).map_err(|error| {
            let call = format!("openat({}, O_DIRECTORY)", quoted(&parent_path));
            let kind = if error == Errno::ACCESS { Kind::Denied } else { Kind::Io };
            Failure::call(format_args!("make {}", quoted(directory)), call, error).kind(kind)
        })?;
        free(&parent, &name, directory, existing)?;
        remove_stale(&parent, &name);
        let (partial, root) = make_partial(&parent, &name, directory)?;
        Ok(Self { directory: directory.to_path_buf(), parent, name, partial, root, existing })
    }

    /// The root of the tree, open.
    ///
    /// # Errors
    /// I/O.
    pub fn root(&self) -> Result<OwnedFd> {
        self.root.try_clone().map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::MFILE);
            Failure::call("open the new directory", "fcntl(F_DUPFD_CLOEXEC)", errno)
        })
    }

    /// Gives the finished tree its name.
    ///
    /// # Errors
    /// Exists, if somebody was faster; I/O. Nothing is left then.
    pub fn commit(self) -> Result<()> {
        if self.existing == Existing::Replace && self.rename(RenameFlags::EXCHANGE).is_ok() {
            // the old tree has the sibling's name now
            return self.abandon();
        }
        let done = match self.rename(RenameFlags::NOREPLACE) {
            // an empty directory was there, and may be replaced by plain rename(2) alone
            Err(Errno::EXIST | Errno::INVAL) => {
                rustix::fs::renameat(&self.parent, &self.partial, &self.parent, &self.name)
            }
            other => other,
        };
        match done {
            Ok(()) => Ok(()),
            Err(error) => {
                let kind = match error {
                    Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR => Kind::Exists,
                    Errno::ACCESS | Errno::PERM => Kind::Denied,
                    _ => Kind::Io,
                };
                let call = format!("renameat2({}, {})", quoted(&self.partial), quoted(&self.name));
                let failure =
                    Failure::call(format_args!("give {} its name", quoted(&self.directory)), call, error)
                        .kind(kind);
                self.abandon()?;
                Err(failure)
            }
        }
    }

    fn rename(&self, flags: RenameFlags) -> rustix::io::Result<()> {
        rustix::fs::renameat_with(&self.parent, &self.partial, &self.parent, &self.name, flags)
    }

    /// Removes the sibling and all that is in it.
    ///
    /// # Errors
    /// I/O; the next run tries again.
    pub fn abandon(self) -> Result<()> {
        remove::entry(self.parent.as_fd(), self.partial.as_bytes(), &mut |_| {})
    }
}

/// The directory that holds DIRECTORY, and DIRECTORY's name in it.
fn parent_and_name(directory: &Path) -> Result<(PathBuf, OsString)> {
    let unusable =
        || Failure::new(Kind::Usage, format_args!("{} cannot be a new directory", quoted(directory)));
    // `.`, `..`, `a/..` and links to a directory have their name elsewhere
    let named = directory.file_name().is_some() && !directory.as_os_str().as_bytes().ends_with(b"/.");
    let real = if !named || directory.is_symlink() {
        std::fs::canonicalize(directory).map_err(|_| unusable())?
    } else {
        directory.to_path_buf()
    };
    let name = real.file_name().ok_or_else(unusable)?.to_owned();
    let parent = match real.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    Ok((parent, name))
}

/// Refuses a DIRECTORY that has something in it, before any work.
fn free(parent: &OwnedFd, name: &OsStr, directory: &Path, existing: Existing) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let exists = |what| {
        Err(Failure::new(Kind::Exists, format_args!("{} exists{what}", quoted(directory))).hint(
            "give the name of a directory that does not exist, or of an empty one; --replace replaces it",
        ))
    };
    match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => Ok(()),
        Err(Errno::NOTDIR | Errno::LOOP) => exists(" and is no directory"),
        Err(error) => Err(Failure::call(
            format_args!("look into {}", quoted(directory)),
            format_args!("openat({})", quoted(name)),
            error,
        )),
        Ok(_) if existing == Existing::Replace => Ok(()),
        Ok(fd) => {
            let entries = Dir::read_from(&fd).map_err(|error| {
                Failure::call(format_args!("look into {}", quoted(directory)), "getdents64()", error)
            })?;
            let full = entries.flatten().any(|entry| !matches!(entry.file_name().to_bytes(), b"." | b".."));
            if full { exists(" and is not empty") } else { Ok(()) }
        }
    }
}

fn make_partial(parent: &OwnedFd, name: &OsStr, directory: &Path) -> Result<(OsString, OwnedFd)> {
    let failed = |call: &str, error| Failure::call(format_args!("make {}", quoted(directory)), call, error);
    loop {
        let partial = partial_name(name).map_err(|error| failed("getrandom()", error))?;
        match rustix::fs::mkdirat(parent, &partial, Mode::RWXU) {
            Err(Errno::EXIST) => continue,
            Err(error) => return Err(failed(&format!("mkdirat({})", quoted(&partial)), error)),
            Ok(()) => {}
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = match rustix::fs::openat(parent, &partial, flags, Mode::empty()) {
            // another run took it for a dead one's before we could lock it
            Err(Errno::NOENT) => continue,
            other => other.map_err(|error| failed("openat()", error))?,
        };
        if rustix::fs::flock(&root, FlockOperation::NonBlockingLockExclusive).is_err()
            || !is_named(parent, &partial, &root)
        {
            continue;
        }
        // a parent with set-group-ID or a default ACL has marked it
        rustix::fs::fchmod(&root, Mode::RWXU).map_err(|error| failed("fchmod()", error))?;
        let _ = rustix::fs::fremovexattr(&root, "system.posix_acl_default");
        let _ = rustix::fs::fremovexattr(&root, "system.posix_acl_access");
        return Ok((partial, root));
    }
}

fn partial_name(name: &OsStr) -> rustix::io::Result<OsString> {
    let mut random = [0_u8; RANDOM];
    let mut filled = 0;
    while let Some(rest) = random.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty())?;
    }
    let letters = random.iter().filter_map(|&byte| LETTERS.get(usize::from(byte) % LETTERS.len()));
    let mut partial = prefix(name);
    partial.extend(letters);
    Ok(OsString::from_vec(partial))
}

/// `NAME.partial-`, the name cut so that the whole is not too long for a file system.
fn prefix(name: &OsStr) -> Vec<u8> {
    let name = name.as_bytes();
    [name.get(..name.len().min(230)).unwrap_or_default(), b".partial-"].concat()
}

/// Removes the siblings that dead runs left; what cannot be removed is left to somebody who can.
fn remove_stale(parent: &OwnedFd, name: &OsStr) {
    let prefix = prefix(name);
    let Ok(entries) = Dir::read_from(parent) else { return };
    let stale: Vec<OsString> = entries
        .flatten()
        .map(|entry| entry.file_name().to_bytes().to_vec())
        .filter(|entry| {
            entry.strip_prefix(prefix.as_slice()).is_some_and(|random| {
                random.len() == RANDOM && random.iter().all(|byte| LETTERS.contains(byte))
            })
        })
        .map(OsString::from_vec)
        .collect();
    for partial in stale {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(dir) = rustix::fs::openat(parent, &partial, flags, Mode::empty()) else { continue };
        // the name is compared after the lock: its maker may just have renamed it into place
        if owned(&dir)
            && rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive).is_ok()
            && is_named(parent, &partial, &dir)
        {
            let _ = remove::entry(parent.as_fd(), partial.as_bytes(), &mut |_| {});
        }
    }
}

fn owned(dir: &OwnedFd) -> bool {
    rustix::fs::fstat(dir).is_ok_and(|stat| stat.st_uid == rustix::process::geteuid().as_raw())
}

fn is_named(parent: &OwnedFd, name: &OsStr, dir: &OwnedFd) -> bool {
    let there = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
    let here = rustix::fs::fstat(dir);
    matches!((there, here), (Ok(there), Ok(here)) if Inode::of(&there) == Inode::of(&here))
}

/// Opens an archive to read.
///
/// # Errors
/// Not found, denied or I/O.
pub fn open_archive(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
    rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|error| {
        let failure = Failure::call("open the archive", format_args!("openat({})", quoted(path)), error);
        if matches!(error, Errno::NOENT | Errno::NOTDIR) { failure.kind(Kind::NotFound) } else { failure }
    })
}

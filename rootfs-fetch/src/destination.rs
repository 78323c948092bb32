//! DIRECTORY is created complete or not at all.
//!
//! The tree grows in `DIRECTORY.partial-XXXXXXXXXX`, a sibling that only the caller can
//! enter, and is renamed at the end. The sibling is locked while it
//! grows; a run that finds an unlocked one knows that its creator is dead
//! and removes it. Only an empty mount point, and an empty directory whose parent
//! is not writable, are filled in place, and emptied on failure.

pub mod partial;
pub mod replace_guard;

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use chain::reporter::quoted;
use rustix::fs::{Dir, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::failure::{Failure, Kind, Result};
use crate::tree::mount_id;
use crate::tree::remove;

/// Where the tree grows.
#[derive(Debug)]
pub struct Destination {
    /// DIRECTORY as the user wrote it.
    directory: PathBuf,
    parent: OwnedFd,
    name: OsString,
    root: OwnedFd,
    existing: IfExists,
    staging: Staging,
}

/// What happens to a DIRECTORY that is not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfExists {
    /// The run fails.
    Refuse,
    /// It is exchanged with the new tree and removed.
    Replace,
    /// The tree is merged into it.
    Merge,
}

#[derive(Debug)]
enum Staging {
    /// In a sibling of this name.
    Sibling(OsString),
    /// In DIRECTORY itself, which was empty.
    EmptyDir,
    /// In DIRECTORY itself, which may have files.
    Merge,
}

impl Destination {
    /// Checks DIRECTORY, removes what dead runs left, and creates the sibling.
    ///
    /// # Errors
    /// Exists, if DIRECTORY is there and not an empty directory; I/O.
    pub fn prepare(directory: &Path, existing: IfExists) -> Result<Self> {
        let (parent, name) = open_parent(directory)?;
        let found = open_existing(&parent, &name, directory, existing)?;
        let (root, staging) = match found {
            Some(root) if existing == IfExists::Merge => (root, Staging::Merge),
            // a mount point cannot be renamed over
            Some(root) if existing == IfExists::Refuse && !mount_id::same_mount(&parent, &root) => {
                (root, Staging::EmptyDir)
            }
            found => {
                partial::remove_stale(&parent, &name);
                match (partial::make(&parent, &name, directory), found) {
                    (Ok((partial, root)), _) => (root, Staging::Sibling(partial)),
                    // the directory exists but its parent is not writable
                    (Err(failure), Some(root))
                        if failure.is(Kind::Denied) && existing == IfExists::Refuse =>
                    {
                        (root, Staging::EmptyDir)
                    }
                    (Err(failure), _) => return Err(failure),
                }
            }
        };
        Ok(Self { directory: directory.to_path_buf(), parent, name, root, existing, staging })
    }

    /// Checks DIRECTORY as [`Self::prepare`] does, and makes nothing.
    ///
    /// # Errors
    /// Exists, if DIRECTORY is there and not an empty directory; I/O.
    pub fn check(directory: &Path, existing: IfExists) -> Result<()> {
        let (parent, name) = open_parent(directory)?;
        open_existing(&parent, &name, directory, existing).map(drop)
    }

    /// Whether the tree is merged into files that stay.
    pub fn is_merge(&self) -> bool {
        matches!(self.staging, Staging::Merge)
    }

    /// Whether the tree grows in a sibling.
    pub fn is_sibling(&self) -> bool {
        matches!(self.staging, Staging::Sibling(_))
    }

    /// The root of the tree.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Opens the root of the tree.
    ///
    /// # Errors
    /// As fcntl(2).
    pub fn open_root(&self) -> Result<OwnedFd> {
        self.root
            .try_clone()
            .map_err(|error| Failure::call("open the new directory", "fcntl(F_DUPFD_CLOEXEC)", error))
    }

    /// Gives the finished tree its name.
    ///
    /// # Errors
    /// Exists, if another process created DIRECTORY meanwhile; as renameat2(2). The tree is then removed.
    pub fn commit(self) -> Result<()> {
        let Staging::Sibling(partial) = &self.staging else { return Ok(()) };
        if self.existing == IfExists::Replace
            && let Err(failure) = replace_guard::check(&self.directory)
        {
            // a mount was added meanwhile
            self.abandon()?;
            return Err(failure);
        }
        if self.existing == IfExists::Replace && self.rename(partial, RenameFlags::EXCHANGE).is_ok() {
            // the old tree has the sibling's name now
            return self.abandon();
        }
        let done = match self.rename(partial, RenameFlags::NOREPLACE) {
            // an empty directory was there, and may be replaced by plain rename(2) alone
            Err(Errno::EXIST | Errno::INVAL) => {
                rustix::fs::renameat(&self.parent, partial, &self.parent, &self.name)
            }
            other => other,
        };
        let Err(error) = done else { return Ok(()) };
        let kind = match error {
            Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR => Kind::Exists,
            Errno::ACCESS | Errno::PERM => Kind::Denied,
            _ => Kind::Io,
        };
        let call = format!("renameat2({}, {})", quoted(partial), quoted(&self.name));
        let reason = format!("give {} its name", quoted(&self.directory));
        self.abandon()?;
        Err(Failure::call(reason, call, error).kind(kind))
    }

    fn rename(&self, partial: &OsStr, flags: RenameFlags) -> rustix::io::Result<()> {
        rustix::fs::renameat_with(&self.parent, partial, &self.parent, &self.name, flags)
    }

    /// Removes the tree; what was merged stays.
    ///
    /// # Errors
    /// As unlinkat(2); the next run tries again.
    pub fn abandon(self) -> Result<()> {
        match &self.staging {
            Staging::Sibling(partial) => remove::entry(self.parent.as_fd(), partial.as_bytes(), &mut |_| {}),
            Staging::EmptyDir => remove::contents(self.root.as_fd(), &mut |_| {}).map_err(|error| {
                Failure::call(format_args!("empty {} again", quoted(&self.directory)), "unlinkat()", error)
            }),
            Staging::Merge => Ok(()),
        }
    }
}

/// Opens the directory that holds DIRECTORY; with DIRECTORY's name in it.
fn open_parent(directory: &Path) -> Result<(OwnedFd, OsString)> {
    let (path, name) = parent_and_name(directory)?;
    let parent = crate::tree::open_plain(&path).map_err(|error| {
        let call = format!("openat({}, O_DIRECTORY)", quoted(&path));
        let kind = if error == Errno::ACCESS { Kind::Denied } else { Kind::Io };
        Failure::call(format_args!("make {}", quoted(directory)), call, error).kind(kind)
    })?;
    Ok((parent, name))
}

/// The directory that holds DIRECTORY, and DIRECTORY's name in it.
fn parent_and_name(directory: &Path) -> Result<(PathBuf, OsString)> {
    let unusable =
        || Failure::new(Kind::Usage, format_args!("{} cannot be a new directory", quoted(directory)));
    // `.`, `..`, `a/..` and links to a directory have their name elsewhere
    let named = directory.file_name().is_some() && !directory.as_os_str().as_bytes().ends_with(b"/.");
    // with the slash that a shell completes, lstat(2) would follow it
    let without_slash: PathBuf = directory.components().collect();
    let real = if !named || without_slash.is_symlink() {
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

/// Opens a DIRECTORY that exists, unless it is refused.
fn open_existing(
    parent: &OwnedFd,
    name: &OsStr,
    directory: &Path,
    existing: IfExists,
) -> Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let exists = |what| Failure::new(Kind::Exists, format_args!("{} exists{what}", quoted(directory)));
    let failed =
        |call: &str, error| Failure::call(format_args!("look into {}", quoted(directory)), call, error);
    match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::NOTDIR | Errno::LOOP) => {
            Err(exists(" and is not a directory").hint(replace_guard::OTHER_DIRECTORY))
        }
        Err(error) => Err(failed(&format!("openat({})", quoted(name)), error)),
        Ok(fd) if existing != IfExists::Refuse => Ok(Some(fd)),
        Ok(fd) => {
            let entries = Dir::read_from(&fd).map_err(|error| failed("getdents64()", error))?;
            let full = entries.flatten().any(|entry| !matches!(entry.file_name().to_bytes(), b"." | b".."));
            if !full {
                return Ok(Some(fd));
            }
            let replace = if may_be_replaced(directory) { "; --replace deletes its contents" } else { "" };
            Err(exists(" and is not empty").hint(format_args!("{}{replace}", replace_guard::OTHER_DIRECTORY)))
        }
    }
}

/// Whether a hint may propose this DIRECTORY: it does not exist or is empty, and it is not one of the machine's own.
pub fn may_be_proposed(directory: &Path) -> bool {
    let is_free = std::fs::read_dir(directory)
        .map_or_else(|error| error.kind() == ErrorKind::NotFound, |mut entries| entries.next().is_none());
    is_free && may_be_replaced(directory)
}

/// Whether `--replace` is a thing to advise: not for the machine's own directories, such as /etc.
fn may_be_replaced(directory: &Path) -> bool {
    let is_at_the_top = directory.canonicalize().is_ok_and(|path| path.components().count() <= 2);
    !is_at_the_top && replace_guard::check(directory).is_ok()
}

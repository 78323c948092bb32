//! DIRECTORY is created complete or not at all.
//!
//! The tree is built in `DIRECTORY.partial-XXXXXXXXXX`, a sibling that only the caller can enter, and renamed
//! at the end. The sibling is locked meanwhile; a run that finds an unlocked one knows that its creator has
//! ended, and removes it. If the file system cannot exchange two names, `--replace` first moves the old tree
//! aside (see `replaced.rs`). Only an empty mount point, and an empty directory whose parent is not writable,
//! are filled in place, and emptied on failure.

pub mod partial;
pub mod replace_guard;
mod replaced;

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use chain::call::shell_word;
use chain::reporter::quoted;
use rustix::fs::{Access, AtFlags, Dir, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use system::{mountinfo, removal};

use crate::destination::replaced::OldTree;
use crate::failure::{Failure, Kind, Result};
use crate::tree::remove;

const TAKEN: &str = "another run for this directory removed the unfinished tree; runs on two machines cannot see each other's \
    locks: run one after the other";

/// Where the tree grows.
#[derive(Debug)]
pub struct Destination {
    /// DIRECTORY, as the user typed it.
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

/// Where the tree is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// In a sibling, which gets the name of DIRECTORY.
    Sibling,
    /// In DIRECTORY itself, which is empty.
    EmptyDir,
    /// In DIRECTORY itself, which can have files.
    Merge,
}

/// Where the tree is built, if a sibling can be created.
fn placement(parent: &OwnedFd, found: Option<&OwnedFd>, existing: IfExists) -> Placement {
    match (found, existing) {
        (Some(_), IfExists::Merge) => Placement::Merge,
        // a mount point cannot be renamed over
        (Some(root), IfExists::Refuse) if !mountinfo::are_on_one_mount(parent.as_fd(), root.as_fd()) => {
            Placement::EmptyDir
        }
        _ => Placement::Sibling,
    }
}

#[derive(Debug)]
enum Staging {
    /// In a sibling with this name.
    Sibling(OsString),
    /// In DIRECTORY itself, which was empty.
    EmptyDir,
    /// In DIRECTORY itself, which can have files.
    Merge,
}

impl Destination {
    /// Repairs and removes what killed runs left, checks DIRECTORY, and creates the sibling.
    ///
    /// # Errors
    /// Exists, if DIRECTORY exists and is not an empty directory; I/O.
    pub fn prepare(directory: &Path, existing: IfExists) -> Result<Self> {
        let (parent, name) = open_parent(directory)?;
        replaced::recover(&parent, &name);
        let found = open_existing(&parent, &name, directory, existing)?;
        let (root, staging) = match (placement(&parent, found.as_ref(), existing), found) {
            (Placement::Merge, Some(root)) => (root, Staging::Merge),
            (Placement::EmptyDir, Some(root)) => (locked(root, directory)?, Staging::EmptyDir),
            (_, found) => {
                partial::remove_stale(&parent, &name);
                match (partial::make(&parent, &name, directory), found) {
                    (Ok((partial, root)), _) => (root, Staging::Sibling(partial)),
                    // the directory exists but its parent is not writable
                    (Err(failure), Some(root))
                        if failure.is(Kind::Denied) && existing == IfExists::Refuse =>
                    {
                        (locked(root, directory)?, Staging::EmptyDir)
                    }
                    (Err(failure), _) => return Err(failure),
                }
            }
        };
        Ok(Self { directory: directory.to_path_buf(), parent, name, root, existing, staging })
    }

    /// Checks DIRECTORY as [`Self::prepare`] does, without creating anything. Returns where a run would unpack.
    ///
    /// # Errors
    /// Exists, if DIRECTORY exists and is not an empty directory; I/O.
    pub fn check(directory: &Path, existing: IfExists) -> Result<Placement> {
        let (parent, name) = open_parent(directory)?;
        let found = open_existing(&parent, &name, directory, existing)?;
        let placement = placement(&parent, found.as_ref(), existing);
        let access = Access::WRITE_OK | Access::EXEC_OK;
        let is_denied = || rustix::fs::accessat(&parent, ".", access, AtFlags::EACCESS) == Err(Errno::ACCESS);
        let is_in_place =
            placement == Placement::Sibling && found.is_some() && existing == IfExists::Refuse && is_denied();
        Ok(if is_in_place { Placement::EmptyDir } else { placement })
    }

    /// Whether the tree is merged into files that stay.
    pub fn is_merge(&self) -> bool {
        matches!(self.staging, Staging::Merge)
    }

    /// Whether the tree is built in a sibling.
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
    /// Those of fcntl(2).
    pub fn open_root(&self) -> Result<OwnedFd> {
        self.root
            .try_clone()
            .map_err(|error| Failure::call("open the new directory", "fcntl(F_DUPFD_CLOEXEC)", error))
    }

    /// Gives the finished tree its name. Returns the failure to remove the old tree, if there was one.
    ///
    /// # Errors
    /// Exists, if another process has created DIRECTORY; those of renameat2(2). The tree is then removed.
    pub fn commit(self) -> Result<Option<Failure>> {
        let Staging::Sibling(partial) = &self.staging else { return Ok(None) };
        let mut old = None;
        // as long as it lives, other runs do not take the old tree for what a killed run left
        let mut _lock = None;
        if self.existing == IfExists::Replace {
            if let Err(failure) = replace_guard::check(&self.directory) {
                // a mount was added meanwhile
                self.abandon()?;
                return Err(failure);
            }
            _lock = partial::open_locked(&self.parent, &self.name);
            match self.rename(partial, RenameFlags::EXCHANGE) {
                // the old tree has the sibling's name now
                Ok(()) => return Ok(self.abandon().err()),
                // a file system that cannot exchange two names, such as NFS
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                    old = OldTree::move_aside(&self.parent, &self.name);
                }
                Err(_) => {}
            }
        }
        let Err(failure) = self.give_name(partial) else {
            return Ok(old.and_then(|old| old.remove(&self.parent, &self.name).err()));
        };
        let is_back = |old: &OldTree| match old.move_back(&self.parent, &self.name) {
            // by another run
            Err(Errno::NOENT) => true,
            done => done.is_ok(),
        };
        let lost = old.filter(|old| !is_back(old));
        let failure = self.with_cause(failure);
        let failure = self.abandon().err().unwrap_or(failure);
        Err(match lost {
            Some(old) => failure.hint(format_args!(
                "the old directory is called {} now; the next run renames it back",
                quoted(old.name())
            )),
            None => failure,
        })
    }

    /// Gives the sibling the name of DIRECTORY, which must not exist, or be an empty directory.
    fn give_name(&self, partial: &OsStr) -> Result<()> {
        let done = match self.rename(partial, RenameFlags::NOREPLACE) {
            // there is an empty directory, which only plain rename(2) can replace
            Err(Errno::EXIST | Errno::INVAL) => {
                rustix::fs::renameat(&self.parent, partial, &self.parent, &self.name)
            }
            other => other,
        };
        done.map_err(|error| {
            let kind = match error {
                Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR => Kind::Exists,
                Errno::ACCESS | Errno::PERM => Kind::Denied,
                _ => Kind::Io,
            };
            let call = format!("renameat2({}, {})", quoted(partial), quoted(&self.name));
            Failure::call(format_args!("give {} its name", quoted(&self.directory)), call, error).kind(kind)
        })
    }

    fn rename(&self, partial: &OsStr, flags: RenameFlags) -> rustix::io::Result<()> {
        rustix::fs::renameat_with(&self.parent, partial, &self.parent, &self.name, flags)
    }

    /// A failure; if another run has removed the sibling as the remains of a killed run, with a hint about that.
    pub fn with_cause(&self, failure: Failure) -> Failure {
        match &self.staging {
            Staging::Sibling(partial) if !partial::is_named(&self.parent, partial, &self.root) => {
                failure.hint(TAKEN)
            }
            _ => failure,
        }
    }

    /// Removes the tree; what was merged stays.
    ///
    /// # Errors
    /// Those of unlinkat(2); the next run tries again.
    pub fn abandon(self) -> Result<()> {
        match &self.staging {
            Staging::Sibling(partial) => remove::entry(self.parent.as_fd(), partial.as_bytes(), &mut |_| {}),
            Staging::EmptyDir => removal::empty(self.root.as_fd(), &mut |_| {}).map_err(|error| {
                Failure::call(format_args!("empty {} again", quoted(&self.directory)), "unlinkat()", error)
            }),
            Staging::Merge => Ok(()),
        }
    }
}

/// Opens DIRECTORY's parent, and returns DIRECTORY's name in it.
fn open_parent(directory: &Path) -> Result<(OwnedFd, OsString)> {
    let (path, name) = parent_and_name(directory)?;
    let parent = crate::tree::open_plain(&path).map_err(|error| {
        let call = format!("openat({}, O_DIRECTORY)", quoted(&path));
        let kind = if error == Errno::ACCESS { Kind::Denied } else { Kind::Io };
        let failure = Failure::call(format_args!("create {}", quoted(directory)), call, error).kind(kind);
        match error {
            Errno::NOENT if path != Path::new(".") => {
                failure.hint(format_args!("create it first: mkdir -p {}", shell_word(&path)))
            }
            _ => failure,
        }
    })?;
    Ok((parent, name))
}

/// DIRECTORY's parent, and DIRECTORY's name in it.
fn parent_and_name(directory: &Path) -> Result<(PathBuf, OsString)> {
    let unusable =
        || Failure::new(Kind::Usage, format_args!("{} cannot be a new directory", quoted(directory)));
    // `.`, `..`, `a/..` and links to a directory have no name here
    let named = directory.file_name().is_some() && !directory.as_os_str().as_bytes().ends_with(b"/.");
    // with the slash that shells complete, lstat(2) would follow a link
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
    match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::NOTDIR | Errno::LOOP) => {
            Err(exists(" and is not a directory").hint(replace_guard::OTHER_DIRECTORY))
        }
        Err(error) => {
            let call = format!("openat({})", quoted(name));
            Err(Failure::call(format_args!("list {}", quoted(directory)), call, error))
        }
        Ok(fd) if existing != IfExists::Refuse || is_empty(&fd, directory)? => Ok(Some(fd)),
        Ok(_) => {
            let replace = if may_be_replaced(directory) { "; --replace deletes its contents" } else { "" };
            Err(exists(" and is not empty").hint(format_args!("{}{replace}", replace_guard::OTHER_DIRECTORY)))
        }
    }
}

/// An empty directory, locked to be filled in place. Two runs would mix their trees, and one that fails would remove
/// both.
fn locked(root: OwnedFd, directory: &Path) -> Result<OwnedFd> {
    // some file systems have no locks
    let is_taken =
        rustix::fs::flock(&root, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK);
    if is_taken || !is_empty(&root, directory)? {
        let why = format_args!("another run is filling {}", quoted(directory));
        return Err(Failure::new(Kind::Exists, why));
    }
    Ok(root)
}

fn is_empty(dir: &OwnedFd, directory: &Path) -> Result<bool> {
    let failed = |error| Failure::call(format_args!("list {}", quoted(directory)), "getdents64()", error);
    let entries = Dir::read_from(dir).map_err(failed)?;
    Ok(entries.flatten().all(|entry| matches!(entry.file_name().to_bytes(), b"." | b"..")))
}

/// Whether a hint may propose this DIRECTORY: it does not exist or is empty, and it is not one of the machine's own.
pub fn may_be_proposed(directory: &Path) -> bool {
    let is_free = std::fs::read_dir(directory)
        .map_or_else(|error| error.kind() == ErrorKind::NotFound, |mut entries| entries.next().is_none());
    is_free && may_be_replaced(directory)
}

/// Whether a hint can propose `--replace`: not for the running system's directories, such as /etc.
fn may_be_replaced(directory: &Path) -> bool {
    let is_at_the_top = directory.canonicalize().is_ok_and(|path| path.components().count() <= 2);
    !is_at_the_top && replace_guard::check(directory).is_ok()
}

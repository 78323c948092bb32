// SPDX-License-Identifier: MIT OR Apache-2.0
//! The new root: an open directory, not a path that somebody could swap.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use chain::{mountinfo, sys};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag};
use nix::sys::stat::{Mode, fstat, stat};

use crate::account_files::AccountFiles;
use crate::walk::walk;

/// More of a file is not read: no root needs it to name its users.
const MAX_READ_BYTES: u64 = 4 << 20;

/// What a directory below the root is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirState {
    /// A directory: something may be mounted on it.
    Directory,
    /// Not there, or not a directory: nothing is mounted.
    Missing,
    /// A symlink on the way: whoever made it chooses where a mount would land.
    Symlink,
    /// It could not be looked at.
    Refused(Errno),
}

/// An open root directory.
#[derive(Debug)]
pub struct Root {
    /// The directory.
    pub dir: OwnedFd,
    /// As the user wrote it.
    pub path: PathBuf,
}

impl Root {
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `EACCES`, as open(2).
    pub fn open(path: PathBuf) -> Result<Self, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = nix::fcntl::open(&path, flags, Mode::empty())?;
        Ok(Self { dir, path })
    }

    /// Whether it is the root directory this process has already.
    pub fn is_current_root(&self) -> bool {
        let same = match (fstat(&self.dir), stat("/")) {
            (Ok(new), Ok(old)) => (new.st_dev, new.st_ino) == (old.st_dev, old.st_ino),
            _ => false,
        };
        // the same directory mounted at another place is another root
        same && self.path.canonicalize().is_ok_and(|path| path == Path::new("/"))
    }

    /// Its permission bits.
    pub fn mode(&self) -> u32 {
        fstat(&self.dir).map_or(0o755, |stat| stat.st_mode & 0o7777)
    }

    /// What `dir` is below the root.
    pub fn dir_state(&self, dir: &str) -> DirState {
        self.look_at(dir).map_or_else(|place| place, |_| DirState::Directory)
    }

    /// The same, and how many mounts are stacked on it, none where it is of the root's file system.
    pub fn dir_state_and_mounts(&self, dir: &str) -> (DirState, usize) {
        match self.look_at(dir) {
            Ok(opened) => (DirState::Directory, self.mounts_on(&opened)),
            Err(place) => (place, 0),
        }
    }

    fn look_at(&self, dir: &str) -> Result<OwnedFd, DirState> {
        sys::open_without_symlinks(self.dir.as_fd(), Path::new(dir)).map_err(|errno| match errno {
            Errno::ELOOP => DirState::Symlink,
            // O_DIRECTORY reports a symlink so where openat2 is missing
            Errno::ENOTDIR if self.is_symlink(dir) => DirState::Symlink,
            Errno::ENOENT | Errno::ENOTDIR => DirState::Missing,
            errno => DirState::Refused(errno),
        })
    }

    fn mounts_on(&self, opened: &OwnedFd) -> usize {
        let device = |fd: &OwnedFd| fstat(fd).map(|stat| stat.st_dev);
        if device(opened) == device(&self.dir) {
            return 0;
        }
        mountinfo::stacked_on(opened.as_fd()).unwrap_or_default()
    }

    /// Whether what is mounted below can be taken away.
    pub fn can_unmount_below(&self) -> bool {
        sys::mounts_below_can_go(self.dir.as_fd())
    }

    fn is_symlink(&self, name: &str) -> bool {
        nix::fcntl::readlinkat(&self.dir, name).is_ok()
    }

    /// The shell for a command that was not given: `preferred` if the root has it, else the
    /// shell of root in the root's own passwd(5), else `/bin/sh`.
    pub fn shell(&self, preferred: Option<OsString>) -> OsString {
        preferred
            .filter(|shell| self.has(Path::new(shell)))
            .or_else(|| {
                AccountFiles::of(self).user(b"root")?.shell().filter(|shell| self.has(Path::new(shell)))
            })
            .unwrap_or_else(|| OsString::from("/bin/sh"))
    }

    /// Whether programs can be looked for here: one directory of a PATH is there, or it names
    /// none by an absolute path.
    pub fn has_one_of(&self, path: &OsStr) -> bool {
        let mut dirs = std::env::split_paths(path).filter(|dir| dir.is_absolute()).peekable();
        dirs.peek().is_none() || dirs.any(|dir| self.has(&dir))
    }

    fn has(&self, path: &Path) -> bool {
        path.is_absolute() && self.open_inside(path, OFlag::O_PATH).is_ok()
    }

    /// The beginning of a regular file inside: no device, no pipe to wait for.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        let file = self.open_inside(Path::new(path), OFlag::O_RDONLY | OFlag::O_NONBLOCK).ok()?;
        let file = File::from(file);
        if !file.metadata().is_ok_and(|meta| meta.is_file()) {
            return None;
        }
        let mut text = Vec::new();
        file.take(MAX_READ_BYTES).read_to_end(&mut text).ok()?;
        Some(text)
    }

    /// Opens a file as a process inside would find it.
    fn open_inside(&self, path: &Path, flags: OFlag) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve);
        match nix::fcntl::openat2(&self.dir, path, how) {
            Err(Errno::ENOSYS) => self.open_walked(path, flags),
            result => result,
        }
    }

    /// The same where openat2(2) (Linux 5.6) is missing.
    fn open_walked(&self, path: &Path, flags: OFlag) -> Result<OwnedFd, Errno> {
        let walked = walk(path, |path| nix::fcntl::readlinkat(&self.dir, path).map(PathBuf::from));
        let Some(name) = walked.real.file_name().filter(|_| walked.missing.is_empty()) else {
            return Err(Errno::ENOENT);
        };
        let above = walked.real.parent().filter(|above| !above.as_os_str().is_empty());
        let above = above.map(|above| sys::open_without_symlinks(self.dir.as_fd(), above)).transpose()?;
        let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        nix::fcntl::openat(above.as_ref().unwrap_or(&self.dir), name, flags, Mode::empty())
    }
}

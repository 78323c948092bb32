//! The new root directory, held open: whoever renames its path replaces nothing.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use chain::handles::FdSlot;
use chain::reporter::{ErrnoText, quoted};
use chain::{Failure, Plan, call};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag};
use nix::sys::stat::{Mode, fstat, stat};
use system::search::unsearchable_parent;
use system::walk::walk;
use system::{mountinfo, sys};

use system::accounts::AccountFiles;

/// The most that is read of a file of the new root.
const MAX_READ_BYTES: u64 = 4 << 20;

/// What a directory of the new root is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirState {
    Directory,
    Missing,
    /// A symlink on the way: its owner would choose where a mount lands.
    Symlink,
    Refused(Errno),
}

/// An open root directory.
#[derive(Debug)]
pub struct Root {
    pub dir: OwnedFd,
    /// Its path as the user wrote it.
    pub path: PathBuf,
}

impl Root {
    /// # Errors
    /// The message for `ENOENT`, `ENOTDIR` or `EACCES` of open(2).
    pub fn open(path: PathBuf) -> Result<Self, Failure> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let errno = match nix::fcntl::open(&path, flags, Mode::empty()) {
            Ok(dir) => return Ok(Self { dir, path }),
            Err(errno) => ErrnoText(errno),
        };
        let failure = Failure::new(format!("cannot change root directory to {}: {errno}", quoted(&path)));
        let Some(dir) = std::path::absolute(&path).ok().and_then(|path| unsearchable_parent(&path)) else {
            let image = hints::image_for_directory(&path.to_string_lossy()).filter(|_| !path.exists());
            return Err(Failure { hint: image, ..failure });
        };
        let user = sys::effective_ids().0;
        Err(failure.hint(format!("user {user} may not enter {}: chmod, or be its owner", quoted(&dir))))
    }

    /// Whether it is the root directory that this process has now.
    pub fn is_current_root(&self) -> bool {
        let same = match (fstat(&self.dir), stat("/")) {
            (Ok(new), Ok(old)) => (new.st_dev, new.st_ino) == (old.st_dev, old.st_ino),
            _ => false,
        };
        // the same directory mounted at another place is another root
        same && self.path.canonicalize().is_ok_and(|path| path == Path::new("/"))
    }

    pub fn mode(&self) -> u32 {
        fstat(&self.dir).map_or(0o755, |stat| stat.st_mode & 0o7777)
    }

    /// What the directory `name` of the root is, and how many mounts are stacked on it.
    pub fn dir_state(&self, name: &str) -> (DirState, usize) {
        let state = match sys::open_without_symlinks(self.dir.as_fd(), Path::new(name)) {
            Ok(opened) => return (DirState::Directory, self.mounts_on(&opened)),
            Err(Errno::ELOOP) => DirState::Symlink,
            // O_DIRECTORY reports a symlink so where openat2 is missing
            Err(Errno::ENOTDIR) if nix::fcntl::readlinkat(&self.dir, name).is_ok() => DirState::Symlink,
            Err(Errno::ENOENT) => DirState::Missing,
            Err(errno) => DirState::Refused(errno),
        };
        (state, 0)
    }

    fn mounts_on(&self, opened: &OwnedFd) -> usize {
        let device = |fd: &OwnedFd| fstat(fd).map(|stat| stat.st_dev);
        // a subvolume of btrfs(5) has a device number of its own and is not a mount
        if device(opened) == device(&self.dir) || sys::is_mount_root_at(opened.as_fd()) == Some(false) {
            return 0;
        }
        mountinfo::stacked_on(opened.as_fd()).unwrap_or_default()
    }

    /// Whether this process may unmount what is mounted below.
    pub fn can_unmount_below(&self) -> bool {
        sys::mounts_below_can_go(self.dir.as_fd())
    }

    /// Its own passwd(5) and group(5); a file that is missing is empty.
    pub fn account_files(&self) -> AccountFiles {
        let read = |path: &str| self.read(path).unwrap_or_default();
        AccountFiles::new(read("/etc/passwd"), read("/etc/group"))
    }

    /// The shell to run without a command: `preferred` if the root has it, else the shell of root
    /// in the root's own passwd(5), else `/bin/sh`.
    pub fn shell(&self, preferred: Option<OsString>) -> OsString {
        let has = |shell: &OsString| self.has(Path::new(shell));
        preferred
            .filter(has)
            .or_else(|| self.account_files().user(b"root")?.shell().filter(has))
            .unwrap_or_else(|| OsString::from("/bin/sh"))
    }

    /// Whether a process inside finds something at an absolute path.
    pub fn has(&self, path: &Path) -> bool {
        path.is_absolute() && self.open_inside(path, OFlag::O_PATH).is_ok()
    }

    /// The user and the group of a file inside.
    pub fn owner_of(&self, path: &Path) -> Option<(u32, u32)> {
        let found = fstat(self.open_inside(path, OFlag::O_PATH | OFlag::O_NOFOLLOW).ok()?).ok()?;
        Some((found.st_uid, found.st_gid))
    }

    /// The beginning of a file inside; nothing for a device or a pipe, which could block.
    fn read(&self, path: &str) -> Option<Vec<u8>> {
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

    /// The same without openat2(2), before Linux 5.6.
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

pub fn chdir_to_root(plan: &mut Plan, new_root: FdSlot) {
    plan.step("go to the new root", call::Enter { slot: new_root, dir: "".into() });
}

/// Makes a directory below the new root the working directory.
pub fn chdir_inside(plan: &mut Plan, new_root: FdSlot, dir: impl AsRef<Path>) {
    let dir = dir.as_ref();
    plan.step(format!("go to /{} inside", dir.display()), call::Enter { slot: new_root, dir: dir.into() });
}

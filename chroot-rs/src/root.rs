//! The new root directory, held open, so that renaming its path replaces nothing.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use chain::handles::FdSlot;
use chain::plan::Step;
use chain::reporter::{ErrnoText, quoted};
use chain::{Failure, Plan, call};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag};
use nix::sys::stat::{Mode, SFlag, fstat, stat};
use nix::unistd::AccessFlags;
use system::walk::{Walked, walk};
use system::{mountinfo, sys};

use system::accounts::AccountFiles;

/// The most that is read of a file in the new root.
pub const MAX_READ_BYTES: u64 = 4 << 20;

/// The state of a directory in the new root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirState {
    Directory,
    Missing,
    /// A symlink: its owner would choose where a mount ends up.
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
        let Some(closed) = call::closed_above(&path) else {
            let name = path.to_string_lossy();
            let meant = hints::docker_command(&name).or_else(|| hints::image_for_directory(&name));
            return Err(Failure { hint: meant.filter(|_| !path.exists()), ..failure });
        };
        Err(failure.hint(closed))
    }

    /// Whether it is this process's current root directory.
    pub fn is_current_root(&self) -> bool {
        let same = match (fstat(&self.dir), stat("/")) {
            (Ok(new), Ok(old)) => (new.st_dev, new.st_ino) == (old.st_dev, old.st_ino),
            _ => false,
        };
        // the same directory mounted elsewhere is another root
        same && self.path.canonicalize().is_ok_and(|path| path == Path::new("/"))
    }

    pub fn mode(&self) -> u32 {
        fstat(&self.dir).map_or(0o755, |stat| stat.st_mode & 0o7777)
    }

    /// The state of the root's directory `name`, and how many mounts are stacked on it.
    pub fn dir_state(&self, name: &str) -> (DirState, usize) {
        let state = match sys::open_without_symlinks(self.dir.as_fd(), Path::new(name)) {
            Ok(opened) => return (DirState::Directory, self.mounts_on(&opened)),
            Err(Errno::ELOOP) => DirState::Symlink,
            // without openat2(2), O_DIRECTORY reports a symlink like this
            Err(Errno::ENOTDIR) if nix::fcntl::readlinkat(&self.dir, name).is_ok() => DirState::Symlink,
            Err(Errno::ENOENT) => DirState::Missing,
            Err(errno) => DirState::Refused(errno),
        };
        (state, 0)
    }

    fn mounts_on(&self, opened: &OwnedFd) -> usize {
        let device = |fd: &OwnedFd| fstat(fd).map(|stat| stat.st_dev);
        // a subvolume of btrfs(5) has its own device number and is not a mount
        if device(opened) == device(&self.dir) || sys::is_mount_root_at(opened.as_fd()) == Some(false) {
            return 0;
        }
        mountinfo::stacked_on(opened.as_fd()).unwrap_or_default()
    }

    /// Whether this process can unmount the mounts below it.
    pub fn can_unmount_below(&self) -> bool {
        sys::mounts_below_can_go(self.dir.as_fd())
    }

    /// Its own passwd(5) and group(5); a missing file counts as empty.
    pub fn account_files(&self) -> AccountFiles {
        let read = |path: &str| self.read(path).unwrap_or_default();
        AccountFiles::new(read("/etc/passwd"), read("/etc/group"))
    }

    /// The shell to run without a command: `preferred` if it exists in the root, else root's shell in the
    /// root's passwd(5), else `/bin/sh`.
    pub fn shell(&self, preferred: Option<OsString>) -> OsString {
        let has = |shell: &OsString| self.has(Path::new(shell));
        preferred
            .filter(has)
            .or_else(|| self.account_files().user(b"root")?.shell().filter(has))
            .unwrap_or_else(|| OsString::from("/bin/sh"))
    }

    /// Whether an absolute path exists for a process inside.
    pub fn has(&self, path: &Path) -> bool {
        path.is_absolute() && self.open_inside(path, OFlag::O_PATH).is_ok()
    }

    /// Whether a path leads a process that starts in the root to something other than a directory.
    pub fn has_file(&self, path: &Path) -> bool {
        let found = self.open_inside(&Path::new("/").join(path), OFlag::O_PATH).and_then(fstat);
        found.is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFDIR)
    }

    /// The owner and group of a file inside.
    pub fn owner_of(&self, path: &Path) -> Option<(u32, u32)> {
        let found = fstat(self.open_inside(path, OFlag::O_PATH | OFlag::O_NOFOLLOW).ok()?).ok()?;
        Some((found.st_uid, found.st_gid))
    }

    /// The owner of a directory inside that others cannot enter.
    pub fn owner_of_closed(&self, dir: &Path) -> Option<u32> {
        let found = fstat(self.open_inside(dir, OFlag::O_PATH | OFlag::O_DIRECTORY).ok()?).ok()?;
        (found.st_mode & 0o001 == 0).then_some(found.st_uid)
    }

    /// Checks that the caller can create files in a directory inside.
    ///
    /// # Errors
    /// Those of faccessat(2): `EACCES`, `EROFS`.
    pub fn check_write(&self, dir: &Path) -> Result<(), Errno> {
        let access = AccessFlags::W_OK | AccessFlags::X_OK;
        let dir = self.open_inside(dir, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        nix::unistd::faccessat(&dir, ".", access, AtFlags::AT_EACCESS)
    }

    /// Whether the caller can create files there.
    pub fn can_write(&self, dir: &Path) -> bool {
        self.check_write(dir).is_ok()
    }

    /// How far a path inside leads.
    pub fn walk(&self, path: &Path) -> Walked {
        walk(path, |path| nix::fcntl::readlinkat(&self.dir, path).map(PathBuf::from))
    }

    /// Whether a path below the root, with no symlinks among its directories, is itself a symlink.
    pub fn is_link(&self, path: &Path) -> bool {
        nix::fcntl::readlinkat(&self.dir, path).is_ok()
    }

    /// The beginning of a file inside; None for a device or a pipe, which could block.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.read_if(path, |_| true)
    }

    /// The same for a file that will be shown inside: it must be readable for all users and on the file
    /// system of `dir`. Otherwise a symlink could lead to a file that the command must not read, or into a
    /// mount that it does not have.
    pub fn read_public(&self, path: &str, dir: &Path) -> Option<Vec<u8>> {
        let device = fstat(self.open_inside(dir, OFlag::O_PATH).ok()?).ok()?.st_dev;
        self.read_if(path, |meta| meta.dev() == device && meta.mode() & 0o004 != 0)
    }

    /// An unwanted file is not even opened: opening a device, such as a watchdog, can have an effect.
    fn read_if(&self, path: &str, is_wanted: impl FnOnce(&Metadata) -> bool) -> Option<Vec<u8>> {
        let held = File::from(self.open_inside(Path::new(path), OFlag::O_PATH).ok()?);
        if !held.metadata().is_ok_and(|meta| meta.is_file() && is_wanted(&meta)) {
            return None;
        }
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let again = format!("/proc/self/fd/{}", held.as_raw_fd());
        let file = match nix::fcntl::open(again.as_str(), flags, Mode::empty()) {
            // a machine without /proc
            Err(Errno::ENOENT) => self.open_inside(Path::new(path), flags),
            opened => opened,
        };
        let mut text = Vec::new();
        File::from(file.ok()?).take(MAX_READ_BYTES).read_to_end(&mut text).ok()?;
        Some(text)
    }

    /// Opens a file as a process inside would find it.
    fn open_inside(&self, path: &Path, flags: OFlag) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve);
        match nix::fcntl::openat2(&self.dir, path, how) {
            // EAGAIN: it was at a "..", and something was renamed or mounted anywhere on the machine meanwhile, which on a
            // busy machine happens again and again
            Err(Errno::ENOSYS | Errno::EAGAIN) => self.open_walked(path, flags),
            result => result,
        }
    }

    /// The same without openat2(2), before Linux 5.6, or if that was disturbed.
    fn open_walked(&self, path: &Path, flags: OFlag) -> Result<OwnedFd, Errno> {
        let walked = self.walk(path);
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

/// Changes to a directory below the new root.
pub fn chdir_inside(plan: &mut Plan, new_root: FdSlot, dir: impl AsRef<Path>) {
    plan.add(step_inside(new_root, dir));
}

/// The step of [`chdir_inside`].
pub fn step_inside(new_root: FdSlot, dir: impl AsRef<Path>) -> Step {
    let dir = dir.as_ref();
    Step::new(format!("go to /{} inside", dir.display()), call::Enter { slot: new_root, dir: dir.into() })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use nix::unistd::mkfifo;
    use rustix::fs::inotify;

    use super::*;

    #[test]
    fn a_file_is_found_while_others_are_renamed() {
        let scratch = ::tests::Scratch::new();
        fs::create_dir(scratch.path("dir")).unwrap();
        fs::write(scratch.path("file"), "text").unwrap();
        symlink("dir/../file", scratch.path("link")).unwrap();
        let root = Root::open(scratch.path("")).unwrap();
        fs::write(scratch.path("one"), "").unwrap();
        let is_over = AtomicBool::new(false);
        let read = thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    fs::rename(scratch.path("one"), scratch.path("two")).unwrap();
                    fs::rename(scratch.path("two"), scratch.path("one")).unwrap();
                }
            });
            let read = (0..20_000).filter(|_| root.read("/link").is_some()).count();
            is_over.store(true, Ordering::Relaxed);
            read
        });
        assert_eq!(read, 20_000);
    }

    #[test]
    fn only_a_file_that_is_wanted_is_opened() {
        let scratch = ::tests::Scratch::new();
        fs::write(scratch.path("file"), "text").unwrap();
        mkfifo(&scratch.path("fifo"), Mode::S_IRWXU).unwrap();
        let root = Root::open(scratch.path("")).unwrap();
        let seen = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        for name in ["file", "fifo"] {
            inotify::add_watch(&seen, scratch.path(name), inotify::WatchFlags::OPEN).unwrap();
        }
        let is_opened = || rustix::io::read(&seen, &mut [0u8; 256]).is_ok();
        assert_eq!((root.read("/fifo"), is_opened()), (None, false));
        assert_eq!((root.read_if("/file", |_| false), is_opened()), (None, false));
        assert_eq!((root.read("/file"), is_opened()), (Some(b"text".to_vec()), true));
    }
}

//! Files, directories and their locks.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use rustix::fs::{FileType, FlockOperation, RawDir};

use super::error::errno;

/// A path or argument for the kernel.
///
/// # Errors
/// `EINVAL` if it contains a NUL byte, which an argument cannot.
pub fn c_string(text: &OsStr) -> Result<CString, Errno> {
    CString::new(text.as_bytes()).map_err(|_| Errno::EINVAL)
}

/// One write(2) of a complete value to a file that must exist: it neither creates nor truncates the file.
///
/// # Errors
/// Those of open(2) and write(2); `EIO` if the kernel wrote only a part.
pub fn write_file(path: &Path, data: &[u8]) -> Result<(), Errno> {
    let fd = nix::fcntl::open(path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    match nix::unistd::write(&fd, data)? {
        written if written == data.len() => Ok(()),
        _ => Err(Errno::EIO),
    }
}

/// Like [`write_file`], for a file in an open directory.
///
/// # Errors
/// Those of openat(2) and write(2).
pub fn write_at(dir: BorrowedFd<'_>, name: &str, data: &[u8]) -> Result<(), Errno> {
    let fd = nix::fcntl::openat(dir, name, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    nix::unistd::write(&fd, data).map(drop)
}

/// Reads a small file in an open directory completely.
///
/// # Errors
/// Those of openat(2) and read(2).
pub fn read_at(dir: BorrowedFd<'_>, name: &str) -> Result<Vec<u8>, Errno> {
    let fd = nix::fcntl::openat(dir, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    read_open(&fd, |_| false)
}

/// Opens a directory and takes the exclusive lock on it, if no process holds one.
///
/// # Errors
/// `EWOULDBLOCK` if a process holds the lock; `ENOENT`, also if the directory was removed meanwhile; else
/// those of open(2) and flock(2).
pub fn try_lock_dir(path: &Path) -> Result<OwnedFd, Errno> {
    lock_opened(open_directory(path)?, path)
}

/// The second half of [`try_lock_dir`]. If the directory was removed before we got the lock, and perhaps
/// created again, then the lock is worthless for the path.
///
/// # Errors
/// Those of [`try_lock_dir`].
pub fn lock_opened(fd: OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive).map_err(errno)?;
    let (locked, there) = (nix::sys::stat::fstat(&fd)?, nix::sys::stat::stat(path)?);
    let is_there = (locked.st_dev, locked.st_ino) == (there.st_dev, there.st_ino);
    if is_there { Ok(fd) } else { Err(Errno::ENOENT) }
}

/// Opens a file, or creates it, and waits for an exclusive lock on it.
///
/// # Errors
/// Those of open(2) and flock(2).
pub fn lock_file(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let fd = nix::fcntl::open(path, flags, Mode::from_bits_truncate(0o600))?;
    rustix::fs::flock(&fd, FlockOperation::LockExclusive).map_err(errno)?;
    Ok(fd)
}

/// Releases a lock for every process that shares it.
///
/// # Errors
/// Those of flock(2).
pub fn unlock(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::fs::flock(fd, FlockOperation::Unlock).map_err(errno)
}

/// Opens a directory to read it.
///
/// # Errors
/// Those of open(2).
pub fn open_directory(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    nix::fcntl::open(path, flags, Mode::empty())
}

/// The same for a directory in an open one; a symlink is not followed.
///
/// # Errors
/// Those of openat(2).
pub fn open_directory_at(dir: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    nix::fcntl::openat(dir, name, flags, Mode::empty())
}

/// The names of the directories in an open directory that has not been read yet. It must be in a kernel file system:
/// these report the type of each name.
///
/// # Errors
/// Those of getdents64(2).
pub fn directories_in(dir: BorrowedFd<'_>) -> Result<Vec<OsString>, Errno> {
    let mut buffer = [MaybeUninit::uninit(); 2048];
    let mut entries = RawDir::new(dir, &mut buffer);
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(errno)?;
        let name = entry.file_name().to_bytes();
        if entry.file_type() == FileType::Directory && !matches!(name, b"." | b"..") {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}

/// The umask, looked at: umask(2) can only be read by setting it.
pub fn current_umask() -> u32 {
    let mask = nix::sys::stat::umask(Mode::empty());
    nix::sys::stat::umask(mask);
    mask.bits()
}

/// Whether a file has an extended attribute with this value: getxattr(2).
pub fn has_attribute(path: &Path, name: &CStr, value: &[u8]) -> bool {
    let mut found = [0u8; 16];
    let len = rustix::fs::getxattr(path, name, &mut found);
    len.is_ok_and(|len| found.get(..len) == Some(value))
}

/// Whether a file system stores `user.*` attributes, xattr(7); tmpfs does since Linux 6.6. A path that cannot
/// be read counts as yes.
pub fn keeps_user_attributes(path: &Path) -> bool {
    !matches!(rustix::fs::getxattr_query(path, c"user.overlay.opaque"), Err(rustix::io::Errno::OPNOTSUPP))
}

/// Whether tmpfs stores `user.*` attributes: see [`keeps_user_attributes`]. memfd_create(2) creates a file on
/// a tmpfs.
pub fn tmpfs_keeps_user_attributes() -> bool {
    let Ok(file) = rustix::fs::memfd_create(c"attributes", rustix::fs::MemfdFlags::CLOEXEC) else {
        return true;
    };
    let mut value = [0u8; 1];
    let found = rustix::fs::fgetxattr(file, c"user.overlay.opaque", &mut value);
    !matches!(found, Err(rustix::io::Errno::OPNOTSUPP))
}

/// Whether execve(2) of a file gives capabilities: it has the attribute of capabilities(7).
pub fn has_file_capabilities(path: &Path) -> bool {
    rustix::fs::getxattr_query(path, c"security.capability").is_ok_and(|len| len > 0)
}

/// Whether the effective user can write to a file, or create entries in a directory.
pub fn is_writable(path: &Path) -> bool {
    let flags = nix::fcntl::AtFlags::AT_EACCESS;
    nix::unistd::faccessat(nix::fcntl::AT_FDCWD, path, nix::unistd::AccessFlags::W_OK, flags).is_ok()
}

/// Reads a small kernel file completely, in one read(2) if it fits.
///
/// # Errors
/// Those of open(2) and read(2).
pub fn read(path: &str) -> Result<Vec<u8>, Errno> {
    read_until(path, |_| false)
}

/// Reads a kernel file until `is_enough` returns true. It gets everything read so far, first at 8 KiB, then
/// at each doubling.
///
/// # Errors
/// Those of open(2) and read(2).
pub fn read_until(path: &str, is_enough: impl FnMut(&[u8]) -> bool) -> Result<Vec<u8>, Errno> {
    let fd = nix::fcntl::open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    read_open(&fd, is_enough)
}

fn read_open(fd: &OwnedFd, mut is_enough: impl FnMut(&[u8]) -> bool) -> Result<Vec<u8>, Errno> {
    const AT_ONCE: usize = 16 * 1024;
    let mut text = Vec::with_capacity(AT_ONCE);
    let mut asked_at = AT_ONCE / 2;
    loop {
        if text.len() == text.capacity() {
            text.reserve(text.len());
        }
        // not filled with zeros first: that would touch each page of it
        match rustix::io::read(fd, rustix::buffer::spare_capacity(&mut text)) {
            Ok(0) => return Ok(text),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(errno(error)),
        }
        if text.len() >= asked_at {
            if is_enough(&text) {
                return Ok(text);
            }
            asked_at = text.len() * 2;
        }
    }
}

/// Calls `with` for each name in a directory until it breaks: getdents64(2). std's `read_dir` does the same
/// with a buffer of 32 KiB, which costs a short-lived process more than the names do.
///
/// # Errors
/// Those of open(2) and getdents64(2).
pub fn for_each_entry(path: &Path, with: &mut dyn FnMut(&OsStr) -> ControlFlow<()>) -> Result<(), Errno> {
    let dir = open_directory(path)?;
    let mut buffer = [MaybeUninit::uninit(); 2048];
    let mut entries = RawDir::new(dir, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(errno)?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") && with(OsStr::from_bytes(name)).is_break() {
            break;
        }
    }
    Ok(())
}

/// chmod(2) of an open file.
///
/// # Errors
/// `EPERM`, `EROFS`.
pub fn set_mode(fd: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    nix::sys::stat::fchmod(fd, Mode::from_bits_truncate(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_of_a_directory_is_given_once_until_it_breaks_off() {
        let dir = std::env::temp_dir().join(format!("chain-names-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        // more than a buffer holds, and names of every length
        let mut made: Vec<String> = (1..=250).map(|length| "n".repeat(length)).collect();
        made.iter().for_each(|name| std::fs::write(dir.join(name), "").unwrap());
        let mut found = Vec::new();
        let listed = for_each_entry(&dir, &mut |name| {
            found.push(name.to_str().unwrap().to_string());
            ControlFlow::Continue(())
        });
        let mut first = 0;
        for_each_entry(&dir, &mut |_| {
            first += 1;
            if first == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        made.sort();
        found.sort();
        assert_eq!((listed, first), (Ok(()), 3));
        assert_eq!(found, made);
        assert_eq!(for_each_entry(&dir, &mut |_| ControlFlow::Break(())), Err(Errno::ENOENT));
    }

    #[test]
    fn a_file_is_read_whole_also_where_it_is_longer_than_one_read() {
        let path = std::env::temp_dir().join(format!("chain-read-{}", std::process::id()));
        for length in [0, 1, 16 * 1024, 100_001] {
            let text: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            std::fs::write(&path, &text).unwrap();
            assert_eq!(read(path.to_str().unwrap()), Ok(text));
        }
        std::fs::remove_file(path).unwrap();
    }
}

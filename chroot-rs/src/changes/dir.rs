//! An open directory, whose entries are reached without their paths.

use std::collections::BTreeSet;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Stat};

/// The name and the value of an extended attribute.
pub type Attribute = (CString, Vec<u8>);

/// An open directory.
pub struct Dir(pub OwnedFd);

impl Dir {
    /// Opens the directory `name` in `dir`.
    ///
    /// # Errors
    /// Those of open(2); `ELOOP` or `ENOTDIR` for a symbolic link.
    pub fn open(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(dir, name, flags, Mode::empty())?))
    }

    /// Opens the directory at a path.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn at(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// The names in it, sorted.
    ///
    /// # Errors
    /// Those of getdents64(2).
    pub fn names(&self) -> io::Result<BTreeSet<OsString>> {
        let dir = rustix::fs::openat(
            &self.0,
            c".",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut entries = RawDir::new(dir, &mut buffer);
        let mut names = BTreeSet::new();
        while let Some(entry) = entries.next() {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.insert(OsString::from_vec(name));
            }
        }
        Ok(names)
    }

    /// The status of a name; None if it does not exist.
    ///
    /// # Errors
    /// Those of stat(2).
    pub fn stat(&self, name: &OsStr) -> io::Result<Option<Stat>> {
        match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(why) => Err(why.into()),
        }
    }
}

/// The kind of a file.
pub fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// A path to an entry of an open directory, for calls on extended attributes that do not follow a link at its end.
pub fn entry_path(dir: BorrowedFd<'_>, name: &OsStr) -> PathBuf {
    Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name)
}

/// The extended attributes of a file, sorted.
///
/// # Errors
/// Those of listxattr(2) and getxattr(2).
pub fn attributes(path: &Path) -> io::Result<Vec<Attribute>> {
    let length = match rustix::fs::llistxattr_query(path) {
        Ok(length) => length,
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(why) => return Err(why.into()),
    };
    let mut list = vec![0u8; length];
    let length = rustix::fs::llistxattr(path, list.as_mut_slice())?;
    list.truncate(length);
    let mut found = Vec::new();
    for name in list.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = CString::new(name).map_err(io::Error::other)?;
        let length = rustix::fs::lgetxattr_query(path, &name)?;
        let mut value = vec![0u8; length];
        let length = rustix::fs::lgetxattr(path, &name, value.as_mut_slice())?;
        value.truncate(length);
        found.push((name, value));
    }
    found.sort();
    Ok(found)
}

/// fchmod(2) does not accept an O_PATH descriptor.
pub fn chmod_held(held: &OwnedFd, mode: Mode) -> io::Result<()> {
    Ok(rustix::fs::chmod(format!("/proc/self/fd/{}", held.as_raw_fd()), mode)?)
}

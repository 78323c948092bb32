//! What the upper directory of an overlay says of the directory below it.
//!
//! A name that is gone is a whiteout there, a character device 0/0 or an empty file with an attribute; a
//! directory that hides all that lies below is marked opaque: Documentation/filesystems/overlayfs.rst.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::io::{self, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Stat};

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Created,
    Changed,
    Removed,
}

impl Kind {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

/// A difference between NEWROOT and what the command left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub kind: Kind,
    /// Below the root.
    pub path: PathBuf,
    /// What is there now; of what is removed, what was.
    pub file_type: &'static str,
    /// Whether it was also changed in NEWROOT since the changes were begun.
    pub is_conflict: bool,
}

/// A directory with its names and their states.
pub struct Dir(pub OwnedFd);

impl Dir {
    /// # Errors
    /// As open(2); `ELOOP` or `ENOTDIR` for a symbolic link.
    pub fn open(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(dir, name, flags, Mode::empty())?))
    }

    /// # Errors
    /// As open(2).
    pub fn at(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// The names in it, sorted.
    ///
    /// # Errors
    /// As getdents64(2).
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

    /// The state of a name; nothing where there is none.
    ///
    /// # Errors
    /// As stat(2).
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

fn type_name(stat: &Stat) -> &'static str {
    match file_type(stat) {
        FileType::Directory => "directory",
        FileType::Symlink => "link",
        FileType::RegularFile => "file",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        FileType::Fifo => "pipe",
        FileType::Socket => "socket",
        _ => "unknown",
    }
}

/// A path of an open directory's entry that follows no link at its end: for calls on extended attributes.
pub fn entry_path(dir: BorrowedFd<'_>, name: &OsStr) -> PathBuf {
    Path::new("/proc/self/fd").join(std::os::fd::AsRawFd::as_raw_fd(&dir).to_string()).join(name)
}

fn attribute(path: &Path, name: &CStr) -> Option<Vec<u8>> {
    let mut value = [0u8; 16];
    let length = rustix::fs::lgetxattr(path, name, &mut value).ok()?;
    value.get(..length).map(<[u8]>::to_vec)
}

/// Whether an entry of an upper directory says that its name is gone.
pub fn is_whiteout(dir: &Dir, name: &OsStr, stat: &Stat) -> bool {
    match file_type(stat) {
        FileType::CharacterDevice => stat.st_rdev == 0,
        FileType::RegularFile if stat.st_size == 0 => {
            let path = entry_path(dir.0.as_fd(), name);
            [c"trusted.overlay.whiteout", c"user.overlay.whiteout"]
                .into_iter()
                .any(|mark| attribute(&path, mark).is_some())
        }
        _ => false,
    }
}

/// Whether a directory hides all that lies below it.
pub fn is_opaque(dir: &Dir, name: &OsStr) -> bool {
    let path = entry_path(dir.0.as_fd(), name);
    let marks = [c"trusted.overlay.opaque", c"user.overlay.opaque"];
    marks.into_iter().any(|mark| attribute(&path, mark).as_deref() == Some(b"y"))
}

/// The extended attributes of a file, without those of the overlay itself.
///
/// # Errors
/// As listxattr(2) and getxattr(2).
pub fn attributes(path: &Path) -> io::Result<Vec<(CString, Vec<u8>)>> {
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
        if name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") {
            continue;
        }
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

/// Compares an upper directory with the one below it.
pub struct Comparison {
    /// The second in which the changes were begun, in NEWROOT's own clock.
    pub since: Option<(i64, u64)>,
    pub changes: Vec<Change>,
}

impl Comparison {
    /// # Errors
    /// Of a directory or file that cannot be read.
    pub fn compare(&mut self, upper: &Dir, lower: Option<&Dir>, at: &Path) -> io::Result<()> {
        for name in upper.names()? {
            let Some(found) = upper.stat(&name)? else { continue };
            let before = lower.map(|lower| lower.stat(&name)).transpose()?.flatten();
            let path = at.join(&name);
            if is_whiteout(upper, &name, &found) {
                if let Some(before) = &before {
                    self.add_removed(lower, &name, &path, before)?;
                }
                continue;
            }
            if file_type(&found) == FileType::Directory {
                self.compare_directory(upper, lower, &name, path, &found, before.as_ref())?;
                continue;
            }
            match &before {
                None => self.add(Kind::Created, &path, &found, None),
                Some(before) => {
                    let lower = lower.map(|lower| lower.0.as_fd());
                    if !lower.is_some_and(|lower| is_same(upper.0.as_fd(), lower, &name, &found, before)) {
                        self.add(Kind::Changed, &path, &found, Some(before));
                    }
                }
            }
        }
        Ok(())
    }

    fn compare_directory(
        &mut self,
        upper: &Dir,
        lower: Option<&Dir>,
        name: &OsStr,
        path: PathBuf,
        found: &Stat,
        before: Option<&Stat>,
    ) -> io::Result<()> {
        let inner = Dir::open(upper.0.as_fd(), name)?;
        let was_directory = before.is_some_and(|before| file_type(before) == FileType::Directory);
        // of one that was only looked into the other need not be readable
        let is_untouched = was_directory && inner.names()?.is_empty() && !is_opaque(upper, name);
        let below = match lower {
            Some(lower) if was_directory && !is_untouched => Some(Dir::open(lower.0.as_fd(), name)?),
            _ => None,
        };
        match before {
            None => self.add(Kind::Created, &path, found, None),
            Some(before) if !was_directory || !has_rights_it_can_have(found, before) => {
                self.add(Kind::Changed, &path, found, Some(before));
            }
            Some(_) => {}
        }
        if is_untouched {
            return Ok(());
        }
        if let (true, Some(below)) = (is_opaque(upper, name), &below) {
            let kept = inner.names()?;
            for gone in below.names()?.difference(&kept) {
                if let Some(before) = below.stat(gone)? {
                    self.add_removed(Some(below), gone, &path.join(gone), &before)?;
                }
            }
        }
        self.compare(&inner, below.as_ref(), &path)
    }

    fn add_removed(
        &mut self,
        lower: Option<&Dir>,
        name: &OsStr,
        path: &Path,
        before: &Stat,
    ) -> io::Result<()> {
        self.add(Kind::Removed, path, before, Some(before));
        if let (Some(since), Some(lower), Some(change)) = (self.since, lower, self.changes.last_mut()) {
            change.is_conflict |= has_later(lower, name, before, since)?;
        }
        Ok(())
    }

    fn add(&mut self, kind: Kind, path: &Path, now: &Stat, before: Option<&Stat>) {
        let is_later = |before: &Stat| {
            let at = (before.st_ctime, before.st_ctime_nsec);
            self.since.is_some_and(|since| at > since) && file_type(before) != FileType::Directory
        };
        let is_conflict = before.is_some_and(is_later);
        self.changes.push(Change { kind, path: path.to_path_buf(), file_type: type_name(now), is_conflict });
    }
}

/// Whether a directory has the owner and mode of the one below, or is another user's there: only that
/// user or root could have changed those, and what stands in the upper directory is the caller's.
pub fn has_rights_it_can_have(found: &Stat, before: &Stat) -> bool {
    let own = system::sys::effective_ids().0;
    let is_foreign = before.st_uid == NOBODY || (own != 0 && before.st_uid != own);
    has_same_rights(found, before) || is_foreign
}

/// The user that stands for all who have no id: /proc/sys/kernel/overflowuid.
const NOBODY: u32 = 65534;

/// Whether a file or one below a directory was changed after a time.
fn has_later(dir: &Dir, name: &OsStr, found: &Stat, since: (i64, u64)) -> io::Result<bool> {
    if file_type(found) != FileType::Directory {
        return Ok((found.st_ctime, found.st_ctime_nsec) > since);
    }
    let inner = Dir::open(dir.0.as_fd(), name)?;
    for below in inner.names()? {
        if let Some(found) = inner.stat(&below)?
            && has_later(&inner, &below, &found, since)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether owner and mode are the same.
pub fn has_same_rights(one: &Stat, other: &Stat) -> bool {
    (one.st_mode, one.st_uid, one.st_gid) == (other.st_mode, other.st_uid, other.st_gid)
}

/// Whether two files of one name are alike in all but their times.
pub fn is_same(upper: BorrowedFd<'_>, lower: BorrowedFd<'_>, name: &OsStr, one: &Stat, other: &Stat) -> bool {
    if !has_same_rights(one, other) || (one.st_size, one.st_rdev) != (other.st_size, other.st_rdev) {
        return false;
    }
    let (above, below) = (entry_path(upper, name), entry_path(lower, name));
    let attributes_match = match (attributes(&above), attributes(&below)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    };
    attributes_match
        && match file_type(one) {
            FileType::RegularFile => has_same_contents(upper, lower, name).unwrap_or(false),
            FileType::Symlink => match (std::fs::read_link(above), std::fs::read_link(below)) {
                (Ok(one), Ok(other)) => one == other,
                _ => false,
            },
            _ => true,
        }
}

fn has_same_contents(upper: BorrowedFd<'_>, lower: BorrowedFd<'_>, name: &OsStr) -> io::Result<bool> {
    let open = |dir: BorrowedFd<'_>| -> io::Result<std::fs::File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(dir, name, flags, Mode::empty())?.into())
    };
    let (mut one, mut other) = (open(upper)?, open(lower)?);
    let (mut first, mut second) = (vec![0u8; 64 << 10], vec![0u8; 64 << 10]);
    loop {
        let length = one.read(&mut first)?;
        let read = first.get(..length).unwrap_or_default();
        let Some(compared) = second.get_mut(..length) else { return Ok(false) };
        other.read_exact(compared)?;
        if read != compared {
            return Ok(false);
        }
        if length == 0 {
            return Ok(true);
        }
    }
}

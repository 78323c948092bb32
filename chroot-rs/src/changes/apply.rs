//! Makes NEWROOT what the command left of it.
//!
//! Each file is written beside its place and renamed over it, and the upper directory stays whole until the
//! end: an apply that was interrupted is done by another one, which passes over what is as it should be.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags};

use super::tree::{
    self, Dir, attributes, entry_path, file_type, has_rights_it_can_have, is_opaque, is_same, is_whiteout,
};

/// The name of what is being written, in the directory of its place.
const UNFINISHED: &str = ".chroot-rs.unfinished";

/// An apply on its way.
#[derive(Default)]
pub struct Apply {
    /// The first name of each file that has several, by device and number in the upper directory.
    links: BTreeMap<(u64, u64), PathBuf>,
}

/// An error with the path it is about.
pub type Failed = (PathBuf, io::Error);

impl Apply {
    /// Applies an upper directory to the one below it. `root` is the top of the latter, `at` the way from
    /// there.
    ///
    /// # Errors
    /// Of the first path that could not be made what it should be.
    pub fn directory(&mut self, upper: &Dir, lower: &Dir, root: &Dir, at: &Path) -> Result<(), Failed> {
        for name in upper.names().map_err(|why| (at.to_path_buf(), why))? {
            let path = at.join(&name);
            self.entry(upper, lower, root, &name, &path).map_err(|failed| failed.unwrap_or_at(&path))?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        upper: &Dir,
        lower: &Dir,
        root: &Dir,
        name: &OsStr,
        path: &Path,
    ) -> Result<(), Inner> {
        let Some(found) = upper.stat(name)? else { return Ok(()) };
        let before = lower.stat(name)?;
        if is_whiteout(upper, name, &found) {
            return Ok(remove(lower, name, before.as_ref())?);
        }
        if file_type(&found) != FileType::Directory {
            return Ok(self.file(upper, lower, root, name, path, &found, before.as_ref())?);
        }
        let was_directory = before.as_ref().is_some_and(|before| file_type(before) == FileType::Directory);
        if !was_directory {
            remove(lower, name, before.as_ref())?;
            rustix::fs::mkdirat(&lower.0, name, Mode::RWXU).map_err(io::Error::from)?;
        }
        let inner = Dir::open(upper.0.as_fd(), name)?;
        // of one that was only looked into the other need not be readable
        let is_untouched = was_directory && inner.names()?.is_empty() && !is_opaque(upper, name);
        if !is_untouched {
            let below = Dir::open(lower.0.as_fd(), name)?;
            if was_directory && is_opaque(upper, name) {
                let kept = inner.names()?;
                for gone in below.names()?.difference(&kept) {
                    remove(&below, gone, below.stat(gone)?.as_ref())?;
                }
            }
            self.directory(&inner, &below, root, path)?;
        }
        let is_alike = |before: &Stat| has_rights_it_can_have(&found, before);
        if !(was_directory && before.as_ref().is_some_and(is_alike)) {
            copy_attributes(upper, lower, name, name, &found)?;
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "a name in two directories, and its state in both")]
    fn file(
        &mut self,
        upper: &Dir,
        lower: &Dir,
        root: &Dir,
        name: &OsStr,
        path: &Path,
        found: &Stat,
        before: Option<&Stat>,
    ) -> io::Result<()> {
        let number = (found.st_dev, found.st_ino);
        let has_names = found.st_nlink > 1;
        let is_meant =
            before.is_some_and(|before| is_same(upper.0.as_fd(), lower.0.as_fd(), name, found, before));
        if let Some(first) = self.links.get(&number).filter(|_| has_names) {
            let (above, first_name) = (first.parent().unwrap_or(Path::new("")), first.file_name());
            let above = system::sys::open_without_symlinks(root.0.as_fd(), &Path::new(".").join(above))?;
            let first_name = first_name.unwrap_or_default();
            discard(lower)?;
            rustix::fs::linkat(&above, first_name, &lower.0, UNFINISHED, AtFlags::empty())?;
            return finish(lower, name, before);
        }
        if has_names {
            self.links.insert(number, path.to_path_buf());
        }
        if is_meant {
            return Ok(());
        }
        discard(lower)?;
        copy(upper, lower, name, found)?;
        copy_attributes(upper, lower, name, OsStr::new(UNFINISHED), found)?;
        finish(lower, name, before)
    }
}

/// An error that knows its path already, or not yet.
enum Inner {
    Below(Failed),
    Here(io::Error),
}

impl Inner {
    fn unwrap_or_at(self, path: &Path) -> Failed {
        match self {
            Self::Below(failed) => failed,
            Self::Here(why) => (path.to_path_buf(), why),
        }
    }
}

impl From<io::Error> for Inner {
    fn from(why: io::Error) -> Self {
        Self::Here(why)
    }
}

impl From<Failed> for Inner {
    fn from(failed: Failed) -> Self {
        Self::Below(failed)
    }
}

/// Removes what an apply before left unfinished.
fn discard(lower: &Dir) -> io::Result<()> {
    remove(lower, OsStr::new(UNFINISHED), lower.stat(OsStr::new(UNFINISHED))?.as_ref())
}

/// Puts what was written in its place.
fn finish(lower: &Dir, name: &OsStr, before: Option<&Stat>) -> io::Result<()> {
    if before.is_some_and(|before| file_type(before) == FileType::Directory) {
        remove(lower, name, before)?;
    }
    rustix::fs::renameat(&lower.0, UNFINISHED, &lower.0, name)?;
    // of two names of one file rename(2) leaves both
    discard(lower)
}

/// Removes a name, and what is below it; no link is followed.
///
/// # Errors
/// As unlink(2).
pub fn remove(dir: &Dir, name: &OsStr, found: Option<&Stat>) -> io::Result<()> {
    let Some(found) = found else { return Ok(()) };
    if file_type(found) != FileType::Directory {
        return Ok(rustix::fs::unlinkat(&dir.0, name, AtFlags::empty())?);
    }
    let inner = open_to_empty(dir, name, found)?;
    for below in inner.names()? {
        remove(&inner, &below, inner.stat(&below)?.as_ref())?;
    }
    Ok(rustix::fs::unlinkat(&dir.0, name, AtFlags::REMOVEDIR)?)
}

/// Opens a directory whose names are removed next. A directory of the caller may lack rights for its owner: the
/// kernel leaves one in an overlay's own directory, and inside, root made or removed names without them.
fn open_to_empty(dir: &Dir, name: &OsStr, found: &Stat) -> io::Result<Dir> {
    let is_own = found.st_uid == system::sys::effective_ids().0;
    if is_own && found.st_mode & Mode::RWXU.bits() != Mode::RWXU.bits() {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let held = rustix::fs::openat(&dir.0, name, flags, Mode::empty())?;
        rustix::fs::chmod(entry_path(held.as_fd(), OsStr::new("")), Mode::RWXU)?;
    }
    Dir::open(dir.0.as_fd(), name)
}

/// Makes an unfinished file of the same kind and contents.
fn copy(upper: &Dir, lower: &Dir, name: &OsStr, found: &Stat) -> io::Result<()> {
    let mode = Mode::RUSR | Mode::WUSR;
    match file_type(found) {
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut from: std::fs::File = rustix::fs::openat(&upper.0, name, flags, Mode::empty())?.into();
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let mut to: std::fs::File = rustix::fs::openat(&lower.0, UNFINISHED, flags, mode)?.into();
            io::copy(&mut from, &mut to)?;
            // renamed before it is on the disk, a file could be empty after a crash
            to.sync_data()
        }
        FileType::Symlink => {
            let target = std::fs::read_link(entry_path(upper.0.as_fd(), name))?;
            Ok(rustix::fs::symlinkat(&target, &lower.0, UNFINISHED)?)
        }
        kind => Ok(rustix::fs::mknodat(&lower.0, UNFINISHED, kind, mode, found.st_rdev)?),
    }
}

/// Gives `to` in the lower directory the owner, mode, extended attributes and times of `from` in the upper.
fn copy_attributes(upper: &Dir, lower: &Dir, from: &OsStr, to: &OsStr, found: &Stat) -> io::Result<()> {
    let (above, below) = (entry_path(upper.0.as_fd(), from), entry_path(lower.0.as_fd(), to));
    let is_link = file_type(found) == FileType::Symlink;
    let (uid, gid) = (Uid::from_raw(found.st_uid), Gid::from_raw(found.st_gid));
    rustix::fs::chownat(&lower.0, to, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    if !is_link {
        // after the owner, whose change takes the set-user-ID bit away
        chmod(lower.0.as_fd(), to, found.st_mode)?;
    }
    for (name, value) in attributes(&above)? {
        rustix::fs::lsetxattr(&below, &name, &value, XattrFlags::empty())?;
    }
    let kept = attributes(&above)?;
    for (name, _) in tree::attributes(&below)? {
        if !kept.iter().any(|(known, _)| *known == name) {
            rustix::fs::lremovexattr(&below, &name)?;
        }
    }
    let time = |seconds, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds.try_into().unwrap_or_default(),
    };
    let times = Timestamps {
        last_access: time(found.st_atime, found.st_atime_nsec),
        last_modification: time(found.st_mtime, found.st_mtime_nsec),
    };
    Ok(rustix::fs::utimensat(&lower.0, to, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn chmod(dir: BorrowedFd<'_>, name: &OsStr, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::chmodat(dir, name, Mode::from_raw_mode(mode & 0o7777), AtFlags::empty())?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_applied_with_its_attributes_and_loses_those_it_has_no_more() {
        let dir = std::env::temp_dir().join(format!("chroot-rs-apply-{}", std::process::id()));
        for name in ["upper", "lower"] {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        let (above, below) = (dir.join("upper/f"), dir.join("lower/f"));
        fs::write(&above, "new").unwrap();
        fs::write(&below, "old").unwrap();
        let set = |path: &Path, name: &std::ffi::CStr| {
            rustix::fs::setxattr(path, name, b"value", XattrFlags::empty()).is_ok()
        };
        // not every file system has them
        let has_them =
            set(&above, c"user.test") && set(&above, c"user.overlay.origin") && set(&below, c"user.gone");
        let (upper, lower) = (Dir::at(&dir.join("upper")).unwrap(), Dir::at(&dir.join("lower")).unwrap());
        let applied = Apply::default().directory(&upper, &lower, &lower, Path::new(""));
        let found = attributes(&below).unwrap();
        let (text, is_alone) =
            (fs::read_to_string(&below).unwrap(), fs::read_dir(dir.join("lower")).unwrap().count());
        fs::remove_dir_all(&dir).unwrap();
        assert!(applied.is_ok());
        assert_eq!((text.as_str(), is_alone), ("new", 1));
        if has_them {
            assert_eq!(found, [(c"user.test".to_owned(), b"value".to_vec())]);
        }
    }
}

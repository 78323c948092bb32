//! Applies a command's changes to NEWROOT.
//!
//! Each file is written beside its final name and renamed over it, and the upper directory stays complete
//! until the end. After an interruption, another apply finishes the work; it skips what is already correct.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::comparison::{has_rights_it_can_have, is_same};
use super::dir::{Dir, attributes, chmod_held, entry_path, file_type};
use super::marks::Marks;
use super::removal::remove;

/// The temporary name of a file that is being written, in the same directory.
const UNFINISHED: &str = ".chroot-rs.unfinished";

/// An apply in progress.
pub struct Apply<'a> {
    /// The root directory to change.
    root: &'a Dir,
    marks: Marks,
    /// The first name of each file with several names, by device and inode in the upper directory.
    links: BTreeMap<(u64, u64), PathBuf>,
}

/// An error and its path.
pub type Failed = (PathBuf, io::Error);

impl<'a> Apply<'a> {
    /// Applies an upper directory to `root`.
    ///
    /// # Errors
    /// The first path that could not be changed.
    pub fn all(upper: &Dir, root: &'a Dir, marks: Marks) -> Result<(), Failed> {
        Self { root, marks, links: BTreeMap::new() }.directory(upper, root, Path::new(""))
    }

    /// Applies a directory to the one below it, which is at the path `at` from the root.
    fn directory(&mut self, upper: &Dir, lower: &Dir, at: &Path) -> Result<(), Failed> {
        for name in upper.names().map_err(|why| (at.to_path_buf(), why))? {
            let path = at.join(&name);
            self.entry(upper, lower, &name, &path).map_err(|failed| failed.unwrap_or_at(&path))?;
        }
        Ok(())
    }

    fn entry(&mut self, upper: &Dir, lower: &Dir, name: &OsStr, path: &Path) -> Result<(), Inner> {
        let Some(found) = upper.stat(name)? else { return Ok(()) };
        let before = lower.stat(name)?;
        if self.marks.is_whiteout(upper, name, &found) {
            return Ok(remove(lower, name)?);
        }
        if file_type(&found) != FileType::Directory {
            return Ok(self.file(upper, lower, name, path, &found, before.as_ref())?);
        }
        let was_directory = before.as_ref().is_some_and(|before| file_type(before) == FileType::Directory);
        if !was_directory {
            remove(lower, name)?;
            rustix::fs::mkdirat(&lower.0, name, Mode::RWXU).map_err(io::Error::from)?;
        }
        let inner = Dir::open(upper.0.as_fd(), name)?;
        // if the command only looked into a directory, the lower one need not be readable
        let is_untouched = was_directory && inner.names()?.is_empty() && !self.marks.is_opaque(upper, name);
        if !is_untouched {
            let below = Dir::open(lower.0.as_fd(), name)?;
            if was_directory && self.marks.is_opaque(upper, name) {
                let kept = inner.names()?;
                for gone in below.names()?.difference(&kept) {
                    remove(&below, gone)?;
                }
            }
            self.directory(&inner, &below, path)?;
        }
        let is_alike = |before: &Stat| has_rights_it_can_have(&found, before);
        if !(was_directory && before.as_ref().is_some_and(is_alike)) {
            self.copy_attributes(upper, lower, name, name, &found)?;
        }
        Ok(())
    }

    fn file(
        &mut self,
        upper: &Dir,
        lower: &Dir,
        name: &OsStr,
        path: &Path,
        found: &Stat,
        before: Option<&Stat>,
    ) -> io::Result<()> {
        let number = (found.st_dev, found.st_ino);
        let has_names = found.st_nlink > 1;
        let is_meant = before
            .is_some_and(|before| is_same(self.marks, upper.0.as_fd(), lower.0.as_fd(), name, found, before));
        let first = self.links.get(&number).filter(|_| has_names).cloned();
        if first.is_none() {
            if has_names {
                self.links.insert(number, path.to_path_buf());
            }
            if is_meant {
                return Ok(());
            }
        }
        discard(lower)?;
        let written = match &first {
            Some(first) => self.link(first, lower),
            None => copy(upper, lower, name, found)
                .and_then(|()| self.copy_attributes(upper, lower, name, OsStr::new(UNFINISHED), found)),
        };
        let finished = written.and_then(|()| finish(lower, name, before));
        if finished.is_err() {
            // the error is what counts
            let _ = discard(lower);
        }
        finished
    }

    /// Creates another name of an applied file.
    fn link(&self, first: &Path, lower: &Dir) -> io::Result<()> {
        let (above, name) = (first.parent().unwrap_or(Path::new("")), first.file_name().unwrap_or_default());
        let above = system::sys::open_without_symlinks(self.root.0.as_fd(), &Path::new(".").join(above))?;
        Ok(rustix::fs::linkat(&above, name, &lower.0, UNFINISHED, AtFlags::empty())?)
    }

    /// Copies owner, mode, extended attributes and times from `from` in the upper directory to `to` in the lower.
    fn copy_attributes(
        &self,
        upper: &Dir,
        lower: &Dir,
        from: &OsStr,
        to: &OsStr,
        found: &Stat,
    ) -> io::Result<()> {
        let (above, below) = (entry_path(upper.0.as_fd(), from), entry_path(lower.0.as_fd(), to));
        let is_link = file_type(found) == FileType::Symlink;
        let (uid, gid) = (Uid::from_raw(found.st_uid), Gid::from_raw(found.st_gid));
        rustix::fs::chownat(&lower.0, to, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        if !is_link {
            // after the owner, because a change of owner clears the set-user-ID bit
            chmod(lower.0.as_fd(), to, found.st_mode)?;
        }
        let kept = self.marks.without(attributes(&above)?);
        for (name, value) in &kept {
            rustix::fs::lsetxattr(&below, name, value, XattrFlags::empty())?;
        }
        for attribute in attributes(&below)? {
            // the command did not see those, so it did not remove them
            let is_gone = !self.marks.has_name_of_mark(&attribute);
            if is_gone && !kept.iter().any(|(known, _)| *known == attribute.0) {
                rustix::fs::lremovexattr(&below, &attribute.0)?;
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
}

/// An error, with its path or without.
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

/// Removes the temporary file of an earlier apply.
fn discard(lower: &Dir) -> io::Result<()> {
    remove(lower, OsStr::new(UNFINISHED))
}

/// Renames the written file to its final name.
fn finish(lower: &Dir, name: &OsStr, before: Option<&Stat>) -> io::Result<()> {
    if before.is_some_and(|before| file_type(before) == FileType::Directory) {
        remove(lower, name)?;
    }
    rustix::fs::renameat(&lower.0, UNFINISHED, &lower.0, name)?;
    // if both names are the same file, rename(2) keeps both
    discard(lower)
}

/// Creates a temporary file of the same type and contents.
fn copy(upper: &Dir, lower: &Dir, name: &OsStr, found: &Stat) -> io::Result<()> {
    let mode = Mode::RUSR | Mode::WUSR;
    match file_type(found) {
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut from: std::fs::File = rustix::fs::openat(&upper.0, name, flags, Mode::empty())?.into();
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let mut to: std::fs::File = rustix::fs::openat(&lower.0, UNFINISHED, flags, mode)?.into();
            io::copy(&mut from, &mut to)?;
            // if it were renamed before it is on the disk, the file could be empty after a crash
            to.sync_data()
        }
        FileType::Symlink => {
            let target = std::fs::read_link(entry_path(upper.0.as_fd(), name))?;
            Ok(rustix::fs::symlinkat(&target, &lower.0, UNFINISHED)?)
        }
        kind => Ok(rustix::fs::mknodat(&lower.0, UNFINISHED, kind, mode, found.st_rdev)?),
    }
}

/// Changes the mode of anything but a symlink. A command that runs in NEWROOT can replace a name by a symlink
/// at any time, and chmod(2) would follow it out of NEWROOT.
fn chmod(dir: BorrowedFd<'_>, name: &OsStr, mode: u32) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = rustix::fs::openat(dir, name, flags, Mode::empty())?;
    if file_type(&rustix::fs::fstat(&held)?) == FileType::Symlink {
        return Err(Errno::LOOP.into());
    }
    chmod_held(&held, Mode::from_raw_mode(mode & 0o7777))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_mode_of_what_a_link_leads_to_is_never_changed() {
        use std::os::unix::fs::PermissionsExt as _;

        let scratch = ::tests::Scratch::new();
        let outside = scratch.path("outside");
        fs::write(&outside, "").unwrap();
        fs::set_permissions(&outside, fs::Permissions::from_mode(0o600)).unwrap();
        fs::create_dir(scratch.path("lower")).unwrap();
        std::os::unix::fs::symlink(&outside, scratch.path("lower/name")).unwrap();
        let lower = Dir::at(&scratch.path("lower")).unwrap();
        let changed = chmod(lower.0.as_fd(), OsStr::new("name"), 0o777);
        assert_eq!(fs::metadata(&outside).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(changed.unwrap_err().raw_os_error(), Some(libc::ELOOP));
    }

    /// The tree of a test: `upper` and `lower`; whether their file system keeps user.* attributes.
    fn trees() -> (::tests::Scratch, bool) {
        let scratch = ::tests::Scratch::new();
        for name in ["upper", "lower"] {
            fs::create_dir(scratch.path(name)).unwrap();
        }
        let keeps = system::sys::keeps_user_attributes(&scratch.path(""));
        (scratch, keeps)
    }

    fn set(path: &Path, names: &[&str]) {
        for name in names {
            rustix::fs::setxattr(path, *name, b"y", XattrFlags::empty()).unwrap();
        }
    }

    fn names_at(path: &Path) -> Vec<String> {
        let user = |name: String| name.starts_with("user.").then_some(name);
        let names = attributes(path).unwrap().into_iter().map(|(name, _)| name.into_string().unwrap());
        names.filter_map(user).collect()
    }

    fn apply(scratch: &::tests::Scratch, marks: Marks) {
        let (upper, lower) =
            (Dir::at(&scratch.path("upper")).unwrap(), Dir::at(&scratch.path("lower")).unwrap());
        Apply::all(&upper, &lower, marks)
            .map_err(|(path, why)| format!("{}: {why}", path.display()))
            .unwrap();
    }

    #[test]
    fn a_file_is_applied_with_its_attributes_and_loses_those_it_has_no_more() {
        let (scratch, keeps_attributes) = trees();
        let (above, below) = (scratch.path("upper/f"), scratch.path("lower/f"));
        fs::write(&above, "new").unwrap();
        fs::write(&below, "old").unwrap();
        if keeps_attributes {
            set(&above, &["user.test", "user.overlay.origin"]);
            set(&below, &["user.gone"]);
        }
        apply(&scratch, Marks::User);
        let count = fs::read_dir(scratch.path("lower")).unwrap().count();
        assert_eq!((fs::read_to_string(&below).unwrap().as_str(), count), ("new", 1));
        if keeps_attributes {
            assert_eq!(names_at(&below), ["user.test"]);
        }
    }

    #[test]
    fn marks_of_the_other_kind_are_data_and_those_of_a_nested_overlay_get_their_names_back() {
        let (scratch, keeps_attributes) = trees();
        if !keeps_attributes {
            return;
        }
        for path in ["upper/d", "lower/d"] {
            fs::create_dir(scratch.path(path)).unwrap();
        }
        for path in ["upper/d/w", "upper/d/new", "lower/d/w", "lower/d/root"] {
            fs::write(scratch.path(path), "").unwrap();
        }
        set(&scratch.path("upper/d"), &["user.overlay.opaque"]);
        set(&scratch.path("upper/d/w"), &["user.overlay.whiteout"]);
        let nested = ["user.overlay.origin", "user.overlay.overlay.opaque"];
        set(&scratch.path("upper/d/new"), &nested);
        apply(&scratch, Marks::Trusted);
        assert!(scratch.path("lower/d/root").exists());
        assert_eq!(names_at(&scratch.path("lower/d/w")), ["user.overlay.whiteout"]);
        assert_eq!(names_at(&scratch.path("lower/d/new")), nested);
        // where they are marks
        apply(&scratch, Marks::User);
        assert!(!scratch.path("lower/d/root").exists() && !scratch.path("lower/d/w").exists());
        assert_eq!(names_at(&scratch.path("lower/d/new")), ["user.overlay.opaque"]);
    }
}

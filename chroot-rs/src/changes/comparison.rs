//! Reads the changes in an overlay's upper directory.
//!
//! A removed name is a whiteout there: a character device 0/0, or an empty file with an attribute. A
//! directory that hides everything below it is marked opaque: Documentation/filesystems/overlayfs.rst.

use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use system::idmap::OVERFLOW_ID;

use super::dir::{Dir, attributes, entry_path, file_type};
use super::marks::Marks;

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    Created,
    Changed,
    Removed,
}

impl ChangeKind {
    /// Its word in the output.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

/// A difference between NEWROOT and the command's version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub kind: ChangeKind,
    /// Relative to the root.
    pub path: PathBuf,
    /// The type now; for a removed file, its former type.
    pub file_type: &'static str,
    /// Whether NEWROOT's version has changed, too, since the changes began.
    pub is_conflict: bool,
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

/// Compares an upper directory with the one below it.
pub struct Comparison {
    /// When the changes began, in the clock of NEWROOT's file system.
    pub since: Option<(i64, u64)>,
    pub marks: Marks,
    pub changes: Vec<Change>,
}

impl Comparison {
    /// # Errors
    /// A directory or file cannot be read, or directories are nested too deep.
    pub fn compare(&mut self, upper: &Dir, lower: Option<&Dir>, at: &Path) -> io::Result<()> {
        check_depth(at)?;
        for name in upper.names()? {
            let Some(found) = upper.stat(&name)? else { continue };
            let before = lower.map(|lower| lower.stat(&name)).transpose()?.flatten();
            let path = at.join(&name);
            if self.marks.is_whiteout(upper, &name, &found) {
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
                None => self.add(ChangeKind::Created, &path, &found, None),
                Some(before) => {
                    let lower = lower.map(|lower| lower.0.as_fd());
                    if !lower.is_some_and(|lower| {
                        is_same(self.marks, upper.0.as_fd(), lower, &name, &found, before)
                    }) {
                        self.add(ChangeKind::Changed, &path, &found, Some(before));
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
        // if the command only looked into a directory, the lower one need not be readable
        let is_untouched = was_directory && inner.names()?.is_empty() && !self.marks.is_opaque(upper, name);
        let below = match lower {
            Some(lower) if was_directory && !is_untouched => Some(Dir::open(lower.0.as_fd(), name)?),
            _ => None,
        };
        match before {
            None => self.add(ChangeKind::Created, &path, found, None),
            Some(before) if !was_directory || !has_rights_it_can_have(found, before) => {
                self.add(ChangeKind::Changed, &path, found, Some(before));
            }
            Some(_) => {}
        }
        if is_untouched {
            return Ok(());
        }
        if let (true, Some(below)) = (self.marks.is_opaque(upper, name), &below) {
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
        self.add(ChangeKind::Removed, path, before, Some(before));
        if let (Some(since), Some(lower), Some(change)) = (self.since, lower, self.changes.last_mut()) {
            change.is_conflict |= changed_since(lower, name, path, before, since)?;
        }
        Ok(())
    }

    fn add(&mut self, kind: ChangeKind, path: &Path, now: &Stat, before: Option<&Stat>) {
        let is_later = |before: &Stat| {
            let at = (before.st_ctime, before.st_ctime_nsec);
            self.since.is_some_and(|since| at > since) && file_type(before) != FileType::Directory
        };
        let is_conflict = before.is_some_and(is_later);
        self.changes.push(Change { kind, path: path.to_path_buf(), file_type: type_name(now), is_conflict });
    }
}

/// Whether a directory has the owner and mode of the one below it, or belongs to another user there. Only
/// that user or root could have changed owner and mode, while the upper directory's entries belong to the
/// caller.
pub fn has_rights_it_can_have(found: &Stat, before: &Stat) -> bool {
    let own = system::sys::effective_ids().0;
    let is_foreign = before.st_uid == OVERFLOW_ID || (own != 0 && before.st_uid != own);
    has_same_rights(found, before) || is_foreign
}

/// Whether a file or one below a directory was changed after a time.
fn changed_since(dir: &Dir, name: &OsStr, at: &Path, found: &Stat, since: (i64, u64)) -> io::Result<bool> {
    if file_type(found) != FileType::Directory {
        return Ok((found.st_ctime, found.st_ctime_nsec) > since);
    }
    check_depth(at)?;
    let inner = Dir::open(dir.0.as_fd(), name)?;
    for below in inner.names()? {
        if let Some(found) = inner.stat(&below)?
            && changed_since(&inner, &below, &at.join(&below), &found, since)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Refuses a directory that is nested too deep: each level needs a part of the stack, and a command can create any
/// number of levels.
fn check_depth(at: &Path) -> io::Result<()> {
    const MAX_DEPTH: usize = 256;
    match at.iter().nth(MAX_DEPTH) {
        None => Ok(()),
        Some(_) => Err(io::Error::other(format!("directories are nested more than {MAX_DEPTH} deep"))),
    }
}

/// Whether owner and mode are the same.
pub fn has_same_rights(one: &Stat, other: &Stat) -> bool {
    (one.st_mode, one.st_uid, one.st_gid) == (other.st_mode, other.st_uid, other.st_gid)
}

/// Whether two files with the same name differ only in their times.
pub fn is_same(
    marks: Marks,
    upper: BorrowedFd<'_>,
    lower: BorrowedFd<'_>,
    name: &OsStr,
    one: &Stat,
    other: &Stat,
) -> bool {
    if !has_same_rights(one, other) || (one.st_size, one.st_rdev) != (other.st_size, other.st_rdev) {
        return false;
    }
    let (above, below) = (entry_path(upper, name), entry_path(lower, name));
    let attributes_match = match (attributes(&above), attributes(&below)) {
        (Ok(one), Ok(mut other)) => {
            let one = marks.without(one);
            // those that the command did not see are no difference
            other.retain(|attribute| !marks.has_name_of_mark(attribute) || one.contains(attribute));
            one == other
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::removal::remove;

    #[test]
    fn a_tree_deeper_than_the_stack_can_hold_is_refused() {
        let scratch = ::tests::Scratch::new();
        let name = OsStr::new("deep");
        for tree in ["upper", "lower"] {
            std::fs::create_dir(scratch.path(tree)).unwrap();
            let mut dir = Dir::at(&scratch.path(tree)).unwrap();
            for _ in 0..5000 {
                rustix::fs::mkdirat(&dir.0, name, Mode::RWXU).unwrap();
                dir = Dir::open(dir.0.as_fd(), name).unwrap();
            }
        }
        let (upper, lower) =
            (Dir::at(&scratch.path("upper")).unwrap(), Dir::at(&scratch.path("lower")).unwrap());
        let found = lower.stat(name).unwrap().unwrap();
        let mut comparison = Comparison { since: None, marks: Marks::default(), changes: Vec::new() };
        let compared = comparison.compare(&upper, Some(&lower), Path::new(""));
        let looked_at = changed_since(&lower, name, Path::new("deep"), &found, (i64::MAX, 0));
        for top in [upper, lower] {
            remove(&top, name).unwrap();
        }
        let said = [compared, looked_at.map(drop)].map(|refused| refused.unwrap_err().to_string());
        assert_eq!(said, ["directories are nested more than 256 deep"; 2]);
    }
}

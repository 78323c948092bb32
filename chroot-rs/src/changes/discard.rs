//! Discards changes, and finishes a discard that was interrupted.
//!
//! Changes that are only partly deleted could be applied as if they were complete, so `upper` is first renamed, in one
//! step. From then on `upper` is missing, which shows later runs that there is a discard to finish.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use chain::call::{Call, Shown};
use chain::handles::Handles;
use chain::reporter::quoted;
use nix::errno::Errno;

use super::dir::Dir;
use super::names::{SINCE, UPPER, USERXATTR, WORK};
use super::removal;

/// The name of the written files while they are removed.
pub const GONE: &str = "gone";

/// Discards changes; the directory can then be used again.
///
/// # Errors
/// What cannot be renamed or removed.
pub fn all(dir: &Path) -> io::Result<()> {
    removal::remove(&Dir::at(dir)?, OsStr::new(GONE))?;
    std::fs::rename(dir.join(UPPER), dir.join(GONE))?;
    finish(dir)
}

/// Whether an earlier run was interrupted while it discarded changes, or before it created `upper`. A directory without
/// `work` is not one of changes.
pub fn is_unfinished(dir: &Path) -> bool {
    let exists = |name: &str| std::fs::symlink_metadata(dir.join(name)).is_ok();
    let work = dir.join(WORK);
    if exists(UPPER) || !std::fs::symlink_metadata(&work).is_ok_and(|work| work.is_dir()) {
        return false;
    }
    let is_filled = || std::fs::read_dir(work).is_ok_and(|mut entries| entries.next().is_some());
    [GONE, SINCE, USERXATTR].into_iter().any(exists) || is_filled()
}

/// Removes what is left without `upper`.
///
/// # Errors
/// What cannot be removed.
pub fn finish(dir: &Path) -> io::Result<()> {
    let open = Dir::at(dir)?;
    removal::remove(&open, OsStr::new(GONE))?;
    empty_work(&open)?;
    for file in [SINCE, USERXATTR] {
        removal::remove(&open, OsStr::new(file))?;
    }
    Ok(())
}

/// Empties overlayfs's work directory: the kernel leaves directories in it that their owner cannot read, so a
/// user's `rm -r` would fail. The directory itself stays, as a sign that the changes are gone.
fn empty_work(open: &Dir) -> io::Result<()> {
    let work = Dir::open(open.0.as_fd(), OsStr::new(WORK))?;
    Ok(system::removal::empty(work.0.as_fd(), &mut |_| {})?)
}

/// Finishes an interrupted discard before new changes begin: unlinkat(2). The directory is locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishDiscard(pub PathBuf);

impl Call for FinishDiscard {
    fn shown(&self) -> Shown {
        let path = |name| quoted(&self.0.join(name)).to_string();
        let remove = |name, flags| format!("unlinkat(AT_FDCWD, {}, {flags})", path(name));
        let all = [remove(GONE, "AT_REMOVEDIR"), remove(SINCE, "0"), remove(USERXATTR, "0")];
        Shown::new(all.join(", "), "unlinkat(2)").inspect_path("ls -l", &self.0)
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        // another run may have begun before this one got the lock
        if !is_unfinished(&self.0) {
            return Ok(());
        }
        finish(&self.0).map_err(|why| why.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
    }
}

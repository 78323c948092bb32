//! Where the file of this program is.

use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};

use crate::mountinfo;
use crate::sys::OWN_PROGRAM;

/// Whether this program's file lies outside of the root directory, so that only a link of /proc can have led to it:
/// a COMMAND that is a link to `/proc/self/exe`, which is this program until execve(2).
pub fn is_outside() -> bool {
    let Ok(path) = std::fs::read_link(OWN_PROGRAM) else { return false };
    let own = place(Path::new(OWN_PROGRAM), AtFlags::empty());
    let is_at_its_path = own.is_some() && own == place(&path, AtFlags::SYMLINK_NOFOLLOW);
    !is_at_its_path && is_open_outside(&path).unwrap_or(false)
}

/// The device, inode and mount of a file: the same file can be writable on one mount and read-only on another.
///
/// # Source
/// statx(2): the mount since Linux 5.8.
fn place(path: &Path, flags: AtFlags) -> Option<(u32, u32, u64, u64)> {
    let found = rustix::fs::statx(CWD, path, flags, StatxFlags::INO | StatxFlags::MNT_ID).ok()?;
    let has_mount = found.stx_mask & StatxFlags::MNT_ID.bits() != 0;
    has_mount.then_some((found.stx_dev_major, found.stx_dev_minor, found.stx_ino, found.stx_mnt_id))
}

/// The same answer from open descriptors, which old kernels give, and emulators, whose own file stat(2) finds instead;
/// None if it is unknown.
fn is_open_outside(path: &Path) -> Option<bool> {
    let open =
        |path, flags| rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC | flags, Mode::empty()).ok();
    let own = open(Path::new(OWN_PROGRAM), OFlags::empty())?;
    let found = rustix::fs::fstat(&own).ok()?;
    let mount = mountinfo::id_of(own.as_fd())?;
    let is_at_its_path = open(path, OFlags::NOFOLLOW).is_some_and(|there| {
        let is_same = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino) == (found.st_dev, found.st_ino);
        rustix::fs::fstat(&there).is_ok_and(is_same) && mountinfo::id_of(there.as_fd()) == Some(mount)
    });
    // a file that was removed since is at no path
    if is_at_its_path || found.st_nlink == 0 {
        return Some(false);
    }
    // that was replaced, and has another name
    let table = mountinfo::table().ok()?;
    Some(mountinfo::mounts(&table).all(|shown| shown.id != mount))
}

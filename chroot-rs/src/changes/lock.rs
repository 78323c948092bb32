//! The lock of the directory of `--changes`: two overlays on one upper directory would spoil it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use chain::call::{Call, Shown};
use chain::handles::{FdSlot, Handles};
use chain::reporter::quoted;
use nix::errno::Errno;
use rustix::fs::{FlockOperation, Mode, OFlags};

/// Locks the directory for as long as the slot holds it: flock(2). The parent that stays keeps it open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The directory.
    pub dir: PathBuf,
    /// Where it is held.
    pub slot: FdSlot,
}

impl Call for Lock {
    fn shown(&self) -> Shown {
        let dir = quoted(&self.dir);
        let open = format!("openat(AT_FDCWD, {dir}, O_RDONLY|O_DIRECTORY|O_CLOEXEC)");
        Shown::new(format!("{open}, flock(<{}>, LOCK_EX|LOCK_NB)", self.slot), "flock(2)")
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        let locked =
            lock(&self.dir).map_err(|why| Errno::from_raw(why.raw_os_error().unwrap_or_default()))?;
        handles.hold(self.slot, locked);
        Ok(())
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        (errno == Errno::EAGAIN).then(in_use)
    }
}

/// Locks a directory; the lock ends with the descriptor.
///
/// # Errors
/// `EWOULDBLOCK` if another process has locked it; else as open(2) and flock(2).
pub fn lock(dir: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = rustix::fs::open(dir, flags, Mode::empty())?;
    rustix::fs::flock(&open, FlockOperation::NonBlockingLockExclusive)?;
    Ok(open)
}

/// What to do where a directory is locked.
pub fn in_use() -> String {
    "another run uses this directory: wait until its command has ended, or use another directory".to_string()
}

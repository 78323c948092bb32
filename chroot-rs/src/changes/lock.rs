//! The lock on the directory of `--changes`: two overlays with one upper directory would corrupt it.

use std::path::PathBuf;

use chain::call::{Call, Shown};
use chain::handles::{FdSlot, Handles};
use chain::reporter::quoted;
use nix::errno::Errno;
use system::sys;

/// Locks the directory for as long as the slot holds it: flock(2). The supervisor keeps it open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The directory.
    pub dir: PathBuf,
    /// The slot.
    pub slot: FdSlot,
}

impl Call for Lock {
    fn shown(&self) -> Shown {
        let dir = quoted(&self.dir);
        let open = format!("openat(AT_FDCWD, {dir}, O_RDONLY|O_DIRECTORY|O_CLOEXEC)");
        Shown::new(format!("{open}, flock(<{}>, LOCK_EX|LOCK_NB)", self.slot), "flock(2)")
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        handles.hold(self.slot, sys::try_lock_dir(&self.dir)?);
        Ok(())
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        (errno == Errno::EAGAIN).then(in_use)
    }
}

/// The hint if a directory is locked.
pub fn in_use() -> String {
    "another run uses this directory: wait until its command has ended, or use another directory".to_string()
}

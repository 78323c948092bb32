//! A directory with those above it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use chain::call::{Call, Shown};
use chain::handles::Handles;
use chain::reporter::quoted;
use nix::errno::Errno;

/// Makes a directory and those above it that are missing: mkdir(2), once for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MakeDirectories(pub PathBuf);

impl Call for MakeDirectories {
    fn shown(&self) -> Shown {
        Shown::new(format!("mkdir({}, 0755)", quoted(&self.0)), "mkdir(2)").inspect("pwd")
    }

    /// # Errors
    /// As mkdir(2), but for a directory that is there.
    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        // as an image has it, whatever the caller's umask
        std::fs::create_dir_all(&self.0)
            .and_then(|()| std::fs::set_permissions(&self.0, Permissions::from_mode(0o755)))
            .map_err(|why| why.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
    }
}

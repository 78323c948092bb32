//! Mount points that are created in the new root.

use std::path::PathBuf;

use chain::Plan;
use chain::call::{self, Call, Shown};
use chain::handles::Handles;
use nix::errno::Errno;

/// Runs the steps of `create` with a umask that lets all users read what is created. `umask` is the caller's.
pub fn plan_readable(plan: &mut Plan, umask: u32, create: impl FnOnce(&mut Plan)) {
    let hides = umask & 0o755 != 0;
    if hides {
        plan.step("set the umask so that all users can read what is created", call::Umask(0o22));
    }
    create(plan);
    if hides {
        plan.step("restore the umask", call::Umask(umask));
    }
}

/// Creates an empty file. Another run may have created it since the root was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPointFile(call::Mknod);

impl MountPointFile {
    /// A file that all users can read.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(call::Mknod::file(path, 0o644))
    }
}

impl Call for MountPointFile {
    fn shown(&self) -> Shown {
        self.0.shown()
    }

    /// # Errors
    /// Those of mknodat(2), except for an existing file.
    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        match self.0.make(handles) {
            Err(Errno::EEXIST) => Ok(()),
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_to_mount_on_may_have_been_created_by_another_run() {
        let path = std::env::temp_dir().join(format!("chroot-rs-{}-mount-point", std::process::id()));
        let file = MountPointFile::new(&path);
        let made = [file.make(&mut Handles::default()), file.make(&mut Handles::default())];
        std::fs::remove_file(&path).unwrap();
        assert_eq!(made, [Ok(()), Ok(())]);
        let missing = MountPointFile::new("/no/such/dir/file");
        assert_eq!(missing.make(&mut Handles::default()), Err(Errno::ENOENT));
    }
}

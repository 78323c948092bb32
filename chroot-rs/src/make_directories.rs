//! Creates a directory and its missing parents.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use chain::call::{Call, Shown};
use chain::handles::Handles;
use chain::reporter::quoted;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag};
use nix::sys::stat::{Mode, fchmod, mkdirat};

/// Creates a directory and its missing parents: mkdir(2), once for each. It does not follow a link in /proc
/// to a descriptor or another process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MakeDirectories(pub PathBuf);

impl Call for MakeDirectories {
    fn shown(&self) -> Shown {
        Shown::new(format!("mkdir({}, 0755)", quoted(&self.0)), "mkdir(2)").inspect("pwd")
    }

    /// # Errors
    /// Those of mkdir(2), except for an existing directory; `ELOOP` for a link that it does not follow.
    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        let mut above: Vec<&Path> = self.0.ancestors().filter(|path| !path.as_os_str().is_empty()).collect();
        above.reverse();
        let mut dir = open(Path::new("/"))?;
        for path in above {
            dir = match open(path) {
                Err(Errno::ENOENT) => {
                    let name = path.file_name().ok_or(Errno::ENOENT)?;
                    mkdirat(&dir, name, Mode::from_bits_truncate(0o755))?;
                    let made = open(path)?;
                    // as in an image, whatever the caller's umask is
                    fchmod(&made, Mode::from_bits_truncate(0o755))?;
                    made
                }
                opened => opened?,
            };
        }
        Ok(())
    }
}

fn open(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    match nix::fcntl::openat2(nix::fcntl::AT_FDCWD, path, how) {
        // before Linux 5.6
        Err(Errno::ENOSYS) => nix::fcntl::open(path, flags, Mode::empty()),
        result => result,
    }
}

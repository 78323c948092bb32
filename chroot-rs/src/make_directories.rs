//! Creates a directory and its missing parents.

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use chain::call::{Call, Shown};
use chain::handles::Handles;
use chain::reporter::quoted;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag};
use nix::sys::stat::{Mode, fchmod, mkdirat};
use system::sys;

/// Creates a directory and its missing parents: mkdir(2), once for each. It does not follow a link in /proc
/// to a descriptor or another process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MakeDirectories(pub PathBuf);

impl Call for MakeDirectories {
    fn shown(&self) -> Shown {
        Shown::new(format!("mkdir({}, 0755)", quoted(&self.0)), "mkdir(2)").inspect("pwd")
    }

    /// # Errors
    /// Those of mkdir(2), except for an existing directory; `ELOOP` or `ENOTDIR` for a link that it does not follow.
    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        let mut above: Vec<&Path> = self.0.ancestors().filter(|path| !path.as_os_str().is_empty()).collect();
        above.reverse();
        let mut dir = open(Path::new("/"))?;
        for path in above {
            dir = match open(path) {
                Err(Errno::ENOENT) => {
                    let name = path.file_name().ok_or(Errno::ENOENT)?;
                    make(dir.as_fd(), name)?
                }
                opened => opened?,
            };
        }
        Ok(())
    }
}

/// Creates a directory and opens it. Its parent can have another owner than this process, who can put a link in its
/// place meanwhile.
fn make(dir: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let mode = Mode::from_bits_truncate(0o755);
    match mkdirat(dir, name, mode) {
        // another run has created it, and gives it its mode
        Err(Errno::EEXIST) => sys::open_directory_at(dir, name),
        made => {
            made?;
            let made = sys::open_directory_at(dir, name)?;
            // as in an image, whatever the caller's umask is
            fchmod(&made, mode)?;
            Ok(made)
        }
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

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_directory_that_appears_meanwhile_is_taken_as_it_is_and_a_link_is_refused() {
        let scratch = ::tests::Scratch::new();
        let mode = |name: &str| fs::metadata(scratch.path(name)).unwrap().permissions().mode() & 0o7777;
        for name in ["there", "victim"] {
            fs::create_dir(scratch.path(name)).unwrap();
            fs::set_permissions(scratch.path(name), Permissions::from_mode(0o700)).unwrap();
        }
        symlink("victim", scratch.path("link")).unwrap();
        let dir = open(&scratch.path("")).unwrap();
        let made = |name: &str| make(dir.as_fd(), OsStr::new(name)).map(drop);
        assert_eq!((made("new"), mode("new")), (Ok(()), 0o755));
        assert_eq!((made("there"), mode("there")), (Ok(()), 0o700));
        assert_eq!((made("link"), mode("victim")), (Err(Errno::ENOTDIR), 0o700));
    }
}

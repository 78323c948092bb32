// SPDX-License-Identifier: MIT OR Apache-2.0
//! The root directory and the working directory.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::Call;
use super::cause::inside_chroot;
use crate::handles::{FdSlot, Handles};
use crate::reporter::quoted;
use system::sys;

/// pivot_root(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PivotRoot {
    /// The new root.
    pub new_root: PathBuf,
    /// Where the old one is put.
    pub put_old: PathBuf,
}

impl Display for PivotRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pivot_root({}, {})", quoted(&self.new_root), quoted(&self.put_old))
    }
}

impl Call for PivotRoot {
    fn page(&self) -> &'static str {
        "pivot_root(2)"
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        nix::unistd::pivot_root(self.new_root.as_path(), self.put_old.as_path())
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        if errno == Errno::EINVAL { inside_chroot() } else { None }
    }

    fn inspection_command(&self, _: &Path) -> Option<String> {
        Some("findmnt /".to_string())
    }

    fn changes_root(&self) -> bool {
        true
    }
}

/// chroot(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chroot(pub PathBuf);

impl Display for Chroot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chroot({})", quoted(&self.0))
    }
}

impl Call for Chroot {
    fn page(&self) -> &'static str {
        "chroot(2)"
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        nix::unistd::chroot(self.0.as_path())
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        (errno == Errno::EPERM).then(|| {
            "chroot(2) needs CAP_SYS_CHROOT: be root, or run it below 'unshare-rs --map-root-user --'"
                .to_string()
        })
    }

    fn inspection_command(&self, _: &Path) -> Option<String> {
        Some("ls -id / /..".to_string())
    }

    fn changes_root(&self) -> bool {
        self.0 != Path::new("/")
    }
}

/// chdir(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chdir(pub PathBuf);

impl Display for Chdir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chdir({})", quoted(&self.0))
    }
}

impl Call for Chdir {
    fn page(&self) -> &'static str {
        "chdir(2)"
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        nix::unistd::chdir(self.0.as_path())
    }

    fn inspection_command(&self, _: &Path) -> Option<String> {
        Some("pwd".to_string())
    }

    fn new_directory(&self) -> Option<&Path> {
        Some(&self.0)
    }
}

/// Makes a directory below an open one the working directory, without following a symlink:
/// openat2(2) and fchdir(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enter {
    /// The open directory.
    pub slot: FdSlot,
    /// Below it; empty for itself.
    pub dir: PathBuf,
}

impl Display for Enter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { slot, dir } = self;
        if dir.as_os_str().is_empty() {
            write!(f, "fchdir(<{slot}>)")
        } else {
            write!(f, "fchdir(<{slot}/{}>)", dir.display())
        }
    }
}

impl Call for Enter {
    fn page(&self) -> &'static str {
        "openat2(2), fchdir(2)"
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        let open = handles.get(self.slot)?;
        if self.dir.as_os_str().is_empty() {
            nix::unistd::fchdir(open)
        } else {
            nix::unistd::fchdir(sys::open_without_symlinks(open, &self.dir)?)
        }
    }

    fn track_cwd(&self, _: PathBuf) -> PathBuf {
        Path::new("/").join(&self.dir)
    }
}

/// Makes a directory the working directory and opens it: for kernels without open_tree(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reopen {
    /// Its path.
    pub path: PathBuf,
    /// Where it is held.
    pub slot: FdSlot,
}

impl Display for Reopen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chdir({})", quoted(&self.path))
    }
}

impl Call for Reopen {
    fn page(&self) -> &'static str {
        "chdir(2)"
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        nix::unistd::chdir(self.path.as_path())?;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        nix::fcntl::open(".", flags, Mode::empty()).map(|fd| handles.hold(self.slot, fd))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_root_hides_the_next_tool() {
        assert!(Chroot("/srv".into()).changes_root());
        assert!(!Chroot("/.".into()).changes_root());
    }
}

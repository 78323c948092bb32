//! The root directory and the working directory.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::cause::{inside_chroot, private_fuse, without_id};
use super::{Call, Effect, Shown};
use crate::handles::{FdSlot, Handles};
use crate::reporter::quoted;
use system::sys;

/// pivot_root(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PivotRoot {
    /// The new root directory.
    pub new_root: PathBuf,
    /// The mount point for the old root.
    pub put_old: PathBuf,
}

impl Call for PivotRoot {
    fn shown(&self) -> Shown {
        Shown::new(
            format!("pivot_root({}, {})", quoted(&self.new_root), quoted(&self.put_old)),
            "pivot_root(2)",
        )
        .inspect("findmnt /")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        nix::unistd::pivot_root(self.new_root.as_path(), self.put_old.as_path())
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        if errno == Errno::EINVAL { inside_chroot() } else { None }
    }

    fn effect(&self) -> Effect {
        Effect::NewRoot
    }
}

/// chroot(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chroot(pub PathBuf);

impl Call for Chroot {
    fn shown(&self) -> Shown {
        Shown::new(format!("chroot({})", quoted(&self.0)), "chroot(2)").inspect("ls -id / /..")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        nix::unistd::chroot(self.0.as_path())
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        match errno {
            Errno::EPERM => without_id().or_else(|| {
                let advice =
                    "chroot(2) needs CAP_SYS_CHROOT: run as root, or after 'unshare-rs --map-root-user --'";
                Some(advice.to_string())
            }),
            Errno::EACCES => private_fuse(&self.0),
            _ => None,
        }
    }

    fn effect(&self) -> Effect {
        if self.0 != Path::new("/") { Effect::NewRoot } else { Effect::None }
    }
}

/// chdir(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chdir(pub PathBuf);

impl Call for Chdir {
    fn shown(&self) -> Shown {
        Shown::new(format!("chdir({})", quoted(&self.0)), "chdir(2)").inspect("pwd")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        nix::unistd::chdir(self.0.as_path())
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        if errno == Errno::EACCES { private_fuse(&self.0) } else { None }
    }

    fn effect(&self) -> Effect {
        Effect::Directory(self.0.clone())
    }
}

/// Changes to a directory below an open one, without following a symlink: openat2(2) and fchdir(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enter {
    /// The open directory.
    pub slot: FdSlot,
    /// A path below it; empty for the directory itself.
    pub dir: PathBuf,
}

impl Call for Enter {
    fn shown(&self) -> Shown {
        let Self { slot, dir } = self;
        Shown::new(
            if dir.as_os_str().is_empty() {
                format!("fchdir(<{slot}>)")
            } else {
                format!("fchdir(<{slot}/{}>)", dir.display())
            },
            "openat2(2), fchdir(2)",
        )
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        let open = handles.get(self.slot)?;
        if self.dir.as_os_str().is_empty() {
            nix::unistd::fchdir(open)
        } else {
            nix::unistd::fchdir(sys::open_without_symlinks(open, &self.dir)?)
        }
    }

    fn effect(&self) -> Effect {
        Effect::Cwd(Path::new("/").join(&self.dir))
    }
}

/// Changes to a directory and opens it: for kernels without open_tree(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reopen {
    /// Its path.
    pub path: PathBuf,
    /// The slot for the descriptor.
    pub slot: FdSlot,
}

impl Call for Reopen {
    fn shown(&self) -> Shown {
        Shown::new(format!("chdir({})", quoted(&self.path)), "chdir(2)")
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
        assert_eq!(Chroot("/srv".into()).effect(), Effect::NewRoot);
        assert_eq!(Chroot("/.".into()).effect(), Effect::None);
    }
}

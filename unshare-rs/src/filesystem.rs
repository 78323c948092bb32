//! The command's file system: mount propagation, root, proc, interpreters, working directory.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use chain::call::{Call, Effect, Mount, Shown};
use chain::handles::Handles;
use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use crate::cli::{BINFMT_DIR, BinfmtOptions, Options, Propagation};
use crate::namespaces::Namespaces;

/// The options, with defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filesystem {
    /// How mounts propagate, and the reason of that step.
    pub propagation: Option<(&'static str, MsFlags)>,
    /// An interpreter that the kernel must open before the root changes.
    pub binfmt_outside_root: Option<BinfmtMount>,
    /// The new root directory.
    pub root: Option<PathBuf>,
    /// The new proc.
    pub proc: Option<ProcMount>,
    /// The table of interpreters inside the root.
    pub binfmt: Option<BinfmtMount>,
    /// The working directory.
    pub workdir: Option<PathBuf>,
}

/// A proc to mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcMount {
    /// The mount point.
    pub dir: PathBuf,
    /// Whether it is a default that the command can do without.
    pub is_default: bool,
}

/// A binfmt_misc to mount. All mounts of it in a user namespace show the same table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BinfmtMount {
    /// The mount point.
    pub dir: PathBuf,
    /// The entry to register in it.
    pub entry: Option<OsString>,
}

impl Filesystem {
    /// Combines the options with these new namespaces. A container gets a new proc by default.
    pub fn from_options(options: &Options, namespaces: Namespaces, is_container: bool) -> Self {
        let Options { filesystem, binfmt, .. } = options;
        let new_mounts = namespaces.has(CloneFlags::CLONE_NEWNS);
        let container_proc = is_container && new_mounts && namespaces.has(CloneFlags::CLONE_NEWPID);
        let (binfmt_outside_root, binfmt) = BinfmtMount::from_options(binfmt, filesystem.root.is_some());
        // the default directory of binfmt_misc is in /proc, and it can only be mounted in a new proc
        let binfmt_proc = binfmt.as_ref().is_some_and(|binfmt| binfmt.dir == Path::new(BINFMT_DIR));
        let default_proc = (container_proc || binfmt_proc) && !filesystem.no_mount_proc;
        let propagation = filesystem.propagation.unwrap_or(Propagation::Private);
        Self {
            propagation: propagation.step().filter(|_| new_mounts),
            binfmt_outside_root,
            root: filesystem.root.clone(),
            proc: match &filesystem.mount_proc {
                Some(dir) => Some(ProcMount { dir: dir.clone(), is_default: false }),
                None if default_proc => Some(ProcMount { dir: "/proc".into(), is_default: !binfmt_proc }),
                None => None,
            },
            binfmt,
            workdir: filesystem.wd.clone(),
        }
    }
}

impl BinfmtMount {
    /// Splits binfmt_misc into what is mounted before the root changes and what after it.
    fn from_options(options: &BinfmtOptions, has_root: bool) -> (Option<Self>, Option<Self>) {
        let inside = options.dir().map(|dir| Self { dir, entry: options.load_interp.clone() });
        match inside {
            Some(Self { dir, entry: Some(entry) }) if has_root && has_fix_binary_flag(&entry) => {
                let outside = Self { dir: BINFMT_DIR.into(), entry: Some(entry) };
                (Some(outside), Some(Self { dir, entry: None }))
            }
            inside => (None, inside),
        }
    }
}

/// Changes how the root mount and the mounts below it propagate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Propagate(pub Mount);

impl Call for Propagate {
    fn shown(&self) -> Shown {
        self.0.shown()
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        self.0.make(handles)
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        let hint = self.0.hint(errno)?;
        if errno != Errno::EINVAL {
            return Some(hint);
        }
        let advice = "the root directory is not a mount point here, as in a chroot(2): skip this step with --propagation unchanged";
        Some(advice.to_string())
    }

    fn effect(&self) -> Effect {
        self.0.effect()
    }
}

impl Propagation {
    /// A new mount namespace is a copy whose shared mounts still propagate outside: mount_namespaces(7).
    fn step(self) -> Option<(&'static str, MsFlags)> {
        match self {
            Self::Private => Some(("keep mounts from spreading outside", MsFlags::MS_PRIVATE)),
            Self::Shared => Some(("let mounts spread in both directions", MsFlags::MS_SHARED)),
            Self::Slave => Some(("let mounts spread in but not out", MsFlags::MS_SLAVE)),
            Self::Unchanged => None,
        }
    }
}

/// Whether the last field of an entry has the flag F, which makes the kernel open the interpreter at
/// registration: Documentation/admin-guide/binfmt-misc.rst.
fn has_fix_binary_flag(entry: &OsStr) -> bool {
    entry.as_encoded_bytes().rsplit(|byte| *byte == b':').next().is_some_and(|flags| flags.contains(&b'F'))
}

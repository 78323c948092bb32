//! Mounts by their paths: mount(2), umount2(2).

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;

use super::cause::{apparmor_profile, inside_chroot, user_namespace_knob};
use super::notation::OrNull;
use super::{Call, Effect, Shown};
use crate::flags;
use crate::handles::Handles;
use crate::reporter::quoted;
use system::mountinfo;
use system::namespace::NamespaceKind;

const PROPAGATION: MsFlags =
    MsFlags::MS_PRIVATE.union(MsFlags::MS_SLAVE).union(MsFlags::MS_SHARED).union(MsFlags::MS_UNBINDABLE);

/// mount(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    source: Option<PathBuf>,
    target: PathBuf,
    fstype: Option<&'static str>,
    flags: MsFlags,
    data: Option<String>,
}

impl Mount {
    /// A new file system of a type that needs no device. Use "." as the `target` for the working directory,
    /// which no other process can replace by a symlink.
    pub fn new(fstype: &'static str, target: impl Into<PathBuf>, flags: MsFlags) -> Self {
        Self { source: Some(fstype.into()), fstype: Some(fstype), ..Self::flagged(target, flags) }
    }

    /// The same with the file system's own options, separated by commas.
    #[must_use]
    pub fn with_data(self, data: impl Into<String>) -> Self {
        Self { data: Some(data.into()), ..self }
    }

    /// Makes a file or directory visible at a second path.
    pub fn bind(source: impl Into<PathBuf>, target: impl Into<PathBuf>, flags: MsFlags) -> Self {
        Self { source: Some(source.into()), ..Self::flagged(target, flags | MsFlags::MS_BIND) }
    }

    /// Moves a mount.
    pub fn move_to(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self { source: Some(source.into()), ..Self::flagged(target, MsFlags::MS_MOVE) }
    }

    /// Changes how mounts at and below `target` propagate: mount_namespaces(7).
    pub fn propagate(target: impl Into<PathBuf>, flags: MsFlags) -> Self {
        Self::flagged(target, flags | MsFlags::MS_REC)
    }

    /// Changes the flags of a mount.
    pub fn remount(target: impl Into<PathBuf>, flags: MsFlags) -> Self {
        Self::flagged(target, flags | MsFlags::MS_REMOUNT)
    }

    fn flagged(target: impl Into<PathBuf>, flags: MsFlags) -> Self {
        Self { source: None, target: target.into(), fstype: None, flags, data: None }
    }

    /// The hint for a bind mount of a namespace in /proc onto a file, which keeps the namespace.
    fn hint_for_namespace(&self, source: &Path, errno: Errno) -> Option<String> {
        match errno {
            Errno::EINVAL if source.ends_with("ns/mnt") => mount_namespace_file(&self.target),
            Errno::ENOTDIR if self.target.is_dir() => {
                let target = self.target.display();
                Some(format!("{target} is a directory, but only a file can keep a namespace: {target}/FILE"))
            }
            Errno::EPERM => Some("only root can keep a namespace in a file".to_string()),
            _ => None,
        }
    }
}

impl Call for Mount {
    fn shown(&self) -> Shown {
        let Self { source, target, fstype, flags, data } = self;
        let notation = format!(
            "mount({}, {}, {}, {}, {})",
            OrNull(source.as_deref()),
            quoted(target),
            OrNull(fstype.map(Path::new)),
            flags::MountFlagNames(*flags),
            OrNull(data.as_deref().map(Path::new)),
        );
        let findmnt = if flags.intersects(PROPAGATION) { "findmnt -o TARGET,PROPAGATION" } else { "findmnt" };
        Shown::new(notation, "mount(2)").inspect_path(findmnt, target)
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        let Self { source, target, fstype, flags, data } = self;
        nix::mount::mount(source.as_deref(), target.as_path(), *fstype, *flags, data.as_deref())
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        match (self.fstype, &self.source) {
            (Some("proc"), _) if errno == Errno::EPERM => proc_refused(),
            (Some("binfmt_misc"), _) => match errno {
                Errno::ENODEV => Some("this kernel has no binfmt_misc: modprobe binfmt_misc".to_string()),
                Errno::EPERM => Some("in a user namespace this needs Linux 6.7".to_string()),
                _ => None,
            },
            (Some("overlay"), _) => overlay_refused(errno),
            (_, Some(source)) if self.flags.contains(MsFlags::MS_BIND) && source.starts_with("/proc") => {
                self.hint_for_namespace(source, errno)
            }
            _ if self.flags.intersects(MsFlags::MS_PRIVATE | MsFlags::MS_SLAVE) => match errno {
                Errno::EINVAL => inside_chroot(),
                Errno::EPERM => user_namespace_knob(),
                Errno::EACCES => user_namespace_knob().or_else(apparmor_profile),
                _ => None,
            },
            _ if errno == Errno::EACCES => apparmor_profile(),
            _ => None,
        }
    }

    fn effect(&self) -> Effect {
        Effect::Changes(CloneFlags::CLONE_NEWNS)
    }
}

/// umount2(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmount {
    /// The mount point.
    pub target: PathBuf,
    /// MNT_* flags.
    pub flags: MntFlags,
}

impl Call for Unmount {
    fn shown(&self) -> Shown {
        Shown::new(
            format!("umount2({}, {})", quoted(&self.target), flags::UnmountFlagNames(self.flags)),
            "umount2(2)",
        )
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        nix::mount::umount2(self.target.as_path(), self.flags)
    }
}

fn overlay_refused(errno: Errno) -> Option<String> {
    let advice = match errno {
        Errno::EPERM => "in a user namespace this needs Linux 5.11",
        Errno::EINVAL => "an overlay needs a root directory without mounts below it",
        Errno::ENODEV => "this kernel has no overlay: modprobe overlay",
        _ => return None,
    };
    Some(advice.to_string())
}

/// Why a file cannot keep a mount namespace: the mount it is on must not be shared, and the namespace must be
/// newer than the one that the file is in, so that no namespace keeps itself.
fn mount_namespace_file(target: &Path) -> Option<String> {
    let target = fs::canonicalize(target).ok()?;
    let table = mountinfo::table().ok()?;
    let over = mountinfo::mounts(&table).filter(|mount| target.starts_with(&mount.at));
    // of several mounts on one mount point, only the last one is visible
    let mount = over.max_by_key(|mount| mount.at.as_os_str().len())?;
    let at = mount.at.display();
    Some(if mount.shared {
        format!(
            "{at} is a shared mount, which cannot keep a mount namespace: put the file on a \
             private mount, such as one that mount --make-private has changed"
        )
    } else {
        // the kernel numbers namespaces per processor, and compares the numbers
        "Linux 6.18 can mistake a mount namespace from another processor for one older than the \
         caller's: use one processor only: taskset -c 0 unshare-rs ..."
            .to_string()
    })
}

/// The kernel refuses a new proc if it would show processes of a PID namespace without rights over it, or if
/// it would show what a mount over a part of the old proc hides.
fn proc_refused() -> Option<String> {
    if !NamespaceKind::PID.is_ours() {
        let advice = "this PID namespace belongs to another user namespace: create one with unshare-rs --pid";
        return Some(advice.to_string());
    }
    let over = mountinfo::cover_of_proc()?;
    let over = over.display();
    Some(format!(
        "{over} is mounted over a part of /proc, so the kernel refuses a new one; if this is \
         a container, start it with --security-opt systempaths=unconfined (docker), unmask=ALL (podman), \
         procMount: Unmasked (Kubernetes) or --unmask (chroot-rs)"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::Enter;
    use super::*;

    #[test]
    fn what_a_mount_did_is_seen_where_it_will_be() {
        let enter = Enter { slot: Handles::default().slot("new root"), dir: "dev/pts".into() };
        let Effect::Cwd(cwd) = enter.effect() else { panic!("it changes the working directory") };
        let mount = Mount::new("devpts", ".", MsFlags::empty());
        assert_eq!(mount.shown().inspection_command(&cwd).as_deref(), Some("findmnt /dev/pts"));
        assert_eq!(enter.shown().inspection_command(&cwd), None);
    }
}

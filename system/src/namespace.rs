//! The eight kinds of namespaces, in one table, and this process's rights in its own: namespaces(7).

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;

use nix::sched::CloneFlags;

use crate::sys;

/// Capabilities by their number: capabilities(7).
pub mod capability {
    /// setgroups(2), and the group map of a user namespace.
    pub const CAP_SETGID: u32 = 6;
    /// The user map of a user namespace.
    pub const CAP_SETUID: u32 = 7;
    /// chroot(2).
    pub const CAP_SYS_CHROOT: u32 = 18;
    /// mount(2), unshare(2), sethostname(2) and much more.
    pub const CAP_SYS_ADMIN: u32 = 21;
    /// mknod(2) of devices.
    pub const CAP_MKNOD: u32 = 27;
    /// A user map with user 0.
    pub const CAP_SETFCAP: u32 = 31;
}

/// A new time namespace: time_namespaces(7), Linux 5.6. nix and libc do not have the flag for unshare(2).
pub const CLONE_NEWTIME: CloneFlags = CloneFlags::from_bits_retain(0x80);

/// A kind of namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamespaceKind {
    /// Its flag of unshare(2).
    pub flag: CloneFlags,
    /// Its name in a message.
    pub name: &'static str,
    /// Its file in /proc/PID/ns.
    pub file: &'static str,
    /// The inode number of the machine's first namespace of this kind, if it is fixed.
    ///
    /// # Source
    /// include/linux/proc_ns.h; since Linux 6.17 include/uapi/linux/nsfs.h.
    initial: Option<u64>,
}

impl NamespaceKind {
    /// user_namespaces(7)
    pub const USER: Self = Self::new(CloneFlags::CLONE_NEWUSER, "user", "user", Some(0xEFFF_FFFD));
    /// mount_namespaces(7)
    pub const MOUNT: Self = Self::new(CloneFlags::CLONE_NEWNS, "mount", "mnt", None);
    /// uts_namespaces(7)
    pub const UTS: Self = Self::new(CloneFlags::CLONE_NEWUTS, "UTS", "uts", Some(0xEFFF_FFFE));
    /// ipc_namespaces(7)
    pub const IPC: Self = Self::new(CloneFlags::CLONE_NEWIPC, "IPC", "ipc", Some(0xEFFF_FFFF));
    /// pid_namespaces(7)
    pub const PID: Self = Self::new(CloneFlags::CLONE_NEWPID, "PID", "pid", Some(0xEFFF_FFFC));
    /// network_namespaces(7)
    pub const NET: Self = Self::new(CloneFlags::CLONE_NEWNET, "network", "net", None);
    /// cgroup_namespaces(7)
    pub const CGROUP: Self = Self::new(CloneFlags::CLONE_NEWCGROUP, "cgroup", "cgroup", Some(0xEFFF_FFFB));
    /// time_namespaces(7)
    pub const TIME: Self = Self::new(CLONE_NEWTIME, "time", "time", Some(0xEFFF_FFFA));

    /// Every kind.
    pub const ALL: [Self; 8] =
        [Self::USER, Self::MOUNT, Self::UTS, Self::IPC, Self::PID, Self::NET, Self::CGROUP, Self::TIME];

    const fn new(flag: CloneFlags, name: &'static str, file: &'static str, initial: Option<u64>) -> Self {
        Self { flag, name, file, initial }
    }

    /// The kinds in flags of unshare(2).
    pub fn of(flags: CloneFlags) -> impl Iterator<Item = Self> + Clone {
        Self::ALL.into_iter().filter(move |kind| flags.contains(kind.flag))
    }

    /// The namespace of this process, as a path.
    pub fn path(self) -> String {
        format!("/proc/self/ns/{}", self.file)
    }

    /// The sysctl below `user.` that limits the number of these namespaces.
    pub fn limit(self) -> String {
        format!("max_{}_namespaces", self.file)
    }

    /// Whether this process is in the machine's first namespace of this kind, as far as /proc shows.
    pub fn is_initial(self) -> bool {
        self.initial.is_some() && self.inode() == self.initial
    }

    /// Whether it belongs to this process's user namespace, so that capabilities apply to it:
    /// user_namespaces(7), ioctl_ns(2).
    ///
    /// If /proc does not show this, the answer is yes, and the kernel decides later.
    pub fn is_ours(self) -> bool {
        let Some(own) = Self::USER.inode() else { return true };
        let Ok(file) = File::open(self.path()) else { return true };
        match sys::owner_of_namespace(&file) {
            Ok(owner) => File::from(owner).metadata().is_ok_and(|meta| meta.ino() == own),
            // EPERM: the owner is a user namespace that we cannot see
            Err(_) => false,
        }
    }

    fn inode(self) -> Option<u64> {
        fs::metadata(self.path()).ok().map(|meta| meta.ino())
    }
}

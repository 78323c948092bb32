// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this process may do in the namespaces it lives in.
//!
//! Each namespace belongs to the user namespace that made it, and only there does
//! a capability count: user_namespaces(7), ioctl_ns(2).

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;

use crate::sys;

/// Capabilities by their number: capabilities(7).
pub mod capability {
    /// chroot(2).
    pub const CAP_SYS_CHROOT: u32 = 18;
    /// mount(2), unshare(2), sethostname(2) and much more.
    pub const CAP_SYS_ADMIN: u32 = 21;
    /// mknod(2) of devices.
    pub const CAP_MKNOD: u32 = 27;
}

/// The namespaces of this process, as far as a tool asks about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// cgroup_namespaces(7)
    Cgroup,
    /// ipc_namespaces(7)
    Ipc,
    /// network_namespaces(7)
    Net,
    /// pid_namespaces(7)
    Pid,
    /// user_namespaces(7)
    User,
}

impl Kind {
    const fn file(self) -> &'static str {
        match self {
            Self::Cgroup => "/proc/self/ns/cgroup",
            Self::Ipc => "/proc/self/ns/ipc",
            Self::Net => "/proc/self/ns/net",
            Self::Pid => "/proc/self/ns/pid",
            Self::User => "/proc/self/ns/user",
        }
    }

    /// The inode number of the namespace the machine booted with.
    ///
    /// # Source
    /// include/linux/proc_ns.h; since Linux 6.17 include/uapi/linux/nsfs.h.
    const fn initial(self) -> u64 {
        match self {
            Self::Ipc => 0xEFFF_FFFF,
            Self::User => 0xEFFF_FFFD,
            Self::Pid => 0xEFFF_FFFC,
            Self::Cgroup => 0xEFFF_FFFB,
            // the first network namespace has no fixed number
            Self::Net => 0,
        }
    }

    /// Whether it is the one the machine booted with, as far as /proc can tell.
    pub fn is_initial(self) -> bool {
        self.inode() == Some(self.initial())
    }

    /// Whether it belongs to this process's user namespace, so that capabilities count in it.
    ///
    /// Where /proc cannot tell, the answer is yes: the kernel will have the last word.
    pub fn is_ours(self) -> bool {
        let Some(own) = Self::User.inode() else { return true };
        let Ok(file) = File::open(self.file()) else { return true };
        match sys::owner_of_namespace(&file) {
            Ok(owner) => File::from(owner).metadata().is_ok_and(|meta| meta.ino() == own),
            // EPERM: the owner is a user namespace that we cannot see, so not ours
            Err(_) => false,
        }
    }

    fn inode(self) -> Option<u64> {
        fs::metadata(self.file()).ok().map(|meta| meta.ino())
    }
}

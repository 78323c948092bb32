// SPDX-License-Identifier: MIT OR Apache-2.0
//! Flag words by name, in the order in which strace(1) shows them: by value.

use std::fmt::{self, Display};

use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;

/// Flags of unshare(2) and clone(2).
#[derive(Clone, Copy, Debug)]
pub struct Clone(pub CloneFlags);
/// Flags of mount(2).
#[derive(Clone, Copy, Debug)]
pub struct Mount(pub MsFlags);
/// Flags of umount2(2).
#[derive(Clone, Copy, Debug)]
pub struct Unmount(pub MntFlags);

/// A new time namespace: time_namespaces(7), Linux 5.6. nix and libc do not have it for unshare(2).
pub const CLONE_NEWTIME: CloneFlags = CloneFlags::from_bits_retain(0x80);

impl Display for Clone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(CloneFlags, &str); 8] = [
            (CLONE_NEWTIME, "CLONE_NEWTIME"),
            (CloneFlags::CLONE_NEWNS, "CLONE_NEWNS"),
            (CloneFlags::CLONE_NEWCGROUP, "CLONE_NEWCGROUP"),
            (CloneFlags::CLONE_NEWUTS, "CLONE_NEWUTS"),
            (CloneFlags::CLONE_NEWIPC, "CLONE_NEWIPC"),
            (CloneFlags::CLONE_NEWUSER, "CLONE_NEWUSER"),
            (CloneFlags::CLONE_NEWPID, "CLONE_NEWPID"),
            (CloneFlags::CLONE_NEWNET, "CLONE_NEWNET"),
        ];
        joined(f, NAMES.iter().filter(|(flag, _)| self.0.contains(*flag)).map(|(_, name)| *name))
    }
}

impl Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(MsFlags, &str); 11] = [
            (MsFlags::MS_RDONLY, "MS_RDONLY"),
            (MsFlags::MS_NOSUID, "MS_NOSUID"),
            (MsFlags::MS_NODEV, "MS_NODEV"),
            (MsFlags::MS_NOEXEC, "MS_NOEXEC"),
            (MsFlags::MS_REMOUNT, "MS_REMOUNT"),
            (MsFlags::MS_BIND, "MS_BIND"),
            (MsFlags::MS_MOVE, "MS_MOVE"),
            (MsFlags::MS_REC, "MS_REC"),
            (MsFlags::MS_PRIVATE, "MS_PRIVATE"),
            (MsFlags::MS_SLAVE, "MS_SLAVE"),
            (MsFlags::MS_SHARED, "MS_SHARED"),
        ];
        joined(f, NAMES.iter().filter(|(flag, _)| self.0.contains(*flag)).map(|(_, name)| *name))
    }
}

impl Display for Unmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(MntFlags, &str); 3] = [
            (MntFlags::MNT_FORCE, "MNT_FORCE"),
            (MntFlags::MNT_DETACH, "MNT_DETACH"),
            (MntFlags::UMOUNT_NOFOLLOW, "UMOUNT_NOFOLLOW"),
        ];
        joined(f, NAMES.iter().filter(|(flag, _)| self.0.contains(*flag)).map(|(_, name)| *name))
    }
}

fn joined<'a>(f: &mut fmt::Formatter<'_>, names: impl Iterator<Item = &'a str>) -> fmt::Result {
    let mut first = true;
    for name in names {
        if !first {
            f.write_str("|")?;
        }
        first = false;
        f.write_str(name)?;
    }
    if first { f.write_str("0") } else { Ok(()) }
}

//! Names of flags, in strace(1)'s order: by value.

use std::fmt::{self, Display};

use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;
use system::namespace::CLONE_NEWTIME;
use system::sys::MountAttrFlags;

/// Flags of unshare(2) and clone(2).
#[derive(Clone, Copy, Debug)]
pub struct CloneFlagNames(pub CloneFlags);
/// Flags of mount(2).
#[derive(Clone, Copy, Debug)]
pub struct MountFlagNames(pub MsFlags);
/// Flags of umount2(2).
#[derive(Clone, Copy, Debug)]
pub struct UnmountFlagNames(pub MntFlags);
/// Attributes of mount_setattr(2).
#[derive(Clone, Copy, Debug)]
pub struct MountAttributeNames(pub MountAttrFlags);

impl Display for CloneFlagNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // the lowest value of all; nix does not have it
        let time = self.0.contains(CLONE_NEWTIME).then_some("CLONE_NEWTIME");
        joined(f, time.into_iter().chain(self.0.iter_names().map(|(name, _)| name)))
    }
}

impl Display for MountFlagNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        joined(f, self.0.iter_names().map(|(name, _)| name))
    }
}

impl Display for UnmountFlagNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        joined(f, self.0.iter_names().map(|(name, _)| name))
    }
}

impl Display for MountAttributeNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        joined(f, self.0.iter_names().map(|(name, _)| name))
    }
}

fn joined<'a>(f: &mut fmt::Formatter<'_>, names: impl Iterator<Item = &'a str>) -> fmt::Result {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { f.write_str("0") } else { f.write_str(&names.join("|")) }
}

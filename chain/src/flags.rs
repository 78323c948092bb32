//! Flag words by name, in the order in which strace(1) shows them: by value.

use std::fmt::{self, Display};

use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;
use system::namespace::CLONE_NEWTIME;
use system::sys::MountAttrFlags;

/// Flags of unshare(2) and clone(2).
#[derive(Clone, Copy, Debug)]
pub struct Clone(pub CloneFlags);
/// Flags of mount(2).
#[derive(Clone, Copy, Debug)]
pub struct Mount(pub MsFlags);
/// Flags of umount2(2).
#[derive(Clone, Copy, Debug)]
pub struct Unmount(pub MntFlags);
/// Attributes of mount_setattr(2).
#[derive(Clone, Copy, Debug)]
pub struct MountAttributes(pub MountAttrFlags);

impl Display for Clone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // the lowest of all, and unknown to nix
        let time = self.0.contains(CLONE_NEWTIME).then_some("CLONE_NEWTIME");
        joined(f, time.into_iter().chain(self.0.iter_names().map(|(name, _)| name)))
    }
}

impl Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        joined(f, self.0.iter_names().map(|(name, _)| name))
    }
}

impl Display for Unmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        joined(f, self.0.iter_names().map(|(name, _)| name))
    }
}

impl Display for MountAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        joined(f, self.0.iter_names().map(|(name, _)| name))
    }
}

fn joined<'a>(f: &mut fmt::Formatter<'_>, names: impl Iterator<Item = &'a str>) -> fmt::Result {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { f.write_str("0") } else { f.write_str(&names.join("|")) }
}

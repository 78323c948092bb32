//! `--userns auto`: the machine's root gives the command ids that no account has.
//!
//! Files keep their owners on the disk, and NEWROOT is mounted so that its user 0 is root inside: an idmapped
//! mount, mount_setattr(2). Only root outside the user namespace can mount it. So it is attached before the
//! process enters the user namespace. The mount namespace that is created next, inside, locks it and its
//! flags.

use std::path::Path;

use chain::call::{Call, Shown};
use chain::handles::{FdSlot, Handles};
use chain::user_namespace::FreeIds;
use chain::{Plan, call};
use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use system::sys;

use crate::rights::MountLimits;
use crate::root;

/// The value of `--userns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[allow(missing_docs, reason = "a doc comment would be a long help")]
pub enum Userns {
    Auto,
}

/// Mounts the new root, which is the working directory, with these ids on `place` in it, and enters the user namespace.
pub fn plan(plan: &mut Plan, ids: FreeIds, new_root: FdSlot, limits: MountLimits, place: &Path) {
    plan.step("enter a new mount namespace", call::Unshare(CloneFlags::CLONE_NEWNS));
    let private = call::Mount::propagate("/", MsFlags::MS_PRIVATE);
    plan.step("keep mounts from spreading outside", private);
    let tree = call::OpenTree { path: ".".into(), slot: new_root, recursive: true };
    plan.step("create a mount of the new root", tree);
    let map = MapOwners { slot: new_root, namespace: ids.namespace };
    plan.step("map its owners to the same ids inside", map);
    limits.plan_foreign_root(plan, new_root);
    plan.step("mount it on itself", call::MoveMount { slot: new_root, target: place.into() });
    root::chdir_to_root(plan, new_root);
    ids.plan_entry(plan);
}

/// Maps the owners of files in a mount as a user namespace does: mount_setattr(2), Linux 5.12.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MapOwners {
    /// The mount, not attached yet.
    slot: FdSlot,
    /// The user namespace.
    namespace: FdSlot,
}

impl Call for MapOwners {
    fn shown(&self) -> Shown {
        let Self { slot, namespace } = self;
        Shown::new(
            format!(
                "mount_setattr(<{slot}>, \"\", AT_EMPTY_PATH, {{attr_set=MOUNT_ATTR_IDMAP, attr_clr=0, \
                 propagation=0 /* MS_??? */, userns_fd=<{namespace}>}}, 32)"
            ),
            "mount_setattr(2)",
        )
        .inspect("ls -ld /")
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        sys::map_owners(handles.get(self.slot)?, handles.get(self.namespace)?)
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        let advice = match errno {
            Errno::EINVAL => {
                "the file system of NEWROOT cannot map owners; ext4, xfs and btrfs can, tmpfs since Linux 6.3: \
                 cp -a NEWROOT to one of them"
            }
            Errno::ENOSYS => "this needs Linux 5.12",
            _ => return None,
        };
        Some(advice.to_string())
    }
}

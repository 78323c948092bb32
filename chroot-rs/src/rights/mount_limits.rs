//! What the mounts inside do not provide: devices, and with `--nosuid` the rights of a program's owner.

use chain::handles::FdSlot;
use chain::{Failure, Plan, call};
use system::sys::MountAttrFlags;

use super::RightsOptions;

/// Limits on the new root and on what options show in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MountLimits {
    /// Whether no device can be opened.
    no_dev: bool,
    /// Whether set-user-ID bits and file capabilities are ignored.
    no_suid: bool,
    /// Whether the caller's mounts below the root stay as they are, because we mount no /dev.
    only_root: bool,
}

impl MountLimits {
    /// # Errors
    /// `--nosuid` before Linux 5.12.
    pub fn resolve(
        options: &RightsOptions,
        no_mount: bool,
        has_mount_setattr: bool,
        notes: &mut Vec<String>,
    ) -> Result<Self, Failure> {
        let needed = "that needs mount_setattr(2), Linux 5.12";
        if has_mount_setattr {
            let (no_dev, no_suid) = (!options.privileged, options.nosuid);
            return Ok(Self { no_dev, no_suid, only_root: no_mount });
        }
        if options.nosuid {
            let failure = Failure::new(format!("cannot ignore set-user-ID bits: {needed}"));
            return Err(failure.hint("use --no-new-privs, which does the same for all programs inside"));
        }
        if !options.privileged {
            notes.push(format!("devices in the new root can be opened: {needed}"));
        }
        Ok(Self::default())
    }

    /// Limits the new root and the mounts below it.
    pub fn plan_root(self, plan: &mut Plan, new_root: FdSlot) {
        let recursive = !self.only_root;
        self.plan_tree(plan, new_root, recursive);
    }

    /// Limits the new root if its devices could belong to a root inside with all rights.
    pub fn plan_foreign_root(self, plan: &mut Plan, new_root: FdSlot) {
        Self { no_dev: true, ..self }.plan_root(plan, new_root);
    }

    /// Limits a directory that an option shows, before it is attached.
    pub fn plan_bind(self, plan: &mut Plan, source: FdSlot) {
        self.plan_tree(plan, source, true);
    }

    fn plan_tree(self, plan: &mut Plan, slot: FdSlot, recursive: bool) {
        let Self { no_dev, no_suid, .. } = self;
        let (no_devices, no_rights) = (MountAttrFlags::MOUNT_ATTR_NODEV, MountAttrFlags::MOUNT_ATTR_NOSUID);
        let (reason, attributes) = match (no_dev, no_suid) {
            (true, true) => {
                ("forbid opening devices there, and ignore set-user-ID bits", no_devices | no_rights)
            }
            (true, false) => ("forbid opening devices there", no_devices),
            (false, true) => ("ignore set-user-ID bits there", no_rights),
            (false, false) => return,
        };
        plan.step(reason, call::SetTree { slot, attributes, recursive });
    }
}

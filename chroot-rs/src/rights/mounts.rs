//! What no mount inside gives: devices, and with `--nosuid` the rights of a program's owner.

use chain::handles::FdSlot;
use chain::{Failure, Plan, call};
use system::sys::MountAttrFlags;

use super::RightsOptions;

/// Limits of the new root and of what options show in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MountLimits {
    /// Whether no device can be opened.
    no_dev: bool,
    /// Whether set-user-ID bits and file capabilities count for nothing.
    no_suid: bool,
    /// Whether what the caller mounted below the root stays as it is, because we mount no /dev.
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
        let needed = "that takes mount_setattr(2), Linux 5.12";
        if has_mount_setattr {
            let (no_dev, no_suid) = (!options.privileged, options.nosuid);
            return Ok(Self { no_dev, no_suid, only_root: no_mount });
        }
        if options.nosuid {
            let failure = Failure::new(format!("cannot take set-user-ID programs their rights: {needed}"));
            return Err(failure.hint("--no-new-privs does the same for all programs inside"));
        }
        if !options.privileged {
            notes.push(format!("devices that lie in the new root can be opened: {needed}"));
        }
        Ok(Self::default())
    }

    /// Limits the new root and what is mounted below it.
    pub fn plan_root(self, plan: &mut Plan, new_root: FdSlot) {
        let recursive = !self.only_root;
        self.plan_tree(plan, new_root, recursive);
    }

    /// Limits the new root where its devices may belong to a root inside who has every right.
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
                ("let no device be opened there, and no program give rights", no_devices | no_rights)
            }
            (true, false) => ("let no device be opened there", no_devices),
            (false, true) => ("let no program there give rights", no_rights),
            (false, false) => return,
        };
        plan.step(reason, call::SetTree { slot, attributes, recursive });
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mount that becomes the root: pivot_root(2) wants a mount point, so the directory is
//! mounted on itself, as it is, read-only, or below an overlay that takes the writes.

use std::path::Path;

use chain::handles::FdSlot;
use chain::{Plan, call};
use nix::mount::MsFlags;

use crate::probe::{Probe, Strategy};

/// What becomes of what the command writes to the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// It stays, as on any directory.
    Persistent,
    /// It is refused, also in what is mounted below the root.
    ReadOnly,
    /// It goes to memory and with the command.
    Ephemeral,
}

/// Makes the mount. The working directory is the new root, by descriptor.
pub fn mount(plan: &mut Plan, new_root: FdSlot, probe: &Probe, write_mode: WriteMode, path: &Path) {
    // what was asked for needs what Linux 5.2 brought, and says so where it is missing
    if !probe.open_tree && write_mode == WriteMode::Persistent {
        plan.step("mount the new root on itself", call::Mount::bind(path, path, MsFlags::MS_REC));
        plan.step("go to the mount on top", call::Reopen { path: path.to_path_buf(), slot: new_root });
        return;
    }
    plan.step("take the new root as a mount of its own", call::OpenTree { path: ".".into(), slot: new_root });
    if write_mode == WriteMode::ReadOnly {
        plan.step("let nothing be written to it", call::ReadOnlyTree(new_root));
    }
    if write_mode == WriteMode::Ephemeral {
        overlay(plan, new_root, probe);
    } else {
        plan.step("mount it on itself", call::MoveMount { slot: new_root, target: ".".into() });
    }
}

/// An overlay of the root and an empty directory in memory. All of it lies on a tmpfs of ours
/// and is named from there, so that no name of the caller's is in the options.
fn overlay(plan: &mut Plan, new_root: FdSlot, probe: &Probe) {
    let changes = plan.slot("changes");
    plan.step("open an empty file system in memory", call::FsOpen { fstype: "tmpfs", slot: changes });
    plan.step("make it", call::FsMount(changes));
    plan.step("mount it over the new root", call::MoveMount { slot: changes, target: ".".into() });
    plan.step("go there", call::Enter { slot: changes, dir: "".into() });
    plan.step("give directories exactly their modes", call::Umask(0));
    for (name, what) in
        [("upper", "for what is written"), ("work", "for the overlay itself"), ("root", "for the new root")]
    {
        plan.step(format!("make a directory {what}"), call::Mkdir { path: name.into(), mode: probe.mode });
    }
    plan.step("take the umask back", call::Umask(probe.umask));
    plan.step("put the new root in its place", call::MoveMount { slot: new_root, target: "root".into() });
    let mut options = "lowerdir=root,upperdir=upper,workdir=work".to_string();
    if probe.strategy == Strategy::PivotAsUser || !probe.initial {
        // trusted.* attributes belong to root of the machine: overlay, "userxattr"
        options.push_str(",userxattr");
    }
    let mount = call::Mount::new("overlay", "root", MsFlags::empty()).with_data(options);
    plan.step("lay what is written over it", mount);
    plan.step("go to what both give", call::Reopen { path: "root".into(), slot: new_root });
}

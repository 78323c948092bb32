//! The mount that becomes the root. pivot_root(2) needs a mount point, so the new root is mounted
//! on itself: as it is, read-only, or below an overlay that takes the changes.

use std::path::Path;

use chain::handles::FdSlot;
use chain::{Plan, call};
use nix::mount::{MntFlags, MsFlags};

use crate::root::chdir_to_root;

/// Flags for a file system from which nothing is run and no device opened.
pub const NO_SUID_DEV_EXEC: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// What happens to changes the command makes to the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// They stay, as in any directory.
    Persistent,
    /// They are refused, in the mounts below the root too.
    ReadOnly,
    /// They go to memory and end with the command.
    Ephemeral,
}

/// How the new root is mounted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootMount {
    /// Whether mounts can be attached by descriptor: Linux 5.2.
    pub has_open_tree: bool,
    pub mode: u32,
    /// The caller's umask.
    pub umask: u32,
    /// Whether overlayfs has to do with user.* attributes: trusted.* ones need root of the machine.
    pub userxattr: bool,
    /// Whether the new root is mounted over the old one, which pivot_root(2) cannot move.
    pub covers_old_root: bool,
}

impl RootMount {
    /// Mounts the new root on itself. With open_tree(2) it is the working directory already. What becomes
    /// an overlay is only taken.
    pub fn plan(&self, plan: &mut Plan, new_root: FdSlot, write_mode: WriteMode, path: &Path) {
        // the other modes are options: without open_tree(2) they fail with its error
        if !self.has_open_tree && write_mode == WriteMode::Persistent {
            plan.step("mount the new root on itself", call::Mount::bind(path, path, MsFlags::MS_REC));
            plan.step("go to the mount on top", call::Reopen { path: path.to_path_buf(), slot: new_root });
            return;
        }
        let tree = call::OpenTree { path: ".".into(), slot: new_root, recursive: true };
        plan.step("take the new root as a mount of its own", tree);
        match write_mode {
            WriteMode::Ephemeral => return,
            WriteMode::ReadOnly => {
                plan.step("let nothing be written to it", call::SetTree::read_only(new_root))
            }
            WriteMode::Persistent => {}
        }
        plan.step("mount it on itself", call::MoveMount { slot: new_root, target: ".".into() });
    }

    /// Makes the mount the root and removes the old root from view.
    pub fn plan_pivot(&self, plan: &mut Plan, new_root: FdSlot) {
        chdir_to_root(plan, new_root);
        if self.covers_old_root {
            // as switch_root(8) does
            plan.step("move it over the old root", call::Mount::move_to(".", "/"));
            plan.step("make it the root", call::Chroot(".".into()));
        } else {
            // both roots stacked in one place: pivot_root(2), "pivot_root(".", ".")"
            let pivot = call::PivotRoot { new_root: ".".into(), put_old: ".".into() };
            plan.step("make it the root", pivot);
            let detach = call::Unmount { target: ".".into(), flags: MntFlags::MNT_DETACH };
            plan.step("let go of the old root", detach);
        }
        plan.step("start at the root", call::Chdir("/".into()));
    }
}

//! The mount that becomes the root. pivot_root(2) needs a mount point, so the new root is mounted on itself:
//! unchanged, read-only, or under an overlay for the changes.

use std::path::Path;

use chain::handles::FdSlot;
use chain::{Plan, call};
use nix::mount::{MntFlags, MsFlags};

use crate::root::chdir_to_root;

/// Flags for a file system without programs and devices.
pub const NO_SUID_DEV_EXEC: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// What happens to the command's changes to the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// They stay, as in any directory.
    Persistent,
    /// They are refused, also in the mounts below the root.
    ReadOnly,
    /// They are kept in memory and end with the command.
    Ephemeral,
}

/// How the new root is mounted on this system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootMount {
    /// Whether mounts can be attached by descriptor: Linux 5.2.
    pub has_open_tree: bool,
    pub mode: u32,
    /// The caller's umask.
    pub umask: u32,
    /// Whether overlayfs marks files with user.* attributes instead of trusted.*.
    pub userxattr: bool,
    /// Whether to mount the new root over the old one, because pivot_root(2) cannot move that.
    pub covers_old_root: bool,
    /// The place of the first mount for the new root: on itself, or, if it is the current root, on one of its
    /// directories. The current root must not have another mount on it when it is detached, because umount2(2) detaches
    /// the mount that came last.
    pub place: &'static str,
}

impl RootMount {
    /// Mounts the new root on itself. With open_tree(2) it is already the working directory. For an overlay,
    /// the mount is only opened.
    pub fn plan(&self, plan: &mut Plan, new_root: FdSlot, write_mode: WriteMode, path: &Path) {
        // the other modes are options: without open_tree(2), they fail with its error
        if !self.has_open_tree && write_mode == WriteMode::Persistent {
            plan.step("mount the new root on itself", call::Mount::bind(path, path, MsFlags::MS_REC));
            plan.step("go to the mount on top", call::Reopen { path: path.to_path_buf(), slot: new_root });
            return;
        }
        let tree = call::OpenTree { path: ".".into(), slot: new_root, recursive: true };
        plan.step("create a mount of the new root", tree);
        match write_mode {
            WriteMode::Ephemeral => return,
            WriteMode::ReadOnly => plan.step("make it read-only", call::SetTree::read_only(new_root)),
            WriteMode::Persistent => {}
        }
        plan.step("mount it on itself", call::MoveMount { slot: new_root, target: ".".into() });
    }

    /// Makes the mount the root directory and detaches the old root.
    pub fn plan_pivot(&self, plan: &mut Plan, new_root: FdSlot) {
        chdir_to_root(plan, new_root);
        if self.covers_old_root {
            // like switch_root(8)
            plan.step("move it over the old root", call::Mount::move_to(".", "/"));
            plan.step("make it the root directory", call::Chroot(".".into()));
        } else {
            // both roots are stacked at one mount point: pivot_root(2), "pivot_root(".", ".")"
            let pivot = call::PivotRoot { new_root: ".".into(), put_old: ".".into() };
            plan.step("make it the root directory", pivot);
            let detach = call::Unmount { target: ".".into(), flags: MntFlags::MNT_DETACH };
            plan.step("detach the old root", detach);
        }
        plan.step("start in the root directory", call::Chdir("/".into()));
    }
}

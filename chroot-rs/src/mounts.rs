//! proc and sysfs in the new root.
//!
//! Each is mounted on the working directory, which was entered through an open descriptor without
//! following a symlink, so a link that the owner of the new root puts there cannot move the mount
//! outside.

use std::path::{Path, PathBuf};

use chain::handles::FdSlot;
use chain::{Plan, call};
use nix::mount::{MntFlags, MsFlags};

use crate::cgroup_view::CgroupMount;
use crate::mask::{Cover, Mask};
use crate::root::chdir_inside;
use crate::root_mount::NO_SUID_DEV_EXEC;

const READ_ONLY: MsFlags = NO_SUID_DEV_EXEC.union(MsFlags::MS_RDONLY);

/// Makes the mount of a device read-only: what is the same file outside keeps its mode and owner. The device
/// can be written to all the same.
pub fn read_only_device(name: &str) -> call::Mount {
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    call::Mount::remount(name, flags | MsFlags::MS_BIND)
}

/// How a file system of the kernel comes into the new root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FsProvision {
    Fresh,
    /// A copy of the caller's mount. The kernel refuses a new one to a process whose user namespace
    /// does not own the namespace that the file system shows.
    Bind,
    #[default]
    Skip,
}

/// How many mounts are stacked on the new root's directories: scripts around chroot(1) make them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExistingMounts {
    pub proc_mounts: usize,
    pub sys_mounts: usize,
    pub can_unmount: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelMounts {
    pub proc: FsProvision,
    pub sys: FsProvision,
    pub existing: ExistingMounts,
    /// The command's control groups, mounted below sys.
    pub cgroup: Option<CgroupMount>,
    pub masks: Vec<Mask>,
    /// Of a copied sysfs, what is shown; all of it if nothing is named here.
    pub sys_parts: Vec<&'static str>,
    /// Whether a new sysfs can be written to.
    pub sys_is_writable: bool,
}

impl KernelMounts {
    pub fn plan_proc(&self, plan: &mut Plan, new_root: FdSlot) {
        if self.proc == FsProvision::Skip {
            return;
        }
        chdir_inside(plan, new_root, "proc");
        self.uncover(plan, new_root, "proc", self.existing.proc_mounts);
        if self.proc == FsProvision::Fresh {
            plan.step("mount a proc", call::Mount::new("proc", ".", NO_SUID_DEV_EXEC));
        } else {
            let reason = "show the caller's proc, which belongs to a PID namespace above";
            plan.step(reason, call::Mount::bind("/proc", ".", MsFlags::MS_REC));
        }
        self.plan_masks(plan, new_root, "proc");
    }

    /// Mounts sysfs.
    pub fn plan_sys(&self, plan: &mut Plan, new_root: FdSlot) {
        if self.sys == FsProvision::Skip {
            return;
        }
        chdir_inside(plan, new_root, "sys");
        if self.sys == FsProvision::Fresh {
            self.uncover(plan, new_root, "sys", self.existing.sys_mounts);
            let (reason, flags) = match self.sys_is_writable {
                true => ("mount sysfs", NO_SUID_DEV_EXEC),
                false => ("mount sysfs read-only", READ_ONLY),
            };
            plan.step(reason, call::Mount::new("sysfs", ".", flags));
            if let Some(cgroup) = self.cgroup {
                cgroup.plan(plan, new_root);
            }
        } else {
            self.plan_copied_sys(plan, new_root);
        }
        self.plan_masks(plan, new_root, "sys");
    }

    /// Shows parts of the caller's sysfs, read-only; all of it with every right.
    fn plan_copied_sys(&self, plan: &mut Plan, new_root: FdSlot) {
        let slot = plan.slot("sys");
        let copy = |plan: &mut Plan, path: PathBuf, target: &Path| {
            let reason = format!("take a copy of the caller's {}", path.display());
            plan.step(reason, call::OpenTree { path, slot, recursive: true });
            plan.step("make the copy read-only", call::SetTree::read_only(slot));
            plan.step("show it inside", call::MoveMount { slot, target: target.into() });
        };
        if self.sys_parts.is_empty() {
            copy(plan, "/sys".into(), Path::new("."));
            if let Some(cgroup) = self.cgroup {
                cgroup.plan(plan, new_root);
            }
            return;
        }
        let empty = call::Mount::new("tmpfs", ".", NO_SUID_DEV_EXEC).with_data("mode=755,size=64k");
        plan.step("mount a directory for parts of the caller's /sys", empty);
        chdir_inside(plan, new_root, "sys");
        for name in &self.sys_parts {
            plan.step(format!("make /sys/{name}"), call::Mkdir { path: name.into(), mode: 0o755 });
            copy(plan, Path::new("/sys").join(name), Path::new(name));
        }
        if let Some(cgroup) = self.cgroup {
            for dir in ["fs", "fs/cgroup"] {
                plan.step(format!("make /sys/{dir}"), call::Mkdir { path: dir.into(), mode: 0o755 });
            }
            cgroup.plan(plan, new_root);
            chdir_inside(plan, new_root, "sys");
        }
        let remount = call::Mount::remount(".", READ_ONLY | MsFlags::MS_BIND);
        plan.step("let nothing else be made there", remount);
    }

    fn sys_is_whole(&self) -> bool {
        self.sys == FsProvision::Fresh || self.sys_parts.is_empty()
    }

    /// Unmounts, in this mount namespace, what is on `dir` already. A proc there may show processes
    /// outside to a command that unmounts ours, and the kernel mounts no file system on itself (EBUSY).
    ///
    /// A mount that came from outside the user namespace cannot be unmounted: mount_namespaces(7).
    /// An empty tmpfs then separates it from ours.
    fn uncover(&self, plan: &mut Plan, new_root: FdSlot, dir: &str, mounts: usize) {
        if !self.existing.can_unmount && mounts > 0 {
            let empty = call::Mount::new("tmpfs", ".", READ_ONLY).with_data("mode=755,size=4k");
            plan.step(format!("cover what is mounted on /{dir} already"), empty);
            chdir_inside(plan, new_root, dir);
            return;
        }
        for _ in 0..mounts {
            let unmount = call::Unmount { target: ".".into(), flags: MntFlags::MNT_DETACH };
            plan.step(format!("take away what is mounted on /{dir} already"), unmount);
            chdir_inside(plan, new_root, dir);
        }
    }

    /// Covers paths of `dir`, which has just been mounted, so that no name in it can be replaced.
    fn plan_masks(&self, plan: &mut Plan, new_root: FdSlot, dir: &str) {
        // what is not shown needs no cover
        let shown = |name: &str| dir != "sys" || self.sys_is_whole() || name.starts_with("devices/");
        let mut masks = self.masks.iter().filter(|(of, name, _)| *of == dir && shown(name)).peekable();
        if masks.peek().is_some() {
            chdir_inside(plan, new_root, dir);
        }
        for (_, name, cover) in masks {
            let name = &**name;
            match cover {
                Cover::ReadOnly if dir == "proc" && self.proc == FsProvision::Bind => {
                    // something may be mounted below, as binfmt_misc is
                    let slot = plan.slot("mask");
                    let tree = call::OpenTree { path: name.into(), slot, recursive: true };
                    plan.step(format!("take /{dir}/{name} as a mount of its own"), tree);
                    plan.step(format!("make /{dir}/{name} read-only"), call::SetTree::read_only(slot));
                    plan.step("cover it with that", call::MoveMount { slot, target: name.into() });
                }
                Cover::ReadOnly => {
                    let bind = call::Mount::bind(name, name, MsFlags::empty());
                    plan.step(format!("take /{dir}/{name} as a mount of its own"), bind);
                    let remount = call::Mount::remount(name, MsFlags::MS_BIND | READ_ONLY);
                    plan.step(format!("make /{dir}/{name} read-only"), remount);
                }
                Cover::File => {
                    let bind = call::Mount::bind("/dev/null", name, MsFlags::empty());
                    plan.step(format!("let /{dir}/{name} read as empty"), bind);
                    // it is the device outside
                    plan.step(
                        format!("keep the mode of /{dir}/{name} from being changed"),
                        read_only_device(name),
                    );
                }
                Cover::Directory => {
                    let empty = call::Mount::new("tmpfs", name, READ_ONLY);
                    plan.step(format!("let /{dir}/{name} list as empty"), empty);
                }
            }
        }
    }
}

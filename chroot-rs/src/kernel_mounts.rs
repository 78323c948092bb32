//! proc and sysfs in the new root.
//!
//! Each is mounted on the working directory, which was entered through an open descriptor without following a
//! symlink. So a symlink that the owner of the new root creates there cannot redirect the mount.

use std::path::{Path, PathBuf};

use chain::handles::FdSlot;
use chain::{Plan, call};
use nix::mount::{MntFlags, MsFlags};

use crate::cgroup_view::CgroupMount;
use crate::mask::{Cover, Mask};
use crate::root::chdir_inside;
use crate::root_mount::NO_SUID_DEV_EXEC;

const READ_ONLY: MsFlags = NO_SUID_DEV_EXEC.union(MsFlags::MS_RDONLY);

/// Makes the mount of a device read-only: the file outside, which is the same, keeps its mode and owner.
/// Writing to the device still works.
pub fn read_only_device(name: &str) -> call::Mount {
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    call::Mount::remount(name, flags | MsFlags::MS_BIND)
}

/// How a kernel file system gets into the new root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FsProvision {
    Fresh,
    /// A copy of the caller's mount. The kernel refuses a new one if the process's user namespace does not
    /// own the namespace that the file system shows.
    Bind,
    #[default]
    Skip,
}

/// How many mounts are stacked on the new root's directories: scripts around chroot(1) leave them.
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
    /// The parts of a copied sysfs to show; if empty, all of it.
    pub sys_parts: Vec<&'static str>,
    /// Whether a new sysfs is writable.
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
            let reason = "mount the caller's proc, which belongs to a PID namespace above";
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

    /// Shows parts of the caller's sysfs, read-only; with all rights, shows all of it.
    fn plan_copied_sys(&self, plan: &mut Plan, new_root: FdSlot) {
        let slot = plan.slot("sys");
        let copy = |plan: &mut Plan, path: PathBuf, target: &Path| {
            let reason = format!("create a mount of the caller's {}", path.display());
            plan.step(reason, call::OpenTree { path, slot, recursive: true });
            plan.step("make it read-only", call::SetTree::read_only(slot));
            plan.step("mount it inside", call::MoveMount { slot, target: target.into() });
        };
        if self.sys_parts.is_empty() {
            copy(plan, "/sys".into(), Path::new("."));
            if let Some(cgroup) = self.cgroup {
                cgroup.plan(plan, new_root);
            }
            return;
        }
        let empty = call::Mount::new("tmpfs", ".", NO_SUID_DEV_EXEC).with_data("mode=755,size=64k");
        plan.step("mount an empty directory for parts of the caller's /sys", empty);
        chdir_inside(plan, new_root, "sys");
        for name in &self.sys_parts {
            plan.step(format!("create /sys/{name}"), call::Mkdir { path: name.into(), mode: 0o755 });
            copy(plan, Path::new("/sys").join(name), Path::new(name));
        }
        if let Some(cgroup) = self.cgroup {
            for dir in ["fs", "fs/cgroup"] {
                plan.step(format!("create /sys/{dir}"), call::Mkdir { path: dir.into(), mode: 0o755 });
            }
            cgroup.plan(plan, new_root);
            chdir_inside(plan, new_root, "sys");
        }
        let remount = call::Mount::remount(".", READ_ONLY | MsFlags::MS_BIND);
        plan.step("make the directory read-only", remount);
    }

    fn sys_is_whole(&self) -> bool {
        self.sys == FsProvision::Fresh || self.sys_parts.is_empty()
    }

    /// Unmounts, in this mount namespace, what is already on `dir`. If that is a proc, a command that
    /// unmounts ours could see the processes outside; and the kernel mounts no file system on itself (EBUSY).
    ///
    /// A mount from outside the user namespace cannot be unmounted: mount_namespaces(7). Then an empty tmpfs
    /// separates it from ours.
    fn uncover(&self, plan: &mut Plan, new_root: FdSlot, dir: &str, mounts: usize) {
        if !self.existing.can_unmount && mounts > 0 {
            let empty = call::Mount::new("tmpfs", ".", READ_ONLY).with_data("mode=755,size=4k");
            plan.step(format!("cover what is already mounted on /{dir}"), empty);
            chdir_inside(plan, new_root, dir);
            return;
        }
        for _ in 0..mounts {
            let unmount = call::Unmount { target: ".".into(), flags: MntFlags::MNT_DETACH };
            plan.step(format!("unmount what is already mounted on /{dir}"), unmount);
            chdir_inside(plan, new_root, dir);
        }
    }

    /// Covers paths of `dir`, which has just been mounted, so no name in it can be replaced.
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
                    // something can be mounted below it, such as binfmt_misc
                    let slot = plan.slot("mask");
                    let tree = call::OpenTree { path: name.into(), slot, recursive: true };
                    plan.step(format!("create a mount of /{dir}/{name}"), tree);
                    plan.step(format!("make /{dir}/{name} read-only"), call::SetTree::read_only(slot));
                    plan.step("mount that over it", call::MoveMount { slot, target: name.into() });
                }
                Cover::ReadOnly => {
                    let bind = call::Mount::bind(name, name, MsFlags::empty());
                    plan.step(format!("create a mount of /{dir}/{name}"), bind);
                    let remount = call::Mount::remount(name, MsFlags::MS_BIND | READ_ONLY);
                    plan.step(format!("make /{dir}/{name} read-only"), remount);
                }
                Cover::File => {
                    let bind = call::Mount::bind("/dev/null", name, MsFlags::empty());
                    plan.step(format!("make /{dir}/{name} look like an empty file"), bind);
                    // it is the same device as outside
                    plan.step(
                        format!("keep the mode of /{dir}/{name} from being changed"),
                        read_only_device(name),
                    );
                }
                Cover::Directory => {
                    let empty = call::Mount::new("tmpfs", name, READ_ONLY);
                    plan.step(format!("make /{dir}/{name} look like an empty directory"), empty);
                }
            }
        }
    }
}

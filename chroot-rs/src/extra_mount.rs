// SPDX-License-Identifier: MIT OR Apache-2.0
//! A mount that an option asks for, at the place that was found for it.

use std::path::{Path, PathBuf};

use chain::handles::FdSlot;
use chain::reporter::quoted;
use chain::{Plan, call};
use nix::mount::MsFlags;
use system::walk::Walked;

use crate::root::chdir_inside;

/// A mount with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraMount {
    pub source: MountSource,
    /// The mount point. The names that are missing are created.
    pub target: Walked,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountSource {
    /// A file of the caller's, or a directory with the mounts below it.
    Host { path: PathBuf, is_dir: bool, read_only: bool },
    /// An empty file system in memory.
    Tmpfs { options: String },
}

impl MountSource {
    pub const fn is_file(&self) -> bool {
        matches!(self, Self::Host { is_dir: false, .. })
    }
}

impl ExtraMount {
    /// Creates the mount point if it is missing, and mounts.
    pub fn plan(self, plan: &mut Plan, new_root: FdSlot) {
        let slot = plan.slot("source");
        if let MountSource::Host { path, read_only, .. } = &self.source {
            let copy = call::OpenTree { path: path.clone(), slot };
            plan.step(format!("take {} as a mount of its own", quoted(path)), copy);
            if *read_only {
                plan.step("make it read-only", call::ReadOnlyTree(slot));
            }
        }
        let mount_point = self.plan_mount_point(plan, new_root);
        match self.source {
            MountSource::Host { .. } => {
                let target = mount_point.file_name().unwrap_or_default().into();
                let reason = format!("show it at {}", shown(&mount_point));
                plan.step(reason, call::MoveMount { slot, target });
            }
            MountSource::Tmpfs { options } => {
                chdir_inside(plan, new_root, mount_point);
                let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
                let tmpfs = call::Mount::new("tmpfs", ".", flags).with_data(options);
                plan.step("mount an empty file system there", tmpfs);
            }
        }
    }

    /// Makes the directory above the mount point the working directory, creates what is missing, and
    /// returns the path of the mount point.
    fn plan_mount_point(&self, plan: &mut Plan, new_root: FdSlot) -> PathBuf {
        let Walked { real, missing } = &self.target;
        let Some((last, dirs)) = missing.split_last() else {
            chdir_inside(plan, new_root, real.parent().unwrap_or(Path::new("")));
            return real.clone();
        };
        let mut path = real.clone();
        chdir_inside(plan, new_root, &path);
        for name in dirs {
            path.push(name);
            let mkdir = call::Mkdir { path: name.into(), mode: 0o755 };
            plan.step(format!("make {}", shown(&path)), mkdir);
            chdir_inside(plan, new_root, &path);
        }
        path.push(last);
        let reason = format!("make {}", shown(&path));
        if self.source.is_file() {
            plan.step(reason, call::Mknod::file(last, 0o644));
        } else {
            plan.step(reason, call::Mkdir { path: last.into(), mode: 0o755 });
        }
        path
    }
}

fn shown(below_root: &Path) -> String {
    quoted(&Path::new("/").join(below_root)).to_string()
}

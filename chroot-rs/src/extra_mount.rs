//! A mount that an option asks for, and its mount point.

use std::path::{Path, PathBuf};

use chain::handles::FdSlot;
use chain::reporter::quoted;
use chain::{Plan, call};
use nix::mount::MsFlags;
use system::walk::Walked;

use crate::mount_point::{MountPointFile, plan_readable};
use crate::mount_request::BindOptions;
use crate::rights::MountLimits;
use crate::root::chdir_inside;

/// A mount with its mount point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraMount {
    pub source: MountSource,
    /// The mount point. Missing names are created.
    pub target: Walked,
}

/// What to mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountSource {
    /// A file or directory outside.
    Host { path: PathBuf, is_dir: bool, options: BindOptions },
    /// An empty file system in memory.
    Tmpfs { options: String },
}

impl MountSource {
    pub const fn is_file(&self) -> bool {
        matches!(self, Self::Host { is_dir: false, .. })
    }
}

/// A mount with an open source, so that later mounts cannot replace what the caller had there.
pub struct OpenedMount {
    mount: ExtraMount,
    source: FdSlot,
}

impl ExtraMount {
    /// Opens the source. This comes before the first mount, which could cover it.
    pub fn plan_source(self, plan: &mut Plan, limits: MountLimits) -> OpenedMount {
        let slot = plan.slot("source");
        if let MountSource::Host { path, options, is_dir } = &self.source {
            let copy = call::OpenTree { path: path.clone(), slot, recursive: options.recursive };
            plan.step(format!("create a mount of {}", quoted(path)), copy);
            if options.read_only {
                plan.step("make it read-only", call::SetTree::read_only(slot));
            }
            if options.no_exec {
                plan.step("forbid running programs from it", call::SetTree::no_exec(slot));
            }
            // a device that is bound on its own is intended
            if *is_dir {
                limits.plan_bind(plan, slot);
            }
        }
        OpenedMount { mount: self, source: slot }
    }
}

impl OpenedMount {
    /// Creates the mount point if it is missing, and mounts.
    pub fn plan(self, plan: &mut Plan, new_root: FdSlot, umask: u32) {
        let mount_point = self.mount.plan_mount_point(plan, new_root, umask);
        match self.mount.source {
            MountSource::Host { .. } => {
                let target = mount_point.file_name().unwrap_or_default().into();
                let reason = format!("mount it at {}", shown(&mount_point));
                plan.step(reason, call::MoveMount { slot: self.source, target });
            }
            MountSource::Tmpfs { options } => {
                chdir_inside(plan, new_root, mount_point);
                let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
                let tmpfs = call::Mount::new("tmpfs", ".", flags).with_data(options);
                plan.step("mount an empty file system there", tmpfs);
            }
        }
    }
}

impl ExtraMount {
    /// Changes to the mount point's parent directory, creates what is missing, and returns the mount point's
    /// path.
    fn plan_mount_point(&self, plan: &mut Plan, new_root: FdSlot, umask: u32) -> PathBuf {
        let Walked { real, missing } = &self.target;
        let Some((last, dirs)) = missing.split_last() else {
            chdir_inside(plan, new_root, real.parent().unwrap_or(Path::new("")));
            return real.clone();
        };
        let mut path = real.clone();
        chdir_inside(plan, new_root, &path);
        plan_readable(plan, umask, |plan| {
            for name in dirs {
                path.push(name);
                let mkdir = call::Mkdir { path: name.into(), mode: 0o755 };
                plan.step(format!("create {}", shown(&path)), mkdir);
                chdir_inside(plan, new_root, &path);
            }
            path.push(last);
            let reason = format!("create {}", shown(&path));
            if self.source.is_file() {
                plan.step(reason, MountPointFile::new(last));
            } else {
                plan.step(reason, call::Mkdir { path: last.into(), mode: 0o755 });
            }
        });
        path
    }
}

fn shown(below_root: &Path) -> String {
    quoted(&Path::new("/").join(below_root)).to_string()
}

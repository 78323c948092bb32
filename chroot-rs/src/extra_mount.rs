// SPDX-License-Identifier: MIT OR Apache-2.0
//! A mount that an option asks for, at the place that was found for it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use chain::handles::FdSlot;
use chain::reporter::quoted;
use chain::{Plan, call};
use nix::mount::MsFlags;

use crate::root::chdir_inside;
use crate::walk::Walked;

/// A mount with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraMount {
    pub source: MountSource,
    /// An existing directory without links, relative to the root; empty for the root.
    pub above: PathBuf,
    /// The names below it to create. The last one is the mount point.
    pub missing: Vec<OsString>,
    /// The mount point, if nothing is missing.
    pub entry: Option<OsString>,
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
    /// Whether it is mounted on a file.
    pub const fn is_file(&self) -> bool {
        matches!(self, Self::Host { is_dir: false, .. })
    }
}

impl ExtraMount {
    /// A mount at the end of a path.
    pub fn new(source: MountSource, Walked { real, missing }: Walked) -> Self {
        if !missing.is_empty() {
            return Self { source, above: real, missing, entry: None };
        }
        let above = real.parent().unwrap_or(Path::new("")).to_path_buf();
        Self { source, above, missing, entry: real.file_name().map(OsStr::to_owned) }
    }

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
        let (above, name) = self.plan_mount_point(plan, new_root);
        match self.source {
            MountSource::Host { .. } => {
                let attach = call::MoveMount { slot, target: name.clone().into() };
                plan.step(format!("show it at {}", shown(&above.join(name))), attach);
            }
            MountSource::Tmpfs { options } => {
                chdir_inside(plan, new_root, above.join(name));
                let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
                let tmpfs = call::Mount::new("tmpfs", ".", flags).with_data(options);
                plan.step("mount an empty file system there", tmpfs);
            }
        }
    }

    /// Makes the directory of the mount point the working directory, and the mount point in it.
    fn plan_mount_point(&self, plan: &mut Plan, new_root: FdSlot) -> (PathBuf, OsString) {
        let mut above = self.above.clone();
        chdir_inside(plan, new_root, &above);
        let Some((last, dirs)) = self.missing.split_last() else {
            return (above, self.entry.clone().unwrap_or_default());
        };
        for name in dirs {
            let mkdir = call::Mkdir { path: name.into(), mode: 0o755 };
            above.push(name);
            plan.step(format!("make {}", shown(&above)), mkdir);
            chdir_inside(plan, new_root, &above);
        }
        let reason = format!("make {}", shown(&above.join(last)));
        if self.source.is_file() {
            plan.step(reason, call::Mknod::file(last, 0o644));
        } else {
            plan.step(reason, call::Mkdir { path: last.into(), mode: 0o755 });
        }
        (above, last.clone())
    }
}

fn shown(below_root: &Path) -> String {
    quoted(&Path::new("/").join(below_root)).to_string()
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A mount that was asked for, with the place that was found for it, as calls.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use chain::handles::FdSlot;
use chain::reporter::quoted;
use chain::{Plan, call};
use nix::mount::MsFlags;

use crate::chdir_inside;

/// A mount that was asked for, with the place that was found for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraMount {
    /// What is mounted.
    pub what: MountSource,
    /// A directory that is there, without links, relative to the root; empty for the root.
    pub above: PathBuf,
    /// Below it, what is not there yet: made, the last one as what is mounted on it.
    pub missing: Vec<OsString>,
    /// The entry that is there to be mounted on, where nothing is missing.
    pub entry: Option<OsString>,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountSource {
    /// A directory of the caller's, and what is mounted below it.
    Directory {
        /// Its path outside.
        source: PathBuf,
        /// Whether it can only be read.
        read_only: bool,
    },
    /// Anything else of the caller's.
    File {
        /// Its path outside.
        source: PathBuf,
        /// Whether it can only be read.
        read_only: bool,
    },
    /// An empty file system in memory.
    Tmpfs {
        /// Its mount options.
        data: String,
    },
}

impl ExtraMount {
    /// The calls.
    pub fn plan(self, plan: &mut Plan, new_root: FdSlot) {
        let slot = plan.slot("source");
        if let MountSource::Directory { source, read_only } | MountSource::File { source, read_only } =
            &self.what
        {
            let reason = format!("take {} as a mount of its own", quoted(source));
            plan.step(reason, call::OpenTree { path: source.clone(), slot });
            if *read_only {
                plan.step("make it read-only", call::ReadOnlyTree(slot));
            }
        }
        let mut above = self.above;
        chdir_inside(plan, new_root, &above);
        let last = self.missing.len().saturating_sub(1);
        for (number, name) in self.missing.iter().enumerate() {
            make(plan, &above, name, number == last && matches!(self.what, MountSource::File { .. }));
            if number < last {
                above.push(name);
                chdir_inside(plan, new_root, &above);
            }
        }
        let name = self.entry.or(self.missing.into_iter().next_back()).unwrap_or_default();
        match self.what {
            MountSource::Directory { .. } | MountSource::File { .. } => {
                let reason = format!("show it at {}", shown(&above.join(&name)));
                plan.step(reason, call::MoveMount { slot, target: name.into() });
            }
            MountSource::Tmpfs { data } => {
                chdir_inside(plan, new_root, above.join(&name));
                let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
                let mount = call::Mount::new("tmpfs", ".", flags).with_data(data);
                plan.step("mount an empty file system there", mount);
            }
        }
    }
}

fn shown(below_root: &Path) -> String {
    quoted(&Path::new("/").join(below_root)).to_string()
}

fn make(plan: &mut Plan, above: &Path, name: &OsStr, as_file: bool) {
    let reason = format!("make {}", shown(&above.join(name)));
    let path = PathBuf::from(name);
    if as_file {
        plan.step(reason, call::Mknod::file(path, 0o644));
    } else {
        plan.step(reason, call::Mkdir { path, mode: 0o755 });
    }
}

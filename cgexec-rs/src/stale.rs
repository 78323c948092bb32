//! Groups of earlier runs, which this run removes.
//!
//! A run holds the lock of its groups as long as it lives, so a free lock shows that the run was killed, or
//! that it became its command.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use system::sys;

use crate::group_name::Cleanup;
use crate::{cgroup, levels};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaleGroups {
    /// Groups of killed runs; those of one run together, its anchor first.
    pub killed: Vec<Vec<PathBuf>>,
    /// Groups whose command has ended.
    pub empty: Vec<PathBuf>,
}

impl StaleGroups {
    /// Finds the groups in a parent's directory.
    pub fn in_directory(parent: &Path) -> Self {
        let mut stale = Self::default();
        // a parent that cannot be listed shows none
        let _ = sys::for_each_entry(parent, &mut |name| {
            let path = parent.join(name);
            match Cleanup::of(&path).filter(|_| sys::is_writable(&path)) {
                Some(Cleanup::ByUs) if cgroup::is_stale(&path) => stale.killed.push(vec![path]),
                Some(Cleanup::ByLaterRun) if is_unused(&path) => stale.empty.extend(with_levels(path)),
                _ => {}
            }
            ControlFlow::Continue(())
        });
        stale
    }

    /// Adds those in another parent's directory. The groups of one run have the same name.
    pub fn add_directory(&mut self, parent: &Path) {
        let found = Self::in_directory(parent);
        for path in found.killed.into_iter().flatten() {
            let is_of =
                |run: &&mut Vec<PathBuf>| run.iter().any(|known| known.file_name() == path.file_name());
            match self.killed.iter_mut().find(is_of) {
                Some(run) => run.push(path),
                None => self.killed.push(vec![path]),
            }
        }
        self.empty.extend(found.empty);
    }

    /// Finds the other groups of the same runs, which can be in hierarchies that this run does not use.
    pub fn find_stale_in_other_hierarchies(&mut self, parents: &[PathBuf]) {
        let others_of = |path: &Path| -> Vec<PathBuf> {
            let name = path.file_name().unwrap_or_default();
            parents.iter().map(|parent| parent.join(name)).filter(|other| other != path).collect()
        };
        for run in &mut self.killed {
            for path in run.first().map(|anchor| others_of(anchor)).unwrap_or_default() {
                if !run.contains(&path) && sys::is_writable(&path) && cgroup::is_stale(&path) {
                    run.push(path);
                }
            }
        }
        for path in std::mem::take(&mut self.empty) {
            if levels::is_named_as_one(&path) {
                self.empty.push(path);
                continue;
            }
            let others =
                others_of(&path).into_iter().filter(|other| sys::is_writable(other) && is_unused(other));
            for path in others.chain([path]) {
                if !self.empty.contains(&path) {
                    self.empty.push(path);
                }
            }
        }
    }

    /// Finds groups that killed runs left in scopes beside `scope`. Systemd removes a scope when its last
    /// process has ended.
    pub fn add_sibling_scopes(&mut self, scope: &Path) {
        let slice = scope.parent().and_then(|slice| fs::read_dir(slice).ok());
        let siblings = slice.into_iter().flatten().flatten().map(|entry| entry.path());
        let is_ours = |path: &PathBuf| {
            path.extension() == scope.extension() && Cleanup::of(path) == Some(Cleanup::ByUs) && path != scope
        };
        for sibling in siblings.filter(is_ours) {
            self.killed.extend(Self::in_directory(&sibling).killed);
        }
    }
}

/// Whether a group holds no process and no group except its levels, and no run is about to use it.
pub fn is_unused(path: &Path) -> bool {
    levels::are_all_below(path) && cgroup::is_stale(path)
}

/// A group and its levels, in the order in which they can be removed.
pub fn with_levels(path: PathBuf) -> Vec<PathBuf> {
    let mut all = levels::existing(&path);
    all.push(path);
    all
}

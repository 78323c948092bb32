//! The group that the options ask for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use chain::Failure;

use crate::cli::{Manager, Options};
use crate::group_name::{Cleanup, Name};
use crate::group_path::Parent;
use crate::hierarchy::{Hierarchies, Hierarchy};
use crate::levels::Levels;
use crate::limits::Limit;
use crate::time_limit::TimeLimits;

/// The group that the options ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupRequest {
    pub manager: Manager,
    pub limits: Vec<Limit>,
    /// Whether to skip limits that this machine does not support.
    pub attempt: bool,
    /// Whether a report is asked for, for which controllers count without a limit.
    pub account: bool,
    /// Whether processor time must be counted, and the run be in a group.
    pub times: TimeLimits,
    pub parent: Option<Parent>,
    pub name: Option<Name>,
    pub cleanup: Cleanup,
    /// Whether the command gets a cgroup namespace.
    pub namespace: bool,
}

impl GroupRequest {
    /// Reads the options.
    ///
    /// # Errors
    /// For limits that contradict each other, and for `--kill-after` without a time limit.
    pub fn of(options: Options) -> Result<Self, Failure> {
        let limits = options.limits.limits().map_err(|contradiction| {
            Failure::new(contradiction)
                .hint("--memory-swap counts as docker does; --memory-swap-max counts only swap")
        })?;
        Ok(Self {
            manager: options.manager,
            attempt: options.attempt,
            account: options.report().is_some(),
            times: options.time.limits()?,
            cleanup: options.cleanup(),
            namespace: false,
            parent: options.parent,
            name: options.name,
            limits,
        })
    }

    /// Whether an option needs a group: the run fails if there can be none.
    pub fn needs_group(&self) -> bool {
        ((!self.limits.is_empty() || self.times.are_set()) && !self.attempt)
            || self.account
            || self.parent.is_some()
            || self.name.is_some()
            || self.cleanup == Cleanup::Never
    }

    /// The name for the group: that of `--name`, or a new one.
    pub fn group_name(&self) -> OsString {
        self.name.as_ref().map_or_else(|| self.cleanup.new_name().into(), |name| name.0.clone())
    }

    /// The groups below a version 2 group that has these controllers. A run that becomes its command creates none:
    /// it could not enter a namespace above its own group.
    pub fn levels(&self, group: &Path, controllers: Vec<String>, found: &Hierarchies) -> Option<Levels> {
        if self.cleanup == Cleanup::ByLaterRun {
            return None;
        }
        Levels::below(group, controllers, self.namespace && !found.nsdelegate)
    }

    /// The parent for the group in a version 1 hierarchy.
    pub fn v1_parent(&self, v1: &Hierarchy) -> PathBuf {
        self.parent.as_ref().unwrap_or(&Parent::Current).directory(v1)
    }
}

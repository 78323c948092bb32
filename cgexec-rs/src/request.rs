//! The group that the options ask for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use chain::Failure;

use crate::cli::{Manager, Options};
use crate::group_name::{Cleanup, GroupName};
use crate::group_path::Parent;
use crate::hierarchy::{Hierarchies, Hierarchy};
use crate::levels::Levels;
use crate::limits::Limit;
use crate::outer_user::is_machine_root;
use crate::refusal::service;
use crate::time_limit::TimeLimits;
use crate::unit_group;

/// The group that the options ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupRequest {
    pub manager: Manager,
    pub limits: Vec<Limit>,
    /// Whether to skip limits that this machine does not support.
    pub attempt: bool,
    /// Whether a report is requested, which needs controllers even without limits.
    pub account: bool,
    /// The time limits; they need a group that counts processor time.
    pub times: TimeLimits,
    pub parent: Option<Parent>,
    pub name: Option<GroupName>,
    pub cleanup: Cleanup,
    /// Whether the command gets a cgroup namespace.
    pub namespace: bool,
}

impl GroupRequest {
    /// Reads the options.
    ///
    /// # Errors
    /// Limits that contradict each other, or `--kill-after` without a time limit.
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

    /// The hint if systemd manages the groups: a scope, if the request can be met in one. A scope ends with
    /// its last process, so no group in it can be kept; and a system service gets none.
    pub fn instead_of_files(&self, v2: &Hierarchy) -> String {
        let in_service = || unit_group::system_service(&v2.mount, &v2.own).is_some();
        let hint = match (self.cleanup, &self.parent) {
            (Cleanup::Never, None) if is_machine_root() => {
                "'--parent /' creates it at the top; its limits hold until systemd reloads its units"
            }
            _ if in_service() => return service::elsewhere(),
            (Cleanup::Never, _) => "keep a group inside the group of a running shell: cgexec-rs -m max -- sh",
            (_, Some(_)) => "without --parent, systemd delegates a scope",
            (_, None) => "'--manager systemd' asks systemd for a delegated scope",
        };
        hint.to_string()
    }

    /// Whether an option needs a group, so that the run fails without one.
    pub fn needs_group(&self) -> bool {
        ((!self.limits.is_empty() || self.times.are_set()) && !self.attempt)
            || self.account
            || self.parent.is_some()
            || self.name.is_some()
            || self.cleanup == Cleanup::Never
    }

    /// The group's name: from `--name`, or a new one.
    pub fn group_name(&self) -> OsString {
        self.name.as_ref().map_or_else(|| self.cleanup.new_name().into(), |name| name.0.clone())
    }

    /// The groups below a version 2 group that has these controllers. A run that becomes its command creates
    /// none: it could not enter a namespace above its own group.
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

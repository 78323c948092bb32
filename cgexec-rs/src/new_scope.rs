//! A scope that the plan asks systemd for.

use std::path::PathBuf;

use crate::systemd::{Scope, Systemd};

/// A scope to be asked for, and how this run is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewScope {
    pub systemd: Systemd,
    pub scope: Scope,
    /// Its directory.
    pub path: PathBuf,
    /// Whether a process of ours is the one that is in it, and this one stays in its unit: only then does the unit
    /// know of the command, and end it when it is stopped.
    pub has_keeper: bool,
}

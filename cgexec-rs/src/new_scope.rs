//! A scope that the plan requests from systemd.

use std::path::PathBuf;

use crate::systemd::{Scope, Systemd};

/// A scope to request, and how this run is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewScope {
    pub systemd: Systemd,
    pub scope: Scope,
    /// Its directory.
    pub path: PathBuf,
    /// Whether a helper process of ours is in it, and this process stays in its unit: only then does the unit
    /// include the command, and end it when the unit is stopped.
    pub has_keeper: bool,
}

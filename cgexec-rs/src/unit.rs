//! The systemd unit of this process, and where a scope for the command can be.
//!
//! A scope takes the process out of its unit. So one is requested only if nothing is lost: the same limits
//! still apply, and stopping the unit stops the scope. The scope is in the unit's slice and bound to the
//! unit; limits of slices apply to both. A system service is never left: systemd would not find its processes
//! elsewhere.

use std::path::{Path, PathBuf};

use chain::Failure;

use crate::held_limits::{self, HeldLimit};
use crate::hierarchy::Hierarchy;
use crate::refusal;
use crate::systemd::Systemd;
use crate::unit_group::{system_service, unit_below};

/// Where a scope can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopePlace {
    /// The directory of its slice.
    pub slice: PathBuf,
    /// The current unit, if the same systemd manages it.
    pub unit: Option<String>,
    /// The process limit of the unit that is left; systemd gives each unit its own.
    pub tasks_max: Option<u64>,
}

impl ScopePlace {
    /// # Errors
    /// This process is in a system service, systemd cannot be reached, or the process would leave a limit.
    pub fn find(v2: &Hierarchy, systemd: &Systemd) -> Result<Self, Failure> {
        if let Some(unit) = system_service(&v2.mount, &v2.own) {
            return Err(refusal::service::not_delegated(&unit, &v2.own));
        }
        systemd.can_be_asked()?;
        let manager = systemd.group(&v2.mount);
        // the scope of process 1 must hold no other process
        let unit = unit_below(&manager, &v2.own).filter(|unit| !unit.ends_with("init.scope"));
        let slice = match unit.as_deref().and_then(Path::parent) {
            Some(slice) => slice.to_path_buf(),
            None => v2.mount.join(systemd.slice()),
        };
        let mut tasks_max = None;
        for limit in held_limits::groups_to_leave(&v2.own, &slice).flat_map(held_limits::of) {
            match tasks_that_stay(&limit, &slice, systemd) {
                Some(tasks) => tasks_max = Some(tasks_max.map_or(tasks, |known: u64| known.min(tasks))),
                None => return Err(refusal::would_leave(&limit)),
            }
        }
        let unit = unit.and_then(|unit| Some(unit.file_name()?.to_str()?.to_string()));
        Ok(Self { slice, unit, tasks_max })
    }
}

/// Whether the current group belongs to a unit that a user's systemd has delegated. That systemd sets no
/// attribute on the group.
pub fn is_delegated_by_a_users_systemd(v2: &Hierarchy) -> bool {
    let Ok(systemd) = Systemd::find(&v2.own) else { return false };
    let unit = unit_below(&systemd.group(&v2.mount), &v2.own).filter(|unit| *unit == v2.own);
    let name = unit.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    name.is_some_and(|name| systemd.delegates(name))
}

/// The process limit that the scope can have unchanged: the one that systemd gives to each unit, or one that
/// also applies above the scope.
fn tasks_that_stay(limit: &HeldLimit, slice: &Path, systemd: &Systemd) -> Option<u64> {
    let tasks: u64 = (limit.file == "pids.max").then(|| limit.value.parse().ok())??;
    let above = slice.ancestors().flat_map(held_limits::of);
    let holds_above = |above: HeldLimit| {
        above.file == "pids.max" && above.value.parse::<u64>().is_ok_and(|above| above <= tasks)
    };
    (above.into_iter().any(holds_above) || systemd.default_tasks_max() == Some(tasks)).then_some(tasks)
}

//! What a run used, as in report.schema.json. Sizes are in bytes, times in microseconds; what a kernel does
//! not count is absent.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::counters::Counters;
use crate::fork_limit::Whose;
use crate::group_files::LimitValue;
use crate::time_limit::OutOfTime;

/// What a run used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Times and periods, with their names in version 2's cpu.stat.
    #[serde(skip_serializing_if = "Counters::is_empty")]
    pub cpu: Counters,
    #[serde(skip_serializing_if = "is_default")]
    pub memory: MemoryStats,
    #[serde(skip_serializing_if = "is_default")]
    pub pids: PidsStats,
    pub io: Vec<DiskStats>,
    /// For cpu, memory and io.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pressure: BTreeMap<&'static str, Stall>,
    /// Processes that are still running.
    pub leftovers: u64,
    /// The time limit at which the command was asked to end.
    #[serde(skip)]
    pub out_of_time: Option<OutOfTime>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryStats {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak: Option<u64>,
    /// Why there is no peak.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncounted: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap_peak: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: LimitValue,
    /// memory.events, which includes the groups below.
    #[serde(skip_serializing_if = "Counters::is_empty")]
    pub events: Counters,
    /// memory.events.local
    #[serde(skip_serializing_if = "Counters::is_empty")]
    pub events_local: Counters,
    /// Whether a version 1 group that the command created reached its own limit.
    #[serde(skip)]
    pub full_below: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PidsStats {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: LimitValue,
    /// Forks that a limit refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied: Option<u64>,
    #[serde(skip)]
    pub whose: Whose,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiskStats {
    /// MAJOR:MINOR
    pub dev: String,
    /// The counters, with their names in version 2's io.stat.
    #[serde(flatten)]
    pub counters: Counters,
}

/// How long some processes, and all processes, waited: Documentation/accounting/psi.rst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stall {
    pub some_usec: u64,
    pub full_usec: u64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

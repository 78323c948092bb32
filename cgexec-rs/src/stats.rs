// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run used, as report.schema.json describes it. Sizes are bytes, times microseconds; what a
//! kernel does not count is absent.

use serde::Serialize;

use crate::counters::Counters;

/// A limit as its file shows it: `Some(None)` is no limit, `None` is not known.
pub type LimitValue = Option<Option<u64>>;

/// What a run used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Processor time.
    #[serde(skip_serializing_if = "is_default")]
    pub cpu: CpuStats,
    /// Memory.
    #[serde(skip_serializing_if = "is_default")]
    pub memory: MemoryStats,
    /// Processes and threads.
    #[serde(skip_serializing_if = "is_default")]
    pub pids: PidsStats,
    /// Each disk.
    pub io: Vec<DiskStats>,
    /// Time spent waiting.
    #[serde(skip_serializing_if = "is_default")]
    pub pressure: Pressure,
    /// Processes that are still running.
    pub leftovers: u64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryStats {
    /// The largest use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak: Option<u64>,
    /// The largest use of swap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap_peak: Option<u64>,
    /// memory.max
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

/// Processor time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CpuStats {
    /// All of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_usec: Option<u64>,
    /// In user mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_usec: Option<u64>,
    /// In the kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_usec: Option<u64>,
    /// Periods of the limit that passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nr_periods: Option<u64>,
    /// Periods in which the limit held the group back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nr_throttled: Option<u64>,
    /// For how long it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_usec: Option<u64>,
}

/// Processes and threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PidsStats {
    /// The largest number at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak: Option<u64>,
    /// pids.max
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: LimitValue,
    /// Forks that a limit refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied: Option<u64>,
}

/// A disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiskStats {
    /// MAJOR:MINOR
    pub dev: String,
    /// Bytes read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rbytes: Option<u64>,
    /// Bytes written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wbytes: Option<u64>,
    /// Reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rios: Option<u64>,
    /// Writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wios: Option<u64>,
}

/// Time spent waiting: Documentation/accounting/psi.rst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pressure {
    /// For a processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Stall>,
    /// For memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Stall>,
    /// For a disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io: Option<Stall>,
}

/// Time in which some processes, and all, waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stall {
    /// Some.
    pub some_usec: u64,
    /// All.
    pub full_usec: u64,
}

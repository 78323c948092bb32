//! The report in the format of BenchExec's runexec, for scripts that read it.

use chain::supervise::Ended;

use crate::oom::Cause;
use crate::stats::Stats;
use crate::time_limit::OutOfTime;

/// A `name=value` line for each known number, with runexec's names and units. `wall_usec` is the duration of
/// the run in microseconds.
///
/// # Source
/// BenchExec's doc/run-results.md.
pub fn lines(stats: &Stats, ended: Ended, wall_usec: u64) -> Vec<String> {
    let seconds =
        |microseconds: u64| format!("{}.{:06}s", microseconds / 1_000_000, microseconds % 1_000_000);
    let bytes = |count: u64| format!("{count}B");
    let sum = |name: &str| {
        (!stats.io.is_empty()).then(|| stats.io.iter().filter_map(|disk| disk.counters.get(name)).sum())
    };
    let stalled = |name: &str| stats.pressure.get(name).map(|stall| seconds(stall.some_usec));
    let (status, signal) = match ended {
        Ended::Exited(code) => (Some(code), None),
        Ended::Killed(signal) => (None, Some(signal)),
    };
    [
        ("terminationreason", reason(Cause::of(stats, ended)).map(str::to_string)),
        ("returnvalue", status.map(|status| status.to_string())),
        ("exitsignal", signal.map(|signal| signal.to_string())),
        ("walltime", Some(seconds(wall_usec))),
        ("cputime", stats.cpu.get("usage_usec").map(seconds)),
        ("memory", stats.memory.peak.map(bytes)),
        ("blkio-read", sum("rbytes").map(bytes)),
        ("blkio-write", sum("wbytes").map(bytes)),
        ("pressure-cpu-some", stalled("cpu")),
        ("pressure-io-some", stalled("io")),
        ("pressure-memory-some", stalled("memory")),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(format!("{name}={}", value?)))
    .collect()
}

/// runexec names a reason only if a limit, and not the command, ended the run.
const fn reason(cause: Cause) -> Option<&'static str> {
    match cause {
        Cause::OwnLimit | Cause::LimitBelow | Cause::LimitAbove => Some("memory"),
        Cause::OutOfTime(OutOfTime::Cpu) => Some("cputime"),
        Cause::OutOfTime(OutOfTime::Wall) => Some("walltime"),
        Cause::Exited | Cause::Signal => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Counters;
    use crate::stats::{MemoryStats, Stall};

    #[test]
    fn what_is_known_has_runexecs_names_and_units() {
        let wall = 1_500_000;
        assert_eq!(lines(&Stats::default(), Ended::Exited(3), wall), ["returnvalue=3", "walltime=1.500000s"]);
        let stats = Stats {
            cpu: Counters(vec![("usage_usec".to_string(), 1_000_042)]),
            memory: MemoryStats { peak: Some(4096), ..MemoryStats::default() },
            pressure: [("cpu", Stall { some_usec: 7, full_usec: 0 })].into(),
            out_of_time: Some(OutOfTime::Cpu),
            ..Stats::default()
        };
        assert_eq!(
            lines(&stats, Ended::Killed(15), wall),
            [
                "terminationreason=cputime",
                "exitsignal=15",
                "walltime=1.500000s",
                "cputime=1.000042s",
                "memory=4096B",
                "pressure-cpu-some=0.000007s",
            ]
        );
    }
}

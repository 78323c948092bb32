//! Which limit was hit, and which group's limit it was.

use std::path::{Path, PathBuf};

use chain::supervise::Ended;

use crate::counters::Counters;
use crate::fork_limit::{LimitsAbove, Whose};
use crate::group::Group;
use crate::group_path::{in_words, is_root_of_namespace};
use crate::limits::Limit;
use crate::limits::cpu::{Bandwidth, PERIOD_USEC};
use crate::limits::size::{Bytes, decimal};
use crate::stats::Stats;
use crate::stats_reader::is_full;
use crate::time_limit::OutOfTime;
use crate::version::Version;

/// Why the command ended as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// By itself.
    Exited,
    /// By a signal that no limit sent.
    Signal,
    /// Processes were killed at the group's own memory limit.
    OwnLimit,
    /// At the limit of a group that the command created.
    LimitBelow,
    /// At the limit of an outer group, or because the machine had no more memory.
    LimitAbove,
    /// At `--cpu-time` or `--wall-time`, even if processes had been killed before.
    OutOfTime(OutOfTime),
}

impl Cause {
    /// # Source
    /// cgroup-v2.rst, memory.events.local: `oom` counts events at the group's own limit; `oom_kill` counts
    /// its processes that any limit killed. Version 1 only counts kills, so there the peak decides.
    pub fn of(stats: &Stats, ended: Ended) -> Self {
        if let Some(reached) = stats.out_of_time {
            return Self::OutOfTime(reached);
        }
        match (kills(stats), ended) {
            (0, Ended::Exited(_)) => Self::Exited,
            (0, Ended::Killed(_)) => Self::Signal,
            _ if stats.memory.events_local.get("oom") > Some(0) || full_of_v1(stats).is_some() => {
                Self::OwnLimit
            }
            _ if stats.memory.events.get("oom") > Some(0) || stats.memory.full_below => Self::LimitBelow,
            _ => Self::LimitAbove,
        }
    }

    /// The word in a report.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Exited => "exited",
            Self::Signal => "signal",
            Self::OwnLimit => "oom-own-limit",
            Self::LimitBelow => "oom-below",
            Self::LimitAbove => "oom-above",
            // the words of BenchExec's runexec
            Self::OutOfTime(OutOfTime::Cpu) => "cputime",
            Self::OutOfTime(OutOfTime::Wall) => "walltime",
        }
    }
}

/// The version 1 limit that the memory peak reached.
fn full_of_v1(stats: &Stats) -> Option<u64> {
    if stats.memory.events_local.get("oom").is_some() {
        return None;
    }
    let limit = stats.memory.limit.flatten()?;
    stats.memory.peak.is_some_and(|peak| is_full(peak, limit)).then_some(limit)
}

fn kills(stats: &Stats) -> u64 {
    let memory = &stats.memory;
    memory.events.get("oom_kill").max(memory.events_local.get("oom_kill")).unwrap_or(0)
}

/// How often the outer groups' limits had been hit before the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AncestorOoms {
    ooms: Vec<(PathBuf, u64)>,
    forks: LimitsAbove,
}

impl AncestorOoms {
    /// Reads the counters above the version 2 group that counts memory, and above the group that counts
    /// processes.
    pub fn of<'a>(groups: impl Iterator<Item = &'a Group>) -> Self {
        let ooms = |group: &Path| Counters::read(&group.join("memory.events.local")).get("oom");
        let counts_processes = |group: &Group| {
            let parent = group.path.parent().unwrap_or(&group.path);
            group.version == Version::V2 || parent.join("pids.max").exists()
        };
        let mut all = Self::default();
        for group in groups {
            if group.version == Version::V2 {
                let above = group.path.ancestors().skip(1);
                all.ooms = above.map_while(|group| Some((group.to_path_buf(), ooms(group)?))).collect();
            }
            if counts_processes(group) {
                all.forks = LimitsAbove::of(&group.path);
            }
        }
        all
    }

    /// The outer group whose limit was hit since.
    fn hit(&self) -> Option<&Path> {
        Self::grown(self, |group| Counters::read(&group.join("memory.events.local")).get("oom"))
    }

    fn grown(&self, now: impl Fn(&Path) -> Option<u64>) -> Option<&Path> {
        self.ooms.iter().find(|(group, before)| now(group) > Some(*before)).map(|(group, _)| group.as_path())
    }
}

/// One line for each limit that was hit.
pub fn lines(stats: &Stats, ended: Ended, limits: &[Limit], above: &AncestorOoms) -> Vec<String> {
    let memory = memory(stats, ended, limits, above);
    let forks = forks(stats, above);
    let slowed = slowed(stats, limits);
    [memory, forks, throttled(stats, limits), slowed].into_iter().flatten().collect()
}

fn forks(stats: &Stats, above: &AncestorOoms) -> Option<String> {
    let refused =
        |count: u64| if count == 1 { "1 fork refused".to_string() } else { format!("{count} forks refused") };
    let denied = stats.pids.denied?;
    let at_limit_above = |group: &Path, count: u64| match is_root_of_namespace(group) {
        true => format!("a limit of processes outside the cgroup namespace was hit: {}", refused(count)),
        false => {
            format!("the limit of processes of {} above was hit: {}", in_words(group), refused(count))
        }
    };
    if denied == 0 {
        // the group with the limit has counted it
        let (group, count) = above.forks.hit().and_then(|(group, count)| Some((group, count?)))?;
        return Some(at_limit_above(group, count));
    }
    let refusals = refused(denied);
    Some(match (stats.pids.whose, stats.pids.limit) {
        (Whose::Own, Some(Some(1))) => format!("the limit of 1 process was hit: {refusals}"),
        (Whose::Own, Some(Some(limit))) => format!("the limit of {limit} processes was hit: {refusals}"),
        (Whose::Below, _) => {
            format!("the limit of processes of a group that the command created was hit: {refusals}")
        }
        (Whose::Own | Whose::Above, _) => match above.forks.hit() {
            Some((group, count)) => at_limit_above(group, count.unwrap_or(denied)),
            None => format!("a limit of processes above this group was hit: {refusals}"),
        },
    })
}

fn memory(stats: &Stats, ended: Ended, limits: &[Limit], above: &AncestorOoms) -> Option<String> {
    let killed = match kills(stats) {
        1 => "1 process killed".to_string(),
        count => format!("{count} processes killed"),
    };
    match Cause::of(stats, ended) {
        Cause::OwnLimit => {
            let limit = stats.memory.limit.flatten().map(|limit| format!(" of {}", Bytes(limit)));
            Some(format!("the memory limit{} was hit: {killed}", limit.unwrap_or_default()))
        }
        Cause::LimitBelow => {
            Some(format!("the memory limit of a group that the command created was hit: {killed}"))
        }
        Cause::LimitAbove => Some(match above.hit() {
            Some(group) => {
                let limit = match is_root_of_namespace(group) {
                    true => "a limit outside the cgroup namespace".to_string(),
                    false => format!("the limit of {}", in_words(group)),
                };
                format!("memory ran out above this group, at {limit}: {killed}")
            }
            None => format!("memory ran out above this group's own limit: {killed}"),
        }),
        Cause::Signal
            if ended == Ended::Killed(9) && limits.iter().any(|limit| matches!(limit, Limit::Memory(_))) =>
        {
            Some(match full_of_v1(stats) {
                None => "SIGKILL came from elsewhere, not from the memory limit".to_string(),
                // the kill was counted in a lower group that has been removed
                Some(limit) => {
                    format!(
                        "SIGKILL came from elsewhere, or the memory limit of {} was hit in a group below",
                        Bytes(limit)
                    )
                }
            })
        }
        Cause::Signal | Cause::Exited | Cause::OutOfTime(_) => None,
    }
}

/// A processor limit is how fast the command may run; only long waiting deserves a line.
fn throttled(stats: &Stats, limits: &[Limit]) -> Option<String> {
    let (periods, throttled) = stats.cpu.get("nr_periods").zip(stats.cpu.get("nr_throttled"))?;
    let limit = limits.iter().find_map(|limit| match limit {
        Limit::Cpu(Bandwidth { quota: Some(quota), period }) => Some((*quota, *period)),
        _ => None,
    });
    let (quota, period) = limit.filter(|_| periods >= 5 && throttled * 4 > periods)?;
    let limit = match period {
        PERIOD_USEC => format!("the limit of {} processors", decimal(quota * 1000 / PERIOD_USEC)),
        _ => format!("the limit of {quota} of each {period} microseconds"),
    };
    let waited = seconds(stats.cpu.get("throttled_usec").unwrap_or(0));
    Some(format!("{limit} slowed the command down: in {throttled} of {periods} periods, {waited} in all"))
}

fn slowed(stats: &Stats, limits: &[Limit]) -> Option<String> {
    let high = stats.memory.events_local.get("high").unwrap_or(0);
    let stalled = stats.pressure.get("memory").map_or(0, |stall| stall.some_usec);
    let asked = limits.iter().any(|limit| matches!(limit, Limit::High(_)));
    // reclaim without a stall is the purpose of memory.high
    (asked && high > 0 && stalled > 100_000)
        .then(|| format!("--memory-high slowed the command down: {high} times, {} in all", seconds(stalled)))
}

/// Microseconds for people.
pub fn seconds(microseconds: u64) -> String {
    format!("{}.{:02} s", microseconds / 1_000_000, microseconds % 1_000_000 / 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::size::Memory;
    use crate::stats::MemoryStats;

    const KILLED: Ended = Ended::Killed(9);
    const LIMIT: Limit = Limit::Memory(Memory(Some(20 << 20)));

    fn counters(list: &[(&str, u64)]) -> Counters {
        Counters(list.iter().map(|(name, count)| (name.to_string(), *count)).collect())
    }

    fn memory(stats: MemoryStats) -> Stats {
        Stats { memory: stats, ..Stats::default() }
    }

    fn v2(own: (u64, u64), all: (u64, u64)) -> Stats {
        memory(MemoryStats {
            events_local: counters(&[("oom", own.0), ("oom_kill", own.1)]),
            events: counters(&[("oom", all.0), ("oom_kill", all.1)]),
            limit: Some(Some(20 << 20)),
            ..MemoryStats::default()
        })
    }

    fn said(stats: &Stats, ended: Ended) -> Vec<String> {
        lines(stats, ended, &[LIMIT], &AncestorOoms::default())
    }

    #[test]
    fn the_own_limit_an_ancestors_and_a_strangers_kill_are_told_apart() {
        let own = v2((1, 1), (1, 1));
        assert_eq!(said(&own, KILLED), ["the memory limit of 20 MiB was hit: 1 process killed"]);
        let above = v2((0, 2), (0, 2));
        assert_eq!(said(&above, KILLED), ["memory ran out above this group's own limit: 2 processes killed"]);
        let below = v2((0, 0), (1, 1));
        assert_eq!(
            said(&below, Ended::Exited(0)),
            ["the memory limit of a group that the command created was hit: 1 process killed"]
        );
        let stranger = v2((0, 0), (0, 0));
        assert_eq!(said(&stranger, KILLED), ["SIGKILL came from elsewhere, not from the memory limit"]);
        assert_eq!(said(&stranger, Ended::Exited(0)), [""; 0]);
    }

    #[test]
    fn a_child_that_was_killed_is_told_though_the_command_ended_well() {
        let stats = v2((1, 1), (1, 1));
        assert_eq!(Cause::of(&stats, Ended::Exited(0)), Cause::OwnLimit);
    }

    #[test]
    fn in_version_1_the_peak_says_whose_limit_it_was() {
        let stats = |peak| MemoryStats {
            events_local: counters(&[("oom_kill", 1)]),
            limit: Some(Some(20 << 20)),
            peak: Some(peak),
            ..MemoryStats::default()
        };
        assert_eq!(Cause::of(&memory(stats(20 << 20)), KILLED), Cause::OwnLimit);
        assert_eq!(Cause::of(&memory(stats(5 << 20)), KILLED), Cause::LimitAbove);
        let below = MemoryStats {
            events_local: counters(&[("oom_kill", 0)]),
            events: counters(&[("oom_kill", 1)]),
            full_below: true,
            ..stats(5 << 20)
        };
        assert_eq!(Cause::of(&memory(below), KILLED), Cause::LimitBelow);
        // counted in a group that was removed since
        let gone = memory(MemoryStats { events_local: counters(&[("oom_kill", 0)]), ..stats(20 << 20) });
        assert_eq!(
            said(&gone, KILLED),
            ["SIGKILL came from elsewhere, or the memory limit of 20 MiB was hit in a group below"]
        );
    }

    #[test]
    fn the_group_above_that_had_no_more_is_named() {
        let ooms = vec![("/cg/a".into(), 3), ("/cg".into(), 1)];
        let above = AncestorOoms { ooms, ..AncestorOoms::default() };
        assert_eq!(
            above.grown(|group| Some(if group == Path::new("/cg") { 2 } else { 3 })),
            Some(Path::new("/cg"))
        );
        assert_eq!(above.grown(|_| Some(1)), None);
    }

    #[test]
    fn the_root_of_the_cgroup_namespace_is_not_called_a_directory() {
        let top = std::env::temp_dir().join(format!("cgexec-namespace-{}", std::process::id()));
        std::fs::create_dir(&top).unwrap();
        std::fs::write(top.join("memory.events.local"), "oom 1\n").unwrap();
        std::fs::write(top.join("pids.events.local"), "max 3\n").unwrap();
        // a hierarchy that no mount shows is reached through a descriptor
        let opened = std::fs::File::open(&top).unwrap();
        let root = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&opened)));
        let above = AncestorOoms {
            ooms: vec![(root.clone(), 0)],
            forks: LimitsAbove { above: vec![root], hit_before: vec![Some(0)] },
        };
        let mut stats = v2((0, 1), (0, 1));
        stats.pids.denied = Some(0);
        let said = lines(&stats, KILLED, &[LIMIT], &above);
        std::fs::remove_dir_all(top).unwrap();
        assert_eq!(
            said,
            [
                "memory ran out above this group, at a limit outside the cgroup namespace: 1 process killed",
                "a limit of processes outside the cgroup namespace was hit: 3 forks refused",
            ]
        );
    }

    #[test]
    fn much_waiting_for_a_processor_is_told_and_little_is_not() {
        let limit = [Limit::Cpu(Bandwidth { quota: Some(50_000), period: 100_000 })];
        let stats = |throttled| Stats {
            cpu: counters(&[("nr_periods", 38), ("nr_throttled", throttled), ("throttled_usec", 2_180_000)]),
            ..Stats::default()
        };
        let said = |throttled| lines(&stats(throttled), Ended::Exited(0), &limit, &AncestorOoms::default());
        assert_eq!(
            said(27),
            ["the limit of 0.5 processors slowed the command down: in 27 of 38 periods, 2.18 s in all"]
        );
        assert_eq!(said(5), [""; 0]);
    }
}

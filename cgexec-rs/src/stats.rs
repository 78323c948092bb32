// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run used, read from its groups before they are gone; what a kernel does not count is absent.

use std::fs;
use std::path::Path;

use crate::group::Group;
use crate::hierarchy::Version;

/// A limit as its file shows it: nothing inside for "no limit".
pub type Most = Option<Option<u64>>;

/// Everything that was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes at most.
    pub memory_peak: Option<u64>,
    /// Bytes of swap at most.
    pub swap_peak: Option<u64>,
    /// memory.max
    pub memory_limit: Most,
    /// memory.events.local: name and count.
    pub own_events: Vec<(String, u64)>,
    /// memory.events: the same with the groups below.
    pub events: Vec<(String, u64)>,
    /// Whether a group that the command made was at its limit of memory, of version 1.
    pub full_below: bool,
    /// Processor time.
    pub cpu: Cpu,
    /// Processes and threads at most.
    pub pids_peak: Option<u64>,
    /// pids.max
    pub pids_limit: Most,
    /// Forks that a limit refused.
    pub pids_denied: Option<u64>,
    /// Each disk and its counts: rbytes, wbytes, rios, wios.
    pub io: Vec<(String, Vec<(String, u64)>)>,
    /// cpu, memory and io: microseconds in which some, and all, had to wait.
    pub pressure: Vec<(&'static str, u64, u64)>,
    /// Processes that were still there.
    pub leftovers: u64,
}

/// Processor time, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// All of it.
    pub usage: Option<u64>,
    /// In programs.
    pub user: Option<u64>,
    /// In the kernel for them.
    pub system: Option<u64>,
    /// Periods of the limit that passed.
    pub periods: Option<u64>,
    /// Periods in which the limit held the group back.
    pub throttled: Option<u64>,
    /// For how long it did.
    pub throttled_usec: Option<u64>,
}

impl Stats {
    /// Reads every group of a run.
    pub fn of(groups: &[Group]) -> Self {
        let mut stats = Self::default();
        for group in groups {
            match group.version {
                Version::V1 => stats.read_v1(&group.path),
                Version::V2 => stats.read_v2(&group.path),
            }
            stats.leftovers = stats.leftovers.max(processes_in(&group.path));
        }
        stats
    }

    fn read_v2(&mut self, group: &Path) {
        let number = |file: &str| number(&group.join(file));
        let counts = |file: &str| counts(&group.join(file));
        keep(&mut self.memory_peak, number("memory.peak"));
        keep(&mut self.swap_peak, number("memory.swap.peak"));
        keep(&mut self.memory_limit, most(&group.join("memory.max")));
        self.own_events.extend(counts("memory.events.local"));
        self.events.extend(counts("memory.events"));
        self.read_pids(group);
        let stat = counts("cpu.stat");
        keep(&mut self.cpu.usage, find(&stat, "usage_usec"));
        keep(&mut self.cpu.user, find(&stat, "user_usec"));
        keep(&mut self.cpu.system, find(&stat, "system_usec"));
        keep(&mut self.cpu.periods, find(&stat, "nr_periods"));
        keep(&mut self.cpu.throttled, find(&stat, "nr_throttled"));
        keep(&mut self.cpu.throttled_usec, find(&stat, "throttled_usec"));
        self.io.extend(io(&read(&group.join("io.stat"))));
        for name in ["cpu", "memory", "io"] {
            let text = read(&group.join(format!("{name}.pressure")));
            if let (Some(some), full) = (stall(&text, "some"), stall(&text, "full")) {
                self.pressure.push((name, some, full.unwrap_or(0)));
            }
        }
    }

    /// # Source
    /// Documentation/admin-guide/cgroup-v1/memory.rst, cpuacct.rst, blkio-controller.rst
    fn read_v1(&mut self, group: &Path) {
        let number = |file: &str| number(&group.join(file));
        let counts = |file: &str| counts(&group.join(file));
        let peak = number("memory.max_usage_in_bytes");
        keep(&mut self.memory_peak, peak);
        let both = number("memory.memsw.max_usage_in_bytes");
        keep(&mut self.swap_peak, both.zip(peak).map(|(both, memory)| both.saturating_sub(memory)));
        let limit = number("memory.limit_in_bytes");
        // "no limit" is the largest number of whole pages
        keep(&mut self.memory_limit, limit.map(|limit| (limit < i64::MAX as u64 / 2).then_some(limit)));
        if let Some(own) = v1_kills(group) {
            // version 1 counts a kill where the process was, and nowhere above
            let below = v1_below(group);
            let all = below.iter().fold(own, |all, (kills, _)| all.saturating_add(*kills));
            self.own_events.push(("oom_kill".to_string(), own));
            self.events.push(("oom_kill".to_string(), all));
            self.full_below |= below.iter().any(|(kills, full)| *kills > 0 && *full);
        }
        self.read_pids(group);
        keep(&mut self.cpu.usage, number("cpuacct.usage").map(|nanoseconds| nanoseconds / 1000));
        keep(&mut self.cpu.user, number("cpuacct.usage_user").map(|nanoseconds| nanoseconds / 1000));
        keep(&mut self.cpu.system, number("cpuacct.usage_sys").map(|nanoseconds| nanoseconds / 1000));
        let stat = counts("cpu.stat");
        keep(&mut self.cpu.periods, find(&stat, "nr_periods"));
        keep(&mut self.cpu.throttled, find(&stat, "nr_throttled"));
        keep(
            &mut self.cpu.throttled_usec,
            find(&stat, "throttled_time").map(|nanoseconds| nanoseconds / 1000),
        );
        self.io.extend(v1_io(
            &read(&group.join("blkio.throttle.io_service_bytes_recursive")),
            &read(&group.join("blkio.throttle.io_serviced_recursive")),
        ));
    }

    fn read_pids(&mut self, group: &Path) {
        keep(&mut self.pids_peak, number(&group.join("pids.peak")));
        keep(&mut self.pids_limit, most(&group.join("pids.max")));
        keep(&mut self.pids_denied, find(&counts(&group.join("pids.events")), "max"));
    }

    /// A count of memory.events.local, 0 where there is none.
    pub fn own_event(&self, name: &str) -> u64 {
        find(&self.own_events, name).unwrap_or(0)
    }

    /// A count of memory.events.
    pub fn event(&self, name: &str) -> u64 {
        find(&self.events, name).unwrap_or(0)
    }
}

fn keep<T>(known: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *known = new;
    }
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

fn number(file: &Path) -> Option<u64> {
    read(file).trim().parse().ok()
}

fn most(file: &Path) -> Most {
    match read(file).trim() {
        "max" => Some(None),
        text => text.parse().ok().map(Some),
    }
}

/// A file of `name value` lines.
pub fn counts(file: &Path) -> Vec<(String, u64)> {
    let text = read(file);
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs.filter_map(|(name, value)| Some((name.to_string(), value.trim().parse().ok()?))).collect()
}

/// One of them.
pub fn find(counts: &[(String, u64)], name: &str) -> Option<u64> {
    counts.iter().find(|(found, _)| found == name).map(|(_, count)| *count)
}

/// Processes of a group that were killed because memory ran out: memory.oom_control, Linux 4.13.
fn v1_kills(group: &Path) -> Option<u64> {
    find(&counts(&group.join("memory.oom_control")), "oom_kill")
}

/// The same for each group below it, and whether that one was at its limit.
fn v1_below(group: &Path) -> Vec<(u64, bool)> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let each = groups.flat_map(|entry| {
        let path = entry.path();
        let peak = number(&path.join("memory.max_usage_in_bytes"));
        let limit = number(&path.join("memory.limit_in_bytes"));
        let own =
            (v1_kills(&path).unwrap_or(0), peak.zip(limit).is_some_and(|(peak, limit)| is_full(peak, limit)));
        [own].into_iter().chain(v1_below(&path))
    });
    each.collect()
}

/// Whether that much was all there is: charges come in batches of 64 pages for each processor.
pub const fn is_full(peak: u64, limit: u64) -> bool {
    peak.saturating_add(1 << 20) >= limit
}

/// io.stat: `8:0 rbytes=1 wbytes=2 …`
fn io(text: &str) -> Vec<(String, Vec<(String, u64)>)> {
    let line = |line: &str| {
        let (disk, rest) = line.split_once(' ')?;
        let pairs = rest.split(' ').filter_map(|pair| pair.split_once('='));
        let counts: Vec<(String, u64)> = pairs
            .filter(|(key, _)| ["rbytes", "wbytes", "rios", "wios"].contains(key))
            .filter_map(|(key, value)| Some((key.to_string(), value.parse().ok()?)))
            .collect();
        (!counts.is_empty()).then(|| (disk.to_string(), counts))
    };
    text.lines().filter_map(line).collect()
}

/// `8:0 Read 1` of two files.
fn v1_io(bytes: &str, operations: &str) -> Vec<(String, Vec<(String, u64)>)> {
    let mut disks: Vec<(String, Vec<(String, u64)>)> = Vec::new();
    for (text, read, write) in [(bytes, "rbytes", "wbytes"), (operations, "rios", "wios")] {
        for line in text.lines() {
            let mut words = line.split(' ');
            let (Some(disk), Some(kind), Some(count)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            let (key, Ok(count)) = (if kind == "Read" { read } else { write }, count.parse()) else {
                continue;
            };
            if !["Read", "Write"].contains(&kind) {
                continue;
            }
            match disks.iter_mut().find(|(known, _)| known == disk) {
                Some((_, counts)) => counts.push((key.to_string(), count)),
                None => disks.push((disk.to_string(), vec![(key.to_string(), count)])),
            }
        }
    }
    disks
}

/// `some avg10=0.00 … total=123`, in microseconds: Documentation/accounting/psi.rst
fn stall(text: &str, kind: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(kind))?;
    line.rsplit_once("total=")?.1.trim().parse().ok()
}

/// Processes in a group and below.
fn processes_in(group: &Path) -> u64 {
    let own = read(&group.join("cgroup.procs")).lines().count() as u64;
    let Ok(entries) = fs::read_dir(group) else { return own };
    let groups = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    own + groups.map(|entry| processes_in(&entry.path())).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_counted_in_the_same_words_in_both_versions() {
        let disk = |counts: &[(&str, u64)]| {
            let counts = counts.iter().map(|(key, count)| (key.to_string(), *count)).collect::<Vec<_>>();
            vec![("8:0".to_string(), counts)]
        };
        assert_eq!(
            io("8:0 rbytes=1 wbytes=2 rios=3 dbytes=9\n7:0 \n"),
            disk(&[("rbytes", 1), ("wbytes", 2), ("rios", 3)])
        );
        let bytes = "8:0 Read 1\n8:0 Write 2\n8:0 Sync 5\n8:0 Total 3\nTotal 3\n";
        assert_eq!(
            v1_io(bytes, "8:0 Read 3\n8:0 Write 4\n"),
            disk(&[("rbytes", 1), ("wbytes", 2), ("rios", 3), ("wios", 4)])
        );
    }

    #[test]
    fn a_stall_is_the_total_of_its_line() {
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=120\nfull avg10=0.00 total=7\n";
        assert_eq!((stall(text, "some"), stall(text, "full"), stall("", "some")), (Some(120), Some(7), None));
    }
}

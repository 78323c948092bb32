//! Reads what a run used from its groups, before they are removed.

use std::path::Path;

use chain::supervise::Ended;

use crate::counters::Counters;
use crate::fork_limit;
use crate::group::Group;
use crate::group_files::{groups_in, limit, number, text};
use crate::limits::Limit;
use crate::stats::{DiskStats, MemoryStats, Stall, Stats};
use crate::version::Version;

/// Reads everything, for a report.
pub fn read(groups: &[Group]) -> Stats {
    let mut stats = Stats::default();
    for group in groups {
        match group.version {
            Version::V1 => read_v1(&mut stats, &group.path),
            Version::V2 => read_v2(&mut stats, &group.path),
        }
        keep(&mut stats.pids.peak, number(&group.path, "pids.peak"));
        keep(&mut stats.pids.limit, limit(&group.path, "pids.max"));
        read_refused_forks(&mut stats, &group.path);
        stats.leftovers = stats.leftovers.max(processes_in(&group.path));
    }
    if stats.memory.peak.is_none() {
        stats.memory.uncounted = Some(why_uncounted(groups));
    }
    stats
}

/// Reads only what the lines about limits need: reading everything is half of the system calls of a short
/// run. `limits` are those of the run.
pub fn read_for_lines(groups: &[Group], limits: &[Limit], ended: Ended) -> Stats {
    let mut stats = Stats::default();
    let limits_processors = limits.iter().any(|limit| matches!(limit, Limit::Cpu(_)));
    let is_slowed = limits.iter().any(|limit| matches!(limit, Limit::High(_)));
    let was_killed = matches!(ended, Ended::Killed(_));
    for Group { version, path, .. } in groups {
        let memory = &mut stats.memory;
        match version {
            Version::V1 => {
                if read_v1_kills(memory, path) > Some(0) || was_killed {
                    read_v1_peak(memory, path);
                }
            }
            Version::V2 => {
                if read_v2_kills(memory, path) > Some(0) || was_killed || is_slowed {
                    read_v2_own_kills(memory, path);
                }
            }
        }
        if read_refused_forks(&mut stats, path) > 0 {
            keep(&mut stats.pids.limit, limit(path, "pids.max"));
        }
        if limits_processors {
            read_throttled(&mut stats, *version, path);
        }
        if is_slowed {
            read_stall(&mut stats, "memory", path);
        }
    }
    stats
}

/// Why there is no memory peak.
fn why_uncounted(groups: &[Group]) -> &'static str {
    let has = |file: &str| groups.iter().any(|group| group.path.join(file).exists());
    match has("memory.current") {
        true => "Linux counts the peak since version 5.19",
        false => "no group of this run has the memory controller",
    }
}

fn read_v2(stats: &mut Stats, group: &Path) {
    let memory = &mut stats.memory;
    keep(&mut memory.peak, number(group, "memory.peak"));
    keep(&mut memory.swap_peak, number(group, "memory.swap.peak"));
    read_v2_own_kills(memory, group);
    read_v2_kills(memory, group);
    let cpu = Counters::read(&group.join("cpu.stat"));
    for name in ["usage_usec", "user_usec", "system_usec"] {
        stats.cpu.set(name, cpu.get(name));
    }
    read_throttled(stats, Version::V2, group);
    stats.io.extend(io(&text(group, "io.stat")));
    for name in ["cpu", "memory", "io"] {
        read_stall(stats, name, group);
    }
}

/// Processes that were killed because memory ran out, in the group and below it. None without the memory
/// controller.
fn read_v2_kills(memory: &mut MemoryStats, group: &Path) -> Option<u64> {
    memory.events.0.extend(Counters::read(&group.join("memory.events")).0);
    memory.events.get("oom_kill")
}

/// Those killed at the group's own limit.
fn read_v2_own_kills(memory: &mut MemoryStats, group: &Path) {
    keep(&mut memory.limit, limit(group, "memory.max"));
    memory.events_local.0.extend(Counters::read(&group.join("memory.events.local")).0);
}

fn read_stall(stats: &mut Stats, resource: &'static str, group: &Path) {
    let stall = stall(&text(group, &format!("{resource}.pressure")));
    stats.pressure.extend(stall.map(|stall| (resource, stall)));
}

/// The periods in which a processor limit stopped the group.
fn read_throttled(stats: &mut Stats, version: Version, group: &Path) {
    let cpu = Counters::read(&group.join("cpu.stat"));
    let throttled = match version {
        Version::V1 => cpu.get("throttled_time").map(|nanoseconds| nanoseconds / 1000),
        Version::V2 => cpu.get("throttled_usec"),
    };
    stats.cpu.set("nr_periods", cpu.get("nr_periods"));
    stats.cpu.set("nr_throttled", cpu.get("nr_throttled"));
    stats.cpu.set("throttled_usec", throttled);
}

/// # Source
/// Documentation/admin-guide/cgroup-v1/memory.rst, cpuacct.rst, blkio-controller.rst
fn read_v1(stats: &mut Stats, group: &Path) {
    // there is no swap peak: memsw.max_usage_in_bytes counts memory and swap together, at another moment
    read_v1_peak(&mut stats.memory, group);
    read_v1_kills(&mut stats.memory, group);
    let usec = |nanoseconds: Option<u64>| nanoseconds.map(|nanoseconds| nanoseconds / 1000);
    let parts = [number(group, "cpuacct.usage_user"), number(group, "cpuacct.usage_sys")];
    if let (Some(usage), None) = (usec(number(group, "cpuacct.usage")), stats.cpu.get("usage_usec")) {
        let (user, system) = parts_of(usage, parts).unzip();
        stats.cpu.set("usage_usec", Some(usage));
        stats.cpu.set("user_usec", user);
        stats.cpu.set("system_usec", system);
    }
    read_throttled(stats, Version::V1, group);
    let bytes = text(group, "blkio.throttle.io_service_bytes_recursive");
    stats.io.extend(v1_io(&bytes, &text(group, "blkio.throttle.io_serviced_recursive")));
}

fn read_v1_peak(memory: &mut MemoryStats, group: &Path) {
    keep(&mut memory.peak, number(group, "memory.max_usage_in_bytes"));
    let limit = number(group, "memory.limit_in_bytes");
    // "no limit" reads as the largest number of whole pages
    keep(&mut memory.limit, limit.map(|limit| (limit < i64::MAX as u64 / 2).then_some(limit)));
}

/// Like [`read_v2_kills`], for both counters. Version 1 counts a kill in the group of the process, not in
/// outer groups.
fn read_v1_kills(memory: &mut MemoryStats, group: &Path) -> Option<u64> {
    let own = v1_oom_kills(group)?;
    let below = v1_oom_kills_below(group);
    let all = below.iter().fold(own, |all, (kills, _)| all.saturating_add(*kills));
    memory.events_local.0.push(("oom_kill".to_string(), own));
    memory.events.0.push(("oom_kill".to_string(), all));
    memory.full_below |= below.iter().any(|(kills, full)| *kills > 0 && *full);
    Some(all)
}

/// User and system time that add up to the total. Version 1 samples both at clock ticks, and only the total
/// is exact. So the samples give the proportion, as in the kernel's cpu.stat and times(2).
fn parts_of(usage: u64, [user, system]: [Option<u64>; 2]) -> Option<(u64, u64)> {
    let (user, system) = (u128::from(user?), u128::from(system?));
    let system = (u128::from(usage) * system).checked_div(user + system)?;
    let system = u64::try_from(system).ok()?;
    Some((usage - system, system))
}

/// How many forks a limit refused.
fn read_refused_forks(stats: &mut Stats, group: &Path) -> u64 {
    let Some((denied, whose)) = fork_limit::refused(group) else { return 0 };
    (stats.pids.denied, stats.pids.whose) = (Some(denied), whose);
    denied
}

fn keep<T>(known: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *known = new;
    }
}

/// Processes of a group that were killed because memory ran out: memory.oom_control, Linux 4.13.
fn v1_oom_kills(group: &Path) -> Option<u64> {
    Counters::read(&group.join("memory.oom_control")).get("oom_kill")
}

/// The same for each group below it, and whether that group reached its own limit.
fn v1_oom_kills_below(group: &Path) -> Vec<(u64, bool)> {
    let each = groups_in(group).flat_map(|path| {
        let peak = number(&path, "memory.max_usage_in_bytes");
        let limit = number(&path, "memory.limit_in_bytes");
        let full = peak.zip(limit).is_some_and(|(peak, limit)| is_full(peak, limit));
        std::iter::once((v1_oom_kills(&path).unwrap_or(0), full)).chain(v1_oom_kills_below(&path))
    });
    each.collect()
}

/// Whether a peak reached a limit: the kernel accounts in batches of 64 pages for each processor.
pub const fn is_full(peak: u64, limit: u64) -> bool {
    peak.saturating_add(1 << 20) >= limit
}

/// io.stat: `8:0 rbytes=1 wbytes=2 …`; a disk without I/O has no counters.
fn io(text: &str) -> Vec<DiskStats> {
    let disk = |line: &str| {
        let (dev, rest) = line.split_once(' ')?;
        let pairs = rest.split(' ').filter_map(|pair| pair.split_once('='));
        let known = pairs.filter(|(name, _)| ["rbytes", "wbytes", "rios", "wios"].contains(name));
        let counters: Vec<(String, u64)> =
            known.filter_map(|(name, count)| Some((name.to_string(), count.parse().ok()?))).collect();
        (!counters.is_empty()).then(|| DiskStats { dev: dev.to_string(), counters: Counters(counters) })
    };
    text.lines().filter_map(disk).collect()
}

/// Lines such as `8:0 Read 1` in two files.
fn v1_io(bytes: &str, operations: &str) -> Vec<DiskStats> {
    let mut disks: Vec<DiskStats> = Vec::new();
    for (text, read, write) in [(bytes, "rbytes", "wbytes"), (operations, "rios", "wios")] {
        for line in text.lines() {
            let [dev, kind, count] = line.split(' ').collect::<Vec<_>>()[..] else { continue };
            let name = match kind {
                "Read" => read,
                "Write" => write,
                _ => continue,
            };
            match disks.iter_mut().find(|disk| disk.dev == dev) {
                Some(disk) => disk.counters.set(name, count.parse().ok()),
                None => {
                    let mut counters = Counters::default();
                    counters.set(name, count.parse().ok());
                    disks.push(DiskStats { dev: dev.to_string(), counters });
                }
            }
        }
    }
    disks
}

/// `some avg10=0.00 … total=123` and the same for `full`: Documentation/accounting/psi.rst
fn stall(text: &str) -> Option<Stall> {
    let total = |kind: &str| {
        let line = text.lines().find(|line| line.starts_with(kind))?;
        line.rsplit_once("total=")?.1.trim().parse().ok()
    };
    Some(Stall { some_usec: total("some")?, full_usec: total("full").unwrap_or(0) })
}

fn processes_in(group: &Path) -> u64 {
    let own = text(group, "cgroup.procs").lines().count() as u64;
    own + groups_in(group).map(|group| processes_in(&group)).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::limits::cpu::Bandwidth;
    use crate::limits::size::Memory;
    use crate::oom::{AncestorOoms, lines};

    #[test]
    fn disks_have_the_same_counters_in_both_versions() {
        let disk = |counters: &[(&str, u64)]| {
            let counters = counters.iter().map(|(name, count)| (name.to_string(), *count)).collect();
            [DiskStats { dev: "8:0".to_string(), counters: Counters(counters) }]
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
    fn the_parts_of_processor_time_add_up_to_the_whole() {
        assert_eq!(parts_of(1000, [Some(30_000_000), Some(10_000_000)]), Some((750, 250)));
        // the sampled ticks can exceed the total
        assert_eq!(parts_of(7, [Some(4_000_000), Some(4_000_000)]), Some((4, 3)));
        assert_eq!(parts_of(7, [Some(0), Some(0)]), None, "no tick has seen it");
        assert_eq!(parts_of(7, [None, Some(1)]), None);
        assert_eq!(parts_of(u64::MAX, [Some(0), Some(u64::MAX)]), Some((0, u64::MAX)));
    }

    #[test]
    fn what_version_2_counts_is_not_told_by_version_1_again() {
        let top = std::env::temp_dir().join(format!("cgexec-twice-{}", std::process::id()));
        for (file, text) in [
            ("v2/cpu.stat", "usage_usec 100\nuser_usec 60\nsystem_usec 40\n"),
            ("v1/cpuacct.usage", "90000\n"),
            ("v1/cpuacct.usage_user", "95000\n"),
            ("v1/cpuacct.usage_sys", "1\n"),
            ("v1/memory.max_usage_in_bytes", "5000000\n"),
            ("v1/memory.memsw.max_usage_in_bytes", "6000000\n"),
        ] {
            fs::create_dir_all(top.join(file).parent().unwrap()).unwrap();
            fs::write(top.join(file), text).unwrap();
        }
        let group = |version, name| Group::new(version, top.join(name));
        let both = read(&[group(Version::V2, "v2"), group(Version::V1, "v1")]);
        let cpu = ["usage_usec", "user_usec", "system_usec"].map(|name| both.cpu.get(name));
        assert_eq!((cpu, both.cpu.0.len()), ([Some(100), Some(60), Some(40)], 3));
        assert_eq!((both.memory.peak, both.memory.swap_peak), (Some(5_000_000), None));
        assert_eq!(both.memory.uncounted, None);
        let alone = read(&[group(Version::V2, "v2")]);
        assert_eq!(alone.memory.uncounted, Some("no group of this run has the memory controller"));
        fs::write(top.join("v2/memory.current"), "1\n").unwrap();
        let old = read(&[group(Version::V2, "v2")]);
        assert_eq!(old.memory.uncounted, Some("Linux counts the peak since version 5.19"));
        fs::remove_dir_all(top).unwrap();
    }

    #[test]
    fn the_lines_about_limits_are_the_same_with_a_report_and_without() {
        let top = std::env::temp_dir().join(format!("cgexec-lines-{}", std::process::id()));
        let v2: &[(&str, &str)] = &[
            ("memory.max", "20971520\n"),
            ("memory.peak", "20971520\n"),
            ("memory.events", "high 9\noom 1\noom_kill 1\n"),
            ("memory.events.local", "high 9\noom 1\noom_kill 1\n"),
            ("memory.pressure", "some total=2890000\nfull total=7\n"),
            ("cpu.stat", "usage_usec 9\nnr_periods 38\nnr_throttled 27\nthrottled_usec 2180000\n"),
            ("pids.max", "5\n"),
            ("pids.events", "max 3\n"),
            ("pids.events.local", "max 3\n"),
        ];
        let v1: &[(&str, &str)] = &[
            ("memory.limit_in_bytes", "20971520\n"),
            ("memory.max_usage_in_bytes", "20971520\n"),
            ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"),
            ("cpu.stat", "nr_periods 38\nnr_throttled 27\nthrottled_time 2180000000\n"),
            ("pids.max", "5\n"),
            ("pids.events", "max 3\n"),
        ];
        let size = |mib: u64| Memory(Some(mib << 20));
        let limits = [
            Limit::Memory(size(20)),
            Limit::High(size(10)),
            Limit::Cpu(Bandwidth { quota: Some(50_000), period: 100_000 }),
        ];
        for (version, files) in [(Version::V2, v2), (Version::V1, v1)] {
            let path = top.join(format!("{version:?}"));
            fs::create_dir_all(&path).unwrap();
            let groups = [Group::new(version, path.clone())];
            let printed = |ended, limits: &[Limit]| {
                let lines = |stats| lines(&stats, ended, limits, &AncestorOoms::default());
                let all = lines(read(&groups));
                assert_eq!(lines(read_for_lines(&groups, limits, ended)), all, "{version:?} {ended:?}");
                all.len()
            };
            files.iter().for_each(|(file, text)| fs::write(path.join(file), text).unwrap());
            let slowed = usize::from(version == Version::V2);
            assert_eq!(printed(Ended::Killed(9), &limits), 3 + slowed);
            assert_eq!(printed(Ended::Exited(0), &limits), 3 + slowed);
            assert_eq!(printed(Ended::Exited(0), &[]), 2);
            for (file, text) in [("memory.events", "oom_kill 0\n"), ("memory.oom_control", "oom_kill 0\n")] {
                fs::write(path.join(file), text).unwrap();
            }
            fs::write(path.join("memory.events.local"), "high 0\noom 0\noom_kill 0\n").unwrap();
            // a kill from elsewhere, forks and processors
            assert_eq!(printed(Ended::Killed(9), &limits), 3);
            assert_eq!(printed(Ended::Exited(0), &limits), 2);
        }
        fs::remove_dir_all(top).unwrap();
    }

    #[test]
    fn a_stall_is_the_total_of_its_line() {
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=120\nfull avg10=0.00 total=7\n";
        assert_eq!(stall(text), Some(Stall { some_usec: 120, full_usec: 7 }));
        assert_eq!(stall(""), None);
    }
}

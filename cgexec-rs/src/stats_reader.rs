//! Reads what a run used from its groups, before they are removed.

use std::path::Path;

use crate::counters::Counters;
use crate::fork_limit;
use crate::group::Group;
use crate::group_files::{groups_in, limit, number, text};
use crate::stats::{DiskStats, Stall, Stats};
use crate::version::Version;

pub fn read(groups: &[Group]) -> Stats {
    let mut stats = Stats::default();
    for group in groups {
        match group.version {
            Version::V1 => read_v1(&mut stats, &group.path),
            Version::V2 => read_v2(&mut stats, &group.path),
        }
        read_pids(&mut stats, &group.path);
        stats.leftovers = stats.leftovers.max(processes_in(&group.path));
    }
    if stats.memory.peak.is_none() {
        stats.memory.uncounted = Some(why_uncounted(groups));
    }
    stats
}

/// Why there is no peak of memory.
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
    keep(&mut memory.limit, limit(group, "memory.max"));
    memory.events_local.0.extend(Counters::read(&group.join("memory.events.local")).0);
    memory.events.0.extend(Counters::read(&group.join("memory.events")).0);
    let cpu = Counters::read(&group.join("cpu.stat"));
    for name in ["usage_usec", "user_usec", "system_usec", "nr_periods", "nr_throttled", "throttled_usec"] {
        stats.cpu.set(name, cpu.get(name));
    }
    stats.io.extend(io(&text(group, "io.stat")));
    for name in ["cpu", "memory", "io"] {
        stats.pressure.extend(stall(&text(group, &format!("{name}.pressure"))).map(|stall| (name, stall)));
    }
}

/// # Source
/// Documentation/admin-guide/cgroup-v1/memory.rst, cpuacct.rst, blkio-controller.rst
fn read_v1(stats: &mut Stats, group: &Path) {
    let memory = &mut stats.memory;
    // there is no peak of swap: memsw.max_usage_in_bytes counts both together, at another moment
    keep(&mut memory.peak, number(group, "memory.max_usage_in_bytes"));
    let limit = number(group, "memory.limit_in_bytes");
    // no limit reads as the largest number of whole pages
    keep(&mut memory.limit, limit.map(|limit| (limit < i64::MAX as u64 / 2).then_some(limit)));
    if let Some(own) = v1_oom_kills(group) {
        // version 1 counts a kill in the group of the process, not in the groups above
        let below = v1_oom_kills_below(group);
        let all = below.iter().fold(own, |all, (kills, _)| all.saturating_add(*kills));
        memory.events_local.0.push(("oom_kill".to_string(), own));
        memory.events.0.push(("oom_kill".to_string(), all));
        memory.full_below |= below.iter().any(|(kills, full)| *kills > 0 && *full);
    }
    let usec = |nanoseconds: Option<u64>| nanoseconds.map(|nanoseconds| nanoseconds / 1000);
    let parts = [number(group, "cpuacct.usage_user"), number(group, "cpuacct.usage_sys")];
    if let (Some(usage), None) = (usec(number(group, "cpuacct.usage")), stats.cpu.get("usage_usec")) {
        let (user, system) = parts_of(usage, parts).unzip();
        stats.cpu.set("usage_usec", Some(usage));
        stats.cpu.set("user_usec", user);
        stats.cpu.set("system_usec", system);
    }
    let cpu = Counters::read(&group.join("cpu.stat"));
    stats.cpu.set("nr_periods", cpu.get("nr_periods"));
    stats.cpu.set("nr_throttled", cpu.get("nr_throttled"));
    stats.cpu.set("throttled_usec", usec(cpu.get("throttled_time")));
    let bytes = text(group, "blkio.throttle.io_service_bytes_recursive");
    stats.io.extend(v1_io(&bytes, &text(group, "blkio.throttle.io_serviced_recursive")));
}

/// User and system time that add up to the whole: version 1 samples both at the clock's ticks, and only
/// the whole is exact, so the samples say in which proportion it is divided, as the kernel does it for
/// cpu.stat and times(2).
fn parts_of(usage: u64, [user, system]: [Option<u64>; 2]) -> Option<(u64, u64)> {
    let (user, system) = (u128::from(user?), u128::from(system?));
    let system = (u128::from(usage) * system).checked_div(user + system)?;
    let system = u64::try_from(system).ok()?;
    Some((usage - system, system))
}

fn read_pids(stats: &mut Stats, group: &Path) {
    keep(&mut stats.pids.peak, number(group, "pids.peak"));
    keep(&mut stats.pids.limit, limit(group, "pids.max"));
    if let Some((denied, whose)) = fork_limit::refused(group) {
        (stats.pids.denied, stats.pids.whose) = (Some(denied), whose);
    }
}

fn keep<T>(known: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *known = new;
    }
}

/// Processes of a group that were killed for want of memory: memory.oom_control, Linux 4.13.
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

/// Whether a peak reached a limit: the kernel charges in batches of 64 pages for each processor.
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

/// `8:0 Read 1` of two files.
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
        // sampled at ticks they can be more than the whole
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
    fn a_stall_is_the_total_of_its_line() {
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=120\nfull avg10=0.00 total=7\n";
        assert_eq!(stall(text), Some(Stall { some_usec: 120, full_usec: 7 }));
        assert_eq!(stall(""), None);
    }
}

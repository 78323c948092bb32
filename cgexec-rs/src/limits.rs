//! Limits: each is a value with its unit, and the files for it in both versions.

pub mod cpu;
pub mod device;
pub mod hugetlb;
pub mod io;
pub mod list;
pub mod raw;
pub mod size;

use std::fmt::{self, Display};
use std::path::Path;
use std::str::FromStr;

use crate::control_file::{ControlFile, PAGE, ReadBack};
use crate::version::Version;
use cpu::{Bandwidth, CpuWeight, PERIOD_USEC};
use device::DeviceRule;
use hugetlb::HugeTlb;
use io::{IoWeight, Rate};
use list::List;
use raw::Raw;
use size::{Bytes, Memory, decimal, or_max};

/// A number of processes and threads; None for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pids(pub Option<u64>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    Memory(Memory),
    High(Memory),
    Low(Memory),
    Min(Memory),
    /// `--memory-swap-max`, with `--memory` if that is given
    Swap {
        memory: Option<Memory>,
        swap: Memory,
    },
    OomGroup,
    Pids(Pids),
    /// `--cpus`, `--cpu-quota`, `--cpu-period`
    Cpu(Bandwidth),
    CpuWeight(CpuWeight),
    CpuIdle,
    Cpus(List),
    Mems(List),
    /// `--io-max`, `--device-read-bps` and similar options
    Io(Rate),
    IoWeight(IoWeight),
    HugeTlb(HugeTlb),
    /// `--device`: these rules and the usual ones
    Devices(Vec<DeviceRule>),
    Raw(Raw),
}

impl Limit {
    /// The controller that enforces it: cgroups(7). For io, version 1 has another name.
    pub fn controller(&self, version: Version) -> &str {
        match self {
            Self::Memory(_) | Self::High(_) | Self::Low(_) | Self::Min(_) => "memory",
            Self::Swap { .. } | Self::OomGroup => "memory",
            Self::Pids(_) => "pids",
            Self::Cpu(_) | Self::CpuWeight(_) | Self::CpuIdle => "cpu",
            Self::Cpus(_) | Self::Mems(_) => "cpuset",
            Self::Io(_) | Self::IoWeight(_) if version == Version::V1 => "blkio",
            Self::Io(_) | Self::IoWeight(_) => "io",
            Self::HugeTlb(_) => "hugetlb",
            Self::Devices(_) if version == Version::V1 => "devices",
            // no controller and no file: a program is attached
            Self::Devices(_) => "cgroup",
            Self::Raw(raw) => raw.controller(),
        }
    }

    /// The files to write, in order, below a group of this version.
    ///
    /// # Errors
    /// Version 1 has no equivalent.
    ///
    /// # Source
    /// Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/*.rst; scheduler/sched-bwc.rst.
    pub fn settings(&self, version: Version, parent: &Path) -> Result<Vec<ControlFile>, String> {
        match version {
            Version::V1 => self.v1(parent),
            Version::V2 => Ok(self.v2(parent)),
        }
    }

    fn v2(&self, parent: &Path) -> Vec<ControlFile> {
        let size = |file, bytes: &Memory| {
            ControlFile::new(file, or_max(bytes.0, "max")).checked_by(ReadBack::Rounded(PAGE))
        };
        let in_effect = |file, effective, list: &List| {
            ControlFile::new(file, list.to_string()).checked_by(ReadBack::In(effective, list.to_string()))
        };
        match self {
            Self::Memory(bytes) => vec![size("memory.max", bytes)],
            Self::High(bytes) => vec![size("memory.high", bytes)],
            Self::Low(bytes) => vec![size("memory.low", bytes)],
            Self::Min(bytes) => vec![size("memory.min", bytes)],
            Self::Swap { swap, .. } => vec![size("memory.swap.max", swap)],
            Self::OomGroup => vec![ControlFile::new("memory.oom.group", "1")],
            Self::Pids(Pids(count)) => vec![ControlFile::new("pids.max", or_max(*count, "max"))],
            Self::Cpu(Bandwidth { quota, period }) => {
                vec![ControlFile::new("cpu.max", format!("{} {period}", or_max(*quota, "max")))]
            }
            Self::CpuWeight(weight) => vec![ControlFile::new("cpu.weight", weight.weight.to_string())],
            Self::CpuIdle => vec![ControlFile::new("cpu.idle", "1")],
            // the file accepts processors that outer groups do not have; the other file shows what is in
            // effect
            Self::Cpus(list) => vec![in_effect("cpuset.cpus", "cpuset.cpus.effective", list)],
            Self::Mems(list) => vec![in_effect("cpuset.mems", "cpuset.mems.effective", list)],
            Self::Io(rate) => {
                let word = format!("{}={}", rate.count.key(), or_max(rate.most, "max"));
                let disk = rate.disk.to_string();
                vec![
                    ControlFile::new("io.max", format!("{disk} {word}"))
                        .checked_by(ReadBack::Line(disk, word)),
                ]
            }
            Self::IoWeight(weight) => {
                let bfq = parent.join("io.bfq.weight").exists() && !parent.join("io.weight").exists();
                let (file, weight) =
                    if bfq { ("io.bfq.weight", weight.bfq) } else { ("io.weight", weight.iocost) };
                let seen = ReadBack::Line("default".to_string(), weight.to_string());
                vec![ControlFile::new(file, weight.to_string()).checked_by(seen)]
            }
            Self::HugeTlb(huge) => huge_pages(huge, "max", "max"),
            Self::Devices(_) => Vec::new(),
            Self::Raw(raw) => vec![ControlFile::new(&raw.file, &raw.value).checked_by(raw.read_back())],
        }
    }

    fn v1(&self, parent: &Path) -> Result<Vec<ControlFile>, String> {
        let size = |file, bytes: &Memory| {
            ControlFile::new(file, or_max(bytes.0, "-1")).checked_by(ReadBack::Rounded(PAGE))
        };
        Ok(match self {
            Self::Memory(bytes) => vec![size("memory.limit_in_bytes", bytes)],
            Self::Low(bytes) => vec![size("memory.soft_limit_in_bytes", bytes)],
            Self::Swap { memory: Some(Memory(memory)), swap: Memory(swap) } => {
                let total = memory.zip(*swap).map(|(memory, swap)| memory.saturating_add(swap));
                vec![size("memory.memsw.limit_in_bytes", &Memory(total))]
            }
            Self::Swap { memory: None, .. } => {
                return Err("version 1 limits memory and swap together: add --memory".to_string());
            }
            Self::High(_) | Self::Min(_) | Self::OomGroup => return Err(only_v2(self)),
            Self::Cpu(Bandwidth { quota, period }) => vec![
                ControlFile::new("cpu.cfs_period_us", period.to_string()),
                ControlFile::new("cpu.cfs_quota_us", or_max(*quota, "-1")),
            ],
            Self::CpuWeight(weight) => vec![ControlFile::new("cpu.shares", weight.shares.to_string())],
            Self::Cpus(list) => vec![cpuset(parent, "cpus", list.to_string())],
            Self::Mems(list) => vec![cpuset(parent, "mems", list.to_string())],
            Self::Io(rate) => {
                let (disk, most) = (rate.disk.to_string(), rate.most.unwrap_or(0).to_string());
                let seen = ReadBack::Line(disk.clone(), most.clone());
                vec![ControlFile::new(rate.count.v1_file(), format!("{disk} {most}")).checked_by(seen)]
            }
            Self::IoWeight(weight) => {
                // before Linux 5.0 it belonged to the cfq scheduler, and the root group had it
                let file =
                    if parent.join("blkio.weight").exists() { "blkio.weight" } else { "blkio.bfq.weight" };
                vec![ControlFile::new(file, weight.bfq.to_string())]
            }
            Self::HugeTlb(huge) => huge_pages(huge, "limit_in_bytes", "-1"),
            Self::Devices(rules) => {
                let write = |file, rule| ControlFile::new(file, rule).checked_by(ReadBack::Unknown);
                let allow = device::allowed(rules).into_iter().map(|rule| write("devices.allow", rule));
                std::iter::once(write("devices.deny", "a".to_string())).chain(allow).collect()
            }
            Self::Pids(_) | Self::CpuIdle | Self::Raw(_) => self.v2(parent),
        })
    }
}

/// A file of a version 1 cpuset, with or without the prefix, as it was mounted: cpuset(7)
pub fn cpuset(parent: &Path, name: &str, value: String) -> ControlFile {
    let file = if parent.join(name).exists() { name.to_string() } else { format!("cpuset.{name}") };
    ControlFile::new(file, value)
}

fn huge_pages(huge: &HugeTlb, file: &str, unlimited: &str) -> Vec<ControlFile> {
    let name = huge.name();
    // the reservation limit makes mmap(2) fail; a limit on pages alone would end the process with SIGBUS
    [format!("hugetlb.{name}.{file}"), format!("hugetlb.{name}.rsvd.{file}")]
        .map(|file| {
            ControlFile::new(file, or_max(huge.most.0, unlimited)).checked_by(ReadBack::Rounded(huge.page))
        })
        .to_vec()
}

fn only_v2(limit: &Limit) -> String {
    let what = match limit {
        Limit::High(_) => "--memory-high",
        Limit::Min(_) => "--memory-min",
        Limit::OomGroup => "--oom-group",
        // every other limit exists in both versions
        other => return format!("version 1 cannot limit {other}"),
    };
    format!(
        "{what} needs version 2, and the controller {} is in version 1 here",
        limit.controller(Version::V1)
    )
}

/// As part of a sentence: "memory to 50 MiB".
impl Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut size = |what: &str, bytes: &Memory| match bytes.0 {
            Some(bytes) => write!(f, "{what} {}", Bytes(bytes)),
            None => write!(f, "{what} no limit"),
        };
        match self {
            Self::Memory(bytes) => size("memory to", bytes),
            Self::High(bytes) => size("memory, by slowing it down, to", bytes),
            Self::Low(bytes) => size("reclaim, if possible, to memory above", bytes),
            Self::Min(bytes) => size("reclaim to memory above", bytes),
            Self::Swap { swap, .. } => size("swap to", swap),
            Self::OomGroup => f.write_str("out-of-memory kills to the group as a whole"),
            Self::Pids(Pids(None)) => f.write_str("processes to no limit"),
            Self::Pids(Pids(Some(count))) => write!(f, "processes to {count}"),
            Self::Cpu(Bandwidth { quota: None, .. }) => f.write_str("processors to no limit"),
            Self::Cpu(Bandwidth { quota: Some(quota), period: PERIOD_USEC }) => {
                write!(f, "processors to {}", decimal(quota * 1000 / PERIOD_USEC))
            }
            Self::Cpu(Bandwidth { quota: Some(quota), period }) => {
                write!(f, "processor time to {quota} of each {period} microseconds")
            }
            Self::CpuWeight(weight) => write!(f, "its share of busy processors to weight {}", weight.weight),
            Self::CpuIdle => f.write_str("processor time to what no other process needs"),
            Self::Cpus(list) => write!(f, "the processors to {list}"),
            Self::Mems(list) => write!(f, "the memory nodes to {list}"),
            Self::Io(rate) => rate.fmt(f),
            Self::IoWeight(weight) => write!(f, "its share of busy disks to weight {}", weight.iocost),
            Self::HugeTlb(huge) => size(&format!("huge pages of {} to", huge.name()), &huge.most),
            Self::Devices(rules) => {
                f.write_str("devices to those of a container")?;
                rules.iter().try_for_each(|rule| write!(f, ", {rule}"))
            }
            Self::Raw(raw) => write!(f, "{} to {}", raw.file, raw.value),
        }
    }
}

impl FromStr for Pids {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if size::is_unlimited(text) {
            return Ok(Self(None));
        }
        match text.parse() {
            // PIDS_MAX: kernel/cgroup/pids.c
            Ok(count @ 1..=4_194_304) => Ok(Self(Some(count))),
            Ok(0) => Err("the command itself counts as one process".to_string()),
            _ => Err("expected 1 to 4194304 processes, or max".to_string()),
        }
    }
}

#[cfg(test)]
mod tests;

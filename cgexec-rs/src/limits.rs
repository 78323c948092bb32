// SPDX-License-Identifier: MIT OR Apache-2.0
//! Limits: each a type with its unit, and the file that takes it in either version.

use std::fmt::{self, Display};
use std::str::FromStr;

use crate::hierarchy::Version;

/// Bytes of memory; nothing for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory(pub Option<u64>);

/// A number of processes and threads; nothing for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pids(pub Option<u64>);

/// Processor time, in microseconds of each period of 100,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpus(pub u64);

/// The period of the processor limit, in microseconds: the kernel's default.
const PERIOD_USEC: u64 = 100_000;

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `--memory`
    Memory(Memory),
    /// `--pids-limit`
    Pids(Pids),
    /// `--cpus`
    Cpus(Cpus),
}

impl Limit {
    /// The controller that enforces it: cgroups(7).
    pub const fn controller(self) -> &'static str {
        match self {
            Self::Memory(_) => "memory",
            Self::Pids(_) => "pids",
            Self::Cpus(_) => "cpu",
        }
    }

    /// The files to write, in order, and what to write.
    ///
    /// # Source
    /// Documentation/admin-guide/cgroup-v2.rst; cgroup-v1/memory.rst, pids.rst; scheduler/sched-bwc.rst.
    pub fn files(self, version: Version) -> Vec<(&'static str, String)> {
        match (self, version) {
            (Self::Memory(Memory(bytes)), Version::V2) => vec![("memory.max", or_max(bytes, "max"))],
            (Self::Memory(Memory(bytes)), Version::V1) => {
                vec![("memory.limit_in_bytes", or_max(bytes, "-1"))]
            }
            (Self::Pids(Pids(count)), _) => vec![("pids.max", or_max(count, "max"))],
            (Self::Cpus(Cpus(quota)), Version::V2) => vec![("cpu.max", format!("{quota} {PERIOD_USEC}"))],
            (Self::Cpus(Cpus(quota)), Version::V1) => {
                vec![("cpu.cfs_period_us", PERIOD_USEC.to_string()), ("cpu.cfs_quota_us", quota.to_string())]
            }
        }
    }
}

fn or_max(value: Option<u64>, unlimited: &str) -> String {
    value.map_or_else(|| unlimited.to_string(), |value| value.to_string())
}

/// As a sentence says it: "memory to 50 MiB".
impl Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(Memory(None)) => f.write_str("memory to no limit"),
            Self::Memory(Memory(Some(bytes))) => write!(f, "memory to {}", Bytes(*bytes)),
            Self::Pids(Pids(None)) => f.write_str("processes to no limit"),
            Self::Pids(Pids(Some(count))) => write!(f, "processes to {count}"),
            Self::Cpus(Cpus(quota)) => write!(f, "processors to {}", thousandths(quota * 1000 / PERIOD_USEC)),
        }
    }
}

/// A size as people say it, exact where a unit divides it.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(pub u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units.iter().find(|(size, _)| self.0 >= *size && self.0.is_multiple_of(*size)) {
            Some((size, unit)) => write!(f, "{} {unit}", self.0 / size),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

fn thousandths(value: u64) -> String {
    let text = format!("{}.{:03}", value / 1000, value % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if is_unlimited(text) {
            return Ok(Self(None));
        }
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let shift = match unit.to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
            "" => 0,
            "k" => 10,
            "m" => 20,
            "g" => 30,
            "t" => 40,
            _ => return Err("the unit is one of k, m, g and t".to_string()),
        };
        let thousandths = parse_thousandths(number).ok_or("a size is a number and a unit: 50M, 1.5G")?;
        let bytes = (u128::from(thousandths) << shift) / 1000;
        u64::try_from(bytes)
            .ok()
            .filter(|bytes| *bytes <= i64::MAX as u64)
            .map(|bytes| Self(Some(bytes)))
            .ok_or_else(|| "that is more than a machine can have".to_string())
    }
}

impl FromStr for Pids {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if is_unlimited(text) {
            return Ok(Self(None));
        }
        match text.parse() {
            // PIDS_MAX: kernel/cgroup/pids.c
            Ok(count @ 1..=4_194_304) => Ok(Self(Some(count))),
            Ok(0) => Err("with no process at all the command cannot start".to_string()),
            _ => Err("a number of processes is from 1 to 4194304, or max".to_string()),
        }
    }
}

impl FromStr for Cpus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let thousandths = parse_thousandths(text).ok_or("a number of processors is like 0.5 or 2")?;
        // the kernel takes no quota below a millisecond
        match thousandths.checked_mul(PERIOD_USEC / 1000) {
            Some(quota) if quota >= 1000 => Ok(Self(quota)),
            Some(_) => Err("the least is 0.01".to_string()),
            None => Err("that is more than a machine can have".to_string()),
        }
    }
}

fn is_unlimited(text: &str) -> bool {
    text == "max" || text == "-1"
}

/// A decimal number in thousandths; digits beyond the third are cut off.
fn parse_thousandths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole: u64 = whole.bytes().all(|byte| byte.is_ascii_digit()).then(|| whole.parse().ok())??;
    let part: u64 = format!("{part:0<3}").get(..3)?.parse().ok()?;
    whole.checked_mul(1000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in
            [("4096", 4096), ("50M", 50 << 20), ("50mb", 50 << 20), ("1.5G", 3 << 29), ("2KiB", 2048)]
        {
            assert_eq!(text.parse(), Ok(Memory(Some(bytes))), "{text}");
        }
        assert_eq!("max".parse(), Ok(Memory(None)));
        assert_eq!("-1".parse(), Ok(Memory(None)));
    }

    #[test]
    fn nonsense_is_no_size() {
        for text in ["", "M", "-5", "5X", "1..5G", "1e3", "99999999999T", "０"] {
            assert!(text.parse::<Memory>().is_err(), "{text}");
        }
    }

    #[test]
    fn processors_become_a_quota_of_each_period() {
        assert_eq!("0.5".parse(), Ok(Cpus(50_000)));
        assert_eq!("2".parse(), Ok(Cpus(200_000)));
        assert!("0.001".parse::<Cpus>().is_err());
        assert!("0".parse::<Cpus>().is_err());
    }

    #[test]
    fn a_command_needs_at_least_one_process() {
        assert_eq!("20".parse(), Ok(Pids(Some(20))));
        assert!("0".parse::<Pids>().is_err());
        assert!("4194305".parse::<Pids>().is_err());
    }

    #[test]
    fn each_version_has_its_own_files() {
        let memory = Limit::Memory(Memory(Some(1 << 20)));
        assert_eq!(memory.files(Version::V2), [("memory.max", "1048576".to_string())]);
        assert_eq!(memory.files(Version::V1), [("memory.limit_in_bytes", "1048576".to_string())]);
        let cpus = Limit::Cpus(Cpus(50_000));
        assert_eq!(cpus.files(Version::V2), [("cpu.max", "50000 100000".to_string())]);
        assert_eq!(
            cpus.files(Version::V1),
            [("cpu.cfs_period_us", "100000".to_string()), ("cpu.cfs_quota_us", "50000".to_string())]
        );
    }

    #[test]
    fn limits_are_said_as_people_say_them() {
        assert_eq!(Limit::Memory(Memory(Some(50 << 20))).to_string(), "memory to 50 MiB");
        assert_eq!(Limit::Cpus(Cpus(150_000)).to_string(), "processors to 1.5");
    }
}

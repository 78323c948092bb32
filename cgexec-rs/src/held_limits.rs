//! Limits that apply to a process: those of its group and of each outer group.
//!
//! A process that leaves a group leaves its limits, so all files that can contain one are read first.

use std::ffi::OsStr;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use system::sys;

/// A file of a group that sets a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLimit {
    pub group: PathBuf,
    pub file: String,
    pub value: String,
}

impl HeldLimit {
    /// The property with which systemd sets it, and its value: systemd.resource-control(5). None for a limit
    /// that systemd does not set, or sets in several properties.
    pub fn property(&self) -> Option<String> {
        let value = &self.value;
        Some(match self.file.as_str() {
            "memory.max" => format!("MemoryMax={value}"),
            "memory.high" => format!("MemoryHigh={value}"),
            "memory.swap.max" => format!("MemorySwapMax={value}"),
            "pids.max" => format!("TasksMax={value}"),
            "cpuset.cpus" => format!("AllowedCPUs={value}"),
            "cpuset.mems" => format!("AllowedMemoryNodes={value}"),
            "cpu.max" => {
                let (quota, period) = value.split_once(' ')?;
                let (quota, period): (u64, u64) = (quota.parse().ok()?, period.parse().ok()?);
                format!("CPUQuota={}%", quota.checked_mul(100)?.checked_div(period)?)
            }
            _ => return None,
        })
    }
}

/// The limits of one group.
pub fn of(group: &Path) -> Vec<HeldLimit> {
    let mut limits = Vec::new();
    // a group that cannot be listed shows no limits
    let _ = sys::for_each_entry(group, &mut |name: &OsStr| {
        let Some(file) = name.to_str().filter(|name| can_limit(name)) else {
            return ControlFlow::Continue(());
        };
        let value = fs::read_to_string(group.join(file)).unwrap_or_default();
        if is_set(file, value.trim()) {
            let (file, value) = (file.to_string(), value.trim().replace('\n', "; "));
            limits.push(HeldLimit { group: group.to_path_buf(), file, value });
        }
        ControlFlow::Continue(())
    });
    limits.sort_by(|one, other| one.file.cmp(&other.file));
    limits
}

/// The groups that a process has left once it is in `target`: those that do not contain `target`.
pub fn groups_to_leave<'a>(own: &'a Path, target: &'a Path) -> impl Iterator<Item = &'a Path> {
    own.ancestors().take_while(move |group| !target.starts_with(group))
}

fn can_limit(file: &str) -> bool {
    file.ends_with(".max") || matches!(file, "memory.high" | "cpuset.cpus" | "cpuset.mems")
}

/// Whether a file sets a limit.
///
/// # Source
/// Documentation/admin-guide/cgroup-v2.rst: "max" means no limit, alone, after a name, or in each pair of a
/// disk or a device. cpu.max has the period after it, and a cpuset that is not set is empty.
fn is_set(file: &str, value: &str) -> bool {
    if file == "cpu.max" {
        return value.split(' ').next() != Some("max");
    }
    let limits = |word: &str| match word.rsplit_once('=') {
        Some((_, value)) => value != "max",
        None => false,
    };
    value.lines().any(|line| match line.rsplit_once(' ') {
        _ if line.contains('=') => line.split(' ').any(limits),
        Some((_, last)) => last != "max",
        None => line != "max",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_whatever_is_not_max() {
        for (file, value) in [
            ("memory.max", "31457280"),
            ("cpu.max", "50000 100000"),
            ("cpuset.cpus", "0"),
            ("io.max", "8:0 rbps=max wbps=1048576 riops=max wiops=max"),
            ("misc.max", "sev 5\nsev_es max"),
            ("rdma.max", "mlx4_0 hca_handle=2 hca_object=max"),
            ("pids.max", "0"),
        ] {
            assert!(can_limit(file) && is_set(file, value), "{file} {value}");
        }
        for (file, value) in [
            ("memory.max", "max"),
            ("cpu.max", "max 100000"),
            ("cpuset.cpus", ""),
            ("io.max", ""),
            ("io.max", "8:0 rbps=max wbps=max riops=max wiops=max"),
            ("misc.max", "sev max\nsev_es max"),
            ("hugetlb.2MB.max", "max"),
        ] {
            assert!(can_limit(file) && !is_set(file, value), "{file} {value}");
        }
        for file in ["cgroup.max.depth", "memory.current", "cpu.max.burst", "memory.low"] {
            assert!(!can_limit(file), "{file}");
        }
    }

    #[test]
    fn systemd_sets_the_same_limit_by_a_property() {
        let property = |file: &str, value: &str| {
            HeldLimit { group: PathBuf::new(), file: file.into(), value: value.into() }.property()
        };
        assert_eq!(property("memory.max", "31457280").as_deref(), Some("MemoryMax=31457280"));
        assert_eq!(property("cpu.max", "50000 100000").as_deref(), Some("CPUQuota=50%"));
        assert_eq!(property("cpuset.cpus", "0-1,3").as_deref(), Some("AllowedCPUs=0-1,3"));
        assert_eq!(property("io.max", "8:0 rbps=1"), None);
    }

    #[test]
    fn what_is_left_are_the_groups_that_are_not_above_the_target() {
        let left = |own: &'static str, target: &'static str| {
            groups_to_leave(Path::new(own), Path::new(target))
                .map(|group| group.display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            left("/cg/a.slice/x.scope/y", "/cg/a.slice"),
            ["/cg/a.slice/x.scope/y", "/cg/a.slice/x.scope"]
        );
        assert_eq!(left("/cg/a.slice/x.scope", "/cg/b.slice"), ["/cg/a.slice/x.scope", "/cg/a.slice"]);
        assert_eq!(left("/cg", "/cg/b.slice"), [""; 0]);
    }
}

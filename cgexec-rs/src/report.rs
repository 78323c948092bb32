// SPDX-License-Identifier: MIT OR Apache-2.0
//! The truth afterwards: which limit was hit, read before the group is gone.

use std::fs;
use std::path::Path;

use chain::Tell;

use crate::hierarchy::Version;
use crate::limits::{Bytes, Limit, Memory, Pids};
use crate::place::Group;

/// Says in one line each which limits of the group were hit.
pub fn say_hits(tell: &Tell, groups: &[Group]) {
    for group in groups {
        for limit in &group.limits {
            if let Some(line) = hit(group, *limit) {
                tell.line(line);
            }
        }
    }
}

fn hit(group: &Group, limit: Limit) -> Option<String> {
    match limit {
        Limit::Memory(Memory(bytes)) => memory(group, bytes?),
        Limit::Pids(Pids(count)) => {
            let refused = count_in(&group.path.join("pids.events"), "max")?;
            let forks = if refused == 1 { "1 fork".to_string() } else { format!("{refused} forks") };
            Some(format!("the limit of {} processes was hit: {forks} refused", count?))
        }
        // a processor limit is not hit, it is what the command runs at
        Limit::Cpus(_) => None,
    }
}

fn memory(group: &Group, bytes: u64) -> Option<String> {
    let (file, own) = match group.version {
        // oom counts what our own limit caused, oom_kill also what a limit above us did
        Version::V2 => {
            ("memory.events.local", count_in(&group.path.join("memory.events.local"), "oom").is_some())
        }
        Version::V1 => ("memory.oom_control", true),
    };
    let killed = count_in(&group.path.join(file), "oom_kill")?;
    let processes = if killed == 1 { "1 process".to_string() } else { format!("{killed} processes") };
    Some(if own {
        format!("the memory limit of {} was hit: {processes} killed", Bytes(bytes))
    } else {
        format!("memory ran out above this group's own limit: {processes} killed")
    })
}

/// A counter of a file of `name value` lines, where it is not zero.
fn count_in(file: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    value.trim().parse().ok().filter(|count| *count > 0)
}

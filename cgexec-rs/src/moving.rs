//! The groups for running processes: `--move`.
//!
//! A new group is below the current group of the processes, so that all their limits still hold; where
//! version 2 has no room there, it can be beside a group without limits.

use std::ffi::OsString;
use std::fs;

use chain::{Failure, Reporter};

use crate::cli::{Manager, Options};
use crate::group_name::Cleanup;
use crate::hierarchy::Hierarchies;
use crate::outcome::Outcome;
use crate::placement::Placement;
use crate::request::GroupRequest;
use crate::unit_group;

/// The processes that the operands name.
///
/// # Errors
/// Without operands, and for an operand that is not a process id.
pub fn pids(operands: &[OsString]) -> Result<Vec<i32>, Failure> {
    let usage = "for example: cgexec-rs --move -g pids:my/group 1234, or cgexec-rs --move --memory 50M 1234";
    if operands.is_empty() {
        return Err(Failure::new("--move needs process ids").hint(usage));
    }
    let pid = |text: &OsString| {
        let pid = text.to_str().and_then(|text| text.parse().ok()).filter(|pid| *pid > 0);
        pid.ok_or_else(|| {
            let text = text.to_string_lossy();
            Failure::new(format!("--move needs process ids, and \"{text}\" is not one")).hint(usage)
        })
    };
    operands.iter().map(pid).collect()
}

/// The groups to move them into: those of `-g`, or new ones with the limits that were asked for.
///
/// # Errors
/// For a process that does not exist, for processes of different groups, and where no new group is possible.
pub fn resolve(options: Options, pids: &[i32], reporter: &Reporter) -> Result<Outcome, Failure> {
    if !options.group.is_empty() {
        return Outcome::resolve(options, false, reporter);
    }
    let request = GroupRequest::of(options)?;
    // the group outlives this process
    let cleanup = if request.cleanup == Cleanup::Never { Cleanup::Never } else { Cleanup::ByLaterRun };
    let request = GroupRequest { cleanup, ..request };
    if request.manager == Manager::Systemd {
        return Err(Failure::new("systemd limits a running unit by its properties").hint(
            "systemctl set-property --runtime UNIT MemoryMax=50M; systemctl status PID names the unit",
        ));
    }
    let found = one_place(pids, reporter)?;
    let cannot = |failure: Failure| Failure { message: format!("cannot move: {failure}"), ..failure };
    let place =
        Placement::choose(&request, &found).map_err(|failure| cannot(with_systemd(failure, &found)))?;
    place.skipped.iter().for_each(|limit| reporter.message(limit));
    Ok(Outcome::Create(Box::new(place)))
}

/// The hierarchies, as one process of them all sees them.
fn one_place(pids: &[i32], reporter: &Reporter) -> Result<Hierarchies, Failure> {
    let mut places: Vec<(i32, Vec<u8>)> = Vec::new();
    for pid in pids {
        match fs::read(format!("/proc/{pid}/cgroup")) {
            Ok(text) => places.push((*pid, text)),
            Err(_) => {
                return Err(Failure::new(format!("there is no process {pid}"))
                    .hint("ps -e lists the processes of this PID namespace"));
            }
        }
    }
    let Some((first, place)) = places.first() else {
        return Ok(Hierarchies::default());
    };
    if let Some((other, _)) = places.iter().find(|(_, text)| text != place) {
        return Err(Failure::new(format!("processes {first} and {other} are in different groups"))
            .hint("run cgexec-rs --move once for each group, or move all of them with -g"));
    }
    Ok(Hierarchies::of_process(*first, reporter))
}

/// Where systemd manages the processes, the hint names its command.
fn with_systemd(failure: Failure, found: &Hierarchies) -> Failure {
    let Some(v2) = found.v2() else { return failure };
    let mut names = v2.own.ancestors().filter_map(|group| group.file_name()?.to_str());
    let unit = names.find(|name| name.ends_with(".service") || name.ends_with(".scope"));
    match unit {
        Some(unit) if unit_group::is_systemd() => {
            let user = if unit_group::is_of_user(&v2.own) { "--user " } else { "" };
            failure.hint(format!(
                "systemctl {user}set-property --runtime {unit} MemoryMax=50M limits what runs in it: systemd.resource-control(5)"
            ))
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_moved_are_processes() {
        let pids = |words: &[&str]| pids(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(pids(&["1", "4000"]), Ok(vec![1, 4000]));
        for words in [&[][..], &["0"], &["-1"], &["1", "sh"], &["4294967297"]] {
            assert!(pids(words).is_err(), "{words:?}");
        }
    }
}

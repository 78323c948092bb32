//! Where processes that run already are moved to: `--move`.
//!
//! A new group lies below the one that they are in, so that every limit that held for them still
//! holds; where version 2 has no room there, it may lie beside it if nothing is limited there.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use chain::{Failure, Reporter};

use crate::cli::{Manager, Options};
use crate::group_name::Cleanup;
use crate::hierarchy::Hierarchies;
use crate::outcome::Outcome;
use crate::placement::Placement;
use crate::refusal;
use crate::request::GroupRequest;

/// The processes that the operands name.
///
/// # Errors
/// For none, and for an operand that is no process id.
pub fn pids(operands: &[OsString]) -> Result<Vec<i32>, Failure> {
    let usage = "as in cgexec-rs --move -g pids:my/group 1234, or --move --memory 50M 1234";
    if operands.is_empty() {
        return Err(Failure::new("--move takes the ids of processes").hint(usage));
    }
    let pid = |text: &OsString| {
        let pid = text.to_str().and_then(|text| text.parse().ok()).filter(|pid| *pid > 0);
        pid.ok_or_else(|| {
            let text = text.to_string_lossy();
            Failure::new(format!("--move takes the ids of processes, and \"{text}\" is none")).hint(usage)
        })
    };
    operands.iter().map(pid).collect()
}

/// The groups to move them into: those of `-g`, or new ones with the limits that were asked for.
///
/// # Errors
/// For a process that is not there, for processes of different groups, and where there is no place
/// for a new group.
pub fn resolve(options: Options, pids: &[i32], reporter: &Reporter) -> Result<Outcome, Failure> {
    if !options.group.is_empty() {
        return Outcome::resolve(options, false, reporter);
    }
    let request = GroupRequest::of(options)?;
    // the group outlives this process
    let cleanup = if request.cleanup == Cleanup::Never { Cleanup::Never } else { Cleanup::ByLaterRun };
    let request = GroupRequest { cleanup, ..request };
    if request.manager == Manager::Systemd {
        return Err(Failure::new("systemd limits a unit that runs by its properties").hint(
            "systemctl set-property --runtime UNIT MemoryMax=50M; systemctl status PID names the unit",
        ));
    }
    let found = one_place(pids, reporter)?;
    let cannot = |failure: Failure| Failure { message: format!("cannot move: {failure}"), ..failure };
    let place = Placement::choose(&request, &found)
        .and_then(|place| match request.parent {
            // who names a place has chosen it
            Some(_) => Ok(place),
            None => stays_limited(&place, &found).map(|()| place),
        })
        .map_err(|failure| cannot(with_systemd(failure, &found)))?;
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
                    .hint("ps -e lists those that this PID namespace shows"));
            }
        }
    }
    let Some((first, place)) = places.first() else {
        return Ok(Hierarchies::default());
    };
    if let Some((other, _)) = places.iter().find(|(_, text)| text != place) {
        return Err(Failure::new(format!("processes {first} and {other} are in different groups"))
            .hint("a new group is made below one: a run for each group of processes, then -g"));
    }
    Ok(Hierarchies::of_process(*first, reporter))
}

/// Whether the new group is below every limit that held for the processes.
fn stays_limited(place: &Placement, found: &Hierarchies) -> Result<(), Failure> {
    for group in place.groups() {
        let parent = group.path.parent().unwrap_or(&group.path);
        let own = found.list.iter().find(|hierarchy| group.path.starts_with(&hierarchy.mount));
        let left = own.and_then(|hierarchy| limited(&hierarchy.own, parent));
        if let Some((group, file)) = left {
            return Err(Failure::new(format!(
                "there is no room below {}, whose {file} would hold no longer",
                group.display()
            ))
            .hint(format!(
                "--parent {} is followed, whatever held before; or change that limit",
                above(parent, found)
            )));
        }
    }
    Ok(())
}

/// A parent as `--parent` takes it.
fn above(parent: &Path, found: &Hierarchies) -> String {
    let below = found.list.iter().find_map(|hierarchy| parent.strip_prefix(&hierarchy.mount).ok());
    format!("/{}", below.unwrap_or(Path::new("")).display())
}

/// The group, from `own` up to but not including `parent`, that has a limit, and the file of that.
fn limited(own: &Path, parent: &Path) -> Option<(PathBuf, &'static str)> {
    const LIMITS: [&str; 8] = [
        "memory.max",
        "memory.high",
        "memory.swap.max",
        "pids.max",
        "cpu.max",
        "cpuset.cpus",
        "cpuset.mems",
        "io.max",
    ];
    let left = own.ancestors().take_while(|group| !parent.starts_with(group));
    left.into_iter().find_map(|group| {
        let is_set = |file: &&&str| {
            let text = fs::read_to_string(group.join(file)).unwrap_or_default();
            !text.trim().is_empty() && text.split_whitespace().next() != Some("max")
        };
        LIMITS.iter().find(is_set).map(|file| (group.to_path_buf(), *file))
    })
}

/// Where systemd manages the processes, it is who limits them.
fn with_systemd(failure: Failure, found: &Hierarchies) -> Failure {
    let unit = found.v2().and_then(|v2| {
        let names = v2.own.ancestors().filter_map(|group| group.file_name()?.to_str());
        names.into_iter().find(|name| name.ends_with(".service") || name.ends_with(".scope"))
    });
    match unit {
        Some(unit) if refusal::is_systemd() => {
            let user = if v2_is_users(found) { "--user " } else { "" };
            failure.hint(format!(
                "systemctl {user}set-property --runtime {unit} MemoryMax=50M limits what runs in it: systemd.resource-control(5)"
            ))
        }
        _ => failure,
    }
}

fn v2_is_users(found: &Hierarchies) -> bool {
    found.v2().is_some_and(|v2| v2.own.to_string_lossy().contains("/user@"))
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

    #[test]
    fn a_group_with_a_limit_is_not_left() {
        let top = std::env::temp_dir().join(format!("cgexec-move-{}", std::process::id()));
        let own = top.join("a/b/c");
        fs::create_dir_all(&own).unwrap();
        for (file, text) in
            [("a/memory.max", "5\n"), ("a/b/pids.max", "max\n"), ("a/b/c/cpu.max", "max 100000\n")]
        {
            fs::write(top.join(file), text).unwrap();
        }
        assert_eq!(limited(&own, &own), None);
        assert_eq!(limited(&own, &top.join("a")), None);
        assert_eq!(limited(&own, &top), Some((top.join("a"), "memory.max")));
        fs::remove_dir_all(top).unwrap();
    }
}

//! The groups for `--move`, which moves running processes.
//!
//! A new group is below the processes' current group, so that all their limits still apply. If version 2
//! allows no group there, it can be beside a group without limits.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use chain::{Failure, Reporter};

use crate::cli::{Manager, Options};
use crate::group_name::Cleanup;
use crate::hierarchy::Hierarchies;
use crate::outcome::Outcome;
use crate::outer_user::is_machine_root;
use crate::placement::Placement;
use crate::request::GroupRequest;
use crate::unit_group;

/// The processes in the operands.
///
/// # Errors
/// There are no operands, or one is not a process id.
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

/// The groups to move them into: those of `-g`, or new ones with the requested limits.
///
/// # Errors
/// A process does not exist, the processes are in different groups, or no new group is possible.
pub fn resolve(options: Options, pids: &[i32], reporter: &Reporter) -> Result<Outcome, Failure> {
    if !options.group.is_empty() {
        return Outcome::resolve(options, false, reporter);
    }
    let request = GroupRequest::of(options)?;
    // the group outlives this process
    let cleanup = if request.cleanup == Cleanup::Never { Cleanup::Never } else { Cleanup::ByLaterRun };
    let request = GroupRequest { cleanup, ..request };
    if request.manager == Manager::Systemd {
        return Err(Failure::new("--manager systemd cannot move processes, because systemd limits units").hint(
            "limit their unit: systemctl set-property --runtime UNIT MemoryMax=50M; systemctl status PID shows UNIT",
        ));
    }
    let found = one_place(pids, reporter)?;
    let cannot = |failure: Failure| Failure { message: format!("cannot move: {failure}"), ..failure };
    let place =
        Placement::choose(&request, &found).map_err(|failure| cannot(with_systemd(failure, &found)))?;
    place.skipped.iter().for_each(|limit| reporter.message(limit));
    Ok(Outcome::Create(Box::new(place)))
}

/// The hierarchies of all these processes, which must be in the same groups.
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

/// If systemd manages the processes, the hint names its command.
fn with_systemd(failure: Failure, found: &Hierarchies) -> Failure {
    let Some(v2) = found.v2() else { return failure };
    let mut names = v2.own.ancestors().filter_map(|group| group.file_name()?.to_str());
    let unit = names.find(|name| name.ends_with(".service") || name.ends_with(".scope"));
    match unit {
        Some(unit) if unit_group::is_systemd() => {
            failure.hint(set_property(unit, &v2.own, is_machine_root()))
        }
        _ => failure,
    }
}

/// The command that limits a unit, and who has to run it: root for a unit of the system, otherwise the user whose
/// systemd manages the unit. `own` is the group of the processes.
fn set_property(unit: &str, own: &Path, is_root: bool) -> String {
    let of_root = unit_group::is_of_roots_own_systemd(own);
    let (who, user) = match unit_group::is_of_user(own) {
        true if is_root && !of_root => ("as the user of the processes: ", "--user "),
        true => ("", "--user "),
        false if is_root => ("", ""),
        false => ("as root: ", ""),
    };
    format!(
        "{who}systemctl {user}set-property --runtime {unit} MemoryMax=50M limits what runs in it: systemd.resource-control(5)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_limited_by_those_who_may() {
        let said = |own: &str, is_root| set_property("x.service", Path::new(own), is_root);
        let own = "/sys/fs/cgroup/system.slice/x.service";
        assert!(said(own, true).starts_with("systemctl set-property --runtime x.service "));
        assert!(said(own, false).starts_with("as root: systemctl set-property "));
        let own = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/x.service";
        assert!(said(own, false).starts_with("systemctl --user set-property "));
        assert!(said(own, true).starts_with("as the user of the processes: systemctl --user set-property "));
    }

    #[test]
    fn what_is_moved_are_processes() {
        let pids = |words: &[&str]| pids(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(pids(&["1", "4000"]), Ok(vec![1, 4000]));
        for words in [&[][..], &["0"], &["-1"], &["1", "sh"], &["4294967297"]] {
            assert!(pids(words).is_err(), "{words:?}");
        }
    }
}

//! Why no group can be created, and what helps here.

mod container;
mod controller;
mod hand_over;
pub mod service;

use std::path::Path;

use chain::Failure;
use chain::reporter::ErrnoText;
use nix::errno::Errno;

pub use controller::{SYSTEMDS, no_controller, no_cpu_clock, not_among, not_enabled, not_in_v2};

use crate::group_path::shown;
use crate::held_limits::HeldLimit;
use crate::hierarchy::{Hierarchies, Hierarchy};
use crate::unit_group::{is_of_roots_own_systemd, is_systemd};
use crate::version::Version;

fn refusal(message: impl Into<String>, hint: impl Into<String>) -> Failure {
    Failure::new(message).hint(hint)
}

/// A group of `-g` or `--parent` that does not exist.
pub fn no_such_group(group: &Path) -> Failure {
    let group = shown(group).display().to_string();
    refusal(format!("no such group: {group}"), format!("create it first: mkdir {group}"))
}

/// A group that the caller cannot write to.
pub fn not_writable(hierarchy: &Hierarchy, group: &Path) -> Failure {
    if hierarchy.read_only {
        return refusal(
            format!("{} is mounted read-only, as in a container", shown(&hierarchy.mount).display()),
            container::writable_hierarchy(),
        );
    }
    let wrong = format!("{} is not writable here", shown(group).display());
    match (hierarchy.version, is_systemd()) {
        (Version::V2, true) => refusal(wrong, "'--manager systemd' asks systemd for a delegated scope"),
        (Version::V2, false) => {
            Failure { hint: hand_over::hint(&hierarchy.mount, &SYSTEMDS), ..Failure::new(wrong) }
        }
        (Version::V1, _) => refusal(
            wrong,
            "only root can use cgroup version 1: run cgexec-rs as root, or on a machine with version 2",
        ),
    }
}

/// A group that systemd keeps for itself.
pub fn not_delegated(group: &Path) -> Failure {
    refusal(
        format!("systemd manages {} and has not delegated it", shown(group).display()),
        "'--manager systemd' asks systemd for a delegated scope",
    )
}

/// A group whose limit would not hold for a process that leaves it.
pub fn would_leave(limit: &HeldLimit) -> Failure {
    let HeldLimit { group, file, value } = limit;
    let unit = group.extension().is_some_and(|kind| kind == "scope" || kind == "service");
    let hint = if is_systemd() && unit {
        let of_the_system = nix::unistd::geteuid().is_root() && !is_of_roots_own_systemd(group);
        let user = if of_the_system { "" } else { "--user " };
        let property = limit.property().map(|property| format!("-p {property} ")).unwrap_or_default();
        format!("systemd-run {user}--scope -p Delegate=yes {property}cgexec-rs ...")
    } else {
        move_down(group)
    };
    refusal(
        format!(
            "no group can be created below {}, and outside it the {file} of {value} would not hold",
            shown(group).display()
        ),
        hint,
    )
}

/// A group in which a controller was enabled while it held processes.
pub fn threaded(group: &Path, kind: &str) -> Failure {
    refusal(
        format!("{} is a threaded group ({kind}), which accepts no new process", shown(group).display()),
        "a controller was enabled in a group that holds processes: cgroups(7)",
    )
}

/// A group that would have to enable controllers and holds processes.
pub fn shared(group: &Path) -> Failure {
    refusal(
        format!(
            "{} holds other processes, so it cannot enable controllers for groups below it",
            shown(group).display()
        ),
        service::hint(group).unwrap_or_else(|| move_down(group)),
    )
}

/// How a group gets rid of its processes and keeps its limits.
fn move_down(group: &Path) -> String {
    format!(
        "every process can move down first: cd {0} && mkdir -p init && for p in $(cat cgroup.procs); do echo $p >init/cgroup.procs; done",
        shown(group).display()
    )
}

/// No hierarchy that shows the group of this process.
pub fn no_hierarchy(found: &Hierarchies) -> Failure {
    if let Some((file, errno)) = found.unread {
        let hint = match errno {
            Errno::ENOENT => "as root: mount -t proc proc /proc",
            _ => "only this file names the groups: proc(5)",
        };
        return refusal(format!("cannot read {file}: {}", ErrnoText(errno)), hint);
    }
    if found.hidden {
        return refusal(
            "the mounted hierarchies do not show the current group",
            "a cgroup namespace hides it: run cgexec-rs before the namespace is created, or in a mount namespace of the same user namespace",
        );
    }
    refusal("no control group hierarchy is mounted", "as root: mount -t cgroup2 none /sys/fs/cgroup")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_cannot_be_read_is_not_a_machine_without_groups() {
        let found =
            Hierarchies { unread: Some(("/proc/self/mountinfo", Errno::EMFILE)), ..Hierarchies::default() };
        let message = no_hierarchy(&found).message;
        assert_eq!(message, "cannot read /proc/self/mountinfo: Too many open files (EMFILE)");
        assert_eq!(no_hierarchy(&Hierarchies::default()).message, "no control group hierarchy is mounted");
    }
}

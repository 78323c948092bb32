//! Why no group can be created, with hints.

mod container;
mod controller;
mod hand_over;
pub mod service;

use std::path::Path;

use chain::Failure;
use chain::reporter::ErrnoText;
use nix::errno::Errno;

pub use controller::{
    SYSTEMDS, no_controller, no_cpu_clock, no_named_controller, not_among, not_enabled, not_in_v2,
};

use crate::group_path::{has_a_path, in_words, shown};
use crate::held_limits::HeldLimit;
use crate::hierarchy::{Hierarchies, Hierarchy};
use crate::outer_user::is_machine_root;
use crate::unit_group::{is_of_roots_own_systemd, is_systemd};

/// For groups in a cgroup namespace that no mount shows.
const NO_MOUNT: &str = "run cgexec-rs before the cgroup namespace is created, or mount its hierarchy first: mount -t cgroup2 none /sys/fs/cgroup";

fn refusal(message: impl Into<String>, hint: impl Into<String>) -> Failure {
    Failure::new(message).hint(hint)
}

/// A group of `-g` or `--parent` that does not exist.
pub fn no_such_group(group: &Path) -> Failure {
    let hint = typed(group, |group| format!("create it first: mkdir {group}"));
    refusal(format!("no such group: {}", in_words(group)), hint)
}

/// A hint that contains a group's directory. If no mount shows the group, it must be mounted first.
fn typed(group: &Path, hint: impl FnOnce(&str) -> String) -> String {
    match has_a_path(group) {
        true => hint(&group.display().to_string()),
        false => NO_MOUNT.to_string(),
    }
}

/// A version 2 group that the caller cannot write to. `instead` is the hint if systemd manages it.
pub fn not_writable(v2: &Hierarchy, group: &Path, instead: String) -> Failure {
    let hint = match is_systemd() {
        true => Some(instead),
        false => hand_over::hint(&v2.mount, &SYSTEMDS),
    };
    read_only(v2).unwrap_or_else(|| Failure { hint, ..Failure::new(no_access(group)) })
}

/// The same for version 1.
pub fn not_writable_v1(v1: &Hierarchy, group: &Path) -> Failure {
    let hint = "only the machine's root can use cgroup version 1: run the whole chain as root, or use a machine with version 2";
    read_only(v1).unwrap_or_else(|| refusal(no_access(group), hint))
}

fn no_access(group: &Path) -> String {
    format!("{} is not writable here", in_words(group))
}

fn read_only(hierarchy: &Hierarchy) -> Option<Failure> {
    hierarchy.read_only.then(|| {
        refusal(
            format!("{} is mounted read-only, as in a container", shown(&hierarchy.mount).display()),
            container::writable_hierarchy(),
        )
    })
}

/// A group that systemd has not delegated.
pub fn not_delegated(group: &Path, instead: String) -> Failure {
    let wrong = format!("systemd manages {} and has not delegated it", in_words(group));
    refusal(wrong, instead)
}

/// A group with a limit that would no longer apply to a process outside it.
pub fn would_leave(limit: &HeldLimit) -> Failure {
    let HeldLimit { group, file, value } = limit;
    let unit = group.extension().is_some_and(|kind| kind == "scope" || kind == "service");
    let hint = if is_systemd() && unit {
        let of_the_system = is_machine_root() && !is_of_roots_own_systemd(group);
        let user = if of_the_system { "" } else { "--user " };
        let property = limit.property().map(|property| format!("-p {property} ")).unwrap_or_default();
        format!("systemd-run {user}--scope -p Delegate=yes {property}cgexec-rs ...")
    } else {
        move_down(group)
    };
    refusal(
        format!(
            "no group can be created below {}, and elsewhere its {file} of {value} would not hold",
            in_words(group)
        ),
        hint,
    )
}

/// A group in which a controller was enabled while it held processes.
pub fn threaded(group: &Path, kind: &str) -> Failure {
    refusal(
        format!("{} is a threaded group ({kind}), which accepts no new process", in_words(group)),
        "this happens when a controller is enabled in a group with processes: cgroups(7)",
    )
}

/// A group that would have to enable controllers but holds processes.
pub fn shared(group: &Path) -> Failure {
    refusal(
        format!(
            "{} holds other processes, so it cannot enable controllers for groups below it",
            in_words(group)
        ),
        service::hint(group).unwrap_or_else(|| move_down(group)),
    )
}

/// How to move the processes out of a group without leaving its limits.
fn move_down(group: &Path) -> String {
    typed(group, |group| {
        format!(
            "move every process down first: cd {group} && mkdir -p init && for p in $(cat cgroup.procs); do echo $p >init/cgroup.procs; done"
        )
    })
}

/// No hierarchy shows this process's group.
pub fn no_hierarchy(found: &Hierarchies) -> Failure {
    if let Some((file, errno)) = found.unread {
        let hint = match errno {
            Errno::ENOENT => "as root: mount -t proc proc /proc",
            _ => "cgexec-rs finds the groups only in this file: proc(5)",
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
    fn no_hint_names_the_directory_of_a_group_that_no_mount_shows() {
        for group in ["/proc/self/fd/5", "/proc/self/fd/5/box"].map(Path::new) {
            for failure in [no_such_group(group), shared(group)] {
                assert_eq!(failure.hint.as_deref(), Some(NO_MOUNT), "{}", failure.message);
            }
        }
        let said = shared(Path::new("/proc/self/fd/5")).message;
        assert!(said.starts_with("the root of the cgroup namespace holds other processes"), "{said}");
        assert!(shared(Path::new("/cg/box")).hint.unwrap().contains(": cd /cg/box && mkdir -p init && "));
    }

    #[test]
    fn a_table_that_cannot_be_read_is_not_a_machine_without_groups() {
        let found =
            Hierarchies { unread: Some(("/proc/self/mountinfo", Errno::EMFILE)), ..Hierarchies::default() };
        let message = no_hierarchy(&found).message;
        assert_eq!(message, "cannot read /proc/self/mountinfo: Too many open files (EMFILE)");
        assert_eq!(no_hierarchy(&Hierarchies::default()).message, "no control group hierarchy is mounted");
    }
}

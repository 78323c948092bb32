//! A controller that the kernel, the mounts or the outer groups do not offer, and how to get it.

use std::fs;
use std::path::Path;

use chain::Failure;

use super::{no_hierarchy, refusal};
use crate::group_path::{has_a_path, in_words};
use crate::hierarchy::Hierarchies;
use crate::limits::Limit;
use crate::outer_user::outer_user;
use crate::unit_group::{is_of_user, is_systemd};
use crate::version::Version;

/// The controllers that systemd can delegate.
pub const SYSTEMDS: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

const NOT_SYSTEMDS: &str = "systemd does not delegate this controller; as root, '--manager cgroupfs --parent /' creates the group at the top, until systemd reloads its units";

/// The outer groups are not visible here.
const FROM_OUTSIDE: &str = "the creator of this cgroup namespace must enable the controller: an outer cgexec-rs does so for each limit, even for max";

/// The commands with which root makes a user's systemd get every controller. If the user lingers, or has
/// another session, a new login would not restart that systemd.
fn delegate_more(uid: u32) -> String {
    format!(
        "as root: mkdir -p /etc/systemd/system/user@.service.d; printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' \
         >/etc/systemd/system/user@.service.d/delegate.conf; systemctl daemon-reload; systemctl restart user@{uid}, \
         which ends all processes of the user's systemd"
    )
}

/// A controller that the outer groups do not enable.
pub fn not_enabled(parent: &Path, missing: &[&str]) -> Failure {
    let available = fs::read_to_string(parent.join("cgroup.controllers")).unwrap_or_default();
    not_among(&available, parent, missing)
}

/// The same for a group that does not exist yet.
pub fn not_among(available: &str, parent: &Path, missing: &[&str]) -> Failure {
    let wrong = format!(
        "{} is not available in {} (available: {})",
        missing.join(" and "),
        in_words(parent),
        or_none(available.trim())
    );
    if is_systemd() && missing.iter().any(|name| !SYSTEMDS.contains(name)) {
        return refusal(wrong, NOT_SYSTEMDS);
    }
    if is_of_user(parent) && is_systemd() {
        return Failure { hint: outer_user().map(delegate_more), ..Failure::new(wrong) };
    }
    let above = parent.parent().filter(|above| above.join("cgroup.subtree_control").exists());
    let Some(above) = above.filter(|above| has_a_path(above)).map(|above| above.display().to_string()) else {
        return refusal(wrong, FROM_OUTSIDE);
    };
    let names: Vec<String> = missing.iter().map(|name| format!("+{name}")).collect();
    refusal(
        wrong,
        format!("as the owner of {above}: echo {} >{above}/cgroup.subtree_control", names.join(" ")),
    )
}

/// No hierarchy has the controller for a limit.
pub fn no_controller(limit: &Limit, found: &Hierarchies) -> Failure {
    let names = match (limit.controller(Version::V1), limit.controller(Version::V2)) {
        (v1, v2) if v1 == v2 => v2.to_string(),
        (v1, v2) => format!("{v2} or {v1}"),
    };
    const KNOWN: [&str; 9] = ["memory", "pids", "cpu", "cpuset", "io", "blkio", "hugetlb", "rdma", "misc"];
    if found.list.is_empty() || (found.hidden && KNOWN.contains(&limit.controller(Version::V2))) {
        return no_hierarchy(found);
    }
    let part = found.v2().filter(|v2| v2.mount.join("cgroup.type").exists());
    if part.is_some() && KNOWN.contains(&limit.controller(Version::V2)) {
        return refusal(
            format!(
                "{names} is not available in the mounted hierarchy (available: {})",
                or_none(&all(found))
            ),
            FROM_OUTSIDE,
        );
    }
    nowhere(&names, limit.controller(Version::V2), found)
}

/// No hierarchy has a controller that the user named.
pub fn no_named_controller(name: &str, found: &Hierarchies) -> Failure {
    nowhere(name, name, found)
}

fn nowhere(names: &str, controller: &str, found: &Hierarchies) -> Failure {
    refusal(
        format!("no mounted hierarchy has the controller {names} (available: {})", or_none(&all(found))),
        why_missing(controller),
    )
}

/// The hint if the kernel offers no such controller.
fn why_missing(controller: &str) -> String {
    let text = |file: &str| fs::read_to_string(file).unwrap_or_default();
    if switched_off(controller, &text("/proc/cgroups"), &text("/proc/cmdline")) {
        return switch_on(controller, text("/proc/device-tree/model").starts_with("Raspberry Pi"));
    }
    match wsl() {
        true => "add kernelCommandLine=cgroup_no_v1=all below [wsl2] in .wslconfig".to_string(),
        false => "cat /proc/cgroups shows the controllers of this kernel".to_string(),
    }
}

/// Whether the kernel has the controller but was started without it: by the last column of /proc/cgroups, or
/// by cgroup_disable=, because newer kernels omit memory and cpuset from that file.
fn switched_off(controller: &str, cgroups: &str, cmdline: &str) -> bool {
    let column = cgroups.lines().find_map(|line| line.strip_prefix(controller)?.strip_prefix('\t'));
    let disabled = cmdline.split_whitespace().filter_map(|word| word.strip_prefix("cgroup_disable="));
    column.is_some_and(|rest| rest.ends_with("\t0"))
        || disabled.flat_map(|names| names.split(',')).any(|name| name == controller)
}

fn switch_on(controller: &str, raspberry_pi: bool) -> String {
    match raspberry_pi {
        // its firmware disables memory, and later words win
        true => {
            format!("as root: sed -i 's/$/ cgroup_enable={controller}/' /boot/firmware/cmdline.txt && reboot")
        }
        false => format!(
            "the kernel was started without it: remove cgroup_disable={controller} from its command line and reboot"
        ),
    }
}

/// No hierarchy counts processor time.
pub fn no_cpu_clock(found: &Hierarchies) -> Failure {
    if found.list.is_empty() {
        return no_hierarchy(found);
    }
    refusal(
        "no mounted hierarchy counts processor time",
        "as root: mkdir -p /sys/fs/cgroup/cpuacct && mount -t cgroup -o cpuacct none /sys/fs/cgroup/cpuacct",
    )
}

/// A limit that no systemd scope can have.
pub fn not_in_v2(limit: &Limit, found: &Hierarchies) -> Failure {
    match found.that_limits(limit) {
        None => no_controller(limit, found),
        Some(v1) => refusal(
            format!(
                "the controller {} is in version 1 here, which systemd does not delegate",
                limit.controller(v1.version)
            ),
            "as root, '--manager cgroupfs' sets the limit there",
        ),
    }
}

fn or_none(names: &str) -> &str {
    if names.is_empty() { "none" } else { names }
}

/// The controllers of every mounted hierarchy.
fn all(found: &Hierarchies) -> String {
    let mut names: Vec<String> = Vec::new();
    for hierarchy in &found.list {
        names.extend(hierarchy.v1_controllers.iter().filter(|name| !name.contains('=')).cloned());
    }
    if let Some(v2) = found.v2() {
        let text = fs::read_to_string(v2.mount.join("cgroup.controllers")).unwrap_or_default();
        names.extend(text.split_whitespace().map(str::to_string));
    }
    names.join(" ")
}

fn wsl() -> bool {
    fs::read_to_string("/proc/sys/kernel/osrelease").is_ok_and(|release| release.contains("microsoft"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_that_was_switched_off_can_be_switched_on() {
        let table = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t0\t20\t1\nmemory\t0\t20\t0\n";
        assert!(switched_off("memory", table, "quiet"));
        assert!(!switched_off("cpuset", table, "quiet"));
        assert!(!switched_off("cpu", table, "quiet"));
        assert!(switched_off("memory", "", "ro cgroup_disable=pids,memory quiet"));
        assert!(!switched_off("memory", "", "cgroup_enable=memory"));
        let pi = "as root: sed -i 's/$/ cgroup_enable=memory/' /boot/firmware/cmdline.txt && reboot";
        assert_eq!(switch_on("memory", true), pi);
        assert!(switch_on("memory", false).contains("remove cgroup_disable=memory from its command line"));
    }

    #[test]
    fn a_users_systemd_gets_more_controllers_by_commands_for_that_user() {
        let hint = delegate_more(1000);
        assert!(hint.contains("Delegate=cpu cpuset io memory pids\\n' >/etc/"), "{hint}");
        assert!(hint.contains("; systemctl daemon-reload; systemctl restart user@1000"), "{hint}");
    }
}

//! Why there can be no group, and what helps here.

mod container;
mod hand_over;

use std::fs;
use std::path::Path;

use chain::Failure;
use chain::reporter::ErrnoText;
use nix::errno::Errno;
use system::sys;

use crate::group_path::shown;
use crate::held_limits::HeldLimit;
use crate::hierarchy::{Hierarchies, Hierarchy};
use crate::limits::Limit;
use crate::version::Version;

fn refusal(message: impl Into<String>, hint: impl Into<String>) -> Failure {
    Failure::new(message).hint(hint)
}

/// A parent that is not there.
pub fn no_such_group(parent: &Path) -> Failure {
    refusal(
        format!("no such group: {}", shown(parent).display()),
        format!("--parent is a group that exists: mkdir {}", shown(parent).display()),
    )
}

/// A group that the caller may not write to.
pub fn not_writable(hierarchy: &Hierarchy, group: &Path) -> Failure {
    if hierarchy.read_only {
        return refusal(
            format!("{} is mounted read-only, as in a container", shown(&hierarchy.mount).display()),
            container::writable_hierarchy(),
        );
    }
    let wrong = format!("{} is not writable here", shown(group).display());
    match (hierarchy.version, is_systemd()) {
        (Version::V2, true) => refusal(wrong, "--manager systemd asks systemd for a group of its own"),
        (Version::V2, false) => {
            Failure { hint: hand_over::hint(&hierarchy.mount, &SYSTEMDS), ..Failure::new(wrong) }
        }
        (Version::V1, _) => {
            refusal(wrong, "version 1 is root's: run it as root, or where version 2 has the controllers")
        }
    }
}

/// A group that systemd keeps for itself.
pub fn not_delegated(group: &Path) -> Failure {
    refusal(
        format!("systemd manages {} and has not delegated it", shown(group).display()),
        "--manager systemd asks it for a group of its own",
    )
}

/// A group whose limit would no longer hold for who leaves it.
pub fn would_leave(limit: &HeldLimit) -> Failure {
    let HeldLimit { group, file, value } = limit;
    let unit = group.extension().is_some_and(|kind| kind == "scope" || kind == "service");
    let user = if is_of_user(group) { "--user " } else { "" };
    let hint = if is_systemd() && unit {
        format!(
            "with Delegate=yes and cgexec-rs as its first process there is: systemd-run {user}--scope -p Delegate=yes -p LIMIT cgexec-rs ..."
        )
    } else {
        "start cgexec-rs as the only process of its group, or below a group that hands the controllers on"
            .to_string()
    };
    refusal(
        format!(
            "there is no room below {}, and outside of it its {file} of {value} would not hold",
            group.display()
        ),
        hint,
    )
}

/// A service whose stop would not reach a scope.
pub fn in_service(unit: &Path) -> Failure {
    let name = unit.file_name().unwrap_or_default().to_string_lossy();
    let asked = if is_delegated(unit) {
        return shared(unit);
    } else if name.starts_with("run-") {
        "systemd-run -p Delegate=yes, with cgexec-rs as its command".to_string()
    } else {
        format!(
            "systemctl edit {name}, with the lines [Service] and Delegate=yes, and systemctl restart {name}"
        )
    };
    refusal(format!("{name} is a service, and systemd has not delegated its group"), asked)
}

/// Whether systemd has marked a unit as delegated.
pub fn is_delegated(unit: &Path) -> bool {
    [c"user.delegate", c"trusted.delegate"].into_iter().any(|name| sys::has_attribute(unit, name, b"1"))
}

/// A group in which somebody enabled a controller while it held processes.
pub fn threaded(group: &Path, kind: &str) -> Failure {
    refusal(
        format!("{} is a threaded group ({kind}), which takes no processes", shown(group).display()),
        "somebody enabled a controller in a group that holds processes: cgroups(7)",
    )
}

/// A group that would have to hand controllers on and holds processes.
pub fn shared(group: &Path) -> Failure {
    // the top of what is mounted, and not the root of all, which has no type
    let is_top = group.parent().is_some_and(|above| !above.join("cgroup.procs").exists());
    let own_root = is_top
        && group.join("cgroup.type").exists()
        && sys::read("/proc/self/cgroup")
            .is_ok_and(|text| text.split(|byte| *byte == b'\n').any(|line| line == b"0::/"));
    let hint = if own_root && !group.starts_with("/proc") {
        // what is / here is not the root of the host: the processes have to move down first
        format!(
            "every process can move down first: cd {0} && mkdir -p init && for p in $(cat cgroup.procs); do echo $p >init/cgroup.procs; done",
            shown(group).display()
        )
    } else {
        "start cgexec-rs in a group of its own, or below a group that hands the controllers on".to_string()
    };
    refusal(
        format!("{} holds other processes too, so it can hand no controller on", shown(group).display()),
        hint,
    )
}

/// Whether a group is below a user's systemd.
pub fn is_of_user(group: &Path) -> bool {
    let name = |group: &Path| group.file_name().and_then(|name| name.to_str()).map(str::to_string);
    group.ancestors().any(|group| name(group).is_some_and(|name| name.starts_with("user@")))
}

/// The controllers that systemd hands on.
pub const SYSTEMDS: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

/// systemd hands on no hugetlb, misc or rdma.
const NOT_SYSTEMDS: &str = "systemd hands on no such controller; as root, --manager cgroupfs --parent / makes the group at the top, until systemd's next reload";

/// What root types to let a user's systemd have every controller. A new login is not enough for users
/// who linger, or have another session.
fn delegate_more(uid: u32) -> String {
    format!(
        "as root: mkdir -p /etc/systemd/system/user@.service.d; printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' \
         >/etc/systemd/system/user@.service.d/delegate.conf; systemctl daemon-reload; systemctl restart user@{uid}, \
         which ends what the user runs"
    )
}

/// A controller that the groups above keep.
pub fn not_handed_on(parent: &Path, missing: &[&str]) -> Failure {
    let available = fs::read_to_string(parent.join("cgroup.controllers")).unwrap_or_default();
    not_among(&available, parent, missing)
}

/// The same, of a group that is not there yet.
pub fn not_among(available: &str, parent: &Path, missing: &[&str]) -> Failure {
    let wrong = format!(
        "{} is not handed on to {} (available: {})",
        missing.join(" and "),
        shown(parent).display(),
        or_none(available.trim())
    );
    let of_user = is_of_user(parent);
    if is_systemd() && missing.iter().any(|name| !SYSTEMDS.contains(name)) {
        return refusal(wrong, NOT_SYSTEMDS);
    }
    if of_user && is_systemd() {
        return Failure { hint: hand_over::outer_user().map(delegate_more), ..Failure::new(wrong) };
    }
    let above = shown(parent.parent().unwrap_or(parent)).display().to_string();
    let names: Vec<String> = missing.iter().map(|name| format!("+{name}")).collect();
    refusal(
        wrong,
        format!(
            "the owner of the groups above can: echo {} > {above}/cgroup.subtree_control",
            names.join(" ")
        ),
    )
}

/// A limit for which no hierarchy has the controller.
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
                "{names} is not handed on to the groups that are in sight (available: {})",
                or_none(&there_are(found))
            ),
            "whoever made this cgroup namespace can hand it on: cgexec-rs does what it was asked to limit, even to max",
        );
    }
    refusal(
        format!("no mounted hierarchy has the controller {names} (there are: {})", there_are(found)),
        why_missing(limit.controller(Version::V2)),
    )
}

/// What helps where a kernel offers no controller.
fn why_missing(controller: &str) -> String {
    let text = |file: &str| fs::read_to_string(file).unwrap_or_default();
    if switched_off(controller, &text("/proc/cgroups"), &text("/proc/cmdline")) {
        return switch_on(controller, text("/proc/device-tree/model").starts_with("Raspberry Pi"));
    }
    match wsl() {
        true => "add kernelCommandLine=cgroup_no_v1=all below [wsl2] in .wslconfig".to_string(),
        false => "cat /proc/cgroups shows what this kernel has".to_string(),
    }
}

/// Whether the kernel has the controller and was started without it: the last column of /proc/cgroups,
/// which newer kernels leave it out of, or cgroup_disable=.
fn switched_off(controller: &str, cgroups: &str, cmdline: &str) -> bool {
    let column = cgroups.lines().find_map(|line| line.strip_prefix(controller)?.strip_prefix('\t'));
    let disabled = cmdline.split_whitespace().filter_map(|word| word.strip_prefix("cgroup_disable="));
    column.is_some_and(|rest| rest.ends_with("\t0"))
        || disabled.flat_map(|names| names.split(',')).any(|name| name == controller)
}

fn switch_on(controller: &str, raspberry_pi: bool) -> String {
    match raspberry_pi {
        // its firmware switches memory off, and later words win
        true => {
            format!("as root: sed -i 's/$/ cgroup_enable={controller}/' /boot/firmware/cmdline.txt && reboot")
        }
        false => format!(
            "the kernel was started without it: take cgroup_disable={controller} from its command line, and reboot"
        ),
    }
}

/// No hierarchy that counts processor time.
pub fn no_cpu_clock(found: &Hierarchies) -> Failure {
    if found.list.is_empty() {
        return no_hierarchy(found);
    }
    refusal(
        "no mounted hierarchy counts processor time",
        "mkdir -p /sys/fs/cgroup/cpuacct && mount -t cgroup -o cpuacct none /sys/fs/cgroup/cpuacct",
    )
}

/// A limit that no group of systemd's can have.
pub fn not_in_v2(limit: &Limit, found: &Hierarchies) -> Failure {
    match found.that_limits(limit) {
        None => no_controller(limit, found),
        Some(v1) => refusal(
            format!(
                "the controller {} is in version 1 here, which systemd hands to nobody",
                limit.controller(v1.version)
            ),
            "--manager cgroupfs limits there, as root",
        ),
    }
}

/// No hierarchy in which the own group can be named.
pub fn no_hierarchy(found: &Hierarchies) -> Failure {
    if let Some((file, errno)) = found.unread {
        let hint = match errno {
            Errno::ENOENT => "mount -t proc proc /proc",
            _ => "what groups there are stands in it and in no other place: proc(5)",
        };
        return refusal(format!("cannot read {file}: {}", ErrnoText(errno)), hint);
    }
    if found.hidden {
        return refusal(
            "the own group lies outside of what the mounted hierarchies show",
            "a cgroup namespace hides it: run cgexec-rs before the namespace is made, or in a mount namespace of the same user namespace",
        );
    }
    refusal("no control group hierarchy is mounted", "mount -t cgroup2 none /sys/fs/cgroup")
}

fn or_none(names: &str) -> &str {
    if names.is_empty() { "none" } else { names }
}

fn there_are(found: &Hierarchies) -> String {
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

/// Whether systemd runs here: sd_booted(3).
pub fn is_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

fn wsl() -> bool {
    fs::read_to_string("/proc/sys/kernel/osrelease").is_ok_and(|release| release.contains("microsoft"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_cannot_be_read_is_not_a_machine_without_groups() {
        let found =
            Hierarchies { unread: Some(("/proc/self/mountinfo", Errno::EMFILE)), ..Hierarchies::default() };
        let said = no_hierarchy(&found).message;
        assert_eq!(said, "cannot read /proc/self/mountinfo: Too many open files (EMFILE)");
        assert_eq!(no_hierarchy(&Hierarchies::default()).message, "no control group hierarchy is mounted");
    }

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
        assert!(switch_on("memory", false).contains("take cgroup_disable=memory from its command line"));
    }

    #[test]
    fn a_users_systemd_gets_more_controllers_by_commands_for_that_user() {
        let hint = delegate_more(1000);
        assert!(hint.contains("Delegate=cpu cpuset io memory pids\\n' >/etc/"), "{hint}");
        assert!(hint.contains("; systemctl daemon-reload; systemctl restart user@1000"), "{hint}");
    }
}

//! How root delegates a part of version 2 to a user without systemd, with the user's shell in a leaf of it.
//!
//! In a user's container, such as that of unshare-rs, root is outside and sees other numbers for the user and
//! the shell.

use std::fs;
use std::path::Path;

use system::namespace::NamespaceKind;
use system::status::Status;

use crate::group_path::shown;
use crate::outer_user::outer_user;

/// The commands for root; None if they would not help. `useful` are the controllers to enable.
pub fn hint(mount: &Path, useful: &[&str]) -> Option<String> {
    let available = fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default();
    commands(
        mount,
        &available,
        useful,
        outer_user()?,
        outer_parent(&Status::of_this_process(), has_outer_pids()),
    )
}

/// `available` are the controllers of the top: without any, the part could limit nothing. Root cannot open a
/// hierarchy that only a descriptor of this process shows.
fn commands(mount: &Path, available: &str, useful: &[&str], uid: u32, shell: Option<i32>) -> Option<String> {
    if available.trim().is_empty() || shown(mount) != mount {
        return None;
    }
    let both = available.split_whitespace().filter(|name| useful.contains(name));
    let names: Vec<String> = both.map(|name| format!("+{name}")).collect();
    let enable = match names.is_empty() {
        true => String::new(),
        false => format!("echo {} >cgroup.subtree_control && ", names.join(" ")),
    };
    let own = format!("user-{uid}");
    let (shell, which) = match shell {
        Some(pid) => (pid.to_string(), ""),
        None => ("PID".to_string(), ", with the PID of your shell outside"),
    };
    Some(format!(
        "as root: cd {} && {enable}mkdir -p {own}/shell && chown {uid} {own} \
         {own}/cgroup.procs {own}/cgroup.subtree_control {own}/shell {own}/shell/cgroup.procs {own}/shell/cgroup.subtree_control \
         && echo {shell} >{own}/shell/cgroup.procs{which}",
        mount.display(),
    ))
}

/// Whether this PID namespace is not from a user namespace of the same container: then root outside uses its
/// numbers.
fn has_outer_pids() -> bool {
    NamespaceKind::USER.is_initial() || !NamespaceKind::PID.is_ours()
}

/// The parent of this process, by its number for root outside. The numbers are those of /proc's PID
/// namespace, which is an outer one if this process has several numbers: proc_pid_status(5).
fn outer_parent(status: &Status, has_outer_pids: bool) -> Option<i32> {
    let is_outer = has_outer_pids || status.field("NSpid")?.split_whitespace().nth(1).is_some();
    status.field("PPid")?.parse().ok().filter(|pid| is_outer && *pid > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHOWN: &str = "mkdir -p user-1000/shell && chown 1000 user-1000 user-1000/cgroup.procs \
        user-1000/cgroup.subtree_control user-1000/shell user-1000/shell/cgroup.procs \
        user-1000/shell/cgroup.subtree_control && echo";

    #[test]
    fn only_controllers_that_exist_are_enabled() {
        let typed =
            |available: &str, shell| commands(Path::new("/cg"), available, &["cpu", "pids"], 1000, shell);
        let enter = format!("{CHOWN} 7 >user-1000/shell/cgroup.procs");
        let all = format!("as root: cd /cg && echo +cpu +pids >cgroup.subtree_control && {enter}");
        assert_eq!(typed("cpu hugetlb pids\n", Some(7)), Some(all));
        assert_eq!(typed("hugetlb\n", Some(7)), Some(format!("as root: cd /cg && {enter}")));
        assert_eq!(typed("\n", Some(7)), None, "it would limit nothing");
        let unknown = typed("hugetlb\n", None).unwrap();
        let shell = "echo PID >user-1000/shell/cgroup.procs, with the PID of your shell outside";
        assert!(unknown.ends_with(shell), "{unknown}");
    }

    #[test]
    fn root_gets_no_path_of_a_descriptor() {
        assert_eq!(commands(Path::new("/proc/self/fd/5"), "cpu\n", &["cpu"], 1000, Some(7)), None);
    }

    #[test]
    fn the_shell_has_the_number_that_root_outside_knows() {
        let parent = |status: &str, outer| outer_parent(&Status::new(status.to_string()), outer);
        assert_eq!(parent("PPid:\t2257\nNSpid:\t2300\n", true), Some(2257));
        assert_eq!(parent("PPid:\t3\nNSpid:\t4\n", false), None, "/proc is of the namespace");
        assert_eq!(parent("PPid:\t2257\nNSpid:\t2300\t1\n", false), Some(2257), "/proc is outside");
        assert_eq!(parent("PPid:\t0\nNSpid:\t1\n", true), None, "the parent has no number in /proc");
        assert_eq!(parent("", true), None, "no /proc");
    }
}

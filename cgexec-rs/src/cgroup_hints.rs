//! Hints for failed calls on a group: the same errno has another cause for each file.

mod exclusive;

use std::fs;
use std::path::Path;

use nix::errno::Errno;
use system::status::Status;

use crate::outer_user::is_machine_root;
use crate::unit_group;

/// The hint for a write to a file of a group; None for any other file.
pub fn write(path: &Path, errno: Errno) -> Option<String> {
    let group = path.parent()?;
    if !group.join("cgroup.procs").exists() {
        return None;
    }
    let file = path.file_name()?.to_str()?;
    match file {
        "cgroup.subtree_control" => hand_on(group, errno),
        "cgroup.procs" | "tasks" => enter(group, errno),
        _ => set(group, file, errno),
    }
}

fn hand_on(group: &Path, errno: Errno) -> Option<String> {
    match errno {
        Errno::EBUSY => Some(format!(
            "{} holds processes, so it cannot enable controllers: cgroups(7), \"no internal processes\"",
            group.display()
        )),
        Errno::ENOENT => {
            Some("enable the controller in the group above first: cgroup.subtree_control".to_string())
        }
        Errno::EINVAL => Some(
            "the cpu controller cannot be enabled while real-time processes run outside the root group"
                .to_string(),
        ),
        // cpuset needs rights over every process below: systemd#18293
        Errno::EPERM => {
            Some("before Linux 6.6 cpuset cannot be enabled above processes of other users".to_string())
        }
        Errno::EACCES => Some(not_ours(group)),
        _ => None,
    }
}

fn enter(group: &Path, errno: Errno) -> Option<String> {
    match errno {
        Errno::EACCES if unit_group::is_systemd() && !is_machine_root() => Some(
            "join it from a scope of your own systemd: systemd-run --user --scope cgexec-rs -g CONTROLLERS:PATH COMMAND"
                .to_string(),
        ),
        Errno::EACCES => Some(
            "you also need write access to cgroup.procs in the nearest common ancestor of both groups: cgroups(7)"
                .to_string(),
        ),
        Errno::ENOENT => Some("one of the two groups is outside this cgroup namespace".to_string()),
        Errno::EBUSY => Some(format!("{} has controllers enabled for groups below it, so it cannot hold a process", group.display())),
        Errno::EOPNOTSUPP => kind(group).map(|kind| format!("{} is {kind}: cgroups(7)", group.display())),
        Errno::ENOSPC => Some("the disk is not full: the cpuset has no processors or memory nodes yet".to_string()),
        Errno::ENODEV => Some("another process removed the group meanwhile".to_string()),
        Errno::ESRCH => Some("the process has ended meanwhile: ps -e lists those that run".to_string()),
        Errno::EINVAL => Some("a kernel thread cannot be moved: ps -ef shows its name in brackets".to_string()),
        _ => None,
    }
}

fn set(group: &Path, file: &str, errno: Errno) -> Option<String> {
    match errno {
        Errno::ENOENT if file.starts_with("memory.swap.") || file.starts_with("memory.memsw.") => {
            Some("the kernel does not account for swap: boot it with swapaccount=1".to_string())
        }
        Errno::ENOENT if file.starts_with("hugetlb.") => {
            Some("to list this machine's sizes: ls /sys/kernel/mm/hugepages".to_string())
        }
        Errno::ENOENT if file.contains("io.weight") || file.starts_with("blkio.") => {
            Some("this kernel has no I/O weights: neither bfq nor iocost".to_string())
        }
        Errno::ENOENT => {
            Some(format!("its hierarchy has no {file}; the files of versions 1 and 2 differ: cgroups(7)"))
        }
        Errno::ENODEV | Errno::EINVAL if file.starts_with("rdma.") => {
            Some("to list the devices: ls /sys/class/infiniband".to_string())
        }
        Errno::EINVAL if matches!(file, "cpu.max.burst" | "cpu.cfs_burst_us") => {
            Some("a burst cannot be more than the quota of --cpus or --cpu-quota".to_string())
        }
        Errno::ENODEV => Some("no such disk: lsblk lists the disks, and partitions cannot be limited".to_string()),
        Errno::ERANGE if file.starts_with("cpuset.") => missing_processor(group, file),
        Errno::EINVAL if file.starts_with("cpuset.") => {
            exclusive::taken(group, file).or_else(|| missing_processor(group, file))
        }
        Errno::EOPNOTSUPP if file.contains("weight") => {
            Some("a weight needs the bfq scheduler, or iocost configured in io.cost.qos".to_string())
        }
        Errno::EPERM if file.starts_with("devices.") => Some(
            "only the machine's root can limit devices, and only to what the groups above allow: cat devices.list there"
                .to_string(),
        ),
        Errno::EACCES | Errno::EPERM => Some(not_ours(group)),
        _ => None,
    }
}

/// The processors or memory nodes of the parent, if one is missing there.
fn missing_processor(group: &Path, file: &str) -> Option<String> {
    let above = group.parent()?;
    let name = file.strip_suffix(".effective").unwrap_or(file);
    let short = name.strip_prefix("cpuset.")?;
    let candidates = [format!("{name}.effective"), format!("cpuset.effective_{short}"), name.to_string()];
    let has = candidates.iter().find_map(|file| fs::read_to_string(above.join(file)).ok())?;
    Some(format!("the group above has {}", has.trim()))
}

fn kind(group: &Path) -> Option<String> {
    fs::read_to_string(group.join("cgroup.type")).ok().map(|kind| kind.trim().to_string())
}

fn not_ours(group: &Path) -> String {
    let root_of_namespace = fs::read_to_string("/proc/self/cgroup").is_ok_and(|own| own.contains("0::/\n"));
    if root_of_namespace && group.join("cgroup.type").exists() {
        "the root of a cgroup namespace can only be limited from outside: run cgexec-rs before the namespace is created"
            .to_string()
    } else {
        format!("{} belongs to another user: ls -l shows which", group.display())
    }
}

/// The hint for a failed mkdir(2) of a group.
pub fn make(path: &Path, errno: Errno) -> Option<String> {
    match errno {
        Errno::EAGAIN => Some(
            "the process limit is not the cause: a group above has reached its cgroup.max.depth or cgroup.max.descendants"
                .to_string(),
        ),
        Errno::EEXIST if path.is_dir() => Some(format!("another process has just created {}", path.display())),
        Errno::EEXIST => Some("the group above has a file of that name".to_string()),
        Errno::EROFS => Some("the hierarchy is mounted read-only, as in a container".to_string()),
        _ => None,
    }
}

/// The hint for a failed rmdir(2) of a group.
pub fn remove(path: &Path, errno: Errno) -> Option<String> {
    if errno != Errno::EBUSY {
        return None;
    }
    let pid = first_process(path)?;
    // a process that a version 1 freezer holds shows the same state
    let waits = Status::of(pid.parse().ok()?).field("State")?.starts_with('D');
    waits.then(|| {
        format!(
            "process {pid} in it has been killed but is stuck in the kernel, or a version 1 freezer holds it"
        )
    })
}

/// A process in a group or below it.
fn first_process(group: &Path) -> Option<String> {
    let own = fs::read_to_string(group.join("cgroup.procs")).ok()?;
    let below = || {
        let entries = fs::read_dir(group).ok()?.flatten();
        entries.filter_map(|entry| first_process(&entry.path())).next()
    };
    own.lines().next().map(str::to_string).or_else(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_the_kernel_lacks_has_a_cause_of_its_own() {
        let group = std::env::temp_dir().join(format!("chain-hint-{}", std::process::id()));
        fs::create_dir(&group).unwrap();
        let hint = |file: &str| write(&group.join(file), Errno::ENOENT);
        assert_eq!(hint("memory.swap.max"), None, "this is not a group");
        fs::write(group.join("cgroup.procs"), "").unwrap();
        for (file, cause) in [
            ("memory.swap.max", "the kernel does not account for swap: boot it with swapaccount=1"),
            (
                "memory.memsw.limit_in_bytes",
                "the kernel does not account for swap: boot it with swapaccount=1",
            ),
            ("hugetlb.3MB.max", "to list this machine's sizes: ls /sys/kernel/mm/hugepages"),
            ("blkio.bfq.weight", "this kernel has no I/O weights: neither bfq nor iocost"),
            (
                "memory.nonesuch",
                "its hierarchy has no memory.nonesuch; the files of versions 1 and 2 differ: cgroups(7)",
            ),
        ] {
            assert_eq!(hint(file).as_deref(), Some(cause));
        }
        fs::remove_dir_all(group).unwrap();
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! From an errno to one piece of advice, after looking at the system.
//!
//! A hint names a cause only when the system shows it: the knob is read, the
//! file is looked for, before either is blamed.

mod cgroup;

use std::fs;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use crate::call::Call;
use crate::flags::CLONE_NEWTIME;
use crate::idmap::inner_ids;
use crate::namespace::Kind;
use crate::{mountinfo, sys};

/// What the reader can do about a call that failed, if the system shows it.
pub fn advice(call: &Call, errno: Errno) -> Option<String> {
    match call {
        Call::Unshare(flags) => unshare(*flags, errno),
        Call::Write { path, .. } if path.ends_with("uid_map") || path.ends_with("setgroups") => match errno {
            Errno::EPERM if path.ends_with("setgroups") => setgroups_settled().or_else(user_namespace_knob),
            Errno::EPERM | Errno::EACCES => user_namespace_knob(),
            _ => None,
        },
        Call::Write { path, .. } if path.ends_with("timens_offsets") && errno == Errno::ERANGE => {
            Some("a clock inside may not be below 0, nor above 146 years: time_namespaces(7)".to_string())
        }
        Call::Write { path, .. } => cgroup::write(path, errno),
        Call::CreateCgroup { path, .. } => cgroup::make(path, errno),
        Call::RemoveCgroup(path) => cgroup::remove(path, errno),
        Call::RemoveStaleCgroups(paths) => paths.iter().find_map(|path| cgroup::remove(path, errno)),
        Call::Fork(stay) if stay.into.is_some() => cgroup::fork_into(errno),
        Call::Mount { fstype: Some("proc"), .. } if errno == Errno::EPERM => proc_refused(),
        Call::Mount { source: Some(source), target, flags, .. }
            if flags.contains(MsFlags::MS_BIND)
                && source.starts_with("/proc")
                && source.ends_with("ns/mnt")
                && errno == Errno::EINVAL =>
        {
            mount_namespace_file(target)
        }
        Call::Mount { source: Some(source), target, .. }
            if source.starts_with("/proc") && errno == Errno::ENOTDIR && target.is_dir() =>
        {
            let target = target.display();
            Some(format!("{target} is a directory, and what keeps a namespace is a file: {target}/FILE"))
        }
        Call::Mount { source: Some(source), flags, .. }
            if flags.contains(MsFlags::MS_BIND) && source.starts_with("/proc") && errno == Errno::EPERM =>
        {
            Some("a mount outside of the new namespaces takes root".to_string())
        }
        Call::Mount { fstype: Some("binfmt_misc"), .. } => match errno {
            Errno::ENODEV => Some("this kernel has no binfmt_misc: modprobe binfmt_misc".to_string()),
            Errno::EPERM => Some("in a user namespace this takes Linux 6.7".to_string()),
            _ => None,
        },
        Call::Mount { flags, .. } if flags.intersects(MsFlags::MS_PRIVATE | MsFlags::MS_SLAVE) => match errno
        {
            Errno::EINVAL => inside_chroot(),
            Errno::EPERM | Errno::EACCES => user_namespace_knob(),
            _ => None,
        },
        Call::Mount { fstype: Some("overlay"), .. } => overlay(errno),
        Call::FsOpen { .. } | Call::OpenTree { .. } | Call::MoveMount { .. } if errno == Errno::ENOSYS => {
            Some("this takes Linux 5.2".to_string())
        }
        Call::ReadOnlyTree(_) if errno == Errno::ENOSYS => Some("this takes Linux 5.12".to_string()),
        Call::PivotRoot { .. } if errno == Errno::EINVAL => inside_chroot(),
        Call::SetUser(uid) if errno == Errno::EINVAL => Some(format!(
            "user {uid} is not mapped in this user namespace: /proc/self/uid_map, user_namespaces(7)"
        )),
        Call::SetGroup(gid) if errno == Errno::EINVAL => Some(format!(
            "group {gid} is not mapped in this user namespace: /proc/self/gid_map, user_namespaces(7)"
        )),
        Call::InHelper { call, .. } => advice(call, errno),
        Call::RunProgram { program, .. } if program.ends_with("newuidmap") && errno == Errno::EPERM => {
            Some("it maps the own user and the ids that /etc/subuid has for it, and no other".to_string())
        }
        Call::RunProgram { program, .. } if program.ends_with("newgidmap") && errno == Errno::EPERM => Some(
            "it maps the own group and the ids that /etc/subgid has for the user, and no other".to_string(),
        ),
        Call::Fork(_) | Call::Helper { .. } if errno == Errno::EAGAIN => {
            Some("a limit of processes is reached: ulimit -u, or pids.max of a control group".to_string())
        }
        Call::Chroot(_) if errno == Errno::EPERM => Some(
            "chroot(2) needs CAP_SYS_CHROOT: be root, or run it below 'unshare-rs --map-root-user --'"
                .to_string(),
        ),
        _ => None,
    }
}

/// A file that is to keep a mount namespace: the mount it lies on must not be shared, and the
/// namespace must be younger than the one it is kept in, so that none keeps itself.
fn mount_namespace_file(target: &Path) -> Option<String> {
    let target = fs::canonicalize(target).ok()?;
    let table = mountinfo::table().ok()?;
    let over = mountinfo::mounts(&table).filter(|mount| target.starts_with(&mount.at));
    // of mounts on the same place, the last one is seen
    let mount = over.max_by_key(|mount| mount.at.as_os_str().len())?;
    let at = mount.at.display();
    Some(if mount.shared {
        format!(
            "{at} is a shared mount, which takes no mount namespace: use a private one, \
             as mount --make-private makes it"
        )
    } else {
        // it numbers namespaces per processor, and goes by the numbers
        "Linux 6.18 may take a mount namespace made on another processor for an older one than \
         the caller's: stay on one, as with taskset -c 0"
            .to_string()
    })
}

fn overlay(errno: Errno) -> Option<String> {
    let advice = match errno {
        Errno::EPERM => "in a user namespace this takes Linux 5.11",
        Errno::EINVAL => "it takes a root without mounts below it",
        Errno::ENODEV => "this kernel has no overlay: modprobe overlay",
        _ => return None,
    };
    Some(advice.to_string())
}

fn unshare(flags: CloneFlags, errno: Errno) -> Option<String> {
    match errno {
        Errno::EPERM if flags.contains(CloneFlags::CLONE_NEWUSER) => {
            without_id().or_else(user_namespace_knob).or_else(inside_chroot).or_else(seccomp)
        }
        Errno::EPERM | Errno::EACCES => {
            let advice =
                "an ordinary user may do this only in a user namespace of its own: add --map-root-user (-r)";
            seccomp().or_else(|| Some(advice.to_string()))
        }
        Errno::ENOSPC => namespace_limit(flags),
        Errno::EINVAL => missing_kind(flags),
        Errno::EUSERS => Some("user namespaces nest 32 deep at most".to_string()),
        _ => None,
    }
}

/// setgroups(2) may be denied before groups are mapped, and allowed only where it never was denied.
fn setgroups_settled() -> Option<String> {
    read("/proc/self/gid_map").filter(|map| !map.is_empty()).map(|_| {
        "it is settled where groups are mapped already, as here: --user makes a namespace where it is not"
            .to_string()
    })
}

/// Who has no id in a user namespace makes no other in it: user_namespaces(7).
fn without_id() -> Option<String> {
    let has_id = |map: &str, id: u32| {
        let ids = inner_ids(&fs::read_to_string(map).ok()?);
        Some(ids.iter().any(|range| range.contains(&id.into())))
    };
    let (user, group) = sys::effective_ids();
    let both = has_id("/proc/self/uid_map", user)? && has_id("/proc/self/gid_map", group)?;
    (!both).then(|| {
        "the own user or group has no id in this user namespace: unshare-rs --user --map-root-user (-r) gives it one"
            .to_string()
    })
}

/// The switches with which distributions keep user namespaces from ordinary users.
fn user_namespace_knob() -> Option<String> {
    if read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") {
        return Some(
            "AppArmor keeps user namespaces from programs without a profile: unshare-rs(1), NOTES, gives this one its own; \
             or as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0"
                .to_string(),
        );
    }
    if read("/proc/sys/kernel/unprivileged_userns_clone").as_deref() == Some("0") {
        return Some("as root: sysctl kernel.unprivileged_userns_clone=1".to_string());
    }
    None
}

/// Each kind, its file in /proc/self/ns and its limit in /proc/sys/user: namespaces(7).
const KINDS: [(CloneFlags, &str, &str); 8] = [
    (CloneFlags::CLONE_NEWUSER, "user", "max_user_namespaces"),
    (CloneFlags::CLONE_NEWNS, "mnt", "max_mnt_namespaces"),
    (CloneFlags::CLONE_NEWUTS, "uts", "max_uts_namespaces"),
    (CloneFlags::CLONE_NEWIPC, "ipc", "max_ipc_namespaces"),
    (CloneFlags::CLONE_NEWPID, "pid", "max_pid_namespaces"),
    (CloneFlags::CLONE_NEWNET, "net", "max_net_namespaces"),
    (CloneFlags::CLONE_NEWCGROUP, "cgroup", "max_cgroup_namespaces"),
    (CLONE_NEWTIME, "time", "max_time_namespaces"),
];

fn namespace_limit(flags: CloneFlags) -> Option<String> {
    let asked = KINDS.iter().filter(|(flag, _, _)| flags.contains(*flag));
    let mut limits = asked.filter_map(|(_, _, limit)| {
        let value: u64 = read(&format!("/proc/sys/user/{limit}"))?.parse().ok()?;
        Some((value, limit))
    });
    let (value, limit) = limits.clone().find(|(value, _)| *value == 0).or_else(|| limits.next())?;
    // how deep they nest is not to be seen from inside
    let deep = if value > 0 && flags.contains(CloneFlags::CLONE_NEWUSER) {
        ", or user namespaces nest deeper than 32"
    } else {
        ""
    };
    Some(format!(
        "no disk is full: the limit of namespaces is reached, user.{limit} is {value} (sysctl){deep}"
    ))
}

fn missing_kind(flags: CloneFlags) -> Option<String> {
    let asked = KINDS.iter().filter(|(flag, _, _)| flags.contains(*flag));
    let missing: Vec<&str> = asked
        .map(|(_, name, _)| *name)
        .filter(|name| !Path::new(&format!("/proc/self/ns/{name}")).exists())
        .collect();
    let proc_is_there = Path::new("/proc/self/ns").exists();
    (proc_is_there && !missing.is_empty())
        .then(|| format!("this kernel has no such namespace: {}", missing.join(", ")))
}

/// In a chroot the root directory is no mount point, and the kernel gives no new root to pivot from.
fn inside_chroot() -> Option<String> {
    let root_is_mount = sys::is_mount_root(Path::new("/")).or_else(|| {
        let table = mountinfo::table().ok()?;
        Some(mountinfo::mounts(&table).any(|mount| mount.at == Path::new("/")))
    })?;
    (!root_is_mount).then(|| {
        "this process runs in a chroot(2), where the kernel refuses this; whoever made it can use chroot-rs, \
         which enters the root by pivot_root(2)"
            .to_string()
    })
}

fn seccomp() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let filtered =
        status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2"));
    filtered.then(|| {
        "a seccomp filter is in force, as in a container: docker and podman lift it with --security-opt seccomp=unconfined"
            .to_string()
    })
}

/// A new procfs shows processes over which one needs rights, and what a mount over a part of the
/// old one hides: the kernel refuses both.
fn proc_refused() -> Option<String> {
    if !Kind::Pid.is_ours() {
        let advice = "this PID namespace is not of this user namespace: unshare-rs --pid makes one that is";
        return Some(advice.to_string());
    }
    let over = mountinfo::cover_of_proc()?;
    let over = over.display();
    Some(format!(
        "{over} is mounted over a part of /proc, so the kernel gives no new one here; \
         a container lifts it with --security-opt systempaths=unconfined (docker), unmask=ALL (podman) \
         or --unmask (chroot-rs)"
    ))
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_string())
}

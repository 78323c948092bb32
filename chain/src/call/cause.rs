//! Causes of a failure that several families share, each looked for before it is named.

use std::fs;
use std::path::Path;

use system::idmap::{OVERFLOW_ID, inner_ids};
use system::status::Status;
use system::{mountinfo, sys};

/// For fork(2) and its like at `EAGAIN`.
pub(super) const PROCESS_LIMIT: &str =
    "a limit of processes is reached: ulimit -u, or pids.max of a control group";

/// The switches with which distributions keep user namespaces from ordinary users.
pub(super) fn user_namespace_knob() -> Option<String> {
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

/// In a chroot the root directory is not a mount point, and the kernel has no new root to pivot from.
pub(super) fn inside_chroot() -> Option<String> {
    let root_is_mount = sys::is_mount_root(Path::new("/")).or_else(|| {
        let table = mountinfo::table().ok()?;
        Some(mountinfo::mounts(&table).any(|mount| mount.at == Path::new("/")))
    })?;
    (!root_is_mount).then(|| {
        "this process runs in a chroot(2), where the kernel refuses this; use chroot-rs in place of chroot(8): it calls pivot_root(2)"
            .to_string()
    })
}

/// The AppArmor profile that may be what refuses a call with `EACCES`: an engine gives one to a container.
pub(super) fn apparmor_profile() -> Option<String> {
    let profile = read("/proc/self/attr/current").filter(|profile| profile.ends_with("(enforce)"))?;
    let name = profile.trim_end_matches("(enforce)").trim();
    Some(format!(
        "the AppArmor profile {name} is in force, as in a container: docker and podman lift it with \
         --security-opt apparmor=unconfined"
    ))
}

/// A seccomp filter that may be what refuses a call with `EPERM`.
pub(super) fn seccomp() -> Option<String> {
    let is_filtered = Status::of_this_process().field("Seccomp") == Some("2");
    is_filtered.then(|| {
        "a seccomp filter is in force, as in a container: chroot-rs lifts it with --seccomp unconfined, docker and podman \
         with --security-opt seccomp=unconfined"
            .to_string()
    })
}

/// A FUSE mount that lets in only the user who made it, and so refuses root with `EACCES`.
pub fn private_fuse(path: &Path) -> Option<String> {
    let user = mountinfo::private_fuse(path)?;
    Some(format!(
        "{} is a FUSE file system of user {user}, which no other user may enter: mount it with -o allow_other, or \
         run this as user {user}",
        path.display()
    ))
}

/// A process whose user or group has no id in its user namespace has no capability after execve(2), and can create
/// no other namespace: user_namespaces(7).
pub(super) fn without_id() -> Option<String> {
    let has_id = |map: &str, id: u32| {
        let ids = inner_ids(&fs::read_to_string(map).ok()?);
        Some(ids.iter().any(|range| range.contains(&id.into())))
    };
    let (user, group) = sys::effective_ids();
    // another user of the map may have this number
    let is_overflow = user == OVERFLOW_ID && !sys::has_processes(user);
    let both = has_id("/proc/self/uid_map", user)? && has_id("/proc/self/gid_map", group)?;
    (is_overflow || !both).then(|| {
        "your user or group has no id in this user namespace: unshare-rs gives it one with --map-root-user, or \
         becomes one of the mapped ids with --setuid 0 --setgid 0"
            .to_string()
    })
}

/// A small file of the kernel.
pub(super) fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_string())
}

//! Causes of a failure that several families share. Each is looked for before it is named.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};
use system::idmap::{OVERFLOW_ID, inner_ids};
use system::search::unsearchable_parent;
use system::status::Status;
use system::{mountinfo, sys};

use super::notation::shell_word;
use crate::reporter::quoted;

/// For fork(2) and similar calls that fail with `EAGAIN`.
pub(super) const PROCESS_LIMIT: &str =
    "the process limit is reached: raise ulimit -u, or pids.max of the control group";

/// The sysctls with which distributions deny user namespaces to ordinary users.
pub(super) fn user_namespace_knob() -> Option<String> {
    if read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") {
        return Some(
            "AppArmor denies user namespaces to programs without a profile: install one, as in unshare-rs(1), NOTES, \
             or as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0"
                .to_string(),
        );
    }
    if read("/proc/sys/kernel/unprivileged_userns_clone").as_deref() == Some("0") {
        return Some("as root: sysctl kernel.unprivileged_userns_clone=1".to_string());
    }
    None
}

/// In a chroot the root directory is not a mount point, so pivot_root(2) fails.
pub(super) fn inside_chroot() -> Option<String> {
    let root_is_mount = sys::is_mount_root(Path::new("/")).or_else(|| {
        let table = mountinfo::table().ok()?;
        Some(mountinfo::mounts(&table).any(|mount| mount.at == Path::new("/")))
    })?;
    (!root_is_mount).then(|| {
        "the caller runs in a chroot(2), where the kernel refuses this; enter that root with chroot-rs instead of chroot(8)"
            .to_string()
    })
}

/// The AppArmor profile that can cause `EACCES`: container engines apply one.
pub(super) fn apparmor_profile() -> Option<String> {
    let profile = read("/proc/self/attr/current").filter(|profile| profile.ends_with("(enforce)"))?;
    let name = profile.trim_end_matches("(enforce)").trim();
    Some(format!(
        "the AppArmor profile {name} confines this process; if this is a container, start it with \
         --security-opt apparmor=unconfined (docker, podman)"
    ))
}

/// A seccomp filter that can cause `EPERM`.
pub(super) fn seccomp() -> Option<String> {
    let is_filtered = Status::of_this_process().field("Seccomp") == Some("2");
    is_filtered.then(|| {
        "a seccomp filter confines this process; if this is a container, start it with --seccomp unconfined (chroot-rs) or \
         --security-opt seccomp=unconfined (docker, podman)"
            .to_string()
    })
}

/// A FUSE mount that admits only the user who mounted it, and so refuses root with `EACCES`.
pub fn private_fuse(path: &Path) -> Option<String> {
    let user = mountinfo::private_fuse(path)?;
    Some(format!(
        "{} is a FUSE file system of user {user}, which no other user can enter: mount it with -o allow_other, or \
         run this as user {user}",
        path.display()
    ))
}

/// A directory above a path that this process cannot enter, so that the path is refused with `EACCES`.
pub fn closed_above(path: &Path) -> Option<String> {
    let dir = unsearchable_parent(&std::path::absolute(path).ok()?)?;
    Some(refused("enter", &dir))
}

/// The same for an absolute path that is to be created, or the directory that would contain it. A relative one is in a
/// new root, where users do not look.
pub(super) fn closed_for_new(path: &Path) -> Option<String> {
    let is_closed =
        |dir: &&Path| faccessat(AT_FDCWD, *dir, AccessFlags::W_OK, AtFlags::AT_EACCESS) == Err(Errno::EACCES);
    let dir = || path.parent().filter(is_closed);
    path.is_absolute().then(|| closed_above(path).or_else(|| Some(refused("write to", dir()?)))).flatten()
}

fn refused(what: &str, dir: &Path) -> String {
    let user = sys::effective_ids().0;
    let is_own = fs::metadata(dir).is_ok_and(|found| found.uid() == user);
    let way = match (is_own, what) {
        (true, "enter") => format!("chmod u+x {}", shell_word(dir)),
        (true, _) => format!("chmod u+w {}", shell_word(dir)),
        (false, _) => "run as its owner, or chmod it".to_string(),
    };
    format!("user {user} cannot {what} {}: {way}", quoted(dir))
}

/// A process whose user or group has no id in its user namespace has no capability after execve(2), and can create
/// no other namespace: user_namespaces(7).
pub(super) fn without_id() -> Option<String> {
    let has_id = |map: &str, id: u32| {
        let ids = inner_ids(&fs::read_to_string(map).ok()?);
        Some(ids.iter().any(|range| range.contains(&id.into())))
    };
    let (user, group) = sys::effective_ids();
    // another user with this number can be in the map
    let is_overflow = user == OVERFLOW_ID && !sys::has_processes(user);
    let both = has_id("/proc/self/uid_map", user)? && has_id("/proc/self/gid_map", group)?;
    (is_overflow || !both).then(|| {
        "your user or group has no id in this user namespace: map it with unshare-rs --map-root-user, or \
         change to a mapped id with --setuid 0 --setgid 0"
            .to_string()
    })
}

/// A small file that the kernel provides.
pub(super) fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_string())
}

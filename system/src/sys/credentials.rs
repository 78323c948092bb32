//! Users, groups and capabilities.

use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::unistd::{Gid, Uid};

use rustix::thread::{self, CapabilitySets};

use super::descriptors::owned;
use super::error::errno;

/// The ids that decide this process's rights: effective user and group.
pub fn effective_ids() -> (u32, u32) {
    (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw())
}

/// setgroups(2).
///
/// # Errors
/// `EPERM` without CAP_SETGID or where a user namespace denies it, `EINVAL` for a group that is not mapped.
pub fn set_groups(groups: &[u32]) -> Result<(), Errno> {
    let groups: Vec<Gid> = groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    nix::unistd::setgroups(&groups)
}

/// setresgid(2), all three.
///
/// # Errors
/// `EPERM` without CAP_SETGID, `EINVAL` for a group that is not mapped.
pub fn set_group(gid: u32) -> Result<(), Errno> {
    let gid = Gid::from_raw(gid);
    keeping_death_signal(|| nix::unistd::setresgid(gid, gid, gid))
}

/// setresuid(2) for all three ids, and a check of all three: a different one could be used to change back.
///
/// # Errors
/// `EPERM` without CAP_SETUID, `EINVAL` for a user that is not mapped, `EAGAIN` at a limit of processes.
pub fn set_user(uid: u32) -> Result<(), Errno> {
    let uid = Uid::from_raw(uid);
    keeping_death_signal(|| nix::unistd::setresuid(uid, uid, uid))?;
    let now = nix::unistd::getresuid()?;
    if [now.real, now.effective, now.saved] == [uid; 3] { Ok(()) } else { Err(Errno::EPERM) }
}

/// A change of ids clears the parent-death signal: PR_SET_PDEATHSIG(2const).
fn keeping_death_signal(change: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
    let signal = nix::sys::prctl::get_pdeathsig()?;
    let parent = nix::unistd::getppid();
    change()?;
    if let Some(signal) = signal {
        nix::sys::prctl::set_pdeathsig(signal)?;
        // the parent may have died in between; from an own PID namespace, getppid(2) is 0 both times
        if nix::unistd::getppid() != parent {
            nix::sys::signal::raise(signal)?;
        }
    }
    Ok(())
}

/// Whether this process has a capability, by its number in capabilities(7): capget(2).
pub fn has_capability(number: u32) -> bool {
    let has = |sets: CapabilitySets| sets.effective.bits() & (1 << number) != 0;
    thread::capabilities(None).is_ok_and(has)
}

/// Makes each permitted capability inheritable and ambient, so that execve(2) keeps it.
///
/// # Errors
/// Those of capset(2) and PR_CAP_AMBIENT(2const): `EPERM` if a securebit forbids it.
pub fn keep_capabilities() -> Result<(), Errno> {
    let sets = thread::capabilities(None).map_err(errno)?;
    let inheritable = CapabilitySets { inheritable: sets.permitted, ..sets };
    thread::set_capabilities(None, inheritable).map_err(errno)?;
    sets.permitted.iter().try_for_each(|capability| {
        thread::configure_capability_in_ambient_set(capability, true).map_err(errno)
    })
}

/// Whether a process of this user exists: getpriority(2).
pub fn has_processes(uid: u32) -> bool {
    rustix::process::getpriority_user(rustix::process::Uid::from_raw(uid)).is_ok()
}

/// The user namespace that owns a namespace: ioctl_ns(2), NS_GET_USERNS.
///
/// # Errors
/// `EPERM` if it is outside the caller's own.
pub fn owner_of_namespace(namespace: &impl std::os::fd::AsFd) -> Result<OwnedFd, Errno> {
    // _IO(0xb7, 0x1); the returned descriptor is close-on-exec
    const NS_GET_USERNS: libc::Ioctl = 0xb701;
    // SAFETY: the ioctl takes no argument.
    let fd = unsafe { libc::ioctl(namespace.as_fd().as_raw_fd(), NS_GET_USERNS) };
    owned(fd)
}

/// The user who created a user namespace, as an id of this process's user namespace: ioctl_ns(2),
/// NS_GET_OWNER_UID. An unmapped user is the overflow id.
///
/// # Errors
/// `EINVAL` for another kind of namespace.
pub fn owner_of_user_namespace(namespace: &impl std::os::fd::AsFd) -> Result<u32, Errno> {
    // _IO(0xb7, 0x4)
    const NS_GET_OWNER_UID: libc::Ioctl = 0xb704;
    let mut owner: libc::uid_t = 0;
    let fd = namespace.as_fd().as_raw_fd();
    // SAFETY: the ioctl writes one uid_t, which lives through the call.
    let result = unsafe { libc::ioctl(fd, NS_GET_OWNER_UID, &raw mut owner) };
    Errno::result(result).map(|_| owner)
}

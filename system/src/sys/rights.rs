//! The rights of a process, and how it gives them up: capabilities, filters, keyrings.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use libc::{c_int, c_long, sock_filter, sock_fprog};
use nix::errno::Errno;

use rustix::thread::{self, CapabilitySet, CapabilitySets};

use super::error::errno;
use super::files::has_file_capabilities;
use super::process::OWN_PROGRAM;

/// Capabilities of this process, one bit each: capabilities(7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilityBits {
    /// The permitted set: what it can make effective.
    pub permitted: u64,
    /// The effective set.
    pub effective: u64,
    /// The inheritable set: what execve(2) can keep.
    pub inheritable: u64,
}

/// The sets of this process: capget(2).
///
/// # Errors
/// None, on a kernel with capabilities.
pub fn capabilities() -> Result<CapabilityBits, Errno> {
    let sets = thread::capabilities(None).map_err(errno)?;
    let CapabilitySets { effective, permitted, inheritable } = sets;
    Ok(CapabilityBits {
        permitted: permitted.bits(),
        effective: effective.bits(),
        inheritable: inheritable.bits(),
    })
}

/// Replaces the sets of this process: capset(2).
///
/// # Errors
/// `EPERM` for a capability that is not permitted now.
pub fn set_capabilities(bits: CapabilityBits) -> Result<(), Errno> {
    let set = CapabilitySet::from_bits_retain;
    let sets = CapabilitySets {
        effective: set(bits.effective),
        permitted: set(bits.permitted),
        inheritable: set(bits.inheritable),
    };
    thread::set_capabilities(None, sets).map_err(errno)
}

/// prctl(2) with only numbers.
fn prctl(operation: c_int, arguments: [u64; 4]) -> Result<c_int, Errno> {
    let [first, second, third, fourth] = arguments;
    // SAFETY: the operations in this file take numbers and touch none of our memory.
    let result = unsafe { libc::prctl(operation, first, second, third, fourth) };
    Errno::result(result)
}

/// Whether a capability is in the bounding set: PR_CAPBSET_READ(2const).
///
/// # Errors
/// `EINVAL` for a number that the kernel does not know.
pub fn is_in_bounding_set(number: u32) -> Result<bool, Errno> {
    prctl(libc::PR_CAPBSET_READ, [number.into(), 0, 0, 0]).map(|found| found == 1)
}

/// The highest capability that the kernel knows.
pub fn last_capability() -> u32 {
    // CAP_CHECKPOINT_RESTORE, since Linux 5.9
    let mut last = 40;
    while last < 63 && is_in_bounding_set(last + 1).is_ok() {
        last += 1;
    }
    while last > 0 && is_in_bounding_set(last).is_err() {
        last -= 1;
    }
    last
}

/// Removes a capability from the bounding set, permanently: PR_CAPBSET_DROP(2const).
///
/// # Errors
/// `EPERM` without CAP_SETPCAP, `EINVAL` for a number that the kernel does not know.
pub fn drop_from_bounding_set(number: u32) -> Result<(), Errno> {
    prctl(libc::PR_CAPBSET_DROP, [number.into(), 0, 0, 0]).map(drop)
}

/// Keeps the permitted capabilities when the user changes: PR_SET_KEEPCAPS(2const).
///
/// # Errors
/// `EPERM` if a securebit forbids it.
pub fn keep_permitted() -> Result<(), Errno> {
    prctl(libc::PR_SET_KEEPCAPS, [1, 0, 0, 0]).map(drop)
}

/// Whether a capability is ambient: PR_CAP_AMBIENT(2const).
pub fn is_ambient(number: u32) -> bool {
    let question = libc::PR_CAP_AMBIENT_IS_SET as u64;
    prctl(libc::PR_CAP_AMBIENT, [question, number.into(), 0, 0]) == Ok(1)
}

/// Keeps a permitted and inheritable capability across execve(2): PR_CAP_AMBIENT(2const).
///
/// # Errors
/// `EPERM` if it is not both, or if a securebit forbids it.
pub fn raise_ambient(number: u32) -> Result<(), Errno> {
    prctl(libc::PR_CAP_AMBIENT, [libc::PR_CAP_AMBIENT_RAISE as u64, number.into(), 0, 0]).map(drop)
}

/// Forbids execve(2) to give new rights: PR_SET_NO_NEW_PRIVS(2const).
///
/// # Errors
/// `EINVAL` before Linux 3.5.
pub fn set_no_new_privs() -> Result<(), Errno> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, [1, 0, 0, 0]).map(drop)
}

/// Whether this program's file gave this process rights that its caller does not have, by set-user-ID or
/// set-group-ID bits or file capabilities.
///
/// # Source
/// getauxval(3). AT_SECURE is not enough: SELinux sets it when a program changes its domain.
pub fn gives_rights_away() -> bool {
    let value = |kind| {
        // SAFETY: only reads what the kernel has put on the stack.
        unsafe { libc::getauxval(kind) }
    };
    if value(libc::AT_SECURE) == 0 {
        return false;
    }
    let differ = value(libc::AT_UID) != value(libc::AT_EUID) || value(libc::AT_GID) != value(libc::AT_EGID);
    let program = Path::new(OWN_PROGRAM);
    let has_bits = || std::fs::metadata(program).is_ok_and(|meta| meta.mode() & 0o6000 != 0);
    differ || has_bits() || has_file_capabilities(program)
}

/// Has the kernel run a program before every system call: seccomp(2).
///
/// # Errors
/// `EACCES` without CAP_SYS_ADMIN in the user namespace and without no_new_privs; `EINVAL` for an invalid
/// program, or a kernel without filters; `ENOSYS` without seccomp(2); `ENOMEM` also if all filters together
/// are too long.
pub fn install_filter(program: &[sock_filter]) -> Result<(), Errno> {
    const SECCOMP_SET_MODE_FILTER: c_long = 1;
    let len = u16::try_from(program.len()).map_err(|_| Errno::EINVAL)?;
    let program = sock_fprog { len, filter: program.as_ptr().cast_mut() };
    // SAFETY: the program and its instructions live through the call, which copies them.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
    Errno::result(result).map(drop)
}

/// Replaces the session keyring by a new one: KEYCTL_JOIN_SESSION_KEYRING(2const).
///
/// # Errors
/// `EDQUOT` if the user has too many keys, `ENOSYS` in a kernel without keyrings.
pub fn join_session_keyring() -> Result<(), Errno> {
    const KEYCTL_JOIN_SESSION_KEYRING: c_long = 1;
    let no_name = std::ptr::null::<u8>();
    // SAFETY: without a name, the kernel reads none of our memory.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, no_name) };
    Errno::result(result).map(drop)
}

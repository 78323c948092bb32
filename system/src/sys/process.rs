//! Processes and their signals.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use libc::{c_char, c_int};
use nix::errno::Errno;
use nix::sys::signal::SigSet;
use nix::unistd::ForkResult;

use super::error::errno;

/// The child starts in the cgroup whose descriptor is given: clone3(2), Linux 5.7. libc's own overflows.
pub(super) const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Takes a pending signal away: sigtimedwait(2) that does not wait.
pub(super) fn forget_signal(which: &SigSet) {
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the set and the time live through the call, and no siginfo is asked for.
    unsafe { libc::sigtimedwait(which.as_ref(), std::ptr::null_mut(), &raw const now) };
}

/// fork(2): the child's pid for the parent, nothing for the child.
///
/// # Errors
/// `EAGAIN` at a limit of processes, `ENOMEM`, also in a PID namespace whose init has ended.
pub fn fork() -> Result<Option<i32>, Errno> {
    // SAFETY: the process has one thread, so the child may do whatever the parent may.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Child => Ok(None),
        ForkResult::Parent { child } => Ok(Some(child.as_raw())),
    }
}

/// clone3(2) with CLONE_INTO_CGROUP: a fork whose child starts in the group.
///
/// # Errors
/// `ENOSYS` before Linux 5.3, `E2BIG` before 5.7, `EBUSY` for a group that hands controllers on,
/// `EACCES` and `ENOENT` where the group is not the caller's, `EAGAIN` at a limit of processes.
pub fn fork_into(group: BorrowedFd<'_>) -> Result<Option<i32>, Errno> {
    // SAFETY: all zero is a valid clone_args.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = CLONE_INTO_CGROUP;
    args.exit_signal = libc::SIGCHLD as u64;
    args.cgroup = group.as_raw_fd() as u64;
    // SAFETY: without CLONE_VM and with no stack given this is a fork, and the process has one thread.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    match Errno::result(result)? {
        0 => Ok(None),
        pid => i32::try_from(pid).map(Some).map_err(|_| Errno::ERANGE),
    }
}

/// What became of a child: waitid(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which child.
    pub pid: i32,
    /// CLD_EXITED, CLD_KILLED, CLD_DUMPED, CLD_STOPPED, CLD_CONTINUED.
    pub code: c_int,
    /// The exit status or the signal.
    pub status: c_int,
}

/// A change of any child, if there is one: waitid(2) that does not wait.
///
/// # Errors
/// `ECHILD` when there is no child.
pub fn next_change() -> Result<Option<Change>, Errno> {
    // SAFETY: all zero is a valid siginfo_t, and says "no child" where waitid leaves it so.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = libc::WEXITED | libc::WSTOPPED | libc::WCONTINUED | libc::WNOHANG;
    // SAFETY: the siginfo_t lives through the call.
    let result = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, options) };
    Errno::result(result)?;
    // SAFETY: waitid filled in the fields of SIGCHLD, or left zeros.
    let pid = unsafe { info.si_pid() };
    // SAFETY: as above.
    let status = unsafe { info.si_status() };
    Ok((pid != 0).then_some(Change { pid, code: info.si_code, status }))
}

/// kill(2), with any signal number.
///
/// # Errors
/// `ESRCH`, `EPERM`.
pub fn kill(pid: i32, signo: c_int) -> Result<(), Errno> {
    // SAFETY: two numbers.
    let result = unsafe { libc::kill(pid, signo) };
    Errno::result(result).map(drop)
}

/// The signals that came and wait because they are blocked: sigpending(2).
pub fn pending() -> SigSet {
    // SAFETY: all zero is a valid sigset_t, the empty one.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the sigset_t lives through the call, which fills it in.
    unsafe { libc::sigpending(&raw mut set) };
    // SAFETY: the kernel filled it in.
    unsafe { SigSet::from_sigset_t_unchecked(set) }
}

/// Lets a signal through, also a real-time one, for which nix has no name: sigprocmask(2).
pub fn unblock(signo: c_int) {
    // SAFETY: all zero is a valid sigset_t, the empty one.
    let mut only: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the sigset_t lives through the call; a number that is no signal's is refused.
    unsafe { libc::sigaddset(&raw mut only, signo) };
    // SAFETY: the sigset_t lives through the call, and the old mask is not asked for.
    unsafe { libc::sigprocmask(libc::SIG_UNBLOCK, &raw const only, std::ptr::null_mut()) };
}

/// Whether a signal is ignored in this process.
pub fn is_ignored(signo: c_int) -> bool {
    // SAFETY: all zero is a valid sigaction.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: only read: the new action is null.
    let result = unsafe { libc::sigaction(signo, std::ptr::null(), &raw mut action) };
    result == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// Sets a signal to its default action, or to be ignored.
pub fn set_ignored(signo: c_int, ignored: bool) {
    // SAFETY: all zero is a valid sigaction: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = if ignored { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: neither action is a function; only SIGKILL and SIGSTOP are refused.
    unsafe { libc::sigaction(signo, &raw const action, std::ptr::null_mut()) };
}

/// Replaces this process by a program, with the environment as it was inherited: execve(2).
/// Returns only on failure, with its errno.
pub fn execve(program: &CStr, argv: &[CString]) -> Errno {
    let mut pointers: Vec<*const c_char> = argv.iter().map(|arg| arg.as_ptr()).collect();
    pointers.push(std::ptr::null());
    // SAFETY: reading the pointer: nothing in this process changes the environment.
    let environment = unsafe { environ };
    // SAFETY: both vectors end with a null pointer and hold C strings that live through the call.
    unsafe { libc::execve(program.as_ptr(), pointers.as_ptr(), environment) };
    Errno::last()
}

unsafe extern "C" {
    static environ: *const *const c_char;
    // where this program's code begins and ends; each linker defines them
    static __executable_start: u8;
    static etext: u8;
}

/// Lets go of the pages of this program's code; those that run again are mapped again. For who waits
/// for long: starting up reads most of a program, waiting next to nothing of it.
///
/// # Source
/// madvise(2), MADV_DONTNEED.
pub fn drop_code_pages() {
    let (start, end) = (&raw const __executable_start, &raw const etext);
    let start = start.map_addr(|address| address & !4095);
    let length = end.addr().saturating_sub(start.addr());
    // SAFETY: code is mapped from its file and never written to, so what is dropped is read
    // from there again, with the same content.
    unsafe { libc::madvise(start.cast_mut().cast(), length, libc::MADV_DONTNEED) };
}

/// Where the arguments lie that this process was started with, as /proc/PID/cmdline shows them.
static ARGUMENTS: AtomicPtr<c_char> = AtomicPtr::new(std::ptr::null_mut());
static ARGUMENTS_LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Keeps where the arguments of `main()` lie: in a row, execve(2) puts them there.
pub(super) fn remember_arguments(argv: &[*const c_char]) {
    let (Some(&first), Some(&last)) = (argv.first(), argv.last()) else { return };
    // SAFETY: each argument of main() is a C string.
    let last_length = unsafe { CStr::from_ptr(last) }.count_bytes();
    ARGUMENTS_LENGTH.store((last.addr() + last_length).saturating_sub(first.addr()), Ordering::Relaxed);
    ARGUMENTS.store(first.cast_mut(), Ordering::Relaxed);
}

/// Overwrites the arguments that /proc/PID/cmdline shows by a name, cut off where it has no room.
pub fn overwrite_arguments(name: &str) {
    let (first, length) = (ARGUMENTS.load(Ordering::Relaxed), ARGUMENTS_LENGTH.load(Ordering::Relaxed));
    if first.is_null() {
        return;
    }
    // SAFETY: the arguments of main() are writable, C11 5.1.2.2.1, and lie in a row of this length, whose
    // last byte, a NUL, is left; they are not read again, for `arguments` made copies.
    let arguments = unsafe { std::slice::from_raw_parts_mut(first.cast::<u8>(), length) };
    for (at, byte) in arguments.iter_mut().enumerate() {
        *byte = name.as_bytes().get(at).copied().unwrap_or(0);
    }
}

/// PR_SET_PDEATHSIG(2const), with any signal number; 0 is none.
///
/// # Errors
/// `EINVAL` for a number that is no signal.
pub fn set_death_signal(signo: c_int) -> Result<(), Errno> {
    // SAFETY: two numbers.
    let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signo) };
    Errno::result(result).map(drop)
}

/// A descriptor of a process: pidfd_open(2).
///
/// # Errors
/// `ENOSYS` before Linux 5.3, `ESRCH`.
pub fn pidfd_open(pid: i32) -> Result<OwnedFd, Errno> {
    let pid = rustix::process::Pid::from_raw(pid).ok_or(Errno::ESRCH)?;
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).map_err(errno)
}

//! Processes and their signals.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use libc::{c_char, c_int};
use nix::errno::Errno;
use nix::sys::signal::SigSet;
use nix::unistd::ForkResult;
use rustix::fs::{MemfdFlags, SealFlags};

use super::error::errno;

/// The file of this program: proc_pid_exe(5).
pub const OWN_PROGRAM: &str = "/proc/self/exe";

/// Starts the child in the cgroup of a descriptor: clone3(2), Linux 5.7. libc's constant overflows.
pub(super) const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Discards a pending signal: sigtimedwait(2) without waiting.
pub(super) fn forget_signal(which: &SigSet) {
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the set and the time live through the call, and no siginfo is asked for.
    unsafe { libc::sigtimedwait(which.as_ref(), std::ptr::null_mut(), &raw const now) };
}

/// fork(2): the child's PID for the parent, None for the child.
///
/// # Errors
/// `EAGAIN` at a process limit; `ENOMEM`, also in a PID namespace whose init has ended.
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
/// `ENOSYS` before Linux 5.3, `E2BIG` before 5.7, `EBUSY` for a group that enables controllers for its
/// subgroups, `EACCES` and `ENOENT` if the caller may not use the group, `EAGAIN` at a process limit.
pub fn fork_into(group: BorrowedFd<'_>) -> Result<Option<i32>, Errno> {
    // SAFETY: all zero is a valid clone_args.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = CLONE_INTO_CGROUP;
    args.exit_signal = libc::SIGCHLD as u64;
    args.cgroup = group.as_raw_fd() as u64;
    // SAFETY: without CLONE_VM and without a stack this is a fork, and the process has one thread.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    match Errno::result(result)? {
        0 => Ok(None),
        pid => i32::try_from(pid).map(Some).map_err(|_| Errno::ERANGE),
    }
}

/// A change of a child's state: waitid(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The child.
    pub pid: i32,
    /// CLD_EXITED, CLD_KILLED, CLD_DUMPED, CLD_STOPPED, CLD_CONTINUED.
    pub code: c_int,
    /// The exit status or the signal.
    pub status: c_int,
}

/// The next change of any child, if there is one: waitid(2) without waiting.
///
/// # Errors
/// `ECHILD` when there is no child.
pub fn next_change() -> Result<Option<Change>, Errno> {
    // SAFETY: all zero is a valid siginfo_t; waitid leaves it so for "no child".
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

/// The signals that are pending because they are blocked: sigpending(2).
pub fn pending() -> SigSet {
    // SAFETY: all zero is a valid sigset_t, the empty one.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the sigset_t lives through the call, which fills it in.
    unsafe { libc::sigpending(&raw mut set) };
    // SAFETY: the kernel filled it in.
    unsafe { SigSet::from_sigset_t_unchecked(set) }
}

/// Unblocks a signal, even a real-time one, for which nix has no name: sigprocmask(2).
pub fn unblock(signo: c_int) {
    // SAFETY: all zero is a valid sigset_t, the empty one.
    let mut only: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the sigset_t lives through the call, which refuses a number that is not a signal.
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

/// Sets a signal to its default action, or ignores it.
pub fn set_ignored(signo: c_int, ignored: bool) {
    // SAFETY: all zero is a valid sigaction: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = if ignored { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: neither action is a function; the call only refuses SIGKILL and SIGSTOP.
    unsafe { libc::sigaction(signo, &raw const action, std::ptr::null_mut()) };
}

/// Replaces this process by a program, with the inherited environment: execve(2). Returns only on failure,
/// with its errno.
pub fn execve(program: &CStr, argv: &[CString]) -> Errno {
    let mut pointers: Vec<*const c_char> = argv.iter().map(|arg| arg.as_ptr()).collect();
    pointers.push(std::ptr::null());
    // SAFETY: only reads the pointer, and no other code in this process changes the environment.
    let environment = unsafe { environ };
    // SAFETY: both vectors end with a null pointer and hold C strings that live through the call.
    unsafe { libc::execve(program.as_ptr(), pointers.as_ptr(), environment) };
    Errno::last()
}

/// The same for an open program, whatever its name.
///
/// # Source
/// execveat(2), AT_EMPTY_PATH.
pub fn execve_open(program: &OwnedFd, argv: &[CString]) -> Errno {
    let mut pointers: Vec<*const c_char> = argv.iter().map(|arg| arg.as_ptr()).collect();
    pointers.push(std::ptr::null());
    // SAFETY: only reads the pointer, and no other code in this process changes the environment.
    let environment = unsafe { environ };
    // SAFETY: as for `execve`; the descriptor is open.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            pointers.as_ptr(),
            environment,
            libc::AT_EMPTY_PATH,
        )
    };
    Errno::last()
}

/// Starts a program in a child, with the inherited environment: the child's PID. Unlike after fork(2), no memory is
/// copied for the moment before the child becomes the program.
///
/// # Errors
/// Those of fork(2) and execve(2).
///
/// # Source
/// posix_spawn(3).
pub fn spawn(program: &CStr, argv: &[CString]) -> Result<i32, Errno> {
    let mut pointers: Vec<*mut c_char> = argv.iter().map(|arg| arg.as_ptr().cast_mut()).collect();
    pointers.push(std::ptr::null_mut());
    let (mut pid, nothing, defaults) = (0, std::ptr::null(), std::ptr::null());
    // SAFETY: only reads the pointer, and no other code in this process changes the environment.
    let environment = unsafe { environ }.cast::<*mut c_char>();
    // SAFETY: both vectors end with a null pointer and hold C strings, which live through the call and are only read;
    // the actions and the attributes may be null.
    let error = unsafe {
        libc::posix_spawn(&raw mut pid, program.as_ptr(), nothing, defaults, pointers.as_ptr(), environment)
    };
    // the error is the result, not errno
    if error == 0 { Ok(pid) } else { Err(Errno::from_raw(error)) }
}

/// A copy of this program in memory that can be run and never changed: memfd_create(2).
///
/// # Errors
/// `EACCES` if sysctl vm.memfd_noexec forbids it or the program cannot be read; `ENOENT` without /proc; those of
/// write(2).
pub fn sealed_copy(name: &str) -> Result<OwnedFd, Errno> {
    let mut program = File::open(OWN_PROGRAM).map_err(from_io)?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let copy = match rustix::fs::memfd_create(name, flags | MemfdFlags::EXEC) {
        // before Linux 6.3, which can run every one
        Err(rustix::io::Errno::INVAL) => rustix::fs::memfd_create(name, flags),
        made => made,
    };
    let mut copy = File::from(copy.map_err(errno)?);
    std::io::copy(&mut program, &mut copy).map_err(from_io)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&copy, seals).map_err(errno)?;
    Ok(copy.into())
}

fn from_io(why: std::io::Error) -> Errno {
    why.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// Whether this process runs from a [`sealed_copy`].
pub fn is_sealed_copy() -> bool {
    let program = File::open(OWN_PROGRAM);
    program.is_ok_and(|program| {
        rustix::fs::fcntl_get_seals(&program).is_ok_and(|seals| seals.contains(SealFlags::WRITE))
    })
}

/// Changes the name that ps(1) and pgrep(1) show, at most 15 bytes: PR_SET_NAME(2const).
pub fn set_process_name(name: &str) {
    if let Ok(name) = CString::new(name) {
        rustix::thread::set_name(&name).ok();
    }
}

unsafe extern "C" {
    static environ: *const *const c_char;
    // the start and end of this program's code; each linker defines them
    static __executable_start: u8;
    static etext: u8;
}

/// Releases the pages of this program's code; pages that run again are mapped again. For a process that waits
/// for a long time: the start reads most of the program, waiting needs little of it.
///
/// # Source
/// madvise(2), MADV_DONTNEED.
pub fn drop_code_pages() {
    let (start, end) = (&raw const __executable_start, &raw const etext);
    let start = start.map_addr(|address| address & !4095);
    let length = end.addr().saturating_sub(start.addr());
    // SAFETY: code is mapped from its file and never written to, so released pages are read from there again,
    // with the same content.
    unsafe { libc::madvise(start.cast_mut().cast(), length, libc::MADV_DONTNEED) };
}

/// The address of the arguments that this process was started with, as /proc/PID/cmdline shows them.
static ARGUMENTS: AtomicPtr<c_char> = AtomicPtr::new(std::ptr::null_mut());
static ARGUMENTS_LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Remembers the address of the arguments of `main()`. execve(2) stores them one after the other.
pub(super) fn remember_arguments(argv: &[*const c_char]) {
    let (Some(&first), Some(&last)) = (argv.first(), argv.last()) else { return };
    // SAFETY: each argument of main() is a C string.
    let last_length = unsafe { CStr::from_ptr(last) }.count_bytes();
    ARGUMENTS_LENGTH.store((last.addr() + last_length).saturating_sub(first.addr()), Ordering::Relaxed);
    ARGUMENTS.store(first.cast_mut(), Ordering::Relaxed);
}

/// The arguments that this process was started with. With musl, `std::env::args_os` has them only if std's start-up
/// code runs.
pub fn own_arguments() -> Vec<CString> {
    let (first, length) = (ARGUMENTS.load(Ordering::Relaxed), ARGUMENTS_LENGTH.load(Ordering::Relaxed));
    if first.is_null() {
        return Vec::new();
    }
    // SAFETY: the arguments of main() are contiguous with this length, and no code writes to them meanwhile.
    let arguments = unsafe { std::slice::from_raw_parts(first.cast::<u8>(), length) };
    arguments.split(|byte| *byte == 0).filter_map(|arg| CString::new(arg).ok()).collect()
}

/// Overwrites the arguments that /proc/PID/cmdline shows with a name, truncated if it is longer than they are.
pub fn overwrite_arguments(name: &str) {
    let (first, length) = (ARGUMENTS.load(Ordering::Relaxed), ARGUMENTS_LENGTH.load(Ordering::Relaxed));
    if first.is_null() {
        return;
    }
    // SAFETY: the arguments of main() are writable, C11 5.1.2.2.1, and contiguous with this length. The last
    // byte, a NUL, is kept. They are not read again, because `arguments` made copies.
    let arguments = unsafe { std::slice::from_raw_parts_mut(first.cast::<u8>(), length) };
    for (at, byte) in arguments.iter_mut().enumerate() {
        *byte = name.as_bytes().get(at).copied().unwrap_or(0);
    }
}

/// Overwrites the environment that /proc/PID/environ shows, including removed variables. This process must not read
/// its environment again.
///
/// # Source
/// execve(2) stores the arguments, the environment and the program's name one after the other: fs/exec.c;
/// getauxval(3).
pub fn overwrite_environment() {
    let (first, length) = (ARGUMENTS.load(Ordering::Relaxed), ARGUMENTS_LENGTH.load(Ordering::Relaxed));
    // SAFETY: only reads what the kernel left on the stack.
    let name = unsafe { libc::getauxval(libc::AT_EXECFN) } as usize;
    let Some(all) = name.checked_sub(first.addr()).filter(|all| !first.is_null() && *all > length) else {
        return;
    };
    // SAFETY: the memory from the first argument to the program's name is contiguous and writable.
    let strings = unsafe { std::slice::from_raw_parts_mut(first.cast::<u8>(), all) };
    strings.iter_mut().skip(length).for_each(|byte| *byte = 0);
}

/// PR_SET_PDEATHSIG(2const), with any signal number; 0 is none.
///
/// # Errors
/// `EINVAL` for a number that is not a signal.
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

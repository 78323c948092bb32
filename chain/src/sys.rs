// SPDX-License-Identifier: MIT OR Apache-2.0
//! The system calls that nix does not have, and every `unsafe` of the project.
//!
//! One call a function, one `unsafe` a block; what keeps each one sound stands
//! at its SAFETY line. Errors are errno values, as the manual pages list them.
//! This file is long because everything unsafe is here.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use libc::{c_char, c_int};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::stat::Mode;
use nix::unistd::{ForkResult, Gid, Uid};

/// Whole trees of mounts: open_tree(2), mount_setattr(2).
const AT_RECURSIVE: c_int = 0x8000;
/// The child starts in the cgroup whose descriptor is given: clone3(2), Linux 5.7. libc's own overflows.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Writes a whole line to standard error, and lets a failure pass.
///
/// Where the caller closed descriptor 2, the number may be one we opened since:
/// ours are all close-on-exec, an inherited one never is, so that tells them apart.
pub fn say(line: &[u8]) {
    if inherited(2) {
        write_all(2, line);
    }
}

/// Writes to standard output what the user asked to read there (`--help`).
pub fn print(text: &[u8]) {
    if inherited(1) {
        write_all(1, text);
    }
}

fn inherited(fd: c_int) -> bool {
    // SAFETY: F_GETFD takes any number and touches no memory.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    flags >= 0 && flags & libc::FD_CLOEXEC == 0
}

fn write_all(fd: c_int, mut rest: &[u8]) {
    // SAFETY: `inherited` has just seen it open, and nothing else runs in this process.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let pipe: SigSet = std::iter::once(Signal::SIGPIPE).collect();
    let mut before = SigSet::empty();
    // a reader that is gone must not end us; its disposition is the command's and stays
    let _ = nix::sys::signal::sigprocmask(SigmaskHow::SIG_BLOCK, Some(&pipe), Some(&mut before));
    while !rest.is_empty() {
        match nix::unistd::write(fd, rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EPIPE) => {
                forget_signal(&pipe);
                break;
            }
            Err(_) => break,
        }
    }
    let _ = nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
}

/// Takes a pending signal away: sigtimedwait(2) that does not wait.
fn forget_signal(which: &SigSet) {
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the set and the time live through the call, and no siginfo is asked for.
    unsafe { libc::sigtimedwait(which.as_ref(), std::ptr::null_mut(), &raw const now) };
}

/// Ends the process at once: no destructors, no exit handlers, nothing flushed.
pub fn exit(status: i32) -> ! {
    // SAFETY: _exit takes any status and does not return.
    unsafe { libc::_exit(status) }
}

/// The arguments a process was started with, byte for byte, from what its C entry point was given:
/// std's own copy needs its runtime on some systems.
///
/// # Safety
/// `argc` and `argv` are those of `main()`: C11 5.1.2.2.1.
pub unsafe fn arguments(argc: c_int, argv: *const *const c_char) -> Vec<OsString> {
    if argv.is_null() {
        return Vec::new();
    }
    // SAFETY: the caller's: `argc` pointers.
    let argv = unsafe { std::slice::from_raw_parts(argv, usize::try_from(argc).unwrap_or(0)) };
    argv.iter()
        .map(|&arg| {
            // SAFETY: the caller's: each of them leads to a C string.
            let arg = unsafe { CStr::from_ptr(arg) };
            OsStr::from_bytes(arg.to_bytes()).to_owned()
        })
        .collect()
}

/// open_tree(2) with OPEN_TREE_CLONE: a recursive copy of the mounts at `path`.
///
/// # Errors
/// `ENOSYS` before Linux 5.2, `EPERM` without CAP_SYS_ADMIN, `EINVAL` where a mount may not be copied.
pub fn open_tree(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = libc::OPEN_TREE_CLONE as c_int | libc::OPEN_TREE_CLOEXEC as c_int | AT_RECURSIVE;
    let path = c_string(path.as_os_str())?;
    // SAFETY: the path is a C string for the length of the call.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    owned(fd)
}

/// Whether the mounts below a directory may be taken away from it. Those that came from a user
/// namespace above may not: mount_namespaces(7). The kernel says so to who would copy the
/// directory without them; the copy is not kept.
pub fn mounts_below_can_go(dir: BorrowedFd<'_>) -> bool {
    let flags = libc::OPEN_TREE_CLONE as c_int | libc::OPEN_TREE_CLOEXEC as c_int | libc::AT_EMPTY_PATH;
    // SAFETY: the empty path is a C string that lives for ever, the descriptor is borrowed.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, dir.as_raw_fd(), c"".as_ptr(), flags) };
    owned(fd).is_ok()
}

/// Whether the kernel has open_tree(2), which came with fspick(2) and the rest: Linux 5.2.
pub fn has_open_tree() -> bool {
    // SAFETY: an empty path and a descriptor that cannot exist: the call only fails.
    let result = unsafe { libc::syscall(libc::SYS_fspick, -1, c"".as_ptr(), 0) };
    Errno::result(result) != Err(Errno::ENOSYS)
}

/// fsopen(2): a file system to be made and mounted.
///
/// # Errors
/// `ENOSYS` before Linux 5.2, `ENODEV` for a type the kernel lacks, `EPERM` without CAP_SYS_ADMIN.
pub fn fs_open(fstype: &str) -> Result<OwnedFd, Errno> {
    // FSOPEN_CLOEXEC, which libc has not
    const CLOEXEC: c_int = 1;
    let fstype = c_string(OsStr::new(fstype))?;
    // SAFETY: the name is a C string for the length of the call.
    owned(unsafe { libc::syscall(libc::SYS_fsopen, fstype.as_ptr(), CLOEXEC) })
}

/// fsconfig(2): sets an option that has no value, such as the controller of a version 1 hierarchy.
///
/// # Errors
/// `EINVAL` for an option that the file system has not.
pub fn fs_flag(context: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    // FSCONFIG_SET_FLAG, which libc has not
    const SET_FLAG: c_int = 0;
    let name = c_string(OsStr::new(name))?;
    let (fd, none) = (context.as_raw_fd(), std::ptr::null::<c_char>());
    // SAFETY: the name is a C string for the length of the call; this command takes no value.
    let set = unsafe { libc::syscall(libc::SYS_fsconfig, fd, SET_FLAG, name.as_ptr(), none, 0) };
    Errno::result(set).map(drop)
}

/// fsconfig(2) and fsmount(2): makes the file system, with its default options, and a mount of it.
///
/// # Errors
/// As the file system's own, `EPERM` without CAP_SYS_ADMIN.
pub fn fs_mount(context: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    // FSCONFIG_CMD_CREATE and FSMOUNT_CLOEXEC, which libc has not
    const CREATE: c_int = 6;
    const CLOEXEC: c_int = 1;
    let none = std::ptr::null::<c_char>();
    let fd = context.as_raw_fd();
    // SAFETY: this command takes no key and no value.
    let made = unsafe { libc::syscall(libc::SYS_fsconfig, fd, CREATE, none, none, 0) };
    Errno::result(made)?;
    // SAFETY: a descriptor and two numbers.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, fd, CLOEXEC, 0) })
}

/// move_mount(2): attaches the tree that `tree` refers to at `target`.
///
/// # Errors
/// `EINVAL` where the target is in another mount namespace or shared, `EPERM`, `ENOENT`.
pub fn move_mount(tree: BorrowedFd<'_>, target: &Path) -> Result<(), Errno> {
    let target = c_string(target.as_os_str())?;
    // SAFETY: both paths are C strings for the length of the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            libc::MOVE_MOUNT_F_EMPTY_PATH,
        )
    };
    Errno::result(result).map(drop)
}

/// mount_setattr(2): the tree and all below it read-only.
///
/// # Errors
/// `ENOSYS` before Linux 5.12, `EPERM`, `EINVAL`.
pub fn read_only_tree(tree: BorrowedFd<'_>) -> Result<(), Errno> {
    let attr =
        libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: the struct lives through the call and its size is told.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | AT_RECURSIVE,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(result).map(drop)
}

/// Opens a directory below `dir` for use as a path, and refuses any symlink on the way.
///
/// Where openat2(2) (Linux 5.6) is missing, each component is opened by itself.
///
/// # Errors
/// `ELOOP` at a symlink, `ENOTDIR`, `ENOENT`, `EXDEV` at a `..` that leads above.
pub fn open_without_symlinks(dir: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let how =
        OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
    match nix::fcntl::openat2(dir, path, how) {
        Err(Errno::ENOSYS) => {}
        result => return result,
    }
    let mut at: Option<OwnedFd> = None;
    for part in path.components() {
        let Component::Normal(name) = part else { return Err(Errno::EXDEV) };
        let from = at.as_ref().map_or(dir, |fd| fd.as_fd());
        at = Some(nix::fcntl::openat(from, name, flags | OFlag::O_NOFOLLOW, Mode::empty())?);
    }
    at.ok_or(Errno::ENOENT)
}

/// One write(2) of the whole value to a file that must exist: nothing is created or truncated.
///
/// # Errors
/// As open(2) and write(2); `EIO` where the kernel took only a part.
pub fn write_file(path: &Path, data: &[u8]) -> Result<(), Errno> {
    let fd = nix::fcntl::open(path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    match nix::unistd::write(&fd, data)? {
        written if written == data.len() => Ok(()),
        _ => Err(Errno::EIO),
    }
}

/// As [`write_file`], for a file of an open directory.
///
/// # Errors
/// As openat(2) and write(2).
pub fn write_at(dir: BorrowedFd<'_>, name: &str, data: &[u8]) -> Result<(), Errno> {
    let fd = nix::fcntl::openat(dir, name, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    nix::unistd::write(&fd, data).map(drop)
}

/// Opens a directory and takes the exclusive lock on it, if nobody holds one.
///
/// # Errors
/// `EWOULDBLOCK` where somebody does, `ENOENT` also where it was removed meanwhile, else as open(2)
/// and flock(2).
pub fn lock_unused(path: &Path) -> Result<OwnedFd, Errno> {
    lock_opened(open_directory(path)?, path)
}

/// The second half of [`lock_unused`]: the lock of a directory that somebody removed, and perhaps made
/// anew, before we had it, says nothing about the path.
pub(crate) fn lock_opened(fd: OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    flock(fd.as_fd(), libc::LOCK_EX | libc::LOCK_NB)?;
    let (locked, there) = (nix::sys::stat::fstat(&fd)?, nix::sys::stat::stat(path)?);
    let is_there = (locked.st_dev, locked.st_ino) == (there.st_dev, there.st_ino);
    if is_there { Ok(fd) } else { Err(Errno::ENOENT) }
}

pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    nix::fcntl::open(path, flags, Mode::empty())
}

fn flock(fd: BorrowedFd<'_>, operation: c_int) -> Result<(), Errno> {
    // SAFETY: an open descriptor and a number.
    let result = unsafe { libc::flock(fd.as_raw_fd(), operation) };
    Errno::result(result).map(drop)
}

/// Sets IFF_UP on an interface of this network namespace; the kernel gives `lo` its address.
///
/// # Errors
/// `EPERM` without CAP_NET_ADMIN over the namespace, `ENODEV`.
///
/// # Source
/// netdevice(7).
pub fn bring_up(interface: &str) -> Result<(), Errno> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: all zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes().take(libc::IFNAMSIZ - 1)) {
        *to = c_char::from_ne_bytes([from]);
    }
    // IFF_UP is 1, so it fits
    request.ifr_ifru.ifru_flags = 1;
    // musl's ioctl takes an int, glibc's a long
    let set_flags = libc::SIOCSIFFLAGS as libc::Ioctl;
    // SAFETY: SIOCSIFFLAGS reads one ifreq, which lives through the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), set_flags, &raw const request) };
    Errno::result(result).map(drop)
}

/// Sets FD_CLOEXEC on an inherited descriptor.
///
/// # Errors
/// `EBADF`.
pub fn close_on_exec(fd: c_int) -> Result<(), Errno> {
    // SAFETY: F_SETFD takes two numbers and touches no memory.
    let result = unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    Errno::result(result).map(drop)
}

/// Looks at an inherited descriptor, which nobody here owns.
pub fn look_at<T>(fd: c_int, look: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
    // SAFETY: only while it is looked at; nothing in this process closes what it inherited.
    look(unsafe { BorrowedFd::borrow_raw(fd) })
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
pub fn forget_code() {
    let (start, end) = (&raw const __executable_start, &raw const etext);
    let start = start.map_addr(|address| address & !4095);
    let length = end.addr().saturating_sub(start.addr());
    // SAFETY: code is mapped from its file and never written to, so what is dropped is read
    // from there again, with the same content.
    unsafe { libc::madvise(start.cast_mut().cast(), length, libc::MADV_DONTNEED) };
}

/// setenv(3): what the command finds in its environment.
///
/// # Errors
/// `ENOMEM`; `EINVAL` for a name that is empty or holds `=`.
pub fn set_variable(name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Result<(), Errno> {
    let (name, value) = (c_string(name.as_ref())?, c_string(value.as_ref())?);
    // SAFETY: both are C strings, and no other thread reads the environment: there is none.
    let result = unsafe { libc::setenv(name.as_ptr(), value.as_ptr(), 1) };
    Errno::result(result).map(drop)
}

/// Clears the environment but for these variables.
///
/// # Errors
/// `ENOMEM`; `EINVAL` for a name that is empty or holds `=`.
pub fn keep_environment(names: &[OsString]) -> Result<(), Errno> {
    let kept: Vec<_> = names.iter().filter_map(|name| Some((name, std::env::var_os(name)?))).collect();
    // SAFETY: one thread, and no reference into the environment is held: `kept` is a copy.
    unsafe { libc::clearenv() };
    kept.into_iter().try_for_each(|(name, value)| set_variable(name, value))
}

/// Ids of this process that decide what it may do: effective user and group.
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

/// setresuid(2), all three, and a look whether all three are what was asked for: any other would be
/// a way back.
///
/// # Errors
/// `EPERM` without CAP_SETUID, `EINVAL` for a user that is not mapped, `EAGAIN` at a limit of processes.
pub fn set_user(uid: u32) -> Result<(), Errno> {
    let uid = Uid::from_raw(uid);
    keeping_death_signal(|| nix::unistd::setresuid(uid, uid, uid))?;
    let now = nix::unistd::getresuid()?;
    if [now.real, now.effective, now.saved] == [uid; 3] { Ok(()) } else { Err(Errno::EPERM) }
}

/// A change of ids takes back the signal that comes when the parent dies: PR_SET_PDEATHSIG(2const).
fn keeping_death_signal(change: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
    let signal = nix::sys::prctl::get_pdeathsig()?;
    let parent = nix::unistd::getppid();
    change()?;
    if let Some(signal) = signal {
        nix::sys::prctl::set_pdeathsig(signal)?;
        // it may have died in between; in a PID namespace of its own it reads as 0 either way
        if nix::unistd::getppid() != parent {
            nix::sys::signal::raise(signal)?;
        }
    }
    Ok(())
}

/// Makes or empties a file and writes the number of this process and a newline into it. The
/// number is the one that /proc has for us, which is not getpid(2)'s in a PID namespace whose
/// own /proc is not mounted yet: the one outside, then.
///
/// # Errors
/// As open(2) and write(2), `ENOENT` without /proc.
pub fn write_pid(path: &Path) -> Result<(), Errno> {
    let pid = nix::fcntl::readlink("/proc/self")?;
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_CLOEXEC;
    let fd = nix::fcntl::open(path, flags, Mode::from_bits_truncate(0o644))?;
    let mut line = pid.into_encoded_bytes();
    line.push(b'\n');
    match nix::unistd::write(&fd, &line)? {
        written if written == line.len() => Ok(()),
        _ => Err(Errno::EIO),
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

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// _LINUX_CAPABILITY_VERSION_3: two words of each set, of this process.
static CAPABILITIES: CapabilityHeader = CapabilityHeader { version: 0x2008_0522, pid: 0 };

fn capabilities() -> Result<[CapabilityData; 2], Errno> {
    let mut data = [CapabilityData::default(); 2];
    // SAFETY: version 3 fills two structs, which live through the call.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw const CAPABILITIES, data.as_mut_ptr()) };
    Errno::result(result).map(|_| data)
}

/// Whether this process has a capability, by its number in capabilities(7): capget(2).
pub fn has_capability(number: u32) -> bool {
    capabilities().is_ok_and(|data| {
        let word = data.get(number as usize / 32).map_or(0, |word| word.effective);
        word & (1 << (number % 32)) != 0
    })
}

/// Makes each permitted capability inheritable and ambient, so that execve(2) keeps it.
///
/// # Errors
/// As capset(2) and PR_CAP_AMBIENT(2const): `EPERM` where a securebit forbids it.
pub fn keep_capabilities() -> Result<(), Errno> {
    let mut data = capabilities()?;
    for word in &mut data {
        word.inheritable = word.permitted;
    }
    // SAFETY: version 3 reads two structs, which live through the call.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const CAPABILITIES, data.as_ptr()) };
    Errno::result(result)?;
    for (word, first) in data.iter().zip([0, 32]) {
        for bit in (0..32).filter(|bit| word.permitted & (1 << bit) != 0) {
            // SAFETY: numbers only.
            let result = unsafe {
                libc::prctl(
                    libc::PR_CAP_AMBIENT,
                    libc::PR_CAP_AMBIENT_RAISE,
                    first + bit as libc::c_ulong,
                    0,
                    0,
                )
            };
            Errno::result(result)?;
        }
    }
    Ok(())
}

/// A path or argument for the kernel.
///
/// # Errors
/// `EINVAL` where it holds a NUL byte, which no argument vector can.
pub fn c_string(text: &OsStr) -> Result<CString, Errno> {
    CString::new(text.as_bytes()).map_err(|_| Errno::EINVAL)
}

fn owned(fd: libc::c_long) -> Result<OwnedFd, Errno> {
    let fd = c_int::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made it for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The user namespace that a namespace belongs to: ioctl_ns(2), NS_GET_USERNS.
///
/// # Errors
/// `EPERM` where it lies above the caller's own.
pub fn owner_of_namespace(namespace: &impl std::os::fd::AsFd) -> Result<OwnedFd, Errno> {
    // _IO(0xb7, 0x1); the descriptor that comes back is close-on-exec
    const NS_GET_USERNS: libc::Ioctl = 0xb701;
    // SAFETY: the ioctl takes no argument.
    let fd = unsafe { libc::ioctl(namespace.as_fd().as_raw_fd(), NS_GET_USERNS) };
    owned(fd.into())
}

/// The umask, looked at: umask(2) can only be read by setting it.
pub fn current_umask() -> u32 {
    let mask = nix::sys::stat::umask(Mode::empty());
    nix::sys::stat::umask(mask);
    mask.bits()
}

/// Whether a directory is the top of a mount: statx(2), Linux 5.8. Nothing where the kernel cannot tell.
pub fn is_mount_root(path: &Path) -> Option<bool> {
    // STATX_ATTR_MOUNT_ROOT, which libc has as a signed number on some systems
    const MOUNT_ROOT: u64 = 0x2000;
    let path = c_string(path.as_os_str()).ok()?;
    // SAFETY: all zero is a valid statx.
    let mut found: libc::statx = unsafe { std::mem::zeroed() };
    // by its number: musl has the function since 1.2.5 only
    // SAFETY: the path is a C string, and the struct lives through the call.
    let result =
        unsafe { libc::syscall(libc::SYS_statx, libc::AT_FDCWD, path.as_ptr(), 0, 0, &raw mut found) };
    let known = result == 0 && found.stx_attributes_mask & MOUNT_ROOT != 0;
    known.then_some(found.stx_attributes & MOUNT_ROOT != 0)
}

/// Whether the kernel has mount_setattr(2): Linux 5.12.
pub fn has_mount_setattr() -> bool {
    // SAFETY: no struct is read: its size is told as 0, which is refused.
    let result = unsafe {
        libc::syscall(libc::SYS_mount_setattr, -1, c"".as_ptr(), 0, std::ptr::null::<u8>(), 0usize)
    };
    Errno::result(result) != Err(Errno::ENOSYS)
}

/// The descriptors that were inherited: those without FD_CLOEXEC.
pub fn inherited_descriptors() -> Vec<c_int> {
    let mut candidates = Vec::new();
    let listed = each_name(Path::new("/proc/self/fd"), &mut |name| {
        candidates.extend(name.to_str().and_then(|name| name.parse::<c_int>().ok()));
        ControlFlow::Continue(())
    });
    if listed.is_err() {
        // without /proc: as many as there may be
        candidates = (0..descriptor_limit()).collect();
    }
    candidates.into_iter().filter(|fd| inherited(*fd)).collect()
}

/// Whether a file has an extended attribute with this value: getxattr(2).
pub fn has_attribute(path: &Path, name: &CStr, value: &[u8]) -> bool {
    let Ok(path) = c_string(path.as_os_str()) else { return false };
    let mut found = [0u8; 16];
    // SAFETY: both names are C strings and the buffer is as long as told.
    let len = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), found.as_mut_ptr().cast(), found.len()) };
    usize::try_from(len).is_ok_and(|len| found.get(..len) == Some(value))
}

/// Whether execve(2) of a file gives capabilities: it has the attribute of capabilities(7).
pub fn has_file_capabilities(path: &Path) -> bool {
    let Ok(path) = c_string(path.as_os_str()) else { return false };
    // SAFETY: both names are C strings; without a buffer only the length is told.
    let len =
        unsafe { libc::getxattr(path.as_ptr(), c"security.capability".as_ptr(), std::ptr::null_mut(), 0) };
    len > 0
}

/// Whether the effective user may write to a file, or make entries in a directory.
pub fn is_writable(path: &Path) -> bool {
    let flags = nix::fcntl::AtFlags::AT_EACCESS;
    nix::unistd::faccessat(nix::fcntl::AT_FDCWD, path, nix::unistd::AccessFlags::W_OK, flags).is_ok()
}

/// The highest number a descriptor can have had: what the limit may have been raised to, within reason.
fn descriptor_limit() -> c_int {
    const REASON: u64 = 1 << 20;
    let limits = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
    let highest = limits.map_or(REASON, |(_, hard)| hard.min(REASON));
    c_int::try_from(highest).unwrap_or(c_int::MAX)
}

/// Reads a small file of the kernel whole, in one read(2) where it fits.
///
/// # Errors
/// As open(2) and read(2).
pub fn read(path: &str) -> Result<Vec<u8>, Errno> {
    const AT_ONCE: usize = 16 * 1024;
    let fd = nix::fcntl::open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut text = Vec::with_capacity(AT_ONCE);
    loop {
        if text.len() == text.capacity() {
            text.reserve(text.len());
        }
        match read_behind(fd.as_fd(), &mut text) {
            Ok(0) => return Ok(text),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// read(2) into the room behind a text, which is not filled with zeros first: that would touch each page of it.
fn read_behind(fd: BorrowedFd<'_>, text: &mut Vec<u8>) -> Result<usize, Errno> {
    let room = text.spare_capacity_mut();
    // SAFETY: the room is ours and as long as told; what is in it does not matter.
    let read = unsafe { libc::read(fd.as_raw_fd(), room.as_mut_ptr().cast(), room.len()) };
    let read = usize::try_from(Errno::result(read)?).unwrap_or_default();
    // SAFETY: the kernel has just written so many bytes behind the end, and no more than there is room for.
    unsafe { text.set_len(text.len() + read) };
    Ok(read)
}

/// Gives each name in a directory to `with`, until that breaks off: getdents64(2). std's `read_dir`
/// does the same with a buffer of 32 KiB, which costs a short-lived process more than the names.
///
/// # Errors
/// As open(2) and getdents64(2).
pub fn each_name(path: &Path, with: &mut dyn FnMut(&OsStr) -> ControlFlow<()>) -> Result<(), Errno> {
    let dir = open_directory(path)?;
    let mut buffer = [0u8; 4096];
    loop {
        // SAFETY: the buffer lives through the call and its length is told.
        let filled = unsafe {
            libc::syscall(libc::SYS_getdents64, dir.as_raw_fd(), buffer.as_mut_ptr(), buffer.len())
        };
        let filled = usize::try_from(Errno::result(filled)?).unwrap_or_default();
        let mut records = buffer.get(..filled).unwrap_or_default();
        if records.is_empty() {
            return Ok(());
        }
        while let Some((name, rest)) = first_name(records) {
            records = rest;
            if !matches!(name, b"." | b"..") && with(OsStr::from_bytes(name)).is_break() {
                return Ok(());
            }
        }
    }
}

/// The name in the first of getdents64(2)'s records, and the others. A record is an inode number and an
/// offset, 8 bytes each, its own length in 2, a type in 1, and the name up to a NUL byte.
fn first_name(records: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = records.get(16..18)?.try_into().ok().map(u16::from_ne_bytes)?;
    let (record, rest) = records.split_at_checked(length.into())?;
    let name = record.get(19..)?.split(|byte| *byte == 0).next()?;
    Some((name, rest))
}

/// chmod(2) of an open file.
///
/// # Errors
/// `EPERM`, `EROFS`.
pub fn set_mode(fd: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    nix::sys::stat::fchmod(fd, Mode::from_bits_truncate(mode))
}

/// A descriptor of a process: pidfd_open(2).
///
/// # Errors
/// `ENOSYS` before Linux 5.3, `ESRCH`.
pub fn pidfd_open(pid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: two numbers.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_of_a_directory_is_given_once_until_it_breaks_off() {
        let dir = std::env::temp_dir().join(format!("chain-names-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        // more than a buffer holds, and names of every length
        let mut made: Vec<String> = (1..=250).map(|length| "n".repeat(length)).collect();
        made.iter().for_each(|name| std::fs::write(dir.join(name), "").unwrap());
        let mut found = Vec::new();
        let listed = each_name(&dir, &mut |name| {
            found.push(name.to_str().unwrap().to_string());
            ControlFlow::Continue(())
        });
        let mut first = 0;
        each_name(&dir, &mut |_| {
            first += 1;
            if first == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        made.sort();
        found.sort();
        assert_eq!((listed, first), (Ok(()), 3));
        assert_eq!(found, made);
        assert_eq!(each_name(&dir, &mut |_| ControlFlow::Break(())), Err(Errno::ENOENT));
    }

    #[test]
    fn a_file_is_read_whole_also_where_it_is_longer_than_one_read() {
        let path = std::env::temp_dir().join(format!("chain-read-{}", std::process::id()));
        for length in [0, 1, 16 * 1024, 100_001] {
            let text: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            std::fs::write(&path, &text).unwrap();
            assert_eq!(read(path.to_str().unwrap()), Ok(text));
        }
        std::fs::remove_file(path).unwrap();
    }
}

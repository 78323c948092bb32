//! Creates a cgroup namespace whose root is a group that this process is not in.
//!
//! With clone3(2), a child starts in a group, which becomes the root of its new cgroup namespace. The child
//! opens the namespace for its parent, which shares the child's descriptors, and ends. They share the memory
//! as well, and the parent waits as after vfork(2). So the child makes only two system calls, and has no
//! stack of its own.

use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use libc::c_long;
use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::process::CLONE_INTO_CGROUP;

const OWN_NAMESPACE: &CStr = c"/proc/self/ns/cgroup";
const OPEN_FLAGS: libc::c_int = libc::O_RDONLY | libc::O_CLOEXEC;

/// Opens a new cgroup namespace with this root: clone3(2), cgroup_namespaces(7).
///
/// # Errors
/// Those of [`super::fork_into`]; `EPERM` without CAP_SYS_ADMIN; `ENOENT` without /proc; `ENOSYS` also on
/// processors without an implementation here.
pub fn cgroup_namespace(root: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    // SAFETY: all zero is a valid clone_args.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    let shared = libc::CLONE_VM | libc::CLONE_FILES | libc::CLONE_VFORK;
    args.flags = (shared | libc::CLONE_NEWCGROUP) as u64 | CLONE_INTO_CGROUP;
    args.cgroup = root.as_raw_fd() as u64;
    let mut opened: c_long = 0;
    // SAFETY: the clone_args and the result live through the call, and the process has one thread.
    let child = returned(unsafe { clone_and_open(&args, &mut opened) })?;
    // until it is reaped it is in the group; a child without an exit signal needs __WALL
    let _ = waitpid(Pid::from_raw(child), Some(WaitPidFlag::__WALL));
    let fd = returned(opened)?;
    // SAFETY: the child opened it in the shared table, and no other code knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The kernel's return value: a number, or a negative errno.
fn returned(value: c_long) -> Result<i32, Errno> {
    match i32::try_from(value) {
        Ok(number @ 0..) => Ok(number),
        Ok(negative) => Err(Errno::from_raw(-negative)),
        Err(_) => Err(Errno::ERANGE),
    }
}

/// clone3(2), and openat(2) and _exit(2) in the child; `opened` is what openat(2) returned.
///
/// # Safety
/// The process has one thread, and `args` has the child share its memory while the parent waits.
#[cfg(target_arch = "x86_64")]
unsafe fn clone_and_open(args: &libc::clone_args, opened: &mut c_long) -> c_long {
    let child: c_long;
    // SAFETY: the child only touches registers and `opened`, and no stack.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov rdi, {at_cwd}",
            "mov rsi, r8",
            "mov edx, {flags}",
            "xor r10d, r10d",
            "mov eax, {openat}",
            "syscall",
            "mov qword ptr [r9], rax",
            "xor edi, edi",
            "mov eax, {exit}",
            "syscall",
            "2:",
            at_cwd = const libc::AT_FDCWD,
            flags = const OPEN_FLAGS,
            openat = const libc::SYS_openat,
            exit = const libc::SYS_exit,
            inout("rax") libc::SYS_clone3 => child,
            inout("rdi") std::ptr::from_ref(args) => _,
            inout("rsi") size_of::<libc::clone_args>() => _,
            in("r8") OWN_NAMESPACE.as_ptr(),
            in("r9") std::ptr::from_mut(opened),
            lateout("rdx") _,
            lateout("r10") _,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    child
}

/// The same for aarch64.
///
/// # Safety
/// As on x86-64.
#[cfg(target_arch = "aarch64")]
unsafe fn clone_and_open(args: &libc::clone_args, opened: &mut c_long) -> c_long {
    let child: c_long;
    // SAFETY: as on x86-64.
    unsafe {
        std::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x0, {at_cwd}",
            "mov x1, x9",
            "mov x2, x11",
            "mov x3, 0",
            "mov x8, {openat}",
            "svc 0",
            "str x0, [x10]",
            "mov x0, 0",
            "mov x8, {exit}",
            "svc 0",
            "2:",
            at_cwd = const libc::AT_FDCWD,
            openat = const libc::SYS_openat,
            exit = const libc::SYS_exit,
            inout("x8") libc::SYS_clone3 => _,
            inout("x0") std::ptr::from_ref(args) => child,
            inout("x1") size_of::<libc::clone_args>() => _,
            in("x9") OWN_NAMESPACE.as_ptr(),
            in("x10") std::ptr::from_mut(opened),
            in("x11") OPEN_FLAGS,
            lateout("x2") _,
            lateout("x3") _,
        );
    }
    child
}

/// Other processors have no implementation.
///
/// # Safety
/// None is needed.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn clone_and_open(_: &libc::clone_args, _: &mut c_long) -> c_long {
    -c_long::from(libc::ENOSYS)
}

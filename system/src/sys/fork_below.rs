// SPDX-License-Identifier: MIT OR Apache-2.0
//! A fork whose child starts in one control group and sees another one above it as the root.
//!
//! clone3(2) makes the group in which a child starts the root of the child's new cgroup namespace,
//! so two of them are needed: a first child starts in the upper group, and starts the second one, a
//! child of its parent, in the lower group. The first shares the memory of its parent, which waits for it
//! as after vfork(2), and makes two system calls, without a stack of its own.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use libc::c_long;
use nix::errno::Errno;

use super::process::CLONE_INTO_CGROUP;

/// Both children of [`fork_below`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Children {
    /// The first one, which has ended or is about to: until it is waited for, it is in the upper group.
    pub first: i32,
    /// The second one, a child of the caller too.
    pub second: i32,
}

/// clone3(2), twice: the second child starts in `group` in a new cgroup namespace, of which `root`, a group
/// above it, is the root. Both children for the parent, nothing for the second child.
///
/// # Errors
/// As [`super::fork_into`], and `EPERM` without CAP_SYS_ADMIN; `ENOSYS` also on processors for which nobody has
/// written it.
pub fn fork_below(root: BorrowedFd<'_>, group: BorrowedFd<'_>) -> Result<Option<Children>, Errno> {
    let clone_args = |flags: u64, group: BorrowedFd<'_>| {
        // SAFETY: all zero is a valid clone_args.
        let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
        args.flags = flags | CLONE_INTO_CGROUP;
        args.cgroup = group.as_raw_fd() as u64;
        args
    };
    let of_first = (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_NEWCGROUP) as u64;
    let mut first = clone_args(of_first, root);
    // the second child's, too: with CLONE_PARENT it has that of the first
    first.exit_signal = libc::SIGCHLD as u64;
    let second = clone_args(libc::CLONE_PARENT as u64, group);
    let mut started: c_long = 0;
    // SAFETY: both clone_args and the result live through the call, and the process has one thread.
    let first = unsafe { clone_twice(&first, &second, &mut started) };
    if first == 0 {
        return Ok(None);
    }
    let first = returned(first)?;
    match returned(started) {
        Ok(second) => Ok(Some(Children { first, second })),
        Err(errno) => {
            // it has ended: nothing else is to be known of it
            let _ = super::wait_for(first);
            Err(errno)
        }
    }
}

/// What the kernel returned: a process id, or an errno below zero.
fn returned(value: c_long) -> Result<i32, Errno> {
    match i32::try_from(value) {
        Ok(pid @ 1..) => Ok(pid),
        Ok(negative) => Err(Errno::from_raw(-negative)),
        Err(_) => Err(Errno::ERANGE),
    }
}

/// The system calls; 0 in the second child. `started` is what the second call returned in the first child.
///
/// # Safety
/// The process has one thread.
#[cfg(target_arch = "x86_64")]
unsafe fn clone_twice(first: &libc::clone_args, second: &libc::clone_args, started: &mut c_long) -> c_long {
    let returned: c_long;
    // SAFETY: what runs in the first child before it exits touches registers and `started`, and no stack; the
    // second child has a copy of all memory, as after a fork, and goes on as its parent does.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov rdi, r8",
            "mov eax, {clone3}",
            "syscall",
            "test rax, rax",
            "jz 2f",
            "mov qword ptr [r9], rax",
            "xor edi, edi",
            "mov eax, {exit}",
            "syscall",
            "2:",
            clone3 = const libc::SYS_clone3,
            exit = const libc::SYS_exit,
            inout("rax") libc::SYS_clone3 => returned,
            inout("rdi") std::ptr::from_ref(first) => _,
            in("rsi") size_of::<libc::clone_args>(),
            in("r8") std::ptr::from_ref(second),
            in("r9") std::ptr::from_mut(started),
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    returned
}

/// The same.
///
/// # Safety
/// The process has one thread.
#[cfg(target_arch = "aarch64")]
unsafe fn clone_twice(first: &libc::clone_args, second: &libc::clone_args, started: &mut c_long) -> c_long {
    let returned: c_long;
    // SAFETY: as on x86-64.
    unsafe {
        std::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x0, x9",
            "mov x8, {clone3}",
            "svc 0",
            "cbz x0, 2f",
            "str x0, [x10]",
            "mov x0, 0",
            "mov x8, {exit}",
            "svc 0",
            "2:",
            clone3 = const libc::SYS_clone3,
            exit = const libc::SYS_exit,
            inout("x8") libc::SYS_clone3 => _,
            inout("x0") std::ptr::from_ref(first) => returned,
            in("x1") size_of::<libc::clone_args>(),
            in("x9") std::ptr::from_ref(second),
            in("x10") std::ptr::from_mut(started),
        );
    }
    returned
}

/// No such processor's instructions are written here.
///
/// # Safety
/// None is needed.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn clone_twice(_: &libc::clone_args, _: &libc::clone_args, _: &mut c_long) -> c_long {
    -c_long::from(libc::ENOSYS)
}

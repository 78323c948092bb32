//! What descriptors were inherited.

use std::ops::ControlFlow;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::path::Path;

use libc::c_int;
use nix::errno::Errno;

use super::files::for_each_entry;

/// The descriptor that a system call returned.
pub(super) fn owned(fd: c_int) -> Result<OwnedFd, Errno> {
    let fd = Errno::result(fd)?;
    // SAFETY: the kernel has just made it for us, and nothing else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(super) fn inherited(fd: c_int) -> bool {
    // SAFETY: F_GETFD takes any number and touches no memory.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    flags >= 0 && flags & libc::FD_CLOEXEC == 0
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

/// Closes every descriptor but one, also those that somebody owns: for a process that uses none any more.
pub fn close_all_but(kept: BorrowedFd<'_>) {
    let kept = kept.as_raw_fd();
    let others = [(0, kept - 1), (kept + 1, c_int::MAX)].into_iter().filter(|(first, last)| first <= last);
    let closed = others.map(|(first, last)| {
        // SAFETY: numbers only; who owned such a descriptor does not use it again, by the caller's promise.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }
    });
    if closed.fold(0, |worst, result| worst.min(result)) == 0 {
        return;
    }
    // before Linux 5.9
    for fd in candidates().into_iter().filter(|fd| *fd != kept) {
        // SAFETY: as above; a number that is not open is refused.
        unsafe { libc::close(fd) };
    }
}

/// Looks at an inherited descriptor, which nobody here owns.
pub fn look_at<T>(fd: c_int, look: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
    // SAFETY: only while it is looked at; nothing in this process closes what it inherited.
    look(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// The descriptors that were inherited: those without FD_CLOEXEC.
pub fn inherited_descriptors() -> Vec<c_int> {
    candidates().into_iter().filter(|fd| inherited(*fd)).collect()
}

/// The numbers of the open descriptors, and perhaps more: without /proc, all that there may be.
fn candidates() -> Vec<c_int> {
    let mut open = Vec::new();
    let listed = for_each_entry(Path::new("/proc/self/fd"), &mut |name| {
        open.extend(name.to_str().and_then(|name| name.parse::<c_int>().ok()));
        ControlFlow::Continue(())
    });
    if listed.is_err() {
        open = (0..descriptor_limit()).collect();
    }
    open
}

/// The highest number a descriptor can have had: what the limit may have been raised to, within reason.
fn descriptor_limit() -> c_int {
    const REASON: u64 = 1 << 20;
    let limits = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
    let highest = limits.map_or(REASON, |(_, hard)| hard.min(REASON));
    c_int::try_from(highest).unwrap_or(c_int::MAX)
}

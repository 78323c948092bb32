//! Inherited descriptors.

use std::ops::ControlFlow;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::path::Path;

use libc::c_int;
use nix::errno::Errno;

use super::files::for_each_entry;

/// The descriptor that a system call returned.
pub(super) fn owned(fd: c_int) -> Result<OwnedFd, Errno> {
    let fd = Errno::result(fd)?;
    // SAFETY: the kernel has just created it for us, and no other code knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(super) fn inherited(fd: c_int) -> bool {
    // SAFETY: F_GETFD accepts any number and touches no memory.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    flags >= 0 && flags & libc::FD_CLOEXEC == 0
}

/// Sets FD_CLOEXEC on an inherited descriptor.
///
/// # Errors
/// `EBADF`.
pub fn close_on_exec(fd: c_int) -> Result<(), Errno> {
    // SAFETY: F_SETFD accepts two numbers and touches no memory.
    let result = unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    Errno::result(result).map(drop)
}

/// Closes an inherited descriptor, which no value in this program owns. A descriptor that is not open is not an
/// error.
pub fn close_inherited(fd: c_int) {
    // SAFETY: only a number; no value here owns an inherited descriptor.
    unsafe { libc::close(fd) };
}

/// Closes every descriptor except one, even if a value here owns it: for a process that uses none of them
/// again.
pub fn close_all_but(kept: BorrowedFd<'_>) {
    let kept = kept.as_raw_fd();
    let others = [(0, kept - 1), (kept + 1, c_int::MAX)].into_iter().filter(|(first, last)| first <= last);
    let closed = others.map(|(first, last)| {
        // SAFETY: only numbers; the caller guarantees that no owner of such a descriptor uses it again.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }
    });
    if closed.fold(0, |worst, result| worst.min(result)) == 0 {
        return;
    }
    // before Linux 5.9
    for fd in candidates().into_iter().filter(|fd| *fd != kept) {
        // SAFETY: as above; for a number that is not open, the call fails.
        unsafe { libc::close(fd) };
    }
}

/// Calls `look` with an inherited descriptor, which no value in this program owns.
pub fn with_fd<T>(fd: c_int, look: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
    // SAFETY: `look` borrows it, and meanwhile nothing closes inherited descriptors.
    look(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// The inherited descriptors: those without FD_CLOEXEC.
pub fn inherited_descriptors() -> Vec<c_int> {
    candidates().into_iter().filter(|fd| inherited(*fd)).collect()
}

/// The numbers of the open descriptors, or more: without /proc, every possible number.
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

/// The highest possible descriptor number: the hard limit, capped.
fn descriptor_limit() -> c_int {
    const REASON: u64 = 1 << 20;
    let limits = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
    let highest = limits.map_or(REASON, |(_, hard)| hard.min(REASON));
    c_int::try_from(highest).unwrap_or(c_int::MAX)
}

//! A child that ends with its parent.

use std::os::fd::{AsFd as _, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::prctl;
use nix::sys::signal::Signal;

use system::sys;

/// Asks for SIGKILL when the parent dies, and ends at once if the parent has died before. `liveness` is a
/// pidfd of the parent, or one end of a pipe or socket whose other end only the parent holds.
///
/// # Errors
/// Those of PR_SET_PDEATHSIG(2const) and poll(2).
pub(super) fn end_with_parent(liveness: &OwnedFd) -> Result<(), Errno> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // getppid(2) does not help: it returns 0 for a parent in another PID namespace
    let mut fds = [PollFd::new(liveness.as_fd(), PollFlags::POLLIN)];
    if nix::poll::poll(&mut fds, PollTimeout::ZERO)? > 0 {
        sys::exit(128 + libc::SIGKILL);
    }
    Ok(())
}

//! Whether a terminal's stop signal stops a process here. In an orphaned process group, which no shell could
//! resume, the kernel ignores it. A group is orphaned if a terminal emulator or ssh started the tool without
//! a shell.

use std::os::fd::{AsFd as _, OwnedFd};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use system::sys;

/// Whether the kernel would stop a process of our group for this signal. To find out, a child sends the
/// signal to itself: a process in a PID namespace cannot see who else is in the group, and whose children
/// they are.
///
/// # Source
/// POSIX, "Orphaned Process Group" and "Signal Actions"; kernel/signal.c, `get_signal`.
pub(super) fn would_stop(signal: Signal) -> bool {
    // without a child to ask, assume that the group can be stopped, as nearly all can
    let Ok((alive_read, alive)) = nix::unistd::pipe2(OFlag::O_CLOEXEC) else { return true };
    let Ok(forked) = sys::fork() else { return true };
    let Some(probe) = forked else {
        drop(alive);
        stop_or_exit(signal, &alive_read)
    };
    let probe = Pid::from_raw(probe);
    let stopped = matches!(waitpid(probe, Some(WaitPidFlag::WUNTRACED)), Ok(WaitStatus::Stopped(..)));
    if stopped {
        let _ = sys::kill(probe.as_raw(), libc::SIGKILL);
        let _ = waitpid(probe, None);
    }
    stopped
}

/// The child. It blocks every signal, as its parent does.
fn stop_or_exit(signal: Signal, alive: &OwnedFd) -> ! {
    // a stopped child must not outlive the parent
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    let mut fds = [PollFd::new(alive.as_fd(), PollFlags::empty())];
    if nix::poll::poll(&mut fds, PollTimeout::ZERO) == Ok(0) {
        sys::set_ignored(signal as i32, false);
        let _ = sys::kill(nix::unistd::getpid().as_raw(), signal as i32);
        sys::unblock(signal as i32);
    }
    sys::exit(0)
}

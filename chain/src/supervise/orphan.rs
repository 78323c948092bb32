//! Whether a terminal's stop stops anybody here. In an orphaned process group, which no shell could
//! resume, the kernel drops it: under a terminal emulator or ssh that started the tool and no shell.

use std::os::fd::{AsFd as _, OwnedFd};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use system::sys;

/// Whether the kernel would stop a process of our group for this signal. It is asked by a child that
/// sends it to itself: who else is in the group, and whose children they are, is not to be seen from
/// inside a PID namespace.
///
/// # Source
/// POSIX, "Orphaned Process Group" and "Signal Actions"; kernel/signal.c, `get_signal`.
pub(super) fn would_stop(signal: Signal) -> bool {
    // who cannot be asked is taken for stoppable, as nearly all are
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

/// The child: it blocks every signal, as its parent does.
fn stop_or_exit(signal: Signal, alive: &OwnedFd) -> ! {
    // stopped, it must not outlive the parent
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    let mut fds = [PollFd::new(alive.as_fd(), PollFlags::empty())];
    if nix::poll::poll(&mut fds, PollTimeout::ZERO) == Ok(0) {
        sys::set_ignored(signal as i32, false);
        let _ = sys::kill(nix::unistd::getpid().as_raw(), signal as i32);
        sys::unblock(signal as i32);
    }
    sys::exit(0)
}

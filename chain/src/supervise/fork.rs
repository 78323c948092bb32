//! The fork after which a [`Supervisor`] stays and its child goes on.

use std::os::fd::{BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use super::listen_pid;
use super::parent::end_with_parent;
use super::reaper::Reaper;
use super::signal_disposition::{ChildInProc, open_proc};
use super::{Supervisor, unblock_signals};
use crate::call::ForkOptions;
use crate::handles::Handles;
use system::sys;

/// The process that continues after a fork.
pub(crate) enum Forked {
    /// The child, and, if it had to enter the group itself, whether it could.
    Child(Result<(), Errno>),
    Supervisor(Supervisor),
}

/// Forks as `stay` says. The caller has blocked every signal; the child gets the mask `before` back.
///
/// # Errors
/// Those of pipe(2), signalfd(2), fork(2) and clone3(2).
pub(crate) fn fork(
    stay: &ForkOptions,
    handles: &Handles,
    before: &SigSet,
    reaper: Option<Reaper>,
) -> Result<Forked, Errno> {
    let (alive_read, liveness_pipe) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    // not sigwaitinfo(2), which changes the signal mask while it waits: an outer supervisor reads our mask to
    // see whether a signal is dropped
    let signals = SignalFd::with_flags(&SigSet::all(), SfdFlags::SFD_CLOEXEC)?;
    let group = stay.into.map(|name| handles.get(name)).transpose()?;
    let proc = if stay.child_is_init { open_proc() } else { None };
    let terminal = own_terminal();
    // with SIGCHLD ignored, the kernel would reap the child before we learn how it ended
    let chld_was_ignored = sys::is_ignored(libc::SIGCHLD);
    if chld_was_ignored {
        sys::set_ignored(libc::SIGCHLD, false);
    }
    let listens = listen_pid::is_own();
    let (child, joins_by_hand) = fork_child(group)?;
    if let Some(child) = child {
        drop(alive_read);
        return Ok(Forked::Supervisor(Supervisor {
            child,
            child_is_init: stay.child_is_init,
            reaper,
            signals,
            proc: proc.and_then(|proc| ChildInProc::find(proc, child)),
            terminal,
            liveness_pipe,
            stood_in_for: None,
            deferred_signal: None,
            asked_to_stop: None,
            child_stopped: false,
            stop_requested: false,
        }));
    }
    drop(liveness_pipe);
    if listens {
        listen_pid::take();
    }
    let joined = end_with_parent(&alive_read).and_then(|()| match group {
        Some(group) if joins_by_hand => sys::write_at(group, "cgroup.procs", b"0"),
        _ => Ok(()),
    });
    if chld_was_ignored {
        sys::set_ignored(libc::SIGCHLD, true);
    }
    unblock_signals(before);
    Ok(Forked::Child(joined))
}

/// The child's PID for the parent, None for the child, and whether the child must enter the group itself:
/// before Linux 5.7, and in containers whose seccomp filter blocks clone3(2).
fn fork_child(group: Option<BorrowedFd<'_>>) -> Result<(Option<i32>, bool), Errno> {
    match group.map(sys::fork_into) {
        None => Ok((sys::fork()?, false)),
        Some(Err(Errno::ENOSYS | Errno::E2BIG)) => Ok((sys::fork()?, true)),
        Some(forked) => Ok((forked?, false)),
    }
}

/// The controlling terminal, if our process group is in its foreground.
fn own_terminal() -> Option<(OwnedFd, Pid)> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let terminal = nix::fcntl::open("/dev/tty", flags, Mode::empty()).ok()?;
    let ours = nix::unistd::getpgrp();
    let foreground = nix::unistd::tcgetpgrp(&terminal).ok()?;
    // 0 means a group of another PID namespace, which has no number here
    (foreground == ours && ours.as_raw() > 0).then_some((terminal, ours))
}

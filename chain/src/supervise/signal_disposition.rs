//! How a child that is process 1 handles a signal, as /proc shows it.

use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;

use system::status::Status;
use system::sys;

pub(super) fn open_proc() -> Option<OwnedFd> {
    nix::fcntl::open("/proc", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).ok()
}

/// A child's directory in a proc whose PID namespace can be an outer one.
pub(super) struct ChildInProc {
    proc: OwnedFd,
    number: i32,
}

impl ChildInProc {
    pub(super) fn find(proc: OwnedFd, child: i32) -> Option<Self> {
        let own = nix::fcntl::readlinkat(&proc, "self").ok()?;
        if own == std::process::id().to_string().as_str() {
            return Some(Self { proc, number: child });
        }
        // a proc of another namespace has the number that the pidfd shows: pidfd_open(2), Linux 5.3
        let pidfd = sys::pidfd_open(child).ok()?;
        let info = read_below(&proc, &format!("self/fdinfo/{}", pidfd.as_raw_fd()))?;
        let number = Status::new(info).field("Pid")?.parse().ok()?;
        (number > 0).then_some(Self { proc, number })
    }

    pub(super) fn status(&self) -> Option<Status> {
        read_below(&self.proc, &format!("{}/status", self.number)).map(Status::new)
    }
}

fn read_below(dir: &OwnedFd, path: &str) -> Option<String> {
    let fd = nix::fcntl::openat(dir, path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
    let mut text = String::new();
    std::fs::File::from(fd).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The only signal that a stopped parent does not block, if it is PID 1. An outer parent sees this mask and
/// recognises the stop. The signal does nothing by default.
pub(super) const STOPPED_MARKER: Signal = Signal::SIGURG;

/// How a child handles a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    /// It catches or ignores the signal, or its status cannot be read.
    Handled,
    /// It blocks the signal, which is pending.
    Pending,
    /// It blocks the signal, which is not pending: it has not arrived yet, or was accepted without a handler.
    Taken,
    /// It does none of this, so the kernel drops the signal.
    Dropped,
}

/// How the child handles a signal, from its status: proc_pid_status(5).
pub(super) fn disposition(status: &Status, signo: i32) -> Disposition {
    let set = |field: &str| status.mask(field).unwrap_or(u64::MAX);
    let bit = |signo: i32| 1u64 << (signo - 1);
    let (blocked, pending) = (set("SigBlk"), set("ShdPnd"));
    if (set("SigCgt") | set("SigIgn")) & bit(signo) != 0 {
        Disposition::Handled
    } else if blocked & bit(signo) == 0 {
        Disposition::Dropped
    } else if pending & bit(signo) != 0 {
        Disposition::Pending
    } else if matches!(default_action(signo), DefaultAction::Stop) && is_stopped_mask(blocked) {
        Disposition::Dropped
    } else {
        Disposition::Taken
    }
}

/// Whether a mask of blocked signals is that of a stopped parent: see [`STOPPED_MARKER`].
fn is_stopped_mask(blocked: u64) -> bool {
    let unblockable = [Signal::SIGKILL, Signal::SIGSTOP];
    Signal::iterator()
        .filter(|signal| !unblockable.contains(signal))
        .all(|signal| (blocked & (1 << (signal as i32 - 1)) != 0) == (signal != STOPPED_MARKER))
}

/// The default action of a signal.
pub(super) enum DefaultAction {
    End,
    Stop,
    Nothing,
}

/// The default action of a signal: signal(7).
pub(super) fn default_action(signo: i32) -> DefaultAction {
    match signo {
        libc::SIGCHLD | libc::SIGCONT | libc::SIGURG | libc::SIGWINCH => DefaultAction::Nothing,
        libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => DefaultAction::Stop,
        _ => DefaultAction::End,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(blocked: u64, pending: u64, caught: u64) -> Status {
        Status::new(format!(
            "ShdPnd:\t{pending:016x}\nSigBlk:\t{blocked:016x}\nSigIgn:\t0000000000000000\nSigCgt:\t{caught:016x}\n"
        ))
    }

    const STOP: u64 = 1 << (libc::SIGTSTP - 1);
    /// The mask of a waiting parent.
    const ALL: u64 = !(1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1));
    const STOPPED: u64 = ALL & !(1 << (libc::SIGURG - 1));

    #[test]
    fn what_becomes_of_a_stop_is_in_the_status() {
        for (status, expected) in [
            (status(0, 0, 0), Disposition::Dropped),
            (status(0, 0, STOP), Disposition::Handled),
            (status(STOP, 0, 0), Disposition::Taken),
            (status(ALL, STOP, 0), Disposition::Pending),
            (status(ALL, 0, 0), Disposition::Taken),
            (status(STOPPED, 0, 0), Disposition::Dropped),
            // it has yet to stop its child
            (status(STOPPED, STOP, 0), Disposition::Pending),
            (Status::default(), Disposition::Handled),
        ] {
            assert_eq!(disposition(&status, libc::SIGTSTP), expected, "{status:?}");
        }
        // a stopped parent is alive as well
        assert_eq!(disposition(&status(STOPPED, 0, 0), libc::SIGTERM), Disposition::Taken);
    }
}

//! What becomes of a signal in a child that is process 1, as /proc shows it.

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

/// A child's directory in a proc, whose PID namespace may be one above ours.
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
        // a proc of another namespace numbers the child as a pidfd tells it: pidfd_open(2), Linux 5.3
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

/// While stopped as PID 1, the parent blocks every signal but this one, which by default does nothing, so
/// that a parent outside can see the stop.
pub(super) const STOPPED_MARKER: Signal = Signal::SIGURG;

/// What a child does with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    /// It catches or ignores it, or nobody can tell.
    Handled,
    /// It blocks it, and has it waiting.
    Pending,
    /// It blocks it, and has none waiting: it did not come yet, or was taken without a handler.
    Taken,
    /// It knows nothing of it, and the kernel drops it.
    Dropped,
}

/// What becomes of a signal, by the child's status: proc_pid_status(5).
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

/// Whether a set of blocked signals is that of a parent that rests: see [`STOPPED_MARKER`].
fn is_stopped_mask(blocked: u64) -> bool {
    let unblockable = [Signal::SIGKILL, Signal::SIGSTOP];
    Signal::iterator()
        .filter(|signal| !unblockable.contains(signal))
        .all(|signal| (blocked & (1 << (signal as i32 - 1)) != 0) == (signal != STOPPED_MARKER))
}

/// What a signal does by itself.
pub(super) enum DefaultAction {
    End,
    Stop,
    Nothing,
}

/// What a signal does to a process that never heard of it: signal(7).
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
    /// As a parent that waits has it.
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
            // it has yet to stop its own child
            (status(STOPPED, STOP, 0), Disposition::Pending),
            (Status::default(), Disposition::Handled),
        ] {
            assert_eq!(disposition(&status, libc::SIGTSTP), expected, "{status:?}");
        }
        // a parent at rest is no less alive
        assert_eq!(disposition(&status(STOPPED, 0, 0), libc::SIGTERM), Disposition::Taken);
    }
}

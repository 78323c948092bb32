//! The reaper: process 1 of a PID namespace, beside the command and not above it.
//!
//! The supervisor outside forks it, and then the command, which is process 2 of the namespace and the
//! supervisor's own child. So the kernel treats the command as any process: it does what a signal does
//! by default, and the supervisor sees it stop and end. The reaper takes processes that lose
//! their parent, and when it ends the kernel ends all in the namespace: pid_namespaces(7).
//!
//! It comes from outside, and the command can see it. So before the command starts the reaper has no more
//! rights than the command will have and no open descriptor, and cannot be traced, nor its memory read. It
//! gets there while the process of the command makes its own steps, which at the end waits for the
//! reaper's answer.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use super::parent::end_with_parent;
use crate::exit::FAILED;
use system::sys;

/// The answer of a reaper that has reported the failed step itself; other answers are 0 or an errno.
const HAS_REPORTED: i32 = -1;

/// A reaper.
#[derive(Debug)]
pub(crate) struct Reaper {
    pub(super) pid: i32,
    /// Unless it was taken.
    answer: Option<Answer>,
    /// Whether it sees our end by itself: pidfd_open(2), Linux 5.3. Otherwise it does by the socket, of which
    /// no other process may have a copy before it has looked.
    sees_our_end: bool,
}

/// What a reaper answers when it has made its steps.
#[derive(Debug)]
pub(crate) struct Answer(OwnedFd);

/// Why a reaper is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotReady {
    /// A step failed, and the reaper has reported it.
    Reported,
    /// It has not begun with its steps, or was killed: `ECHILD`.
    Failed(Errno),
}

impl Reaper {
    /// Forks a reaper that makes its steps. `make_steps` runs in it and returns whether all
    /// are made; if not, no reaper is left. /proc/1/cmdline shows `name`. The caller has blocked every signal.
    ///
    /// # Errors
    /// As socketpair(2) and fork(2).
    pub(crate) fn start(name: &str, make_steps: impl FnOnce() -> bool) -> Result<Self, Errno> {
        let (ours, its) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        let own = sys::pidfd_open(nix::unistd::getpid().as_raw()).ok();
        let Some(pid) = sys::fork()? else {
            drop(ours);
            reap(name, &its, own.as_ref().unwrap_or(&its), make_steps)
        };
        Ok(Self { pid, answer: Some(Answer(ours)), sees_our_end: own.is_some() })
    }

    /// Whether the next process may be forked before the answer has come.
    pub(crate) fn works_beside(&self) -> bool {
        self.sees_our_end
    }

    /// The answer, for the process of the command.
    pub(crate) fn take_answer(&mut self) -> Option<Answer> {
        self.answer.take()
    }

    /// Ends it, and with it all that is left in the namespace.
    pub(crate) fn end(self) {
        let _ = sys::kill(self.pid, libc::SIGKILL);
        let _ = waitpid(Pid::from_raw(self.pid), None);
    }
}

impl Answer {
    /// Waits for it.
    pub(crate) fn wait(self) -> Result<(), NotReady> {
        let mut answer = [0; 4];
        let answered = loop {
            match recv(self.0.as_raw_fd(), &mut answer, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                answered => break answered.map_err(NotReady::Failed)?,
            }
        };
        match (answered, i32::from_ne_bytes(answer)) {
            (4, 0) => Ok(()),
            // it was killed before it could answer
            (_, 0) => Err(NotReady::Failed(Errno::ECHILD)),
            (_, HAS_REPORTED) => Err(NotReady::Reported),
            (_, errno) => Err(NotReady::Failed(Errno::from_raw(errno))),
        }
    }
}

/// The reaper itself. The kernel reaps what ends under a parent that ignores SIGCHLD: waitpid(2).
fn reap(name: &str, socket: &OwnedFd, parent: &OwnedFd, make_steps: impl FnOnce() -> bool) -> ! {
    sys::set_ignored(libc::SIGCHLD, true);
    let outcome = match end_with_parent(parent) {
        Ok(()) if make_steps() => 0,
        Ok(()) => HAS_REPORTED,
        Err(errno) => errno as i32,
    };
    sys::overwrite_arguments(name);
    sys::close_all_but(socket.as_fd());
    let sent = send(socket.as_raw_fd(), &outcome.to_ne_bytes(), MsgFlags::MSG_NOSIGNAL);
    if sent.is_err() {
        sys::exit(FAILED);
    }
    // it stays after a failure as well: its end would kill the process of the command, which is to report it
    let _ = nix::unistd::close(socket.as_raw_fd());
    sys::drop_code_pages();
    loop {
        nix::unistd::pause();
    }
}

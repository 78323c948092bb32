//! The reaper: process 1 of a PID namespace, the command's sibling and not its parent.
//!
//! The supervisor outside forks the reaper, and then the command, which is process 2 of the namespace and the
//! supervisor's own child. So the kernel treats the command like any process: signals have their default
//! actions, and the supervisor sees it stop and end. The reaper adopts processes that lose their parent. When
//! the reaper ends, the kernel kills every process in the namespace: pid_namespaces(7).
//!
//! The reaper comes from outside, and the command can see it. So before the command starts, the reaper has no
//! open descriptor and no more rights than the command will have, and no other process can trace it or read
//! its memory. It does this in parallel with the steps of the command's process, which waits for the reaper's
//! answer at the end.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use super::parent::end_with_parent;
use crate::exit::FAILED;
use system::sys;

/// The answer of a reaper that has reported a failed step itself. Other answers are 0 or an errno.
const HAS_REPORTED: i32 = -1;

/// A reaper.
#[derive(Debug)]
pub(crate) struct Reaper {
    pub(super) pid: i32,
    /// None after [`Self::take_answer`].
    answer: Option<Answer>,
    /// Whether it sees our end by a pidfd: pidfd_open(2), Linux 5.3. Otherwise it sees it by the socket, so
    /// no other process may have a copy of the socket before the reaper has checked.
    sees_our_end: bool,
}

/// The reaper's answer after its steps.
#[derive(Debug)]
pub(crate) struct Answer(OwnedFd);

/// Why a reaper is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotReady {
    /// A step failed, and the reaper has reported it.
    Reported,
    /// It has not started its steps, or was killed: `ECHILD`.
    Failed(Errno),
}

impl Reaper {
    /// Forks a reaper. `make_steps` runs its steps and returns whether all succeeded; if not, the reaper
    /// ends. /proc/1/cmdline shows `name`. The caller has blocked every signal.
    ///
    /// # Errors
    /// Those of socketpair(2) and fork(2).
    pub(crate) fn start(name: &str, make_steps: impl FnOnce() -> bool) -> Result<Self, Errno> {
        let (ours, its) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        let own = sys::pidfd_open(nix::unistd::getpid().as_raw()).ok();
        let Some(pid) = sys::fork()? else {
            drop(ours);
            reap(name, &its, own.as_ref().unwrap_or(&its), make_steps)
        };
        Ok(Self { pid, answer: Some(Answer(ours)), sees_our_end: own.is_some() })
    }

    /// Whether the next process can be forked before the answer arrives.
    pub(crate) fn works_beside(&self) -> bool {
        self.sees_our_end
    }

    /// Takes the answer, for the command's process.
    pub(crate) fn take_answer(&mut self) -> Option<Answer> {
        self.answer.take()
    }

    /// Ends the reaper, and with it every process left in the namespace.
    pub(crate) fn end(self) {
        let _ = sys::kill(self.pid, libc::SIGKILL);
        let _ = waitpid(Pid::from_raw(self.pid), None);
    }
}

impl Answer {
    /// Waits for the answer, and until the reaper has closed its end, its last open descriptor.
    pub(crate) fn wait(self) -> Result<(), NotReady> {
        // no event is requested, so the answer alone does not wake this process
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::empty())];
        while poll(&mut fds, PollTimeout::NONE) == Err(Errno::EINTR) {}
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

/// The reaper itself. It ignores SIGCHLD, so the kernel reaps its children: waitpid(2).
fn reap(name: &str, socket: &OwnedFd, parent: &OwnedFd, make_steps: impl FnOnce() -> bool) -> ! {
    sys::set_ignored(libc::SIGCHLD, true);
    let outcome = match end_with_parent(parent) {
        Ok(()) if make_steps() => 0,
        Ok(()) => HAS_REPORTED,
        Err(errno) => errno as i32,
    };
    sys::overwrite_arguments(name);
    sys::overwrite_environment();
    sys::close_all_but(socket.as_fd());
    let sent = send(socket.as_raw_fd(), &outcome.to_ne_bytes(), MsgFlags::MSG_NOSIGNAL);
    if sent.is_err() {
        sys::exit(FAILED);
    }
    // it stays after a failure, too: its end would kill the command's process, which must report the failure
    let _ = nix::unistd::close(socket.as_raw_fd());
    sys::drop_code_pages();
    loop {
        nix::unistd::pause();
    }
}

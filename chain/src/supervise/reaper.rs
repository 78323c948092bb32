//! The reaper: process 1 of a PID namespace, beside the command and not above it.
//!
//! The supervisor outside forks it, and then the command, which is process 2 of the namespace and the
//! supervisor's own child. So the kernel treats the command as any process: it does what a signal does
//! by default, and the supervisor sees it stop and end. The reaper takes processes that lose
//! their parent, and when it ends the kernel ends all in the namespace: pid_namespaces(7).
//!
//! It comes from outside, and the command can see it. So before the command is forked the reaper has only the
//! rights that the command will have and no open descriptor, and cannot be traced, nor its memory read.

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

/// A reaper that waits.
#[derive(Debug)]
pub(crate) struct Reaper {
    pub(super) pid: i32,
}

impl Reaper {
    /// Forks a reaper and waits until it has made its steps. `make_steps` runs in it and returns whether all
    /// are made; if not, no reaper is left. /proc/1/cmdline shows `name`. The caller has blocked every signal.
    ///
    /// # Errors
    /// As socketpair(2), fork(2) and PR_SET_PDEATHSIG(2const); `ECHILD` if the reaper was killed.
    pub(crate) fn start(name: &str, make_steps: impl FnOnce() -> bool) -> Result<Option<Self>, Errno> {
        let (ours, its) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        let Some(pid) = sys::fork()? else {
            drop(ours);
            reap(name, &its, make_steps)
        };
        drop(its);
        let reaper = Self { pid };
        let mut answer = [0; 4];
        let answered = recv(ours.as_raw_fd(), &mut answer, MsgFlags::empty());
        match (answered, i32::from_ne_bytes(answer)) {
            (Ok(4), 0) => Ok(Some(reaper)),
            // it was killed before it could answer
            (Ok(_), 0) => reaper.end_for(Err(Errno::ECHILD)),
            (Ok(_), HAS_REPORTED) => reaper.end_for(Ok(None)),
            (Ok(_), errno) => reaper.end_for(Err(Errno::from_raw(errno))),
            (Err(errno), _) => reaper.end_for(Err(errno)),
        }
    }

    fn end_for<T>(self, outcome: T) -> T {
        self.end();
        outcome
    }

    /// Ends it, and with it all that is left in the namespace.
    pub(crate) fn end(self) {
        let _ = sys::kill(self.pid, libc::SIGKILL);
        let _ = waitpid(Pid::from_raw(self.pid), None);
    }
}

/// The reaper itself. The kernel reaps what ends under a parent that ignores SIGCHLD: waitpid(2).
fn reap(name: &str, socket: &OwnedFd, make_steps: impl FnOnce() -> bool) -> ! {
    sys::set_ignored(libc::SIGCHLD, true);
    let outcome = match end_with_parent(socket) {
        Ok(()) if make_steps() => 0,
        Ok(()) => HAS_REPORTED,
        Err(errno) => errno as i32,
    };
    sys::overwrite_arguments(name);
    sys::close_all_but(socket.as_fd());
    let sent = send(socket.as_raw_fd(), &outcome.to_ne_bytes(), MsgFlags::MSG_NOSIGNAL);
    if outcome != 0 || sent.is_err() {
        sys::exit(FAILED);
    }
    let _ = nix::unistd::close(socket.as_raw_fd());
    sys::drop_code_pages();
    loop {
        nix::unistd::pause();
    }
}

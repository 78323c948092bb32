//! A helper that stays outside, for what a process in new namespaces may no longer do itself.
//!
//! Only from outside may a user namespace be given more than one id, and may a mount namespace
//! be kept in a file: user_namespaces(7), namespaces(7). So a helper is forked before unshare(2)
//! and makes its calls when it is asked. It has the whole plan, because a fork copies it, and ends
//! on request or when the last socket is closed, for example by execve(2).

use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, recv, send, shutdown, socketpair,
};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::call::Call;
use crate::handles::Handles;
use system::sys;

/// The request to end.
const END: u32 = u32::MAX;

/// A helper that can be asked.
#[derive(Debug)]
pub(crate) struct Helper {
    socket: Option<OwnedFd>,
    /// None if it is not our child.
    pid: Option<Pid>,
}

/// Whose child a helper is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parent {
    /// Ours: it ends before the command starts.
    Us,
    /// Process 1 or another reaper: the command may start beside it, and has no child that it does not know.
    Reaper,
}

impl Helper {
    /// Forks a helper that makes the calls that `find` finds by their numbers.
    ///
    /// # Errors
    /// As socketpair(2) and fork(2).
    pub(crate) fn start<'a>(
        parent: Parent,
        find: impl Fn(u32) -> Option<&'a dyn Call>,
    ) -> Result<Self, Errno> {
        // a socket, because a write to a pipe that nobody reads would be SIGPIPE
        let (ours, its) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        match sys::fork()?.map(Pid::from_raw) {
            Some(pid) if parent == Parent::Us => Ok(Self { socket: Some(ours), pid: Some(pid) }),
            Some(between) => {
                // where the caller ignores SIGCHLD it has gone by itself
                let _ = waitpid(between, None);
                Ok(Self { socket: Some(ours), pid: None })
            }
            None => {
                drop(ours);
                // if the second fork fails, the first request fails
                if parent == Parent::Reaper && !matches!(sys::fork(), Ok(None)) {
                    sys::exit(0)
                }
                serve(&its, find)
            }
        }
    }

    /// Asks for a call and waits until it is made.
    ///
    /// # Errors
    /// The call's; `EPIPE` if somebody ended the helper.
    pub(crate) fn ask(&mut self, number: u32) -> Result<(), Errno> {
        let socket = self.socket.as_ref().ok_or(Errno::EPIPE)?;
        let mut answer = [0; 4];
        send(socket.as_raw_fd(), &number.to_ne_bytes(), MsgFlags::MSG_NOSIGNAL)?;
        if recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())? != answer.len() {
            return Err(Errno::EPIPE);
        }
        match i32::from_ne_bytes(answer) {
            0 => Ok(()),
            errno => Err(Errno::from_raw(errno)),
        }
    }

    /// Ends it, even if a parent that stays holds the socket too.
    pub(crate) fn shutdown(self) {
        if let Some(socket) = &self.socket {
            // somebody else may have ended it
            let _ = send(socket.as_raw_fd(), &END.to_ne_bytes(), MsgFlags::MSG_NOSIGNAL);
        }
    }

    /// Leaves it to the child, without waiting for it.
    pub(crate) fn detach(mut self) {
        self.socket = None;
    }
}

impl Drop for Helper {
    /// Waits for its end and leaves no zombie. If it is our parent's child, the parent that stays does this.
    fn drop(&mut self) {
        let Some(socket) = self.socket.take() else { return };
        match self.pid {
            Some(pid) => {
                drop(socket);
                let _ = waitpid(pid, None);
            }
            None => {
                let _ = shutdown(socket.as_raw_fd(), Shutdown::Write);
                while recv(socket.as_raw_fd(), &mut [0; 4], MsgFlags::empty()) == Err(Errno::EINTR) {}
            }
        }
    }
}

fn serve<'a>(socket: &OwnedFd, find: impl Fn(u32) -> Option<&'a dyn Call>) -> ! {
    // a caller that ignores it would keep us from learning how a program ended
    sys::set_ignored(libc::SIGCHLD, false);
    let mut handles = Handles::default();
    let mut request = [0; 4];
    // nothing comes when nobody is left to ask
    while let Ok(4) = recv(socket.as_raw_fd(), &mut request, MsgFlags::empty()) {
        let Some(call) = find(u32::from_ne_bytes(request)) else { break };
        let errno = call.make(&mut handles).err().map_or(0, |errno| errno as i32);
        if send(socket.as_raw_fd(), &errno.to_ne_bytes(), MsgFlags::MSG_NOSIGNAL).is_err() {
            break;
        }
    }
    sys::exit(0)
}

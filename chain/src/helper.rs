//! A helper that stays outside, for what a process in new namespaces may no longer do itself.
//!
//! Only from outside may a user namespace be given more than one id, and may a mount namespace
//! be kept in a file: user_namespaces(7), namespaces(7). So a helper is forked before unshare(2)
//! and makes its calls when it is asked. It has the whole plan, because a fork copies it, and ends
//! on request or when the last socket is closed, for example by execve(2).

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::{iter, mem};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, recv, send, shutdown, socketpair,
};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};

use crate::call::Call;
use crate::handles::Handles;
use system::sys;

/// The request to end.
const END: u32 = u32::MAX;
/// The bit of a request to make a call beside the next ones, in a process of its own.
const BESIDE: u32 = 1 << 31;

/// A helper that can be asked.
#[derive(Debug)]
pub(crate) struct Helper {
    socket: Option<OwnedFd>,
    /// None if it is not our child.
    pid: Option<Pid>,
    /// The calls that were begun early, and their answers, if they have come.
    early: Vec<(u32, Option<i32>)>,
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
            Some(pid) if parent == Parent::Us => {
                Ok(Self { socket: Some(ours), pid: Some(pid), early: Vec::new() })
            }
            Some(between) => {
                // where the caller ignores SIGCHLD it has gone by itself
                let _ = waitpid(between, None);
                Ok(Self { socket: Some(ours), pid: None, early: Vec::new() })
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

    /// Asks for a call early; [`Helper::ask`] waits for it, and sends the request again if it could not be sent.
    pub(crate) fn begin(&mut self, number: u32) {
        if self.send(number | BESIDE).is_ok() {
            self.early.push((number, None));
        }
    }

    /// Asks for a call, unless it was begun, and waits until it is made.
    ///
    /// # Errors
    /// The call's; `EPIPE` if somebody ended the helper.
    pub(crate) fn ask(&mut self, number: u32) -> Result<(), Errno> {
        if !self.early.iter().any(|(begun, _)| *begun == number) {
            self.send(number)?;
        }
        loop {
            let known = self.early.iter().find(|(begun, _)| *begun == number).and_then(|(_, answer)| *answer);
            let (answered, errno) = match known {
                Some(errno) => (number, errno),
                None => self.receive()?,
            };
            match self.early.iter_mut().find(|(begun, _)| *begun == answered) {
                // the first answer counts: if a process is killed after it, the helper sends a second one
                Some((_, answer)) if answered != number => _ = answer.get_or_insert(errno),
                _ if errno == 0 => return Ok(()),
                _ => return Err(Errno::from_raw(errno)),
            }
        }
    }

    fn send(&self, request: u32) -> Result<(), Errno> {
        let socket = self.socket.as_ref().ok_or(Errno::EPIPE)?;
        send(socket.as_raw_fd(), &request.to_ne_bytes(), MsgFlags::MSG_NOSIGNAL).map(drop)
    }

    /// The next answer: which call, and its errno or 0.
    fn receive(&self) -> Result<(u32, i32), Errno> {
        let socket = self.socket.as_ref().ok_or(Errno::EPIPE)?;
        let mut answer = [0; 8];
        if recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())? != answer.len() {
            return Err(Errno::EPIPE);
        }
        let [a, b, c, d, errno @ ..] = answer;
        Ok((u32::from_ne_bytes([a, b, c, d]), i32::from_ne_bytes(errno)))
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

/// A call that is made beside the next ones: its number, its process, and a pipe that closes with that process.
struct Beside(u32, Pid, OwnedFd);

fn serve<'a>(socket: &OwnedFd, find: impl Fn(u32) -> Option<&'a dyn Call>) -> ! {
    // a caller that ignores it would keep us from learning how a program ended
    sys::set_ignored(libc::SIGCHLD, false);
    let mut handles = Handles::default();
    let mut beside = Vec::new();
    let mut request = [0; 4];
    // nothing comes when nobody is left to ask
    while wait(socket, &mut beside) && recv(socket.as_raw_fd(), &mut request, MsgFlags::empty()) == Ok(4) {
        let request = u32::from_ne_bytes(request);
        let number = request & !BESIDE;
        let Some(call) = find(number) else { break };
        let mut make = || {
            let errno = call.make(&mut handles).err().map_or(0, |errno| errno as i32);
            answer(socket, number, errno)
        };
        let is_beside = request & BESIDE != 0;
        match is_beside.then(fork_with_pipe) {
            Some(Ok(Some((pid, pipe)))) => beside.push(Beside(number, pid, pipe)),
            Some(Ok(None)) => {
                make();
                sys::exit(0)
            }
            // where no process can be forked, the helper makes the call itself
            None | Some(Err(_)) if make() => {}
            None | Some(Err(_)) => break,
        }
    }
    while waitpid(None, None).is_ok() {}
    sys::exit(0)
}

/// Sends an answer; whether it could be sent.
fn answer(socket: &OwnedFd, number: u32, errno: i32) -> bool {
    let answer = [number.to_ne_bytes(), errno.to_ne_bytes()].concat();
    send(socket.as_raw_fd(), &answer, MsgFlags::MSG_NOSIGNAL).is_ok()
}

/// fork(2), and in the parent a pipe that closes when the child ends.
fn fork_with_pipe() -> Result<Option<(Pid, OwnedFd)>, Errno> {
    let (ours, its) = pipe2(OFlag::O_CLOEXEC)?;
    let Some(pid) = sys::fork()? else {
        // open as long as the child lives
        mem::forget(its);
        return Ok(None);
    };
    Ok(Some((Pid::from_raw(pid), ours)))
}

/// Waits for a request, and answers for each process that was killed before it could. False if poll(2) fails.
fn wait(socket: &OwnedFd, beside: &mut Vec<Beside>) -> bool {
    while !beside.is_empty() {
        let pipes = beside.iter().map(|Beside(.., pipe)| pipe.as_fd());
        let mut fds: Vec<_> =
            iter::once(socket.as_fd()).chain(pipes).map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            Err(_) => return false,
            Ok(_) => {}
        }
        let mut is_ready = fds.iter().map(|fd| fd.any() != Some(false)).collect::<Vec<_>>().into_iter();
        let is_asked = is_ready.next() == Some(true);
        beside.retain(|Beside(number, pid, _)| {
            let has_ended = is_ready.next() == Some(true);
            if has_ended && waitpid(*pid, None) != Ok(WaitStatus::Exited(*pid, 0)) {
                answer(socket, *number, Errno::EPIPE as i32);
            }
            !has_ended
        });
        if is_asked {
            break;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Shown;
    use nix::sys::signal::{Signal, kill};

    /// Kills the process that makes it.
    struct EndOfProcess;

    impl Call for EndOfProcess {
        fn shown(&self) -> Shown {
            Shown::new("kill(getpid(), SIGKILL)", "kill(2)")
        }

        fn make(&self, _: &mut Handles) -> Result<(), Errno> {
            kill(Pid::this(), Signal::SIGKILL)
        }
    }

    #[test]
    fn a_call_whose_process_is_ended_has_failed() {
        let mut helper = Helper::start(Parent::Us, |_| Some(&EndOfProcess)).unwrap();
        helper.begin(0);
        helper.begin(1);
        assert_eq!(helper.ask(0), Err(Errno::EPIPE));
        assert_eq!(helper.ask(1), Err(Errno::EPIPE));
        // and the helper itself
        assert_eq!(helper.ask(2), Err(Errno::EPIPE));
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A helper that stays outside: what a process in new namespaces may no longer do itself.
//!
//! Only from outside may a user namespace be given more than one id, and may a mount namespace
//! be kept in a file: user_namespaces(7), namespaces(7). So a helper is forked before unshare(2)
//! and makes its calls when it is asked. It knows them all from the start, also those that take
//! others back, and ends when it is told to or when nobody is left who could ask.

use std::ffi::OsString;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::call::{Call, Handles};
use crate::{NOT_FOUND, NOT_RUNNABLE, sys};

/// Asks for no call, but for the end.
const END: u32 = u32::MAX;

/// A helper that can be asked.
#[derive(Debug)]
pub(crate) struct Helper {
    line: Option<OwnedFd>,
    pid: Pid,
    calls: Vec<Call>,
}

/// Forks a helper.
///
/// # Errors
/// As socketpair(2) and fork(2).
pub(crate) fn start(calls: &[Call]) -> Result<Helper, Errno> {
    // a socket, because a write to a pipe that nobody reads would be SIGPIPE
    let (ours, its) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    match sys::fork()? {
        Some(pid) => Ok(Helper { line: Some(ours), pid: Pid::from_raw(pid), calls: calls.to_vec() }),
        None => {
            drop(ours);
            serve(&its, calls)
        }
    }
}

fn serve(line: &OwnedFd, calls: &[Call]) -> ! {
    // a caller that ignores it would keep us from learning how a program ended
    sys::set_ignored(libc::SIGCHLD, false);
    let mut handles = Handles::default();
    let mut asked = [0; 4];
    // nothing comes when nobody is left to ask
    while let Ok(4) = recv(line.as_raw_fd(), &mut asked, MsgFlags::empty()) {
        let number = usize::try_from(u32::from_ne_bytes(asked)).unwrap_or(usize::MAX);
        let Some(call) = calls.get(number) else { break };
        let errno = call.make(&mut handles).err().map_or(0, |errno| errno as i32);
        if send(line.as_raw_fd(), &errno.to_ne_bytes(), MsgFlags::MSG_NOSIGNAL).is_err() {
            break;
        }
    }
    sys::exit(0)
}

impl Helper {
    /// Asks for a call and waits until it is made.
    ///
    /// # Errors
    /// The call's; `EPIPE` where somebody ended the helper, `EBADF` where it does not know the call.
    pub(crate) fn ask(&mut self, call: &Call) -> Result<(), Errno> {
        let number = self.calls.iter().position(|known| known == call).ok_or(Errno::EBADF)?;
        let number = u32::try_from(number).map_err(|_| Errno::EBADF)?;
        let line = self.line.as_ref().ok_or(Errno::EPIPE)?;
        let mut answer = [0; 4];
        send(line.as_raw_fd(), &number.to_ne_bytes(), MsgFlags::MSG_NOSIGNAL)?;
        if recv(line.as_raw_fd(), &mut answer, MsgFlags::empty())? != answer.len() {
            return Err(Errno::EPIPE);
        }
        match i32::from_ne_bytes(answer) {
            0 => Ok(()),
            errno => Err(Errno::from_raw(errno)),
        }
    }

    /// Lets it end, also where a parent that stays holds the line too.
    pub(crate) fn settle(&mut self) {
        if let Some(line) = &self.line {
            // it may have been ended by somebody else
            let _ = send(line.as_raw_fd(), &END.to_ne_bytes(), MsgFlags::MSG_NOSIGNAL);
        }
        self.let_go();
    }

    /// Leaves it to the child, without waiting for it.
    pub(crate) fn leave(mut self) {
        self.line = None;
    }

    /// Leaves no zombie. Where it is not our child but our parent's, the parent that stays does this.
    fn let_go(&mut self) {
        if self.line.take().is_some() {
            let _ = waitpid(self.pid, None);
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// Runs a program to its end.
///
/// # Errors
/// As fork(2); `ENOENT` or `EACCES` where it cannot be run, `EPERM` where it fails, after it
/// has said why on standard error.
pub(crate) fn run(program: &Path, argv: &[OsString]) -> Result<(), Errno> {
    let path = sys::c_string(program.as_os_str())?;
    let argv: Vec<_> = argv.iter().map(|arg| sys::c_string(arg)).collect::<Result<_, _>>()?;
    let Some(pid) = sys::fork()? else {
        sys::exit(match sys::execve(&path, &argv) {
            Errno::ENOENT => NOT_FOUND,
            _ => NOT_RUNNABLE,
        })
    };
    match waitpid(Pid::from_raw(pid), None)? {
        WaitStatus::Exited(_, 0) => Ok(()),
        WaitStatus::Exited(_, NOT_FOUND) => Err(Errno::ENOENT),
        WaitStatus::Exited(_, NOT_RUNNABLE) => Err(Errno::EACCES),
        _ => Err(Errno::EPERM),
    }
}

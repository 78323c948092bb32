// SPDX-License-Identifier: MIT OR Apache-2.0
//! A helper that stays outside: what a process in new namespaces may no longer do itself.
//!
//! Only from outside may a user namespace be given more than one id, and may a mount namespace
//! be kept in a file: user_namespaces(7), namespaces(7). So a helper is forked before unshare(2)
//! and makes its calls when it is asked. It knows them all from the start, ends after the last
//! one, and ends when nobody is left who could ask.

use std::ffi::OsString;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::call::{Call, Hands};
use crate::{NOT_FOUND, NOT_RUNNABLE, sys};

/// A helper that can be asked.
#[derive(Debug)]
pub(crate) struct Helper {
    line: Option<OwnedFd>,
    pid: Pid,
    left: usize,
}

/// Forks a helper.
///
/// # Errors
/// As socketpair(2) and fork(2).
pub(crate) fn start(calls: &[Call]) -> Result<Helper, Errno> {
    // a socket, because a write to a pipe that nobody reads would be SIGPIPE
    let (ours, its) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    match sys::fork()? {
        Some(pid) => Ok(Helper { line: Some(ours), pid: Pid::from_raw(pid), left: calls.len() }),
        None => {
            drop(ours);
            serve(&its, calls)
        }
    }
}

fn serve(line: &OwnedFd, calls: &[Call]) -> ! {
    // a caller that ignores it would keep us from learning how a program ended
    sys::set_ignored(libc::SIGCHLD, false);
    let mut hands = Hands::default();
    let mut asked = [0; 4];
    for call in calls {
        // nothing comes when nobody is left to ask
        if !matches!(recv(line.as_raw_fd(), &mut asked, MsgFlags::empty()), Ok(1..)) {
            break;
        }
        let errno = call.make(&mut hands).err().map_or(0, |errno| errno as i32);
        let told = send(line.as_raw_fd(), &errno.to_ne_bytes(), MsgFlags::MSG_NOSIGNAL);
        if errno != 0 || told.is_err() {
            break;
        }
    }
    sys::exit(0)
}

impl Helper {
    /// Asks for the next call and waits until it is made.
    ///
    /// # Errors
    /// The call's; `EPIPE` where somebody ended the helper.
    pub(crate) fn ask(&mut self) -> Result<(), Errno> {
        let answer = self.line.as_ref().map_or(Err(Errno::EPIPE), |line| {
            let mut answer = [0; 4];
            send(line.as_raw_fd(), b"next", MsgFlags::MSG_NOSIGNAL)?;
            match recv(line.as_raw_fd(), &mut answer, MsgFlags::empty())? {
                4 => Ok(i32::from_ne_bytes(answer)),
                _ => Err(Errno::EPIPE),
            }
        });
        self.left = self.left.saturating_sub(1);
        if self.left == 0 || answer != Ok(0) {
            self.let_go();
        }
        match answer? {
            0 => Ok(()),
            errno => Err(Errno::from_raw(errno)),
        }
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

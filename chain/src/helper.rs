//! A helper that stays outside, for calls that a process in new namespaces can no longer make.
//!
//! Only a process outside can map more than one id in a user namespace, or keep a mount namespace in a file:
//! user_namespaces(7), namespaces(7). So a helper is forked before unshare(2), and makes its calls on
//! request. It has the whole plan, because fork(2) copies it. It ends on request, or when the last copy of
//! our socket is closed, for example by execve(2).

use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, recv, send, shutdown, socketpair,
};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::call::{Call, RunProgram};
use crate::handles::Handles;
use system::sys;

/// The request to end.
const END: u32 = u32::MAX;
/// The maximum number of calls that one message requests.
const MAX_REQUESTS: usize = 8;

/// A running helper.
#[derive(Debug)]
pub(crate) struct Helper {
    socket: Option<OwnedFd>,
    /// None if the helper is not our child.
    pid: Option<Pid>,
    /// The calls that were requested and not yet asked for, and their answers so far: errno, 0 for success.
    early: Vec<(u32, Option<i32>)>,
}

/// The helper's parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parent {
    /// This process: the helper ends before the command starts.
    Us,
    /// Process 1 or another reaper: the helper can outlive the start of the command, which then has no
    /// unknown child.
    Reaper,
}

impl Helper {
    /// Forks a helper. `find` finds its calls by their numbers.
    ///
    /// # Errors
    /// Those of socketpair(2) and fork(2).
    pub(crate) fn start<'a>(
        parent: Parent,
        find: impl Fn(u32) -> Option<&'a dyn Call>,
    ) -> Result<Self, Errno> {
        // a socket, because a write to a pipe without a reader raises SIGPIPE
        let (ours, its) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        match sys::fork()?.map(Pid::from_raw) {
            Some(pid) if parent == Parent::Us => {
                Ok(Self { socket: Some(ours), pid: Some(pid), early: Vec::new() })
            }
            Some(between) => {
                // if the caller ignores SIGCHLD, the kernel has already reaped it
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

    /// Requests calls early, whose programs run at the same time. [`Helper::ask`] waits for them, and repeats a request
    /// that could not be sent.
    pub(crate) fn begin(&mut self, numbers: Vec<u32>) {
        for numbers in numbers.chunks(MAX_REQUESTS) {
            if self.send(numbers).is_ok() {
                self.early.extend(numbers.iter().map(|number| (*number, None)));
            }
        }
    }

    /// Requests a call, unless that was done early, and waits for it.
    ///
    /// # Errors
    /// The call's; `EPIPE` if the helper was killed.
    pub(crate) fn ask(&mut self, number: u32) -> Result<(), Errno> {
        if self.early.iter().all(|(early, _)| *early != number) {
            self.send(&[number])?;
            self.early.push((number, None));
        }
        loop {
            let answered =
                self.early.iter().position(|call| matches!(call, (early, Some(_)) if *early == number));
            match answered.map(|at| self.early.remove(at)) {
                Some((_, Some(errno))) if errno != 0 => return Err(Errno::from_raw(errno)),
                Some(_) => return Ok(()),
                None => self.receive()?,
            }
        }
    }

    fn send(&self, numbers: &[u32]) -> Result<(), Errno> {
        send_numbers(self.socket.as_ref().ok_or(Errno::EPIPE)?, numbers)
    }

    /// Receives the answers to a message: an errno for each of its calls. All answers come in the order of the
    /// requests.
    fn receive(&mut self) -> Result<(), Errno> {
        let answers = receive_numbers(self.socket.as_ref().ok_or(Errno::EPIPE)?);
        if answers.is_empty() {
            return Err(Errno::EPIPE);
        }
        let waiting = self.early.iter_mut().filter(|(_, answer)| answer.is_none());
        waiting.zip(answers).for_each(|((_, answer), errno)| *answer = i32::try_from(errno).ok());
        Ok(())
    }

    /// Ends the helper, even if a supervisor holds the socket, too.
    pub(crate) fn shutdown(self) {
        if let Some(socket) = &self.socket {
            // it may have been killed
            let _ = send_numbers(socket, &[END]);
        }
    }

    /// Leaves the helper to the child, without waiting for it.
    pub(crate) fn detach(mut self) {
        self.socket = None;
    }
}

impl Drop for Helper {
    /// Waits for the helper and leaves no zombie. If the helper is our parent's child, the supervisor does
    /// this.
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

/// A call that has begun.
enum Begun {
    Made(Result<(), Errno>),
    Running(Pid),
}

fn serve<'a>(socket: &OwnedFd, find: impl Fn(u32) -> Option<&'a dyn Call>) -> ! {
    // a caller that ignores SIGCHLD would hide from us how a program ended
    sys::set_ignored(libc::SIGCHLD, false);
    let mut handles = Handles::default();
    loop {
        let numbers = receive_numbers(socket).into_iter();
        // every program of a message runs before the helper waits for the first
        let calls: Option<Vec<_>> = numbers.map(&find).collect();
        let begun: Vec<_> = calls.iter().flatten().map(|call| begin(*call, &mut handles)).collect();
        let answers: Vec<_> = begun.into_iter().map(end).collect();
        // it ends on request, and when no process is left that could send a request
        if answers.is_empty() || send_numbers(socket, &answers).is_err() {
            sys::exit(0)
        }
    }
}

fn begin(call: &dyn Call, handles: &mut Handles) -> Begun {
    match call.program() {
        Some(program) => program.start().map_or_else(|errno| Begun::Made(Err(errno)), Begun::Running),
        None => Begun::Made(call.make(handles)),
    }
}

/// Waits for a call, and returns its errno, 0 for success.
fn end(begun: Begun) -> u32 {
    let made = match begun {
        Begun::Made(made) => made,
        Begun::Running(pid) => RunProgram::wait(pid),
    };
    made.err().map_or(0, |errno| (errno as i32).cast_unsigned())
}

fn send_numbers(socket: &OwnedFd, numbers: &[u32]) -> Result<(), Errno> {
    let message: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
    send(socket.as_raw_fd(), &message, MsgFlags::MSG_NOSIGNAL).map(drop)
}

/// The numbers of the next message; none if nothing more can come.
fn receive_numbers(socket: &OwnedFd) -> Vec<u32> {
    let mut message = [0; MAX_REQUESTS * 4];
    let length = recv(socket.as_raw_fd(), &mut message, MsgFlags::empty()).unwrap_or(0);
    let numbers = message.chunks_exact(4).take(length / 4);
    numbers.filter_map(|number| number.try_into().ok()).map(u32::from_ne_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Shown;
    use nix::sys::signal::{Signal, kill};
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// One test at a time: a helper that is forked meanwhile would keep the other one's socket open, and a helper ends
    /// when its socket is closed.
    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills the process that makes the call.
    struct EndOfProcess;

    impl Call for EndOfProcess {
        fn shown(&self) -> Shown {
            Shown::new("kill(getpid(), SIGKILL)", "kill(2)")
        }

        fn make(&self, _: &mut Handles) -> Result<(), Errno> {
            kill(Pid::this(), Signal::SIGKILL)
        }
    }

    fn run(program: &str, argv: &[&str]) -> RunProgram {
        RunProgram { program: program.into(), argv: argv.iter().map(Into::into).collect() }
    }

    fn shell(script: &str) -> RunProgram {
        run("/bin/sh", &["sh", "-c", script])
    }

    #[test]
    fn a_call_whose_helper_is_killed_has_failed() {
        let _alone = alone();
        let mut helper = Helper::start(Parent::Us, |_| Some(&EndOfProcess)).unwrap();
        helper.begin(vec![0, 1]);
        assert_eq!(helper.ask(0), Err(Errno::EPIPE));
        assert_eq!(helper.ask(1), Err(Errno::EPIPE));
        assert_eq!(helper.ask(2), Err(Errno::EPIPE));
    }

    #[test]
    fn programs_that_are_requested_together_run_together() {
        let _alone = alone();
        let pipe = std::env::temp_dir().join(format!("helper-{}", Pid::this()));
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // opening one end waits until the other end is open
        let programs = ["read line <", "echo line >"]
            .map(|does| shell(&format!("timeout 20 sh -c '{does} {}'", pipe.display())));
        let find = |number| programs.get(usize::try_from(number).ok()?).map(|program| program as &dyn Call);
        let mut helper = Helper::start(Parent::Us, find).unwrap();
        helper.begin(vec![0, 1]);
        assert_eq!([helper.ask(1), helper.ask(0)], [Ok(()), Ok(())]);
        std::fs::remove_file(pipe).unwrap();
    }

    #[test]
    fn a_program_that_fails_is_not_a_program_that_cannot_run() {
        let _alone = alone();
        let programs = [
            shell("exit 1"),
            shell("kill -KILL $$"),
            run("/no/program", &["program"]),
            run("/etc/passwd", &["passwd"]),
            shell("exit 0"),
        ];
        let find = |number| programs.get(usize::try_from(number).ok()?).map(|program| program as &dyn Call);
        let mut helper = Helper::start(Parent::Us, find).unwrap();
        helper.begin(vec![0, 1, 2, 3]);
        let expected = [Err(Errno::EPERM), Err(Errno::EPERM), Err(Errno::ENOENT), Err(Errno::EACCES), Ok(())];
        assert_eq!([0, 1, 2, 3, 4].map(|number| helper.ask(number)), expected);
    }
}

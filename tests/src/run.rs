//! A command under test: starts it, waits for it with a deadline, and keeps its output.

use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, Read, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::deadline::{self, EVENT_TIMEOUT};

/// A command line to run in its own process group.
#[derive(Debug)]
pub struct Run {
    command: Command,
    stdin: Vec<u8>,
    patience: Duration,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By exit(3), with this status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

/// A command that has ended, and its output.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status or signal.
    pub end: End,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// All of its standard error.
    pub stderr: Vec<u8>,
}

impl Run {
    /// A command without arguments, with an empty standard input.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self::of(Command::new(program))
    }

    /// A command of std, with an empty standard input.
    pub fn of(command: Command) -> Self {
        Self { command, stdin: Vec::new(), patience: EVENT_TIMEOUT }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the standard input of the command.
    pub fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = text.into();
        self
    }

    /// Sets how long it can take.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Leaves a descriptor open for the command, with its number, and for no other child.
    pub fn leaving_open(mut self, fd: impl Into<OwnedFd>) -> Self {
        let fd = fd.into();
        let inherit = move || fcntl(&fd, FcntlArg::F_SETFD(FdFlag::empty())).map(drop).map_err(Into::into);
        // SAFETY: one system call, with nothing allocated and no lock taken.
        unsafe { self.command.pre_exec(inherit) };
        self
    }

    /// Sets anything else in std's `Command`.
    pub fn with(mut self, set: impl FnOnce(&mut Command)) -> Self {
        set(&mut self.command);
        self
    }

    /// Runs the command and waits for its end.
    ///
    /// # Panics
    /// If it cannot be started, or if it, or a process that keeps its output open, outlives the deadline. Its
    /// process group is then killed.
    #[track_caller]
    pub fn end(self) -> Ended {
        self.start().end()
    }

    /// Starts the command and leaves it running.
    #[track_caller]
    pub fn start(mut self) -> Running {
        let shown = shown(&self.command);
        let piped = self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let command = piped.process_group(0);
        // the child of another thread holds a program that was just copied open for writing, until its own execve(2)
        let spawned = deadline::until("the last writer of a program to close it", || match command.spawn() {
            Err(why) if why.kind() == ErrorKind::ExecutableFileBusy => None,
            spawned => Some(spawned),
        });
        let mut child = spawned.unwrap_or_else(|why| panic!("cannot start {shown}: {why}"));
        let mut stdin = child.stdin.take().expect("a pipe");
        let text = self.stdin;
        // a command that reads nothing must not stop us: the broken pipe is its choice
        thread::spawn(move || stdin.write_all(&text));
        let stdout = collect(child.stdout.take().expect("a pipe"));
        let stderr = collect(child.stderr.take().expect("a pipe"));
        let pid = child.id();
        let ended = wait(child);
        Running { shown, pid, ended, stdout, stderr, patience: self.patience }
    }
}

/// A running command.
#[derive(Debug)]
pub struct Running {
    shown: String,
    pid: u32,
    ended: Receiver<End>,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
    patience: Duration,
}

impl Running {
    /// Its process id, which is also its process group.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.pid.cast_signed())
    }

    /// Waits for the end, like [`Run::end`].
    #[track_caller]
    pub fn end(self) -> Ended {
        self.end_in_time().unwrap_or_else(|late| panic!("{late}"))
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// What was waited for, if [`Run::end`] would panic.
    pub fn end_in_time(self) -> Result<Ended, String> {
        let end = Instant::now() + self.patience;
        let left = || end.saturating_duration_since(Instant::now());
        let how = self.ended.recv_timeout(left());
        let out = drain(&self.stdout, end);
        let err = drain(&self.stderr, end);
        match (how, out, err) {
            (Ok(end), Ok(stdout), Ok(stderr)) => Ok(Ended { end, stdout, stderr }),
            (how, out, err) => {
                // the group may already be gone
                let _ = killpg(self.pid(), Signal::SIGKILL);
                let what = match how {
                    Ok(_) => "a process that still holds the output of",
                    Err(_) => "the end of",
                };
                let (out, err) = (out.unwrap_or_else(|seen| seen), err.unwrap_or_else(|seen| seen));
                Err(format!(
                    "waited {} s for {what} {}\nstdout so far: {}\nstderr so far: {}",
                    self.patience.as_secs(),
                    self.shown,
                    String::from_utf8_lossy(&out),
                    String::from_utf8_lossy(&err)
                ))
            }
        }
    }
}

impl Ended {
    /// Standard output as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Standard output of a command that must succeed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.end, End::Exit(0), "stdout: {}\nstderr: {}", self.out(), self.err());
        self.out()
    }

    /// Asserts how it ended; if the test fails, it shows the output.
    #[track_caller]
    pub fn ended(self, end: End) -> Self {
        assert_eq!(self.end, end, "stdout: {}\nstderr: {}", self.out(), self.err());
        self
    }
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.collect::<Vec<_>>().join(&OsString::from(" ")).to_string_lossy().into_owned()
}

/// Reads to the end in the background, and sends a message for each piece.
fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(read @ 1..) = pipe.read(&mut piece) {
            if send.send(piece.iter().take(read).copied().collect()).is_err() {
                return;
            }
        }
    });
    receive
}

/// All pieces until the pipe is closed; `Err` with those that arrived before `end`.
fn drain(pipe: &Receiver<Vec<u8>>, end: Instant) -> Result<Vec<u8>, Vec<u8>> {
    let mut all = Vec::new();
    loop {
        match pipe.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(piece) => all.extend(piece),
            Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(all),
            Err(mpsc::RecvTimeoutError::Timeout) => return Err(all),
        }
    }
}

fn wait(mut child: Child) -> Receiver<End> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let status = child.wait().expect("a child is waited for once");
        let end = match status.signal() {
            Some(signal) => End::Signal(signal),
            None => End::Exit(status.into_raw() >> 8),
        };
        // after a deadline, the receiver may be gone
        let _ = send.send(end);
    });
    receive
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_program_that_another_thread_still_writes_to_is_waited_for() {
        let program = std::env::temp_dir().join(format!("still-written-{}", std::process::id()));
        std::fs::write(&program, "#!/bin/sh\nexit 7\n").unwrap();
        std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let writer = std::fs::OpenOptions::new().append(true).open(&program).unwrap();
        // longer than the first try takes; the test does not depend on it
        let closes = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            drop(writer);
        });
        assert_eq!(Run::new(&program).end().end, End::Exit(7));
        closes.join().unwrap();
        std::fs::remove_file(program).unwrap();
    }

    #[test]
    fn words_and_exit_status_are_kept() {
        let ended = Run::new("sh").args(["-c", "cat; echo bad >&2; exit 7"]).stdin("good").end();
        assert_eq!((ended.end, ended.out(), ended.err()), (End::Exit(7), "good".into(), "bad\n".into()));
    }

    #[test]
    fn a_signal_is_told_from_a_status() {
        let ended = Run::new("sh").args(["-c", "kill -TERM $$"]).end();
        assert_eq!(ended.end, End::Signal(15));
    }

    #[test]
    #[should_panic(expected = "waited 0 s for the end of sleep 1000")]
    fn what_hangs_is_killed_and_named() {
        Run::new("sleep").arg("1000").patience(Duration::from_millis(50)).end();
    }

    #[test]
    #[should_panic(expected = "for a process that still holds the output of sh -c sleep 1000 &")]
    fn what_keeps_the_output_open_is_killed_and_named() {
        let run = Run::new("sh").args(["-c", "sleep 1000 &"]).patience(Duration::from_secs(2)).start();
        let shell = format!("/proc/{}", run.pid());
        deadline::until("the shell to end", || (!std::path::Path::new(&shell).exists()).then_some(()));
        run.end();
    }
}

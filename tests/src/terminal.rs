//! A terminal under test: keys go in, the screen's text comes out.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{OFlag, open};
use nix::pty::{Winsize, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::Mode;
use nix::unistd::setsid;

use crate::deadline::{self, EVENT_TIMEOUT};
use crate::run::End;

/// What Ctrl-C sends.
pub const CTRL_C: &str = "\x03";
/// What Ctrl-\ sends.
pub const CTRL_BACKSLASH: &str = "\x1c";
/// What Ctrl-Z sends.
pub const CTRL_Z: &str = "\x1a";

/// A terminal, and the command that is its session leader.
#[derive(Debug)]
pub struct Terminal {
    keys: File,
    child: Child,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    /// Starts a command with a new controlling terminal of 24 lines and 80 columns.
    #[track_caller]
    pub fn start(command: Command) -> Self {
        let (keys, child) = open_with(command);
        let screen = watch(keys.try_clone().expect("a descriptor"));
        Self { keys, child, screen, seen: String::new() }
    }

    /// Presses keys.
    #[track_caller]
    pub fn send(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("keys taken by the terminal");
    }

    /// Types a line.
    #[track_caller]
    pub fn line(&mut self, line: &str) {
        self.send(line);
        self.send("\n");
    }

    /// Waits until `text` is on the screen, after the text of the previous wait, and returns everything up to
    /// its end.
    ///
    /// The terminal's echo counts, too, so wait for a text that the keys do not contain.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        match self.read_until(text, EVENT_TIMEOUT) {
            Ok(seen) => seen,
            Err(why) => panic!("{why}"),
        }
    }

    /// The same, with another time limit.
    ///
    /// # Errors
    /// The text on the screen, if the time limit passed or the terminal was closed.
    pub fn read_until(&mut self, text: &str, patience: Duration) -> Result<String, String> {
        let end = Instant::now() + patience;
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return Ok(std::mem::replace(&mut self.seen, rest));
            }
            match self.screen.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(piece) => self.seen.push_str(&String::from_utf8_lossy(&piece)),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("waited {} s for {text:?}, saw {:?}", patience.as_secs(), self.seen));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("the terminal was closed before {text:?}, saw {:?}", self.seen));
                }
            }
        }
    }

    /// Everything that appears from here on, until the last process has closed the terminal.
    #[track_caller]
    pub fn rest(&mut self) -> String {
        let end = Instant::now() + EVENT_TIMEOUT;
        loop {
            match self.screen.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(piece) => self.seen.push_str(&String::from_utf8_lossy(&piece)),
                Err(RecvTimeoutError::Disconnected) => return std::mem::take(&mut self.seen),
                Err(RecvTimeoutError::Timeout) => {
                    panic!(
                        "waited {} s for the terminal to be closed, saw {:?}",
                        EVENT_TIMEOUT.as_secs(),
                        self.seen
                    )
                }
            }
        }
    }

    /// Changes the window's size, as dragging its corner does.
    #[track_caller]
    pub fn resize(&self, rows: u16, columns: u16) {
        resize(&self.keys, rows, columns);
    }

    /// The PID of the session leader.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the session leader has ended.
    #[track_caller]
    pub fn end(&mut self) -> End {
        let what = format!("the command in the terminal to end; the screen since: {:?}", self.seen);
        let status = deadline::until(&what, || self.child.try_wait().expect("a child of ours"));
        match status.signal() {
            Some(signal) => End::Signal(signal),
            None => End::Exit(status.into_raw() >> 8),
        }
    }
}

impl Drop for Terminal {
    /// Closes the terminal: the kernel sends SIGHUP to the rest of its session.
    fn drop(&mut self) {
        // both fail if the command has ended, which is the usual case
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command as the leader of a session with a new terminal, and the terminal's other end: dropping it closes
/// the window.
#[track_caller]
pub fn open_with(mut command: Command) -> (File, Child) {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a new terminal");
    grantpt(&master).expect("the terminal granted");
    unlockpt(&master).expect("the terminal unlocked");
    let name = ptsname_r(&master).expect("the terminal's name");
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let slave = open(name.as_str(), flags, Mode::empty()).expect("the terminal opened");
    let stdio = || slave.try_clone().expect("a descriptor");
    command.stdin(stdio()).stdout(stdio()).stderr(stdio());
    let control = move || {
        setsid()?;
        // the first terminal that a session leader opens controls its session: tty_ioctl(4)
        open(name.as_str(), OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
        Ok(())
    };
    // SAFETY: between fork and exec only setsid(2) and open(2) run: no lock, no allocation
    // (a path below 1 KiB is copied to the stack).
    unsafe { command.pre_exec(control) };
    let keys = File::from(OwnedFd::from(master));
    // before the command can ask for it
    resize(&keys, 24, 80);
    let child = command.spawn().expect("a command for the terminal");
    (keys, child)
}

#[track_caller]
fn resize(terminal: &File, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads the Winsize that it is given, which lives here.
    let done = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    assert_eq!(done, 0, "ioctl(TIOCSWINSZ): {}", std::io::Error::last_os_error());
}

/// Reads the screen in the background until no process has the terminal open (EIO).
fn watch(mut master: File) -> Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(read @ 1..) = master.read(&mut piece) {
            if send.send(piece.iter().take(read).copied().collect()).is_err() {
                return;
            }
        }
    });
    receive
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> Terminal {
        let mut shell = Command::new("sh");
        shell.arg("-i").env("PS1", "ready> ").env("TERM", "dumb").env_remove("ENV");
        let mut terminal = Terminal::start(shell);
        terminal.wait_for("ready> ");
        terminal
    }

    #[test]
    fn keys_go_in_and_the_screen_comes_out() {
        let mut terminal = Terminal::start(Command::new("cat"));
        terminal.line("hello");
        // once echoed by the terminal, once written by cat
        terminal.wait_for("hello\r\nhello\r\n");
        terminal.send("\x04");
        assert_eq!(terminal.end(), End::Exit(0));
    }

    #[test]
    fn ctrl_c_ends_the_command_and_not_the_shell() {
        let mut terminal = shell();
        // printed by the command, so its process group owns the terminal by then
        terminal.line("sh -c \"echo go''ing; exec sleep 1000\"");
        terminal.wait_for("going");
        terminal.send(CTRL_C);
        terminal.wait_for("ready> ");
        terminal.line("exit 3");
        assert_eq!(terminal.end(), End::Exit(3));
    }

    #[test]
    fn ctrl_z_stops_and_fg_resumes() {
        let mut terminal = shell();
        terminal.line("sh -c \"echo go''ing; exec cat\"");
        // with its line end, because otherwise the echo of the next line would come first
        terminal.wait_for("going\r\n");
        terminal.line("one");
        terminal.wait_for("one\r\none\r\n");
        terminal.send(CTRL_Z);
        terminal.wait_for("ready> ");
        terminal.line("fg");
        // the shell prints the job that it resumes
        terminal.wait_for("cat");
        terminal.wait_for("\r\n");
        terminal.line("two");
        terminal.wait_for("two\r\ntwo\r\n");
        terminal.send("\x04");
        terminal.wait_for("ready> ");
    }

    #[test]
    fn the_window_has_the_size_it_was_given() {
        let mut terminal = shell();
        terminal.resize(33, 77);
        terminal.line("stty size");
        terminal.wait_for("33 77\r\n");
    }
}

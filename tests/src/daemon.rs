//! Servers that a test needs: finds and starts them, waits for them, and ends them by process id.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::deadline;

/// How long a server can take to end.
const TERM_TIMEOUT: Duration = Duration::from_secs(10);

/// A server that runs as long as this value lives, and no longer than the thread that started it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it, with its output in the file `log`.
    #[track_caller]
    pub fn start(mut command: Command, log: PathBuf) -> Self {
        let said = File::create(&log).expect("a log");
        command.stdin(Stdio::null()).stdout(said.try_clone().expect("a second descriptor")).stderr(said);
        // SAFETY: between fork and exec only prctl(2) is called, which is async-signal-safe.
        unsafe { command.pre_exec(end_with_parent) };
        let child = command.spawn().unwrap_or_else(|why| panic!("cannot start {command:?}: {why}"));
        Self { child, log }
    }

    /// Its output so far.
    pub fn said(&self) -> String {
        fs::read(&self.log).map(|said| String::from_utf8_lossy(&said).into_owned()).unwrap_or_default()
    }

    /// Waits until `ready` finds what it needs in the output, or elsewhere.
    ///
    /// # Panics
    /// If the server ends before that, or takes too long; its output is shown.
    #[track_caller]
    pub fn until<T>(&mut self, what: &str, mut ready: impl FnMut(&str) -> Option<T>) -> T {
        let child = &mut self.child;
        let log = &self.log;
        let found = deadline::wait(what, deadline::EVENT_TIMEOUT, || {
            let said = fs::read_to_string(log).unwrap_or_default();
            match ready(&said) {
                Some(found) => Some(Ok(found)),
                None => child.try_wait().ok().flatten().map(Err),
            }
        });
        match found {
            Ok(Ok(found)) => found,
            Ok(Err(status)) => panic!("it ended with {status} instead of {what}:\n{}", self.said()),
            Err(why) => panic!("{why}:\n{}", self.said()),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = kill(self.pid(), Signal::SIGTERM);
        let ended = deadline::wait("a server to end", TERM_TIMEOUT, || self.child.try_wait().ok().flatten());
        if let Err(why) = ended {
            eprintln!("{why}; it is killed");
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn end_with_parent() -> io::Result<()> {
    // SAFETY: PR_SET_PDEATHSIG takes a signal and touches no memory.
    let set = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A server's program: in the folder `CHAIN_DAEMONS`, in PATH, or where `tests/run` unpacks it.
///
/// # Panics
/// If there is none: a test that needs it is ignored by default.
#[track_caller]
pub fn program(name: &str) -> PathBuf {
    find(name).unwrap_or_else(|| panic!("no {name}: `tests/run install` unpacks it"))
}

/// The same, or None.
pub fn find(name: &str) -> Option<PathBuf> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/daemons/usr");
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = env::var_os("CHAIN_DAEMONS").into_iter().map(PathBuf::from).collect();
    places.extend(env::split_paths(&path));
    places.extend([unpacked.join("bin"), unpacked.join("sbin")]);
    places.into_iter().map(|place| place.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scratch;

    #[test]
    fn a_server_is_waited_for_and_ended() {
        let scratch = Scratch::new();
        let mut command = Command::new("sh");
        command.args(["-c", "echo ready on port 17; exec sleep 1000"]);
        let mut daemon = Daemon::start(command, scratch.path("log"));
        let port: u16 =
            daemon.until("its port", |said| said.strip_suffix('\n')?.split(' ').next_back()?.parse().ok());
        assert_eq!(port, 17);
        let process = PathBuf::from(format!("/proc/{}", daemon.pid()));
        drop(daemon);
        assert!(!process.exists());
    }

    #[test]
    #[should_panic(expected = "it ended with exit status: 3 instead of its port:\nno port left")]
    fn a_server_that_cannot_start_says_why() {
        let scratch = Scratch::new();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no port left; exit 3"]);
        Daemon::start(command, scratch.path("log")).until("its port", |_| None::<()>);
    }
}

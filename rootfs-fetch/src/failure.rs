// SPDX-License-Identifier: MIT OR Apache-2.0
//! What went wrong, told in one line, and the exit status it ends with.

use std::fmt::{self, Display};

use chain::Reporter;
use chain::reporter::ErrnoText;
use nix::errno::Errno;

use crate::digest::Mismatch;

/// The result of anything that can end the run.
pub type Result<T> = std::result::Result<T, Failure>;

/// Why a run ended, as its exit status says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 1: reading or writing failed.
    Io = 1,
    /// 2: the command line is wrong.
    Usage = 2,
    /// 3: the source, or the platform in it, is not there.
    NotFound = 3,
    /// 4: the archive is damaged, unsafe, or not the one that was asked for.
    Damaged = 4,
    /// 5: access denied.
    Denied = 5,
    /// 6: the network, or who is on the other side of it, does not do what it should.
    Network = 6,
    /// 7: DIRECTORY exists.
    Exists = 7,
}

/// The end of a run that did not reach its goal.
#[derive(Clone, Debug)]
pub enum Failure {
    /// Something is wrong, in one line.
    Wrong {
        /// The exit status.
        kind: Kind,
        /// The line.
        line: String,
        /// What the reader can do.
        hint: Option<String>,
        /// Whether it is about all that was read, wherever it was noticed.
        whole: bool,
    },
    /// A signal asked us to end.
    Signal(i32),
}

impl Failure {
    /// A failure that is not a system call's.
    pub fn new(kind: Kind, line: impl Display) -> Self {
        Self::Wrong { kind, line: line.to_string(), hint: None, whole: false }
    }

    /// The archive cannot be right, or must not be followed.
    pub fn damaged(line: impl Display) -> Self {
        Self::new(Kind::Damaged, line)
    }

    /// What was read is not what it should have been: the one entry at which that shows is as good
    /// or bad as any other.
    pub fn mismatch(line: impl Display) -> Self {
        Self::Wrong { kind: Kind::Damaged, line: line.to_string(), hint: None, whole: true }
    }

    /// A system call failed: `cannot REASON: CALL: strerror (ERRNO)`.
    pub fn call(reason: impl Display, call: impl Display, error: rustix::io::Errno) -> Self {
        let kind = match error {
            rustix::io::Errno::ACCESS | rustix::io::Errno::PERM => Kind::Denied,
            // what no archive that was made from a file system can ask for
            rustix::io::Errno::NAMETOOLONG | rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR => {
                Kind::Damaged
            }
            _ => Kind::Io,
        };
        let why = ErrnoText(Errno::from_raw(error.raw_os_error()));
        Self::new(kind, format_args!("cannot {reason}: {call}: {why}"))
    }

    /// Reading failed: the errno of the input itself is I/O, anything else is said by a decoder or
    /// a digest and is damage. A failure that passed through the reader comes out unchanged.
    pub fn read(error: std::io::Error) -> Self {
        let inner = error.get_ref();
        if let Some(failure) = inner.and_then(|inner| inner.downcast_ref::<Self>()) {
            return failure.clone();
        }
        match error.raw_os_error() {
            Some(errno) => {
                Self::call("read the archive", "read()", rustix::io::Errno::from_raw_os_error(errno))
            }
            None if inner.is_some_and(|inner| inner.is::<Mismatch>()) => Self::mismatch(error),
            None if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Self::damaged("the compressed data are cut short")
            }
            None => Self::damaged(format_args!("the compressed data are damaged: {error}")),
        }
    }

    /// Whether there was no space, or none for this user.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Wrong { kind: Kind::Io, line, .. } => {
                line.ends_with("(ENOSPC)") || line.ends_with("(EDQUOT)")
            }
            _ => false,
        }
    }

    /// No thread could be started.
    pub fn no_thread(error: &std::io::Error) -> Self {
        // what pthread_create(3) says where the limit is reached, if nothing else is known
        let errno = rustix::io::Errno::from_io_error(error).unwrap_or(rustix::io::Errno::AGAIN);
        Self::call("start a thread", "clone3()", errno)
    }

    /// The same failure with another exit status.
    pub fn kind(self, new: Kind) -> Self {
        match self {
            Self::Wrong { line, hint, whole, .. } => Self::Wrong { kind: new, line, hint, whole },
            signal @ Self::Signal(_) => signal,
        }
    }

    /// The same failure with advice.
    pub fn hint(self, advice: impl Display) -> Self {
        match self {
            Self::Wrong { kind, line, whole, .. } => {
                Self::Wrong { kind, line, hint: Some(advice.to_string()), whole }
            }
            signal @ Self::Signal(_) => signal,
        }
    }

    /// The same failure, its line led by what it happened to.
    pub fn within(self, what: impl Display) -> Self {
        match self {
            Self::Wrong { kind, line, hint, whole } => {
                Self::Wrong { kind, line: format!("{what}: {line}"), hint, whole }
            }
            signal @ Self::Signal(_) => signal,
        }
    }

    /// The same failure, led by the name of the entry in which it was noticed, where it is about that.
    pub fn at_entry(self, name: impl Display) -> Self {
        if self.is_of_the_whole() { self } else { self.within(name) }
    }

    /// Whether it is about all that was read.
    pub fn is_of_the_whole(&self) -> bool {
        matches!(self, Self::Wrong { whole: true, .. })
    }

    /// Wrapped so that it passes through a reader; [`Self::read`] unwraps it.
    pub fn into_io(self) -> std::io::Error {
        std::io::Error::other(self)
    }

    /// Says the failure; nothing is said of a signal, whoever sent it knows.
    pub fn reporter(&self, reporter: &Reporter) {
        if let Self::Wrong { line, hint, .. } = self {
            reporter.message(line);
            if let Some(hint) = hint {
                reporter.hint(hint);
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong { line, .. } => f.write_str(line),
            Self::Signal(signal) => write!(f, "ended by signal {signal}"),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_call_names_the_reason_the_call_and_the_error() {
        let failure = Failure::call("make it", "mkdirat(\"a\")", rustix::io::Errno::NOSPC);
        let Failure::Wrong { kind, line, hint, .. } = failure else { panic!("not a signal") };
        assert_eq!(kind, Kind::Io);
        assert_eq!(line, "cannot make it: mkdirat(\"a\"): No space left on device (ENOSPC)");
        assert_eq!(hint, None);
    }
}

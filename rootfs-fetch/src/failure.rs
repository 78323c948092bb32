//! Why a run failed: a message, a hint, and the kind that decides the exit status.

use std::fmt::{self, Display};
use std::io;

use chain::Reporter;
use chain::reporter::ErrnoText;
use rustix::io::Errno;

use crate::digest::Mismatch;

/// The result of code that can end the run.
pub type Result<T> = std::result::Result<T, Failure>;

/// Why a run failed; each kind has its exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 1: reading or writing failed.
    Io,
    /// 2: the command line is wrong.
    Usage,
    /// 3: the source, or its variant for the platform, does not exist.
    NotFound,
    /// 4: the archive is damaged, unsafe, or not the requested one.
    Damaged,
    /// 5: access denied.
    Denied,
    /// 6: the network, or a server, failed.
    Network,
    /// 7: DIRECTORY exists.
    Exists,
    /// A signal ended the run: 128 and its number, if the signal itself does not end the process.
    Signal(i32),
}

impl Kind {
    /// The exit status.
    pub const fn status(self) -> i32 {
        match self {
            Self::Io => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Damaged => 4,
            Self::Denied => 5,
            Self::Network => 6,
            Self::Exists => 7,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// A failure that ends the run.
#[derive(Clone, Debug)]
pub struct Failure {
    kind: Kind,
    report: chain::Failure,
    /// The errno of the system call that failed, if one did.
    errno: Option<Errno>,
    /// Whether it concerns the whole archive, not only the entry at which it was noticed.
    is_of_archive: bool,
}

impl Failure {
    /// A failure that is not from a system call.
    pub fn new(kind: Kind, message: impl Display) -> Self {
        let report = chain::Failure::new(message.to_string());
        Self { kind, report, errno: None, is_of_archive: false }
    }

    /// The archive is broken, or unsafe to unpack.
    pub fn damaged(message: impl Display) -> Self {
        Self::new(Kind::Damaged, message)
    }

    /// The data are not the requested ones: a failure of the whole archive, not of one entry.
    pub fn mismatch(message: impl Display) -> Self {
        Self { is_of_archive: true, ..Self::damaged(message) }
    }

    /// A signal ended the run.
    pub fn signal(signal: i32) -> Self {
        Self::new(Kind::Signal(signal), format_args!("ended by signal {signal}"))
    }

    /// A system call failed: `cannot REASON: CALL: strerror (ERRNO)`.
    pub fn call(reason: impl Display, call: impl Display, error: impl Into<io::Error>) -> Self {
        let errno = Errno::from_io_error(&error.into()).unwrap_or(Errno::IO);
        let kind = match errno {
            Errno::ACCESS | Errno::PERM => Kind::Denied,
            _ => Kind::Io,
        };
        let text = ErrnoText(nix::errno::Errno::from_raw(errno.raw_os_error()));
        Self { errno: Some(errno), ..Self::new(kind, format_args!("cannot {reason}: {call}: {text}")) }
    }

    /// The same for a call with a name from the archive. Errors that no archive made from a file system can
    /// cause mean that the archive is damaged.
    pub fn entry_call(reason: impl Display, call: impl Display, error: impl Into<io::Error>) -> Self {
        let failure = Self::call(reason, call, error);
        match failure.errno {
            Some(Errno::NAMETOOLONG | Errno::LOOP | Errno::NOTDIR) => failure.kind(Kind::Damaged),
            _ => failure,
        }
    }

    /// Reading failed. An errno comes from the input. Any other error comes from a decoder or a digest and
    /// means that the archive is damaged. A failure wrapped by [`Self::into_io`] is returned unchanged.
    pub fn read(error: io::Error) -> Self {
        let inner = error.get_ref();
        if let Some(failure) = inner.and_then(|inner| inner.downcast_ref::<Self>()) {
            return failure.clone();
        }
        match error.kind() {
            _ if error.raw_os_error().is_some() => Self::call("read the archive", "read()", error),
            _ if inner.is_some_and(|inner| inner.is::<Mismatch>()) => Self::mismatch(error),
            io::ErrorKind::UnexpectedEof => Self::damaged("the compressed data are cut short"),
            _ => Self::damaged(format_args!("the compressed data are damaged: {error}")),
        }
    }

    /// No thread could be started.
    pub fn no_thread(error: &io::Error) -> Self {
        // EAGAIN is what pthread_create(3) returns at the limit
        Self::call("start a thread", "clone3()", Errno::from_io_error(error).unwrap_or(Errno::AGAIN))
    }

    /// Whether the failure is of this kind.
    pub fn is(&self, kind: Kind) -> bool {
        self.kind == kind
    }

    /// The signal that ended the run.
    pub fn by_signal(&self) -> Option<i32> {
        if let Kind::Signal(signal) = self.kind { Some(signal) } else { None }
    }

    /// Whether the disk or the user's quota is full.
    pub fn is_full(&self) -> bool {
        matches!(self.errno, Some(Errno::NOSPC | Errno::DQUOT))
    }

    /// The message and the hint.
    pub fn report(&self) -> &chain::Failure {
        &self.report
    }

    /// The same failure of another kind.
    #[must_use]
    pub fn kind(self, kind: Kind) -> Self {
        if self.by_signal().is_some() { self } else { Self { kind, ..self } }
    }

    /// The same failure, as [`Kind::NotFound`] if the call failed because a file is missing, or because its
    /// path cannot exist.
    #[must_use]
    pub fn or_not_found(self) -> Self {
        match self.errno {
            Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => {
                self.kind(Kind::NotFound)
            }
            _ => self,
        }
    }

    /// The same failure with a hint.
    #[must_use]
    pub fn hint(self, hint: impl Display) -> Self {
        Self { report: self.report.hint(hint.to_string()), ..self }
    }

    /// The same failure, with a prefix that says what it concerns.
    #[must_use]
    pub fn within(mut self, what: impl Display) -> Self {
        self.report.message = format!("{what}: {}", self.report.message);
        self
    }

    /// The same failure; if it concerns an entry, with the entry's name as a prefix.
    #[must_use]
    pub fn at_entry(self, name: impl Display) -> Self {
        if self.is_of_archive { self } else { self.within(name) }
    }

    /// The same failure; if it concerns a place in the archive, followed by that place.
    #[must_use]
    pub fn located(mut self, place: impl Display) -> Self {
        if !self.is_of_archive && self.by_signal().is_none() {
            self.report.message = format!("{} ({place})", self.report.message);
        }
        self
    }

    /// Wraps the failure as an I/O error; [`Self::read`] unwraps it.
    pub fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    /// Prints the failure and returns its exit status. A signal is not reported.
    pub fn print(&self, reporter: &Reporter) -> i32 {
        if self.by_signal().is_none() {
            reporter.message(&self.report);
            if let Some(hint) = &self.report.hint {
                reporter.hint(hint);
            }
        }
        self.kind.status()
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.report.fmt(f)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_call_names_the_reason_the_call_and_the_error() {
        let failure = Failure::call("make it", "mkdirat(\"a\")", Errno::NOSPC);
        assert!(failure.is(Kind::Io) && failure.is_full() && failure.report().hint.is_none());
        let message = "cannot make it: mkdirat(\"a\"): No space left on device (ENOSPC)";
        assert_eq!(failure.to_string(), message);
    }

    #[test]
    fn a_path_that_cannot_be_is_damage_in_an_archive_and_nowhere_else() {
        for errno in [Errno::NAMETOOLONG, Errno::LOOP, Errno::NOTDIR] {
            assert!(Failure::entry_call("make it", "mkdirat()", errno).is(Kind::Damaged), "{errno}");
            let of_the_user = Failure::call("open it", "openat()", errno);
            assert!(of_the_user.is(Kind::Io), "{errno}");
            assert!(of_the_user.or_not_found().is(Kind::NotFound), "{errno}");
        }
    }
}

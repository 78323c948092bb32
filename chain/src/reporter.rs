//! Messages of a tool: the only place that prints.
//!
//! Standard output belongs to the command, so everything is said on standard
//! error, a whole line in one write(2), and a line that cannot be written is
//! dropped: a closed terminal must not change what the tool does.

use std::ffi::OsStr;
use std::fmt::{self, Display, Write as _};
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;

use crate::failure::Failure;
use system::sys;

/// How much a tool says, and whether it acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// Act, and speak only of failures and of what had to be left out.
    #[default]
    Quiet,
    /// Act, and say each step before it is made (`--explain`).
    Explain,
    /// The same, and what to type inside to see the effect (`--explain=see`).
    ExplainSee,
    /// Say each step and make none (`--dry-run`).
    DryRun,
}

/// Speaks for one tool on standard error.
#[derive(Clone, Copy, Debug)]
pub struct Reporter {
    tool: &'static str,
    verbosity: Verbosity,
}

impl Reporter {
    /// A reporter that puts `tool` before each line.
    pub const fn new(tool: &'static str, verbosity: Verbosity) -> Self {
        Self { tool, verbosity }
    }

    /// The name before each message.
    pub const fn tool(&self) -> &'static str {
        self.tool
    }

    /// Whether steps are said, made or both.
    pub const fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Says a step: why, the call in strace(1)'s notation, and its page.
    pub fn step(&self, reason: impl Display, call: impl Display, page: &str) {
        if self.verbosity != Verbosity::Quiet {
            self.message(format_args!("{reason}: {call}  # {page}"));
        }
    }

    /// Says how the effect of the step just said is seen, where that was asked for.
    pub fn see(&self, words: Option<impl Display>) {
        if let (Verbosity::ExplainSee, Some(words)) = (self.verbosity, words) {
            self.message(format_args!("  see inside: {words}"));
        }
    }

    /// Says a failed call: `tool: cannot REASON: CALL: strerror (ERRNO)`.
    pub fn failed(&self, reason: impl Display, call: impl Display, errno: Errno) {
        self.message(format_args!("cannot {reason}: {call}: {}", ErrnoText(errno)));
    }

    /// Says anything else in one line: a refusal, or what is left out and why.
    pub fn message(&self, text: impl Display) {
        let mut line = String::with_capacity(160);
        // a String takes every write
        let _ = write!(OneLine(&mut line), "{}: {text}", self.tool);
        line.push('\n');
        sys::write_stderr(line.as_bytes());
    }

    /// Says what is wrong, if anything is; whether nothing was.
    pub fn report_err(&self, result: Result<(), String>) -> bool {
        result.inspect_err(|wrong| self.message(wrong)).is_ok()
    }

    /// Advice after a failure: what the reader can do, one line.
    pub fn hint(&self, text: impl Display) {
        self.message(format_args!("hint: {text}"));
    }

    /// Prints a failure with its hint and ends the process with its status.
    pub fn exit_with(&self, failure: &Failure) -> ! {
        self.message(failure);
        if let Some(hint) = &failure.hint {
            self.hint(hint);
        }
        sys::exit(failure.status)
    }
}

/// Keeps what others wrote, file names above all, from breaking the line or driving the terminal.
struct OneLine<'a>(&'a mut String);

impl fmt::Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            if char.is_control() { self.0.extend(char.escape_default()) } else { self.0.push(char) }
        }
        Ok(())
    }
}

/// An errno as users read it: `Operation not permitted (EPERM)`.
#[derive(Clone, Copy, Debug)]
pub struct ErrnoText(pub Errno);

impl Display for ErrnoText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // strerror(3)'s words, which everybody knows; nix has some of its own
        let text = std::io::Error::from(self.0).to_string();
        let text = text.rsplit_once(" (os error").map_or(text.as_str(), |(words, _)| words);
        write!(f, "{text} ({:?})", self.0)
    }
}

/// Bytes as strace(1) shows them: in double quotes, what is not printable ASCII escaped.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a [u8]);

/// Quotes a path, an argument or other user data for a message.
pub fn quoted(text: &(impl AsRef<OsStr> + ?Sized)) -> Quoted<'_> {
    Quoted(text.as_ref().as_bytes())
}

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        let mut rest = self.0.iter().peekable();
        while let Some(&byte) = rest.next() {
            match byte {
                b'"' => f.write_str("\\\"")?,
                b'\\' => f.write_str("\\\\")?,
                b'\n' => f.write_str("\\n")?,
                b'\r' => f.write_str("\\r")?,
                b'\t' => f.write_str("\\t")?,
                b'\x0b' => f.write_str("\\v")?,
                b'\x0c' => f.write_str("\\f")?,
                b' '..=b'~' => write!(f, "{}", char::from(byte))?,
                // the short octal form would swallow a digit that follows
                _ if rest.peek().is_some_and(|next| next.is_ascii_digit()) => {
                    write!(f, "\\{byte:03o}")?;
                }
                _ => write!(f, "\\{byte:o}")?,
            }
        }
        f.write_str("\"")
    }
}

/// Names as they stand in a sentence: "ids, mounts and processes".
pub fn listed(names: &[&str]) -> String {
    match names.split_last() {
        Some((last, first)) if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errno_is_read_as_text_and_name() {
        assert_eq!(ErrnoText(Errno::EPERM).to_string(), "Operation not permitted (EPERM)");
        assert_eq!(ErrnoText(Errno::EAGAIN).to_string(), "Resource temporarily unavailable (EAGAIN)");
    }

    #[test]
    fn quotes_are_those_of_strace() {
        let shown = Quoted(b"a b\"\\\n\x01\x012\xc3\xa9").to_string();
        assert_eq!(shown, r#""a b\"\\\n\1\0012\303\251""#);
    }

    #[test]
    fn a_line_stays_one_line_and_harmless() {
        let mut line = String::new();
        write!(OneLine(&mut line), "a\nb\x1b[31m é").unwrap();
        assert_eq!(line, "a\\nb\\u{1b}[31m é");
    }

    #[test]
    fn an_empty_argument_is_seen() {
        assert_eq!(quoted("").to_string(), "\"\"");
    }
}

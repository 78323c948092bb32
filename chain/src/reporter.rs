//! The lines that a tool prints. No other code prints.
//!
//! Standard output belongs to the command, so all lines go to standard error, each in one write(2). A line
//! that cannot be written is dropped: a closed terminal must not change what the tool does.

use std::ffi::OsStr;
use std::fmt::{self, Display, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;

use crate::failure::Failure;
use crate::layout::Layout;
use system::sys;

/// How much a tool prints, and whether it acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// Act, and print only failures and skipped defaults.
    #[default]
    Quiet,
    /// Act, and print each step before it runs (`--explain`).
    Explain(Detail),
    /// Print each step and run none (`--dry-run`).
    DryRun(Detail),
}

impl Verbosity {
    /// Whether steps are printed.
    pub const fn shows_steps(self) -> bool {
        !matches!(self, Self::Quiet)
    }

    /// Whether steps are printed and run.
    pub const fn is_explain(self) -> bool {
        matches!(self, Self::Explain(_))
    }

    /// Whether steps are printed and not run.
    pub const fn is_dry_run(self) -> bool {
        matches!(self, Self::DryRun(_))
    }
}

/// How much of a step is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// The reason.
    Short,
    /// The reason, the call and its manual page.
    #[default]
    Full,
    /// The same, and a command that shows the step's effect, after the step.
    See,
}

/// Prints the lines of one tool on standard error.
#[derive(Clone, Copy, Debug)]
pub struct Reporter {
    tool: &'static str,
    verbosity: Verbosity,
}

/// Whether this process has printed the heading above a group of steps. Standard error exists once per
/// process, so this is a static.
static IN_GROUP: AtomicBool = AtomicBool::new(false);

impl Reporter {
    /// A reporter that prints `tool` before each line.
    pub const fn new(tool: &'static str, verbosity: Verbosity) -> Self {
        Self { tool, verbosity }
    }

    /// The name before each message.
    pub const fn tool(&self) -> &'static str {
        self.tool
    }

    /// Whether steps are printed, run or both.
    pub const fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Prints a step: the reason, the call in strace(1)'s notation, and the manual page.
    pub fn step(&self, reason: impl Display, call: impl Display, page: &str) {
        let (reason, call) = match self.verbosity {
            Verbosity::Quiet => return,
            Verbosity::Explain(Detail::Short) | Verbosity::DryRun(Detail::Short) => (one_line(reason), None),
            Verbosity::Explain(_) | Verbosity::DryRun(_) => (one_line(reason), Some(one_line(call))),
        };
        let call = call.as_ref().map(|call| (call.as_str(), page));
        self.print_in_group(|layout| layout.step(self.tool, &reason, call));
    }

    /// Prints a command that shows the effect of the last step, if the user asked for it.
    pub fn see(&self, command: Option<impl Display>) {
        if let (Verbosity::Explain(Detail::See), Some(command)) = (self.verbosity, command) {
            self.print_in_group(|layout| layout.see(self.tool, &one_line(command)));
        }
    }

    /// Ends a group of steps: other tools, or the command, may print lines before the next step.
    pub fn end_group(&self) {
        IN_GROUP.store(false, Ordering::Relaxed);
    }

    fn print_in_group(&self, lines: impl FnOnce(Layout) -> String) {
        let layout = Layout::of_standard_error();
        let has_heading = IN_GROUP.swap(true, Ordering::Relaxed);
        let heading = if has_heading { String::new() } else { layout.heading(self.tool) };
        sys::write_stderr((heading + &lines(layout)).as_bytes());
    }

    /// Prints a failed call: `tool: cannot REASON: CALL: strerror (ERRNO)`.
    pub fn failed(&self, reason: impl Display, call: impl Display, errno: Errno) {
        self.message(format_args!("cannot {reason}: {call}: {}", ErrnoText(errno)));
    }

    /// Prints any other line: a refusal, or a skipped default and why.
    pub fn message(&self, text: impl Display) {
        let mut line = one_line(format_args!("{}: {text}", self.tool));
        line.push('\n');
        sys::write_stderr(line.as_bytes());
    }

    /// Prints the message, if `result` is an error. Returns whether it was not.
    pub fn report_err(&self, result: Result<(), String>) -> bool {
        result.inspect_err(|wrong| self.message(wrong)).is_ok()
    }

    /// Prints the hint after a failure: one line.
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

/// A text on one line, without control characters.
fn one_line(text: impl Display) -> String {
    let mut line = String::with_capacity(160);
    // writing to a String cannot fail
    let _ = write!(OneLine(&mut line), "{text}");
    line
}

/// Keeps text from elsewhere, file names above all, from breaking the line or controlling the terminal.
struct OneLine<'a>(&'a mut String);

impl fmt::Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            if char.is_control() { self.0.extend(char.escape_default()) } else { self.0.push(char) }
        }
        Ok(())
    }
}

/// An errno with its usual text: `Operation not permitted (EPERM)`.
#[derive(Clone, Copy, Debug)]
pub struct ErrnoText(pub Errno);

impl Display for ErrnoText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // the text of strerror(3), which users know; nix has texts of its own
        let text = std::io::Error::from(self.0).to_string();
        let text = text.rsplit_once(" (os error").map_or(text.as_str(), |(words, _)| words);
        write!(f, "{text} ({:?})", self.0)
    }
}

/// Bytes as strace(1) shows them: in double quotes, with everything but printable ASCII escaped.
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
                // the short octal form would absorb a digit after it
                _ if rest.peek().is_some_and(|next| next.is_ascii_digit()) => {
                    write!(f, "\\{byte:03o}")?;
                }
                _ => write!(f, "\\{byte:o}")?,
            }
        }
        f.write_str("\"")
    }
}

/// Names as a phrase: "ids, mounts and processes".
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
        assert_eq!(one_line("a\nb\x1b[31m é"), "a\\nb\\u{1b}[31m é");
    }

    #[test]
    fn an_empty_argument_is_seen() {
        assert_eq!(quoted("").to_string(), "\"\"");
    }
}

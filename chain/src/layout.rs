//! The layout of the steps that `--explain` and `--dry-run` print.
//!
//! In a file or a pipe, each step is one line that starts with the tool's name, for grep(1). On a terminal,
//! the name is a heading above the tool's steps, and long lines are folded between words.

use std::fmt::Write as _;

use system::sys;

/// The columns of a terminal whose size is unknown.
const USUAL_COLUMNS: usize = 80;
/// With fewer columns, the indentation would leave no room.
const MIN_COLUMNS: usize = 20;

/// The indentation of a step, of its call, and of the folded lines of each.
const STEP: usize = 2;
const CALL: usize = 6;
const CONTINUED: usize = 2;

/// Where steps are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// To a file or a pipe.
    Lines,
    /// To a terminal with this many columns.
    Terminal(usize),
}

impl Layout {
    /// The layout for standard error. `COLUMNS` overrides the terminal's own size.
    pub(crate) fn of_standard_error() -> Self {
        let Some(columns) = sys::stderr_columns() else { return Self::Lines };
        let from_variable = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let known = [from_variable, Some(columns)].into_iter().flatten().find(|columns| *columns > 0);
        Self::Terminal(known.unwrap_or(USUAL_COLUMNS).max(MIN_COLUMNS))
    }

    /// The heading above the steps of a tool.
    pub(crate) fn heading(self, tool: &str) -> String {
        match self {
            Self::Lines => String::new(),
            Self::Terminal(_) => format!("{tool}:\n"),
        }
    }

    /// A step: its reason, and the call with its manual page.
    pub(crate) fn step(self, tool: &str, reason: &str, call: Option<(&str, &str)>) -> String {
        let line = match call {
            Some((call, page)) => format!("{reason}: {call}  # {page}"),
            None => reason.to_string(),
        };
        match (self, call) {
            (Self::Lines, _) => format!("{tool}: {line}\n"),
            (Self::Terminal(columns), Some((call, page))) if STEP + line.chars().count() > columns => {
                let mut folded = Folded::new(columns);
                folded.line(STEP, &format!("{reason}:"));
                folded.line(CALL, call);
                folded.word(&format!("  # {page}"));
                folded.end()
            }
            (Self::Terminal(columns), _) => {
                let mut folded = Folded::new(columns);
                folded.line(STEP, &line);
                folded.end()
            }
        }
    }

    /// A command that shows the effect of a step.
    pub(crate) fn see(self, tool: &str, command: &str) -> String {
        match self {
            Self::Lines => format!("{tool}:   see inside: {command}\n"),
            // users paste commands, so they are not folded
            Self::Terminal(_) => format!("{:CALL$}see inside: {command}\n", ""),
        }
    }
}

/// Text with lines no longer than the terminal is wide, unless a single word is longer.
struct Folded {
    text: String,
    columns: usize,
    /// The length of the last line.
    used: usize,
    /// The indentation of the lines that continue it.
    indent: usize,
}

impl Folded {
    const fn new(columns: usize) -> Self {
        Self { text: String::new(), columns, used: 0, indent: 0 }
    }

    /// Starts a line. It can be folded after a space, and between two flags.
    fn line(&mut self, indent: usize, text: &str) {
        self.break_line(indent);
        self.indent = indent + CONTINUED;
        text.split_inclusive([' ', '|']).for_each(|word| self.word(word));
    }

    /// Adds a word, on the next line if it does not fit.
    fn word(&mut self, word: &str) {
        let fits = self.used + word.trim_end().chars().count() <= self.columns;
        let word = if fits || self.used <= self.indent { word } else { word.trim_start() };
        if !fits && self.used > self.indent {
            self.break_line(self.indent);
        }
        self.text.push_str(word);
        self.used += word.chars().count();
    }

    fn break_line(&mut self, indent: usize) {
        self.text.truncate(self.text.trim_end().len());
        let newline = if self.text.is_empty() { "" } else { "\n" };
        // writing to a String cannot fail
        let _ = write!(self.text, "{newline}{:indent$}", "");
        self.used = indent;
    }

    fn end(mut self) -> String {
        self.text.push('\n');
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTNAME: (&str, Option<(&str, &str)>) =
        ("set the hostname", Some(("sethostname(\"box\", 3)", "sethostname(2)")));

    fn step(layout: Layout, (reason, call): (&str, Option<(&str, &str)>)) -> String {
        layout.step("unshare-rs", reason, call)
    }

    #[test]
    fn in_a_file_each_line_has_the_name_of_its_tool() {
        let lines = Layout::Lines;
        let line = "unshare-rs: set the hostname: sethostname(\"box\", 3)  # sethostname(2)\n";
        assert_eq!(step(lines, HOSTNAME), line);
        assert_eq!(step(lines, ("set the hostname", None)), "unshare-rs: set the hostname\n");
        assert_eq!(lines.see("unshare-rs", "uname -n"), "unshare-rs:   see inside: uname -n\n");
        assert_eq!(lines.heading("unshare-rs"), "");
    }

    #[test]
    fn at_a_terminal_the_name_stands_above() {
        let wide = Layout::Terminal(80);
        assert_eq!(wide.heading("unshare-rs"), "unshare-rs:\n");
        assert_eq!(step(wide, HOSTNAME), "  set the hostname: sethostname(\"box\", 3)  # sethostname(2)\n");
        assert_eq!(step(wide, ("set the hostname", None)), "  set the hostname\n");
        assert_eq!(wide.see("unshare-rs", "uname -n"), "      see inside: uname -n\n");
    }

    #[test]
    fn a_step_that_is_too_long_has_its_call_on_the_next_line() {
        let fits = "  set the hostname: sethostname(\"box\", 3)  # sethostname(2)".len();
        assert_eq!(step(Layout::Terminal(fits), HOSTNAME).lines().count(), 1);
        let folded = "  set the hostname:\n      sethostname(\"box\", 3)  # sethostname(2)\n";
        assert_eq!(step(Layout::Terminal(fits - 1), HOSTNAME), folded);
    }

    #[test]
    fn a_line_is_folded_between_words_and_flags() {
        let call = "mount(NULL, \"/\", NULL, MS_REC|MS_PRIVATE, NULL)";
        let mount = ("keep mounts from spreading outside", Some((call, "mount(2)")));
        let folded = [
            "  keep mounts from",
            "    spreading outside:",
            "      mount(NULL, \"/\",",
            "        NULL, MS_REC|",
            "        MS_PRIVATE, NULL)",
            "        # mount(2)\n",
        ];
        assert_eq!(step(Layout::Terminal(25), mount), folded.join("\n"));
        let reason = ("keep mounts from spreading outside", None);
        assert_eq!(step(Layout::Terminal(25), reason), "  keep mounts from\n    spreading outside\n");
    }

    #[test]
    fn a_word_that_is_longer_than_a_line_is_not_cut() {
        let long = "/a/directory/with/a/long/name";
        let folded = format!("  go to\n    {long}\n    now\n");
        assert_eq!(step(Layout::Terminal(20), (&format!("go to {long} now"), None)), folded);
    }
}

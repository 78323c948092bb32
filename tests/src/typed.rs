//! Commands typed into a terminal, as a reader of the course types them.
//!
//! Each terminal has its own interactive sh(1), 80 columns wide. Its prompt contains the status of the last
//! command between two marks, so the text before the marks is the command's output. A shell started by a
//! command, for example inside a container, inherits the prompt.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::scratch::Scratch;
use crate::terminal::Terminal;

/// The marks before and after the status in the prompt. They are printable, because bash(1) escapes other
/// characters.
const MARKS: (&str, &str) = ("<prompt:", ":prompt>");

/// A shell at its prompt in a terminal.
pub struct TypedShell {
    terminal: Terminal,
    /// The directory that the session created by mktemp(1), removed at the end.
    made: Option<Scratch>,
}

impl TypedShell {
    /// Opens a terminal and waits for the first prompt.
    ///
    /// # Errors
    /// If no prompt comes.
    pub fn open(mut shell: Command, patience: Duration) -> Result<Self, String> {
        shell.arg("-i").env("PS1", format!("{}$?{}", MARKS.0, MARKS.1)).env("PS2", "").env("TERM", "dumb");
        // bash(1) would read files that set another prompt
        let prompt = format!("PS1='{}'$?'{}'", MARKS.0, MARKS.1);
        shell.env("PROMPT_COMMAND", prompt).env_remove("ENV");
        let mut opened = Self { terminal: Terminal::start(shell), made: None };
        opened.answer(patience)?;
        // the page shows the commands already
        opened.send("stty -echo", patience)?;
        Ok(opened)
    }

    /// Types a command, which may have several lines, and waits for the next prompt; returns its output and
    /// its status.
    ///
    /// # Errors
    /// If no prompt comes: the command waits for input, or runs too long.
    pub fn send(&mut self, command: &str, patience: Duration) -> Result<(String, String), String> {
        self.terminal.line(command);
        let answer = self.answer(patience).map_err(|why| format!("after {command:?} {why}"))?;
        self.notice_directory();
        Ok(answer)
    }

    fn answer(&mut self, patience: Duration) -> Result<(String, String), String> {
        let written = self.terminal.read_until(MARKS.0, patience)?;
        let status = self.terminal.read_until(MARKS.1, patience)?;
        let clean = |text: &str, mark| left_on_screen(&text.trim_end_matches(mark).replace("\r\n", "\n"));
        Ok((clean(&written, MARKS.0), clean(&status, MARKS.1)))
    }

    /// The working directory of the shell.
    pub fn directory(&self) -> Option<std::path::PathBuf> {
        std::fs::read_link(format!("/proc/{}/cwd", self.terminal.pid())).ok()
    }

    fn notice_directory(&mut self) {
        let is_made = |path: &Path| {
            path.parent() == Some(Path::new("/tmp"))
                && path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"tmp."))
        };
        if self.made.is_none() {
            self.made = self.directory().filter(|path| is_made(path)).map(Scratch::of);
        }
    }
}

/// The text without the lines that a progress bar wrote and erased.
fn left_on_screen(text: &str) -> String {
    const ERASE: &str = "\x1b[2K";
    let last = |line: &str| line.rsplit(ERASE).next().unwrap_or_default().to_string();
    text.split_inclusive('\n').map(last).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> TypedShell {
        TypedShell::open(Command::new("sh"), Duration::from_secs(20)).expect("a prompt")
    }

    fn typed(shell: &mut TypedShell, command: &str) -> (String, String) {
        shell.send(command, Duration::from_secs(20)).expect("a prompt")
    }

    #[test]
    fn an_answer_is_what_was_written_and_the_status() {
        let mut shell = shell();
        assert_eq!(typed(&mut shell, "echo a; (exit 3)"), ("a\n".to_string(), "3".to_string()));
        assert_eq!(typed(&mut shell, "echo $?"), ("3\n".to_string(), "0".to_string()));
        assert_eq!(typed(&mut shell, "cat <<E\nx\nE").0, "x\n");
    }

    /// For hosts whose `sh` is not busybox, which prints a greeting on a terminal.
    mod on_host {
        use super::*;

        #[test]
        fn a_shell_in_the_shell_has_the_same_prompt() {
            let mut shell = shell();
            assert_eq!(typed(&mut shell, "sh"), (String::new(), "0".to_string()));
            assert_eq!(typed(&mut shell, "exit 4").1, "4");
            assert_eq!(typed(&mut shell, "bash"), (String::new(), "0".to_string()));
            assert_eq!(typed(&mut shell, "echo a; (exit 3)"), ("a\n".to_string(), "3".to_string()));
        }
    }

    #[test]
    fn a_command_that_waits_for_keys_is_an_error() {
        let mut shell = shell();
        let why = shell.send("cat", Duration::from_millis(200)).unwrap_err();
        assert!(why.starts_with("after \"cat\" waited"), "{why}");
    }

    #[test]
    fn the_directory_that_mktemp_made_goes_with_the_terminal() {
        let mut shell = TypedShell::open(
            {
                let mut sh = Command::new("sh");
                sh.env_remove("TMPDIR");
                sh
            },
            Duration::from_secs(20),
        )
        .expect("a prompt");
        typed(&mut shell, "cd \"$(mktemp -d)\"");
        let directory = shell.directory().expect("a working directory");
        assert!(directory.starts_with("/tmp/"), "{directory:?}");
        drop(shell);
        assert!(!directory.exists());
    }
}

//! At a terminal: one unshare-rs, and three in a row, of which the inner ones are process 1.

use std::fs::File;
use std::io::Write as _;
use std::process::Command;

use tests::snapshot::descendants;
use tests::terminal::{CTRL_C, CTRL_Z};
use tests::{End, Run, Scratch, Terminal};

use super::harness::tool;

/// Each way to a command, as shell words: alone, and three deep with a new /proc each, and three deep with
/// the outermost /proc.
fn ways() -> Vec<String> {
    let tool = tool().display().to_string();
    ["-rp", "-rp --mount-proc", "-rp --init"]
        .iter()
        .flat_map(|options| [1, 3].map(|times| format!("{tool} {options} -- ").repeat(times)))
        .collect()
}

/// An interactive shell, outside.
fn shell() -> Terminal {
    let mut shell = Command::new("sh");
    shell.arg("-i").env("PS1", "outside> ").env("TERM", "dumb").env_remove("ENV").env("LC_ALL", "C");
    let mut terminal = Terminal::start(shell);
    terminal.wait_for("outside> ");
    terminal
}

/// A command that prints "now going", then "heard" and each word that it reads, and ends after "end".
///
/// It starts no program meanwhile: a terminal's stop signal can catch a shell in vfork(2). The child then
/// stops before it runs anything, and the shell stops with it, unnoticed. This also happens without
/// any tool of ours.
struct Waiting {
    scratch: Scratch,
    pipe: File,
}

impl Waiting {
    fn new() -> Self {
        let scratch = Scratch::new();
        Run::new("mkfifo").arg(scratch.path("go")).end().ok();
        // for both, so that opening does not wait
        let pipe = File::options().read(true).write(true).open(scratch.path("go"));
        let pipe = pipe.unwrap_or_else(|why| panic!("cannot open a pipe: {why}"));
        Self { scratch, pipe }
    }

    fn typed(&self) -> String {
        let pipe = self.scratch.path("go");
        let script =
            "echo now go\"\"ing; until [ \"$word\" = end ]; do read word; echo he\"\"ard $word; done";
        format!("sh -c '{script}' <{}", pipe.display())
    }

    fn reporter(&mut self, word: &str) {
        writeln!(self.pipe, "{word}").unwrap_or_else(|why| panic!("cannot write to a pipe: {why}"));
    }
}

/// The command stops before the tools do, and so before the shell's prompt appears.
#[track_caller]
fn assert_command_stopped(terminal: &Terminal) {
    let below = descendants(terminal.pid());
    let command = below.iter().find(|(_, what)| !what.contains("unshare-rs: "));
    let (pid, _) = command.unwrap_or_else(|| panic!("no command in {below:?}"));
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    assert!(status.contains("State:\tT"), "{status}");
}

/// What the shell has printed, up to a mark that it prints.
fn seen(terminal: &mut Terminal) -> String {
    terminal.line("echo ma\"\"rk");
    terminal.wait_for("mark\r\n")
}

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs user namespaces"]
    fn ctrl_c_ends_the_command_once() {
        for way in ways() {
            let mut terminal = shell();
            let waiting = Waiting::new();
            terminal.line(&format!("{way}{}", waiting.typed()));
            terminal.wait_for("now going\r\n");
            terminal.send(CTRL_C);
            terminal.wait_for("outside> ");
            terminal.line("echo status $?");
            terminal.wait_for("status 130\r\n");
        }
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn ctrl_c_reaches_a_handler_once() {
        for way in ways() {
            let mut terminal = shell();
            // a second signal would be counted in the tenths of a second after the first
            let counts = "trap \"echo ca\"\"ught; heard=yes\" INT; echo now go\"\"ing; \
                until [ \"$heard\" ]; do sleep 0.02; done; for n in 1 2 3 4; do sleep 0.1; done; exit 3";
            terminal.line(&format!("{way}sh -c '{counts}'"));
            terminal.wait_for("now going\r\n");
            terminal.send(CTRL_C);
            let said = terminal.wait_for("outside> ");
            assert_eq!(said.matches("caught").count(), 1, "{way}: {said}");
            terminal.line("echo status $?");
            terminal.wait_for("status 3\r\n");
        }
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn ctrl_z_stops_the_command_and_fg_and_bg_resume_it() {
        for way in ways() {
            for resume in ["fg", "bg"] {
                let mut terminal = shell();
                let mut waiting = Waiting::new();
                terminal.line(&format!("{way}{}", waiting.typed()));
                terminal.wait_for("now going\r\n");
                terminal.send(CTRL_Z);
                terminal.wait_for("outside> ");
                waiting.reporter("one");
                let stopped = seen(&mut terminal) + &seen(&mut terminal);
                assert!(!stopped.contains("heard"), "{way}: {stopped}");
                terminal.line(resume);
                terminal.wait_for("heard one\r\n");
                waiting.reporter("end");
                terminal.wait_for("heard end\r\n");
                terminal.line("wait; echo status $?");
                terminal.wait_for("status 0\r\n");
            }
        }
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn ctrl_z_twice_stops_it_twice() {
        for way in ways() {
            let mut terminal = shell();
            let mut waiting = Waiting::new();
            terminal.line(&format!("{way}{}", waiting.typed()));
            terminal.wait_for("now going\r\n");
            for word in ["one", "two", "end"] {
                terminal.send(CTRL_Z);
                terminal.wait_for("outside> ");
                assert_command_stopped(&terminal);
                terminal.line("fg");
                waiting.reporter(word);
                terminal.wait_for(&format!("heard {word}\r\n"));
            }
            terminal.wait_for("outside> ");
        }
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn a_change_of_the_window_reaches_the_command() {
        for way in ways() {
            let mut terminal = shell();
            terminal.line(&format!(
                "{way}sh -c 'trap \"stty size; exit\" WINCH; echo now go\"\"ing; while :; do sleep 0.02; done'"
            ));
            terminal.wait_for("now going\r\n");
            terminal.resize(33, 77);
            terminal.wait_for("33 77\r\n");
            terminal.wait_for("outside> ");
        }
    }

    #[test]
    #[ignore = "needs user namespaces and bash"]
    fn after_an_interactive_bash_the_script_that_started_it_reads_on() {
        for way in ways() {
            let mut script = Command::new("sh");
            let text = format!("{way}bash --norc -i; echo status $?; read line; echo \"read <$line>\"");
            script.args(["-c", &text]).env("PS1", "inside> ").env("TERM", "dumb");
            let mut terminal = Terminal::start(script);
            terminal.wait_for("inside> ");
            // a job of its own in the foreground, so that bash has taken the terminal
            terminal.line("cat /dev/null");
            terminal.wait_for("inside> ");
            terminal.line("exit 7");
            terminal.wait_for("status 7\r\n");
            terminal.line("hello");
            terminal.wait_for("read <hello>\r\n");
            assert_eq!(terminal.end(), End::Exit(0), "{way}");
        }
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn timeout_ends_it_in_time() {
        for way in ways() {
            let ended = Run::new("sh").args(["-c", &format!("timeout 1 {way}sleep 1000")]).end();
            assert_eq!(ended.end, End::Exit(124), "{way}: {}", ended.err());
        }
    }
}

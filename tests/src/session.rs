//! Sessions: the commands and outputs on a page, typed and compared.
//!
//! A session is a fenced block of a Markdown page, marked `console`:
//!
//! ````text
//! ```console root
//! $ unshare-rs --uts --hostname box -- \
//! > hostname
//! box
//! $ unshare-rs false
//! ? 1
//! ```
//! ````
//!
//! A line that starts with `$ ` is a command; lines after it that start with `> ` continue it. One sh(1) runs
//! all commands of a session, in an empty directory and with the tools first in PATH. Below a command is what
//! it writes to standard output and standard error, as a terminal shows it, then `? N` if its status N is not
//! 0. `[..]` matches anything in a line, a line of `...` matches any lines.
//!
//! The word after `console` says where the session runs: [`SessionKind`]. `CHAIN_UPDATE=1` writes the actual
//! output into the page; `CHAIN_PAGE=pid-file` runs only pages with that in their path.
//!
//! A page of the course is one session from its first block to its last, typed into a terminal:
//! [`crate::typed`]. There a line that starts with `# ` is a command, too, for a shell inside a container. A
//! block marked `console root second` is typed into a second terminal, opened in the directory of the first.

mod page;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use snapbox::Data;
use snapbox::filter::NormalizeToExpected;
use snapbox::report::{Palette, write_diff};

use crate::documents;
use crate::run::{End, Run};
use crate::scratch::Scratch;
use crate::session::page::{Exchange, TYPED, Terminal, exchanges};
pub use crate::session::page::{Session, sessions};
pub use crate::session_kind::{SessionEnv, SessionKind};
use crate::tools::tools;
use crate::typed::TypedShell;

/// A VM under emulation is slow, and a session has several commands; on a busy machine, the longest session
/// takes a tenth of this time.
const SESSION_TIMEOUT: Duration = Duration::from_secs(120);
/// The same for a session that starts a hundred jobs on an emulated processor.
const CLUSTER_TIMEOUT: Duration = Duration::from_secs(900);
/// The same for a session that boots systemd twice.
const SYSTEMD_TIMEOUT: Duration = Duration::from_secs(600);

/// Ends the output of a command, before its status; no page contains it.
const MARK: char = '\x1e';

/// Runs the sessions of the pages whose path starts with one of these, and fails if any of them differs.
///
/// # Panics
/// If a session differs, or there is none; if it is an ordinary user's, and root runs it.
#[track_caller]
pub fn check(starts: &[&str], world: SessionKind) {
    check_amid(starts, world, &SessionEnv::default());
}

/// The same in an environment with more than the tools.
///
/// # Panics
/// Those of [`check`].
#[track_caller]
pub fn check_amid(starts: &[&str], world: SessionKind, surroundings: &SessionEnv) {
    // root is allowed what these sessions show to be refused
    assert!(
        world != SessionKind::User || !nix::unistd::geteuid().is_root(),
        "this is an ordinary user's: tests/run user"
    );
    let part = std::env::var("CHAIN_PAGE").unwrap_or_default();
    let found: Vec<Session> = starts
        .iter()
        .flat_map(|start| documents::starting_with(start))
        .filter(|(path, _)| path.ends_with(".md") && path.contains(&part))
        .flat_map(|(path, text)| sessions(path, text))
        .filter(|session| session.world == world)
        .collect();
    assert!(!found.is_empty(), "no page of {starts:?} has a session for {world:?}");
    let wrong: Vec<String> = found.iter().filter_map(|session| session.run(surroundings).err()).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} sessions went otherwise; CHAIN_UPDATE=1 writes into the page what happened\n\n{}",
        wrong.len(),
        found.len(),
        wrong.join("\n")
    );
}

/// The sessions of all pages.
///
/// # Panics
/// Those of [`sessions`].
pub fn all() -> impl Iterator<Item = Session> {
    let pages = documents::starting_with("").filter(|(path, _)| path.ends_with(".md"));
    pages.flat_map(|(path, text)| sessions(path, text))
}

impl Session {
    /// Its page.
    pub fn page(&self) -> &'static str {
        self.page
    }

    /// Where it runs.
    pub fn kind(&self) -> SessionKind {
        self.world
    }

    /// The page and the number of the session on it, which changes to other lines do not affect.
    pub fn id(&self) -> String {
        format!("{}#{}", self.page, self.number)
    }

    /// Types the commands and compares; `Err` shows the difference, and with `CHAIN_UPDATE=1` the page is rewritten.
    fn run(&self, surroundings: &SessionEnv) -> Result<(), String> {
        let Some((happened, diff)) = self.happened(surroundings)? else { return Ok(()) };
        if documents::updating() {
            self.rewrite(&happened);
            return Ok(());
        }
        Err(diff)
    }

    /// Types the commands and compares.
    ///
    /// # Errors
    /// The difference, or the command that did not end in time.
    pub fn attempt(&self, surroundings: &SessionEnv) -> Result<(), String> {
        self.happened(surroundings)?.map_or(Ok(()), |(_, diff)| Err(diff))
    }

    /// The actual output of each block, and the difference from the page, if there is one.
    fn happened(&self, surroundings: &SessionEnv) -> Result<Option<(Vec<String>, String)>, String> {
        let is_typed = self.page.starts_with(TYPED);
        let blocks: Vec<Vec<Exchange>> = self
            .blocks
            .iter()
            .map(|block| exchanges(&block.text, if is_typed { &['$', '#'] } else { &['$'] }))
            .collect::<Result<_, _>>()
            .map_err(|why| format!("{}:{}: {why}", self.page, self.line))?;
        let answers = if is_typed {
            self.type_in(&blocks, surroundings).map_err(|why| format!("{}: {why}", self.page))?
        } else {
            let patience = match self.world {
                SessionKind::Cluster | SessionKind::ClusterRoot => CLUSTER_TIMEOUT,
                SessionKind::Systemd => SYSTEMD_TIMEOUT,
                _ => SESSION_TIMEOUT,
            };
            run_as_script(blocks.iter().flatten(), surroundings, patience)?
        };
        let mut answers = answers.into_iter();
        let mut written = |block: &Vec<Exchange>| -> String {
            block
                .iter()
                .zip(answers.by_ref())
                .map(|(asked, answer)| asked.shown(&normalized(answer, &asked.answer)))
                .collect()
        };
        let happened: Vec<String> = blocks.iter().map(&mut written).collect();
        let page: String = self.blocks.iter().map(|block| block.text.as_str()).collect();
        let all = happened.concat();
        if all == page {
            return Ok(None);
        }
        let mut diff = String::new();
        write_diff(
            &mut diff,
            &Data::text(page),
            &Data::text(all),
            Some(&format_args!("{}:{}", self.page, self.line)),
            Some(&"what happened"),
            Palette::plain(),
        )
        .expect("a String takes all");
        Ok(Some((happened, diff)))
    }

    fn rewrite(&self, happened: &[String]) {
        // two tests may update two sessions of one page
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _held = ONE_AT_A_TIME.lock();
        let mut text = fs::read_to_string(documents::source(self.page)).expect("the page");
        let fenced = |body: &str| format!("\n{body}```\n");
        for (block, happened) in self.blocks.iter().zip(happened) {
            text = text.replacen(&fenced(&block.text), &fenced(happened), 1);
        }
        documents::write(self.page, &text);
    }

    /// Types all blocks, each into its own terminal.
    fn type_in(&self, blocks: &[Vec<Exchange>], surroundings: &SessionEnv) -> Result<Vec<String>, String> {
        let begin = Scratch::new();
        let checker = begin.path("check");
        crate::scratch::write_script(&checker, &documents::text("docs/course/check"));
        let open = |directory: &Path| {
            let mut command = shell(&begin, surroundings);
            command.current_dir(directory).env("COURSE", begin.path("").components().as_path());
            TypedShell::open(command, SESSION_TIMEOUT)
        };
        let mut first = open(&begin.path(""))?;
        let mut second = None;
        let mut answers = Vec::new();
        for (block, exchanges) in self.blocks.iter().zip(blocks) {
            if block.terminal == Terminal::Second && second.is_none() {
                second = Some(open(&first.directory().ok_or("the first terminal has no directory")?)?);
            }
            let typed = match (block.terminal, &mut second) {
                (Terminal::Second, Some(second)) => second,
                _ => &mut first,
            };
            for exchange in exchanges {
                let (words, status) = typed.send(&exchange.command, SESSION_TIMEOUT)?;
                answers.push(answer(&words, &status));
            }
        }
        Ok(answers)
    }
}

/// An sh(1) in an empty directory, with the tools first in PATH.
fn shell(scratch: &Scratch, surroundings: &SessionEnv) -> Command {
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_string());
    let mut places = vec![tools().dir().to_path_buf()];
    places.extend(surroundings.programs.iter().cloned());
    places.extend(std::env::split_paths(&path));
    let mut shell = Command::new("sh");
    shell.env("PATH", std::env::join_paths(places).expect("directories without a colon"));
    shell.env("LC_ALL", "C").env("SHELL", "/bin/sh").env("PWD", scratch.path("").components().as_path());
    // with a TMPDIR that is not below NEWROOT there would be one more step
    shell.env_remove("CHAIN_EXPLAIN").env_remove("CHAIN_DRY_RUN").env_remove("TMPDIR");
    shell.current_dir(scratch.path("")).envs(surroundings.variables.clone());
    shell
}

/// Runs the commands in one shell; each answer is a command's output and status.
fn run_as_script<'a>(
    exchanges: impl Iterator<Item = &'a Exchange> + Clone,
    surroundings: &SessionEnv,
    patience: Duration,
) -> Result<Vec<String>, String> {
    let scratch = Scratch::new();
    let mut script = format!("exec 2>&1\nended() {{ set -- $?; printf '{MARK}%s{MARK}' $1; return $1; }}\n");
    for exchange in exchanges.clone() {
        script.push_str(&format!("eval '{}'; ended\n", exchange.command.replace('\'', r"'\''")));
    }
    let mut sh = shell(&scratch, surroundings);
    sh.args(["-c", &script]);
    let ended = Run::of(sh).patience(patience).start().end_in_time()?;
    let said = ended.out();
    let mut parts = said.split(MARK);
    let answers = exchanges.map(|_| match (parts.next(), parts.next()) {
        (Some(words), Some(status)) => answer(words, status),
        // the shell itself ended
        (Some(words), None) => match ended.end {
            End::Exit(status) => answer(words, &status.to_string()),
            End::Signal(signal) => answer(words, &format!("signal {signal}")),
        },
        (None, _) => "the shell had ended\n".to_string(),
    });
    Ok(answers.collect())
}

fn answer(words: &str, status: &str) -> String {
    // apt runs dpkg on a terminal, whose lines end with CR LF, and copies them even into a file
    let words = words.replace("\r\n", "\n");
    let newline = if words.is_empty() || words.ends_with('\n') { "" } else { "\n" };
    let status = if status == "0" { String::new() } else { format!("? {status}\n") };
    format!("{words}{newline}{status}")
}

/// Puts `[..]` and `...` where the page has them, if they match the output.
fn normalized(answer: String, expected: &str) -> String {
    let normalize = NormalizeToExpected::new().redact();
    let data = normalize.normalize(Data::text(answer.clone()), &Data::text(expected));
    data.render().unwrap_or(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::page::Block;

    fn ran(text: &str) -> Result<(), String> {
        let block = Block { text: text.to_string(), terminal: Terminal::First };
        Session { page: "page.md", line: 1, number: 1, world: SessionKind::Anyone, blocks: vec![block] }
            .run(&SessionEnv::default())
    }

    /// For hosts whose `sh` is not busybox, which prints a greeting on a terminal.
    mod on_host {
        use super::*;

        #[test]
        fn a_page_of_the_course_is_typed_into_its_terminals() {
            let text = |text: &str, terminal| Block { text: text.to_string(), terminal };
            let blocks = vec![
                text("$ cd /; x=1\n$ test -t 1 && stty size\n24 80\n$ sh\n", Terminal::First),
                text("$ pwd; echo \"x=$x\"\n/\nx=\n", Terminal::Second),
                text("# exit 3\n? 3\n$ echo $x\n1\n", Terminal::First),
            ];
            let page =
                Session { page: "docs/course/x.md", line: 1, number: 1, world: SessionKind::Anyone, blocks };
            assert_eq!(page.attempt(&SessionEnv::default()), Ok(()));
        }
    }

    #[test]
    fn one_shell_runs_all_and_what_it_says_is_compared() {
        let text =
            "$ x=1; cd /; echo \"it's\"\nit's\n$ echo $x >&2; pwd; (exit 7)\n1\n/\n? 7\n$ echo $?\n7\n";
        assert_eq!(ran(text), Ok(()));
    }

    #[test]
    fn a_command_has_more_lines_and_wildcards_stand_for_what_varies() {
        assert_eq!(ran("$ for n in 1 2 3; do\n> echo n $n\n> done\nn [..]\n...\n$ true\n"), Ok(()));
    }

    #[test]
    fn a_carriage_return_at_the_end_of_a_line_is_not_shown() {
        assert_eq!(ran("$ printf 'one\\r\\ntwo\\n'\none\ntwo\n"), Ok(()));
    }

    #[test]
    fn a_difference_is_shown_as_one() {
        let diff = ran("$ echo a; false\nb\n").unwrap_err();
        assert!(diff.contains("page.md:1"), "{diff}");
        assert!(diff.contains("- b") && diff.contains("+ a") && diff.contains("+ ? 1"), "{diff}");
    }

    #[test]
    fn a_shell_that_ends_is_told() {
        assert_eq!(ran("$ exit 3\n? 3\n"), Ok(()));
        assert!(ran("$ exit 3\n? 3\n$ true\n").unwrap_err().contains("the shell had ended"));
    }
}

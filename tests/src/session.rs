//! Sessions: what a page shows of a shell, typed and compared.
//!
//! A session is a fenced block of a Markdown page, its fence marked `console`:
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
//! A line that starts with `$ ` is a command, and lines after it that start with `> `
//! are the rest of it. One sh(1) runs all commands of a session, in an empty
//! directory and with the tools first in PATH. What a command writes to standard
//! output and standard error follows it as a terminal would show it, then `? N` if it
//! ended with N and not with 0. `[..]` stands for anything in a line, a line of `...` for any lines.
//!
//! The word after `console` says where it runs: [`SessionKind`]. With `CHAIN_UPDATE=1` the
//! page is rewritten with what happened; `CHAIN_PAGE=pid-file` runs only pages with that in their path.
//!
//! A page of the course is one session from its first block to its last, and is typed into a terminal:
//! [`crate::typed`]. There a line that starts with `# ` is a command too, for a shell inside a container. A block
//! marked `console root second` is typed into a second terminal, which is opened in the directory of the first.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
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
pub use crate::session_kind::{SessionEnv, SessionKind};
use crate::tools::tools;
use crate::typed::TypedShell;

/// A VM under emulation is slow, and a session has several commands; the longest takes a tenth of it on a busy machine.
const SESSION_TIMEOUT: Duration = Duration::from_secs(120);
/// The same for a session that starts a hundred jobs on an emulated processor.
const CLUSTER_TIMEOUT: Duration = Duration::from_secs(900);

/// Ends what a command said, before its status: nothing that anybody writes in a page.
const MARK: char = '\x1e';

/// A session of a page.
#[derive(Debug)]
pub struct Session {
    page: &'static str,
    line: usize,
    /// Which one of its page, from 1.
    number: usize,
    world: SessionKind,
    /// One block, or all blocks of a page that is typed.
    blocks: Vec<Block>,
}

/// What stands between two fences.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Block {
    text: String,
    terminal: Terminal,
}

/// The terminal that a block is typed into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Terminal {
    First,
    Second,
}

/// A command and what is expected of it.
#[derive(Debug, PartialEq, Eq)]
struct Exchange {
    prompt: char,
    command: String,
    answer: String,
}

/// The pages that are typed into a terminal.
const TYPED: &str = "docs/course/";

/// Runs the sessions of the pages whose path starts with one of these, and fails with all
/// that went otherwise.
///
/// # Panics
/// If one did, or there is none; if it is an ordinary user's, and root runs it.
#[track_caller]
pub fn check(starts: &[&str], world: SessionKind) {
    check_amid(starts, world, &SessionEnv::default());
}

/// The same where there is more than the tools.
///
/// # Panics
/// As [`check`].
#[track_caller]
pub fn check_amid(starts: &[&str], world: SessionKind, surroundings: &SessionEnv) {
    // root does what they show to be refused
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
/// As [`sessions`].
pub fn all() -> impl Iterator<Item = Session> {
    let pages = documents::starting_with("").filter(|(path, _)| path.ends_with(".md"));
    pages.flat_map(|(path, text)| sessions(path, text))
}

/// The sessions of a page.
///
/// # Panics
/// If a fence is not closed or its second word is unknown.
#[track_caller]
pub fn sessions(page: &'static str, text: &str) -> Vec<Session> {
    let mut found: Vec<Session> = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, fence)) = lines.next() {
        let Some(info) = fence.strip_prefix("```") else { continue };
        let mut body = String::new();
        loop {
            let Some((_, line)) = lines.next() else {
                panic!("{page}:{}: this fence has no end", number + 1)
            };
            if line == "```" {
                break;
            }
            body.push_str(line);
            body.push('\n');
        }
        let Some(info) = info.strip_prefix("console") else { continue };
        let mut words = info.split_whitespace();
        let world = match words.next() {
            None => SessionKind::Anyone,
            Some("root") => SessionKind::Root,
            Some("user") => SessionKind::User,
            Some("vm") => SessionKind::Vm,
            Some("systemd") => SessionKind::Systemd,
            Some("registry") => SessionKind::Registry,
            Some("engine") => SessionKind::Engine,
            Some("mirror") => SessionKind::Mirror,
            Some("cluster") => SessionKind::Cluster,
            Some("cluster-root") => SessionKind::ClusterRoot,
            Some(other) => panic!("{page}:{}: {other:?} is not a world", number + 1),
        };
        let terminal = match words.next() {
            None => Terminal::First,
            Some("second") if page.starts_with(TYPED) => Terminal::Second,
            Some(other) => panic!("{page}:{}: {other:?} is not a terminal", number + 1),
        };
        let block = Block { text: body, terminal };
        match found.last_mut() {
            Some(session) if page.starts_with(TYPED) => {
                assert_eq!(
                    session.world,
                    world,
                    "{page}:{}: a page of the course has one reader",
                    number + 1
                );
                session.blocks.push(block);
            }
            _ => {
                let count = found.len() + 1;
                found.push(Session { page, line: number + 1, number: count, world, blocks: vec![block] });
            }
        }
    }
    found
}

impl Session {
    /// The page it stands on.
    pub fn page(&self) -> &'static str {
        self.page
    }

    /// Where it runs.
    pub fn kind(&self) -> SessionKind {
        self.world
    }

    /// The page and which of its sessions it is, which other lines of the page do not change.
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
    /// With the difference, or with what did not end in time.
    pub fn attempt(&self, surroundings: &SessionEnv) -> Result<(), String> {
        self.happened(surroundings)?.map_or(Ok(()), |(_, diff)| Err(diff))
    }

    /// What happened in each block, and how it differs from the page, if it does.
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
            let is_in_cluster = matches!(self.world, SessionKind::Cluster | SessionKind::ClusterRoot);
            let patience = if is_in_cluster { CLUSTER_TIMEOUT } else { SESSION_TIMEOUT };
            run_as_script(blocks.iter().flatten(), surroundings, patience)?
        };
        let mut answers = answers.into_iter();
        let mut written = |block: &Vec<Exchange>| -> String {
            block
                .iter()
                .zip(answers.by_ref())
                .map(|(asked, answer)| shown(asked, &normalized(answer, &asked.answer)))
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
        // two tests may rewrite two sessions of one page
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _held = ONE_AT_A_TIME.lock();
        let mut text = fs::read_to_string(documents::source(self.page)).expect("the page");
        let fenced = |body: &str| format!("\n{body}```\n");
        for (block, happened) in self.blocks.iter().zip(happened) {
            text = text.replacen(&fenced(&block.text), &fenced(happened), 1);
        }
        documents::write(self.page, &text);
    }

    /// Types all blocks, each into its terminal.
    fn type_in(&self, blocks: &[Vec<Exchange>], surroundings: &SessionEnv) -> Result<Vec<String>, String> {
        let begin = Scratch::new();
        let checker = begin.path("check");
        fs::write(&checker, documents::text("docs/course/check").as_bytes())
            .expect("the checker of exercises");
        fs::set_permissions(&checker, Permissions::from_mode(0o755)).expect("a mode for it");
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

fn exchanges(text: &str, prompts: &[char]) -> Result<Vec<Exchange>, String> {
    let mut found: Vec<Exchange> = Vec::new();
    for line in text.lines() {
        let typed =
            prompts.iter().find_map(|prompt| Some((*prompt, line.strip_prefix(*prompt)?.strip_prefix(' ')?)));
        if let Some((prompt, command)) = typed {
            found.push(Exchange { prompt, command: command.to_string(), answer: String::new() });
            continue;
        }
        let last = found.last_mut().ok_or("a session starts with a command: $ ")?;
        match line.strip_prefix("> ") {
            Some(more) if last.answer.is_empty() => {
                last.command.push('\n');
                last.command.push_str(more);
            }
            _ => {
                last.answer.push_str(line);
                last.answer.push('\n');
            }
        }
    }
    Ok(found)
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
    // a TMPDIR that is not below NEWROOT is a step more
    shell.env_remove("CHAIN_EXPLAIN").env_remove("CHAIN_DRY_RUN").env_remove("TMPDIR");
    shell.current_dir(scratch.path("")).envs(surroundings.variables.clone());
    shell
}

/// Runs the commands in one shell; each answer is what was written and how it ended.
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
    // apt runs dpkg on a terminal, whose lines end with both, and copies them even into a file
    let words = words.replace("\r\n", "\n");
    let newline = if words.is_empty() || words.ends_with('\n') { "" } else { "\n" };
    let status = if status == "0" { String::new() } else { format!("? {status}\n") };
    format!("{words}{newline}{status}")
}

/// Puts `[..]` and `...` where they stand in the page and cover what was said.
fn normalized(answer: String, expected: &str) -> String {
    let normalize = NormalizeToExpected::new().redact();
    let data = normalize.normalize(Data::text(answer.clone()), &Data::text(expected));
    data.render().unwrap_or(answer)
}

fn shown(asked: &Exchange, answer: &str) -> String {
    format!("{} {}\n{answer}", asked.prompt, asked.command.replace('\n', "\n> "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(text: &str) -> Result<(), String> {
        let block = Block { text: text.to_string(), terminal: Terminal::First };
        Session { page: "page.md", line: 1, number: 1, world: SessionKind::Anyone, blocks: vec![block] }
            .run(&SessionEnv::default())
    }

    #[test]
    fn a_page_is_read_fence_by_fence() {
        let page = "text\n```console\n$ a\n```\n```sh\n$ no\n```\n```console root\n$ b \\\n> c\nd\n```\n";
        let found = sessions("page.md", page);
        let read: Vec<_> =
            found.iter().map(|found| (found.line, found.world, found.blocks[0].text.as_str())).collect();
        assert_eq!(read, [(2, SessionKind::Anyone, "$ a\n"), (8, SessionKind::Root, "$ b \\\n> c\nd\n")]);
    }

    #[test]
    fn a_page_of_the_course_is_one_session() {
        let page = "```console root\n$ a\n```\ntext\n```console root second\n$ b\n```\n";
        let found = sessions("docs/course/01.md", page);
        let blocks: Vec<_> = found[0].blocks.iter().map(|block| block.terminal).collect();
        assert_eq!((found.len(), blocks), (1, vec![Terminal::First, Terminal::Second]));
    }

    /// Where `sh` is not busybox, which greets at a terminal.
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

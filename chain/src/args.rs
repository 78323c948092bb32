//! The command line of a link: its options, then operands that it does not interpret.
//!
//! Options stop at the first operand, as in POSIX utilities and with getopt_long's `+`, so that what follows
//! belongs to the command. A link without options does not start clap at all: most links in a chain have
//! none.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;

use clap::builder::PossibleValue;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};

use crate::chain_dry_run::{DRY_RUN, EXPLAIN};
use crate::command::TOOLS;
use crate::exit::FAILED;
use crate::failure::Failure;
use crate::reporter::{Detail, ErrnoText, Reporter, Verbosity};
use system::sys;

/// A tool's description of itself: the head of its help, its man page, its completions.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// The name before each message.
    pub name: &'static str,
    /// One sentence that starts with a verb.
    pub about: &'static str,
    /// The operands after `[OPTION]...`, as the usage line shows them.
    pub operands: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The exit status of a usage error: 125 for a link of a chain.
    pub usage_error: i32,
    /// The exit status if standard output cannot be written: 125 for a link of a chain.
    pub write_error: i32,
    /// The hint for an option that it does not have, from the tool's name, the word as the user typed it, and
    /// the next word, which may be its value. None if no known program has the option.
    pub advice: fn(&str, &str, &str) -> Option<String>,
}

/// A parsed command line.
#[derive(Debug)]
pub struct Parsed<O> {
    /// The tool's own options.
    pub options: O,
    /// What `--explain`, `--dry-run`, `CHAIN_EXPLAIN` and `CHAIN_DRY_RUN` ask for.
    pub verbosity: Verbosity,
    /// Everything from the first operand on, byte for byte.
    pub operands: Vec<OsString>,
    /// The word before the first operand, if it is an option: the operand may be meant as its value.
    pub last_option: Option<String>,
}

/// The definition behind help, man page, completions and [`parse`].
pub fn command<O: clap::Args>(tool: &Tool) -> Command {
    // rootfs-fetch runs no command: it prints the entries that it creates, not a plan
    let is_link = tool.usage_error == FAILED;
    O::augment_args(Command::new(tool.name))
        // this ends the tool's last heading, so that the options of every tool are outside it
        .next_help_heading(None::<&'static str>)
        .about(tool.about)
        .after_help(format!("See also: {}, exec-chain(7)", other_tools(tool).join(", ")))
        .version(tool.version)
        .override_usage(format!("{} [OPTION]... {}", tool.name, tool.operands))
        .infer_long_args(true)
        .args_override_self(true)
        .allow_negative_numbers(true)
        .term_width(80)
        .args(common_options(is_link))
        .arg(
            Arg::new("operands")
                .action(ArgAction::Append)
                .num_args(0..)
                .trailing_var_arg(true)
                .value_parser(clap::value_parser!(OsString))
                .hide(true),
        )
}

/// The other tools of the chain.
fn other_tools(tool: &Tool) -> Vec<&'static str> {
    TOOLS.into_iter().filter(|name| *name != tool.name).collect()
}

/// The options of every tool.
fn common_options(is_link: bool) -> [Arg; 2] {
    let (explain, dry_run) = if is_link {
        (
            "Print each step to standard error before it runs; =short prints only the reason, =see also \
             a command that shows the effect; CHAIN_EXPLAIN=1, short or see does the same for a whole chain",
            "Print the steps without running them; CHAIN_DRY_RUN=1 does the same for a whole chain",
        )
    } else {
        (
            "Accepted for consistency with the other tools; has no effect",
            "List each entry and create nothing, like CHAIN_DRY_RUN=1",
        )
    };
    let explain = Arg::new("explain")
        .long("explain")
        .value_name("short|see")
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("1")
        .hide_possible_values(true)
        .value_parser([PossibleValue::new("1").hide(true), "short".into(), "see".into()])
        .help(explain);
    [explain, Arg::new("dry-run").long("dry-run").action(ArgAction::SetTrue).help(dry_run)]
}

/// Reads the command line of a link. Help, version and usage errors end the process.
/// It also refuses to run if the program file gives rights to its caller, who could then run any command and
/// read and write any file with them.
pub fn parse<O: clap::Args + Default>(tool: &Tool, argv: Vec<OsString>) -> Parsed<O> {
    if sys::gives_rights_away() {
        let reporter = Reporter::new(tool.name, Verbosity::Quiet);
        reporter.message("refusing to run: the program file is set-user-ID, set-group-ID or has capabilities, which would give its caller rights");
        let program = std::fs::read_link(sys::OWN_PROGRAM).unwrap_or_else(|_| tool.name.into());
        let program = crate::call::shell_word(&program);
        reporter.hint(format_args!("chmod ug-s {program}; setcap -r {program}"));
        sys::exit(tool.usage_error);
    }
    let wish = Wish::of_chain();
    let without_options = match argv.get(1) {
        None => Some(1),
        Some(first) if first == "--" => Some(2),
        Some(first) if first == "-" || !first.as_bytes().starts_with(b"-") => Some(1),
        Some(_) => None,
    };
    if let Some(start) = without_options {
        let operands = argv.into_iter().skip(start).collect();
        return Parsed { options: O::default(), verbosity: wish.verbosity(), operands, last_option: None };
    }
    parse_with_clap(tool, &argv, wish).unwrap_or_else(|error| end_with(tool, &error, &argv))
}

/// What the options and the environment ask for. They add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wish {
    dry_run: bool,
    explain: Option<Detail>,
}

impl Wish {
    /// What the environment asks every tool of a chain for.
    fn of_chain() -> Self {
        let value = |name| std::env::var_os(name).filter(|value| !value.is_empty() && value != "0");
        let explain = value(EXPLAIN).map(|value| detail(&value.to_string_lossy()));
        Self { dry_run: value(DRY_RUN).is_some(), explain }
    }

    /// A dry run wins over everything else: it runs no step.
    fn verbosity(self) -> Verbosity {
        match (self.dry_run, self.explain) {
            (true, detail) => Verbosity::DryRun(detail.unwrap_or_default()),
            (false, Some(detail)) => Verbosity::Explain(detail),
            (false, None) => Verbosity::Quiet,
        }
    }
}

/// The level of detail that a value of `--explain` or `CHAIN_EXPLAIN` asks for.
fn detail(value: &str) -> Detail {
    match value {
        "short" => Detail::Short,
        "see" => Detail::See,
        _ => Detail::Full,
    }
}

fn parse_with_clap<O: clap::Args>(
    tool: &Tool,
    argv: &[OsString],
    of_chain: Wish,
) -> Result<Parsed<O>, clap::Error> {
    let mut matches = command::<O>(tool).try_get_matches_from(argv)?;
    let explain = matches.get_one::<String>("explain").map(|value| detail(value));
    let wish = Wish {
        dry_run: of_chain.dry_run || matches.get_flag("dry-run"),
        explain: explain.or(of_chain.explain),
    };
    let verbosity = wish.verbosity();
    let operands: Vec<OsString> = matches.remove_many("operands").map(Iterator::collect).unwrap_or_default();
    let options = O::from_arg_matches_mut(&mut matches)?;
    let before = argv.len().checked_sub(operands.len() + 1).and_then(|last| argv.get(last)?.to_str());
    let last_option = before.filter(|word| word.starts_with('-') && *word != "--").map(str::to_string);
    Ok(Parsed { options, verbosity, operands, last_option })
}

/// Prints help, the version or a usage error, and ends the process.
pub fn end_with(tool: &Tool, error: &clap::Error, argv: &[OsString]) -> ! {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        print(tool, &error.render().to_string(), 0);
    }
    let reporter = Reporter::new(tool.name, Verbosity::Quiet);
    let word = unknown_option(error, argv).or_else(|| abbreviation(error, argv));
    let advice = word.and_then(|word| {
        let (word, next) = as_typed(&word, argv);
        (tool.advice)(tool.name, word, next)
    });
    usage_error(tool, &reporter, &one_line(error), advice.or_else(|| suggestion(error)).as_deref())
}

/// Prints what the user asked for instead of a run, the only text on standard output, and ends the process with
/// `status`, or with the tool's own if the text cannot be written.
pub fn print(tool: &Tool, text: &str, status: i32) -> ! {
    let Err(errno) = sys::write_stdout(text.as_bytes()) else { sys::exit(status) };
    let failure = Failure::new(format!("cannot write to standard output: write(1): {}", ErrnoText(errno)));
    Reporter::new(tool.name, Verbosity::Quiet).exit_with(&failure.status(tool.write_error))
}

/// The option that the tool does not have, as the user typed it: `-it`, where clap knows only `-t`.
fn unknown_option(error: &clap::Error, argv: &[OsString]) -> Option<String> {
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else { return None };
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let letter = unknown.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
    let mut typed = argv.iter().skip(1).filter_map(|word| word.to_str());
    let cluster = letter.and_then(|letter| {
        typed.find(|word| word.starts_with('-') && !word.starts_with("--") && word.contains(letter))
    });
    // docker's -it is one word for the hint; of other words, only the letter that this tool does not have
    let is_cluster = cluster.is_some_and(|word| ["-it", "-ti"].iter().any(|it| word.starts_with(it)));
    Some(cluster.filter(|_| is_cluster).and_then(|word| word.get(..3)).unwrap_or(unknown).to_string())
}

/// The option that clap read as the beginning of a longer one: docker's `--pid=host` is not `--pids-limit`.
fn abbreviation(error: &clap::Error, argv: &[OsString]) -> Option<String> {
    let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidArg) else { return None };
    let whole = wrong.split([' ', '=', '[']).next()?;
    let typed = argv.iter().skip(1).filter_map(|word| word.to_str()).take_while(|word| *word != "--");
    let mut names = typed.filter_map(|word| word.split('=').next());
    names
        .find(|name| name.starts_with("--") && whole != *name && whole.starts_with(*name))
        .map(str::to_string)
}

/// The word of the command line with this option, with its value if it has one, and the next word.
fn as_typed<'a>(option: &'a str, argv: &'a [OsString]) -> (&'a str, &'a str) {
    let mut words = argv.iter().skip(1).map(|word| word.to_str().unwrap_or_default());
    let is_option =
        |word: &&str| word.strip_prefix(option).is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
    match words.find(is_option) {
        Some(word) => (word, words.next().unwrap_or_default()),
        None => (option, ""),
    }
}

/// Prints what is wrong with the command line, and exits with the tool's usage status.
pub fn usage_error(tool: &Tool, reporter: &Reporter, wrong: &str, hint: Option<&str>) -> ! {
    reporter.message(wrong);
    match hint {
        Some(hint) => reporter.hint(hint),
        None => reporter.hint(format_args!("run '{} --help' for the options", tool.name)),
    }
    sys::exit(tool.usage_error)
}

fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let first = text.lines().next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    // clap prints what is missing, or what it accepts, on separate lines
    let more: Vec<&str> = text
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with("  ") && !line.trim_start().starts_with("tip:"))
        .map(str::trim)
        .collect();
    if more.is_empty() { first.to_string() } else { format!("{first} {}", more.join(", ")) }
}

/// A value that an option does not accept, and a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueError {
    /// What is wrong with it.
    pub wrong: String,
    /// The hint.
    pub hint: String,
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.wrong)
    }
}

impl std::error::Error for ValueError {}

fn suggestion(error: &clap::Error) -> Option<String> {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<ValueError>());
    if let Some(ValueError { hint, .. }) = source {
        return Some(hint.clone());
    }
    let near = error.get(ContextKind::SuggestedArg).or_else(|| error.get(ContextKind::SuggestedValue))?;
    let near = near.to_string();
    let wrong = error.get(ContextKind::InvalidArg).filter(|_| error.kind() == ErrorKind::UnknownArgument);
    // clap's nearest word can be far off: --pid-file for --privileged
    let is_near = wrong.is_none_or(|wrong| is_misspelling(&wrong.to_string(), &near));
    is_near.then(|| format!("did you mean {near}?"))
}

/// Whether at most two letters were added, left out or changed; in a long word, one in six.
fn is_misspelling(wrong: &str, right: &str) -> bool {
    let right = right.split([' ', '=', '[']).next().unwrap_or_default();
    strsim::levenshtein(wrong, right) <= 2.max(wrong.len() / 6)
}

/// The shell for a tool without a command: `$SHELL`, else `/bin/sh`.
pub fn default_shell() -> OsString {
    match std::env::var_os("SHELL") {
        Some(shell) if !shell.is_empty() => shell,
        _ => OsString::from("/bin/sh"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_makes_no_step_whatever_else_is_asked_for() {
        let wish = |dry_run, explain| Wish { dry_run, explain }.verbosity();
        assert_eq!(wish(false, None), Verbosity::Quiet);
        assert_eq!(wish(false, Some(Detail::See)), Verbosity::Explain(Detail::See));
        assert_eq!(wish(true, None), Verbosity::DryRun(Detail::Full));
        assert_eq!(wish(true, Some(Detail::Short)), Verbosity::DryRun(Detail::Short));
    }

    #[test]
    fn any_other_value_of_the_variable_asks_for_the_full_steps() {
        let details = ["1", "yes", "short", "see"].map(detail);
        assert_eq!(details, [Detail::Full, Detail::Full, Detail::Short, Detail::See]);
    }

    #[test]
    fn a_suggestion_is_near() {
        assert!(is_misspelling("--memroy", "--memory"));
        assert!(is_misspelling("--hostnme", "--hostname <NAME>"));
        assert!(is_misspelling("--pid-flie", "--pid-file"));
        assert!(!is_misspelling("--privileged", "--pid-file"));
        assert!(!is_misspelling("--mount", "--no-mount"));
    }
}

//! The command line of a link: its own options, then operands that are never read.
//!
//! Options stop at the first operand, as POSIX utilities and getopt_long's `+`
//! have it, so that what follows belongs to the command. A link without options
//! of its own does not start clap at all: most stages of a chain have none.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};

use crate::chain_dry_run::DRY_RUN;
use crate::exit::FAILED;
use crate::reporter::{Reporter, Verbosity};
use system::sys;

/// What a tool says of itself: the head of its help, its man page, its completions.
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
    /// The hint for an option that it does not have, by the tool's name and the word as it was typed;
    /// nothing if no other program is known to have it.
    pub advice: fn(&str, &str) -> Option<String>,
}

/// A command line, read.
#[derive(Debug)]
pub struct Parsed<O> {
    /// The tool's own options.
    pub options: O,
    /// The voice that `--explain`, `--dry-run`, `CHAIN_EXPLAIN` and `CHAIN_DRY_RUN` ask for.
    pub verbosity: Verbosity,
    /// Everything from the first operand on, byte for byte.
    pub operands: Vec<OsString>,
    /// The word before the first operand, if it is an option: the operand may be meant as its value.
    pub last_option: Option<String>,
}

/// The definition behind help, man page, completions and [`parse`].
pub fn command<O: clap::Args>(tool: &Tool) -> Command {
    // a tool that runs no command has a list of what it makes, not a plan
    let is_link = tool.usage_error == FAILED;
    O::augment_args(Command::new(tool.name))
        // a tool's last heading is not that of what every tool has
        .next_help_heading(None::<&'static str>)
        .about(tool.about)
        .after_help("See also: unshare-rs, cgexec-rs, chroot-rs, rootfs-fetch, exec-chain(7)")
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

/// The options of every tool.
fn common_options(is_link: bool) -> [Arg; 2] {
    let (explain, dry_run) = if is_link {
        (
            "Print each step to standard error before it runs; =see also prints a command that \
             shows its effect; CHAIN_EXPLAIN=1 or =see does the same for a whole chain",
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
        .value_name("see")
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("1")
        .hide_possible_values(true)
        .value_parser(["1", "see"])
        .help(explain);
    [explain, Arg::new("dry-run").long("dry-run").action(ArgAction::SetTrue).help(dry_run)]
}

/// Reads the command line of a link. Help, version and usage errors end the process.
///
/// So does a program file that gives rights to its caller, who could then run any command and read and write
/// any file with them.
pub fn parse<O: clap::Args + Default>(tool: &Tool, argv: Vec<OsString>) -> Parsed<O> {
    if sys::gives_rights_away() {
        let reporter = Reporter::new(tool.name, Verbosity::Quiet);
        reporter.message("this program must not give its caller rights, but its file is set-user-ID, set-group-ID or has capabilities");
        let program = std::fs::read_link("/proc/self/exe").unwrap_or_else(|_| tool.name.into());
        let program = crate::call::shell_word(&program);
        reporter.hint(format_args!("chmod ug-s {program}; setcap -r {program}"));
        sys::exit(tool.usage_error);
    }
    let wished = verbosity_of_chain();
    let without_options = match argv.get(1) {
        None => Some(1),
        Some(first) if first == "--" => Some(2),
        Some(first) if first == "-" || !first.as_bytes().starts_with(b"-") => Some(1),
        Some(_) => None,
    };
    if let Some(start) = without_options {
        let operands = argv.into_iter().skip(start).collect();
        return Parsed { options: O::default(), verbosity: wished, operands, last_option: None };
    }
    match parse_with_clap(tool, &argv) {
        // nothing that a dry run is asked of is made, whatever else is asked
        Ok(line) if line.verbosity == Verbosity::Quiet || wished == Verbosity::DryRun => {
            Parsed { verbosity: wished, ..line }
        }
        Ok(line) => line,
        Err(error) => end_with(tool, &error, &argv),
    }
}

/// What the environment asks of every tool of a chain.
fn verbosity_of_chain() -> Verbosity {
    let is_set = |value: &OsString| !value.is_empty() && value != "0";
    match (std::env::var_os(DRY_RUN).filter(is_set), std::env::var_os("CHAIN_EXPLAIN").filter(is_set)) {
        (Some(_), _) => Verbosity::DryRun,
        (None, Some(value)) if value == "see" => Verbosity::ExplainSee,
        (None, Some(_)) => Verbosity::Explain,
        (None, None) => Verbosity::Quiet,
    }
}

fn parse_with_clap<O: clap::Args>(tool: &Tool, argv: &[OsString]) -> Result<Parsed<O>, clap::Error> {
    let mut matches = command::<O>(tool).try_get_matches_from(argv)?;
    let verbosity = if matches.get_flag("dry-run") {
        Verbosity::DryRun
    } else {
        match matches.get_one::<String>("explain").map(String::as_str) {
            Some("see") => Verbosity::ExplainSee,
            Some(_) => Verbosity::Explain,
            None => Verbosity::Quiet,
        }
    };
    let operands: Vec<OsString> = matches.remove_many("operands").map(Iterator::collect).unwrap_or_default();
    let options = O::from_arg_matches_mut(&mut matches)?;
    let before = argv.len().checked_sub(operands.len() + 1).and_then(|last| argv.get(last)?.to_str());
    let last_option = before.filter(|word| word.starts_with('-') && *word != "--").map(str::to_string);
    Ok(Parsed { options, verbosity, operands, last_option })
}

/// Ends the process as help, version or a usage error ask for.
pub fn end_with(tool: &Tool, error: &clap::Error, argv: &[OsString]) -> ! {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // the only output that goes to standard output, because the user asked for it
        sys::write_stdout(error.render().to_string().as_bytes());
        sys::exit(0);
    }
    let reporter = Reporter::new(tool.name, Verbosity::Quiet);
    let word = unknown_option(error, argv).or_else(|| abbreviation(error, argv));
    let advice = word.and_then(|word| (tool.advice)(tool.name, &word));
    usage_error(tool, &reporter, &one_line(error), advice.or_else(|| suggestion(error)).as_deref())
}

/// The option that the tool does not have, as it was typed: `-it`, where clap knows `-t` alone.
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
    // the whole cluster if it is docker's, else the letter that this tool does not have
    let is_cluster = cluster.is_some_and(|word| ["-it", "-ti"].iter().any(|it| word.starts_with(it)));
    Some(cluster.filter(|_| is_cluster).and_then(|word| word.get(..3)).unwrap_or(unknown).to_string())
}

/// The option that was read as the beginning of a longer one: docker's `--pid=host` is not `--pids-limit`.
fn abbreviation(error: &clap::Error, argv: &[OsString]) -> Option<String> {
    let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidArg) else { return None };
    let whole = wrong.split([' ', '=', '[']).next()?;
    let typed = argv.iter().skip(1).filter_map(|word| word.to_str()).take_while(|word| *word != "--");
    let mut names = typed.filter_map(|word| word.split('=').next());
    names
        .find(|name| name.starts_with("--") && whole != *name && whole.starts_with(*name))
        .map(str::to_string)
}

/// Says what is wrong with the command line, and ends with the tool's usage status.
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
    // clap puts what is missing, or what it takes, on lines of its own
    let more: Vec<&str> = text
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with("  ") && !line.trim_start().starts_with("tip:"))
        .map(str::trim)
        .collect();
    if more.is_empty() { first.to_string() } else { format!("{first} {}", more.join(", ")) }
}

/// A value that an option does not accept, with what helps.
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
    // clap's nearest word may be far: --pid-file for --privileged
    let is_near = wrong.is_none_or(|wrong| is_misspelling(&wrong.to_string(), &near));
    is_near.then(|| format!("did you mean {near}?"))
}

/// Whether at most two letters are added, missing or different; in a long word one in six.
fn is_misspelling(wrong: &str, right: &str) -> bool {
    let right = right.split([' ', '=', '[']).next().unwrap_or_default();
    strsim::levenshtein(wrong, right) <= 2.max(wrong.len() / 6)
}

/// The shell for a tool that was given no command: `$SHELL`, else `/bin/sh`.
pub fn default_shell() -> OsString {
    match std::env::var_os("SHELL") {
        Some(shell) if !shell.is_empty() => shell,
        _ => OsString::from("/bin/sh"),
    }
}

#[cfg(test)]
mod tests {
    use super::is_misspelling;

    #[test]
    fn a_suggestion_is_near() {
        assert!(is_misspelling("--memroy", "--memory"));
        assert!(is_misspelling("--hostnme", "--hostname <NAME>"));
        assert!(is_misspelling("--pid-flie", "--pid-file"));
        assert!(!is_misspelling("--privileged", "--pid-file"));
        assert!(!is_misspelling("--mount", "--no-mount"));
    }
}

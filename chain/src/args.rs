// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line of a link: its own options, then operands that are never read.
//!
//! Options stop at the first operand, as POSIX utilities and getopt_long's `+`
//! have it, so that what follows belongs to the command. A link without options
//! of its own does not start clap at all: most stages of a chain have none.

use std::ffi::OsString;
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
    /// Options of other programs that people type here, and what does the same.
    pub elsewhere: &'static [(&'static str, &'static str)],
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
}

/// The definition behind help, man page, completions and [`parse`].
pub fn command<O: clap::Args>(tool: &Tool) -> Command {
    // a tool that runs no command has a list of what it makes, not a plan
    let is_link = tool.usage_error == FAILED;
    O::augment_args(Command::new(tool.name))
        // a tool's last heading is not that of what every tool has
        .next_help_heading(None::<&'static str>)
        .about(tool.about)
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
            "Say each step on standard error before it is made, with =see also what shows its \
             effect; CHAIN_EXPLAIN=1 or =see does it for a whole chain",
            "Say each step and make none; CHAIN_DRY_RUN=1 does it for a whole chain",
        )
    } else {
        (
            "Accepted as by the tools that run a command; there are no steps to say",
            "List each entry and make nothing, as CHAIN_DRY_RUN=1 does",
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
pub fn parse<O: clap::Args + Default>(tool: &Tool, argv: Vec<OsString>) -> Parsed<O> {
    let wished = verbosity_of_chain();
    let without_options = match argv.get(1) {
        None => Some(1),
        Some(first) if first == "--" => Some(2),
        Some(first) if first == "-" || !first.as_bytes().starts_with(b"-") => Some(1),
        Some(_) => None,
    };
    if let Some(start) = without_options {
        let operands = argv.into_iter().skip(start).collect();
        return Parsed { options: O::default(), verbosity: wished, operands };
    }
    match parse_with_clap(tool, argv) {
        // nothing that a dry run is asked of is made, whatever else is asked
        Ok(line) if line.verbosity == Verbosity::Quiet || wished == Verbosity::DryRun => {
            Parsed { verbosity: wished, ..line }
        }
        Ok(line) => line,
        Err(error) => end_with(tool, &error),
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

fn parse_with_clap<O: clap::Args>(tool: &Tool, argv: Vec<OsString>) -> Result<Parsed<O>, clap::Error> {
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
    let operands = matches.remove_many("operands").map(Iterator::collect).unwrap_or_default();
    let options = O::from_arg_matches_mut(&mut matches)?;
    Ok(Parsed { options, verbosity, operands })
}

/// Ends the process as help, version or a usage error ask for.
pub fn end_with(tool: &Tool, error: &clap::Error) -> ! {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // the one thing that is said on standard output, because it was asked for
        sys::write_stdout(error.render().to_string().as_bytes());
        sys::exit(0);
    }
    let reporter = Reporter::new(tool.name, Verbosity::Quiet);
    let hint = typed_elsewhere(tool, error, std::env::args_os()).or_else(|| suggestion(error));
    usage_error(tool, &reporter, &one_line(error), hint.as_deref())
}

/// Says what is wrong with the command line, and ends with the tool's usage status.
pub fn usage_error(tool: &Tool, reporter: &Reporter, wrong: &str, hint: Option<&str>) -> ! {
    reporter.message(wrong);
    match hint {
        Some(hint) => reporter.hint(hint),
        None => reporter.hint(format_args!("'{} --help' lists what it takes", tool.name)),
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

/// What does the same as an option of another program, which is unknown here or the beginning of an
/// option that means something else: docker's --pid is no part of --pids-limit.
fn typed_elsewhere(tool: &Tool, error: &clap::Error, argv: impl Iterator<Item = OsString>) -> Option<String> {
    let ContextValue::String(wrong) = error.get(ContextKind::InvalidArg)? else { return None };
    let name = |word: &str| word.split('=').next().unwrap_or_default().to_string();
    let known = |typed: &str| tool.elsewhere.iter().find(|(option, _)| *option == typed);
    if error.kind() == ErrorKind::UnknownArgument {
        return known(&name(wrong)).map(|(_, hint)| hint.to_string());
    }
    let typed = argv.skip(1).take_while(|word| word != "--");
    let typed = typed.filter_map(|word| Some(name(word.to_str()?)));
    let mut begins = typed.filter(|typed| wrong.starts_with(typed.as_str()));
    begins.find_map(|typed| known(&typed)).map(|(_, hint)| hint.to_string())
}

fn suggestion(error: &clap::Error) -> Option<String> {
    let near = error.get(ContextKind::SuggestedArg).or_else(|| error.get(ContextKind::SuggestedValue))?;
    Some(format!("did you mean {near}?"))
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
    use super::*;

    #[derive(Debug, Default, clap::Args)]
    struct Few {
        #[arg(long)]
        pids_limit: Option<u64>,
    }

    const TOOL: Tool = Tool {
        name: "few",
        about: "Do little",
        operands: "[COMMAND]",
        version: "1",
        usage_error: FAILED,
        elsewhere: &[("--pid", "another program's"), ("--timeout", "timeout(1)")],
    };

    #[test]
    fn an_option_of_another_program_leads_there() {
        for (words, hint) in [
            (&["--timeout", "5"][..], Some("timeout(1)")),
            (&["--timeout=5"], Some("timeout(1)")),
            (&["--pid=host"], Some("another program's")),
            (&["--pid", "host"], Some("another program's")),
            (&["--pids-limit", "many"], None),
            (&["--pids-limit", "many", "--", "--pid"], None),
            (&["--nonesuch", "--timeout"], None),
        ] {
            let argv = || ["few"].iter().chain(words).map(OsString::from);
            let error = parse_with_clap::<Few>(&TOOL, argv().collect()).unwrap_err();
            assert_eq!(typed_elsewhere(&TOOL, &error, argv()).as_deref(), hint, "{words:?}");
        }
        let argv = ["few", "--pid", "5"].map(OsString::from).to_vec();
        assert_eq!(parse_with_clap::<Few>(&TOOL, argv).unwrap().options.pids_limit, Some(5));
    }
}

//! The operands, SOURCE and DIRECTORY, and the options around them.
//!
//! A link of a chain stops at its first operand, where a command begins. Here no command follows, and options
//! can be anywhere, as in GNU programs; `--` ends them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use chain::Failure;
use chain::args;
use chain::reporter::quoted;
use clap::Command;
use rustix::fs::FileType;

use crate::cli::{Options, TOOL};
use crate::destination::may_be_proposed;
use crate::source::Source;
use crate::source::suggest::{TRANSPORTS, suggestion};

/// SOURCE and what to do with it.
#[derive(Debug)]
pub struct Operands {
    /// SOURCE, as the user typed it.
    pub source: OsString,
    /// What to do with it.
    pub target: Target,
}

/// What to do with the source.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// Create a root directory at this path.
    Directory(PathBuf),
    /// Print its digest.
    PrintedDigest,
    /// Write the image's configuration to this file.
    ImageConfig(PathBuf),
}

impl Operands {
    /// Parses the operands.
    ///
    /// # Errors
    /// Missing operands, or operands that an option does not allow.
    pub fn parse(operands: Vec<OsString>, options: &Options) -> Result<Self, Failure> {
        let mut operands = operands.into_iter();
        let (source, directory) = (operands.next(), operands.next().map(PathBuf::from));
        if options.list {
            return Err(Failure::new("--list accepts no SOURCE"));
        }
        if let Some(command) = source.as_deref().and_then(OsStr::to_str).filter(|word| is_command(word)) {
            return Err(Failure::new(format!("expected SOURCE, got {}", quoted(command)))
                .hint("there are no commands: 'rootfs-fetch docker://ubuntu my-root'"));
        }
        // with a value that an option did not take, there is one operand too many
        if let Some(word) = source.as_deref().and_then(OsStr::to_str).filter(|_| operands.len() > 0)
            && let Some(hint) = hints::unjoined_word(TOOL.name, word)
        {
            return Err(unexpected(OsStr::new(word)).hint(hint));
        }
        if let Some(failure) = swapped(source.as_deref(), directory.as_deref()) {
            return Err(failure);
        }
        if let Some(third) = operands.next() {
            return Err(unexpected(&third));
        }
        let Some(source) = source else {
            return Err(Failure::new("expected SOURCE and DIRECTORY")
                .hint("'rootfs-fetch host: my-root' copies this machine's own programs"));
        };
        let target = match (directory, &options.config) {
            (Some(_), _) if options.print_digest => {
                return Err(Failure::new("--print-digest accepts no DIRECTORY"));
            }
            (Some(directory), _) => Target::Directory(directory),
            (None, _) if options.print_digest => Target::PrintedDigest,
            (None, Some(path)) => Target::ImageConfig(path.clone()),
            (None, None) => {
                let hint = missing_operand_hint(&source, has_pipe());
                return Err(Failure::new("expected SOURCE and DIRECTORY, got one operand").hint(hint));
            }
        };
        Ok(Self { source, target })
    }
}

fn unexpected(operand: &OsStr) -> Failure {
    Failure::new(format!("unexpected operand {}: expected one SOURCE and one DIRECTORY", quoted(operand)))
}

/// The failure if DIRECTORY and SOURCE are swapped: `rootfs-fetch my-root docker://ubuntu`.
fn swapped(source: Option<&OsStr>, directory: Option<&Path>) -> Option<Failure> {
    let (first, second) = (source?.to_str()?, directory?.to_str()?);
    let is_source = |word: &str| {
        let transport = word.split_once(':').map_or("", |(transport, _)| transport);
        transport == "docker" || TRANSPORTS.contains(&transport) || ["http", "https"].contains(&transport)
    };
    let names_archive = Path::new(second).is_file() && first != "-" && !Path::new(first).exists();
    let names_source = is_source(second) && !Path::new(second).exists();
    if is_source(first) || !names_archive && !names_source {
        return None;
    }
    // a URL can contain a password
    let shown = if second.starts_with("http") { "SOURCE" } else { second };
    let failure = Failure::new("SOURCE comes before DIRECTORY; here they are swapped");
    Some(failure.hint(format!("'rootfs-fetch {shown} {}'", proposed(first))))
}

/// Whether the first operand is a command of docker, skopeo, umoci or crane.
fn is_command(word: &str) -> bool {
    ["copy", "create", "export", "extract", "pull", "run", "unpack"].contains(&word)
        && !Path::new(word).exists()
}

/// The directory in a hint: the user's, unless something exists there.
fn proposed(directory: &str) -> &str {
    if may_be_proposed(Path::new(directory)) { directory } else { "my-root" }
}

/// What a user who gave one operand probably meant.
fn missing_operand_hint(only: &OsStr, pipe: bool) -> String {
    let text = only.to_string_lossy();
    let path = Path::new(only);
    let last = |source: &str| format!("put the directory to create last: 'rootfs-fetch {source} my-root'");
    match Source::parse(only) {
        _ if text.starts_with("distro:") => last(&text),
        Ok(Source::File(_)) if pipe || path.is_dir() => {
            let directory = proposed(&text);
            format!("'rootfs-fetch - {directory}' creates it from the archive on standard input")
        }
        Ok(Source::File(_)) if !path.exists() => suggestion(path)
            .unwrap_or_else(|| format!("put SOURCE first: 'rootfs-fetch docker://ubuntu {text}'")),
        // a URL can contain a password
        Ok(Source::Url(_)) | Err(_) => last("SOURCE"),
        Ok(_) => last(&text),
    }
}

/// Whether standard input may provide an archive.
fn has_pipe() -> bool {
    rustix::fs::fstat(rustix::stdio::stdin())
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}

/// The command line with its options before `--` and its operands after it.
pub fn in_order(argv: Vec<OsString>) -> Vec<OsString> {
    let command = args::command::<Options>(&TOOL);
    let mut argv = argv.into_iter();
    let mut ordered: Vec<OsString> = argv.by_ref().take(1).collect();
    let mut operands = Vec::new();
    while let Some(word) = argv.next() {
        match word.as_bytes() {
            b"--" => operands.extend(argv.by_ref()),
            [b'-', _, ..] => {
                let takes_next = takes_next(&command, &word);
                ordered.push(word);
                if takes_next {
                    ordered.extend(argv.next());
                }
            }
            _ => operands.push(word),
        }
    }
    if !operands.is_empty() {
        ordered.push("--".into());
        ordered.extend(operands);
    }
    ordered
}

/// Whether the next word is the value of this one. A long name can be abbreviated if it stays unique.
fn takes_next(command: &Command, word: &OsStr) -> bool {
    let Some(name) = word.to_str().and_then(|word| word.strip_prefix("--")) else { return false };
    let mut near =
        command.get_arguments().filter(|arg| arg.get_long().is_some_and(|long| long.starts_with(name)));
    let exact = command.get_arguments().find(|arg| arg.get_long() == Some(name));
    let meant = exact.or_else(|| near.next().filter(|_| near.next().is_none()));
    meant.is_some_and(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(line: &str) -> String {
        let argv = line.split(' ').map(OsString::from).collect();
        let ordered = in_order(argv);
        ordered.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn options_may_stand_anywhere_with_their_values() {
        for (line, expected) in [
            ("r", "r"),
            ("r a b", "r -- a b"),
            ("r a b --replace", "r --replace -- a b"),
            ("r a -q b -v", "r -q -v -- a b"),
            ("r a --subdir x b", "r --subdir x -- a b"),
            ("r a --subdir=x b", "r --subdir=x -- a b"),
            ("r a --subd x b", "r --subd x -- a b"),
            // it is ambiguous, and clap reports that
            ("r a --c x b", "r --c -- a x b"),
            ("r a --explain b", "r --explain -- a b"),
            ("r - b -q", "r -q -- - b"),
            ("r a -- -q b", "r -- a -q b"),
            ("r a --strip-components -1 b", "r --strip-components -1 -- a b"),
            ("r --exclude -- a b", "r --exclude -- -- a b"),
            ("r a b --digest", "r --digest -- a b"),
            ("r --list", "r --list"),
        ] {
            assert_eq!(ordered(line), expected, "{line}");
        }
    }

    #[test]
    fn a_third_operand_is_named() {
        let operands = ["a", "b", "u", "v"].map(OsString::from).to_vec();
        let failure = Operands::parse(operands, &Options::default()).expect_err("there are too many");
        assert_eq!(failure.message, "unexpected operand \"u\": expected one SOURCE and one DIRECTORY");
        assert_eq!(failure.hint, None);
    }

    #[test]
    fn a_value_that_its_option_did_not_take_gets_a_hint() {
        for (word, option) in [("keep-mode", "--devices"), ("short", "--explain")] {
            let operands = [word, "docker://ubuntu", "r"].map(OsString::from).to_vec();
            let failure = Operands::parse(operands, &Options::default()).expect_err("there are too many");
            assert!(failure.message.starts_with(&format!("unexpected operand {word:?}")), "{failure}");
            let hint = format!("join the value to its option: '{option}={word}'");
            assert_eq!(failure.hint, Some(hint));
        }
    }

    #[test]
    fn a_command_of_another_tool_is_told() {
        let parse =
            |words: [&str; 3]| Operands::parse(words.map(OsString::from).to_vec(), &Options::default());
        let failure = parse(["pull", "ubuntu", "x"]).expect_err("there are too many");
        let hint = "there are no commands: 'rootfs-fetch docker://ubuntu my-root'";
        assert_eq!(failure.hint.as_deref(), Some(hint));
    }

    #[test]
    fn operands_the_other_way_round_are_told() {
        let swapped = |first: &str, second: &str| {
            swapped(Some(OsStr::new(first)), Some(Path::new(second))).and_then(|failure| failure.hint)
        };
        let hint = swapped("my-root", "docker://ubuntu");
        assert_eq!(hint.as_deref(), Some("'rootfs-fetch docker://ubuntu my-root'"));
        assert_eq!(swapped("r", "distro:alpine").as_deref(), Some("'rootfs-fetch distro:alpine r'"));
        assert_eq!(swapped("/etc", "distro:alpine").as_deref(), Some("'rootfs-fetch distro:alpine my-root'"));
        assert_eq!(swapped("r", "https://u:secret@h/x").as_deref(), Some("'rootfs-fetch SOURCE r'"));
        assert_eq!(swapped("docker://ubuntu", "host:x"), None);
        assert_eq!(swapped("a.tar", "my:root"), None);
        assert_eq!(
            swapped("no-root", "/proc/version").as_deref(),
            Some("'rootfs-fetch /proc/version no-root'")
        );
        for first in ["-", "/etc", "host:", "docker://ubuntu"] {
            assert_eq!(swapped(first, "/proc/version"), None, "{first}");
        }
    }

    #[test]
    fn one_operand_is_taken_for_what_it_most_likely_is() {
        let hint = |only: &str, pipe| missing_operand_hint(OsStr::new(only), pipe);
        assert!(hint("ubuntu", false).starts_with("use 'docker://ubuntu' for an image"));
        assert_eq!(
            hint("my-root", true),
            "'rootfs-fetch - my-root' creates it from the archive on standard input"
        );
        for directory in ["/", "/etc"] {
            let said = "'rootfs-fetch - my-root' creates it from the archive on standard input";
            assert_eq!(hint(directory, false), said, "{directory}");
        }
        assert_eq!(hint("./new", false), "put SOURCE first: 'rootfs-fetch docker://ubuntu ./new'");
        for (source, shown) in [
            ("docker://ubuntu", "docker://ubuntu"),
            ("host:", "host:"),
            ("distro:alpine", "distro:alpine"),
            ("-", "-"),
            ("/proc/version", "/proc/version"),
            ("https://me:secret@h/x", "SOURCE"),
            ("https://me:secret@", "SOURCE"),
        ] {
            let said = format!("put the directory to create last: 'rootfs-fetch {shown} my-root'");
            assert_eq!(hint(source, false), said);
        }
    }
}

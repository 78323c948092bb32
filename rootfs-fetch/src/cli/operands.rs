// SPDX-License-Identifier: MIT OR Apache-2.0
//! The operands, SOURCE and DIRECTORY, and the options around them.
//!
//! A link of a chain stops reading options at its first operand, where a command begins. Here none
//! follows, and options may stand anywhere, as GNU programs have it; `--` ends them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use chain::args;
use chain::reporter::quoted;
use clap::Command;
use rustix::fs::FileType;

use crate::TOOL;
use crate::cli::Options;
use crate::source::Source;
use crate::source::suggest::suggestion;

/// SOURCE, and DIRECTORY unless only something is to be said of the source.
#[derive(Debug)]
pub struct Operands {
    /// Where the tree comes from, as it was written.
    pub source: OsString,
    /// Where it goes.
    pub directory: Option<PathBuf>,
}

/// What is wrong with operands, and a hint.
type Wrong = (String, Option<String>);

impl Operands {
    /// Takes what is left of the command line.
    ///
    /// # Errors
    /// A usage error and its hint.
    pub fn take(operands: Vec<OsString>, options: &Options) -> Result<Self, Wrong> {
        let mut operands = operands.into_iter();
        let (source, directory) = (operands.next(), operands.next().map(PathBuf::from));
        let wrong = |line: &str| Err((line.to_string(), None));
        if options.list {
            return wrong("--list is all there is to do: it takes no SOURCE");
        }
        if let Some(third) = operands.next() {
            let line =
                format!("unexpected operand {}: there is one SOURCE and one DIRECTORY", quoted(&third));
            return Err((line, None));
        }
        match (source, directory) {
            (Some(source), None) if options.print_digest || options.config.is_some() => {
                Ok(Self { source, directory: None })
            }
            (Some(_), Some(_)) if options.print_digest => wrong("--print-digest makes no DIRECTORY"),
            (Some(source), Some(directory)) => Ok(Self { source, directory: Some(directory) }),
            (Some(only), None) => {
                let hint = Some(lacking(&only, has_pipe()));
                Err(("needs a SOURCE and a DIRECTORY, and has one of them".into(), hint))
            }
            (None, _) => Err((
                "needs a SOURCE and a DIRECTORY".into(),
                Some("'rootfs-fetch host: my-root' copies this machine's own programs".into()),
            )),
        }
    }
}

/// What somebody meant who wrote one operand.
fn lacking(only: &OsStr, pipe: bool) -> String {
    let text = only.to_string_lossy();
    let path = Path::new(only);
    let last = |source: &str| format!("what is to be made comes last: 'rootfs-fetch {source} my-root'");
    match Source::parse(only) {
        _ if text.starts_with("distro:") => last(&text),
        Ok(Source::File(_)) if pipe || path.is_dir() => {
            format!("'rootfs-fetch - {text}' makes it from the archive on standard input")
        }
        Ok(Source::File(_)) if !path.exists() => suggestion(path)
            .unwrap_or_else(|| format!("SOURCE comes first: 'rootfs-fetch docker://ubuntu {text}'")),
        // a URL may have a password in it
        Ok(Source::Url(_)) | Err(_) => last("SOURCE"),
        Ok(_) => last(&text),
    }
}

/// Whether an archive may be waiting on standard input.
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

/// Whether the word after this one is its value. A long name may be cut where it stays unique.
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
            // which of two is not known: clap says so
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

    fn wrong(operands: &[&str], options: &Options) -> Wrong {
        Operands::take(operands.iter().map(OsString::from).collect(), options).expect_err("it is wrong")
    }

    #[test]
    fn a_third_operand_is_named() {
        let (line, hint) = wrong(&["a", "b", "u", "v"], &Options::default());
        assert_eq!(line, "unexpected operand \"u\": there is one SOURCE and one DIRECTORY");
        assert_eq!(hint, None);
    }

    #[test]
    fn one_operand_is_taken_for_what_it_most_likely_is() {
        let hint = |only: &str, pipe| lacking(OsStr::new(only), pipe);
        assert!(hint("ubuntu", false).starts_with("'docker://ubuntu' takes an image"));
        assert_eq!(
            hint("my-root", true),
            "'rootfs-fetch - my-root' makes it from the archive on standard input"
        );
        assert_eq!(hint("/", false), "'rootfs-fetch - /' makes it from the archive on standard input");
        assert_eq!(hint("./new", false), "SOURCE comes first: 'rootfs-fetch docker://ubuntu ./new'");
        for (source, shown) in [
            ("docker://ubuntu", "docker://ubuntu"),
            ("host:", "host:"),
            ("distro:alpine", "distro:alpine"),
            ("-", "-"),
            ("/proc/version", "/proc/version"),
            ("https://me:secret@h/x", "SOURCE"),
            ("https://me:secret@", "SOURCE"),
        ] {
            let said = format!("what is to be made comes last: 'rootfs-fetch {shown} my-root'");
            assert_eq!(hint(source, false), said);
        }
    }
}

//! Random command lines: a tool's own options and values, mixed with arbitrary words.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use clap::Command;
use tests::{Rng, documents};

/// Values that are wrong almost everywhere, or just valid.
const NASTY: [&[u8]; 40] = [
    b"",
    b" ",
    b"-",
    b"--",
    b"-1",
    b"0",
    b"1",
    b"00",
    b"+1",
    b"1.5",
    b".5",
    b"1e9",
    b"0x10",
    b"255",
    b"256",
    b"65536",
    b"2147483648",
    b"4294967295",
    b"4294967296",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"99999999999999999999999999",
    b"1T",
    b"16777216T",
    b"max",
    b"nan",
    b"inf",
    b":",
    b"::",
    b",",
    b"=",
    b"a=b=c",
    b"0:0:4294967295",
    b"4294967295:0:2",
    b"\xff\xfe",
    b"\xc3",
    b"a\nb\x1b[31m",
    b"/",
];

/// Commands: found, not found, not runnable; they exit with 0, 1 and 7.
const COMMANDS: [&[&str]; 8] = [
    &["true"],
    &["false"],
    &["sh", "-c", "exit 7"],
    &["no-such-command"],
    &["/"],
    &["/etc/passwd"],
    &[""],
    &["--", "true"],
];

/// Commands and files of the pages that never end, or end late; any word can become the command.
const ENDLESS: [&str; 8] = ["/dev/urandom", "/dev/zero", "sleep", "tail", "timeout", "top", "watch", "yes"];

/// The words for a tool's command lines.
pub struct Words {
    options: Vec<(String, bool)>,
    values: Vec<OsString>,
}

impl Words {
    /// The options of a definition, and all words on its pages.
    pub fn of(tool: &Command) -> Self {
        let mut options = Vec::new();
        let mut values: Vec<OsString> = Vec::new();
        for option in tool.get_arguments().filter(|argument| !argument.is_positional()) {
            let takes = option.get_num_args().is_some_and(|takes| takes.takes_values());
            options.extend(option.get_long().map(|long| (format!("--{long}"), takes)));
            options.extend(option.get_short().map(|short| (format!("-{short}"), takes)));
            values.extend(option.get_possible_values().iter().map(|value| value.get_name().into()));
        }
        for (_, page) in documents::starting_with(&format!("tests/options/{}/", tool.get_name())) {
            let typed = page.lines().filter(|line| line.starts_with("$ "));
            let words = typed.flat_map(|line| line.split([' ', '=', '\'', '"']));
            let words = words.filter(|word| word.len() < 60 && !ENDLESS.contains(word));
            values.extend(words.map(OsString::from));
        }
        Self { options, values }
    }

    fn value(&self, rng: &mut Rng) -> OsString {
        if rng.one_in(3) {
            return OsString::from_vec(rng.choose(&NASTY).to_vec());
        }
        if rng.one_in(8) {
            let bytes = (0..rng.below(24)).map(|_| u8::try_from(rng.below(255) + 1).unwrap_or(1));
            return OsString::from_vec(bytes.collect());
        }
        let mut value = rng.choose(&self.values).clone();
        if rng.one_in(4) {
            value = changed(value, rng);
        }
        value
    }

    fn option(&self, rng: &mut Rng, line: &mut Vec<OsString>) {
        let (name, takes) = rng.choose(&self.options);
        let mut name = OsString::from(name);
        match rng.below(12) {
            0 => name = changed(name, rng),
            // an abbreviated long name can still be unambiguous
            1 => name = OsString::from_vec(name.into_vec().into_iter().take(2 + rng.below(6)).collect()),
            _ => {}
        }
        if *takes != rng.one_in(16) {
            let value = self.value(rng);
            if rng.one_in(2) {
                name.push("=");
                name.push(value);
            } else {
                line.push(name);
                name = value;
            }
        }
        line.push(name);
    }

    /// A command line, without the tool's name.
    pub fn line(&self, rng: &mut Rng) -> Vec<OsString> {
        let mut line = Vec::new();
        for _ in 0..rng.below(5) {
            if rng.one_in(12) {
                line.push(self.value(rng));
            } else {
                self.option(rng, &mut line);
            }
        }
        if rng.one_in(2) {
            line.push("--".into());
        }
        if rng.one_in(2) {
            line.push(if rng.one_in(2) { "/".into() } else { self.value(rng) });
        }
        line.extend(rng.choose(&COMMANDS).iter().map(OsString::from));
        line
    }
}

/// A word with a byte added, removed or changed; never a NUL byte, which ends an argument.
fn changed(word: OsString, rng: &mut Rng) -> OsString {
    let mut bytes = word.into_vec();
    let byte = u8::try_from(rng.below(255) + 1).unwrap_or(1);
    let at = rng.below(bytes.len() + 1);
    match (rng.below(3), bytes.get_mut(at)) {
        (0, Some(old)) => *old = byte,
        (1, Some(_)) => drop(bytes.remove(at)),
        _ => bytes.insert(at, byte),
    }
    OsString::from_vec(bytes)
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Users and groups by name: passwd(5), group(5).
//!
//! The files are read here and not through the C library, whose name service needs the
//! dynamic loader; where they do not have a name, getent(1) asks the other services.

use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// A file of accounts: lines of fields, the name first and the number third.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// passwd(5)
    Users,
    /// group(5)
    Groups,
}

impl Database {
    const fn file(self) -> &'static str {
        match self {
            Self::Users => "/etc/passwd",
            Self::Groups => "/etc/group",
        }
    }

    const fn service(self) -> &'static str {
        match self {
            Self::Users => "passwd",
            Self::Groups => "group",
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Users => "user",
            Self::Groups => "group",
        }
    }

    /// The number of a name, or a number as it is written. A name is looked for first: POSIX.
    fn number(self, text: &str) -> Result<u32, String> {
        let by_name = |line: &str| line.split(':').next() == Some(text);
        match (self.find(text, by_name), text.parse()) {
            (Some((_, number)), _) => Ok(number),
            (None, Ok(u32::MAX)) => Err("4294967295 stands for no id: setresuid(2)".to_string()),
            (None, Ok(number)) => Ok(number),
            (None, Err(_)) => Err(format!("there is no such {}", self.noun())),
        }
    }

    fn find(self, key: &str, wanted: impl Fn(&str) -> bool) -> Option<(String, u32)> {
        let text = fs::read(self.file()).unwrap_or_default();
        let found = entry(&String::from_utf8_lossy(&text), &wanted);
        // a number is no key that only another service has, unless a name for it is asked
        if found.is_some() || key.is_empty() {
            return found;
        }
        entry(&output("getent", &[self.service(), key])?, wanted)
    }
}

fn entry(text: &str, wanted: impl Fn(&str) -> bool) -> Option<(String, u32)> {
    let line = text.lines().find(|line| wanted(line))?;
    let mut fields = line.split(':');
    Some((fields.next()?.to_string(), fields.nth(1)?.parse().ok()?))
}

/// What a program says on standard output; nothing where it cannot be run.
pub fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let mut text = String::new();
    child.stdout.take()?.read_to_string(&mut text).ok()?;
    // a caller that ignores SIGCHLD has the kernel reap it; what it said is enough
    let _ = child.wait();
    Some(text)
}

/// The name of a user, where it has one.
pub fn name_of(uid: u32) -> Option<String> {
    // the name is needed for each map and message, and getent(1) is a process to start
    static FIRST: OnceLock<(u32, Option<String>)> = OnceLock::new();
    let look = || {
        let number = uid.to_string();
        let by_number = |line: &str| line.split(':').nth(2) == Some(&number);
        Database::Users.find(&number, by_number).map(|(name, _)| name)
    };
    let (first, name) = FIRST.get_or_init(|| (uid, look()));
    if *first == uid { name.clone() } else { look() }
}

/// A user: a name or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User(pub u32);

/// A group: a name or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group(pub u32);

impl std::str::FromStr for User {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Database::Users.number(text).map(Self)
    }
}

impl std::str::FromStr for Group {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Database::Groups.number(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_by_its_name_and_gives_the_number() {
        let text = "root:x:0:0:root:/root:/bin/sh\nalice:x:1001:1002::/:/bin/sh\n";
        let alice = |line: &str| line.starts_with("alice:");
        assert_eq!(entry(text, alice), Some(("alice".to_string(), 1001)));
        assert_eq!(entry("broken\n", |_| true), None);
    }

    #[test]
    fn a_user_is_a_name_or_a_number() {
        assert_eq!("root".parse(), Ok(User(0)));
        assert_eq!("4000000000".parse(), Ok(User(4_000_000_000)));
        assert_eq!("no such:name".parse::<User>(), Err("there is no such user".to_string()));
        assert!("4294967295".parse::<Group>().is_err());
    }
}

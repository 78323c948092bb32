// SPDX-License-Identifier: MIT OR Apache-2.0
//! Users and groups by name and by number: passwd(5), group(5).
//!
//! The files are read here and not by the C library, whose name service needs the dynamic loader.
//! For names that the files do not have, getent(1) asks the other services.

use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use system::idmap::IdKind;

/// A line of passwd(5) or group(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Account<'a> {
    name: &'a str,
    id: u32,
}

/// The lines that have a name and a number.
fn parse(text: &str) -> impl Iterator<Item = Account<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        Some(Account { name: fields.next()?, id: fields.nth(1)?.parse().ok()? })
    })
}

/// The id of a name, or an id in decimal. What is both is a name: POSIX, chown.
///
/// # Errors
/// No account has the name, or the number is no id.
pub fn id(kind: IdKind, text: &str) -> Result<u32, String> {
    match (find(kind, text, |account| account.name == text), text.parse()) {
        (Some((_, id)), _) => Ok(id),
        (None, Ok(u32::MAX)) => Err("4294967295 stands for no id: setresuid(2)".to_string()),
        (None, Ok(id)) => Ok(id),
        (None, Err(_)) => Err(format!("there is no such {}", kind.noun())),
    }
}

/// The name of a user.
pub fn user_name(uid: u32) -> Option<String> {
    // both maps and some messages need the name of the caller, and getent(1) is a process to start
    static FIRST: OnceLock<(u32, Option<String>)> = OnceLock::new();
    let look_up = || find(IdKind::User, &uid.to_string(), |account| account.id == uid).map(|(name, _)| name);
    let (first, name) = FIRST.get_or_init(|| (uid, look_up()));
    if *first == uid { name.clone() } else { look_up() }
}

/// The first account that is wanted: in the file, or in what the other services have for `key`.
fn find(kind: IdKind, key: &str, wanted: impl Fn(Account<'_>) -> bool) -> Option<(String, u32)> {
    let (file, service) = match kind {
        IdKind::User => ("/etc/passwd", "passwd"),
        IdKind::Group => ("/etc/group", "group"),
    };
    let first = |text: &str| {
        let account = parse(text).find(|account| wanted(*account))?;
        Some((account.name.to_string(), account.id))
    };
    let text = fs::read(file).unwrap_or_default();
    match first(&String::from_utf8_lossy(&text)) {
        // getent(1) without a key lists all
        None if !key.is_empty() => first(&output("getent", &[service, key])?),
        found => found,
    }
}

/// What a program prints on standard output; nothing if it cannot be run.
pub fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let mut text = String::new();
    child.stdout.take()?.read_to_string(&mut text).ok()?;
    // this fails if the caller ignores SIGCHLD, and the kernel reaps the child: the text is enough
    let _ = child.wait();
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_a_name_or_a_number_are_skipped() {
        let text = "broken\nroot:x:0:0:root:/root:/bin/sh\nx:y:z\nalice:x:1001:1002::/:/bin/sh\n";
        let accounts: Vec<_> = parse(text).collect();
        assert_eq!(accounts, [Account { name: "root", id: 0 }, Account { name: "alice", id: 1001 }]);
    }

    #[test]
    fn a_user_is_a_name_or_a_number() {
        assert_eq!(id(IdKind::User, "root"), Ok(0));
        assert_eq!(id(IdKind::User, "4000000000"), Ok(4_000_000_000));
        assert_eq!(id(IdKind::User, "no such:name"), Err("there is no such user".to_string()));
        assert!(id(IdKind::Group, "4294967295").is_err());
    }
}

//! Users and groups of this machine, by name and by number.
//!
//! Names that are not in /etc/passwd and /etc/group come from getent(1). The C library would load its name
//! services with the dynamic loader, which a static program lacks.

use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::accounts::AccountFiles;
use crate::idmap::IdKind;

/// The id for a name or for a decimal number. A number that is also a name is a name: POSIX, chown.
///
/// # Errors
/// No account has the name, or the number is not an id.
pub fn id(kind: IdKind, text: &str) -> Result<u32, String> {
    let by_name = |files: &AccountFiles| match kind {
        IdKind::User => files.user(text.as_bytes()).map(|user| user.uid),
        IdKind::Group => files.group(text.as_bytes()),
    };
    match (find(kind, text, by_name), text.parse()) {
        (Some(id), _) => Ok(id),
        (None, Ok(u32::MAX)) => Err("4294967295 is not an id: setresuid(2)".to_string()),
        (None, Ok(id)) => Ok(id),
        (None, Err(_)) => Err(format!("no such {}", kind.noun())),
    }
}

/// The account of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The login name.
    pub name: String,
    /// The primary group.
    pub gid: u32,
}

/// The account of a user.
pub fn account(uid: u32) -> Option<Account> {
    // both maps and some messages need the caller's account, and getent(1) starts a process
    static FIRST: OnceLock<(u32, Option<Account>)> = OnceLock::new();
    let by_id = |files: &AccountFiles| {
        let user = files.user_of(uid)?;
        Some(Account { name: String::from_utf8_lossy(user.name).into_owned(), gid: user.gid })
    };
    let look_up = || find(IdKind::User, &uid.to_string(), by_id);
    let (first, account) = FIRST.get_or_init(|| (uid, look_up()));
    if *first == uid { account.clone() } else { look_up() }
}

/// Whether an account has the id.
pub fn has_name(kind: IdKind, id: u32) -> bool {
    let found = |files: &AccountFiles| match kind {
        IdKind::User => files.user_of(id).map(drop),
        IdKind::Group => files.group_ids().contains(&id).then_some(()),
    };
    find(kind, &id.to_string(), found).is_some()
}

/// Applies `found` to the account file, and then to the output of getent(1) for `key`.
fn find<T>(kind: IdKind, key: &str, found: impl Fn(&AccountFiles) -> Option<T>) -> Option<T> {
    let (file, service) = match kind {
        IdKind::User => ("/etc/passwd", "passwd"),
        IdKind::Group => ("/etc/group", "group"),
    };
    let found = |text: Vec<u8>| {
        found(&match kind {
            IdKind::User => AccountFiles::new(text, Vec::new()),
            IdKind::Group => AccountFiles::new(Vec::new(), text),
        })
    };
    match found(fs::read(file).unwrap_or_default()) {
        // without a key, getent(1) lists everything
        None if !key.is_empty() => found(output("getent", &[service, key])?.into_bytes()),
        account => account,
    }
}

/// A program's standard output; None if the program cannot be run.
pub fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let mut text = String::new();
    child.stdout.take()?.read_to_string(&mut text).ok()?;
    // if the caller ignores SIGCHLD, this fails because the kernel has reaped the child; the output is enough
    let _ = child.wait();
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_a_name_or_a_number() {
        assert_eq!(id(IdKind::User, "root"), Ok(0));
        assert_eq!(id(IdKind::User, "4000000000"), Ok(4_000_000_000));
        assert_eq!(id(IdKind::User, "no such:name"), Err("no such user".to_string()));
        assert!(id(IdKind::Group, "4294967295").is_err());
    }
}

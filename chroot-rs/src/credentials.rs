//! The command's user and groups: `--userspec` and `--groups`, with GNU chroot's rules.
//!
//! A name takes precedence over a number, and `+` means a number. A user without a group gets the user's
//! primary group. With a user come the groups that list the user.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use chain::reporter::quoted;
use chain::{Failure, Plan, call};

use crate::ids::MappedIds;
use system::accounts::{AccountFiles, number};

const IDS_HINT: &str =
    "run 'unshare-rs --' before chroot-rs: it maps the ids that /etc/subuid gives the caller";

/// The ids to change to; None for those that stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// The supplementary groups.
    pub groups: Option<Vec<u32>>,
}

impl Credentials {
    /// Changes them, the user last: only root can change groups.
    pub fn plan(self, plan: &mut Plan) {
        if let Some(groups) = self.groups {
            plan.step("set the supplementary groups", call::SetGroups(groups));
        }
        if let Some(gid) = self.gid {
            plan.step(format!("become group {gid}"), call::SetGroup(gid));
        }
        if let Some(uid) = self.uid {
            plan.step(format!("become user {uid}"), call::SetUser(uid));
        }
    }
}

/// The values of `--userspec` and `--groups`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct CredentialOptions {
    /// Run as this user and group: names of NEWROOT's own files, or numbers
    // GNU chroot has the abbreviation, and docker the whole name
    #[arg(long, alias = "user", value_name = "USER[:GROUP]")]
    pub userspec: Option<OsString>,

    /// Set the supplementary groups to these; empty for none
    #[arg(long, value_name = "GROUP[,...]")]
    pub groups: Option<OsString>,
}

impl CredentialOptions {
    pub const fn are_requested(&self) -> bool {
        self.userspec.is_some() || self.groups.is_some()
    }

    /// Looks up the names, and skips default groups that the user namespace cannot set.
    ///
    /// # Errors
    /// An invalid name or number, in GNU chroot's words, or an id that is not available here.
    pub fn resolve(
        &self,
        accounts: &AccountFiles,
        ids: &MappedIds,
        notes: &mut Vec<String>,
    ) -> Result<Credentials, Failure> {
        let mut found = self.look_up(accounts, notes)?;
        self.restrict(&mut found, ids, notes).map_err(|message| Failure::new(message).hint(IDS_HINT))?;
        Ok(found)
    }

    fn look_up(&self, accounts: &AccountFiles, notes: &mut Vec<String>) -> Result<Credentials, Failure> {
        let not_found = |message| Failure::new(message).hint(self.name_hint());
        let mut found = match &self.userspec {
            Some(spec) => user_and_group(spec, accounts, notes).map_err(not_found)?,
            None => Credentials::default(),
        };
        let user = found.uid.and_then(|uid| accounts.user_of(uid));
        found.gid = found.gid.or(user.as_ref().map(|user| user.gid));
        if let (Some(uid), None) = (found.uid, found.gid) {
            return Err(Failure::new(format!("no group specified for unknown uid: {uid}"))
                .hint(format!("name its group: --userspec {uid}:{uid}")));
        }
        found.groups = match (&self.groups, found.uid.and(found.gid)) {
            (Some(list), _) => Some(group_list(list, accounts).map_err(not_found)?),
            // like initgroups(3), but from the new root's group(5)
            (None, Some(gid)) => Some(user.map_or_else(Vec::new, |user| accounts.groups_of(user.name, gid))),
            (None, None) => None,
        };
        Ok(found)
    }

    /// The hint for a user or a group that is not found.
    fn name_hint(&self) -> &'static str {
        let values = [&self.userspec, &self.groups].into_iter().flatten();
        let mut words = values.flat_map(|value| value.as_bytes().split(|byte| b":,".contains(byte)));
        let is_number = |word: &[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_digit);
        match words.any(|word| is_number(word) && number(word).is_none()) {
            true => "the number is out of range: the last id is 4294967294",
            false => "names come from NEWROOT's own etc/passwd and etc/group",
        }
    }

    fn restrict(
        &self,
        found: &mut Credentials,
        ids: &MappedIds,
        notes: &mut Vec<String>,
    ) -> Result<(), String> {
        if let Some(uid) = found.uid.filter(|uid| !ids.has_user(*uid)) {
            return Err(format!("user {uid} is not mapped in this user namespace"));
        }
        let named = self.groups.is_some();
        let mut needed = found.gid.iter().chain(found.groups.iter().flatten().filter(|_| named));
        if let Some(gid) = needed.find(|gid| !ids.has_group(**gid)) {
            return Err(format!("group {gid} is not mapped in this user namespace"));
        }
        let Some(groups) = &mut found.groups else { return Ok(()) };
        if !ids.setgroups_denied {
            groups.retain(|gid| ids.has_group(*gid));
            return Ok(());
        }
        let denied = "setgroups(2) is denied in this user namespace";
        if named && !(groups.is_empty() && ids.has_no_groups) {
            return Err(format!("cannot set supplementary groups: {denied}"));
        }
        if !ids.has_no_groups {
            notes.push(format!("kept the supplementary groups: {denied}"));
        }
        found.groups = None;
        Ok(())
    }
}

/// `USER`, `USER:GROUP`, `USER:`, `:GROUP`, and `USER.GROUP` if no user has that name.
fn user_and_group(
    spec: &OsStr,
    accounts: &AccountFiles,
    notes: &mut Vec<String>,
) -> Result<Credentials, String> {
    let bytes = spec.as_bytes();
    let wrong = match split(bytes, b':', accounts) {
        Err(wrong) if bytes.contains(&b'.') && !bytes.contains(&b':') => wrong,
        result => return result,
    };
    let found = split(bytes, b'.', accounts).map_err(|_| wrong)?;
    notes.push(format!("warning: '.' should be ':': {}", quoted(spec)));
    Ok(found)
}

fn split(spec: &[u8], separator: u8, accounts: &AccountFiles) -> Result<Credentials, String> {
    let shown = quoted(OsStr::from_bytes(spec));
    let mut parts = spec.splitn(2, |byte| *byte == separator);
    let (user, group) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut found = Credentials::default();
    if !user.is_empty() {
        let by_name = if user.starts_with(b"+") { None } else { accounts.user(user) };
        found.gid = by_name.as_ref().filter(|_| group.is_empty()).map(|user| user.gid);
        let uid = by_name.map(|user| user.uid).or_else(|| numeric(user));
        found.uid = Some(uid.ok_or_else(|| format!("invalid user: {shown}"))?);
    }
    if !group.is_empty() {
        let gid = group_id(group, accounts).ok_or_else(|| format!("invalid group: {shown}"))?;
        found.gid = Some(gid);
    }
    Ok(found)
}

/// `G1,G2…`; empty for none; a list of only commas is an error.
fn group_list(list: &OsStr, accounts: &AccountFiles) -> Result<Vec<u32>, String> {
    let bytes = list.as_bytes();
    let mut all = Vec::new();
    for name in bytes.split(|byte| *byte == b',').filter(|name| !name.is_empty()) {
        match group_id(name, accounts) {
            Some(gid) => all.push(gid),
            None => return Err(format!("invalid group {}", quoted(OsStr::from_bytes(name)))),
        }
    }
    if all.is_empty() && !bytes.is_empty() {
        return Err(format!("invalid group list {}", quoted(list)));
    }
    Ok(all)
}

fn group_id(name: &[u8], accounts: &AccountFiles) -> Option<u32> {
    let by_name = if name.starts_with(b"+") { None } else { accounts.group(name) };
    by_name.or_else(|| numeric(name))
}

/// Blanks before a number are ignored, as in strtoul(3), which GNU chroot uses.
fn numeric(text: &[u8]) -> Option<u32> {
    let blank = |byte: &&u8| byte.is_ascii_whitespace() || **byte == 0x0b;
    let text = text.get(text.iter().take_while(blank).count()..)?;
    number(text.strip_prefix(b"+").unwrap_or(text))
}

#[cfg(test)]
mod tests;

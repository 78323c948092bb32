// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who the command runs as: `--userspec` and `--groups`, by GNU chroot's rules.
//!
//! A name comes before a number, `+` says that only a number is meant, a user without a
//! group brings its own, and with a user come the groups that list it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use chain::reporter::quoted;
use chain::{Plan, call};

use crate::account_files::{AccountFiles, number};
use crate::ids::Ids;
use crate::root::Root;

/// The ids to change to; what is not asked for stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub uid: Option<u32>,
    /// The group.
    pub gid: Option<u32>,
    /// The supplementary groups.
    pub groups: Option<Vec<u32>>,
    /// Whether the supplementary groups were asked for by name or number.
    pub groups_were_named: bool,
    /// What to say although nothing is wrong.
    pub warning: Option<String>,
}

impl Credentials {
    /// # Errors
    /// What is wrong with which of the options, as GNU chroot says it.
    pub fn resolve(
        userspec: Option<&OsStr>,
        groups: Option<&OsStr>,
        names: impl FnOnce() -> AccountFiles,
    ) -> Result<Self, String> {
        if userspec.is_none() && groups.is_none() {
            return Ok(Self::default());
        }
        let names = names();
        let mut found = match userspec {
            Some(spec) => user_and_group(spec, &names)?,
            None => Self::default(),
        };
        let mut login = None;
        if let Some(uid) = found.uid {
            let user = names.user_of(uid);
            found.gid = found.gid.or(user.as_ref().map(|user| user.gid));
            if found.gid.is_none() {
                return Err(format!("no group specified for unknown uid: {uid}"));
            }
            login = user.map(|user| user.name.to_vec());
        }
        found.groups = match (groups, found.uid) {
            (Some(list), _) => Some(listed(list, &names)?),
            // as initgroups(3) would, from the new root's group(5)
            (None, Some(_)) => {
                Some(login.map_or_else(Vec::new, |name| names.groups_of(&name, found.gid.unwrap_or(0))))
            }
            (None, None) => None,
        };
        found.groups_were_named = groups.is_some();
        Ok(found)
    }

    /// Whether anything is to change.
    pub fn are_requested(&self) -> bool {
        *self != Self::default()
    }

    /// Leaves out what the user namespace cannot give and nobody asked for.
    ///
    /// # Errors
    /// What was asked for and cannot be, and what to do about it.
    pub fn fit(&mut self, ids: &Ids) -> Result<(), (String, String)> {
        let advice = || {
            "a range of ids is mapped below 'unshare-rs --', where /etc/subuid gives the caller one"
                .to_string()
        };
        if let Some(uid) = self.uid.filter(|uid| !ids.has_user(*uid)) {
            return Err((format!("user {uid} is not mapped in this user namespace"), advice()));
        }
        let groups = self.gid.iter().chain(self.groups.iter().flatten().filter(|_| self.groups_were_named));
        if let Some(gid) = groups.copied().find(|gid| !ids.has_group(*gid)) {
            return Err((format!("group {gid} is not mapped in this user namespace"), advice()));
        }
        if ids.setgroups_denied {
            let same = self.groups.as_ref().is_none_or(|asked| asked.is_empty() && ids.has_no_groups);
            if self.groups_were_named && !same {
                let what = "cannot set supplementary groups: setgroups(2) is denied in this user namespace";
                return Err((what.to_string(), advice()));
            }
            if self.groups.take().is_some() && !ids.has_no_groups {
                let kept = "kept the supplementary groups: setgroups(2) is denied in this user namespace";
                self.warning = Some(kept.to_string());
            }
        } else if let Some(groups) = &mut self.groups {
            groups.retain(|gid| ids.has_group(*gid));
        }
        Ok(())
    }

    /// The calls, in the only order that works: whoever is no longer root changes no groups.
    pub fn plan(self, plan: &mut Plan) {
        if let Some(groups) = self.groups {
            plan.step("take the supplementary groups", call::SetGroups(groups));
        }
        if let Some(gid) = self.gid {
            plan.step(format!("become group {gid}"), call::SetGroup(gid));
        }
        if let Some(uid) = self.uid {
            plan.step(format!("become user {uid}"), call::SetUser(uid));
        }
    }
}

/// `USER`, `USER:GROUP`, `USER:`, `:GROUP`, and `USER.GROUP` where no user has that name.
fn user_and_group(spec: &OsStr, names: &AccountFiles) -> Result<Credentials, String> {
    let spec = spec.as_bytes();
    let wrong = match split(spec, b':', names) {
        Ok(found) => return Ok(found),
        Err(wrong) => wrong,
    };
    if spec.contains(&b':') || !spec.contains(&b'.') {
        return Err(wrong);
    }
    let found = split(spec, b'.', names).map_err(|_| wrong)?;
    let warning = Some(format!("warning: '.' should be ':': {}", quoted(OsStr::from_bytes(spec))));
    Ok(Credentials { warning, ..found })
}

fn split(spec: &[u8], separator: u8, names: &AccountFiles) -> Result<Credentials, String> {
    let shown = quoted(OsStr::from_bytes(spec));
    let mut parts = spec.splitn(2, |byte| *byte == separator);
    let (user, group) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut found = Credentials::default();
    if !user.is_empty() {
        let by_name = if user.starts_with(b"+") { None } else { names.user(user) };
        found.gid = by_name.as_ref().filter(|_| group.is_empty()).map(|user| user.gid);
        let uid = by_name.map(|user| user.uid).or_else(|| numeric(user));
        found.uid = Some(uid.ok_or_else(|| format!("invalid user: {shown}"))?);
    }
    if !group.is_empty() {
        let gid = group_id(group, names).ok_or_else(|| format!("invalid group: {shown}"))?;
        found.gid = Some(gid);
    }
    Ok(found)
}

/// `G1,G2…`: empty for none; a list of nothing but commas is a mistake.
fn listed(list: &OsStr, names: &AccountFiles) -> Result<Vec<u32>, String> {
    let bytes = list.as_bytes();
    let mut all = Vec::new();
    for name in bytes.split(|byte| *byte == b',').filter(|name| !name.is_empty()) {
        match group_id(name, names) {
            Some(gid) => all.push(gid),
            None => return Err(format!("invalid group {}", quoted(OsStr::from_bytes(name)))),
        }
    }
    if all.is_empty() && !bytes.is_empty() {
        return Err(format!("invalid group list {}", quoted(list)));
    }
    Ok(all)
}

fn group_id(name: &[u8], names: &AccountFiles) -> Option<u32> {
    let by_name = if name.starts_with(b"+") { None } else { names.group(name) };
    by_name.or_else(|| numeric(name))
}

/// Blanks before a number count as little as for strtoul(3), which is how GNU chroot reads it.
fn numeric(text: &[u8]) -> Option<u32> {
    let blank = |byte: &&u8| byte.is_ascii_whitespace() || **byte == 0x0b;
    let text = text.get(text.iter().take_while(blank).count()..)?;
    number(text.strip_prefix(b"+").unwrap_or(text))
}

/// `--userspec` and `--groups` as they were written.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct CredentialOptions {
    /// Run as this user and group: names of NEWROOT's own files, or numbers
    #[arg(long, value_name = "USER[:GROUP]")]
    pub userspec: Option<OsString>,

    /// Have exactly these supplementary groups; empty for none
    #[arg(long, value_name = "GROUP[,...]")]
    pub groups: Option<OsString>,
}

impl CredentialOptions {
    /// # Errors
    /// What is wrong with which of the options, as GNU chroot says it.
    pub fn resolve(&self, root: &Root) -> Result<Credentials, String> {
        Credentials::resolve(self.userspec.as_deref(), self.groups.as_deref(), || AccountFiles::of(root))
    }
}

#[cfg(test)]
mod tests;

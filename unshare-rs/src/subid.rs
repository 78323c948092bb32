// SPDX-License-Identifier: MIT OR Apache-2.0
//! Subordinate ids: those that an ordinary user may map into a user namespace. subuid(5), subgid(5)

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use chain::sys;
use nix::sys::statvfs::FsFlags;

use crate::account;

/// What is mapped: users or groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdKind {
    /// uid_map
    User,
    /// gid_map
    Group,
}

impl IdKind {
    /// Who has which subordinate ids.
    pub const fn file(self) -> &'static str {
        match self {
            Self::User => "/etc/subuid",
            Self::Group => "/etc/subgid",
        }
    }

    /// Its file in /proc/PID.
    pub const fn map(self) -> &'static str {
        match self {
            Self::User => "uid_map",
            Self::Group => "gid_map",
        }
    }

    /// The program that may write it for an ordinary user.
    pub const fn program(self) -> &'static str {
        match self {
            Self::User => "newuidmap",
            Self::Group => "newgidmap",
        }
    }

    /// How a message calls them.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }
}

/// SubidRange that follow each other, by the first and their number.
pub type SubidRange = (u32, u32);

/// Whose ids are looked up: also groups belong to a user, not to a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The effective user.
    pub uid: u32,
    /// The name, where there is one.
    pub name: Option<String>,
}

impl Owner {
    /// The user of this process.
    pub fn new(uid: u32) -> Self {
        Self { uid, name: account::name_of(uid) }
    }

    /// As a line of subuid(5) names the user.
    pub fn shown(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.uid.to_string())
    }

    /// Every range the user has.
    pub fn ranges(&self, kind: IdKind) -> Vec<SubidRange> {
        match (&self.name, served_elsewhere()) {
            (Some(name), true) => {
                let group = (kind == IdKind::Group).then_some("-g");
                let arguments: Vec<&str> = group.into_iter().chain([name.as_str()]).collect();
                served(&account::output("getsubids", &arguments).unwrap_or_default())
            }
            _ => self.listed(&fs::read_to_string(kind.file()).unwrap_or_default()),
        }
    }

    fn listed(&self, text: &str) -> Vec<SubidRange> {
        let uid = self.uid.to_string();
        let own = |line: &&str| {
            let name = line.split(':').next();
            name == Some(&uid) || (name.is_some() && name == self.name.as_deref())
        };
        let ranges = text.lines().filter(own).filter_map(|line| {
            let mut fields = line.split(':').skip(1);
            let ids = (fields.next()?.trim().parse().ok()?, fields.next()?.trim().parse().ok()?);
            fits(ids).then_some(ids)
        });
        ranges.collect()
    }
}

fn fits((first, count): SubidRange) -> bool {
    count > 0 && first.checked_add(count).is_some()
}

/// A line of getsubids(1): `0: alice 100000 65536`.
fn served(text: &str) -> Vec<SubidRange> {
    let ranges = text.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace().rev();
        let count = fields.next()?.parse().ok()?;
        Some((fields.next()?.parse().ok()?, count))
    });
    ranges.filter(|ids| fits(*ids)).collect()
}

/// Whether nsswitch.conf(5) has `subid:` served by something else than files.
fn served_elsewhere() -> bool {
    let text = fs::read_to_string("/etc/nsswitch.conf").unwrap_or_default();
    let services = text.lines().find_map(|line| line.strip_prefix("subid:"));
    services.is_some_and(|services| services.trim() != "files")
}

/// A line for a user who has none, behind the ids of all others.
pub fn line_to_add(owner: &Owner, kind: IdKind) -> String {
    let text = fs::read_to_string(kind.file()).unwrap_or_default();
    let ends = text.lines().filter_map(|line| {
        let mut fields = line.split(':').skip(1);
        let first: u32 = fields.next()?.parse().ok()?;
        first.checked_add(fields.next()?.trim().parse().ok()?)
    });
    let first = ends.max().unwrap_or_default().max(100_000);
    format!("{}:{first}:65536", owner.shown())
}

/// The program that writes the map, where it will be able to.
///
/// # Errors
/// What keeps it from that.
pub fn mapper(kind: IdKind) -> Result<PathBuf, String> {
    let name = kind.program();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(["/usr/bin".into(), "/bin".into()]);
    let program =
        dirs.filter(|dir| dir.is_absolute()).map(|dir| dir.join(name)).find(|place| place.is_file());
    let Some(program) = program else {
        return Err(format!("{name} is missing, of the package uidmap or shadow-utils"));
    };
    let set_user = fs::metadata(&program).is_ok_and(|meta| meta.uid() == 0 && meta.mode() & 0o4000 != 0);
    if !set_user && !sys::has_file_capabilities(&program) {
        return Err(format!("{} is not setuid root: chmod u+s", program.display()));
    }
    match no_new_rights(&program) {
        Some(why) => Err(format!("{} gains no rights here: {why}", program.display())),
        None => Ok(program),
    }
}

/// Why a setuid program would run without its rights: execve(2).
fn no_new_rights(program: &Path) -> Option<&'static str> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if field("NoNewPrivs:") == Some("1") {
        Some("no_new_privs is set")
    } else if field("TracerPid:").is_some_and(|pid| pid != "0") {
        Some("the process is traced")
    } else if nix::sys::statvfs::statvfs(program).is_ok_and(|vfs| vfs.flags().contains(FsFlags::ST_NOSUID)) {
        Some("it lies on a file system mounted nosuid")
    } else {
        None
    }
}

/// The ids that exist in the user namespace of now: the first field and the third of uid_map.
pub fn existing(kind: IdKind) -> Vec<SubidRange> {
    let text = fs::read_to_string(format!("/proc/self/{}", kind.map())).unwrap_or_default();
    let lines = text.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        Some((fields.next()?.parse().ok()?, fields.nth(1)?.parse().ok()?))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> Owner {
        Owner { uid: 1001, name: Some("alice".to_string()) }
    }

    #[test]
    fn ranges_are_found_by_name_and_by_number_and_all_of_them() {
        let text = "bob:1:1\nalice:100000:65536\n1001:300000:10\n10010:5:5\nalicette:7:7\nalice:400000:5\n";
        assert_eq!(alice().listed(text), [(100_000, 65_536), (300_000, 10), (400_000, 5)]);
    }

    #[test]
    fn damaged_lines_are_passed_over() {
        let text = "alice\nalice:\nalice:x:1\nalice:1:0\nalice:4294967295:2\n\nalice:9:1\n";
        assert_eq!(alice().listed(text), [(9, 1)]);
    }

    #[test]
    fn a_user_without_a_name_has_ranges_by_number() {
        let nobody = Owner { uid: 7, name: None };
        assert_eq!(nobody.listed("7:100:10\n:1:1\n"), [(100, 10)]);
    }

    #[test]
    fn getsubids_is_read() {
        assert_eq!(
            served("0: alice 100000 65536\n1: alice 5 6\nError fetching ranges\n"),
            [(100_000, 65_536), (5, 6)]
        );
    }
}

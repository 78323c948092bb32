//! Subordinate ids, which an ordinary user may map in a user namespace: subuid(5), subgid(5).

use std::fs;
use std::ops::Range;

use crate::idmap::{IdKind, SubidRange, inner_ids};
use crate::nss;

/// The user whose ids are looked up. Subordinate groups belong to a user, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    uid: u32,
    name: Option<String>,
}

impl Owner {
    /// The user with this id.
    pub fn new(uid: u32) -> Self {
        Self { uid, name: nss::account(uid).map(|account| account.name) }
    }

    /// All ranges of this user.
    pub fn ranges(&self, kind: IdKind) -> Vec<SubidRange> {
        match &self.name {
            Some(name) if has_other_source() => {
                let group = (kind == IdKind::Group).then_some("-g");
                let arguments: Vec<&str> = group.into_iter().chain([name.as_str()]).collect();
                parse_getsubids(&nss::output("getsubids", &arguments).unwrap_or_default())
            }
            _ => self.listed(&read(kind.subid_file())),
        }
    }

    fn listed(&self, text: &str) -> Vec<SubidRange> {
        let uid = self.uid.to_string();
        let is_own = |owner: &str| owner == uid || Some(owner) == self.name.as_deref();
        entries(text).filter(|(owner, _)| is_own(owner)).map(|(_, range)| range).collect()
    }

    /// A line for subuid(5), for a user without one: ids after those of all users.
    pub fn line_to_add(&self, kind: IdKind) -> String {
        let text = read(kind.subid_file());
        let first = entries(&text).map(|(_, range)| range.end()).max().unwrap_or_default().max(100_000);
        let owner = self.name.clone().unwrap_or_else(|| self.uid.to_string());
        format!("{owner}:{first}:65536")
    }
}

/// The subordinate ids of all users, in the file.
pub fn all(kind: IdKind) -> Vec<Range<u64>> {
    entries(&read(kind.subid_file())).map(|(_, range)| u64::from(range.first)..range.end()).collect()
}

/// The complete lines of subuid(5): `alice:100000:65536`.
fn entries(text: &str) -> impl Iterator<Item = (&str, SubidRange)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let owner = fields.next()?;
        let mut number = || fields.next()?.trim().parse().ok();
        Some((owner, SubidRange::new(number()?, number()?)?))
    })
}

/// The lines of getsubids(1): `0: alice 100000 65536`.
fn parse_getsubids(text: &str) -> Vec<SubidRange> {
    let ranges = text.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace().rev();
        let count = fields.next()?.parse().ok()?;
        SubidRange::new(fields.next()?.parse().ok()?, count)
    });
    ranges.collect()
}

/// Whether nsswitch.conf(5) has a source other than files for `subid:`.
fn has_other_source() -> bool {
    let text = read("/etc/nsswitch.conf");
    let services = text.lines().find_map(|line| line.strip_prefix("subid:"));
    services.is_some_and(|services| services.trim() != "files")
}

/// The ids that exist in the current user namespace.
pub fn existing(kind: IdKind) -> Vec<SubidRange> {
    let ids = inner_ids(&read(&format!("/proc/self/{}", kind.map_file()))).into_iter();
    ids.filter_map(|ids| SubidRange::new(ids.start.try_into().ok()?, (ids.end - ids.start).try_into().ok()?))
        .collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> Owner {
        Owner { uid: 1001, name: Some("alice".to_string()) }
    }

    fn ranges<const N: usize>(ranges: [(u32, u32); N]) -> Vec<SubidRange> {
        ranges.map(|(first, count)| SubidRange { first, count }).to_vec()
    }

    #[test]
    fn ranges_are_found_by_name_and_by_number_and_all_of_them() {
        let text = "bob:1:1\nalice:100000:65536\n1001:300000:10\n10010:5:5\nalicette:7:7\nalice:400000:5\n";
        assert_eq!(alice().listed(text), ranges([(100_000, 65_536), (300_000, 10), (400_000, 5)]));
    }

    #[test]
    fn damaged_lines_are_passed_over() {
        let text = "alice\nalice:\nalice:x:1\nalice:1:0\nalice:4294967295:2\n\nalice:9:1\n";
        assert_eq!(alice().listed(text), ranges([(9, 1)]));
    }

    #[test]
    fn a_user_without_a_name_has_ranges_by_number() {
        let nobody = Owner { uid: 7, name: None };
        assert_eq!(nobody.listed("7:100:10\n:1:1\n"), ranges([(100, 10)]));
    }

    #[test]
    fn getsubids_is_read() {
        let text = "0: alice 100000 65536\n1: alice 5 6\nError fetching ranges\n";
        assert_eq!(parse_getsubids(text), ranges([(100_000, 65_536), (5, 6)]));
    }
}

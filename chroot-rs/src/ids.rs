//! The users and groups that exist for the command: user_namespaces(7).

use std::ops::Range;

use system::idmap::inner_ids;

/// The ids of a user namespace. If /proc does not show them, every id counts as mapped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MappedIds {
    users: Option<Vec<Range<u64>>>,
    groups: Option<Vec<Range<u64>>>,
    pub setgroups_denied: bool,
    /// Whether the caller has no supplementary groups except its own. Read only if setgroups(2) is denied.
    pub has_no_groups: bool,
}

impl MappedIds {
    pub fn of_this_process() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let denied = read("/proc/self/setgroups").is_some_and(|word| word.trim() == "deny");
        Self {
            users: read("/proc/self/uid_map").map(|map| inner_ids(&map)),
            groups: read("/proc/self/gid_map").map(|map| inner_ids(&map)),
            setgroups_denied: denied,
            has_no_groups: denied && has_no_groups(),
        }
    }

    /// The ids of a namespace that maps only the caller, to 0.
    pub fn one() -> Self {
        let only = Some(std::iter::once(0..1).collect::<Vec<_>>());
        Self { users: only.clone(), groups: only, setgroups_denied: true, has_no_groups: has_no_groups() }
    }

    /// The ids of a namespace that maps only the caller, to its own id.
    pub fn only(uid: u32, gid: u32) -> Self {
        let one = |id: u32| Some(std::iter::once(id.into()..u64::from(id) + 1).collect::<Vec<_>>());
        Self { users: one(uid), groups: one(gid), setgroups_denied: true, has_no_groups: has_no_groups() }
    }

    /// The ids of a namespace that has all ids below `count`.
    pub fn below(count: u32) -> Self {
        let ids = || Some(std::iter::once(0..u64::from(count)).collect::<Vec<_>>());
        Self { users: ids(), groups: ids(), ..Self::default() }
    }

    pub fn has_user(&self, uid: u32) -> bool {
        has(self.users.as_deref(), uid)
    }

    pub fn has_group(&self, gid: u32) -> bool {
        has(self.groups.as_deref(), gid)
    }

    /// The same, if /proc shows it: a default does without a group that may not exist.
    pub fn shows_group(&self, gid: u32) -> bool {
        self.groups.is_some() && self.has_group(gid)
    }
}

fn has_no_groups() -> bool {
    let own = nix::unistd::getegid();
    nix::unistd::getgroups().is_ok_and(|groups| groups.iter().all(|group| *group == own))
}

fn has(map: Option<&[Range<u64>]>, id: u32) -> bool {
    map.is_none_or(|map| map.iter().any(|range| range.contains(&id.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_there_if_a_line_of_the_map_has_it() {
        let map = "         0       1000          1\n         1     100000      65535\n";
        let ids = MappedIds { users: Some(inner_ids(map)), ..MappedIds::default() };
        assert!(ids.has_user(0) && ids.has_user(65535) && !ids.has_user(65536));
        assert!(ids.has_group(5) && !ids.shows_group(5), "nothing is known of the groups");
    }

    #[test]
    fn alone_there_is_only_root() {
        assert!(MappedIds::one().has_user(0) && !MappedIds::one().has_group(5));
    }
}

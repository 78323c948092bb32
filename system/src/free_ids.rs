//! Ids that no account of the machine has, for a container whose root is not a user of the machine.

use std::fs;
use std::ops::Range;
use std::path::Path;

use crate::accounts::AccountFiles;
use crate::idmap::{IdKind, SubidRange, outer_ids};
use crate::{nss, subid};

/// How many ids a container gets: enough to include nobody, 65534.
pub const COUNT: u32 = 65_536;

/// The ids that systemd reserves for containers: <https://systemd.io/UIDS-GIDS/>. Each container starts at a
/// multiple of [`COUNT`].
const CONTAINERS: Range<u32> = 524_288..1_879_048_192;

/// The first [`COUNT`] ids that are free for users and for groups: no account has one, /etc/subuid and
/// /etc/subgid list none, and no process in /proc maps one. Two processes that search at the same time would
/// find the same ids, so the caller holds a lock until a process has mapped them.
pub fn find() -> Option<SubidRange> {
    let used: Vec<Range<u64>> = [IdKind::User, IdKind::Group]
        .into_iter()
        .flat_map(|kind| account_ids(kind).into_iter().chain(subid::all(kind)).chain(mapped_ids(kind)))
        .collect();
    let existing = [IdKind::User, IdKind::Group].map(subid::existing);
    CONTAINERS.step_by(COUNT as usize).filter_map(|first| SubidRange::new(first, COUNT)).find(|range| {
        let is_used = used.iter().any(|used| used.start < range.end() && u64::from(range.first) < used.end);
        let exists = existing.iter().all(|ids| ids.iter().any(|outer| outer.contains(*range)));
        exists
            && !is_used
            && ![IdKind::User, IdKind::Group].iter().any(|kind| nss::has_name(*kind, range.first))
    })
}

/// The ids of the accounts in /etc/passwd or /etc/group.
fn account_ids(kind: IdKind) -> Vec<Range<u64>> {
    let read = |file: &str| fs::read(file).unwrap_or_default();
    let ids = match kind {
        IdKind::User => AccountFiles::new(read("/etc/passwd"), Vec::new()).user_ids(),
        IdKind::Group => AccountFiles::new(read("/etc/passwd"), read("/etc/group")).group_ids(),
    };
    ids.into_iter().map(|id| u64::from(id)..u64::from(id) + 1).collect()
}

/// The ids that processes of other user namespaces have mapped, as this one sees them.
fn mapped_ids(kind: IdKind) -> Vec<Range<u64>> {
    let map_of = |process: &Path| fs::read_to_string(process.join(kind.map_file())).unwrap_or_default();
    let own = map_of(Path::new("/proc/self"));
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes =
        processes.filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit));
    let maps = processes.map(|entry| map_of(&entry.path()));
    // a process with our own map has reserved nothing, and that map contains the ids of the accounts
    maps.filter(|map| *map != own).flat_map(|map| outer_ids(&map)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_aligned_and_no_account_has_it() {
        let Some(range) = find() else { return };
        assert_eq!((range.first % COUNT, range.count), (0, COUNT));
        let taken = [IdKind::User, IdKind::Group].into_iter().flat_map(account_ids);
        assert!(!taken.into_iter().any(|ids| u64::from(range.first) < ids.end && ids.start < range.end()));
    }
}

//! The maps of a user namespace: user_namespaces(7).

use std::ops::Range;

/// What an id that is not mapped reads as, unless the machine has another number: /proc/sys/kernel/overflowuid.
pub const OVERFLOW_ID: u32 = 65534;

/// What a map maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdKind {
    /// Users.
    User,
    /// Groups.
    Group,
}

impl IdKind {
    /// Its name in messages.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }

    /// The file of the map in /proc/PID.
    pub const fn map_file(self) -> &'static str {
        match self {
            Self::User => "uid_map",
            Self::Group => "gid_map",
        }
    }

    /// The file of the subordinate ids: subuid(5), subgid(5).
    pub const fn subid_file(self) -> &'static str {
        match self {
            Self::User => "/etc/subuid",
            Self::Group => "/etc/subgid",
        }
    }
}

/// The ids of a map inside the namespace.
pub fn inner_ids(map: &str) -> Vec<Range<u64>> {
    lines(map).map(|[inside, _, count]| inside..inside.saturating_add(count)).collect()
}

/// The ids of a map outside the namespace.
pub fn outer_ids(map: &str) -> Vec<Range<u64>> {
    lines(map).map(|[_, outside, count]| outside..outside.saturating_add(count)).collect()
}

/// The id outside for an id inside.
pub fn outer_id(map: &str, inside: u32) -> Option<u32> {
    lines(map).find_map(|[from, to, count]| {
        let offset = u64::from(inside).checked_sub(from).filter(|offset| *offset < count)?;
        to.checked_add(offset)?.try_into().ok()
    })
}

/// The lines of a map: the first id inside, the first id outside, and the number of ids.
fn lines(map: &str) -> impl Iterator<Item = [u64; 3]> {
    map.lines().filter_map(|line| {
        let mut numbers = line.split_whitespace().map_while(|number| number.parse().ok());
        Some([numbers.next()?, numbers.next()?, numbers.next()?])
    })
}

/// Consecutive ids. The last one is below 4294967295, which is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubidRange {
    /// The first id.
    pub first: u32,
    /// The number of ids, at least one.
    pub count: u32,
}

impl SubidRange {
    /// A range, if it is not empty and all its numbers are ids.
    pub fn new(first: u32, count: u32) -> Option<Self> {
        (count > 0 && first.checked_add(count).is_some()).then_some(Self { first, count })
    }

    /// Whether this range contains all of the other.
    pub fn contains(self, other: Self) -> bool {
        self.first <= other.first && other.end() <= self.end()
    }

    /// The number after the last id.
    pub fn end(self) -> u64 {
        u64::from(self.first) + u64::from(self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_contains_those_that_end_with_it() {
        let [all, some] = [(0, u32::MAX), (5, 10)].map(|(first, count)| SubidRange { first, count });
        assert!(all.contains(all) && all.contains(some) && !some.contains(all));
    }

    #[test]
    fn an_id_inside_has_its_number_outside() {
        assert_eq!(outer_id("         0          0 4294967295\n", 0), Some(0));
        assert_eq!(outer_id("0 1000 1\n1 100000 65536\n", 0), Some(1000));
        assert_eq!(outer_id("0 1000 1\n1 100000 65536\n", 5), Some(100_004));
        assert_eq!(outer_id("", 0), None);
    }
}

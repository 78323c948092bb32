//! A map of ids: the ids in a new user namespace, and their ids outside.
//!
//! The kernel accepts a list of ranges that do not overlap, inside or outside: user_namespaces(7), "Defining
//! user and group ID mappings".

use std::fmt::{self, Display};

use system::idmap::SubidRange;

/// Consecutive ids: `inside`, `inside + 1` … are mapped to `outside`, `outside + 1` … outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// The first id inside.
    pub inside: u32,
    /// The first id outside.
    pub outside: u32,
    /// The number of ids.
    pub count: u32,
}

/// Ids outside to map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// Mapped to the range's ids inside.
    At(IdRange),
    /// Mapped to the ids inside that follow the previous block of this kind, from 0.
    Next(SubidRange),
}

/// Ranges that do not overlap; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdMap(Vec<IdRange>);

/// The first id, and the number after the last.
type Span = (u64, u64);

impl IdMap {
    /// A map of one id.
    pub fn one(inside: u32, outside: u32) -> Self {
        Self(vec![IdRange { inside, outside, count: 1 }])
    }

    /// A map of blocks and of a `single` id. A block that contains that id, inside or outside, is split
    /// around it, and can lose its last id.
    ///
    /// # Errors
    /// Names the id that is mapped twice.
    pub fn of_blocks(single: Option<(u32, u32)>, blocks: &[Block]) -> Result<Self, String> {
        let mut ranges: Vec<IdRange> = Vec::new();
        ranges.extend(single.map(|(inside, outside)| IdRange { inside, outside, count: 1 }));
        let mut next = 0;
        for block in blocks {
            let (inside, outside) = match *block {
                Block::At(IdRange { inside, outside, count }) => (span(inside, count), span(outside, count)),
                Block::Next(SubidRange { first, count }) => ((next, END), span(first, count)),
            };
            let pieces = pair(
                without(inside, single.map(|(inside, _)| inside)),
                without(outside, single.map(|(_, outside)| outside)),
            );
            if let (Block::Next(_), Some(last)) = (block, pieces.last()) {
                next = span(last.inside, last.count).1;
            }
            ranges.extend(pieces);
        }
        Self::checked(ranges)
    }

    fn checked(ranges: Vec<IdRange>) -> Result<Self, String> {
        for (number, range) in ranges.iter().enumerate() {
            for before in ranges.iter().take(number) {
                let sides =
                    [("inside", range.inside, before.inside), ("outside", range.outside, before.outside)];
                for (side, first, other) in sides {
                    if let Some(id) = shared(span(first, range.count), span(other, before.count)) {
                        return Err(format!("id {id} {side} is mapped twice"));
                    }
                }
            }
        }
        if ranges.is_empty() { Err("there is no id to map".to_string()) } else { Ok(Self(ranges)) }
    }
}

/// As in /proc/PID/uid_map, and in newuidmap(1)'s arguments.
impl Display for IdMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, IdRange { inside, outside, count }) in self.0.iter().enumerate() {
            let newline = if number == 0 { "" } else { "\n" };
            write!(f, "{newline}{inside} {outside} {count}")?;
        }
        Ok(())
    }
}

/// 4294967295 is not an id: in setresuid(2) it means "no change".
const END: u64 = u32::MAX as u64;

fn span(first: u32, count: u32) -> Span {
    (first.into(), u64::from(first) + u64::from(count))
}

fn without((first, end): Span, hole: Option<u32>) -> Vec<Span> {
    match hole.map(u64::from) {
        Some(hole) if first <= hole && hole < end => {
            [(first, hole), (hole + 1, end)].into_iter().filter(|(first, end)| first < end).collect()
        }
        _ => vec![(first, end)],
    }
}

fn shared(one: Span, other: Span) -> Option<u64> {
    let first = one.0.max(other.0);
    (first < one.1.min(other.1)).then_some(first)
}

/// Maps the ids inside to those outside, in order, until one side runs out.
fn pair(mut inside: Vec<Span>, mut outside: Vec<Span>) -> Vec<IdRange> {
    let mut ranges = Vec::new();
    while let (Some(within), Some(without)) = (inside.first_mut(), outside.first_mut()) {
        let count = (within.1 - within.0).min(without.1 - without.0);
        // ids and counts start as u32 and only get smaller
        if let (Ok(inside), Ok(outside), Ok(count)) =
            (within.0.try_into(), without.0.try_into(), count.try_into())
            && count > 0
        {
            ranges.push(IdRange { inside, outside, count });
        }
        within.0 += count;
        without.0 += count;
        inside.retain(|(first, end)| first < end);
        outside.retain(|(first, end)| first < end);
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(inside: u32, outside: u32, count: u32) -> Block {
        Block::At(IdRange { inside, outside, count })
    }

    fn next(outside: u32, count: u32) -> Block {
        Block::Next(SubidRange { first: outside, count })
    }

    fn map(single: Option<(u32, u32)>, blocks: &[Block]) -> String {
        IdMap::of_blocks(single, blocks).unwrap().to_string().replace('\n', ", ")
    }

    #[test]
    fn every_range_of_a_user_follows_the_single_id() {
        let blocks = [next(100_000, 65_536), next(300_000, 10)];
        assert_eq!(map(Some((0, 1000)), &blocks), "0 1000 1, 1 100000 65536, 65537 300000 10");
    }

    #[test]
    fn ranges_split_around_a_single_id_inside() {
        assert_eq!(
            map(Some((1000, 1000)), &[next(100_000, 65_536)]),
            "1000 1000 1, 0 100000 1000, 1001 101000 64536"
        );
    }

    #[test]
    fn a_named_range_loses_its_last_id_to_a_single_one() {
        assert_eq!(map(Some((5, 1000)), &[at(0, 100_000, 10)]), "5 1000 1, 0 100000 5, 6 100005 4");
        assert_eq!(map(Some((0, 1000)), &[at(0, 100_000, 10)]), "0 1000 1, 1 100000 9");
    }

    #[test]
    fn a_single_id_may_lie_in_a_range_on_both_sides() {
        assert_eq!(map(Some((3, 105)), &[at(0, 100, 10)]), "3 105 1, 0 100 3, 4 103 2, 6 106 4");
        assert_eq!(map(Some((5, 105)), &[at(0, 100, 10)]), "5 105 1, 0 100 5, 6 106 4");
    }

    #[test]
    fn a_range_next_to_a_single_id_stays_whole() {
        assert_eq!(map(Some((10, 1000)), &[at(0, 100_000, 10)]), "10 1000 1, 0 100000 10");
    }

    #[test]
    fn what_overlaps_is_refused() {
        let twice = IdMap::of_blocks(None, &[at(0, 100, 10), at(9, 200, 10)]);
        assert_eq!(twice, Err("id 9 inside is mapped twice".to_string()));
        let twice = IdMap::of_blocks(None, &[at(0, 100, 10), at(20, 105, 1)]);
        assert_eq!(twice, Err("id 105 outside is mapped twice".to_string()));
    }

    #[test]
    fn the_highest_ids_do_not_overflow() {
        assert_eq!(map(None, &[at(0, 0, u32::MAX)]), "0 0 4294967295");
    }
}

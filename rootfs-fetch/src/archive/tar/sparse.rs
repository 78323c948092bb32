//! The map of a file with holes: the parts of it that the archive stores.

use crate::archive::tar::header::BLOCK;
use crate::archive::tar::number::{decimal, number};
use crate::failure::{Failure, Result};

/// The maximum number of segments; longer maps only exhaust memory.
pub const MAX_SEGMENTS: usize = 1 << 18;

/// A part of a file that is not a hole, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Start.
    pub offset: u64,
    /// Length.
    pub length: u64,
}

/// Where the stored bytes of a sparse file belong: sorted, non-overlapping segments inside the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    segments: Vec<Segment>,
    size: u64,
}

impl Map {
    /// Checks a map against the size of the file and the number of stored bytes.
    ///
    /// # Errors
    /// Damaged, if segments overlap, overflow, exceed the file, or do not add up.
    pub fn new(segments: Vec<Segment>, size: u64, stored: u64) -> Result<Self> {
        let wrong = |why| Failure::damaged(format_args!("the map of a sparse file {why}"));
        let mut end = 0_u64;
        let mut sum = 0_u64;
        for segment in &segments {
            if segment.offset < end {
                return Err(wrong("is out of order"));
            }
            end = segment.offset.checked_add(segment.length).ok_or_else(|| wrong("overflows"))?;
            sum = sum.checked_add(segment.length).ok_or_else(|| wrong("overflows"))?;
        }
        if end > size || i64::try_from(size).is_err() {
            return Err(wrong("exceeds the file"));
        }
        if sum != stored {
            return Err(wrong("does not fit its contents"));
        }
        Ok(Self { segments, size })
    }

    /// The segments, in the order of the stored bytes.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The size of the file, holes included.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// Where a header of type `S`, or an extension block, has its part of the map.
#[derive(Debug)]
pub struct Layout {
    segments: usize,
    count: usize,
    more: usize,
    real_size: usize,
}

/// GNU tar's header before pax.
pub const OLD_GNU: Layout = Layout { segments: 386, count: 4, more: 482, real_size: 483 };
/// star's: xstar.
pub const STAR: Layout = Layout { segments: 356, count: 4, more: 355, real_size: 452 };
/// An extension block of either format.
pub const EXTENSION: Layout = Layout { segments: 0, count: 21, more: 504, real_size: 0 };

/// Adds the segments of a block; returns whether another block follows.
///
/// # Errors
/// Damaged, for a malformed number.
pub fn segments(block: &[u8; BLOCK], layout: &Layout, segments: &mut Vec<Segment>) -> Result<bool> {
    let slots = block.get(layout.segments..).unwrap_or_default().chunks_exact(24);
    for slot in slots.take(layout.count) {
        let (offset, length) = slot.split_at(12);
        if length.first() == Some(&0) {
            break;
        }
        segments.push(Segment { offset: unsigned(offset)?, length: unsigned(length)? });
    }
    if segments.len() > MAX_SEGMENTS {
        return Err(too_long());
    }
    // a flag, or a digit used as one
    Ok(block.get(layout.more).is_some_and(|&flag| flag != 0 && flag != b'0'))
}

/// The size of the file, holes included.
///
/// # Errors
/// Damaged, for a malformed number.
pub fn real_size(block: &[u8; BLOCK], layout: &Layout) -> Result<u64> {
    unsigned(block.get(layout.real_size..layout.real_size + 12).unwrap_or_default())
}

fn unsigned(field: &[u8]) -> Result<u64> {
    let value = number(field).ok().and_then(|value| u64::try_from(value).ok());
    value.ok_or_else(|| Failure::damaged("the map of a sparse file has a malformed number"))
}

fn too_long() -> Failure {
    Failure::damaged(format_args!("the map of a sparse file has more than {MAX_SEGMENTS} parts"))
}

/// Reads the map before the contents in version 1.0: lines of decimal numbers.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
    expected: Option<usize>,
    numbers: Vec<u64>,
}

impl Lines {
    /// Reads one block; returns whether the map is complete.
    ///
    /// # Errors
    /// Damaged, for a line that is not a number, or for too many.
    pub fn block(&mut self, block: &[u8; BLOCK]) -> Result<bool> {
        for &byte in block {
            if self.complete() {
                break;
            }
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let value = decimal(&self.line)
                .ok_or_else(|| Failure::damaged("the map of a sparse file has a malformed number"))?;
            self.line.clear();
            if self.expected.is_none() {
                let count = usize::try_from(value).ok().filter(|&count| count <= MAX_SEGMENTS);
                self.expected = Some(count.ok_or_else(too_long)?);
            } else {
                self.numbers.push(value);
            }
        }
        if self.line.len() > BLOCK {
            return Err(Failure::damaged("the map of a sparse file has a malformed number"));
        }
        Ok(self.complete())
    }

    fn complete(&self) -> bool {
        self.expected.is_some_and(|count| self.numbers.len() == 2 * count)
    }

    /// The map.
    pub fn segments(&self) -> Vec<Segment> {
        let pairs = self.numbers.chunks_exact(2);
        pairs.filter_map(|pair| Some(Segment { offset: *pair.first()?, length: *pair.get(1)? })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(parts: &[(u64, u64)], size: u64, stored: u64) -> Result<Map> {
        Map::new(parts.iter().map(|&(offset, length)| Segment { offset, length }).collect(), size, stored)
    }

    #[test]
    fn a_map_in_order_that_adds_up_is_taken() {
        assert!(map(&[(0, 512), (1024, 0), (4096, 100)], 8192, 612).is_ok());
        assert!(map(&[], 1 << 40, 0).is_ok());
    }

    #[test]
    fn a_map_that_overlaps_overflows_or_leaves_the_file_is_refused() {
        assert!(map(&[(0, 512), (256, 512)], 8192, 1024).is_err());
        assert!(map(&[(u64::MAX, 2)], u64::MAX, 2).is_err());
        assert!(map(&[(0, 512)], 100, 512).is_err());
        assert!(map(&[(0, 512)], 1024, 100).is_err());
    }

    #[test]
    fn the_lines_of_version_1_0_end_where_their_count_says() {
        let mut block = [0_u8; BLOCK];
        block[..10].copy_from_slice(b"2\n0\n1\n4\n5\n");
        let mut lines = Lines::default();
        assert!(lines.block(&block).expect("well formed"));
        assert_eq!(lines.segments(), [Segment { offset: 0, length: 1 }, Segment { offset: 4, length: 5 }]);
    }
}

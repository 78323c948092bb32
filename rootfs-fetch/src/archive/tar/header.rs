//! The 512-byte header: v7, ustar, star and old GNU.

use crate::archive::tar::number::number;
use crate::failure::{Failure, Result};

/// The unit of the format, in bytes.
pub const BLOCK: usize = 512;

/// The layout of the fields after the first 257 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Before POSIX: nothing.
    V7,
    /// POSIX: a prefix of the name.
    Ustar,
    /// star: a shorter prefix, and times after it.
    Star,
    /// GNU before pax: times and a sparse map.
    Gnu,
}

/// A header block with a valid checksum.
#[derive(Debug)]
pub struct Header<'a> {
    block: &'a [u8; BLOCK],
    format: Format,
}

impl<'a> Header<'a> {
    /// Checks a block.
    ///
    /// # Errors
    /// Damaged, if the checksum is wrong.
    pub fn new(block: &'a [u8; BLOCK]) -> Result<Self> {
        if !is_header(block) {
            return Err(Failure::damaged("the checksum of a header is wrong"));
        }
        let format = match (&block[257..263], &block[508..512]) {
            (b"ustar\0", b"tar\0") => Format::Star,
            (b"ustar\0", _) => Format::Ustar,
            (b"ustar ", _) => Format::Gnu,
            _ => Format::V7,
        };
        Ok(Self { block, format })
    }

    /// The layout of the header.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The type of the entry, one character.
    pub fn typeflag(&self) -> u8 {
        self.block[156]
    }

    /// The name, including a prefix.
    pub fn name(&self) -> Vec<u8> {
        let prefix = match self.format {
            Format::Ustar => text(&self.block[345..500]),
            // with a map of holes, the field has room for one byte
            Format::Star if self.typeflag() == b'S' => text(&self.block[345..346]),
            Format::Star => text(&self.block[345..476]),
            Format::Gnu => self.prefix_of_old_go(),
            Format::V7 => b"",
        };
        let name = text(&self.block[..100]);
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    /// Go before 1.8 wrote a prefix into GNU headers, in place of the times. It is a prefix if it cannot be
    /// read as times and is ASCII.
    ///
    /// # Source
    /// Go's archive/tar, reader.go, as containerd and docker read layers.
    fn prefix_of_old_go(&self) -> &'a [u8] {
        let are_times = [345..357, 357..369]
            .into_iter()
            .all(|range| self.block.get(range).is_some_and(|field| number(field).is_ok()));
        let prefix = text(&self.block[345..500]);
        if are_times || !prefix.is_ascii() { b"" } else { prefix }
    }

    /// The name a link points to.
    pub fn linkname(&self) -> &'a [u8] {
        text(&self.block[157..257])
    }

    /// Permission bits.
    ///
    /// # Errors
    /// Damaged, as with every number here.
    pub fn mode(&self) -> Result<u32> {
        // the type is in typeflag; some writers repeat it here
        Ok((self.field(100..108, "mode")? & 0o7777) as u32)
    }

    /// The owner.
    pub fn uid(&self) -> Result<i64> {
        self.field(108..116, "owner")
    }

    /// The group.
    pub fn gid(&self) -> Result<i64> {
        self.field(116..124, "group")
    }

    /// Bytes that follow.
    pub fn size(&self) -> Result<u64> {
        u64::try_from(self.field(124..136, "size")?)
            .map_err(|_| Failure::damaged("an entry has a negative size"))
    }

    /// Seconds since 1970.
    pub fn mtime(&self) -> Result<i64> {
        self.field(136..148, "time")
    }

    /// Major and minor number of a device.
    pub fn device(&self) -> Result<(u32, u32)> {
        let part = |range, what| {
            let value = self.field(range, what)?;
            u32::try_from(value).map_err(|_| Failure::damaged("a device number is out of range"))
        };
        if self.format == Format::V7 {
            return Ok((0, 0));
        }
        Ok((part(329..337, "major number")?, part(337..345, "minor number")?))
    }

    /// The whole block, for fields that only one format has.
    pub fn block(&self) -> &'a [u8; BLOCK] {
        self.block
    }

    fn field(&self, range: std::ops::Range<usize>, what: &str) -> Result<i64> {
        let bytes = self.block.get(range).unwrap_or_default();
        number(bytes).map_err(|wrong| Failure::damaged(format_args!("the {what} in a header {wrong}")))
    }
}

/// Whether the checksum of a block is right, which distinguishes a header from other data.
pub fn is_header(block: &[u8; BLOCK]) -> bool {
    let stored = number(&block[148..156]);
    let spaces = 8 * i64::from(b' ');
    let (head, tail) = (&block[..148], &block[156..]);
    let unsigned: i64 = head.iter().chain(tail).map(|&byte| i64::from(byte)).sum();
    // some old writers summed signed characters
    let signed: i64 = head.iter().chain(tail).map(|&byte| i64::from(byte.cast_signed())).sum();
    matches!(stored, Ok(sum) if sum == unsigned + spaces || sum == signed + spaces)
}

/// A field up to its first NUL.
pub fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_checksum_is_noticed() {
        let mut block = [0_u8; BLOCK];
        block[0] = b'a';
        block[148..156].copy_from_slice(b"000000\0 ");
        assert!(Header::new(&block).is_err());
        let sum = u32::from(b'a') + 8 * 32;
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert_eq!(Header::new(&block).expect("right sum").format(), Format::V7);
    }
}

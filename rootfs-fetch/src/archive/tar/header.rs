// SPDX-License-Identifier: MIT OR Apache-2.0
//! The 512-byte header: v7, ustar, star and old GNU.

use crate::archive::tar::BLOCK;
use crate::failure::{Failure, Result};

/// Which fields after the first 257 bytes mean what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Before POSIX: nothing there.
    V7,
    /// POSIX: a prefix of the name.
    Ustar,
    /// Jörg Schilling's: a shorter prefix, times after it.
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
    /// Damaged, if the checksum is not the block's.
    pub fn new(block: &'a [u8; BLOCK]) -> Result<Self> {
        let stored = number(&block[148..156]);
        let spaces = 8 * i64::from(b' ');
        let (head, tail) = (&block[..148], &block[156..]);
        let unsigned: i64 = head.iter().chain(tail).map(|&byte| i64::from(byte)).sum();
        // some old writers summed signed characters
        let signed: i64 = head.iter().chain(tail).map(|&byte| i64::from(byte.cast_signed())).sum();
        if !matches!(stored, Ok(sum) if sum == unsigned + spaces || sum == signed + spaces) {
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

    /// Which layout the header has.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The type of the entry, one character.
    pub fn typeflag(&self) -> u8 {
        self.block[156]
    }

    /// The name, with the prefix some formats have.
    pub fn name(&self) -> Vec<u8> {
        let prefix = match self.format {
            Format::Ustar => text(&self.block[345..500]),
            Format::Star => text(&self.block[345..476]),
            Format::V7 | Format::Gnu => b"",
        };
        let name = text(&self.block[..100]);
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
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
        // the type of the file stands in typeflag; some writers repeat it here
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

    /// The whole block, for what only one format has.
    pub fn block(&self) -> &'a [u8; BLOCK] {
        self.block
    }

    fn field(&self, range: std::ops::Range<usize>, what: &str) -> Result<i64> {
        let bytes = self.block.get(range).unwrap_or_default();
        number(bytes).map_err(|wrong| Failure::damaged(format_args!("the {what} in a header {wrong}")))
    }
}

/// A field up to its first NUL.
pub fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// A number: octal digits between spaces and NULs, or base 256 as GNU and star write it.
pub fn number(field: &[u8]) -> std::result::Result<i64, &'static str> {
    match field.first() {
        Some(&first) if first & 0x80 != 0 => base256(field),
        _ => octal(field),
    }
}

/// Two's complement, big endian, after the marking top bit.
fn base256(field: &[u8]) -> std::result::Result<i64, &'static str> {
    let negative = field.first().is_some_and(|first| first & 0x40 != 0);
    let mut value: i128 = if negative { -1 } else { 0 };
    for (at, &byte) in field.iter().enumerate() {
        let byte = match (at, negative) {
            (0, true) => byte | 0x80,
            (0, false) => byte & 0x7f,
            _ => byte,
        };
        // 12 bytes at most, so 96 bits: no overflow here
        value = (value << 8) | i128::from(byte);
    }
    i64::try_from(value).map_err(|_| "is out of range")
}

fn octal(field: &[u8]) -> std::result::Result<i64, &'static str> {
    let digits = field.iter().skip_while(|&&byte| byte == b' ' || byte == 0);
    let mut value: i64 = 0;
    for &byte in digits {
        match byte {
            // 12 digits at most, so 36 bits
            b'0'..=b'7' => value = value * 8 + i64::from(byte - b'0'),
            b' ' | 0 => break,
            _ => return Err("is not a number"),
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_numbers_may_be_padded_either_way() {
        assert_eq!(number(b"0000755\0"), Ok(0o755));
        assert_eq!(number(b"   755 \0"), Ok(0o755));
        assert_eq!(number(b"\0\0\0\0"), Ok(0));
        assert_eq!(number(b"777777777777"), Ok(0o777_777_777_777));
        assert!(number(b"12x\0").is_err());
        assert!(number(b"-1\0").is_err());
    }

    #[test]
    fn base_256_reaches_beyond_octal_and_below_zero() {
        assert_eq!(number(&[0x80, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]), Ok(2 << 56));
        assert_eq!(number(&[0xff; 12]), Ok(-1));
        assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]), Ok(-2));
    }

    #[test]
    fn a_number_that_does_not_fit_is_an_error_and_never_wraps() {
        assert_eq!(number(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), Err("is out of range"));
        assert_eq!(number(&[0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]), Err("is out of range"));
    }

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

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an ELF file asks for before it can run, read from the file and never by running it.
//!
//! # Source
//! elf(5), and the ELF specification's "Dynamic Section".

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;

const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_STRSZ: u64 = 10;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;

/// Tables larger than this are not those of a program.
const MAX_TABLE_BYTES: u64 = 16 << 20;
const MAX_SEGMENTS: u64 = 4096;

/// Reads `length` bytes at an offset of the file, or fewer at its end.
pub type ReadAt<'a> = &'a dyn Fn(u64, usize) -> Vec<u8>;

/// The kind of machine a file is for: two files with different ones never mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    wide: bool,
    big_endian: bool,
    number: u16,
}

/// What an ELF file asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    /// What it is made for.
    pub machine: Machine,
    /// The loader, if it needs one.
    pub interpreter: Option<OsString>,
    /// The libraries, by name.
    pub needed: Vec<OsString>,
    /// DT_RPATH: where to look for them, and for theirs.
    pub rpath: Option<OsString>,
    /// DT_RUNPATH: where to look for them.
    pub runpath: Option<OsString>,
}

impl Elf {
    /// Reads the headers; nothing for what is not a well-formed ELF file.
    pub fn read(read: ReadAt<'_>) -> Option<Self> {
        let head = read(0, 64);
        if head.get(..4)? != b"\x7fELF" {
            return None;
        }
        let wide = match *head.get(4)? {
            1 => false,
            2 => true,
            _ => return None,
        };
        let big_endian = match *head.get(5)? {
            1 => false,
            2 => true,
            _ => return None,
        };
        let fields = Fields { wide, big_endian };
        let number = u16::try_from(fields.number(&head, 18, 2)?).ok()?;
        let segments = fields.segments(&head, read)?;
        let interpreter = match segments.iter().find(|segment| segment.kind == PT_INTERP) {
            Some(segment) => Some(string(&segment.bytes(read)?, 0)?),
            None => None,
        };
        let mut elf = Self {
            machine: Machine { wide, big_endian, number },
            interpreter,
            needed: Vec::new(),
            rpath: None,
            runpath: None,
        };
        if let Some(dynamic) = segments.iter().find(|segment| segment.kind == PT_DYNAMIC) {
            elf.dynamic(fields, &dynamic.bytes(read)?, &segments, read)?;
        }
        Some(elf)
    }

    fn dynamic(
        &mut self,
        fields: Fields,
        table: &[u8],
        segments: &[Segment],
        read: ReadAt<'_>,
    ) -> Option<()> {
        let word = fields.word();
        let entries: Vec<(u64, u64)> = table
            .chunks_exact(2 * word)
            .filter_map(|entry| Some((fields.number(entry, 0, word)?, fields.number(entry, word, word)?)))
            .take_while(|&(tag, _)| tag != 0)
            .collect();
        let value = |wanted| entries.iter().find(|&&(tag, _)| tag == wanted).map(|&(_, value)| value);
        let (Some(address), Some(size)) = (value(DT_STRTAB), value(DT_STRSZ)) else { return Some(()) };
        let load = segments.iter().find(|segment| segment.kind == PT_LOAD && segment.holds(address))?;
        let offset = load.offset.checked_add(address - load.address)?;
        let length = usize::try_from(size).ok().filter(|_| size <= MAX_TABLE_BYTES)?;
        let strings = read(offset, length);
        for &(tag, value) in &entries {
            match tag {
                DT_NEEDED => self.needed.push(string(&strings, value)?),
                DT_RPATH => self.rpath = Some(string(&strings, value)?),
                DT_RUNPATH => self.runpath = Some(string(&strings, value)?),
                _ => {}
            }
        }
        Some(())
    }
}

/// How numbers are written in this file.
#[derive(Clone, Copy)]
struct Fields {
    wide: bool,
    big_endian: bool,
}

impl Fields {
    fn word(self) -> usize {
        if self.wide { 8 } else { 4 }
    }

    fn number(self, bytes: &[u8], at: usize, length: usize) -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(length)?)?;
        let add = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
        Some(if self.big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
    }

    fn segments(self, head: &[u8], read: ReadAt<'_>) -> Option<Vec<Segment>> {
        let word = self.word();
        // e_phoff, e_phentsize and e_phnum stand elsewhere in the two classes
        let (phoff, phentsize, phnum) = if self.wide { (32, 54, 56) } else { (28, 42, 44) };
        let offset = self.number(head, phoff, word)?;
        let size = usize::try_from(self.number(head, phentsize, 2)?).ok()?;
        let count = self.number(head, phnum, 2)?;
        if size < 32 || count > MAX_SEGMENTS {
            return None;
        }
        let length = size.checked_mul(usize::try_from(count).ok()?)?;
        let table = read(offset, length);
        if table.len() < length {
            return None;
        }
        let (at_offset, at_address, at_length) = if self.wide { (8, 16, 32) } else { (4, 8, 16) };
        table
            .chunks_exact(size)
            .map(|entry| {
                Some(Segment {
                    kind: self.number(entry, 0, 4)?,
                    offset: self.number(entry, at_offset, word)?,
                    address: self.number(entry, at_address, word)?,
                    length: self.number(entry, at_length, word)?,
                })
            })
            .collect()
    }
}

struct Segment {
    kind: u64,
    offset: u64,
    address: u64,
    length: u64,
}

impl Segment {
    fn holds(&self, address: u64) -> bool {
        address.checked_sub(self.address).is_some_and(|into| into < self.length)
    }

    fn bytes(&self, read: ReadAt<'_>) -> Option<Vec<u8>> {
        let length = usize::try_from(self.length).ok().filter(|_| self.length <= MAX_TABLE_BYTES)?;
        Some(read(self.offset, length))
    }
}

/// The NUL-terminated string at an offset of a table.
fn string(table: &[u8], at: u64) -> Option<OsString> {
    let rest = table.get(usize::try_from(at).ok()?..)?;
    let end = rest.iter().position(|&byte| byte == 0)?;
    Some(OsString::from_vec(rest.get(..end)?.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &[u8]) -> Option<Elf> {
        Elf::read(&|offset, length| {
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(data.len());
            data[from..from.saturating_add(length).min(data.len())].to_vec()
        })
    }

    #[test]
    fn our_own_program_is_an_elf_file_of_this_machine() {
        let data = std::fs::read("/proc/self/exe").expect("our own file");
        let elf = read(&data).expect("well formed");
        assert_eq!(elf.machine.wide, cfg!(target_pointer_width = "64"));
    }

    #[test]
    fn what_is_cut_short_or_is_no_elf_file_is_nothing() {
        assert_eq!(read(b"#!/bin/sh\n"), None);
        assert_eq!(read(b""), None);
        let data = std::fs::read("/proc/self/exe").expect("our own file");
        for length in [4, 5, 6, 19, 63] {
            assert_eq!(read(&data[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn no_change_of_one_byte_in_the_headers_can_make_it_panic() {
        let mut data = std::fs::read("/proc/self/exe").expect("our own file");
        data.truncate(4096);
        for at in 0..512 {
            for bit in 0..8 {
                data[at] ^= 1 << bit;
                let _ = read(&data);
                data[at] ^= 1 << bit;
            }
        }
    }
}

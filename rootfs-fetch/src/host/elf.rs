//! What an ELF file needs before it can run, read from its headers.
//!
//! # Source
//! elf(5), and the ELF specification's "Dynamic Section".

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::StringTable;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, FileKind, ReadRef};

/// The machine of an ELF file. A program and its libraries have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    is_64_bit: bool,
    is_big_endian: bool,
    number: u16,
}

/// What an ELF file needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    /// The machine.
    pub machine: Machine,
    /// The path of the loader, if the program is dynamic.
    pub interpreter: Option<OsString>,
    /// The names of the libraries.
    pub needed: Vec<OsString>,
    /// DT_RPATH: the search path for its libraries, and for theirs.
    pub rpath: Option<OsString>,
    /// DT_RUNPATH: the search path for its libraries.
    pub runpath: Option<OsString>,
}

impl Elf {
    /// Reads the headers; None for a file that is not well-formed ELF.
    pub fn read<'a>(data: impl ReadRef<'a>) -> Option<Self> {
        match FileKind::parse(data).ok()? {
            FileKind::Elf32 => Self::read_class::<FileHeader32<Endianness>>(data),
            FileKind::Elf64 => Self::read_class::<FileHeader64<Endianness>>(data),
            _ => None,
        }
    }

    fn read_class<'a, H: FileHeader<Endian = Endianness>>(data: impl ReadRef<'a>) -> Option<Self> {
        let header = H::parse(data).ok()?;
        let endian = header.endian().ok()?;
        let segments = header.program_headers(endian, data).ok()?;
        let find = |kind| segments.iter().find(|segment| segment.p_type(endian) == kind);
        let interpreter = match find(elf::PT_INTERP) {
            Some(segment) => segment.interpreter(endian, data).ok()?.map(os_string),
            None => None,
        };
        let number = header.e_machine(endian).0;
        let machine =
            Machine { is_64_bit: header.is_class_64(), is_big_endian: endian == Endianness::Big, number };
        let mut elf = Self { machine, interpreter, needed: Vec::new(), rpath: None, runpath: None };
        if let Some(segment) = find(elf::PT_DYNAMIC) {
            elf.read_dynamic::<H>(endian, segments, segment.dynamic(endian, data).ok()??, data)?;
        }
        Some(elf)
    }

    fn read_dynamic<'a, H: FileHeader<Endian = Endianness>>(
        &mut self,
        endian: Endianness,
        segments: &[H::ProgramHeader],
        entries: &[H::Dyn],
        data: impl ReadRef<'a>,
    ) -> Option<()> {
        let entries = || {
            let all = entries.iter().map(|entry| (entry.tag(endian), entry.val(endian)));
            all.take_while(|&(tag, _)| tag != elf::DT_NULL)
        };
        let value = |wanted| entries().find(|&(tag, _)| tag == wanted).map(|(_, value)| value);
        let (Some(address), Some(size)) = (value(elf::DT_STRTAB), value(elf::DT_STRSZ)) else {
            return Some(());
        };
        // the table's address in memory, as an offset in the file
        let start =
            segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD).find_map(|load| {
                let distance = address.checked_sub(load.p_vaddr(endian).into())?;
                (distance < load.p_filesz(endian).into())
                    .then_some(distance)?
                    .checked_add(load.p_offset(endian).into())
            })?;
        let table = StringTable::new(data, start, start.checked_add(size)?);
        let string = |at: u64| Some(os_string(table.get(u32::try_from(at).ok()?).ok()?));
        for (tag, value) in entries() {
            match tag {
                elf::DT_NEEDED => self.needed.push(string(value)?),
                elf::DT_RPATH => self.rpath = Some(string(value)?),
                elf::DT_RUNPATH => self.runpath = Some(string(value)?),
                _ => {}
            }
        }
        Some(())
    }
}

fn os_string(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_program_is_an_elf_file_of_this_machine() {
        let data = std::fs::read("/proc/self/exe").expect("our own file");
        let elf = Elf::read(data.as_slice()).expect("well formed");
        assert_eq!(elf.machine.is_64_bit, cfg!(target_pointer_width = "64"));
    }

    #[test]
    fn what_is_cut_short_or_is_no_elf_file_is_nothing() {
        assert_eq!(Elf::read(&b"#!/bin/sh\n"[..]), None);
        assert_eq!(Elf::read(&b""[..]), None);
        let data = std::fs::read("/proc/self/exe").expect("our own file");
        for length in [4, 5, 6, 19, 63] {
            assert_eq!(Elf::read(&data[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn no_change_of_one_byte_in_the_headers_can_make_it_panic() {
        let mut data = std::fs::read("/proc/self/exe").expect("our own file");
        data.truncate(4096);
        for at in 0..512 {
            for bit in 0..8 {
                data[at] ^= 1 << bit;
                let _ = Elf::read(data.as_slice());
                data[at] ^= 1 << bit;
            }
        }
    }
}

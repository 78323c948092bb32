//! The head of an ELF file: the machine it is for, and the loader it needs. elf(5)
//!
//! Written by hand: a library would cost a short-lived program more than these lines.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStringExt as _;

/// e_machine, if the head is long enough.
pub fn machine(head: &[u8]) -> Option<u16> {
    half(head, 18)
}

/// The loader that a program names: PT_INTERP. `head` is its first 64 bytes or more.
pub fn interpreter(file: &mut File, head: &[u8]) -> Option<OsString> {
    let wide = *head.get(4)? == 2;
    let (table, entry_size, count) = if wide {
        (word(head, 32, 8)?, half(head, 54)?, half(head, 56)?)
    } else {
        (word(head, 28, 4)?, half(head, 42)?, half(head, 44)?)
    };
    for number in 0..u64::from(count) {
        file.seek(SeekFrom::Start(table.checked_add(number * u64::from(entry_size))?)).ok()?;
        let mut entry = [0; 56];
        file.read_exact(entry.get_mut(..usize::from(entry_size).min(56))?).ok()?;
        // PT_INTERP
        if word(&entry, 0, 4)? == 3 {
            let (offset, size) = if wide {
                (word(&entry, 8, 8)?, word(&entry, 32, 8)?)
            } else {
                (word(&entry, 4, 4)?, word(&entry, 16, 4)?)
            };
            file.seek(SeekFrom::Start(offset)).ok()?;
            let mut name = Vec::new();
            // PATH_MAX: no loader has a longer name
            file.take(size.min(4096)).read_to_end(&mut name).ok()?;
            name.retain(|byte| *byte != 0);
            return Some(OsString::from_vec(name));
        }
    }
    None
}

/// A field of an ELF file in this machine's byte order. In the other byte order it returns a wrong number,
/// which is only looked up in a table.
fn word(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let mut wide = [0; 8];
    let field = bytes.get(at..at.checked_add(size)?)?;
    if cfg!(target_endian = "little") {
        wide.get_mut(..size)?.copy_from_slice(field);
    } else {
        wide.get_mut(8 - size..)?.copy_from_slice(field);
    }
    Some(u64::from_ne_bytes(wide))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    word(bytes, at, 2).and_then(|word| u16::try_from(word).ok())
}

/// e_machine of programs for this machine: elf.h.
pub fn native_machine() -> u16 {
    MACHINES.iter().find(|(_, name)| *name == std::env::consts::ARCH).map_or(0, |(number, _)| *number)
}

/// Whether this machine's processor also runs programs for that machine: x86_64 runs x86, aarch64 runs arm.
pub fn runs_here(machine: u16) -> bool {
    let older = match std::env::consts::ARCH {
        "x86_64" => 3,
        "aarch64" => 40,
        _ => 0,
    };
    machine == native_machine() || machine == older
}

const MACHINES: [(u16, &str); 10] = [
    (3, "x86"),
    (8, "mips"),
    (20, "powerpc"),
    (21, "powerpc64"),
    (22, "s390x"),
    (40, "arm"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv64"),
    (258, "loongarch64"),
];

/// A machine's name, as in std::env::consts::ARCH.
pub fn machine_name(number: u16) -> String {
    let known = MACHINES.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| format!("machine {number} of elf(5)"), |(_, name)| (*name).to_string())
}

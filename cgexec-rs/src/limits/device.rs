//! Rules about devices in docker's notation: for version 1 unchanged, for version 2 as a program that the
//! kernel calls.

use std::fmt::{self, Display};
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::str::FromStr;

use nix::sys::stat::{major, minor};

/// An allowed device: `c 10:229 rw`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRule {
    kind: DeviceKind,
    /// None for every number.
    major: Option<u32>,
    minor: Option<u32>,
    access: Access,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DeviceKind {
    Any,
    Block,
    Char,
}

/// A sum of the three values below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Access(u32);

/// BPF_DEVCG_ACC_MKNOD and similar values, with their letters.
const ACCESSES: [(char, u32); 3] = [('r', 2), ('w', 4), ('m', 1)];
const ALL: Access = Access(7);

/// The devices that every policy allows, as in docker: to create any node, and to use those of a container's
/// /dev: null, zero, full, random, urandom, tty, ptmx and the terminals of devpts.
pub const USUAL: [&str; 10] = [
    "c *:* m",
    "b *:* m",
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:2 rwm",
    "c 136:* rwm",
];

impl FromStr for DeviceRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return at_path(text);
        }
        let form = || "expected TYPE MAJOR:MINOR ACCESS, 'c 10:229 rwm', or a path: /dev/fuse:rw".to_string();
        let words: Vec<&str> = text.split(' ').collect();
        let [kind, numbers, access] = words[..] else { return Err(form()) };
        let kind = match kind {
            "a" => DeviceKind::Any,
            "b" => DeviceKind::Block,
            "c" => DeviceKind::Char,
            _ => return Err(form()),
        };
        let number = |text: &str| match text {
            "*" => Ok(None),
            text if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().map(Some).map_err(|_| form())
            }
            _ => Err(form()),
        };
        let (major, minor) = numbers.split_once(':').ok_or_else(form)?;
        Ok(Self {
            kind,
            major: number(major)?,
            minor: number(minor)?,
            access: access_letters(access).ok_or_else(form)?,
        })
    }
}

/// The device of a node, with or without docker's `:rwm` after it.
fn at_path(text: &str) -> Result<DeviceRule, String> {
    let with_access = text.rsplit_once(':').and_then(|(path, access)| Some((path, access_letters(access)?)));
    let (path, access) = with_access.unwrap_or((text, ALL));
    let node = fs::metadata(path).map_err(|why| format!("{path}: {}", why.kind()))?;
    let kind = match node.file_type() {
        kind if kind.is_block_device() => DeviceKind::Block,
        kind if kind.is_char_device() => DeviceKind::Char,
        _ => return Err(format!("{path} is not a device")),
    };
    let number = |number: u64| u32::try_from(number).ok();
    let (major, minor) = (number(major(node.rdev())), number(minor(node.rdev())));
    Ok(DeviceRule { kind, major, minor, access })
}

fn access_letters(text: &str) -> Option<Access> {
    let mut sum = 0;
    for letter in text.chars() {
        let (_, bit) = ACCESSES.iter().find(|(known, _)| *known == letter)?;
        if sum & bit != 0 {
            return None;
        }
        sum |= bit;
    }
    (sum != 0).then_some(Access(sum))
}

impl Display for DeviceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            DeviceKind::Any => 'a',
            DeviceKind::Block => 'b',
            DeviceKind::Char => 'c',
        };
        let number =
            |number: Option<u32>| number.map_or_else(|| "*".to_string(), |number| number.to_string());
        write!(f, "{kind} {}:{} ", number(self.major), number(self.minor))?;
        ACCESSES
            .iter()
            .filter(|(_, bit)| self.access.0 & bit != 0)
            .try_for_each(|(letter, _)| write!(f, "{letter}"))
    }
}

/// Everything that these rules allow, in the notation of version 1's devices.allow.
pub fn allowed(rules: &[DeviceRule]) -> Vec<String> {
    USUAL.iter().map(|rule| (*rule).to_string()).chain(rules.iter().map(DeviceRule::to_string)).collect()
}

/// A BPF instruction: its operation, its registers, its jump, its number.
///
/// # Source
/// Documentation/bpf/standardization/instruction-set.rst.
const fn instruction(code: u8, to: u8, from: u8, jump: u16, number: u32) -> u64 {
    code as u64 | ((to | from << 4) as u64) << 8 | (jump as u64) << 16 | (number as u64) << 32
}

const LOAD_WORD: u8 = 0x61;
const COPY: u8 = 0xbf;
const SET: u8 = 0xb7;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const JUMP_UNLESS_EQUAL: u8 = 0x55;
const JUMP_UNLESS_SAME: u8 = 0x5d;
const EXIT: u8 = 0x95;
/// The number of instructions for a result.
const ANSWER: usize = 2;

/// The program for version 2: it returns 1 for what a rule allows, else 0.
///
/// # Source
/// `struct bpf_cgroup_dev_ctx` in include/uapi/linux/bpf.h: the access, shifted left by 16 bits, plus the
/// kind; the major number; the minor number.
pub fn program(rules: &[DeviceRule]) -> Vec<u64> {
    let usual: Vec<DeviceRule> = USUAL.iter().filter_map(|rule| rule.parse().ok()).collect();
    // register 1 points to the request; 2 gets the kind, 3 the access, 4 and 5 the numbers
    let mut program = vec![
        instruction(LOAD_WORD, 2, 1, 0, 0),
        instruction(COPY, 3, 2, 0, 0),
        instruction(AND, 2, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT, 3, 0, 0, 16),
        instruction(LOAD_WORD, 4, 1, 4, 0),
        instruction(LOAD_WORD, 5, 1, 8, 0),
    ];
    for rule in usual.iter().chain(rules) {
        let part = rule.instructions();
        let allows_all = part.len() == ANSWER;
        program.extend(part);
        if allows_all {
            // the kernel refuses a program with unreachable instructions
            return program;
        }
    }
    program.extend([instruction(SET, 0, 0, 0, 0), instruction(EXIT, 0, 0, 0, 0)]);
    program
}

impl DeviceRule {
    /// The part of the program for this rule: a request that does not match jumps over it.
    fn instructions(&self) -> Vec<u64> {
        let kind = match self.kind {
            DeviceKind::Any => None,
            DeviceKind::Block => Some(1),
            DeviceKind::Char => Some(2),
        };
        let equal =
            |register, number: Option<u32>| number.map(|number| (JUMP_UNLESS_EQUAL, register, 0, number));
        let mut tests: Vec<(u8, u8, u8, u32)> = Vec::new();
        tests.extend(equal(2, kind));
        if self.access != ALL {
            // every requested access must be allowed
            tests.extend([(COPY, 6, 3, 0), (AND, 6, 0, self.access.0), (JUMP_UNLESS_SAME, 6, 3, 0)]);
        }
        tests.extend(equal(4, self.major));
        tests.extend(equal(5, self.minor));
        let length = tests.len();
        let part = tests.into_iter().enumerate().map(|(at, (code, to, from, number))| {
            // skips the rest of the tests and the result of two instructions
            let rest = u16::try_from(length - at - 1 + ANSWER).unwrap_or_default();
            let jump = if matches!(code, JUMP_UNLESS_EQUAL | JUMP_UNLESS_SAME) { rest } else { 0 };
            instruction(code, to, from, jump, number)
        });
        part.chain([instruction(SET, 0, 0, 0, 1), instruction(EXIT, 0, 0, 0, 0)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> DeviceRule {
        text.parse().unwrap()
    }

    /// The result of the program: an interpreter for the eight instructions that it uses.
    fn answers(program: &[u64], kind: u32, access: u32, major: u32, minor: u32) -> u64 {
        let context = [access << 16 | kind, major, minor];
        let mut registers = [0_u64; 8];
        let mut at = 0;
        loop {
            let word = program[at];
            let (code, to, from) = (word as u8, (word >> 8 & 0xf) as usize, (word >> 12 & 0xf) as usize);
            let (jump, number) = ((word >> 16) as u16 as usize, word >> 32);
            at += 1;
            match code {
                LOAD_WORD => registers[to] = u64::from(context[jump / 4]),
                COPY => registers[to] = registers[from],
                SET => registers[to] = number,
                AND => registers[to] &= number,
                SHIFT_RIGHT => registers[to] >>= number,
                JUMP_UNLESS_EQUAL if registers[to] != number => at += jump,
                JUMP_UNLESS_SAME if registers[to] != registers[from] => at += jump,
                JUMP_UNLESS_EQUAL | JUMP_UNLESS_SAME => {}
                EXIT => return registers[0],
                other => panic!("{other:#x}"),
            }
        }
    }

    const BLOCK: u32 = 1;
    const CHAR: u32 = 2;
    const MKNOD: u32 = 1;
    const READ: u32 = 2;
    const WRITE: u32 = 4;

    #[test]
    fn a_rule_reads_as_docker_writes_it() {
        for text in ["c 10:229 rwm", "b 8:* r", "a *:* rwm", "c 1:11 rm"] {
            assert_eq!(rule(text).to_string(), text);
        }
        assert_eq!(rule("c 1:3 mwr").to_string(), "c 1:3 rwm");
        assert_eq!(rule("/dev/null").to_string(), "c 1:3 rwm");
        assert_eq!(rule("/dev/zero:r").to_string(), "c 1:5 r");
        for text in [
            "",
            "c",
            "c 1:3",
            "c 1:3 x",
            "c 1:3 rr",
            "d 1:3 r",
            "c 1 r",
            "c +1:3 r",
            "c 1:3  r",
            "/",
            "/nonesuch",
        ] {
            assert!(text.parse::<DeviceRule>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_program_allows_what_the_rules_do_and_nothing_else() {
        let program = program(&[rule("c 10:229 rw"), rule("b 8:* r")]);
        for (allowed, kind, access, major, minor) in [
            (1, CHAR, READ | WRITE, 1, 3),
            (1, CHAR, READ, 136, 77),
            (1, CHAR, MKNOD, 99, 99),
            (1, BLOCK, MKNOD, 8, 0),
            (1, CHAR, READ | WRITE, 10, 229),
            (1, CHAR, WRITE, 10, 229),
            (0, CHAR, READ, 10, 228),
            (0, CHAR, READ | MKNOD, 10, 229),
            (0, CHAR, READ, 1, 11),
            (1, BLOCK, READ, 8, 17),
            (0, BLOCK, READ | WRITE, 8, 17),
            (0, BLOCK, READ, 259, 0),
            (0, BLOCK, READ, 1, 3),
        ] {
            let answer = answers(&program, kind, access, major, minor);
            assert_eq!(answer, allowed, "{kind} {access} {major}:{minor}");
        }
        let all = super::program(&[rule("a *:* rwm"), rule("b 8:* r")]);
        let (last, never_reached) = (all.last(), super::program(&[rule("b 8:* r")]).len());
        assert!(last == Some(&instruction(EXIT, 0, 0, 0, 0)) && all.len() < never_reached);
        assert_eq!(answers(&all, BLOCK, READ | WRITE | MKNOD, 259, 0), 1);
    }
}

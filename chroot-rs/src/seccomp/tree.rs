//! From ranges of numbers to classic BPF: a binary tree for each architecture.
//!
//! # Source
//! The kernel's Documentation/networking/filter.rst and userspace-api/seccomp_filter.rst;
//! linux/seccomp.h, `struct seccomp_data`.

use libc::sock_filter;

/// What the kernel does with a call: SECCOMP_RET_* with its data, seccomp(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Action(pub u32);

impl Action {
    /// The call is made.
    pub(super) const ALLOW: Self = Self(0x7fff_0000);

    /// The call fails with this errno.
    pub(super) const fn errno(number: i32) -> Self {
        Self(0x0005_0000 | (number as u32 & 0xffff))
    }
}

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    /// The same whatever its arguments are.
    Always(Action),
    /// The first rule whose conditions all hold, else `other`.
    ByArguments {
        /// Conditions, and the action where they hold.
        rules: Vec<(Vec<Condition>, Action)>,
        /// Where no rule holds.
        other: Action,
    },
}

/// A comparison of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// Which argument, 0 to 5.
    pub(super) argument: u32,
    /// How it is compared.
    pub(super) test: Test,
}

/// How an argument is compared: without a sign, in 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Equal(u64),
    NotEqual(u64),
    Less(u64),
    LessOrEqual(u64),
    Greater(u64),
    GreaterOrEqual(u64),
    /// The bits of the first value are those of the second.
    MaskedEqual(u64, u64),
}

// linux/bpf_common.h
const LD_W_ABS: u16 = 0x20;
const JMP_JA: u16 = 0x05;
const JMP_JEQ_K: u16 = 0x15;
const JMP_JGE_K: u16 = 0x35;
const JMP_JGT_K: u16 = 0x25;
const ALU_AND_K: u16 = 0x54;
const RET_K: u16 = 0x06;

// offsets in struct seccomp_data
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// The program for these architectures; calls of any other fail with ENOSYS.
pub(super) fn program(architectures: impl Iterator<Item = (u32, Vec<(u32, Leaf)>)>) -> Vec<sock_filter> {
    let mut program = vec![instruction(LD_W_ABS, 0, 0, ARCHITECTURE)];
    for (architecture, ranges) in architectures {
        let mut part = vec![instruction(LD_W_ABS, 0, 0, NUMBER)];
        part.extend(branch(&merged(ranges)));
        program.push(instruction(JMP_JEQ_K, 1, 0, architecture));
        program.push(instruction(JMP_JA, 0, 0, length(&part)));
        program.extend(part);
    }
    program.push(action(Action::errno(libc::ENOSYS)));
    program
}

/// The program that allows some calls of an architecture, up to 250 of them; any other fails with ENOSYS.
pub(super) fn only(architecture: u32, calls: &[u32]) -> Vec<sock_filter> {
    let left = |at: usize| u8::try_from(calls.len() - at).unwrap_or(u8::MAX);
    let other = left(0).saturating_add(3);
    let mut code = vec![
        instruction(LD_W_ABS, 0, 0, ARCHITECTURE),
        instruction(JMP_JEQ_K, 0, other, architecture),
        instruction(LD_W_ABS, 0, 0, NUMBER),
    ];
    code.extend(calls.iter().enumerate().map(|(at, call)| instruction(JMP_JEQ_K, left(at), 0, *call)));
    code.push(instruction(JMP_JA, 0, 0, 1));
    code.push(action(Action::ALLOW));
    code.push(action(Action::errno(libc::ENOSYS)));
    code
}

/// Neighbours that end alike, as one.
fn merged(ranges: Vec<(u32, Leaf)>) -> Vec<(u32, Leaf)> {
    let mut merged = ranges;
    merged.dedup_by(|next, kept| next.1 == kept.1);
    merged
}

fn branch(ranges: &[(u32, Leaf)]) -> Vec<sock_filter> {
    let (lower, upper) = ranges.split_at(ranges.len() / 2);
    let Some((start, leaf)) = upper.first() else { return Vec::new() };
    if lower.is_empty() {
        return leaf.instructions();
    }
    let (lower, upper) = (branch(lower), branch(upper));
    let mut code = match u8::try_from(lower.len()) {
        Ok(skip) => vec![instruction(JMP_JGE_K, skip, 0, *start)],
        // a conditional jump reaches 255 instructions
        Err(_) => vec![instruction(JMP_JGE_K, 0, 1, *start), instruction(JMP_JA, 0, 0, length(&lower))],
    };
    code.extend(lower);
    code.extend(upper);
    code
}

impl Leaf {
    fn instructions(&self) -> Vec<sock_filter> {
        let (rules, other) = match self {
            Self::Always(result) => return vec![action(*result)],
            Self::ByArguments { rules, other } => (rules, *other),
        };
        let mut code = Vec::new();
        for (conditions, result) in rules {
            let steps: Vec<Step> = conditions.iter().flat_map(|condition| condition.steps()).collect();
            code.extend(resolved(&steps));
            code.push(action(*result));
        }
        code.push(action(other));
        code
    }
}

/// Where a comparison leads.
#[derive(Clone, Copy)]
enum Target {
    /// The next instruction.
    Next,
    /// Behind this condition: it holds. So many instructions further.
    Holds(u8),
    /// Behind this rule: it does not hold.
    Fails,
}

/// An instruction of a condition.
struct Step {
    code: u16,
    k: u32,
    yes: Target,
    no: Target,
}

/// The steps of one rule as instructions; where a condition fails, its action is passed over.
fn resolved(steps: &[Step]) -> impl Iterator<Item = sock_filter> {
    steps.iter().enumerate().map(|(at, step)| {
        let left = u8::try_from(steps.len() - at).unwrap_or(u8::MAX);
        let offset = |target| match target {
            Target::Next => 0,
            Target::Holds(skip) => skip,
            Target::Fails => left,
        };
        instruction(step.code, offset(step.yes), offset(step.no), step.k)
    })
}

impl Condition {
    fn steps(self) -> Vec<Step> {
        use Target::{Fails, Holds, Next};
        let half = |high: bool| {
            let first = high == cfg!(target_endian = "big");
            ARGUMENTS + 8 * self.argument + if first { 0 } else { 4 }
        };
        let load = |high| Step { code: LD_W_ABS, k: half(high), yes: Next, no: Next };
        let jump = |code, k, yes, no| Step { code, k, yes, no };
        let halves = |value: u64| ((value >> 32) as u32, value as u32);
        // the upper halves decide unless they are equal
        let ordered = |value, code, upper_more, lower_yes, lower_no| {
            let (high, low) = halves(value);
            let upper_less = if matches!(upper_more, Fails) { Holds(2) } else { Fails };
            vec![
                load(true),
                jump(JMP_JGT_K, high, upper_more, Next),
                jump(JMP_JEQ_K, high, Next, upper_less),
                load(false),
                jump(code, low, lower_yes, lower_no),
            ]
        };
        match self.test {
            Test::Equal(value) => Self { test: Test::MaskedEqual(u64::MAX, value), ..self }.steps(),
            Test::NotEqual(value) => {
                let (high, low) = halves(value);
                vec![
                    load(true),
                    jump(JMP_JEQ_K, high, Next, Holds(2)),
                    load(false),
                    jump(JMP_JEQ_K, low, Fails, Next),
                ]
            }
            Test::MaskedEqual(mask, value) => {
                let ((mask_high, mask_low), (high, low)) = (halves(mask), halves(value));
                let parts = [(true, mask_high, high), (false, mask_low, low)];
                // a half that is not looked at is not loaded
                let looked_at = parts.into_iter().filter(|(_, mask, value)| (*mask, *value) != (0, 0));
                looked_at
                    .flat_map(|(upper, mask, value)| {
                        let and = (mask != u32::MAX).then(|| jump(ALU_AND_K, mask, Next, Next));
                        let equal = jump(JMP_JEQ_K, value, Next, Fails);
                        std::iter::once(load(upper)).chain(and).chain([equal])
                    })
                    .collect()
            }
            Test::Greater(value) => ordered(value, JMP_JGT_K, Holds(3), Next, Fails),
            Test::GreaterOrEqual(value) => ordered(value, JMP_JGE_K, Holds(3), Next, Fails),
            Test::Less(value) => ordered(value, JMP_JGE_K, Fails, Fails, Next),
            Test::LessOrEqual(value) => ordered(value, JMP_JGT_K, Fails, Fails, Next),
        }
    }
}

fn action(action: Action) -> sock_filter {
    instruction(RET_K, 0, 0, action.0)
}

fn length(code: &[sock_filter]) -> u32 {
    u32::try_from(code.len()).unwrap_or(u32::MAX)
}

const fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

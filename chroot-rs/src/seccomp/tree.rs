//! From ranges of numbers to classic BPF: one binary tree for each architecture.
//!
//! # Source
//! The kernel's Documentation/networking/filter.rst and userspace-api/seccomp_filter.rst;
//! linux/seccomp.h, `struct seccomp_data`.

use libc::sock_filter;

/// What the kernel does with a call: SECCOMP_RET_* with its data, seccomp(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Action(pub u32);

impl Action {
    /// Allows the call.
    pub(super) const ALLOW: Self = Self(0x7fff_0000);

    /// Makes the call fail with this errno.
    pub(super) const fn errno(number: i32) -> Self {
        Self(0x0005_0000 | (number as u32 & 0xffff))
    }
}

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    /// The same for all arguments.
    Always(Action),
    /// The first rule whose conditions all hold, else `other`.
    ByArguments {
        /// Conditions, and the action if they all hold.
        rules: Vec<(Vec<Condition>, Action)>,
        /// If no rule holds.
        other: Action,
    },
}

/// A comparison of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// The number of the argument, 0 to 5.
    pub(super) argument: u32,
    /// How it is compared.
    pub(super) test: Test,
}

/// How an argument is compared: unsigned, with 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Equal(u64),
    NotEqual(u64),
    Less(u64),
    LessOrEqual(u64),
    Greater(u64),
    GreaterOrEqual(u64),
    /// The bits selected by the first value equal the second value.
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

/// The program for these architectures. Calls of any other architecture fail with ENOSYS.
pub(super) fn program(architectures: impl Iterator<Item = (u32, Vec<(u32, Leaf)>)>) -> Vec<sock_filter> {
    let architectures: Vec<_> = architectures.collect();
    let mut code = Backwards::default();
    let mut other = code.end(Action::errno(libc::ENOSYS));
    for (architecture, mut ranges) in architectures.into_iter().rev() {
        // neighbours with the same result become one
        ranges.dedup_by(|next, kept| next.1 == kept.1);
        let tree = code.branch(&ranges);
        code.fall_to(tree);
        let part = code.push(instruction(LD_W_ABS, 0, 0, NUMBER));
        other = code.jump(JMP_JEQ_K, architecture, part, other);
    }
    code.push(instruction(LD_W_ABS, 0, 0, ARCHITECTURE));
    code.0.reverse();
    code.0
}

/// A program that is written from its end to its start: jumps only go forward, so the destination is known
/// before the jump is written. A place is the number of instructions from there to the end. The kernel
/// compiles each instruction when a command starts, so returns are shared.
#[derive(Default)]
struct Backwards(Vec<sock_filter>);

/// The range of a conditional jump.
const REACH: usize = u8::MAX as usize;

impl Backwards {
    /// Adds an instruction in front of all others.
    fn push(&mut self, instruction: sock_filter) -> usize {
        self.0.push(instruction);
        self.0.len()
    }

    /// A place where the program returns this action, within the range of a jump.
    fn end(&mut self, result: Action) -> usize {
        let end = action(result);
        // a jump can take two instructions
        let near = self.0.len().saturating_sub(REACH - 2);
        match self.0.iter().skip(near).rposition(|written| (written.code, written.k) == (end.code, end.k)) {
            Some(at) => near + at + 1,
            None => self.push(end),
        }
    }

    /// A place within the range of a conditional jump that continues at `place`.
    fn near(&mut self, place: usize) -> usize {
        let distance = self.0.len() - place;
        // as above
        if distance < REACH - 1 { place } else { self.push(instruction(JMP_JA, 0, 0, distance as u32)) }
    }

    /// Makes the instruction that is written next continue at a place.
    fn fall_to(&mut self, place: usize) {
        let distance = self.0.len() - place;
        if distance > 0 {
            self.push(instruction(JMP_JA, 0, 0, distance as u32));
        }
    }

    /// A conditional jump to one of two places.
    fn jump(&mut self, code: u16, k: u32, yes: usize, no: usize) -> usize {
        let (yes, no) = (self.near(yes), self.near(no));
        let distance = |place: usize| u8::try_from(self.0.len() - place).unwrap_or(u8::MAX);
        self.push(instruction(code, distance(yes), distance(no), k))
    }

    /// The place that searches the call's number in sorted ranges.
    fn branch(&mut self, ranges: &[(u32, Leaf)]) -> usize {
        let (lower, upper) = ranges.split_at(ranges.len() / 2);
        let Some((start, leaf)) = upper.first() else { return self.0.len() };
        if lower.is_empty() {
            return self.leaf(leaf);
        }
        let upper = self.branch(upper);
        let lower = self.branch(lower);
        self.jump(JMP_JGE_K, *start, upper, lower)
    }

    /// The place that decides about a call.
    fn leaf(&mut self, leaf: &Leaf) -> usize {
        let (rules, other) = match leaf {
            Leaf::Always(result) => return self.end(*result),
            Leaf::ByArguments { rules, other } => (rules, *other),
        };
        let mut place = self.push(action(other));
        for (conditions, result) in rules.iter().rev() {
            self.push(action(*result));
            let steps: Vec<Step> = conditions.iter().flat_map(|condition| condition.steps()).collect();
            let instructions: Vec<_> = resolved(&steps).collect();
            self.0.extend(instructions.into_iter().rev());
            place = self.0.len();
        }
        place
    }
}

/// A program that allows some calls of an architecture, at most 250; all others fail with ENOSYS.
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

/// The destination of a comparison.
#[derive(Clone, Copy)]
enum Target {
    /// The next instruction.
    Next,
    /// After this condition, which holds: the number of instructions to skip.
    Holds(u8),
    /// After this rule, which does not apply.
    Fails,
}

/// An instruction of a condition.
struct Step {
    code: u16,
    k: u32,
    yes: Target,
    no: Target,
}

/// The steps of one rule as instructions. If a condition fails, they skip the rule's action.
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

impl Step {
    const fn new(code: u16, k: u32, yes: Target, no: Target) -> Self {
        Self { code, k, yes, no }
    }
}

impl Condition {
    fn steps(self) -> Vec<Step> {
        use Target::{Fails, Holds, Next};
        match self.test {
            Test::Equal(value) => Self { test: Test::MaskedEqual(u64::MAX, value), ..self }.steps(),
            Test::NotEqual(value) => {
                let (high, low) = halves(value);
                vec![
                    self.load(true),
                    Step::new(JMP_JEQ_K, high, Next, Holds(2)),
                    self.load(false),
                    Step::new(JMP_JEQ_K, low, Fails, Next),
                ]
            }
            Test::MaskedEqual(mask, value) => {
                let ((mask_high, mask_low), (high, low)) = (halves(mask), halves(value));
                let parts = [(true, mask_high, high), (false, mask_low, low)];
                // a half that is not compared is not loaded
                let looked_at = parts.into_iter().filter(|(_, mask, value)| (*mask, *value) != (0, 0));
                looked_at
                    .flat_map(|(upper, mask, value)| {
                        let and = (mask != u32::MAX).then(|| Step::new(ALU_AND_K, mask, Next, Next));
                        let equal = Step::new(JMP_JEQ_K, value, Next, Fails);
                        std::iter::once(self.load(upper)).chain(and).chain([equal])
                    })
                    .collect()
            }
            Test::Greater(value) => self.compare(value, Holds(3), Step::new(JMP_JGT_K, 0, Next, Fails)),
            Test::GreaterOrEqual(value) => {
                self.compare(value, Holds(3), Step::new(JMP_JGE_K, 0, Next, Fails))
            }
            Test::Less(value) => self.compare(value, Fails, Step::new(JMP_JGE_K, 0, Fails, Next)),
            Test::LessOrEqual(value) => self.compare(value, Fails, Step::new(JMP_JGT_K, 0, Fails, Next)),
        }
    }

    /// The upper halves decide unless they are equal. `if_more` is the destination for a larger one, and
    /// `lower` compares the lower halves.
    fn compare(self, value: u64, if_more: Target, lower: Step) -> Vec<Step> {
        let (high, low) = halves(value);
        let if_less = if matches!(if_more, Target::Fails) { Target::Holds(2) } else { Target::Fails };
        vec![
            self.load(true),
            Step::new(JMP_JGT_K, high, if_more, Target::Next),
            Step::new(JMP_JEQ_K, high, Target::Next, if_less),
            self.load(false),
            Step { k: low, ..lower },
        ]
    }

    /// Loads the upper or the lower half of the argument.
    fn load(self, upper: bool) -> Step {
        let first = upper == cfg!(target_endian = "big");
        let half = ARGUMENTS + 8 * self.argument + if first { 0 } else { 4 };
        Step::new(LD_W_ABS, half, Target::Next, Target::Next)
    }
}

const fn halves(value: u64) -> (u32, u32) {
    ((value >> 32) as u32, value as u32)
}

fn action(action: Action) -> sock_filter {
    instruction(RET_K, 0, 0, action.0)
}

const fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

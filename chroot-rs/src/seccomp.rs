//! The system-call filter: which calls the command can make, as a program for the kernel.
//!
//! A filter is a classic BPF program that the kernel runs before every system call: seccomp(2).
//! `seccomp/syscalls.tsv` has a rule for each call. `build.rs` turns it into sorted ranges, and [`Filter`]
//! turns those into a binary tree: a filter that compares one number after the other would make each call,
//! and the start, five times as expensive.

pub mod profile;
mod tree;

use libc::{c_long, sock_filter};

use self::tree::{Action, Condition, Leaf, Test, program};
use crate::capabilities::*;

/// Whose root the command is. This decides about calls that the kernel itself guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// The machine's root: its capabilities apply to everything.
    Machine,
    /// Root of a user namespace: the kernel checks capabilities in it, so calls for namespaces and mounts are
    /// safe.
    UserNamespace,
}

/// What the filter does with a call, in the words of `seccomp/syscalls.tsv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Allow,
    Deny,
    Absent,
    /// Allowed with one of these capabilities, one bit each.
    Guarded(u64),
    /// The same for the machine's root; always allowed in a user namespace.
    Namespaced(u64),
    Clone,
    Clone3,
    Ioctl,
    Socket,
    Personality,
}

/// A filter, ready for the kernel.
#[derive(Clone, Debug)]
pub struct Filter(Vec<sock_filter>);

impl Filter {
    /// The default filter for a command with these capabilities, one bit each.
    pub fn for_command(privilege: Privilege, capabilities: u64) -> Self {
        Self::of(ARCHITECTURES, |rule| rule.resolve(privilege, capabilities))
    }

    /// A filter that only forbids the command to type into the caller's terminal.
    pub fn terminal_only() -> Self {
        Self::of(
            ARCHITECTURES,
            |rule| if rule == Rule::Ioctl { ioctl() } else { Leaf::Always(Action::ALLOW) },
        )
    }

    /// A filter for a machine with these architectures.
    fn of(architectures: &[Architecture], leaf: impl Fn(Rule) -> Leaf) -> Self {
        let part = |architecture: &Architecture| {
            let leaves = architecture.rules.iter().map(|(start, rule)| (*start, leaf(*rule)));
            (architecture.audit, leaves.collect())
        };
        Self(program(architectures.iter().map(part)))
    }

    /// A filter that allows only these calls of the machine's own architecture. It is short: the kernel needs
    /// a fifth of a microsecond for each instruction.
    pub fn only(calls: &[c_long]) -> Self {
        let calls: Vec<u32> = calls.iter().filter_map(|call| u32::try_from(*call).ok()).collect();
        Self(ARCHITECTURES.first().map_or_else(Vec::new, |native| tree::only(native.audit, &calls)))
    }

    /// The instructions, for seccomp(2).
    pub fn instructions(&self) -> &[sock_filter] {
        &self.0
    }
}

impl Rule {
    fn resolve(self, privilege: Privilege, capabilities: u64) -> Leaf {
        let (allow, deny, absent) = (Action::ALLOW, Action::errno(libc::EPERM), Action::errno(libc::ENOSYS));
        let guarded = |wanted: u64| capabilities & wanted != 0;
        let namespaced = |wanted| privilege == Privilege::UserNamespace || guarded(wanted);
        Leaf::Always(match self {
            Self::Allow => allow,
            Self::Deny => deny,
            Self::Absent => absent,
            Self::Guarded(wanted) if guarded(wanted) => allow,
            Self::Namespaced(wanted) if namespaced(wanted) => allow,
            Self::Clone | Self::Clone3 if namespaced(1 << CAP_SYS_ADMIN) => allow,
            Self::Guarded(_) | Self::Namespaced(_) => deny,
            Self::Clone3 => absent,
            Self::Clone => return only(0, &[Test::MaskedEqual(NEW_NAMESPACES, 0)], allow, deny),
            Self::Ioctl => return ioctl(),
            Self::Socket => return only(0, &[lower(AF_VSOCK)], deny, allow),
            Self::Personality => return only(0, &PERSONALITIES.map(lower), allow, deny),
        })
    }
}

/// The flags CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID and NET: linux/sched.h.
const NEW_NAMESPACES: u64 = 0x7e02_0000;
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;
const AF_VSOCK: u32 = 40;
/// PER_LINUX, PER_LINUX32, UNAME26 alone and with PER_LINUX32, and 0xffffffff, which only reads the
/// personality: personality(2).
const PERSONALITIES: [u32; 5] = [0, 0x0008, 0x0002_0000, 0x0002_0008, 0xffff_ffff];

/// The calls that type into a terminal: ioctl_tty(2), ioctl_console(2).
fn ioctl() -> Leaf {
    only(1, &[lower(TIOCSTI), lower(TIOCLINUX)], Action::errno(libc::EPERM), Action::ALLOW)
}

/// A test of an argument's lower half only: the kernel reads an int.
fn lower(value: u32) -> Test {
    Test::MaskedEqual(u64::from(u32::MAX), u64::from(value))
}

/// `found` if one of the tests of an argument holds, else `other`.
fn only(argument: u32, tests: &[Test], found: Action, other: Action) -> Leaf {
    let rules = tests.iter().map(|test| (vec![Condition { argument, test: *test }], found)).collect();
    Leaf::ByArguments { rules, other }
}

/// A set of system calls with its own numbers, and the rule for each.
#[derive(Clone, Copy, Debug)]
struct Architecture {
    /// AUDIT_ARCH_*: linux/audit.h.
    audit: u32,
    /// Its column in `seccomp/syscalls.tsv`; column 0 has the names of the calls.
    column: usize,
    /// The first number of each range, and the range's rule.
    rules: &'static [(u32, Rule)],
}

/// The architectures whose calls this machine's kernel accepts, its own first.
#[cfg(target_arch = "x86_64")]
static ARCHITECTURES: &[Architecture] = X86_64_MACHINE;
#[cfg(target_arch = "aarch64")]
static ARCHITECTURES: &[Architecture] = AARCH64_MACHINE;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static ARCHITECTURES: &[Architecture] = &[];

#[cfg(any(test, target_arch = "x86_64"))]
static X86_64_MACHINE: &[Architecture] = &[
    Architecture { audit: 0xc000_003e, column: 1, rules: X86_64 },
    Architecture { audit: 0x4000_0003, column: 2, rules: I386 },
];
#[cfg(any(test, target_arch = "aarch64"))]
static AARCH64_MACHINE: &[Architecture] = &[Architecture { audit: 0xc000_00b7, column: 3, rules: AARCH64 }];

/// The bit of a capability that a profile names; None if no rule here uses it.
fn capability_bit(name: &str) -> Option<u64> {
    crate::capabilities::parse(name).ok()
}

/// The table, for profiles, which name calls.
const SYSCALLS: &str = include_str!("../seccomp/syscalls.tsv");

include!(concat!(env!("OUT_DIR"), "/syscalls.rs"));

#[cfg(test)]
mod tests;

//! The system-call filter: which calls the command may make, as a program for the kernel.
//!
//! A filter is a program of classic BPF that the kernel runs before every system call: seccomp(2).
//! `seccomp/syscalls.tsv` has a rule for each call; `build.rs` turns it into sorted ranges, and
//! [`Filter`] into a binary tree, because a filter that compares one number after the other
//! makes each call, and the start, five times as expensive.

pub mod profile;
mod tree;

use libc::{c_long, sock_filter};

use self::tree::{Action, Condition, Leaf, Test, program};
use crate::capabilities::*;

/// Whose root the command is, which decides about calls that the kernel guards by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// The machine's: its capabilities reach everything.
    Machine,
    /// Of a user namespace: the kernel asks for capabilities in it, so calls for namespaces and
    /// mounts may pass.
    UserNamespace,
}

/// What the filter does with a call: the words of `seccomp/syscalls.tsv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Allow,
    Deny,
    Absent,
    /// Passes with one of these capabilities, a bit each.
    Guarded(u64),
    /// The same for root of the machine, and passes in a user namespace.
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
    /// The default filter for a command with these capabilities, a bit each.
    pub fn for_command(privilege: Privilege, capabilities: u64) -> Self {
        let resolved = |rules: &[(u32, Rule)]| -> Vec<(u32, Leaf)> {
            rules.iter().map(|(start, rule)| (*start, rule.resolve(privilege, capabilities))).collect()
        };
        Self(program(TABLES.iter().map(|(arch, rules)| (*arch, resolved(rules)))))
    }

    /// A filter that only keeps the command from typing into the caller's terminal.
    pub fn terminal_only() -> Self {
        let only = |rules: &[(u32, Rule)]| -> Vec<(u32, Leaf)> {
            let leaf = |rule| if rule == Rule::Ioctl { ioctl() } else { Leaf::Always(Action::ALLOW) };
            rules.iter().map(|(start, rule)| (*start, leaf(*rule))).collect()
        };
        Self(program(TABLES.iter().map(|(arch, rules)| (*arch, only(rules)))))
    }

    /// A filter that allows only these calls of the machine's own architecture. It is short: the kernel
    /// takes a fifth of a microsecond for each instruction.
    pub fn only(calls: &[c_long]) -> Self {
        let calls: Vec<u32> = calls.iter().filter_map(|call| u32::try_from(*call).ok()).collect();
        Self(TABLES.first().map_or_else(Vec::new, |(native, _)| tree::only(*native, &calls)))
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

/// CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID and NET: linux/sched.h.
const NEW_NAMESPACES: u64 = 0x7e02_0000;
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;
const AF_VSOCK: u32 = 40;
/// PER_LINUX, PER_LINUX32, UNAME26, the last two, and 0xffffffff, which only asks: personality(2).
const PERSONALITIES: [u32; 5] = [0, 0x0008, 0x0002_0000, 0x0002_0008, 0xffff_ffff];

/// Typing into a terminal: ioctl_tty(2), ioctl_console(2).
fn ioctl() -> Leaf {
    only(1, &[lower(TIOCSTI), lower(TIOCLINUX)], Action::errno(libc::EPERM), Action::ALLOW)
}

/// The lower half of an argument is a value: the kernel reads an int.
fn lower(value: u32) -> Test {
    Test::MaskedEqual(u64::from(u32::MAX), u64::from(value))
}

/// `found` where one of the tests of an argument holds, else `other`.
fn only(argument: u32, tests: &[Test], found: Action, other: Action) -> Leaf {
    let rules = tests.iter().map(|test| (vec![Condition { argument, test: *test }], found)).collect();
    Leaf::ByArguments { rules, other }
}

/// AUDIT_ARCH_* of each architecture whose calls this machine's kernel may take, and their rules:
/// linux/audit.h.
#[cfg(target_arch = "x86_64")]
static TABLES: [(u32, &[(u32, Rule)]); 2] = [(0xc000_003e, X86_64), (0x4000_0003, I386)];
#[cfg(target_arch = "aarch64")]
static TABLES: [(u32, &[(u32, Rule)]); 1] = [(0xc000_00b7, AARCH64)];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static TABLES: [(u32, &[(u32, Rule)]); 0] = [];

/// The bit of a capability that a profile names; none for one that no rule here asks for.
fn capability_bit(name: &str) -> Option<u64> {
    crate::capabilities::parse(name).ok()
}

/// The table, for profiles, which name calls.
const SYSCALLS: &str = include_str!("../seccomp/syscalls.tsv");

include!(concat!(env!("OUT_DIR"), "/syscalls.rs"));

#[cfg(test)]
mod tests;

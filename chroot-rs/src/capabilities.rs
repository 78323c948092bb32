//! Capabilities, the parts of root's rights: capabilities(7).
//!
//! The command keeps docker's default capabilities, without MKNOD: enough to install packages, change users
//! and serve on low ports. None of them gives access to the machine.

use std::fmt::{self, Display};
use std::str::FromStr;

use chain::args::ValueError;

macro_rules! capabilities {
    ($($name:ident = $number:literal)*) => {
        $(
            #[doc = concat!("The number of ", stringify!($name), ": linux/capability.h.")]
            pub const $name: u32 = $number;
        )*
        /// Every name, with its number.
        const NAMES: &[(&str, u32)] = &[$((stringify!($name), $number)),*];
    };
}

capabilities! {
    CAP_CHOWN = 0
    CAP_DAC_OVERRIDE = 1
    CAP_DAC_READ_SEARCH = 2
    CAP_FOWNER = 3
    CAP_FSETID = 4
    CAP_KILL = 5
    CAP_SETGID = 6
    CAP_SETUID = 7
    CAP_SETPCAP = 8
    CAP_LINUX_IMMUTABLE = 9
    CAP_NET_BIND_SERVICE = 10
    CAP_NET_BROADCAST = 11
    CAP_NET_ADMIN = 12
    CAP_NET_RAW = 13
    CAP_IPC_LOCK = 14
    CAP_IPC_OWNER = 15
    CAP_SYS_MODULE = 16
    CAP_SYS_RAWIO = 17
    CAP_SYS_CHROOT = 18
    CAP_SYS_PTRACE = 19
    CAP_SYS_PACCT = 20
    CAP_SYS_ADMIN = 21
    CAP_SYS_BOOT = 22
    CAP_SYS_NICE = 23
    CAP_SYS_RESOURCE = 24
    CAP_SYS_TIME = 25
    CAP_SYS_TTY_CONFIG = 26
    CAP_MKNOD = 27
    CAP_LEASE = 28
    CAP_AUDIT_WRITE = 29
    CAP_AUDIT_CONTROL = 30
    CAP_SETFCAP = 31
    CAP_MAC_OVERRIDE = 32
    CAP_MAC_ADMIN = 33
    CAP_SYSLOG = 34
    CAP_WAKE_ALARM = 35
    CAP_BLOCK_SUSPEND = 36
    CAP_AUDIT_READ = 37
    CAP_PERFMON = 38
    CAP_BPF = 39
    CAP_CHECKPOINT_RESTORE = 40
}

/// docker's default capabilities, without MKNOD.
const DEFAULT: &[u32] = &[
    CAP_CHOWN,
    CAP_DAC_OVERRIDE,
    CAP_FOWNER,
    CAP_FSETID,
    CAP_KILL,
    CAP_SETGID,
    CAP_SETUID,
    CAP_SETPCAP,
    CAP_NET_BIND_SERVICE,
    CAP_NET_RAW,
    CAP_SYS_CHROOT,
    CAP_AUDIT_WRITE,
    CAP_SETFCAP,
];

/// A set of capabilities, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// Every capability, even future ones.
    pub const ALL: Self = Self(u64::MAX);

    /// The default for a command.
    pub fn default_set() -> Self {
        DEFAULT.iter().copied().collect()
    }

    /// This set after `--cap-add` and `--cap-drop`, in docker's order: `ALL` first, then the added ones, then
    /// the dropped ones, unless all were dropped.
    #[must_use]
    pub fn changed(self, add: &[Self], drop: &[Self]) -> Self {
        let union = |sets: &[Self]| sets.iter().fold(0, |all, set| all | set.0);
        let (added, dropped) =
            (union(add), union(&drop.iter().copied().filter(|set| *set != Self::ALL).collect::<Vec<_>>()));
        let start = if drop.contains(&Self::ALL) { 0 } else { self.0 };
        Self((start | added) & !dropped)
    }

    /// Whether a capability is in the set.
    pub fn has(self, number: u32) -> bool {
        self.0 & 1 << number != 0
    }

    /// The capabilities in both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The capabilities in either set.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The capabilities in this set and not in the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The numbers of its capabilities.
    pub fn numbers(self) -> impl Iterator<Item = u32> {
        (0..u64::BITS).filter(move |number| self.has(*number))
    }

    /// How many capabilities it has.
    pub fn count(self) -> u32 {
        self.0.count_ones()
    }
}

/// The bit of a capability with this name, with or without `CAP_`, in upper or lower case.
///
/// # Errors
/// No kernel has the name.
pub fn parse(name: &str) -> Result<u64, ValueError> {
    let upper = name.to_ascii_uppercase();
    let full = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
    let known = NAMES.iter().find(|(known, _)| *known == full);
    known.map(|(_, number)| 1 << number).ok_or_else(|| ValueError {
        wrong: format!("no such capability: {name}"),
        hint: "'man 7 capabilities' lists them; the prefix CAP_ is optional".to_string(),
    })
}

impl FromIterator<u32> for Capabilities {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        Self(numbers.into_iter().fold(0, |set, number| set | 1 << number))
    }
}

/// One capability by name, or `ALL`.
impl FromStr for Capabilities {
    type Err = ValueError;

    fn from_str(name: &str) -> Result<Self, ValueError> {
        if name.eq_ignore_ascii_case("all") { Ok(Self::ALL) } else { parse(name).map(Self) }
    }
}

/// Names as docker writes them, without `CAP_`.
impl Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = NAMES.iter().filter(|(_, number)| self.has(*number));
        let names: Vec<&str> = names.map(|(name, _)| name.trim_start_matches("CAP_")).collect();
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &str) -> Capabilities {
        Capabilities(names.split_whitespace().map(|name| parse(name).unwrap()).fold(0, |all, bit| all | bit))
    }

    #[test]
    fn a_name_is_read_as_docker_reads_it() {
        for name in ["NET_ADMIN", "net_admin", "CAP_NET_ADMIN", "cap_net_admin"] {
            assert_eq!(name.parse(), Ok(Capabilities(1 << CAP_NET_ADMIN)), "{name}");
        }
        assert_eq!("all".parse(), Ok(Capabilities::ALL));
        let refused = "NET_ADMINS".parse::<Capabilities>().unwrap_err();
        assert_eq!(refused.wrong, "no such capability: NET_ADMINS");
    }

    #[test]
    fn options_change_the_set_as_they_do_for_docker() {
        let start = set("CHOWN KILL");
        let all = Capabilities::ALL;
        for (add, drop, wanted) in [
            (vec![set("SYS_TIME")], vec![], set("CHOWN KILL SYS_TIME")),
            (vec![], vec![set("KILL")], set("CHOWN")),
            (vec![], vec![all], set("")),
            (vec![set("SYS_TIME")], vec![all], set("SYS_TIME")),
            (vec![all], vec![set("KILL")], Capabilities(!set("KILL").0)),
            (vec![set("KILL")], vec![set("KILL")], set("CHOWN")),
        ] {
            assert_eq!(start.changed(&add, &drop), wanted, "{add:?} {drop:?}");
        }
    }

    #[test]
    fn the_default_is_dockers_without_mknod() {
        let shown = Capabilities::default_set().to_string();
        assert_eq!(
            shown,
            "CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, \
             NET_RAW, SYS_CHROOT, AUDIT_WRITE, SETFCAP"
        );
    }
}

//! New namespaces, and the settings that only their owner can change.

use std::ffi::OsString;
use std::path::Path;

use nix::errno::Errno;
use nix::sched::CloneFlags;

use super::cause::{inside_chroot, read, seccomp, user_namespace_knob, without_id};
use super::{Call, Effect, Shown};
use crate::flags;
use crate::handles::Handles;
use crate::reporter::quoted;
use system::namespace::NamespaceKind;
use system::sys;

/// Enters new namespaces: unshare(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unshare(pub CloneFlags);

impl Call for Unshare {
    fn shown(&self) -> Shown {
        let links: Vec<_> = NamespaceKind::of(self.0).map(NamespaceKind::path).collect();
        Shown::new(format!("unshare({})", flags::CloneFlagNames(self.0)), "unshare(2)")
            .inspect(format!("readlink {}", links.join(" ")))
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        nix::sched::unshare(self.0)
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        match errno {
            Errno::EPERM if self.0.contains(CloneFlags::CLONE_NEWUSER) => {
                without_id().or_else(user_namespace_knob).or_else(inside_chroot).or_else(seccomp)
            }
            Errno::EPERM | Errno::EACCES => {
                let advice =
                    "an ordinary user can do this only in a new user namespace: add --map-root-user (-r)";
                seccomp().or_else(|| Some(advice.to_string()))
            }
            Errno::ENOSPC => namespace_limit(self.0),
            Errno::EINVAL => missing_kind(self.0),
            Errno::EUSERS => Some("user namespaces nest 32 deep at most".to_string()),
            _ => None,
        }
    }

    fn effect(&self) -> Effect {
        Effect::Changes(self.0)
    }
}

/// The kernel does not show how many namespaces exist, so the hint names every limit that could be the one.
fn namespace_limit(flags: CloneFlags) -> Option<String> {
    let limits = NamespaceKind::of(flags).filter_map(|kind| {
        let limit = kind.limit();
        let value: u64 = read(&format!("/proc/sys/user/{limit}"))?.parse().ok()?;
        Some((value, limit))
    });
    let mut limits: Vec<(u64, String)> = limits.collect();
    if let Some(none) = limits.iter().find(|(value, _)| *value == 0) {
        limits = vec![none.clone()];
    }
    let named: Vec<String> = limits.iter().map(|(value, limit)| format!("user.{limit} is {value}")).collect();
    let which = match named.as_slice() {
        [] => return None,
        [_] => "the namespace limit is reached",
        _ => "one of these namespace limits is reached",
    };
    // the nesting depth cannot be read from inside
    let nests = flags.contains(CloneFlags::CLONE_NEWUSER) && limits.iter().all(|(value, _)| *value > 0);
    let deep = if nests { ", or user namespaces nest deeper than 32" } else { "" };
    Some(format!("the disk is not full: {which}: {} (sysctl){deep}", named.join(", ")))
}

fn missing_kind(flags: CloneFlags) -> Option<String> {
    let missing = NamespaceKind::of(flags).filter(|kind| !Path::new(&kind.path()).exists());
    let missing: Vec<&str> = missing.map(|kind| kind.file).collect();
    let proc_is_there = Path::new("/proc/self/ns").exists();
    (proc_is_there && !missing.is_empty())
        .then(|| format!("this kernel has no such namespace: {}", missing.join(", ")))
}

/// sethostname(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetHostname(pub OsString);

impl Call for SetHostname {
    fn shown(&self) -> Shown {
        Shown::new(format!("sethostname({}, {})", quoted(&self.0), self.0.len()), "sethostname(2)")
            .inspect("uname -n")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        nix::unistd::sethostname(&self.0)
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        if errno == Errno::EPERM { seccomp() } else { None }
    }
}

/// Sets IFF_UP on an interface: SIOCSIFFLAGS, netdevice(7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BringUp(pub &'static str);

impl Call for BringUp {
    fn shown(&self) -> Shown {
        Shown::new(
            format!("ioctl(<socket>, SIOCSIFFLAGS, {{ifr_name=\"{}\", ifr_flags=IFF_UP}})", self.0),
            "netdevice(7)",
        )
        .inspect(format!("ip address show {}", self.0))
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::bring_up(self.0)
    }
}

#[cfg(test)]
mod tests {
    use system::namespace::CLONE_NEWTIME;

    use super::*;

    #[test]
    fn new_namespaces_are_seen_by_their_links() {
        let call = Unshare(CloneFlags::CLONE_NEWUTS | CLONE_NEWTIME);
        let shown = call.shown().inspection_command(Path::new("/"));
        assert_eq!(shown.as_deref(), Some("readlink /proc/self/ns/uts /proc/self/ns/time"));
    }
}

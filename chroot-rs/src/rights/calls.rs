//! The calls that give up rights, as calls of a plan. As in strace(1), `...` stands for text that is too
//! long.

use chain::call::{Call, Shown};
use chain::handles::Handles;
use nix::errno::Errno;
use system::sys::{self, CapabilityBits};

use crate::capabilities::Capabilities;
use crate::seccomp::Filter;

/// Replaces the caller's session keyring, which can hold the caller's keys, by a new one: session-keyring(7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinSessionKeyring;

impl Call for JoinSessionKeyring {
    fn shown(&self) -> Shown {
        Shown::new("keyctl(KEYCTL_JOIN_SESSION_KEYRING, NULL)", "KEYCTL_JOIN_SESSION_KEYRING(2const)")
            .inspect("cat /proc/keys")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        match sys::join_session_keyring() {
            // a kernel without keyrings, or an outer filter that refuses them
            Err(Errno::ENOSYS | Errno::EPERM) => Ok(()),
            result => result,
        }
    }
}

/// Drops capabilities from the bounding set, one per call: PR_CAPBSET_DROP(2const).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropFromBoundingSet(pub Capabilities);

impl Call for DropFromBoundingSet {
    fn shown(&self) -> Shown {
        Shown::new("prctl(PR_CAPBSET_DROP, ...)", "PR_CAPBSET_DROP(2const)")
            .inspect("grep CapBnd /proc/self/status")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        self.0.numbers().try_for_each(sys::drop_from_bounding_set)
    }
}

/// Keeps permitted capabilities when the user changes: PR_SET_KEEPCAPS(2const).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepPermitted;

impl Call for KeepPermitted {
    fn shown(&self) -> Shown {
        Shown::new("prctl(PR_SET_KEEPCAPS, 1)", "PR_SET_KEEPCAPS(2const)")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::keep_permitted()
    }
}

/// Sets the permitted, effective and inheritable sets: capset(2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetCapabilities {
    /// Permitted and effective.
    pub permitted: Capabilities,
    /// What execve(2) can keep.
    pub inheritable: Capabilities,
}

impl Call for SetCapabilities {
    fn shown(&self) -> Shown {
        Shown::new("capset({version=_LINUX_CAPABILITY_VERSION_3, pid=0}, {...})", "capset(2)")
            .inspect("grep Cap /proc/self/status")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        let Self { permitted: Capabilities(permitted), inheritable: Capabilities(inheritable) } = *self;
        sys::set_capabilities(CapabilityBits { permitted, effective: permitted, inheritable })
    }
}

/// Keeps capabilities across execve(2), one per call: PR_CAP_AMBIENT(2const).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaiseAmbient(pub Capabilities);

impl Call for RaiseAmbient {
    fn shown(&self) -> Shown {
        Shown::new("prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, ..., 0, 0)", "PR_CAP_AMBIENT(2const)")
            .inspect("grep CapAmb /proc/self/status")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        self.0.numbers().try_for_each(sys::raise_ambient)
    }
}

/// Forbids every program to give more rights: PR_SET_NO_NEW_PRIVS(2const).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoNewPrivs;

impl Call for NoNewPrivs {
    fn shown(&self) -> Shown {
        Shown::new("prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)", "PR_SET_NO_NEW_PRIVS(2const)")
            .inspect("grep NoNewPrivs /proc/self/status")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::set_no_new_privs()
    }
}

/// Installs a filter that runs before every system call: seccomp(2).
#[derive(Clone, Debug)]
pub struct InstallFilter {
    pub filter: Filter,
    /// Whether an option asked for it. If a default fails, one line is printed, without a hint.
    pub requested: bool,
}

impl Call for InstallFilter {
    fn shown(&self) -> Shown {
        let length = self.filter.instructions().len();
        Shown::new(format!("seccomp(SECCOMP_SET_MODE_FILTER, 0, {{len={length}, filter=...}})"), "seccomp(2)")
            .inspect("grep Seccomp /proc/self/status")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::install_filter(self.filter.instructions())
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        let advice = match errno {
            _ if !self.requested => return None,
            Errno::ENOSYS | Errno::EINVAL => {
                "this kernel has no filters (CONFIG_SECCOMP_FILTER): leave out --seccomp"
            }
            Errno::ENOMEM => "all filters together can have at most 32768 instructions: seccomp(2), ENOMEM",
            _ => return None,
        };
        Some(advice.to_string())
    }
}

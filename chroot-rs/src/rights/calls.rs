//! The calls that give rights up, as calls of a plan. `...` stands for what takes too many words, as
//! strace(1) has it.

use chain::call::{Call, Shown};
use chain::handles::Handles;
use nix::errno::Errno;
use system::sys::{self, CapabilityBits};

use crate::capabilities::Capabilities;
use crate::seccomp::Filter;

/// Replaces the caller's session keyring, which may hold keys of the caller, by a new one:
/// session-keyring(7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinSessionKeyring;

impl Call for JoinSessionKeyring {
    fn shown(&self) -> Shown {
        Shown::new("keyctl(KEYCTL_JOIN_SESSION_KEYRING, NULL)", "KEYCTL_JOIN_SESSION_KEYRING(2const)")
            .inspect("cat /proc/keys")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        match sys::join_session_keyring() {
            // a kernel without keyrings, or a filter around us that refuses them
            Err(Errno::ENOSYS | Errno::EPERM) => Ok(()),
            result => result,
        }
    }
}

/// Takes capabilities from the bounding set, each by a call: PR_CAPBSET_DROP(2const).
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

/// Lets permitted capabilities stay when the user changes: PR_SET_KEEPCAPS(2const).
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

/// Sets what is permitted and in force, and what is inheritable: capset(2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetCapabilities {
    /// Permitted and effective.
    pub permitted: Capabilities,
    /// What execve(2) may keep.
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

/// Lets capabilities outlive execve(2), each by a call: PR_CAP_AMBIENT(2const).
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

/// Lets no program give more rights: PR_SET_NO_NEW_PRIVS(2const).
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

/// Puts a filter before every system call: seccomp(2).
#[derive(Clone, Debug)]
pub struct InstallFilter {
    pub filter: Filter,
    /// Whether an option asked for it. A default that fails prints one line, without a hint.
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
                "a kernel without filters (CONFIG_SECCOMP_FILTER) has to do without --seccomp"
            }
            Errno::ENOMEM => "all filters in force may have 32768 instructions: seccomp(2), ENOMEM",
            _ => return None,
        };
        Some(advice.to_string())
    }
}

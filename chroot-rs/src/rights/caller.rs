//! The rights before any are given up.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;

use system::idmap::OVERFLOW_ID;
use system::namespace::NamespaceKind;
use system::sys;

use crate::capabilities::Capabilities;
use crate::probe::Privilege;
use crate::seccomp;

/// The rights of this process, once it is in the user namespace that the command runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerRights {
    /// Every capability of the kernel.
    pub known: Capabilities,
    pub permitted: Capabilities,
    pub inheritable: Capabilities,
    /// What a non-root user keeps across execve(2).
    pub ambient: Capabilities,
    /// The user that this process is then.
    pub uid: u32,
    /// Whether the machine's user 0 exists in the user namespace. The kernel lets it write the machine's
    /// settings in /proc, whatever its capabilities are.
    pub has_host_root: bool,
    /// Whose root the command is, for the filter.
    pub filter: seccomp::Privilege,
}

impl CallerRights {
    /// Reads this process's rights, or returns those in a new user namespace, in which the user is `inside`.
    pub fn read(privilege: Privilege, inside: u32) -> Self {
        let last = sys::last_capability();
        let known = Capabilities(u64::MAX >> (63 - u64::from(last)));
        let has_host_root = has_host_root(privilege);
        let filter = if privilege == Privilege::Machine || has_host_root || !is_of_known_user(privilege) {
            seccomp::Privilege::Machine
        } else {
            seccomp::Privilege::UserNamespace
        };
        let none = Capabilities::default();
        if matches!(privilege, Privilege::Unprivileged | Privilege::FreeIds) {
            let (permitted, inheritable, ambient) = (known, none, none);
            return Self { known, permitted, inheritable, ambient, uid: inside, has_host_root, filter };
        }
        let bits = sys::capabilities().unwrap_or_default();
        let inheritable = Capabilities(bits.inheritable);
        // an ambient capability is always inheritable, too
        let ambient = inheritable.numbers().filter(|number| sys::is_ambient(*number));
        Self {
            known,
            permitted: Capabilities(bits.permitted).and(known),
            inheritable,
            ambient: ambient.collect(),
            uid: sys::effective_ids().0,
            has_host_root,
            filter,
        }
    }
}

/// Whether the machine's user 0 exists in the command's user namespace. It owns the sysctls wherever they are
/// visible.
fn has_host_root(privilege: Privilege) -> bool {
    match privilege {
        Privilege::Machine => return true,
        Privilege::FreeIds => return false,
        Privilege::Namespace | Privilege::Unprivileged => {}
    }
    // without /proc this is unknown
    let Ok(owner) = fs::metadata("/proc/sys").map(|meta| meta.uid()) else { return true };
    match privilege {
        // a new user namespace maps only the caller
        Privilege::Unprivileged => owner == sys::effective_ids().0,
        _ => owner != OVERFLOW_ID,
    }
}

/// Whether the creator of the user namespace exists in it. If so, the creator is an ordinary user, and the namespace
/// has that user's rights. If root created it for ids that no account has, root does not exist in it.
fn is_of_known_user(privilege: Privilege) -> bool {
    match privilege {
        Privilege::Unprivileged => return true,
        Privilege::FreeIds => return false,
        Privilege::Machine | Privilege::Namespace => {}
    }
    File::open(NamespaceKind::USER.path())
        .is_ok_and(|file| sys::owner_of_user_namespace(&file).is_ok_and(|owner| owner != OVERFLOW_ID))
}

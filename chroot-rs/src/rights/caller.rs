//! The rights that there are before any is given up.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;

use system::namespace::Kind;
use system::sys;

use crate::capabilities::Capabilities;
use crate::probe::Privilege;
use crate::seccomp;

/// The number that stands for an id that is not mapped, unless the machine has another one:
/// /proc/sys/kernel/overflowuid.
const OVERFLOW_ID: u32 = 65534;

/// The rights of this process, once it is in the user namespace that the command runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerRights {
    /// Every capability that the kernel knows.
    pub known: Capabilities,
    pub permitted: Capabilities,
    pub inheritable: Capabilities,
    /// What outlives execve(2) for a user who is not root.
    pub ambient: Capabilities,
    /// The user that this process is by then.
    pub uid: u32,
    /// Whether the user 0 of the machine exists in the user namespace. The kernel lets it write the
    /// machine's switches in /proc, whatever its capabilities are.
    pub has_host_root: bool,
    /// Whose root the command is to the filter.
    pub filter: seccomp::Privilege,
}

impl CallerRights {
    /// Reads the rights of this process, or says those that a new user namespace gives it, in which the
    /// user is `inside`.
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
        // no capability is ambient that is not inheritable
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

/// Whether the user 0 of the machine exists in the user namespace of the command. It owns the sysctls
/// wherever they are seen.
fn has_host_root(privilege: Privilege) -> bool {
    match privilege {
        Privilege::Machine => return true,
        Privilege::FreeIds => return false,
        Privilege::Namespace | Privilege::Unprivileged => {}
    }
    // without /proc there is no way to know
    let Ok(owner) = fs::metadata("/proc/sys").map(|meta| meta.uid()) else { return true };
    match privilege {
        // a new user namespace has the caller alone
        Privilege::Unprivileged => owner == sys::effective_ids().0,
        _ => owner != OVERFLOW_ID,
    }
}

/// Whether the user namespace was made by a user who exists in it: an ordinary one, who gave away
/// what was the own. Root that made it for nobody's ids does not exist there.
fn is_of_known_user(privilege: Privilege) -> bool {
    match privilege {
        Privilege::Unprivileged => return true,
        Privilege::FreeIds => return false,
        Privilege::Machine | Privilege::Namespace => {}
    }
    File::open(Kind::USER.path())
        .is_ok_and(|file| sys::owner_of_user_namespace(&file).is_ok_and(|owner| owner != OVERFLOW_ID))
}

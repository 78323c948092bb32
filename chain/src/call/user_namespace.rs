//! A user namespace with ids that no account of the machine has.

use std::path::Path;

use nix::errno::Errno;
use nix::sched::CloneFlags;

use super::{Call, Effect, Shown};
use crate::handles::{FdSlot, Handles};
use system::{free_ids, sys};

/// Held while a run searches for free ids, so that no two runs find the same.
const LOCK: &str = "/run/exec-chain.lock";

/// Waits until no other run searches for free ids: flock(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockFreeIds(pub FdSlot);

impl Call for LockFreeIds {
    fn shown(&self) -> Shown {
        let open = format!("openat(AT_FDCWD, \"{LOCK}\", O_WRONLY|O_CREAT|O_NOFOLLOW|O_CLOEXEC, 0600)");
        Shown::new(format!("{open}, flock(<{}>, LOCK_EX)", self.0), "flock(2)")
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        handles.hold(self.0, sys::lock_file(Path::new(LOCK))?);
        Ok(())
    }
}

/// Lets other runs search for free ids, even if another process has inherited the lock: flock(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlockFreeIds(pub FdSlot);

impl Call for UnlockFreeIds {
    fn shown(&self) -> Shown {
        Shown::new(format!("flock(<{}>, LOCK_UN)", self.0), "flock(2)")
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        sys::unlock(handles.get(self.0)?)
    }
}

/// Creates a user namespace with free ids, mapped from 0, and keeps it open for [`EnterUserNamespace`]. Only
/// the holder of the lock knows which ids are free. A child creates the namespace, because its maps must be
/// written from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateUserNamespace(pub FdSlot);

impl Call for CreateUserNamespace {
    fn shown(&self) -> Shown {
        let count = free_ids::COUNT;
        let map = |kind| format!("write(</proc/PID/{kind}_map>, \"0 <free> {count}\")");
        let calls = format!("fork(), unshare(CLONE_NEWUSER), {}, {}", map("uid"), map("gid"));
        Shown::new(calls, "user_namespaces(7)").inspect("cat /proc/self/uid_map")
    }

    /// # Errors
    /// `EUSERS` if there are no free ids, else those of fork(2), unshare(2) and a write to uid_map.
    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        let ids = free_ids::find().ok_or(Errno::EUSERS)?;
        let namespace = sys::user_namespace(&format!("0 {} {}", ids.first, ids.count))?;
        handles.hold(self.0, namespace);
        Ok(())
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        (errno == Errno::EUSERS).then(|| {
            "no 65536 consecutive ids from 524288 up are free here: see /proc/self/uid_map, /etc/subuid and /etc/subgid".to_string()
        })
    }
}

/// Enters a user namespace, with all capabilities in it and not yet with a mapped id: setns(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnterUserNamespace(pub FdSlot);

impl Call for EnterUserNamespace {
    fn shown(&self) -> Shown {
        Shown::new(format!("setns(<{}>, CLONE_NEWUSER)", self.0), "setns(2)")
            .inspect("readlink /proc/self/ns/user")
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        nix::sched::setns(handles.get(self.0)?, CloneFlags::CLONE_NEWUSER)
    }

    fn effect(&self) -> Effect {
        Effect::Changes(CloneFlags::CLONE_NEWUSER)
    }
}

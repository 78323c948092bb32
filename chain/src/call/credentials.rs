//! Users, groups and capabilities.

use nix::errno::Errno;
use nix::sched::CloneFlags;

use super::{Call, Effect, Shown};
use crate::handles::Handles;
use system::sys;

/// Sets the supplementary groups: setgroups(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetGroups(pub Vec<u32>);

impl Call for SetGroups {
    fn shown(&self) -> Shown {
        let list: Vec<String> = self.0.iter().map(u32::to_string).collect();
        Shown::new(format!("setgroups({}, [{}])", self.0.len(), list.join(", ")), "setgroups(2)")
            .inspect("id")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::set_groups(&self.0)
    }

    fn effect(&self) -> Effect {
        Effect::Changes(CloneFlags::CLONE_NEWUSER)
    }
}

/// Sets the real, effective and saved group: setresgid(2). The parent-death signal stays set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetGroup(pub u32);

impl Call for SetGroup {
    fn shown(&self) -> Shown {
        let gid = self.0;
        Shown::new(format!("setresgid({gid}, {gid}, {gid})"), "setresgid(2)").inspect("id")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::set_group(self.0)
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        let gid = self.0;
        (errno == Errno::EINVAL).then(|| {
            format!(
                "group {gid} is not mapped in this user namespace: see /proc/self/gid_map and user_namespaces(7)"
            )
        })
    }

    fn effect(&self) -> Effect {
        Effect::Changes(CloneFlags::CLONE_NEWUSER)
    }
}

/// Sets the real, effective and saved user, which cannot be reversed: setresuid(2). The parent-death signal
/// stays set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetUser(pub u32);

impl Call for SetUser {
    fn shown(&self) -> Shown {
        let uid = self.0;
        Shown::new(format!("setresuid({uid}, {uid}, {uid})"), "setresuid(2)").inspect("id")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::set_user(self.0)
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        let uid = self.0;
        (errno == Errno::EINVAL).then(|| {
            format!("user {uid} is not mapped in this user namespace: see /proc/self/uid_map and user_namespaces(7)")
        })
    }

    fn effect(&self) -> Effect {
        Effect::Changes(CloneFlags::CLONE_NEWUSER)
    }
}

/// Keeps the capabilities of this process across execve(2): PR_CAP_AMBIENT(2const), capabilities(7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepCapabilities;

impl Call for KeepCapabilities {
    fn shown(&self) -> Shown {
        Shown::new("prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, <each>, 0, 0)", "capabilities(7)")
            .inspect("grep CapAmb /proc/self/status")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::keep_capabilities()
    }
}

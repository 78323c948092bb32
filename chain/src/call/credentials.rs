// SPDX-License-Identifier: MIT OR Apache-2.0
//! Users, groups and capabilities.

use std::fmt::{self, Display};
use std::path::Path;

use nix::errno::Errno;
use nix::sched::CloneFlags;

use super::Call;
use crate::handles::Handles;
use system::sys;

/// Sets the supplementary groups: setgroups(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetGroups(pub Vec<u32>);

impl Display for SetGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list: Vec<String> = self.0.iter().map(u32::to_string).collect();
        write!(f, "setgroups({}, [{}])", self.0.len(), list.join(", "))
    }
}

impl Call for SetGroups {
    fn page(&self) -> &'static str {
        "setgroups(2)"
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::set_groups(&self.0)
    }

    fn inspection_command(&self, _: &Path) -> Option<String> {
        Some("id".to_string())
    }

    fn changes(&self) -> CloneFlags {
        CloneFlags::CLONE_NEWUSER
    }
}

/// Sets real, effective and saved group: setresgid(2). The signal for the parent's death stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetGroup(pub u32);

impl Display for SetGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gid = self.0;
        write!(f, "setresgid({gid}, {gid}, {gid})")
    }
}

impl Call for SetGroup {
    fn page(&self) -> &'static str {
        "setresgid(2)"
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::set_group(self.0)
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        let gid = self.0;
        (errno == Errno::EINVAL).then(|| {
            format!(
                "group {gid} is not mapped in this user namespace: /proc/self/gid_map, user_namespaces(7)"
            )
        })
    }

    fn inspection_command(&self, _: &Path) -> Option<String> {
        Some("id".to_string())
    }

    fn changes(&self) -> CloneFlags {
        CloneFlags::CLONE_NEWUSER
    }
}

/// Sets real, effective and saved user, with no way back: setresuid(2). The signal for the parent's
/// death stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetUser(pub u32);

impl Display for SetUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uid = self.0;
        write!(f, "setresuid({uid}, {uid}, {uid})")
    }
}

impl Call for SetUser {
    fn page(&self) -> &'static str {
        "setresuid(2)"
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::set_user(self.0)
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        let uid = self.0;
        (errno == Errno::EINVAL).then(|| {
            format!("user {uid} is not mapped in this user namespace: /proc/self/uid_map, user_namespaces(7)")
        })
    }

    fn inspection_command(&self, _: &Path) -> Option<String> {
        Some("id".to_string())
    }

    fn changes(&self) -> CloneFlags {
        CloneFlags::CLONE_NEWUSER
    }
}

/// Lets the capabilities of this process outlive execve(2): PR_CAP_AMBIENT(2const), capabilities(7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepCapabilities;

impl Display for KeepCapabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, <each>, 0, 0)")
    }
}

impl Call for KeepCapabilities {
    fn page(&self) -> &'static str {
        "capabilities(7)"
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::keep_capabilities()
    }

    fn inspection_command(&self, _: &Path) -> Option<String> {
        Some("grep CapAmb /proc/self/status".to_string())
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether this process can mount at all, and what belongs to it.

use std::path::Path;

use system::namespace::{Kind, capability};
use system::sys;

/// Where this process has CAP_SYS_ADMIN, which mount(2) needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// In the user namespace the machine booted with.
    Machine,
    /// In another user namespace.
    Namespace,
    /// Nowhere: it takes a new user namespace.
    Unprivileged,
}

/// Why nothing can be mounted, so that chroot(2) has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyPlain {
    /// `--plain` was given.
    Requested,
    /// NEWROOT is the root already.
    SameRoot,
    /// This process has CAP_SYS_CHROOT and lacks CAP_SYS_ADMIN.
    NoAdmin,
    /// The root is not a mount, so it can neither be made private nor pivoted from.
    InChroot,
}

impl WhyPlain {
    /// The reason as the user reads it.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Requested => "--plain makes no mounts",
            Self::SameRoot => "NEWROOT is '/', where everything is mounted already",
            Self::NoAdmin => "that takes CAP_SYS_ADMIN",
            Self::InChroot => "this process is in a chroot itself, where mounts cannot be kept inside",
        }
    }
}

impl Privilege {
    /// # Errors
    /// The reason why nothing can be mounted.
    pub fn read(is_current_root: bool) -> Result<Self, WhyPlain> {
        if is_current_root {
            return Err(WhyPlain::SameRoot);
        }
        if !sys::has_capability(capability::CAP_SYS_ADMIN) {
            let can_chroot = sys::has_capability(capability::CAP_SYS_CHROOT);
            return if can_chroot { Err(WhyPlain::NoAdmin) } else { Ok(Self::Unprivileged) };
        }
        if sys::is_mount_root(Path::new("/")) == Some(false) {
            return Err(WhyPlain::InChroot);
        }
        Ok(if Kind::USER.is_initial() { Self::Machine } else { Self::Namespace })
    }

    /// Whether its capabilities count in this process's namespace of a kind.
    pub fn owns(self, kind: Kind) -> bool {
        match self {
            Self::Machine => true,
            Self::Namespace => kind.is_ours(),
            // a new user namespace owns none of the others
            Self::Unprivileged => false,
        }
    }
}

//! The attributes with which an overlay marks the files in its upper directory.
//!
//! An overlay that root of the machine mounts reads and writes `trusted.overlay.*`; one of a user namespace has the
//! mount option `userxattr`, and uses `user.overlay.*`. Attributes of the other kind are data, which the owner of a
//! file can set inside, so they must not be read as marks. A file in the directory of `--changes`, which the command
//! does not see, records the kind, because another user may list or apply the changes.

use std::ffi::{CString, OsStr};
use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::fs::{FileType, Stat};
use system::namespace::{NamespaceKind, capability};
use system::sys;

use super::dir::{Attribute, Dir, entry_path, file_type};
use super::names::{UPPER, USERXATTR};

/// The hint if only root of the machine can go on.
pub const AS_ROOT: &str =
    "run chroot-rs as root outside all user namespaces: with sudo, and without unshare-rs";

/// The kind of an overlay's marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Marks {
    /// `trusted.overlay.*`, which only root of the machine can read.
    #[default]
    Trusted,
    /// `user.overlay.*`.
    User,
}

impl Marks {
    /// The marks of the changes in a directory; None if there are no changes yet.
    pub fn recorded(dir: &Path) -> Option<Self> {
        std::fs::symlink_metadata(dir.join(UPPER)).ok()?;
        let is_users = std::fs::symlink_metadata(dir.join(USERXATTR)).is_ok();
        Some(if is_users { Self::User } else { Self::Trusted })
    }

    /// Whether this process can read them.
    pub fn are_readable(self) -> bool {
        let is_machines_root =
            || NamespaceKind::USER.is_initial() && sys::has_capability(capability::CAP_SYS_ADMIN);
        self == Self::User || is_machines_root()
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.",
            Self::User => "user.overlay.",
        }
    }

    /// Whether an entry of an upper directory means that its name was removed. overlayfs creates a device 0/0, but it
    /// reads an empty file with an attribute as well: ovl_path_is_whiteout() in fs/overlayfs/util.c. In an upper
    /// directory, it does not matter whether the directory of the file is marked with opaque="x".
    pub fn is_whiteout(self, dir: &Dir, name: &OsStr, stat: &Stat) -> bool {
        match file_type(stat) {
            FileType::CharacterDevice => stat.st_rdev == 0,
            FileType::RegularFile if stat.st_size == 0 => self.value(dir, name, "whiteout").is_some(),
            _ => false,
        }
    }

    /// Whether a directory hides everything below it.
    pub fn is_opaque(self, dir: &Dir, name: &OsStr) -> bool {
        self.value(dir, name, "opaque").as_deref() == Some(b"y")
    }

    fn value(self, dir: &Dir, name: &OsStr, mark: &str) -> Option<Vec<u8>> {
        let path = entry_path(dir.0.as_fd(), name);
        let mut value = [0u8; 16];
        let length = rustix::fs::lgetxattr(&path, [self.prefix(), mark].concat(), &mut value).ok()?;
        value.get(..length).map(<[u8]>::to_vec)
    }

    /// Whether an attribute has the name of a mark. Inside, the kernel hides it in NEWROOT's files, too.
    pub fn has_name_of_mark(self, (name, _): &Attribute) -> bool {
        name.as_bytes().starts_with(self.prefix().as_bytes())
    }

    /// The attributes of a file in the upper directory as the command sees them: without marks. Linux 6.7 and later
    /// store an attribute with the name of a mark, which a nested overlay has set, under a name with one more
    /// "overlay.": ovl_xattr_escape_name().
    pub fn without(self, attributes: Vec<Attribute>) -> Vec<Attribute> {
        let seen = |attribute: Attribute| {
            let Some(rest) = attribute.0.as_bytes().strip_prefix(self.prefix().as_bytes()) else {
                return Some(attribute);
            };
            let name = [self.prefix().as_bytes(), rest.strip_prefix(b"overlay.")?].concat();
            Some((CString::new(name).ok()?, attribute.1))
        };
        let mut seen: Vec<_> = attributes.into_iter().filter_map(seen).collect();
        seen.sort();
        seen
    }
}

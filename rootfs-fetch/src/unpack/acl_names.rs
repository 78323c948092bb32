//! Access control lists with names: GNU tar writes names if it knows them.
//!
//! The names are those of the tree, never of this machine: the tree's /etc/passwd and /etc/group decide, as
//! they are when the list is set. Directories come last, and find all names.

use std::io::Read as _;

use rustix::fs::{Mode, OFlags};
use system::accounts::AccountFiles;

use crate::archive::tar::Entry;
use crate::archive::tar::acl::{self, Names};
use crate::tree::Tree;
use crate::tree::name::Name;

/// The beginning of a list in the kernel's format, which no text has: its version.
const BINARY: &[u8] = &[2, 0, 0, 0];
/// A longer file of accounts is ignored.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Replaces the names in an entry's lists by numbers; a list with an unknown name stays as it is.
pub(super) fn resolve(tree: &mut Tree, entry: &mut Entry) {
    for (name, value) in &mut entry.xattrs {
        if name.starts_with(b"system.posix_acl_")
            && !value.starts_with(BINARY)
            && let Some(binary) = acl::binary(value, &mut |names, who| find(tree, names, who))
        {
            *value = binary;
        }
    }
}

/// The number for a name: passwd(5), group(5).
fn find(tree: &mut Tree, names: Names, who: &[u8]) -> Option<u64> {
    let file = match names {
        Names::Users => &b"etc/passwd"[..],
        Names::Groups => b"etc/group",
    };
    let entry_path = tree.existing_entry_path(&Name::parse(file).ok()?).ok()??;
    // a link is not followed, and a pipe is not waited for: both are from the archive
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(entry_path.dir(), entry_path.leaf(), flags, Mode::empty()).ok()?;
    let file = std::fs::File::from(file);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut text).ok()?;
    let id = match names {
        Names::Users => AccountFiles::new(text, Vec::new()).user(who)?.uid,
        Names::Groups => AccountFiles::new(Vec::new(), text).group(who)?,
    };
    Some(u64::from(id))
}

//! Access control lists that name people: GNU tar writes names where it knows some.
//!
//! They are those of the tree, never of this machine: its own /etc/passwd and /etc/group say
//! who is meant, as they are when the list is set. Directories come last, and find all.

use std::io::Read as _;

use rustix::fs::{Mode, OFlags};
use system::accounts::AccountFiles;

use crate::archive::tar::Entry;
use crate::archive::tar::acl::{self, Names};
use crate::tree::Tree;
use crate::tree::name::Name;

/// What the kernel's form of a list begins with, and no text does: its version.
const BINARY: &[u8] = &[2, 0, 0, 0];
/// A list of people longer than this is none.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Puts numbers for the names in an entry's lists; a list with an unknown name stays as it is.
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

/// The number of a name, passwd(5), group(5).
fn find(tree: &mut Tree, names: Names, who: &[u8]) -> Option<u64> {
    let file = match names {
        Names::Users => &b"etc/passwd"[..],
        Names::Groups => b"etc/group",
    };
    let entry_path = tree.existing_entry_path(&Name::parse(file).ok()?).ok()??;
    // neither a link nor a pipe of the archive's is worth waiting for
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

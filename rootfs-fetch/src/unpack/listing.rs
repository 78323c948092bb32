//! An entry as one line, like ls(1): for `-v` and `--dry-run`.

use std::fmt;

use chain::reporter::Quoted;

use crate::archive::tar::{Entry, EntryKind};
use crate::tree::name::Name;

/// An entry and its name in DIRECTORY.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a>(pub &'a Entry, pub &'a Name);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(entry, name) = self;
        let (letter, size) = match &entry.kind {
            EntryKind::File | EntryKind::Unknown(_) => ('-', entry.stored.to_string()),
            EntryKind::Sparse(map) => ('-', map.size().to_string()),
            EntryKind::Directory => ('d', "0".into()),
            EntryKind::Symlink(_) => ('l', "0".into()),
            EntryKind::HardLink(_) => ('h', "0".into()),
            EntryKind::Fifo => ('p', "0".into()),
            EntryKind::CharDevice(major, minor) => ('c', format!("{major},{minor}")),
            EntryKind::BlockDevice(major, minor) => ('b', format!("{major},{minor}")),
        };
        let id = |id: Option<u32>| id.map_or_else(|| "?".into(), |id| id.to_string());
        let owner = format!("{}:{}", id(entry.uid), id(entry.gid));
        write!(f, "{letter}{:04o} {owner:>9} {size:>10} {name}", entry.mode)?;
        match &entry.kind {
            EntryKind::Symlink(target) => write!(f, " -> {}", Quoted(target)),
            EntryKind::HardLink(target) => write!(f, " = {}", Quoted(target)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tar::Time;

    #[test]
    fn an_entry_is_listed_with_its_mode_owner_and_size() {
        let entry = Entry {
            raw_name: b"./a".to_vec(),
            kind: EntryKind::Symlink(b"b".to_vec()),
            mode: 0o777,
            uid: Some(0),
            gid: None,
            mtime: Time::default(),
            xattrs: Vec::new(),
            stored: 0,
        };
        let name = Name::parse(b"./a").expect("a name");
        assert_eq!(Listing(&entry, &name).to_string(), "l0777       0:?          0 \"a\" -> \"b\"");
    }
}

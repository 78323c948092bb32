// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hard links: a second name for what this archive made, also where it comes first.

use rustix::fs::{AtFlags, FileType};

use crate::failure::{Failure, Result};
use crate::tree::directories::Inode;
use crate::tree::entry_path::EntryPath;
use crate::tree::name::Name;
use crate::unpack::Unpacker;

/// Bytes of names that are kept until what they name has come.
const MAX_PENDING_LINK_BYTES: usize = 16 << 20;

impl Unpacker {
    /// A link to a name of this tree, never to anything a link leads to.
    pub(super) fn hard_link(&mut self, name: &Name, raw_target: &[u8]) -> Result<()> {
        let target = Name::parse(raw_target)?;
        let Some(target) = self.policy.selection.select(&target) else {
            return Err(Failure::damaged(format_args!(
                "{name} is a hard link to {target}, which was left out"
            ))
            .hint("--exclude the link too, or keep both"));
        };
        if target.is_root() {
            return Err(Failure::damaged(format_args!("refused {name}: a hard link to nothing")));
        }
        if target == *name {
            return Ok(());
        }
        if !self.link(name, &target)? {
            // what it replaces goes now; what replaces it may still come
            if let Some(entry_path) = self.tree.existing_entry_path(name)? {
                self.tree.remove(&entry_path)?;
            }
            self.waiting_bytes += name.bytes().len() + target.bytes().len();
            if self.waiting_bytes > MAX_PENDING_LINK_BYTES {
                return Err(Failure::damaged("refused: too many hard links come before what they name"));
            }
            self.waiting.push((name.clone(), target));
        }
        self.report.files += 1;
        Ok(())
    }

    /// Whether the target was there to link to.
    fn link(&mut self, name: &Name, target: &Name) -> Result<bool> {
        let Some(old) = self.tree.existing_entry_path(target)? else { return Ok(false) };
        match old.stat() {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                return Err(Failure::damaged(format_args!(
                    "refused {name}: a hard link to the directory {target}"
                )));
            }
            Ok(stat) => {
                let inode = Inode::of(&stat);
                if self.files.as_ref().is_some_and(|files| !files.contains(&inode)) {
                    return Err(Failure::damaged(format_args!(
                        "refused {name}: a hard link to {target}, which was there before"
                    )));
                }
            }
            Err(_) => return Ok(false),
        }
        let entry_path = self.tree.entry_path(name)?;
        let same = |entry_path: &EntryPath| {
            matches!((entry_path.stat(), old.stat()), (Ok(one), Ok(other))
                if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
        };
        // to replace a name by a link to itself would lose the file
        if !same(&entry_path) {
            self.new_at(&entry_path, name, "linkat()", |entry_path| {
                rustix::fs::linkat(
                    old.dir(),
                    old.leaf(),
                    entry_path.dir(),
                    entry_path.leaf(),
                    AtFlags::empty(),
                )
            })?;
        }
        Ok(true)
    }

    /// Makes the hard links that came before what they name.
    pub(super) fn link_waiting(&mut self) -> Result<()> {
        self.waiting_bytes = 0;
        for (name, target) in std::mem::take(&mut self.waiting) {
            // a later entry of the same name has won
            if self.tree.existing_entry_path(&name)?.is_some_and(|entry_path| entry_path.stat().is_ok()) {
                continue;
            }
            if !self.link(&name, &target)? {
                return Err(Failure::damaged(format_args!(
                    "{name} is a hard link to {target}, which is not in the archive"
                )));
            }
        }
        Ok(())
    }
}

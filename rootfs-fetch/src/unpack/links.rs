//! Hard links to files of this archive, even if the link comes before its target.

use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use crate::failure::{Failure, Result};
use crate::tree::directories::Inode;
use crate::tree::entry_path::EntryPath;
use crate::tree::name::Name;
use crate::unpack::{Unpacker, Waiting, copy};

/// Errors of a file system that refuses a link: too many links to one file (EMLINK: 65,000 on ext4), not
/// supported, across subvolumes, or a security rule (protected_hardlinks, Android).
const REFUSED: [Errno; 6] =
    [Errno::MLINK, Errno::PERM, Errno::ACCESS, Errno::XDEV, Errno::OPNOTSUPP, Errno::NOSYS];

/// The maximum number of bytes of the names that wait for their targets, and of the names that have copies.
const MAX_NAME_BYTES: usize = 16 << 20;

/// The result of a hard link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Linked,
    /// The file system refused it, and the file was copied.
    Copied,
    /// The file system refused it, and a copy would be too large.
    Refused,
}

/// The bytes that a file takes on the disk, without its holes.
fn stored(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or_default().saturating_mul(512)
}

impl Unpacker {
    /// Creates a hard link to a name in this tree, but never through a symbolic link.
    pub(super) fn hard_link(&mut self, name: &Name, raw_target: &[u8]) -> Result<()> {
        let target = Name::parse(raw_target)?;
        let Some(target) = self.policy.selection.select(&target) else {
            return Err(Failure::damaged(format_args!(
                "{name} is a hard link to {target}, which was skipped"
            ))
            .hint("exclude both names or neither"));
        };
        if target.is_root() {
            return Err(Failure::damaged(format_args!("refused {name}: a hard link to DIRECTORY itself")));
        }
        if target == *name {
            return Ok(());
        }
        if self.left_out.contains(target.bytes()) {
            return self.leave_out(name);
        }
        if !self.link(name, &target)? {
            // the file that it replaces is removed now; a later entry can still replace the link
            self.clear_way(name)?;
            if let Some(entry_path) = self.tree.existing_entry_path(name)? {
                self.tree.replace(&entry_path, name)?;
            }
            self.waiting_bytes += name.bytes().len() + target.bytes().len();
            if self.waiting_bytes > MAX_NAME_BYTES {
                return Err(Failure::damaged("refused: too many hard links come before what they name"));
            }
            self.waiting.push(Waiting { name: name.clone(), target, origin: self.origin.clone() });
        }
        self.report.files += 1;
        Ok(())
    }

    /// The file to link to, if it exists.
    fn link_target(&mut self, name: &Name, target: &Name) -> Result<Option<(EntryPath, Stat)>> {
        let Some(old) = self.tree.existing_entry_path(target)? else { return Ok(None) };
        let Ok(stat) = old.stat() else { return Ok(None) };
        let refused = |what| Err(Failure::damaged(format_args!("refused {name}: a hard link to {what}")));
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return refused(format!("the directory {target}"));
        }
        if !self.tree.is_made(&stat) {
            return refused(format!("{target}, which existed before"));
        }
        Ok(Some((old, stat)))
    }

    /// Creates the link if the target exists. Returns whether it does.
    fn link(&mut self, name: &Name, target: &Name) -> Result<bool> {
        let mut target = target.clone();
        if let Some(copy) = self.copied.get(&target).cloned() {
            // it can be gone, by a whiteout or with its directory
            match self.link_target(name, &copy)? {
                Some(_) => target = copy,
                None => drop(self.copied.remove(&target)),
            }
        }
        let Some((old, stat)) = self.link_target(name, &target)? else { return Ok(false) };
        let entry_path = self.entry_path(name)?;
        // replacing a name by a link to itself would lose the file
        if entry_path.stat().is_ok_and(|found| Inode::of(&found) == Inode::of(&stat)) {
            return Ok(true);
        }
        let (too_large, interrupt) = (self.is_too_large(&stat), self.interrupt.clone());
        let make = |new: &EntryPath| {
            let flags = AtFlags::empty();
            match rustix::fs::linkat(old.dir(), old.leaf(), new.dir(), new.leaf(), flags) {
                Err(error) if !REFUSED.contains(&error) => Err(error),
                Err(_) if too_large => Ok(Outcome::Refused),
                Err(_) => copy::entry(&old, new, &interrupt).map(|()| Outcome::Copied),
                Ok(()) => Ok(Outcome::Linked),
            }
        };
        match self.new_at(&entry_path, name, "linkat()", make)? {
            Outcome::Linked => {}
            Outcome::Copied => {
                self.report.copies += 1;
                self.copied_bytes += stored(&stat);
                // the next links of a file that has all it may have are links to the copy
                self.remember_copy(target, name);
            }
            Outcome::Refused => {
                let max_bytes = self.policy.max_copied_bytes;
                return Err(Failure::damaged(format_args!(
                    "refused: copies of hard links would take more than {max_bytes} bytes"
                ))
                .hint("raise the limit with --max-size"));
            }
        }
        Ok(true)
    }

    fn remember_copy(&mut self, target: Name, copy: &Name) {
        self.copied_name_bytes += target.bytes().len() + copy.bytes().len();
        // without it, the next link is a further copy
        if self.copied_name_bytes <= MAX_NAME_BYTES {
            self.copied.insert(target, copy.clone());
        }
    }

    /// Whether a copy of a file is more than an archive may unpack to.
    fn is_too_large(&self, stat: &Stat) -> bool {
        self.copied_bytes.saturating_add(stored(stat)) > self.policy.max_copied_bytes
    }

    /// Creates the hard links that came before their targets.
    pub(super) fn link_waiting(&mut self) -> Result<()> {
        self.waiting_bytes = 0;
        for Waiting { name, target, origin } in std::mem::take(&mut self.waiting) {
            // a later entry with the same name has won
            if self.tree.existing_entry_path(&name)?.is_some_and(|entry_path| entry_path.stat().is_ok()) {
                continue;
            }
            if self.left_out.contains(target.bytes()) {
                self.leave_out(&name)?;
            } else if !self.link(&name, &target)? {
                return Err(Failure::damaged(format_args!(
                    "{name} is a hard link to {target}, which is not in the archive"
                )));
            } else {
                self.origin = origin;
                self.note(&name)?;
            }
        }
        Ok(())
    }
}

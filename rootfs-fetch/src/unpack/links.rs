//! Hard links: a second name for what this archive made, also where it comes first.

use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use crate::failure::{Failure, Result};
use crate::tree::directories::Inode;
use crate::tree::entry_path::EntryPath;
use crate::tree::name::Name;
use crate::unpack::{Unpacker, copy};

/// Errors of a file system that refuses a link: too many of one file (EMLINK: 65,000 on ext4), not
/// supported, across subvolumes, or a rule of the system (protected_hardlinks, Android).
const REFUSED: [Errno; 6] =
    [Errno::MLINK, Errno::PERM, Errno::ACCESS, Errno::XDEV, Errno::OPNOTSUPP, Errno::NOSYS];

/// Bytes of names that are kept until what they name has come.
const MAX_PENDING_LINK_BYTES: usize = 16 << 20;

/// What became of a hard link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Linked,
    /// The file system refused it.
    Copied,
    /// Likewise, and a copy would be too large.
    Refused,
}

/// The bytes that a file takes on the disk, without its holes.
fn stored(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or_default().saturating_mul(512)
}

impl Unpacker {
    /// A link to a name of this tree, never to anything a link leads to.
    pub(super) fn hard_link(&mut self, name: &Name, raw_target: &[u8]) -> Result<()> {
        let target = Name::parse(raw_target)?;
        let Some(target) = self.policy.selection.select(&target) else {
            return Err(Failure::damaged(format_args!(
                "{name} is a hard link to {target}, which was skipped"
            ))
            .hint("exclude both names or neither"));
        };
        if target.is_root() {
            return Err(Failure::damaged(format_args!("refused {name}: a hard link to nothing")));
        }
        if target == *name {
            return Ok(());
        }
        if self.left_out.contains(&target) {
            return self.leave_out(name);
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

    /// The file to link to, if it exists.
    fn link_target(&mut self, name: &Name, target: &Name) -> Result<Option<(EntryPath, Stat)>> {
        let Some(old) = self.tree.existing_entry_path(target)? else { return Ok(None) };
        let Ok(stat) = old.stat() else { return Ok(None) };
        let refused = |what| Err(Failure::damaged(format_args!("refused {name}: a hard link to {what}")));
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return refused(format!("the directory {target}"));
        }
        let inode = Inode::of(&stat);
        if self.files.as_ref().is_some_and(|files| !files.contains(&inode)) {
            return refused(format!("{target}, which was there before"));
        }
        Ok(Some((old, stat)))
    }

    /// Whether the target exists; then the link is made.
    fn link(&mut self, name: &Name, target: &Name) -> Result<bool> {
        let target = self.copied.get(target).unwrap_or(target).clone();
        let Some((old, stat)) = self.link_target(name, &target)? else { return Ok(false) };
        let entry_path = self.tree.entry_path(name)?;
        // to replace a name by a link to itself would lose the file
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
                self.copied.insert(target, name.clone());
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

    /// Whether a copy of a file is more than an archive may unpack to.
    fn is_too_large(&self, stat: &Stat) -> bool {
        self.copied_bytes.saturating_add(stored(stat)) > self.policy.max_copied_bytes
    }

    /// Makes the hard links that came before what they name.
    pub(super) fn link_waiting(&mut self) -> Result<()> {
        self.waiting_bytes = 0;
        for (name, target) in std::mem::take(&mut self.waiting) {
            // a later entry of the same name has won
            if self.tree.existing_entry_path(&name)?.is_some_and(|entry_path| entry_path.stat().is_ok()) {
                continue;
            }
            if self.left_out.contains(&target) {
                self.leave_out(&name)?;
            } else if !self.link(&name, &target)? {
                return Err(Failure::damaged(format_args!(
                    "{name} is a hard link to {target}, which is not in the archive"
                )));
            }
        }
        Ok(())
    }
}

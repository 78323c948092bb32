//! Entries without contents: symbolic links, FIFOs, and device nodes, which can be skipped.

use rustix::fs::{FileType, Mode};

use crate::archive::tar::{Entry, EntryKind};
use crate::failure::Result;
use crate::tree::made::Removal;
use crate::tree::name::Name;
use crate::unpack::policy::Devices;
use crate::unpack::{Unpacker, metadata};

impl Unpacker {
    pub(super) fn symlink(&mut self, name: &Name, target: &[u8], entry: &Entry) -> Result<()> {
        let entry_path = self.entry_path(name)?;
        self.new_at(&entry_path, name, "symlinkat()", |entry_path| {
            rustix::fs::symlinkat(target, entry_path.dir(), entry_path.leaf())
        })?;
        metadata::finish_special(&entry_path, entry, &self.policy, &mut self.report)
            .map_err(|failure| failure.within(name))?;
        self.report.files += 1;
        Ok(())
    }

    pub(super) fn node(&mut self, name: &Name, entry: &Entry, kind: FileType, device: u64) -> Result<()> {
        let entry_path = self.entry_path(name)?;
        let mode = Mode::from_raw_mode(metadata::node_mode(entry, &self.policy) & 0o777);
        self.new_at(&entry_path, name, "mknodat()", |entry_path| {
            rustix::fs::mknodat(entry_path.dir(), entry_path.leaf(), kind, mode, device)
        })?;
        metadata::finish_special(&entry_path, entry, &self.policy, &mut self.report)
            .map_err(|failure| failure.within(name))?;
        self.report.files += 1;
        Ok(())
    }

    pub(super) fn device(&mut self, name: &Name, entry: &Entry) -> Result<()> {
        if self.policy.devices == Devices::LeaveOut {
            return self.leave_out(name);
        }
        let (kind, major, minor) = match entry.kind {
            EntryKind::CharDevice(major, minor) => (FileType::CharacterDevice, major, minor),
            EntryKind::BlockDevice(major, minor) => (FileType::BlockDevice, major, minor),
            _ => return Ok(()),
        };
        self.node(name, entry, kind, rustix::fs::makedev(major, minor))
    }

    /// Counts a skipped device node, or a hard link to one.
    pub(super) fn leave_out(&mut self, name: &Name) -> Result<()> {
        self.report.devices += 1;
        self.left_out.insert(name.bytes());
        // the last of a name wins, also when it is left out
        match self.tree.real(name)? {
            Some(real) => self.tree.remove_made(&real, &|_| Removal::Remove),
            None => Ok(()),
        }
    }
}

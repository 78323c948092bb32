//! What this run has created in the tree, which can contain other files: `--into`.

use rustix::fs::{FileType, Stat};

use crate::tree::Tree;
use crate::tree::directories::Inode;
use crate::tree::entry_path::EntryPath;

impl Tree {
    /// Whether this run created everything in the tree.
    pub fn root_is_made(&self) -> bool {
        self.files.is_none()
    }

    /// Whether this run created the file or directory with this status.
    pub fn is_made(&self, stat: &Stat) -> bool {
        let Some(files) = &self.files else { return true };
        let inode = Inode::of(stat);
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            self.directories.is_made(inode)
        } else {
            files.contains(&inode)
        }
    }

    /// Records a file that was created.
    pub fn note_file(&mut self, entry_path: &EntryPath) {
        if let Some(files) = &mut self.files
            && let Ok(stat) = entry_path.stat()
        {
            files.insert(Inode::of(&stat));
        }
    }
}

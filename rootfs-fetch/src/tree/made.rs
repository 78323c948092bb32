//! What this run has created in the tree, which can contain other files: `--into`.

use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use crate::failure::{Failure, Result};
use crate::tree::Tree;
use crate::tree::directories::Inode;
use crate::tree::entry_path::EntryPath;
use crate::tree::name::Name;

/// What happens to an entry, if this run has created it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It stays; each entry below it has its own value.
    Keep,
    /// It is removed, with everything below it.
    Remove,
    /// Each entry below it has its own value; then it is removed if it is empty.
    RemoveIfEmpty,
}

fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

impl Tree {
    /// Whether this run created everything in the tree.
    pub fn root_is_made(&self) -> bool {
        self.files.is_none()
    }

    /// Whether this run created the file or directory with this status.
    pub fn is_made(&self, stat: &Stat) -> bool {
        let Some(files) = &self.files else { return true };
        let inode = Inode::of(stat);
        if is_directory(stat) { self.directories.is_made(inode) } else { files.contains(&inode) }
    }

    /// Records a file that was created.
    pub fn note_file(&mut self, entry_path: &EntryPath) {
        if let Some(files) = &mut self.files
            && let Ok(stat) = entry_path.stat()
        {
            files.insert(Inode::of(&stat));
        }
    }

    /// Removes what is at `entry_path`, so that the entry `name` can be created there.
    ///
    /// # Errors
    /// Damaged, for a directory that existed before; I/O.
    pub fn replace(&mut self, entry_path: &EntryPath, name: &Name) -> Result<()> {
        if entry_path.stat().is_ok_and(|stat| is_directory(&stat) && !self.is_made(&stat)) {
            return Err(Failure::damaged(format_args!(
                "refused {name}: it would replace an existing directory"
            )));
        }
        self.remove(entry_path)
    }

    /// Creates something new at `entry_path`; what was there is removed, unless it is a directory that existed before.
    ///
    /// # Errors
    /// Those of [`Self::replace`]. The inner result is that of `make`.
    pub fn create<T>(
        &mut self,
        entry_path: &EntryPath,
        name: &Name,
        make: impl Fn(&EntryPath) -> rustix::io::Result<T>,
    ) -> Result<rustix::io::Result<T>> {
        let mut made = make(entry_path);
        if matches!(made, Err(Errno::EXIST)) {
            self.replace(entry_path, name)?;
            made = make(entry_path);
        }
        Ok(made)
    }

    /// Removes the entry with this real name and what is below it, as far as this run has created them and
    /// `removal` selects them.
    ///
    /// # Errors
    /// Those of unlinkat(2); what could not be removed stays.
    pub fn remove_made(&mut self, real: &Name, removal: &dyn Fn(&Name) -> Removal) -> Result<()> {
        let Some(entry_path) = self.existing_entry_path(real)? else { return Ok(()) };
        let Ok(stat) = entry_path.stat() else { return Ok(()) };
        let (wanted, is_made, inode) = (removal(real), self.is_made(&stat), Inode::of(&stat));
        // this run has created everything in a directory that it has created
        if wanted == Removal::Remove && is_made {
            return self.remove(&entry_path);
        }
        if !is_directory(&stat) {
            return if wanted != Removal::Keep && is_made { self.remove(&entry_path) } else { Ok(()) };
        }
        // an unknown directory has nothing of this run
        if !self.directories.contains(inode) {
            return Ok(());
        }
        self.remove_made_below(real, removal)?;
        if wanted == Removal::Keep {
            return Ok(());
        }
        if is_made {
            return self.remove_if_empty(&entry_path, inode);
        }
        // the archive does not have it any more
        self.directories.forget_metadata(inode);
        Ok(())
    }

    /// The same for everything in a directory, which stays.
    ///
    /// # Errors
    /// Those of [`Self::remove_made`].
    pub fn remove_made_below(&mut self, real: &Name, removal: &dyn Fn(&Name) -> Removal) -> Result<()> {
        for (leaf, _) in self.children(real)? {
            self.remove_made(&Name::parse(&[real.bytes(), b"/", &leaf].concat())?, removal)?;
        }
        Ok(())
    }

    fn remove_if_empty(&mut self, entry_path: &EntryPath, inode: Inode) -> Result<()> {
        match rustix::fs::unlinkat(entry_path.dir(), entry_path.leaf(), AtFlags::REMOVEDIR) {
            Ok(()) => {
                self.open.clear();
                self.directories.forget(inode);
                Ok(())
            }
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            Err(error) => Err(Failure::entry_call("remove a hidden directory", "unlinkat()", error)),
        }
    }
}

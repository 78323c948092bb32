//! The old tree on a file system that cannot exchange two names, such as NFS:
//! `DIRECTORY.replaced-XXXXXXXXXX`.
//!
//! There, `--replace` moves the old tree aside and renames the new one in a second step. A run that is killed
//! in between leaves no DIRECTORY, so the next run renames the old tree back.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use crate::destination::partial::{self, Sibling};
use crate::failure::Result;

/// An old tree that was moved aside.
#[derive(Debug)]
pub struct OldTree {
    name: OsString,
    /// Shows other runs that this one is alive.
    _lock: OwnedFd,
}

impl OldTree {
    /// Moves DIRECTORY aside. None if it does not exist, or cannot be moved.
    pub fn move_aside(parent: &OwnedFd, directory: &OsStr) -> Option<Self> {
        let lock = partial::open_locked(parent, directory)?;
        let name = partial::passing_name(directory, Sibling::Replaced).ok()?;
        rustix::fs::renameat(parent, directory, parent, &name).ok()?;
        Some(Self { name, _lock: lock })
    }

    /// Its current name.
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// Renames it back.
    ///
    /// # Errors
    /// Those of renameat2(2), even if another DIRECTORY exists.
    pub fn move_back(&self, parent: &OwnedFd, directory: &OsStr) -> rustix::io::Result<()> {
        move_back(parent, &self.name, directory)
    }

    /// Removes it, because DIRECTORY is now the new tree.
    ///
    /// # Errors
    /// Those of renameat(2) and unlinkat(2); the next run tries again.
    pub fn remove(self, parent: &OwnedFd, directory: &OsStr) -> Result<()> {
        // under another name: a tree that is no longer whole must not become DIRECTORY again
        partial::remove(parent, &self.name, directory)
    }
}

/// Renames the old tree of a killed run back, or removes it if another DIRECTORY exists.
pub fn recover(parent: &OwnedFd, directory: &OsStr) {
    for old in partial::siblings(parent, directory, Sibling::Replaced) {
        let Some(dir) = partial::lock_remains(parent, &old) else { continue };
        match rustix::fs::statat(parent, directory, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {
                let _ = move_back(parent, &old, directory);
            }
            Ok(_) if partial::is_owned(&dir) => {
                let _ = partial::remove(parent, &old, directory);
            }
            _ => {}
        }
    }
}

fn move_back(parent: &OwnedFd, old: &OsStr, directory: &OsStr) -> rustix::io::Result<()> {
    match rustix::fs::renameat_with(parent, old, parent, directory, RenameFlags::NOREPLACE) {
        // plain rename(2) only replaces an empty directory
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            rustix::fs::renameat(parent, old, parent, directory)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_old_tree_is_left_alone_while_its_run_lives_and_comes_back_afterwards() {
        let scratch = std::env::temp_dir().join(format!("rootfs-fetch-replaced-{}", std::process::id()));
        fs::create_dir_all(scratch.join("root/mine")).expect("a tree");
        let parent = crate::tree::open_plain(&scratch).expect("a directory");
        let root = OsStr::new("root");
        let old = OldTree::move_aside(&parent, root).expect("it is moved");
        let aside = scratch.join(old.name());
        recover(&parent, root);
        assert!(aside.exists() && !scratch.join("root").exists());
        drop(old);
        recover(&parent, root);
        assert!(!aside.exists() && scratch.join("root/mine").exists());

        let old = OldTree::move_aside(&parent, root).expect("it is moved");
        let aside = scratch.join(old.name());
        fs::create_dir(scratch.join("root")).expect("another tree");
        recover(&parent, root);
        assert!(aside.exists());
        drop(old);
        recover(&parent, root);
        assert_eq!(fs::read_dir(&scratch).expect("a directory").count(), 1);
        assert!(!scratch.join("root/mine").exists());
        fs::remove_dir_all(&scratch).expect("it is removed");
    }
}

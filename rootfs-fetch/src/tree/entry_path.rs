//! Where an entry is created: an open directory and the last component of its name.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{AtFlags, Stat};

use crate::tree::directories::Inode;

/// An open directory of the tree.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    inode: Inode,
}

impl Dir {
    /// An open directory with this inode.
    pub fn new(fd: OwnedFd, inode: Inode) -> Self {
        Self { fd, inode }
    }

    /// Its inode.
    pub fn inode(&self) -> Inode {
        self.inode
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The open directory of a name, and its last component, which is never followed.
#[derive(Clone, Debug)]
pub struct EntryPath {
    dir: Rc<Dir>,
    leaf: Vec<u8>,
}

impl EntryPath {
    /// A name in an open directory.
    pub fn new(dir: Rc<Dir>, leaf: &[u8]) -> Self {
        Self { dir, leaf: leaf.to_vec() }
    }

    /// The inode of the directory.
    pub fn parent(&self) -> Inode {
        self.dir.inode()
    }

    /// The directory.
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// The last component of the name.
    pub fn leaf(&self) -> &[u8] {
        &self.leaf
    }

    /// The status of the file with this name; links are not followed.
    ///
    /// # Errors
    /// Those of fstatat(2).
    pub fn stat(&self) -> rustix::io::Result<Stat> {
        rustix::fs::statat(self.dir(), self.leaf(), AtFlags::SYMLINK_NOFOLLOW)
    }
}

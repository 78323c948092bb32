// SPDX-License-Identifier: MIT OR Apache-2.0
//! A place in the tree: an open directory and a name in it that nothing follows.

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
    /// An open directory whose inode was looked at.
    pub fn new(fd: OwnedFd, inode: Inode) -> Self {
        Self { fd, inode }
    }

    /// Which directory it is.
    pub fn inode(&self) -> Inode {
        self.inode
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Where a name is made: its directory, open, and its last part.
#[derive(Clone, Debug)]
pub struct EntryPath {
    dir: Rc<Dir>,
    leaf: Vec<u8>,
}

impl EntryPath {
    /// A place in an open directory.
    pub fn new(dir: Rc<Dir>, leaf: &[u8]) -> Self {
        Self { dir, leaf: leaf.to_vec() }
    }

    /// Which directory it is in.
    pub fn parent(&self) -> Inode {
        self.dir.inode()
    }

    /// The directory.
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// The last part of the name.
    pub fn leaf(&self) -> &[u8] {
        &self.leaf
    }

    /// What is there, without following it.
    ///
    /// # Errors
    /// As fstatat(2).
    pub fn stat(&self) -> rustix::io::Result<Stat> {
        rustix::fs::statat(self.dir(), self.leaf(), AtFlags::SYMLINK_NOFOLLOW)
    }
}

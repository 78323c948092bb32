// SPDX-License-Identifier: MIT OR Apache-2.0
//! The directories made so far, and how each is to look in the end.
//!
//! While the tree grows every directory is ours and 0700; owner, mode and time
//! come last, the deepest first, so that neither a read-only directory nor the
//! time of one keeps us from filling it. They are known by inode, because a name
//! can lead through links that change; a directory itself is never moved.

use std::collections::HashMap;

use rustix::fs::Stat;

use crate::archive::tar::Entry;

/// A file on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Inode {
    device: u64,
    number: u64,
}

impl Inode {
    /// The inode that was looked at.
    pub fn of(stat: &Stat) -> Self {
        Self { device: stat.st_dev, number: stat.st_ino }
    }
}

#[derive(Debug)]
struct Record {
    parent: Inode,
    leaf: Box<[u8]>,
    origin: Origin,
    metadata: Option<Box<Entry>>,
}

/// Where a directory comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// We made it.
    Made,
    /// It was there.
    Found,
}

/// A directory to finish.
#[derive(Debug)]
pub struct Unfinished {
    /// The directory it is in.
    pub parent: Inode,
    /// Its name there.
    pub leaf: Vec<u8>,
    /// Where it comes from.
    pub origin: Origin,
    /// What the archive says of it, if it does.
    pub metadata: Option<Box<Entry>>,
}

/// Every directory of the tree.
#[derive(Debug)]
pub struct Directories {
    root: Inode,
    known: HashMap<Inode, Record>,
}

impl Directories {
    /// Knows the root alone.
    pub fn new(root: Inode, origin: Origin) -> Self {
        let record = Record { parent: root, leaf: Box::default(), origin, metadata: None };
        Self { root, known: HashMap::from([(root, record)]) }
    }

    /// Whether the directory is one of the tree.
    pub fn contains(&self, inode: Inode) -> bool {
        self.known.contains_key(&inode)
    }

    /// The directory that it is in.
    pub fn parent(&self, inode: Inode) -> Option<Inode> {
        self.known.get(&inode).map(|record| record.parent)
    }

    /// Whether we made the directory.
    pub fn is_made(&self, inode: Inode) -> bool {
        self.known.get(&inode).is_some_and(|record| record.origin == Origin::Made)
    }

    /// Remembers a directory when it is made or met.
    pub fn note(&mut self, inode: Inode, parent: Inode, leaf: &[u8], origin: Origin) {
        let record = || Record { parent, leaf: leaf.into(), origin, metadata: None };
        self.known.entry(inode).or_insert_with(record);
    }

    /// Says how a directory is to look; the last word counts.
    pub fn set_metadata(&mut self, inode: Inode, metadata: Entry) {
        if let Some(record) = self.known.get_mut(&inode) {
            record.metadata = Some(Box::new(metadata));
        }
    }

    /// Forgets a directory that is gone: its inode number can come back as something else.
    pub fn forget(&mut self, inode: Inode) {
        self.known.remove(&inode);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.known.len() as u64
    }

    /// All of them, each after those in it, and the root last: whoever goes through them in this
    /// order is often in the directory he needs next, or in one of its own.
    pub fn order(&self) -> Vec<Inode> {
        let mut below: HashMap<Inode, Vec<Inode>> = HashMap::new();
        for (&inode, record) in self.known.iter().filter(|&(&inode, _)| inode != self.root) {
            below.entry(record.parent).or_default().push(inode);
        }
        let mut order = Vec::with_capacity(self.known.len());
        let mut todo = vec![self.root];
        while let Some(inode) = todo.pop() {
            order.push(inode);
            todo.extend(below.remove(&inode).unwrap_or_default());
        }
        order.reverse();
        order
    }

    /// What is to be done for a directory; nothing is kept of how it is to look.
    pub fn finish(&mut self, inode: Inode) -> Option<Unfinished> {
        let record = self.known.get_mut(&inode)?;
        let metadata = record.metadata.take();
        Some(Unfinished {
            parent: record.parent,
            leaf: record.leaf.to_vec(),
            origin: record.origin,
            metadata,
        })
    }

    /// The real name of a directory, without links on the way.
    pub fn real(&self, inode: Inode) -> Vec<u8> {
        let mut leaves: Vec<&[u8]> = Vec::new();
        let mut at = inode;
        while at != self.root {
            let Some(record) = self.known.get(&at) else { break };
            leaves.push(&record.leaf);
            at = record.parent;
        }
        leaves.reverse();
        leaves.join(&b'/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inode(number: u64) -> Inode {
        Inode { device: 1, number }
    }

    #[test]
    fn a_directory_is_finished_after_those_in_it_and_the_root_last() {
        let mut directories = Directories::new(inode(1), Origin::Made);
        directories.note(inode(2), inode(1), b"usr", Origin::Made);
        directories.note(inode(3), inode(2), b"bin", Origin::Made);
        directories.note(inode(4), inode(1), b"etc", Origin::Made);
        let order = directories.order();
        let at = |number| order.iter().position(|&it| it == inode(number));
        assert!(at(3) < at(2) && order.last() == Some(&inode(1)) && order.len() == 4, "{order:?}");
        assert_eq!(directories.real(inode(3)), b"usr/bin");
    }

    #[test]
    fn what_was_removed_is_not_finished() {
        let mut directories = Directories::new(inode(1), Origin::Made);
        directories.note(inode(2), inode(1), b"gone", Origin::Made);
        directories.forget(inode(2));
        assert_eq!(directories.order(), [inode(1)]);
    }
}

//! The directories created so far, and the metadata each gets at the end.
//!
//! While the tree grows every directory belongs to the caller with mode 0700; owner, mode and time
//! are set last, the deepest first, so that a read-only directory can still be filled and filling
//! does not change its time. Directories are identified by inode, because a name
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
    /// The inode of a status.
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
    /// Created by this run.
    Made,
    /// It existed before.
    Found,
}

/// A directory whose metadata is to be set.
#[derive(Debug)]
pub struct Unfinished {
    /// The directory it is in.
    pub parent: Inode,
    /// Its name there.
    pub leaf: Vec<u8>,
    /// Where it comes from.
    pub origin: Origin,
    /// Its entry in the archive, if there is one.
    pub metadata: Option<Box<Entry>>,
}

/// Every directory of the tree.
#[derive(Debug)]
pub struct Directories {
    root: Inode,
    known: HashMap<Inode, Record>,
}

impl Directories {
    /// Only the root.
    pub fn new(root: Inode, origin: Origin) -> Self {
        let record = Record { parent: root, leaf: Box::default(), origin, metadata: None };
        Self { root, known: HashMap::from([(root, record)]) }
    }

    /// Whether the directory belongs to the tree.
    pub fn contains(&self, inode: Inode) -> bool {
        self.known.contains_key(&inode)
    }

    /// Its parent.
    pub fn parent(&self, inode: Inode) -> Option<Inode> {
        self.known.get(&inode).map(|record| record.parent)
    }

    /// Whether this run created it.
    pub fn is_made(&self, inode: Inode) -> bool {
        self.known.get(&inode).is_some_and(|record| record.origin == Origin::Made)
    }

    /// Adds a directory, unless it is known.
    pub fn note(&mut self, inode: Inode, parent: Inode, leaf: &[u8], origin: Origin) {
        let record = || Record { parent, leaf: leaf.into(), origin, metadata: None };
        self.known.entry(inode).or_insert_with(record);
    }

    /// Sets the entry whose metadata a directory gets; the last one counts.
    pub fn set_metadata(&mut self, inode: Inode, metadata: Entry) {
        if let Some(record) = self.known.get_mut(&inode) {
            record.metadata = Some(Box::new(metadata));
        }
    }

    /// Removes a directory that was deleted: the kernel can use its inode number again.
    pub fn forget(&mut self, inode: Inode) {
        self.known.remove(&inode);
    }

    /// The number of directories.
    pub fn count(&self) -> u64 {
        self.known.len() as u64
    }

    /// All directories, each after its children, the root last. In this order the next directory
    /// is often the current one's parent or sibling.
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

    /// Takes what is to be set for a directory.
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

    /// The path of a directory without symbolic links.
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

//! The directories created so far, and the metadata each gets at the end.
//!
//! While the tree is built, every directory belongs to the caller and has mode 0700. Owner, mode and time are
//! set last, in the deepest directories first, so that a read-only directory can still be filled, and filling
//! does not change its time. Directories are identified by inode, because a name can lead through links that
//! change. A directory itself is never moved.

use std::collections::HashMap;

use rustix::fs::Stat;

use crate::archive::tar::Entry;
use crate::failure::{Failure, Result};

/// The maximum number of bytes of attributes that are kept until the end: a hundred for each of two million
/// directories.
const MAX_ATTRIBUTE_BYTES: usize = 256 << 20;

/// A file on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Inode {
    device: u64,
    number: u64,
}

impl Inode {
    /// The inode in a status.
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

/// Who created a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Created by this run.
    Made,
    /// It existed before.
    Found,
}

/// A directory whose metadata must still be set.
#[derive(Debug)]
pub struct Unfinished {
    /// Its parent directory.
    pub parent: Inode,
    /// Its name there.
    pub leaf: Vec<u8>,
    /// Who created it.
    pub origin: Origin,
    /// Its entry in the archive, if there is one.
    pub metadata: Option<Box<Entry>>,
}

/// Every directory of the tree.
#[derive(Debug)]
pub struct Directories {
    root: Inode,
    known: HashMap<Inode, Record>,
    /// Bytes of the attributes that are kept until the end.
    attribute_bytes: usize,
}

impl Directories {
    /// Knows only the root.
    pub fn new(root: Inode, origin: Origin) -> Self {
        let record = Record { parent: root, leaf: Box::default(), origin, metadata: None };
        Self { root, known: HashMap::from([(root, record)]), attribute_bytes: 0 }
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
    ///
    /// # Errors
    /// Damaged, for too many attributes.
    pub fn set_metadata(&mut self, inode: Inode, metadata: Entry) -> Result<()> {
        let Some(record) = self.known.get_mut(&inode) else { return Ok(()) };
        // the name in the archive is not needed any more: links can have changed what it means
        let metadata = Entry { raw_name: Vec::new(), ..metadata };
        let bytes = attribute_bytes(&metadata);
        let old = record.metadata.replace(Box::new(metadata));
        self.attribute_bytes -= old.as_deref().map_or(0, attribute_bytes);
        self.attribute_bytes += bytes;
        if self.attribute_bytes > MAX_ATTRIBUTE_BYTES {
            return Err(Failure::damaged(format_args!(
                "refused: the directories have more than {MAX_ATTRIBUTE_BYTES} bytes of extended attributes"
            )));
        }
        Ok(())
    }

    /// Removes a directory that was deleted: the kernel can use its inode number again.
    pub fn forget(&mut self, inode: Inode) {
        let metadata = self.known.remove(&inode).and_then(|record| record.metadata);
        self.attribute_bytes -= metadata.as_deref().map_or(0, attribute_bytes);
    }

    /// Forgets what metadata a directory gets.
    pub fn forget_metadata(&mut self, inode: Inode) {
        let metadata = self.known.get_mut(&inode).and_then(|record| record.metadata.take());
        self.attribute_bytes -= metadata.as_deref().map_or(0, attribute_bytes);
    }

    /// The number of directories.
    pub fn count(&self) -> u64 {
        self.known.len() as u64
    }

    /// All directories, each after its children, the root last. In this order, the next directory is often
    /// the parent or a sibling of the current one.
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

    /// Takes what must still be set for a directory.
    pub fn finish(&mut self, inode: Inode) -> Option<Unfinished> {
        let record = self.known.get_mut(&inode)?;
        let metadata = record.metadata.take();
        self.attribute_bytes -= metadata.as_deref().map_or(0, attribute_bytes);
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

fn attribute_bytes(entry: &Entry) -> usize {
    entry.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum()
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

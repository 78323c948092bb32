// SPDX-License-Identifier: MIT OR Apache-2.0
//! The directories made so far, and how each is to look in the end.
//!
//! While the tree grows every directory is ours and 0700; owner, mode and time
//! come last, the deepest first, so that neither a read-only directory nor the
//! time of one keeps us from filling it. They are known by inode, because a name
//! can lead through links that change; a directory itself is never moved.

use std::collections::HashMap;

use rustix::fs::Stat;

use crate::tar::Entry;

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
    depth: usize,
    origin: Origin,
    look: Option<Box<Entry>>,
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
    /// Its real name, without links on the way.
    pub real: Vec<u8>,
    /// What is expected there.
    pub inode: Inode,
    /// Where it comes from.
    pub origin: Origin,
    /// What the archive says of it, if it does.
    pub look: Option<Box<Entry>>,
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
        let record = Record { parent: root, leaf: Box::default(), depth: 0, origin, look: None };
        Self { root, known: HashMap::from([(root, record)]) }
    }

    /// Whether the directory is one of the tree.
    pub fn contains(&self, inode: Inode) -> bool {
        self.known.contains_key(&inode)
    }

    /// Whether we made the directory.
    pub fn is_made(&self, inode: Inode) -> bool {
        self.known.get(&inode).is_some_and(|record| record.origin == Origin::Made)
    }

    /// Remembers a directory when it is made or met.
    pub fn note(&mut self, inode: Inode, parent: Inode, leaf: &[u8], origin: Origin) {
        if !self.known.contains_key(&inode) {
            let depth = self.known.get(&parent).map_or(0, |record| record.depth) + 1;
            self.known.insert(inode, Record { parent, leaf: leaf.into(), depth, origin, look: None });
        }
    }

    /// Says how a directory is to look; the last word counts.
    pub fn look(&mut self, inode: Inode, look: Entry) {
        if let Some(record) = self.known.get_mut(&inode) {
            record.look = Some(Box::new(look));
        }
    }

    /// Forgets a directory that is gone: its inode number can come back as something else.
    pub fn forget(&mut self, inode: Inode) {
        self.known.remove(&inode);
    }

    /// All of them, the deepest first, and the root last.
    pub fn unfinished(&mut self) -> Vec<Unfinished> {
        let mut order: Vec<(usize, Inode)> =
            self.known.iter().map(|(&inode, it)| (it.depth, inode)).collect();
        // siblings together, so that their parent is opened once
        order.sort_by_key(|&(depth, inode)| {
            (std::cmp::Reverse(depth), self.known.get(&inode).map_or(0, |record| record.parent.number))
        });
        let mut all: Vec<Unfinished> = order
            .iter()
            .map(|&(_, inode)| {
                let origin = self.known.get(&inode).map_or(Origin::Found, |record| record.origin);
                Unfinished { real: self.real(inode), inode, origin, look: None }
            })
            .collect();
        for directory in &mut all {
            directory.look = self.known.get_mut(&directory.inode).and_then(|record| record.look.take());
        }
        all
    }

    fn real(&self, inode: Inode) -> Vec<u8> {
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
    fn the_deepest_directory_is_finished_first_and_the_root_last() {
        let mut directories = Directories::new(inode(1), Origin::Made);
        directories.note(inode(2), inode(1), b"usr", Origin::Made);
        directories.note(inode(3), inode(2), b"bin", Origin::Made);
        directories.note(inode(4), inode(1), b"etc", Origin::Made);
        let real: Vec<Vec<u8>> = directories.unfinished().into_iter().map(|it| it.real).collect();
        assert_eq!(real.first().map(Vec::as_slice), Some(&b"usr/bin"[..]));
        assert_eq!(real.last().map(Vec::as_slice), Some(&b""[..]));
    }

    #[test]
    fn what_was_removed_is_not_finished() {
        let mut directories = Directories::new(inode(1), Origin::Made);
        directories.note(inode(2), inode(1), b"gone", Origin::Made);
        directories.forget(inode(2));
        assert_eq!(directories.unfinished().len(), 1);
    }
}

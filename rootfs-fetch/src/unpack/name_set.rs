//! A set of names of any length, in little memory.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

/// Names, of which only hashes with a random key are kept, because an archive can have a million names of any length.
/// The chance that two names are confused is one in 2^64.
#[derive(Debug, Default)]
pub struct NameSet {
    hashes: HashSet<u64>,
    key: RandomState,
}

impl NameSet {
    /// Adds a name. Returns whether it is new.
    pub fn insert(&mut self, name: &[u8]) -> bool {
        self.hashes.insert(self.key.hash_one(name))
    }

    /// Removes a name.
    pub fn remove(&mut self, name: &[u8]) {
        // most archives have none
        if !self.hashes.is_empty() {
            self.hashes.remove(&self.key.hash_one(name));
        }
    }

    /// Whether a name is in it.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.hashes.contains(&self.key.hash_one(name))
    }
}

//! Files with lines of `name value`, "flat keyed" in cgroup-v2.rst.

use std::fs;
use std::path::Path;

use serde::{Serialize, Serializer};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters(pub Vec<(String, u64)>);

impl Counters {
    /// Reads a file; an unreadable file has no counters.
    pub fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).unwrap_or_default();
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        Self(pairs.filter_map(|(name, value)| Some((name.to_string(), value.trim().parse().ok()?))).collect())
    }

    pub fn get(&self, name: &str) -> Option<u64> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, count)| *count)
    }

    /// Adds a known counter, unless another source has set it.
    pub fn set(&mut self, name: &str, count: Option<u64>) {
        if self.get(name).is_some() {
            return;
        }
        self.0.extend(count.map(|count| (name.to_string(), count)));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Counters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, count)| (name, count)))
    }
}

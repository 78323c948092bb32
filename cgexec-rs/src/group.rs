//! A group to create: its directory and its limits.

use std::fs;
use std::path::{Path, PathBuf};

use crate::control_file::ControlFile;
use crate::limits::{self, Limit};
use crate::version::Version;

/// A group to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub version: Version,
    pub path: PathBuf,
    pub limits: Vec<Limit>,
    /// The files to write for the limits, each with its reason.
    pub settings: Vec<(String, ControlFile)>,
}

impl Group {
    pub fn new(version: Version, path: PathBuf) -> Self {
        Self { version, path, limits: Vec::new(), settings: Vec::new() }
    }

    /// A version 2 group with limits; version 2 has a file for every limit.
    pub fn v2(path: PathBuf, limits: &[Limit]) -> Self {
        let mut group = Self::new(Version::V2, path);
        for limit in limits {
            let _ = group.limit(limit);
        }
        group
    }

    /// Adds a limit.
    ///
    /// # Errors
    /// This version has no file for the limit.
    pub fn limit(&mut self, limit: &Limit) -> Result<(), String> {
        let parent = self.path.parent().unwrap_or(&self.path).to_path_buf();
        for setting in limit.settings(self.version, &parent)? {
            self.settings.push((format!("limit {limit}"), setting));
        }
        self.limits.push(limit.clone());
        Ok(())
    }

    /// Copies processors and memory nodes from the parent, unless an option sets them: a new version 1 cpuset
    /// has none, and a group without them accepts no process. With `attempt`, copies even those that an
    /// option sets, because that write can fail. cpuset(7)
    pub fn fill_cpuset(&mut self, attempt: bool) {
        let Some(parent) = self.path.parent().map(Path::to_path_buf) else { return };
        for (name, what) in [("mems", "memory nodes"), ("cpus", "processors")] {
            let empty = limits::cpuset(&parent, name, String::new());
            let is_set = self.settings.iter().any(|(_, setting)| setting.file == empty.file);
            let above = fs::read_to_string(parent.join(&empty.file)).unwrap_or_default();
            if (attempt || !is_set) && !above.trim().is_empty() {
                let setting = limits::cpuset(&parent, name, above.trim().to_string());
                self.settings.insert(0, (format!("copy the {what} of the group above"), setting));
            }
        }
    }
}

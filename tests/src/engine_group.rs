//! The control groups for an engine's containers, which the engine leaves behind.

use std::fs;
use std::path::PathBuf;

use crate::deadline;
use crate::scratch::Scratch;
use crate::snapshot::{ENGINE_GROUP_PREFIX, cgroup_mounts, directories};

/// The groups of one engine. They are removed when this is dropped, so drop the engine first.
#[derive(Debug)]
pub struct EngineGroup {
    name: String,
}

impl EngineGroup {
    /// A group named after the engine's directory, so that the name is unique.
    pub fn of(scratch: &Scratch) -> Self {
        let dir = scratch.path("");
        let name = dir.components().next_back().map(|name| name.as_os_str().to_string_lossy().into_owned());
        Self { name: format!("{ENGINE_GROUP_PREFIX}{}", name.unwrap_or_default()) }
    }

    /// Its path for the engine, below the top of each hierarchy.
    pub fn path(&self) -> String {
        format!("/{}", self.name)
    }

    /// The groups in each hierarchy, the deepest first.
    fn groups(&self) -> Vec<PathBuf> {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").expect("/proc/self/mountinfo");
        let tops = cgroup_mounts(&mountinfo).into_iter().map(|root| root.join(&self.name));
        tops.flat_map(|top| directories(&top).into_iter().chain([top])).collect()
    }
}

impl Drop for EngineGroup {
    fn drop(&mut self) {
        let groups = self.groups();
        let gone = || {
            let _ = groups.iter().map(fs::remove_dir).collect::<Vec<_>>();
            groups.iter().all(|group| !group.exists()).then_some(())
        };
        let removed = deadline::wait("the engine's control groups to go", deadline::EVENT_TIMEOUT, gone);
        assert!(removed.is_ok() || std::thread::panicking(), "the engine's control groups stay: {groups:?}");
    }
}

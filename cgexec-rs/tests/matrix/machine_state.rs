//! The state of the machine: our groups, and processes by their arguments.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tests::snapshot::cgroup_mounts;

/// All our groups, including systemd's scopes.
pub fn groups() -> BTreeSet<PathBuf> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut found = BTreeSet::new();
    cgroup_mounts(&mountinfo).iter().for_each(|mount| below(mount, &mut found));
    found
}

fn below(dir: &Path, found: &mut BTreeSet<PathBuf>) {
    // a group may vanish meanwhile
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if entry.file_name().to_string_lossy().starts_with("cgexec-") {
                found.insert(entry.path());
            }
            below(&entry.path(), found);
        }
    }
}

/// The processes with these arguments, the oldest first.
pub fn processes(such: impl Fn(&[String]) -> bool) -> Vec<i32> {
    let mut found: Vec<i32> = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| {
            let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<String> = words
                .split(|byte| *byte == 0)
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect();
            such(&words)
        })
        .collect();
    found.sort_unstable();
    found
}

//! Any file of the group, by name: `FILE=VALUE`.

use std::str::FromStr;

use crate::control_file::ReadBack;

/// A file, and the value to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// The file's name, which begins with its controller's name.
    pub file: String,
    /// The value, never empty: some files read an empty value as 0.
    pub value: String,
}

/// Files that move processes or prevent the command's start: cgexec-rs writes these itself.
const OWN: [&str; 9] = [
    "cgroup.procs",
    "cgroup.threads",
    "cgroup.type",
    "cgroup.freeze",
    "cgroup.kill",
    "cgroup.subtree_control",
    "cgroup.clone_children",
    "notify_on_release",
    "freezer.state",
];

impl Raw {
    /// How to see that the value took effect: the file of an invalid cpuset partition shows the reason.
    pub fn read_back(&self) -> ReadBack {
        match self.file.as_str() {
            "cpuset.cpus.partition" => ReadBack::AsWritten,
            _ => ReadBack::Unknown,
        }
    }

    /// The controller of the file.
    pub fn controller(&self) -> &str {
        self.file.split_once('.').map_or("", |(controller, _)| controller)
    }
}

impl FromStr for Raw {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (file, value) = text.split_once('=').ok_or("expected FILE=VALUE: memory.oom.group=1")?;
        if file.contains('/') || !file.split_once('.').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty()) {
            return Err("expected a file named CONTROLLER.NAME, without a path".to_string());
        }
        if OWN.contains(&file) {
            return Err(format!("{file} is written by cgexec-rs itself"));
        }
        if value.is_empty() {
            return Err("a value cannot be empty".to_string());
        }
        Ok(Self { file: file.to_string(), value: value.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_by_its_controller() {
        let raw: Raw = "io.max=8:0 rbps=1".parse().unwrap();
        assert_eq!((raw.controller(), raw.value.as_str()), ("io", "8:0 rbps=1"));
    }

    #[test]
    fn nothing_leads_out_of_the_group_or_moves_processes() {
        for text in ["../x.y=1", "memory.max", "memory.max=", "x=1", ".x=1"] {
            assert!(text.parse::<Raw>().is_err(), "{text}");
        }
        for text in ["cgroup.procs=0", "cgroup.freeze=1", "freezer.state=FROZEN"] {
            assert!(text.parse::<Raw>().is_err(), "{text}");
        }
    }
}

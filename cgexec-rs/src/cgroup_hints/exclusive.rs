//! Groups of version 1 whose processors or memory nodes are exclusive among their siblings: cpuset(7).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The siblings of `group` that are exclusive, and what they leave. `file` is cpuset.cpus or cpuset.mems.
pub fn taken(group: &Path, file: &str) -> Option<String> {
    let (flag, option) = match file {
        "cpuset.cpus" => ("cpuset.cpu_exclusive", "--cpuset-cpus"),
        "cpuset.mems" => ("cpuset.mem_exclusive", "--cpuset-mems"),
        _ => return None,
    };
    let parent = group.parent()?;
    let read = |group: &Path, file: &str| fs::read_to_string(group.join(file)).unwrap_or_default();
    let mut left = numbers(&read(parent, file));
    let mut names = Vec::new();
    for sibling in fs::read_dir(parent).ok()?.flatten().map(|entry| entry.path()) {
        if sibling != group && read(&sibling, flag).trim() == "1" {
            left = left.difference(&numbers(&read(&sibling, file))).copied().collect();
            names.push(sibling.display().to_string());
        }
    }
    if names.is_empty() {
        return None;
    }
    let closed = format!("{flag} of {} keeps other groups out", names.join(" and "));
    if left.is_empty() {
        let open = names.iter().map(|group| format!("echo 0 >{group}/{flag}"));
        return Some(format!("{closed}: {}", open.collect::<Vec<_>>().join("; ")));
    }
    let left: Vec<String> = left.iter().map(u32::to_string).collect();
    Some(format!("{closed}; {option} {} uses the rest", left.join(",")))
}

/// The numbers in a list: 0-3,7
fn numbers(list: &str) -> BTreeSet<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_exclusive_group_leaves_is_what_the_hint_takes() {
        let top = std::env::temp_dir().join(format!("cgexec-exclusive-{}", std::process::id()));
        for (file, text) in [
            ("cpuset.cpus", "0-3\n"),
            ("new/cpuset.cpus", "\n"),
            ("other/cpuset.cpus", "0-3\n"),
            ("other/cpuset.cpu_exclusive", "0\n"),
            ("own/cpuset.cpus", "1-2\n"),
            ("own/cpuset.cpu_exclusive", "1\n"),
        ] {
            fs::create_dir_all(top.join(file).parent().unwrap()).unwrap();
            fs::write(top.join(file), text).unwrap();
        }
        let own = top.join("own").display().to_string();
        let taken = |file: &str| taken(&top.join("new"), file);
        assert_eq!(
            taken("cpuset.cpus"),
            Some(format!(
                "cpuset.cpu_exclusive of {own} keeps other groups out; --cpuset-cpus 0,3 uses the rest"
            ))
        );
        assert_eq!(taken("cpuset.mems"), None);
        fs::write(top.join("own/cpuset.cpus"), "0-3\n").unwrap();
        let all = format!(
            "cpuset.cpu_exclusive of {own} keeps other groups out: echo 0 >{own}/cpuset.cpu_exclusive"
        );
        assert_eq!(taken("cpuset.cpus"), Some(all));
        // two groups that have one half each
        for (group, half) in [("own", "0-1\n"), ("other", "2-3\n")] {
            fs::write(top.join(group).join("cpuset.cpus"), half).unwrap();
            fs::write(top.join(group).join("cpuset.cpu_exclusive"), "1\n").unwrap();
        }
        let said = taken("cpuset.cpus").unwrap();
        for group in ["own", "other"].map(|group| top.join(group).display().to_string()) {
            assert!(said.contains(&format!("echo 0 >{group}/cpuset.cpu_exclusive")), "{said}");
        }
        fs::remove_dir_all(top).unwrap();
    }
}

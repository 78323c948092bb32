//! Groups of version 1 that have their processors or memory nodes for themselves: cpuset(7).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The group beside `group` that has some of them for itself, and what it leaves to others. `file` is
/// cpuset.cpus or cpuset.mems.
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
    let whose = names.join(" and ");
    let left: Vec<String> = left.iter().map(u32::to_string).collect();
    Some(match left.as_slice() {
        [] => format!("{whose} has all of them for itself: echo 0 >{}/{flag}", names.join("/")),
        left => {
            format!("{whose} has its own for itself ({flag}); {option} {} takes what is left", left.join(","))
        }
    })
}

/// The numbers of a list: 0-3,7
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
                "{own} has its own for itself (cpuset.cpu_exclusive); --cpuset-cpus 0,3 takes what is left"
            ))
        );
        assert_eq!(taken("cpuset.mems"), None);
        fs::write(top.join("own/cpuset.cpus"), "0-3\n").unwrap();
        let all = format!("{own} has all of them for itself: echo 0 >{own}/cpuset.cpu_exclusive");
        assert_eq!(taken("cpuset.cpus"), Some(all));
        fs::remove_dir_all(top).unwrap();
    }
}

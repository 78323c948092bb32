// SPDX-License-Identifier: MIT OR Apache-2.0
//! Joining a group that exists, in libcgroup's notation: `CONTROLLERS:PATH`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use chain::{Plan, call};

use crate::group::below_the_top;
use crate::hierarchy::{Hierarchies, Hierarchy, Version};

/// Which group to join, of which controllers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    controllers: Controllers,
    /// From the top of the hierarchy.
    path: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Controllers {
    /// `*`: every hierarchy that has such a group.
    All,
    /// An empty list: version 2, whatever it controls.
    V2,
    Named(Vec<String>),
}

impl TryFrom<OsString> for Target {
    type Error = &'static str;

    fn try_from(text: OsString) -> Result<Self, Self::Error> {
        let mut parts = text.as_bytes().splitn(2, |byte| *byte == b':');
        let (Some(list), Some(path)) = (parts.next(), parts.next()) else {
            return Err("it is CONTROLLERS:PATH, as in memory,pids:my/group");
        };
        let path = below_the_top(OsStr::from_bytes(path))?;
        let controllers = match list {
            b"*" => Controllers::All,
            b"" => Controllers::V2,
            list => {
                Controllers::Named(String::from_utf8_lossy(list).split(',').map(str::to_string).collect())
            }
        };
        Ok(Self { controllers, path })
    }
}

/// Adds the joins to the plan.
///
/// # Errors
/// What is wrong and what to do: a controller that no hierarchy has, a group that is not there.
pub fn plan(plan: &mut Plan, targets: &[Target], found: &Hierarchies) -> Result<(), (String, String)> {
    let mut joined: Vec<(&Hierarchy, PathBuf)> = Vec::new();
    for target in targets {
        for hierarchy in target.hierarchies(found)? {
            let group = hierarchy.mount.join(&target.path);
            if !group.is_dir() {
                let wrong = format!("no such group: {}", group.display());
                return Err((wrong, format!("-g joins a group that exists: mkdir {}", group.display())));
            }
            match joined.iter().find(|(known, _)| *known == hierarchy) {
                // who says '*' means those that are not named
                Some((_, other)) if *other != group && target.controllers != Controllers::All => {
                    let wrong = format!("{} and {} are of one hierarchy", other.display(), group.display());
                    return Err((wrong, "a process is in one group of each hierarchy".to_string()));
                }
                Some(_) => {}
                None => {
                    enter(plan, hierarchy.version, &group);
                    joined.push((hierarchy, group));
                }
            }
        }
    }
    Ok(())
}

/// Adds the write that moves this process into a group.
pub fn enter(plan: &mut Plan, version: Version, group: &Path) {
    // a thread that moves itself by "0" needs no lock in v1's tasks; v2 has only the whole process
    let file = match version {
        Version::V1 => "tasks",
        Version::V2 => "cgroup.procs",
    };
    plan.step(format!("enter the group {}", group.display()), call::WriteCgroup::new(group.join(file), "0"));
}

impl Target {
    fn hierarchies<'a>(&self, found: &'a Hierarchies) -> Result<Vec<&'a Hierarchy>, (String, String)> {
        match &self.controllers {
            Controllers::All => {
                let with_it = found.list.iter().filter(|hierarchy| hierarchy.mount.join(&self.path).is_dir());
                let with_it: Vec<&Hierarchy> = with_it.collect();
                if with_it.is_empty() {
                    let wrong = format!("no hierarchy has a group {}", self.path.display());
                    return Err((wrong, "-g joins a group that exists".to_string()));
                }
                Ok(with_it)
            }
            Controllers::V2 => found.v2().map(|v2| vec![v2]).ok_or_else(|| {
                (
                    "cgroup version 2 is not mounted".to_string(),
                    "name the controllers before the colon".to_string(),
                )
            }),
            Controllers::Named(names) => names.iter().map(|name| named(found, name)).collect(),
        }
    }
}

fn named<'a>(found: &'a Hierarchies, controller: &str) -> Result<&'a Hierarchy, (String, String)> {
    found.with(controller).ok_or_else(|| {
        let wrong = format!("no mounted hierarchy has the controller {controller}");
        (
            wrong,
            "cat /proc/self/mountinfo /sys/fs/cgroup/cgroup.controllers shows those there are".to_string(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Result<Target, &'static str> {
        OsString::from(text).try_into()
    }

    #[test]
    fn the_notation_is_that_of_libcgroup() {
        let named = target("memory,pids:/my/group").unwrap();
        assert_eq!(named.controllers, Controllers::Named(vec!["memory".into(), "pids".into()]));
        assert_eq!(named.path, Path::new("my/group"));
        assert_eq!(target("*:x").unwrap().controllers, Controllers::All);
        assert_eq!(target(":x").unwrap().controllers, Controllers::V2);
        assert_eq!(target(":x:y").unwrap().path, Path::new("x:y"));
    }

    #[test]
    fn two_groups_of_one_hierarchy_are_told_unless_all_are_meant() {
        // any directories will do for groups
        let mount = std::env::temp_dir().join(format!("cgexec-join-{}", std::process::id()));
        for group in ["a", "b"] {
            std::fs::create_dir_all(mount.join(group)).unwrap();
        }
        let hierarchy = Hierarchy {
            version: Version::V1,
            mount: mount.clone(),
            own: mount.clone(),
            v1_controllers: vec!["pids".to_string()],
            read_only: false,
        };
        let found = Hierarchies { list: vec![hierarchy], ..Hierarchies::default() };
        let joins = |targets: &[&str]| {
            let targets: Vec<Target> = targets.iter().map(|text| target(text).unwrap()).collect();
            let mut steps = Plan::new(chain::exec::Command::shell("true".into()));
            plan(&mut steps, &targets, &found).map(|()| steps.lines().len())
        };
        assert_eq!(joins(&["pids:a", "pids:a"]), Ok(1));
        assert_eq!(joins(&["pids:a", "*:b"]), Ok(1));
        let (wrong, _) = joins(&["pids:a", "pids:b"]).unwrap_err();
        std::fs::remove_dir_all(&mount).unwrap();
        assert!(wrong.ends_with("/b are of one hierarchy"), "{wrong}");
    }

    #[test]
    fn a_path_stays_below_the_hierarchy() {
        assert!(target("memory:../x").is_err());
        assert!(target("memory").is_err());
    }
}

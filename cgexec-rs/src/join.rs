//! Joins existing groups.

use std::path::PathBuf;

use chain::Failure;

use crate::group::Group;
use crate::hierarchy::{Hierarchies, Hierarchy};
use crate::join_target::{Controllers, Target};
use crate::version::Version;
use crate::{levels, refusal};

/// The groups to enter, one in each hierarchy.
///
/// # Errors
/// A controller without a hierarchy, a group that does not exist, or two groups in one hierarchy.
pub fn resolve(targets: &[Target], found: &Hierarchies) -> Result<Vec<Group>, Failure> {
    let mut joined: Vec<(&Hierarchy, PathBuf)> = Vec::new();
    for target in targets {
        for hierarchy in target.hierarchies(found)? {
            let group = hierarchy.mount.join(&target.path);
            if !group.is_dir() {
                return Err(refusal::no_such_group(&group));
            }
            match joined.iter().find(|(known, _)| *known == hierarchy) {
                // '*' means the hierarchies that no other option names
                Some((_, other)) if *other != group && target.controllers != Controllers::All => {
                    let (one, other) = (other.display(), group.display());
                    return Err(Failure::new(format!("{one} and {other} are in the same hierarchy"))
                        .hint("a process is in exactly one group of each hierarchy"));
                }
                Some(_) => {}
                None => joined.push((hierarchy, group)),
            }
        }
    }
    let group = |(hierarchy, group): (&Hierarchy, PathBuf)| match hierarchy.version {
        Version::V1 => Group::new(Version::V1, group),
        Version::V2 => Group::new(Version::V2, levels::joined(group)),
    };
    Ok(joined.into_iter().map(group).collect())
}

impl Target {
    fn hierarchies<'a>(&self, found: &'a Hierarchies) -> Result<Vec<&'a Hierarchy>, Failure> {
        match &self.controllers {
            Controllers::All => {
                let with_it = found.list.iter().filter(|hierarchy| hierarchy.mount.join(&self.path).is_dir());
                let with_it: Vec<&Hierarchy> = with_it.collect();
                if with_it.is_empty() {
                    return Err(Failure::new(format!("no hierarchy has a group {}", self.path.display()))
                        .hint("create it with cgcreate(1) or mkdir(1)"));
                }
                Ok(with_it)
            }
            Controllers::V2 => found.v2().map(|v2| vec![v2]).ok_or_else(|| {
                Failure::new("cgroup version 2 is not mounted")
                    .hint("name controllers of version 1 before the colon: memory,pids:PATH")
            }),
            Controllers::Named(names) => names.iter().map(|name| named(found, name)).collect(),
        }
    }
}

fn named<'a>(found: &'a Hierarchies, controller: &str) -> Result<&'a Hierarchy, Failure> {
    found.with(controller).ok_or_else(|| refusal::no_named_controller(controller, found))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::Path;

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
        // any directories can stand in for groups
        let mount = std::env::temp_dir().join(format!("cgexec-join-{}", std::process::id()));
        for group in ["a", "b"] {
            std::fs::create_dir_all(mount.join(group)).unwrap();
        }
        let hierarchy = Hierarchy {
            mount_id: 0,
            version: Version::V1,
            mount: mount.clone(),
            own: mount.clone(),
            v1_controllers: vec!["pids".to_string()],
            read_only: false,
        };
        let found = Hierarchies { list: vec![hierarchy], ..Hierarchies::default() };
        let joins = |targets: &[&str]| {
            let targets: Vec<Target> = targets.iter().map(|text| target(text).unwrap()).collect();
            resolve(&targets, &found).map(|groups| groups.len())
        };
        assert_eq!(joins(&["pids:a", "pids:a"]), Ok(1));
        assert_eq!(joins(&["pids:a", "*:b"]), Ok(1));
        let message = joins(&["pids:a", "pids:b"]).unwrap_err().message;
        // where version 1 and version 2 are mounted, no single file lists the controllers
        let nowhere = joins(&["nosuch:a"]).unwrap_err();
        assert_eq!(nowhere.message, "no mounted hierarchy has the controller nosuch (available: pids)");
        assert_eq!(nowhere.hint.as_deref(), Some("cat /proc/cgroups shows the controllers of this kernel"));
        std::fs::remove_dir_all(&mount).unwrap();
        assert!(message.ends_with("/b are in the same hierarchy"), "{message}");
    }

    #[test]
    fn a_path_stays_below_the_hierarchy() {
        assert!(target("memory:../x").is_err());
        assert!(target("memory").is_err());
    }
}

//! The mounted hierarchies, and this process's group in each.
//!
//! Version 2 can be mounted anywhere (on hybrid hosts at /sys/fs/cgroup/unified), controllers can be spread
//! over both versions, and the current group can be deep in one hierarchy and the root of another:
//! cgroups(7). In a new cgroup namespace without new mounts, no mount shows the current group; then a
//! detached mount is used: cgroup_namespaces(7).
//!
//! Written by hand, because it must handle partial mounts, both versions at once and cgroup namespaces.

use std::fs;
use std::os::fd::IntoRawFd as _;
use std::path::{Component, Path, PathBuf};

use chain::Reporter;
use nix::errno::Errno;
use system::{mountinfo, sys};

use crate::limits::Limit;
use crate::membership::Membership;
use crate::version::Version;

/// A mounted hierarchy that shows the current group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Its version.
    pub version: Version,
    /// The mount point.
    pub mount: PathBuf,
    /// The number of the mount; 0 for one of ours, which is not attached.
    pub mount_id: u64,
    /// The directory of the current group.
    pub own: PathBuf,
    /// The controllers of version 1; version 2 has a file for that.
    pub v1_controllers: Vec<String>,
    /// Whether it is mounted read-only, as in containers.
    pub read_only: bool,
}

/// An unreadable file of /proc, and the error.
type Unread = (&'static str, Errno);

/// All hierarchies, in the order of the mount table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hierarchies {
    /// The hierarchies that show the current group.
    pub list: Vec<Hierarchy>,
    /// Whether there is another hierarchy, whose mount does not show the current group.
    pub hidden: bool,
    /// The unreadable file of /proc, and the error; then the list is empty.
    pub unread: Option<Unread>,
    /// Whether a dry run skipped opening it.
    pub unopened: bool,
    /// Whether some of them are seen through detached mounts.
    pub private: bool,
    /// Whether the limits of a cgroup namespace's root group are protected from processes inside.
    pub nsdelegate: bool,
}

impl Hierarchies {
    /// Reads /proc.
    pub fn of_this_process(reporter: &Reporter) -> Self {
        Self::of(sys::read("/proc/self/cgroup").map_err(|errno| ("/proc/self/cgroup", errno)), reporter)
    }

    /// The same with the groups of another process.
    pub fn of_process(pid: i32, reporter: &Reporter) -> Self {
        let own = sys::read(&format!("/proc/{pid}/cgroup"));
        Self::of(own.map_err(|errno| ("/proc/PID/cgroup", errno)), reporter)
    }

    fn of(own: Result<Vec<u8>, Unread>, reporter: &Reporter) -> Self {
        let own = match own {
            Ok(own) => own,
            Err(unread) => {
                let table = mountinfo::table().map_err(|errno| ("/proc/self/mountinfo", errno));
                return Self { unread: Some(table.err().unwrap_or(unread)), ..Self::default() };
            }
        };
        let mut enough = None;
        let table = mountinfo::table_until(|table| {
            enough = Some(Self::parse(table, &own)).filter(|found| found.show_all(&own));
            enough.is_some()
        });
        let mut found = match (enough, table) {
            (Some(found), _) => found,
            (None, Ok(table)) => Self::parse(&table, &own),
            (None, Err(errno)) => {
                return Self { unread: Some(("/proc/self/mountinfo", errno)), ..Self::default() };
            }
        };
        if found.hidden {
            found.open_hidden_hierarchies(&own, reporter);
        }
        found
    }

    /// Whether no detached mount could add anything: each group is in a writable hierarchy without another
    /// mount on it.
    fn show_all(&self, own: &[u8]) -> bool {
        !self.hidden
            && self.list.len() == Membership::all(own).count()
            && self.list.iter().all(|hierarchy| {
                !hierarchy.read_only && sys::mount_id(&hierarchy.mount) == Some(hierarchy.mount_id)
            })
    }

    /// Opens the hierarchies that no mount shows, through detached mounts that end with this process. A dry
    /// run does not.
    fn open_hidden_hierarchies(&mut self, own: &[u8], reporter: &Reporter) {
        self.hidden = false;
        for membership in Membership::all(own) {
            let is_known = |hierarchy: &Hierarchy| match membership.controllers.first() {
                None => hierarchy.version == Version::V2,
                Some(name) => hierarchy.v1_controllers.contains(name),
            };
            let is_named = membership.controllers.iter().any(|name| name.contains('='));
            if is_named || self.list.iter().any(is_known) {
                continue;
            }
            let below = path_below_mount(Path::new("/"), &membership.path);
            match below.and_then(|below| open_hidden(&membership, &below, reporter)) {
                Some(hierarchy) => {
                    self.private = true;
                    self.list.push(hierarchy);
                }
                None => self.hidden = true,
            }
        }
        self.unopened = self.hidden && reporter.verbosity().is_dry_run();
    }

    /// # Source
    /// proc_pid_mountinfo(5), proc_pid_cgroup(5).
    pub fn parse(table: &[u8], own: &[u8]) -> Self {
        let memberships: Vec<Membership> = Membership::all(own).collect();
        let mut found = Self::default();
        for mount in mountinfo::mounts(table) {
            let version = match mount.fstype {
                b"cgroup" => Version::V1,
                b"cgroup2" => Version::V2,
                _ => continue,
            };
            let options = String::from_utf8_lossy(mount.super_options);
            found.nsdelegate |=
                version == Version::V2 && options.split(',').any(|option| option == "nsdelegate");
            // the options of a version 1 file system are its controllers and flags
            let is_controller = |name: &&str| version == Version::V1 && !matches!(*name, "rw" | "ro");
            let v1_controllers: Vec<String> =
                options.split(',').filter(is_controller).map(str::to_string).collect();
            let is_here = |membership: &&Membership| match version {
                Version::V2 => membership.controllers.is_empty() && membership.id == b"0",
                Version::V1 => {
                    let mut names = membership.controllers.iter();
                    !membership.controllers.is_empty() && names.all(|name| v1_controllers.contains(name))
                }
            };
            let Some(membership) = memberships.iter().find(is_here) else { continue };
            let Some(below) = path_below_mount(&mount.root, &membership.path) else {
                found.hidden = true;
                continue;
            };
            let read_only = options.split(',').any(|option| option == "ro") || mount.is_read_only();
            let own = join(&mount.at, &below);
            let (mount, mount_id) = (mount.at.into_owned(), mount.id);
            found.add(Hierarchy { version, mount, mount_id, own, v1_controllers, read_only });
        }
        found
    }

    /// Adds a hierarchy, which can be mounted twice. At one mount point the later mount hides the other; of
    /// two mount points, a writable one is better.
    fn add(&mut self, new: Hierarchy) {
        let same = |known: &&mut Hierarchy| {
            known.version == new.version && known.v1_controllers == new.v1_controllers
        };
        match self.list.iter_mut().find(same) {
            None => self.list.push(new),
            Some(known) if known.mount == new.mount || (known.read_only && !new.read_only) => *known = new,
            Some(_) => {}
        }
    }

    /// The version 2 hierarchy.
    pub fn v2(&self) -> Option<&Hierarchy> {
        self.list.iter().find(|hierarchy| hierarchy.version == Version::V2)
    }

    /// The hierarchy with a controller. A controller is in one hierarchy at a time, so version 1 comes first.
    pub fn with(&self, controller: &str) -> Option<&Hierarchy> {
        self.v1(controller).or_else(|| self.v2().filter(|v2| v2.offers(controller)))
    }

    /// The hierarchy that enforces a limit.
    pub fn that_limits(&self, limit: &Limit) -> Option<&Hierarchy> {
        let v2 = limit.controller(Version::V2);
        // cgroup.max.depth and similar files belong to the core
        self.v1(limit.controller(Version::V1))
            .or_else(|| self.v2().filter(|hierarchy| v2 == "cgroup" || hierarchy.offers(v2)))
    }

    /// The version 1 hierarchy of a controller.
    pub fn v1(&self, controller: &str) -> Option<&Hierarchy> {
        self.list.iter().find(|hierarchy| hierarchy.v1_controllers.iter().any(|name| name == controller))
    }
}

impl Hierarchy {
    /// Whether the visible top of this version 2 hierarchy has a controller.
    pub fn offers(&self, controller: &str) -> bool {
        has_word(&self.mount.join("cgroup.controllers"), controller)
    }
}

/// Whether a file of space-separated words contains a word.
pub fn has_word(file: &Path, word: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.split_whitespace().any(|found| found == word))
}

/// The hierarchy, seen through a mount of ours.
fn open_hidden(membership: &Membership, below: &Path, reporter: &Reporter) -> Option<Hierarchy> {
    // it stays open until execve(2): it is close-on-exec
    let mount = PathBuf::from(format!("/proc/self/fd/{}", membership.mount(reporter)?.into_raw_fd()));
    let own = join(&mount, below);
    let version = if membership.controllers.is_empty() { Version::V2 } else { Version::V1 };
    let v1_controllers = membership.controllers.clone();
    Some(Hierarchy { version, mount, mount_id: 0, own, v1_controllers, read_only: false })
}

/// A group's directory, without the trailing slash that joining an empty path would add.
pub fn join(mount: &Path, below: &Path) -> PathBuf {
    if below.as_os_str().is_empty() { mount.to_path_buf() } else { mount.join(below) }
}

/// Our group relative to the mount. Both paths start at the root of our cgroup namespace, so the common part
/// is removed; what is above either of them has no name.
fn path_below_mount(root: &Path, own: &Path) -> Option<PathBuf> {
    let below = own.strip_prefix(root).ok()?;
    below.components().all(|part| matches!(part, Component::Normal(_))).then(|| below.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &[u8] = b"\
30 20 0:26 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/unified rw,relatime shared:7 - cgroup2 cgroup2 rw
";

    #[test]
    fn a_hybrid_host_has_both_versions_and_a_place_in_each() {
        let own = b"2:memory:/a/b:c\n1:cpu,cpuacct:/\n0::/user\n";
        let found = Hierarchies::parse(HYBRID, own);
        assert_eq!(found.with("memory").unwrap().own, Path::new("/sys/fs/cgroup/memory/a/b:c"));
        assert_eq!(found.with("cpuacct").unwrap().own, Path::new("/sys/fs/cgroup/cpu"));
        assert_eq!(found.v2().unwrap().own, Path::new("/sys/fs/cgroup/unified/user"));
    }

    #[test]
    fn a_mount_that_shows_a_part_is_taken_into_account() {
        let mounts = b"40 1 0:1 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let found = Hierarchies::parse(mounts, b"0::/docker/x/y\n");
        assert_eq!(found.v2().unwrap().own, Path::new("/sys/fs/cgroup/y"));
    }

    #[test]
    fn a_group_above_the_mount_cannot_be_named() {
        let mounts = b"40 1 0:1 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(Hierarchies::parse(mounts, b"0::/other\n").v2(), None);
        let mounts = b"40 1 0:1 /.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let found = Hierarchies::parse(mounts, b"0::/\n");
        assert_eq!(found.v2(), None);
        assert!(found.hidden);
    }

    #[test]
    fn of_two_mounts_the_one_that_can_be_written_to_is_taken() {
        let mounts = b"40 1 0:1 / /ro ro - cgroup2 cgroup2 rw\n41 1 0:1 / /rw rw - cgroup2 cgroup2 rw\n";
        let found = Hierarchies::parse(mounts, b"0::/\n");
        assert_eq!(found.v2().unwrap().mount, Path::new("/rw"));
        let over = b"40 1 0:1 / /cg rw - cgroup2 cgroup2 rw\n41 40 0:1 / /cg ro - cgroup2 cgroup2 rw\n";
        assert!(Hierarchies::parse(over, b"0::/\n").v2().unwrap().read_only);
        let super_ro = b"40 1 0:1 / /a rw - cgroup2 cgroup2 ro\n";
        assert!(Hierarchies::parse(super_ro, b"0::/\n").v2().unwrap().read_only);
    }

    #[test]
    fn no_proc_means_no_hierarchy() {
        assert_eq!(Hierarchies::parse(b"", b""), Hierarchies::default());
    }
}

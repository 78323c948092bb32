//! Mounts by descriptor, the calls of Linux 5.2: open or create a tree, change it, attach it.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sched::CloneFlags;

use super::{Call, Effect, Shown};
use crate::flags;
use crate::handles::{FdSlot, Handles};
use crate::reporter::quoted;
use system::sys::{self, MountAttrFlags};

/// Opens a copy of the mount at a path, not attached yet: open_tree(2), Linux 5.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTree {
    /// The top of the tree.
    pub path: PathBuf,
    /// The slot for the copy.
    pub slot: FdSlot,
    /// Whether the mounts below are included.
    pub recursive: bool,
}

impl Call for OpenTree {
    fn shown(&self) -> Shown {
        let path = quoted(&self.path);
        let recursive = if self.recursive { "|AT_RECURSIVE" } else { "" };
        Shown::new(
            format!("open_tree(AT_FDCWD, {path}, OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC{recursive})"),
            "open_tree(2)",
        )
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        sys::open_tree(&self.path, self.recursive).map(|fd| handles.hold(self.slot, fd))
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        if errno == Errno::EINVAL && !self.recursive {
            let advice = "the mounts below it belong to another user namespace and must be included: replace \
                the option 'bind' by 'rbind'";
            return Some(advice.to_string());
        }
        needs_linux("5.2", errno)
    }
}

/// Opens a copy of a tree below an open directory, with the mounts below it, without following a symlink:
/// openat2(2) and open_tree(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTreeBelow {
    /// The open directory.
    pub dir: FdSlot,
    /// The top of the tree, below it.
    pub path: PathBuf,
    /// The slot for the copy.
    pub slot: FdSlot,
}

impl Call for OpenTreeBelow {
    fn shown(&self) -> Shown {
        let Self { dir, path, .. } = self;
        let flags = "OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_EMPTY_PATH|AT_RECURSIVE";
        Shown::new(
            format!("open_tree(<{dir}/{}>, \"\", {flags})", path.display()),
            "openat2(2), open_tree(2)",
        )
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        let tree = sys::open_tree_below(handles.get(self.dir)?, &self.path)?;
        handles.hold(self.slot, tree);
        Ok(())
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        needs_linux("5.2", errno)
    }
}

/// Opens a file system of a type, not mounted anywhere yet: fsopen(2), Linux 5.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FsOpen {
    /// The type.
    pub fstype: &'static str,
    /// The slot for the context.
    pub slot: FdSlot,
}

impl Call for FsOpen {
    fn shown(&self) -> Shown {
        Shown::new(format!("fsopen(\"{}\", FSOPEN_CLOEXEC)", self.fstype), "fsopen(2)")
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        sys::fs_open(self.fstype).map(|fd| handles.hold(self.slot, fd))
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        needs_linux("5.2", errno)
    }
}

/// Sets an option of a new file system: fsconfig(2), Linux 5.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FsSet {
    /// The slot with the context.
    pub slot: FdSlot,
    /// The option.
    pub name: &'static str,
    /// Its value.
    pub value: String,
}

impl Call for FsSet {
    fn shown(&self) -> Shown {
        let Self { slot, name, value } = self;
        let value = quoted(Path::new(value));
        Shown::new(format!("fsconfig(<{slot}>, FSCONFIG_SET_STRING, \"{name}\", {value}, 0)"), "fsconfig(2)")
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        sys::fs_set(handles.get(self.slot)?, self.name, &self.value)
    }
}

/// Creates a file system and a mount of it, not attached yet: fsconfig(2), fsmount(2). The slot of the
/// context then holds the mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FsMount(pub FdSlot);

impl Call for FsMount {
    fn shown(&self) -> Shown {
        let slot = self.0;
        let create = format!("fsconfig(<{slot}>, FSCONFIG_CMD_CREATE, NULL, NULL, 0)");
        Shown::new(format!("{create}, fsmount(<{slot}>, FSMOUNT_CLOEXEC, 0)"), "fsmount(2)")
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        sys::fs_mount(handles.get(self.0)?).map(|fd| handles.hold(self.0, fd))
    }
}

/// Sets attributes of a tree that is not attached yet: mount_setattr(2), Linux 5.12.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetTree {
    /// The top of the tree.
    pub slot: FdSlot,
    /// The attributes.
    pub attributes: MountAttrFlags,
    /// Whether the mounts below get them, too.
    pub recursive: bool,
}

impl SetTree {
    /// Makes the tree read-only.
    pub fn read_only(slot: FdSlot) -> Self {
        Self { slot, attributes: MountAttrFlags::MOUNT_ATTR_RDONLY, recursive: true }
    }

    /// Forbids running programs in the tree.
    pub fn no_exec(slot: FdSlot) -> Self {
        Self { slot, attributes: MountAttrFlags::MOUNT_ATTR_NOEXEC, recursive: true }
    }
}

impl Call for SetTree {
    fn shown(&self) -> Shown {
        let Self { slot, attributes, recursive } = self;
        let attributes = flags::MountAttributeNames(*attributes);
        let depth = if *recursive { "|AT_RECURSIVE" } else { "" };
        Shown::new(
            format!(
                "mount_setattr(<{slot}>, \"\", AT_EMPTY_PATH{depth}, \
             {{attr_set={attributes}, attr_clr=0, propagation=0 /* MS_??? */, userns_fd=0}}, 32)"
            ),
            "mount_setattr(2)",
        )
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        sys::set_tree(handles.get(self.slot)?, self.attributes, self.recursive)
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        needs_linux("5.12", errno)
    }
}

/// Attaches a tree: move_mount(2), Linux 5.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveMount {
    /// The tree.
    pub slot: FdSlot,
    /// The mount point.
    pub target: PathBuf,
}

impl Call for MoveMount {
    fn shown(&self) -> Shown {
        let Self { slot, target } = self;
        Shown::new(
            format!("move_mount(<{slot}>, \"\", AT_FDCWD, {}, MOVE_MOUNT_F_EMPTY_PATH)", quoted(target)),
            "move_mount(2)",
        )
        .inspect_path("findmnt", &self.target)
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        sys::move_mount(handles.get(self.slot)?, &self.target)
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        needs_linux("5.2", errno)
    }

    fn effect(&self) -> Effect {
        Effect::Changes(CloneFlags::CLONE_NEWNS)
    }
}

fn needs_linux(version: &str, errno: Errno) -> Option<String> {
    (errno == Errno::ENOSYS).then(|| format!("this needs Linux {version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_replaces_a_directory_is_not_followed() {
        let place = std::env::temp_dir().join(format!("chain-tree-{}", std::process::id()));
        std::fs::create_dir(&place).unwrap();
        std::os::unix::fs::symlink("/", place.join("link")).unwrap();
        let mut handles = Handles::default();
        let (dir, slot) = (handles.slot("dir"), handles.slot("tree"));
        handles.hold(dir, sys::open_directory(&place).unwrap());
        let opened = ["link", "link/etc"]
            .map(|path| OpenTreeBelow { dir, path: path.into(), slot }.make(&mut handles));
        std::fs::remove_dir_all(&place).unwrap();
        assert_eq!(opened, [Err(Errno::ELOOP); 2]);
    }
}

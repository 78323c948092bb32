//! Mounts by their descriptors, the calls of Linux 5.2: a tree is opened or made, changed and attached.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sched::CloneFlags;

use super::{Call, Effect, Shown};
use crate::flags;
use crate::handles::{FdSlot, Handles};
use crate::reporter::quoted;
use system::sys::{self, MountAttrFlags};

/// Opens a copy of the mount at a path, not attached anywhere yet: open_tree(2), Linux 5.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTree {
    /// The top of the tree.
    pub path: PathBuf,
    /// Where the copy is held.
    pub slot: FdSlot,
    /// Whether the mounts below come with it.
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
            let advice = "what is mounted below it came from outside of this user namespace and cannot be left out: \
                without 'bind' it comes along";
            return Some(advice.to_string());
        }
        needs_linux("5.2", errno)
    }
}

/// Opens a file system of a type, not mounted anywhere yet: fsopen(2), Linux 5.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FsOpen {
    /// The type.
    pub fstype: &'static str,
    /// Where its context is held.
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

/// Sets an option of a file system that is to be made: fsconfig(2), Linux 5.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FsSet {
    /// Its context.
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

/// Makes a mount of a file system, not attached anywhere yet: fsconfig(2),
/// fsmount(2). The slot of the context holds the mount from then on.
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

/// Sets attributes of a tree that is not attached anywhere: mount_setattr(2), Linux 5.12.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetTree {
    /// The top of the tree.
    pub slot: FdSlot,
    /// The attributes.
    pub attributes: MountAttrFlags,
    /// Whether the mounts below get them as well.
    pub recursive: bool,
}

impl SetTree {
    /// Lets nothing in the tree be written.
    pub fn read_only(slot: FdSlot) -> Self {
        Self { slot, attributes: MountAttrFlags::MOUNT_ATTR_RDONLY, recursive: true }
    }

    /// Lets nothing in the tree be run.
    pub fn no_exec(slot: FdSlot) -> Self {
        Self { slot, attributes: MountAttrFlags::MOUNT_ATTR_NOEXEC, recursive: true }
    }
}

impl Call for SetTree {
    fn shown(&self) -> Shown {
        let Self { slot, attributes, recursive } = self;
        let attributes = flags::MountAttributes(*attributes);
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
    /// Where.
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
    (errno == Errno::ENOSYS).then(|| format!("this takes Linux {version}"))
}

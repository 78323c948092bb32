//! Files: the kernel's, which are written; others, which are created and removed.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{Mode, SFlag};
use nix::unistd::UnlinkatFlags;

use super::cause::closed_for_new;
use super::cause::{read, user_namespace_knob};
use super::notation::{Hex, shell_word};
use super::{Call, Shown};
use crate::handles::Handles;
use crate::reporter::{Quoted, quoted};
use system::sys;

/// One write(2) of a complete value to a kernel file, which must exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    path: PathBuf,
    data: Vec<u8>,
}

impl Write {
    /// A write of `data` to the file at `path`.
    pub fn new(path: impl Into<PathBuf>, data: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), data: data.into() }
    }
}

impl Write {
    /// Since Linux 5.12, mapping user 0 of the outer namespace needs a capability there: user_namespaces(7).
    fn root_unmapped(&self) -> Option<String> {
        let outside = |line: &str| line.split_whitespace().nth(1) == Some("0");
        std::str::from_utf8(&self.data).ok()?.lines().any(outside).then(|| {
            "a map with user 0 needs CAP_SETFCAP outside: --cap-add SETFCAP (docker, podman), or run as another user"
                .to_string()
        })
    }

    fn page(&self) -> &'static str {
        let path = self.path.as_os_str().as_bytes();
        if path.ends_with(b"_map") || path.ends_with(b"/setgroups") {
            "user_namespaces(7)"
        } else if path.ends_with(b"/timens_offsets") {
            "time_namespaces(7)"
        } else {
            "proc(5)"
        }
    }
}

impl Call for Write {
    fn shown(&self) -> Shown {
        let Self { path, data } = self;
        Shown::new(format!("write(<{}>, {}, {})", path.display(), Quoted(data), data.len()), self.page())
            .inspect(format!("cat {}", shell_word(&self.path)))
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::write_file(&self.path, &self.data)
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        match self.path.file_name()?.as_bytes() {
            b"setgroups" if errno == Errno::EPERM => setgroups_settled().or_else(user_namespace_knob),
            b"uid_map" if errno == Errno::EPERM => user_namespace_knob().or_else(|| self.root_unmapped()),
            b"uid_map" | b"setgroups" if matches!(errno, Errno::EPERM | Errno::EACCES) => {
                user_namespace_knob()
            }
            b"timens_offsets" if errno == Errno::ERANGE => {
                Some("a clock inside must be between 0 and 146 years: time_namespaces(7)".to_string())
            }
            _ => None,
        }
    }
}

/// setgroups(2) can be denied only before groups are mapped, and allowed only if it was never denied.
fn setgroups_settled() -> Option<String> {
    read("/proc/self/gid_map").filter(|map| !map.is_empty()).map(|_| {
        "groups are mapped here already, so setgroups(2) can no longer be allowed or denied: --user creates a namespace without a map"
            .to_string()
    })
}

/// mkdirat(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mkdir {
    /// The directory.
    pub path: PathBuf,
    /// Its mode before the umask.
    pub mode: u32,
}

impl Call for Mkdir {
    fn shown(&self) -> Shown {
        Shown::new(format!("mkdirat(AT_FDCWD, {}, 0{:o})", quoted(&self.path), self.mode), "mkdirat(2)")
            .inspect_path("ls -ld", &self.path)
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        nix::sys::stat::mkdirat(AT_FDCWD, self.path.as_path(), Mode::from_bits_truncate(self.mode))
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        (errno == Errno::EACCES).then(|| closed_for_new(&self.path)).flatten()
    }
}

/// Creates a device or an empty file: mknodat(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mknod {
    path: PathBuf,
    kind: SFlag,
    mode: u32,
    /// Major and minor number.
    device: (u64, u64),
}

impl Mknod {
    /// A character device with a major and a minor number; `mode` is the mode before the umask.
    pub fn char_device(path: impl Into<PathBuf>, mode: u32, device: (u64, u64)) -> Self {
        Self { path: path.into(), kind: SFlag::S_IFCHR, mode, device }
    }

    /// An empty file, as a mount point; `mode` is the mode before the umask.
    pub fn file(path: impl Into<PathBuf>, mode: u32) -> Self {
        Self { path: path.into(), kind: SFlag::S_IFREG, mode, device: (0, 0) }
    }
}

impl Call for Mknod {
    fn shown(&self) -> Shown {
        let Self { path, kind, mode, device: (major, minor) } = self;
        let path = quoted(path);
        Shown::new(
            if *kind == SFlag::S_IFCHR {
                let (major, minor) = (Hex(*major), Hex(*minor));
                format!("mknodat(AT_FDCWD, {path}, S_IFCHR|0{mode:o}, makedev({major}, {minor}))")
            } else {
                format!("mknodat(AT_FDCWD, {path}, S_IFREG|0{mode:o})")
            },
            "mknodat(2)",
        )
        .inspect_path("ls -ld", &self.path)
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        let Self { path, kind, mode, device: (major, minor) } = self;
        let mode = Mode::from_bits_truncate(*mode);
        let device = nix::sys::stat::makedev(*major, *minor);
        nix::sys::stat::mknodat(AT_FDCWD, path.as_path(), *kind, mode, device)
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        (errno == Errno::EACCES).then(|| closed_for_new(&self.path)).flatten()
    }
}

/// symlinkat(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symlink {
    /// Where it leads.
    pub target: PathBuf,
    /// The link.
    pub link: PathBuf,
}

impl Call for Symlink {
    fn shown(&self) -> Shown {
        Shown::new(
            format!("symlinkat({}, AT_FDCWD, {})", quoted(&self.target), quoted(&self.link)),
            "symlinkat(2)",
        )
        .inspect_path("ls -ld", &self.link)
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        nix::unistd::symlinkat(self.target.as_path(), AT_FDCWD, self.link.as_path())
    }
}

/// Removes a file: unlinkat(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlink(pub PathBuf);

impl Call for Unlink {
    fn shown(&self) -> Shown {
        Shown::new(format!("unlinkat(AT_FDCWD, {}, 0)", quoted(&self.0)), "unlinkat(2)")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        nix::unistd::unlinkat(AT_FDCWD, self.0.as_path(), UnlinkatFlags::NoRemoveDir)
    }
}

/// umask(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Umask(pub u32);

impl Call for Umask {
    fn shown(&self) -> Shown {
        Shown::new(format!("umask(0{:02o})", self.0), "umask(2)").inspect("umask")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        nix::sys::stat::umask(Mode::from_bits_truncate(self.0));
        Ok(())
    }
}

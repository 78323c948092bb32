//! A hosts(5) file with the hostname, if NEWROOT's file lacks it.
//!
//! No name server knows the hostname of a UTS namespace, and programs look it up: sudo(8), Java, MPI. The file is
//! created in the new /dev/shm and mounted on NEWROOT's file, which does not change. The mount is read-only, so that no
//! change is lost unnoticed; in an ephemeral root it is writable. If NEWROOT has no such file, an empty one is created
//! to mount it on, as every container engine does.

use std::fs::{File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use chain::Plan;
use chain::call::{self, Call, Shown};
use chain::handles::{FdSlot, Handles};
use chain::plan::Step;
use chain::reporter::Quoted;
use nix::errno::Errno;

use crate::mount_point::{MountPointFile, plan_readable};
use crate::root::{MAX_READ_BYTES, Root, chdir_inside};

/// The file's path inside.
pub const PATH: &str = "/etc/hosts";
const NAME: &str = "hosts";
/// The directory in which the file is created: a tmpfs of ours.
const SCRATCH: &str = "dev/shm";
/// Used if a container engine has left the file empty.
const LOCALHOST: &[u8] = b"127.0.0.1 localhost\n::1 localhost\n";
/// Debian's address for the hostname of a machine without a fixed address.
const ADDRESS: &str = "127.0.1.1";
/// How much of the file `--explain` prints.
const SHOWN_BYTES: usize = 512;

/// The file and its mount point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts {
    pub content: Vec<u8>,
    /// The mount point's directory, relative to the root and without symlinks.
    pub dir: PathBuf,
    /// Whether the mount point must be created.
    pub is_missing: bool,
    pub is_writable: bool,
}

impl Hosts {
    /// The file that a root needs; None if its own file has the hostname, or if none can be mounted.
    /// `is_ephemeral` says whether changes to the root are discarded. If the file is missing, `can_create` says whether
    /// to create it.
    pub fn read(root: &Root, is_ephemeral: bool, can_create: impl FnOnce() -> bool) -> Option<Self> {
        let above = root.walk(Path::new("/etc"));
        if !above.missing.is_empty() {
            return None;
        }
        let (own, is_missing) = match root.read_public(PATH, &above.real) {
            // the rest of a longer file would be lost
            Some(own) if own.len() as u64 == MAX_READ_BYTES => return None,
            Some(own) => (own, false),
            // a dangling symlink is a mount point
            None if root.is_link(&above.real.join(NAME)) && !root.has(Path::new(PATH)) => (Vec::new(), false),
            None if !root.has(Path::new(PATH)) && can_create() => (Vec::new(), true),
            None => return None,
        };
        let hostname = nix::unistd::gethostname().ok()?.into_string().ok()?;
        let content = with_hostname(own, &hostname)?;
        Some(Self { content, dir: above.real, is_missing, is_writable: is_ephemeral })
    }

    /// Creates the file and mounts it. `umask` is the caller's.
    pub fn plan(self, plan: &mut Plan, new_root: FdSlot, umask: u32) {
        let slot = plan.slot(NAME);
        chdir_inside(plan, new_root, SCRATCH);
        plan.step("write a hosts file that has the hostname", WriteHosts(self.content));
        plan.step("create a mount of it", call::OpenTree { path: NAME.into(), slot, recursive: false });
        if !self.is_writable {
            plan.step("make it read-only", call::SetTree::read_only(slot));
        }
        chdir_inside(plan, new_root, &self.dir);
        if self.is_missing {
            let create = CreateEmpty(MountPointFile::new(NAME));
            plan_readable(plan, umask, |plan| plan.step(format!("create {PATH}"), create));
        }
        let step = Step::new(format!("mount it at {PATH}"), call::MoveMount { slot, target: NAME.into() });
        // an overlay that the kernel refused has left the directory empty
        let why = if self.is_missing { "cannot be created" } else { "is hidden" };
        let note = format!("the hostname is not in {PATH}, which {why}");
        plan.add(step.or_else(&[Errno::ENOENT], note, Vec::new()));
        // not earlier: a file without a name cannot be mounted
        chdir_inside(plan, new_root, SCRATCH);
        plan.step("remove its name there", call::Unlink(NAME.into()));
    }
}

/// The contents of a hosts file with this hostname, if it must be added.
fn with_hostname(mut own: Vec<u8>, hostname: &str) -> Option<Vec<u8>> {
    let is_known = |line: &[u8]| {
        let entry = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let words = entry.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        words.skip(1).any(|name| name.eq_ignore_ascii_case(hostname.as_bytes()))
    };
    if !is_hostname(hostname) || own.split(|byte| *byte == b'\n').any(is_known) {
        return None;
    }
    if own.is_empty() {
        own.extend_from_slice(LOCALHOST);
    } else if !own.ends_with(b"\n") {
        own.push(b'\n');
    }
    let short = hostname.split_once('.').map(|(short, _)| format!(" {short}")).unwrap_or_default();
    own.extend_from_slice(format!("{ADDRESS} {hostname}{short}\n").as_bytes());
    Some(own)
}

/// Whether the name is valid in the file: hostname(7). The kernel accepts any bytes.
fn is_hostname(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    name.bytes().all(allowed) && name.starts_with(|first: char| first.is_ascii_alphanumeric())
}

/// Creates the file to mount on, if that is possible in NEWROOT. If not, the next step, the mount, prints the line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CreateEmpty(MountPointFile);

impl Call for CreateEmpty {
    fn shown(&self) -> Shown {
        self.0.shown()
    }

    /// # Errors
    /// Those of mknodat(2), except for a full disk, and for a directory in which the caller cannot create files.
    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        use Errno::{EACCES, EDQUOT, ENOSPC, EOVERFLOW, EPERM, EROFS};
        match self.0.make(handles) {
            Err(EACCES | EDQUOT | ENOSPC | EOVERFLOW | EPERM | EROFS) => Ok(()),
            result => result,
        }
    }
}

/// Writes the file in the working directory, readable to all users.
#[derive(Clone, Debug, PartialEq, Eq)]
struct WriteHosts(Vec<u8>);

impl Call for WriteHosts {
    fn shown(&self) -> Shown {
        let Self(content) = self;
        let start = content.get(..SHOWN_BYTES);
        let (shown, more) = (Quoted(start.unwrap_or(content)), if start.is_some() { "..." } else { "" });
        Shown::new(
            format!(
                "openat(AT_FDCWD, \"{NAME}\", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0644), \
                 fchmod(<{NAME}>, 0644), write(<{NAME}>, {shown}{more}, {})",
                content.len()
            ),
            "hosts(5)",
        )
    }

    /// # Errors
    /// Those of openat(2) and write(2).
    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        let create = || {
            let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o644).open(NAME)?;
            // whatever the caller's umask is
            file.set_permissions(Permissions::from_mode(0o644))?;
            file.write_all(&self.0)
        };
        create().map_err(|why: std::io::Error| why.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(own: &str, hostname: &str) -> Option<String> {
        with_hostname(own.into(), hostname).map(|file| String::from_utf8(file).unwrap())
    }

    #[test]
    fn a_hostname_that_the_file_lacks_is_added() {
        let own = "127.0.0.1 localhost\n10.0.0.1 boxes # box\n#10.0.0.2 box";
        assert_eq!(text(own, "box").unwrap(), format!("{own}\n127.0.1.1 box\n"));
        assert_eq!(
            text("1.2.3.4 a\n", "box.example.org").unwrap(),
            "1.2.3.4 a\n127.0.1.1 box.example.org box\n"
        );
    }

    #[test]
    fn a_hostname_that_the_file_has_is_not_added() {
        for own in ["127.0.1.1\tbox", "::1 localhost Box # here\n", "1.2.3.4 x\n 1.2.3.5  y  box\n"] {
            assert_eq!(text(own, "box"), None, "{own}");
        }
    }

    #[test]
    fn an_empty_file_gets_localhost_as_well() {
        assert_eq!(text("", "box").unwrap(), "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 box\n");
    }

    #[test]
    fn what_is_no_hostname_is_not_written() {
        for name in ["", "(none)", "a b", "a\nb", "#", ".", "-x"] {
            assert_eq!(text("", name), None, "{name:?}");
        }
    }
}

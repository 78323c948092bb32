//! What `--replace` refuses to replace: the working and home directories, a directory of the running system,
//! a tree with mounts, and a tree that an ordinary user has no right to remove.
//!
//! The first three are almost always a mistake. The others cannot work: mounts move with the exchanged tree,
//! and its removal would stop at the first mount, or at the first directory of another user.

use std::collections::BTreeMap;
use std::io::ErrorKind::NotFound;
use std::iter;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use chain::call::shell_word;
use chain::reporter::quoted;
use rustix::fs::{Access, Mode, OFlags};
use rustix::io::Errno;
use system::mountinfo;

use crate::failure::{Failure, Kind, Result};

/// The hint for a DIRECTORY that can be neither used nor replaced.
pub const OTHER_DIRECTORY: &str = "name a directory that does not exist, or an empty one";

/// Directories of the running system, including everything below them.
const SYSTEM_TREES: [&str; 12] =
    ["bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "sys", "usr"];
/// Directories of the running system that can contain root directories: hier(7).
const SYSTEM_DIRECTORIES: [&str; 15] = [
    "home",
    "opt",
    "root",
    "run",
    "srv",
    "tmp",
    "var",
    "var/cache",
    "var/lib",
    "var/local",
    "var/log",
    "var/mail",
    "var/opt",
    "var/spool",
    "var/tmp",
];

/// Checks that DIRECTORY can be replaced, or does not exist.
///
/// # Errors
/// Exists, with the reason.
pub fn check(directory: &Path) -> Result<()> {
    let Ok(real) = std::fs::canonicalize(directory) else { return Ok(()) };
    let refused = |why: &str| {
        Failure::new(Kind::Exists, format_args!("{} cannot be replaced: {why}", quoted(directory)))
    };
    let here = std::env::current_dir().ok();
    let home = std::env::var_os("HOME").map(PathBuf::from);
    for (place, path) in [("working", here), ("home", home)] {
        let Some(path) = path.and_then(|path| std::fs::canonicalize(path).ok()) else { continue };
        if path == real {
            return Err(refused(&format!("it is the {place} directory")).hint(OTHER_DIRECTORY));
        }
        if path.starts_with(&real) {
            return Err(refused(&format!("the {place} directory is in it")).hint(OTHER_DIRECTORY));
        }
    }
    if is_of_the_system(&real) {
        return Err(refused("it is a directory of the running system").hint(OTHER_DIRECTORY));
    }
    if !rustix::process::geteuid().is_root()
        && let Some(dir) = foreign_directory(&real)
    {
        let dir = directory.join(dir.strip_prefix(&real).unwrap_or(&dir));
        let hint = format!(
            "if that is one of your subordinate ids, remove the tree with: unshare-rs -- rm -rf {}",
            shell_word(directory)
        );
        let why = format!("{} is not empty and belongs to another user", quoted(&dir));
        return Err(refused(&why).kind(Kind::Denied).hint(hint));
    }
    let Some(mount) = mount_in(&real) else { return Ok(()) };
    let Ok(below) = mount.strip_prefix(&real) else { return Ok(()) };
    if below.as_os_str().is_empty() {
        return Err(refused("it is a mount point").hint(umount(directory)));
    }
    let mount = directory.join(below);
    Err(refused(&format!("{} is a mount point", quoted(&mount))).hint(umount(&mount)))
}

/// Whether the running system needs this directory, or it is a user's home directory.
fn is_of_the_system(real: &Path) -> bool {
    let Ok(path) = real.strip_prefix("/") else { return false };
    SYSTEM_TREES.iter().any(|tree| path.starts_with(tree))
        || SYSTEM_DIRECTORIES.iter().any(|directory| path == Path::new(directory))
        || path.parent() == Some(Path::new("home"))
}

/// A directory in a tree that prevents this user from removing the tree.
fn foreign_directory(real: &Path) -> Option<PathBuf> {
    let own = rustix::process::geteuid().as_raw();
    let mut todo = vec![real.to_path_buf()];
    while let Some(dir) = todo.pop() {
        let is_own = std::fs::symlink_metadata(&dir).is_ok_and(|meta| meta.uid() == own);
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            // another run that replaces this tree may have removed it meanwhile
            Err(error) if is_own || error.kind() == NotFound => continue,
            Err(_) => return Some(dir),
        };
        let mut is_empty = true;
        for entry in entries.flatten() {
            is_empty = false;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                todo.push(entry.path());
            }
        }
        // the tree itself can belong to another user: its parent decides, and rename(2) reports that
        if !is_own
            && !is_empty
            && rustix::fs::access(&dir, Access::WRITE_OK).is_err_and(|why| why != Errno::NOENT)
        {
            return Some(dir);
        }
    }
    None
}

/// The mount at or below a directory to unmount first; None without /proc.
fn mount_in(real: &Path) -> Option<PathBuf> {
    // O_PATH works without read permission
    let dir = rustix::fs::open(real, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let on = mountinfo::id_of(dir.as_fd())?;
    topmost_mount(&mountinfo::table().ok()?, real, on)
}

/// The last mount at or below a directory on mount `on` that has no other mount on it.
fn topmost_mount(table: &[u8], real: &Path, on: u64) -> Option<PathBuf> {
    let parents: BTreeMap<u64, u64> =
        mountinfo::mounts(table).map(|mount| (mount.id, mount.parent)).collect();
    let up = |id: &u64| parents.get(id).copied().filter(|parent| parent != id);
    // a mount can be hidden by another one on a parent directory
    let is_seen = |id: u64| iter::successors(Some(id), up).take(parents.len()).any(|id| id == on);
    let within: Vec<_> =
        mountinfo::mounts(table).filter(|mount| mount.at.starts_with(real) && is_seen(mount.id)).collect();
    let bears = |id: u64| within.iter().any(|mount| mount.parent == id && mount.id != id);
    within.iter().rfind(|mount| !bears(mount.id)).map(|mount| mount.at.to_path_buf())
}

/// The command, quoted for a shell.
fn umount(mount: &Path) -> String {
    format!("umount {}", shell_word(mount))
}

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use super::*;

    /// The mount that must be unmounted before `/r`, which is on mount `on`.
    fn first(table: &str, on: u64) -> Option<PathBuf> {
        let table = format!("1 1 0:1 / / rw - ext4 d rw\n{table}");
        topmost_mount(table.as_bytes(), Path::new("/r"), on)
    }

    #[test]
    fn a_directory_of_the_running_system_is_not_replaced() {
        for path in
            ["/etc", "/usr", "/usr/lib/x", "/var", "/var/lib", "/home", "/home/alice", "/root", "/tmp"]
        {
            assert!(is_of_the_system(Path::new(path)), "{path}");
        }
        for path in
            ["/etcetera", "/var/lib/machines/x", "/home/alice/root", "/root/fs", "/tmp/etc", "/srv/etc"]
        {
            assert!(!is_of_the_system(Path::new(path)), "{path}");
        }
        let refusal = check(Path::new("/etc")).unwrap_err();
        assert!(
            refusal
                .to_string()
                .contains("\"/etc\" cannot be replaced: it is a directory of the running system")
        );
    }

    #[test]
    fn a_directory_that_another_run_removes_meanwhile_is_not_called_foreign() {
        let scratch = std::env::temp_dir().join(format!("rootfs-fetch-guard-{}", std::process::id()));
        for round in 0..10 {
            for dir in 0..50 {
                fs::create_dir_all(scratch.join(format!("{dir}/below"))).expect("a tree");
            }
            thread::scope(|scope| {
                let removal = scope.spawn(|| fs::remove_dir_all(&scratch).expect("it is removed"));
                while !removal.is_finished() {
                    assert_eq!(foreign_directory(&scratch), None, "round {round}");
                }
            });
        }
    }

    #[test]
    fn the_innermost_and_uppermost_mount_goes_first() {
        assert_eq!(first("", 1), None);
        assert_eq!(first("2 1 0:2 / /r/a\\040b rw - tmpfs t rw\n", 1), Some("/r/a b".into()));
        assert_eq!(first("2 1 0:2 / /rr rw - tmpfs t rw\n", 1), None);
        let inner = "2 1 0:2 / /r/a rw - tmpfs t rw\n3 2 0:3 / /r/a/b rw - tmpfs t rw\n";
        assert_eq!(first(inner, 1), Some("/r/a/b".into()));
        let stack = "2 1 0:2 / /r/a rw - tmpfs t rw\n3 2 0:3 / /r/a rw - tmpfs t rw\n";
        assert_eq!(first(stack, 1), Some("/r/a".into()));
        // a later mount on a parent directory hides the first
        let hidden = "2 1 0:2 / /r/a/b rw - tmpfs t rw\n3 1 0:3 / /r/a rw - tmpfs t rw\n";
        assert_eq!(first(hidden, 1), Some("/r/a".into()));
    }

    #[test]
    fn a_directory_may_be_a_mount_point_itself() {
        assert_eq!(first("2 1 0:2 / /r rw - tmpfs t rw\n", 2), Some("/r".into()));
        let both = "2 1 0:2 / /r rw - tmpfs t rw\n3 2 0:3 / /r/a rw - tmpfs t rw\n";
        assert_eq!(first(both, 2), Some("/r/a".into()));
    }

    #[test]
    fn a_mount_that_one_further_up_hides_is_not_in_the_directory() {
        // 3 is mounted on /, and hides the mount at /r/a
        let hidden = "2 1 0:2 / /r/a rw - tmpfs t rw\n3 1 0:3 / / rw - tmpfs t rw\n";
        assert_eq!(first(hidden, 3), None);
    }

    #[test]
    fn a_path_is_written_as_a_shell_takes_it() {
        assert_eq!(umount(Path::new("old/m")), "umount old/m");
        assert_eq!(umount(Path::new("it's/m n")), r"umount 'it'\''s/m n'");
    }
}

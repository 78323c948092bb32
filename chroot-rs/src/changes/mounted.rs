//! The mounts of NEWROOT that are in the way of changes: the kernel neither removes nor replaces a mount point.

use std::path::{Path, PathBuf};

use system::mountinfo;

use super::comparison::{Change, ChangeKind};
use crate::root::Root;

/// The first mount that is in the way, below the root. Without /proc, none is known.
pub fn in_the_way(changes: &[Change], root: &Root) -> Option<PathBuf> {
    let table = mountinfo::table().ok()?;
    let top = root.path.canonicalize().ok()?;
    let mounts: Vec<PathBuf> = mountinfo::mounts(&table)
        .filter_map(|mount| mount.at.strip_prefix(&top).ok().map(Path::to_path_buf))
        .filter(|at| !at.as_os_str().is_empty())
        .collect();
    first(changes, &mounts, |path| top.join(path).is_dir())
}

fn first(changes: &[Change], mounts: &[PathBuf], is_directory: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    // a directory that stays one keeps what is mounted on it and below
    let stays = |change: &Change| {
        change.kind != ChangeKind::Removed && change.file_type == "directory" && is_directory(&change.path)
    };
    let mut found = changes.iter().filter_map(|change| {
        let at = mounts.iter().find(|at| at.starts_with(&change.path))?;
        (!stays(change)).then(|| at.clone())
    });
    found.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_replaces_or_removes_a_mount_point_meets_a_mount() {
        let mounts = ["etc/hosts", "srv/a/b", "mnt", "var/log"].map(PathBuf::from);
        let at = |kind, path: &str, file_type| {
            let change = Change { kind, path: path.into(), file_type, is_conflict: false };
            first(&[change], &mounts, |path| path.starts_with("mnt") || path.starts_with("srv"))
        };
        for (kind, path, file_type, hit) in [
            (ChangeKind::Changed, "etc/hosts", "file", Some("etc/hosts")),
            (ChangeKind::Removed, "etc/hosts", "file", Some("etc/hosts")),
            (ChangeKind::Changed, "etc/hosts", "directory", Some("etc/hosts")),
            (ChangeKind::Removed, "srv", "directory", Some("srv/a/b")),
            (ChangeKind::Changed, "srv/a", "file", Some("srv/a/b")),
            (ChangeKind::Changed, "srv/a", "directory", None),
            (ChangeKind::Changed, "mnt", "directory", None),
            (ChangeKind::Created, "mnt/file", "file", None),
            (ChangeKind::Changed, "etc/hostname", "file", None),
        ] {
            assert_eq!(at(kind, path, file_type), hit.map(PathBuf::from), "{kind:?} {path} {file_type}");
        }
    }
}

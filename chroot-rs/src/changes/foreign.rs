//! Recognises a directory with files that no run with `--changes` created. chroot-rs would list and apply them as
//! changes, or delete them.

use std::ffi::OsStr;
use std::fs::{Metadata, read_dir, symlink_metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use chain::Failure;
use chain::reporter::quoted;

use super::discard::GONE;
use super::names::{SINCE, UPPER, USERXATTR, WORK};
use crate::root::Root;

/// The directories that overlayfs creates in its work directory.
const OF_KERNEL: [&str; 2] = ["work", "index"];

/// Checks the directory of `--changes` before anything in it is read or removed. One that does not exist is possible.
///
/// # Errors
/// If it is NEWROOT, or has files that no run with `--changes` created.
pub fn check(dir: &Path, root: &Root) -> Result<(), Failure> {
    let same = |one: &Metadata, other: &Metadata| (one.dev(), one.ino()) == (other.dev(), other.ino());
    if let (Ok(dir), Ok(root)) = (dir.metadata(), root.path.metadata())
        && same(&dir, &root)
    {
        return Err(Failure::new("--changes cannot keep the changes in NEWROOT itself")
            .hint("name another DIR, for example --changes=changes"));
    }
    let Some(name) = foreign(dir) else { return Ok(()) };
    let failure =
        format!("{} is not a directory of --changes: chroot-rs did not create its {name:?}", quoted(dir));
    Err(Failure::new(failure).hint("name a DIR that does not exist, or an empty one"))
}

/// The name of ours that something else has used.
fn foreign(dir: &Path) -> Option<&'static str> {
    let found = |name: &str| symlink_metadata(dir.join(name)).ok();
    let is_record = |name: &str| found(name).is_none_or(|file| file.is_file() && file.len() == 0);
    if let Some(name) = [SINCE, USERXATTR].into_iter().find(|name| !is_record(name)) {
        return Some(name);
    }
    if found(WORK).is_some_and(|work| !work.is_dir()) || !is_work(&dir.join(WORK), true) {
        return Some(WORK);
    }
    // a run creates the record before the command can write anything
    let has_begun = found(SINCE).is_some() && found(WORK).is_some();
    [UPPER, GONE].into_iter().find(|name| !has_begun && has_files(&dir.join(name)))
}

/// Whether a work directory has only what the kernel creates in one, or, if there is an overlay for each directory of
/// NEWROOT, such directories. What cannot be read is the kernel's.
fn is_work(dir: &Path, may_be_of_several: bool) -> bool {
    let Ok(entries) = read_dir(dir) else { return true };
    entries.flatten().all(|entry| {
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let is_of_kernel = OF_KERNEL.iter().any(|name| entry.file_name() == OsStr::new(name));
        is_dir && (is_of_kernel || may_be_of_several && is_work(&entry.path(), false))
    })
}

/// Whether there is something other than directories, at any depth.
fn has_files(path: &Path) -> bool {
    if symlink_metadata(path).is_ok_and(|found| !found.is_dir()) {
        return true;
    }
    let Ok(entries) = read_dir(path) else { return false };
    entries.flatten().any(|entry| has_files(&entry.path()))
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, remove_dir_all, write};

    use super::*;

    #[test]
    fn a_name_that_something_else_uses_is_reported() {
        let scratch = std::env::temp_dir().join(format!("foreign-{}", std::process::id()));
        let ours = |files: &[&str]| {
            let _ = remove_dir_all(&scratch);
            create_dir_all(&scratch).unwrap();
            for file in files {
                let file = scratch.join(file);
                create_dir_all(file.parent().unwrap()).unwrap();
                match file.extension() {
                    Some(_) => write(&file, "text").unwrap(),
                    None if file.ends_with("since") || file.ends_with("userxattr") => {
                        write(&file, "").unwrap()
                    }
                    None => create_dir_all(&file).unwrap(),
                }
            }
            foreign(&scratch)
        };
        // of a run, of one with several overlays, of a discard, of a run that ended early
        for files in [
            &["since", "upper/a.txt", "work/work"][..],
            &["since", "userxattr", "upper/etc/a.txt", "work/etc/work", "work/usr/index"],
            &["since", "gone/a.txt", "work/work"],
            &["upper/etc", "work"],
            &["work"],
            &[],
            // what has none of our names stays
            &["note.txt", "lost+found"],
        ] {
            assert_eq!(ours(files), None, "{files:?}");
        }
        for (files, name) in [
            (&["upper/thesis.txt"][..], UPPER),
            (&["upper/deep/er/thesis.txt", "work"], UPPER),
            (&["since", "upper/thesis.txt"], UPPER),
            (&["gone/a.txt", "work"], GONE),
            (&["work/report.txt"], WORK),
            (&["work/src/main.c", "since", "upper"], WORK),
        ] {
            assert_eq!(ours(files), Some(name), "{files:?}");
        }
        for name in [SINCE, USERXATTR, WORK] {
            ours(&[]);
            write(scratch.join(name), "mine").unwrap();
            assert_eq!(foreign(&scratch), Some(name));
        }
        remove_dir_all(&scratch).unwrap();
    }
}

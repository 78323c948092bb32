//! The siblings of DIRECTORY: their names, their locks, and what killed runs left.
//!
//! `DIRECTORY.partial-XXXXXXXXXX` is a tree that is being built or removed. `DIRECTORY.replaced-XXXXXXXXXX`
//! is a complete one (see `replaced.rs`). The last letters are a checksum of the others, so that a user's
//! `DIRECTORY.partial-backup` is never removed.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use chain::reporter::quoted;
use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::failure::{Failure, Result};
use crate::tree::directories::Inode;
use crate::tree::remove;

const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// The maximum number of bytes of DIRECTORY's name in a sibling's name, which file systems limit to 255.
const MAX_NAME: usize = 230;
/// The number of random letters.
const RANDOM: usize = 6;
/// The number of letters of the checksum.
const CHECK: usize = 4;

/// The state of a sibling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sibling {
    /// An incomplete tree.
    Partial,
    /// The old tree, complete, until the new one has its name.
    Replaced,
}

/// Creates, opens and locks the sibling of `name`.
pub fn make(parent: &OwnedFd, name: &OsStr, directory: &Path) -> Result<(OsString, OwnedFd)> {
    let failed = |call: &str, error| Failure::call(format_args!("create {}", quoted(directory)), call, error);
    loop {
        let partial = passing_name(name, Sibling::Partial).map_err(|error| failed("getrandom()", error))?;
        match rustix::fs::mkdirat(parent, &partial, Mode::RWXU) {
            Err(Errno::EXIST) => continue,
            Err(error) => return Err(failed(&format!("mkdirat({})", quoted(&partial)), error)),
            Ok(()) => {}
        }
        match claim(parent, &partial) {
            Ok(Some(root)) => return Ok((partial, root)),
            Ok(None) => {}
            Err((call, error)) => {
                // the first failure is reported
                let _ = rustix::fs::unlinkat(parent, &partial, AtFlags::REMOVEDIR);
                return Err(failed(call, error));
            }
        }
    }
}

/// Opens and locks a directory that was just created. None if another run has removed it before it was
/// locked, because it looked abandoned.
fn claim(parent: &OwnedFd, partial: &OsStr) -> std::result::Result<Option<OwnedFd>, (&'static str, Errno)> {
    let root = match open(parent, partial) {
        Err(Errno::NOENT) => return Ok(None),
        other => other.map_err(|error| ("openat()", error))?,
    };
    match rustix::fs::flock(&root, FlockOperation::NonBlockingLockExclusive) {
        // without locks, no other run can lock it either, so no run removes it
        Ok(()) | Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) => {}
        Err(Errno::WOULDBLOCK) => return Ok(None),
        Err(error) => return Err(("flock()", error)),
    }
    if !is_named(parent, partial, &root) {
        return Ok(None);
    }
    // it may have inherited bits and ACLs from its parent
    rustix::fs::fchmod(&root, Mode::RWXU).map_err(|error| ("fchmod()", error))?;
    let _ = rustix::fs::fremovexattr(&root, "system.posix_acl_default");
    let _ = rustix::fs::fremovexattr(&root, "system.posix_acl_access");
    Ok(Some(root))
}

/// Opens a directory, but not a link to one.
///
/// # Errors
/// Those of openat(2).
pub fn open(parent: &OwnedFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// Opens a directory and locks it. If it cannot be locked, no other run can lock it either, so no run touches it.
pub fn open_locked(parent: &OwnedFd, name: &OsStr) -> Option<OwnedFd> {
    let dir = open(parent, name).ok()?;
    let _ = rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive);
    Some(dir)
}

/// A random name: `NAME.partial-XXXXXXXXXX` or `NAME.replaced-XXXXXXXXXX`.
///
/// # Errors
/// Those of getrandom(2).
pub fn passing_name(name: &OsStr, sibling: Sibling) -> rustix::io::Result<OsString> {
    let mut random = [0_u8; RANDOM];
    let mut filled = 0;
    while let Some(rest) = random.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty())?;
    }
    let letters = random.iter().filter_map(|&byte| LETTERS.get(usize::from(byte) % LETTERS.len()));
    let mut passing = prefix(name, sibling);
    passing.extend(letters);
    let check = check(&passing, name);
    passing.extend(check);
    Ok(OsString::from_vec(passing))
}

/// `NAME.partial-` or `NAME.replaced-`, with the name truncated to the limit of file systems.
fn prefix(name: &OsStr, sibling: Sibling) -> Vec<u8> {
    let name = name.as_bytes();
    let kind: &[u8] = match sibling {
        Sibling::Partial => b".partial-",
        Sibling::Replaced => b".replaced-",
    };
    [name.get(..name.len().min(MAX_NAME)).unwrap_or_default(), kind].concat()
}

/// The checksum of a sibling's name, including the part of DIRECTORY's name that was cut off: 64-bit FNV-1a.
fn check(passing: &[u8], name: &OsStr) -> [u8; CHECK] {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for byte in passing.iter().chain(name.as_bytes().iter().skip(MAX_NAME)) {
        sum = (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    std::array::from_fn(|_| {
        let letter = LETTERS.get((sum % 36) as usize).copied().unwrap_or_default();
        sum /= 36;
        letter
    })
}

/// Whether a run has given this name to a sibling of `name`.
fn is_ours(entry: &[u8], name: &OsStr, sibling: Sibling) -> bool {
    let prefix = prefix(name, sibling);
    entry.len() == prefix.len() + RANDOM + CHECK
        && entry.starts_with(&prefix)
        && entry.split_last_chunk::<CHECK>().is_some_and(|(others, last)| *last == check(others, name))
}

/// The names that runs have given to siblings of `name`.
pub fn siblings(parent: &OwnedFd, name: &OsStr, sibling: Sibling) -> Vec<OsString> {
    let Ok(entries) = Dir::read_from(parent) else { return Vec::new() };
    entries
        .flatten()
        .map(|entry| entry.file_name().to_bytes().to_vec())
        .filter(|entry| is_ours(entry, name, sibling))
        .map(OsString::from_vec)
        .collect()
}

/// Opens and locks what a killed run left. None if its run still lives, or if it has been renamed.
pub fn lock_remains(parent: &OwnedFd, sibling: &OsStr) -> Option<OwnedFd> {
    let dir = open(parent, sibling).ok()?;
    rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive).ok()?;
    // compare the name after locking, because its creator may just have renamed it
    is_named(parent, sibling, &dir).then_some(dir)
}

/// Removes the partial siblings of killed runs, as far as the caller's rights allow.
pub fn remove_stale(parent: &OwnedFd, name: &OsStr) {
    for partial in siblings(parent, name, Sibling::Partial) {
        let Some(dir) = lock_remains(parent, &partial) else { continue };
        if is_owned(&dir) {
            let _ = remove(parent, &partial, name);
        }
    }
}

/// Removes a sibling of `name`, under a new name: the run that knows the old one may live on another machine, whose
/// locks NFS does not show. It can no longer give the tree its name.
///
/// # Errors
/// Those of renameat(2) and unlinkat(2); the next run tries again.
pub fn remove(parent: &OwnedFd, sibling: &OsStr, name: &OsStr) -> Result<()> {
    let failed = |call, error| Failure::call(format_args!("remove {}", quoted(sibling)), call, error);
    let remains = passing_name(name, Sibling::Partial).map_err(|error| failed("getrandom()", error))?;
    match rustix::fs::renameat(parent, sibling, parent, &remains) {
        // another run removes it
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(failed("renameat()", error)),
        Ok(()) => remove::entry(parent.as_fd(), remains.as_bytes(), &mut |_| {}),
    }
}

/// Whether a directory belongs to the caller.
pub fn is_owned(dir: &OwnedFd) -> bool {
    rustix::fs::fstat(dir).is_ok_and(|stat| stat.st_uid == rustix::process::geteuid().as_raw())
}

/// Whether a directory still has this name. If that is unknown, the answer is no.
pub fn is_named(parent: &OwnedFd, name: &OsStr, dir: &OwnedFd) -> bool {
    let there = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
    let here = rustix::fs::fstat(dir);
    matches!((there, here), (Ok(there), Ok(here)) if Inode::of(&there) == Inode::of(&here))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_partial_of(entry: &OsStr, name: &str) -> bool {
        is_ours(entry.as_bytes(), name.as_ref(), Sibling::Partial)
    }

    #[test]
    fn only_names_that_a_run_gave_are_taken_for_its_remains() {
        let name = passing_name("root".as_ref(), Sibling::Partial).expect("a name");
        assert!(is_partial_of(&name, "root"), "{}", name.display());
        for other in
            ["root.partial-backup", "root.partial-0123456789", "root.partial-", "rootpartial-backupfail"]
        {
            assert!(!is_partial_of(other.as_ref(), "root"), "{other}");
        }
        let old = passing_name("root".as_ref(), Sibling::Replaced).expect("a name");
        assert!(!is_partial_of(&old, "root"), "{}", old.display());
        // a sibling of another directory
        let other = passing_name("other".as_ref(), Sibling::Partial).expect("a name");
        assert!(!is_partial_of(&other, "root"));
    }

    #[test]
    fn long_names_that_begin_likewise_have_siblings_of_their_own() {
        let (one, other) = ("a".repeat(254) + "1", "a".repeat(254) + "2");
        let name = passing_name(one.as_ref(), Sibling::Replaced).expect("a name");
        assert!(name.len() <= 255 && is_ours(name.as_bytes(), one.as_ref(), Sibling::Replaced));
        assert!(!is_ours(name.as_bytes(), other.as_ref(), Sibling::Replaced));
    }
}

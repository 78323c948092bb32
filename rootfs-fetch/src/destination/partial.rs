//! The sibling `DIRECTORY.partial-XXXXXXXXXX`: its name, its lock, and the remains of dead runs.
//!
//! The last letters are a checksum of the others, so that a user's `DIRECTORY.partial-backup`
//! is not removed.

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
/// Random letters.
const RANDOM: usize = 6;
/// Letters of the checksum.
const CHECK: usize = 4;

/// Creates, opens and locks the sibling of `name`.
pub fn make(parent: &OwnedFd, name: &OsStr, directory: &Path) -> Result<(OsString, OwnedFd)> {
    let failed = |call: &str, error| Failure::call(format_args!("make {}", quoted(directory)), call, error);
    loop {
        let partial = passing_name(name).map_err(|error| failed("getrandom()", error))?;
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

/// Opens and locks a directory that was just created; nothing if another run has removed it as a
/// dead run's before it was locked.
fn claim(parent: &OwnedFd, partial: &OsStr) -> std::result::Result<Option<OwnedFd>, (&'static str, Errno)> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = match rustix::fs::openat(parent, partial, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        other => other.map_err(|error| ("openat()", error))?,
    };
    match rustix::fs::flock(&root, FlockOperation::NonBlockingLockExclusive) {
        // without locks no other run can lock it either, so none removes it
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

/// A random name: `NAME.partial-XXXXXXXXXX`.
///
/// # Errors
/// As getrandom(2).
pub fn passing_name(name: &OsStr) -> rustix::io::Result<OsString> {
    let mut random = [0_u8; RANDOM];
    let mut filled = 0;
    while let Some(rest) = random.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty())?;
    }
    let letters = random.iter().filter_map(|&byte| LETTERS.get(usize::from(byte) % LETTERS.len()));
    let mut partial = prefix(name);
    partial.extend(letters);
    let check = check(&partial);
    partial.extend(check);
    Ok(OsString::from_vec(partial))
}

/// `NAME.partial-`, with the name cut to fit the limit of file systems.
fn prefix(name: &OsStr) -> Vec<u8> {
    let name = name.as_bytes();
    [name.get(..name.len().min(230)).unwrap_or_default(), b".partial-"].concat()
}

/// The checksum of a name: 64-bit FNV-1a.
fn check(name: &[u8]) -> [u8; CHECK] {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for byte in name {
        sum = (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    std::array::from_fn(|_| {
        let letter = LETTERS.get((sum % 36) as usize).copied().unwrap_or_default();
        sum /= 36;
        letter
    })
}

/// Whether a run gave this name.
fn is_ours(entry: &[u8], prefix: &[u8]) -> bool {
    let length = prefix.len() + RANDOM + CHECK;
    entry.len() == length
        && entry.starts_with(prefix)
        && entry.split_last_chunk::<CHECK>().is_some_and(|(others, last)| *last == check(others))
}

/// Removes the siblings of dead runs, as far as it may.
pub fn remove_stale(parent: &OwnedFd, name: &OsStr) {
    let prefix = prefix(name);
    let Ok(entries) = Dir::read_from(parent) else { return };
    let stale: Vec<OsString> = entries
        .flatten()
        .map(|entry| entry.file_name().to_bytes().to_vec())
        .filter(|entry| is_ours(entry, &prefix))
        .map(OsString::from_vec)
        .collect();
    for partial in stale {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(dir) = rustix::fs::openat(parent, &partial, flags, Mode::empty()) else { continue };
        // compare the name after locking: its creator may just have renamed it
        if owned(&dir)
            && rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive).is_ok()
            && is_named(parent, &partial, &dir)
        {
            let _ = remove::entry(parent.as_fd(), partial.as_bytes(), &mut |_| {});
        }
    }
}

fn owned(dir: &OwnedFd) -> bool {
    rustix::fs::fstat(dir).is_ok_and(|stat| stat.st_uid == rustix::process::geteuid().as_raw())
}

fn is_named(parent: &OwnedFd, name: &OsStr, dir: &OwnedFd) -> bool {
    let there = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
    let here = rustix::fs::fstat(dir);
    matches!((there, here), (Ok(there), Ok(here)) if Inode::of(&there) == Inode::of(&here))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_a_run_gave_are_taken_for_its_remains() {
        let prefix = prefix("root".as_ref());
        let name = passing_name("root".as_ref()).expect("a name");
        assert!(is_ours(name.as_bytes(), &prefix), "{}", name.display());
        for other in
            ["root.partial-backup", "root.partial-0123456789", "root.partial-", "rootpartial-backupfail"]
        {
            assert!(!is_ours(other.as_bytes(), &prefix), "{other}");
        }
        // of another directory
        let other = passing_name("other".as_ref()).expect("a name");
        assert!(!is_ours(other.as_bytes(), &prefix));
    }
}

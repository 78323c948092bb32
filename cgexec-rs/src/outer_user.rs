//! This process's user, as the machine sees it.
//!
//! Root of a user namespace is an ordinary user for the machine's systemd, and for root outside, who types
//! the commands in hints. The ids inside are of no use to either.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use system::accounts::AccountFiles;
use system::idmap::{OVERFLOW_ID, outer_id};
use system::namespace::NamespaceKind;
use system::sys;

/// A file that belongs to the machine's root, in any namespace: user_namespaces(7).
const OF_ROOT: &str = "/proc/sys/kernel";
/// A directory that systemd creates when it starts: sd_booted(3).
const OF_SYSTEMD: &str = "/run/systemd/system";
/// A directory for each user who has logged in, named by the user id: pam_systemd(8).
const RUNTIME_DIRECTORIES: &str = "/run/user";

/// The user outside all user namespaces; None if that is unknown here. A container with a systemd that
/// belongs to its root counts as a machine.
pub fn outer_user() -> Option<u32> {
    let inside = sys::effective_ids().0;
    if inside == 0 && is_owner(Path::new(OF_SYSTEMD), inside) {
        return Some(0);
    }
    if NamespaceKind::USER.is_initial() {
        return Some(inside);
    }
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    match outer_id(&map, inside)? {
        0 if is_owner(Path::new(OF_ROOT), inside) => Some(0),
        _ if inside == OVERFLOW_ID => None,
        next => {
            let passwd = fs::read("/etc/passwd").unwrap_or_default();
            owner_of_files(
                next,
                inside,
                &AccountFiles::new(passwd, Vec::new()),
                Path::new(RUNTIME_DIRECTORIES),
            )
        }
    }
}

/// Whether this process is the machine's root.
pub fn is_machine_root() -> bool {
    outer_user() == Some(0)
}

/// The number of this process's user outside. `next` is the number in the next namespace; if that is inside another
/// one, the number can be another user's outside. So the user's files must belong to this process's user.
fn owner_of_files(
    next: u32,
    inside: u32,
    accounts: &AccountFiles,
    runtime_directories: &Path,
) -> Option<u32> {
    let named = || {
        let mut directories = fs::read_dir(runtime_directories).ok()?.flatten();
        let own = directories.find(|entry| is_owner(&entry.path(), inside))?;
        own.file_name().to_str()?.parse().ok()
    };
    let home = || accounts.user_of(next).filter(|_| next != 0)?.home();
    named().or_else(|| home().is_some_and(|home| is_owner(Path::new(&home), inside)).then_some(next))
}

fn is_owner(path: &Path, uid: u32) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.uid() == uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_namespace_gives_the_number_only_of_a_user_whose_files_are_ours() {
        let top = std::env::temp_dir().join(format!("cgexec-outer-{}", std::process::id()));
        let inside = sys::effective_ids().0;
        let passwd = format!("me:x:4242:1::{}:\nother:x:4243:1::/nonexistent:\n", top.display());
        let accounts = AccountFiles::new(passwd.into_bytes(), Vec::new());
        let outside = |next| owner_of_files(next, inside, &accounts, &top);
        assert_eq!(outside(4242), None, "there is no home directory");
        fs::create_dir_all(&top).unwrap();
        assert_eq!(outside(4242), Some(4242));
        // a nested namespace; outside, another user has this number
        assert_eq!(outside(4243), None);
        assert_eq!(outside(0), None);
        fs::create_dir_all(top.join("4244")).unwrap();
        assert_eq!([0, 4242, 4243].map(outside), [Some(4244); 3], "the runtime directory has the number");
        fs::remove_dir_all(top).unwrap();
    }
}

//! The search for programs, and the directory in a path that denies access: a process needs search permission
//! for every directory in a path, path_resolution(7), and `EACCES` does not show which one lacks it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::AccessFlags;

/// The search path if PATH is unset: confstr(3)'s _CS_PATH on Linux.
const STANDARD_PATH: &str = "/bin:/usr/bin";

/// PATH, or the default of execvp(3).
pub fn path() -> OsString {
    std::env::var_os("PATH").unwrap_or_else(|| OsString::from(STANDARD_PATH))
}

/// The directories of [`path`], in order. An empty one is the working directory: environ(7).
pub fn path_dirs() -> Vec<PathBuf> {
    dirs(&path())
}

/// The directories of a PATH.
pub fn dirs(path: &OsStr) -> Vec<PathBuf> {
    let dirs = path.as_bytes().split(|byte| *byte == b':');
    dirs.map(|dir| PathBuf::from(OsStr::from_bytes(if dir.is_empty() { b"." } else { dir }))).collect()
}

/// The first directory of a path that the effective user cannot search, if there is one.
pub fn unsearchable_parent(path: &Path) -> Option<PathBuf> {
    let above: Vec<&Path> = path.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty()).collect();
    let closed = above.into_iter().rev().find(|dir| {
        nix::unistd::faccessat(AT_FDCWD, *dir, AccessFlags::X_OK, AtFlags::AT_EACCESS) == Err(Errno::EACCES)
    });
    closed.map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_empty_part_of_path_is_the_working_directory() {
        assert_eq!(dirs(OsStr::new("/bin::lib:")), ["/bin", ".", "lib", "."].map(PathBuf::from));
        assert_eq!(dirs(OsStr::new("")), [PathBuf::from(".")]);
    }

    #[test]
    fn the_directory_without_the_x_bit_is_named() {
        let dir = std::env::temp_dir().join(format!("exec-chain-search-{}", std::process::id()));
        fs::create_dir_all(dir.join("open/closed/below")).unwrap();
        fs::set_permissions(dir.join("open/closed"), Permissions::from_mode(0o600)).unwrap();
        let found = unsearchable_parent(&dir.join("open/closed/below/program"));
        fs::set_permissions(dir.join("open/closed"), Permissions::from_mode(0o700)).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        // root may search every directory
        let expected = (!nix::unistd::geteuid().is_root()).then(|| dir.join("open/closed"));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_path_that_is_only_missing_is_not_closed() {
        assert_eq!(unsearchable_parent(Path::new("/nope/nope")), None);
        assert_eq!(unsearchable_parent(Path::new("program")), None);
    }
}

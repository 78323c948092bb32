//! Follows a path and its links as a process inside a root would, so that it cannot lead outside.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

/// As many links as the kernel follows in one path: path_resolution(7).
const MAX_LINKS: usize = 40;

/// How far a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked {
    /// What exists, without links, relative to the root; empty for the root.
    pub real: PathBuf,
    /// The names below it that do not exist.
    pub missing: Vec<OsString>,
}

/// Follows a path as far as it exists. `link` returns the target of the link at a path below the root,
/// and `EINVAL` for anything else: readlink(2).
pub fn walk(path: &Path, link: impl Fn(&Path) -> Result<PathBuf, Errno>) -> Walked {
    let names = |path: &Path| {
        let names = path.components().rev().map(|part| part.as_os_str().to_owned());
        names.collect::<Vec<_>>()
    };
    // the last one comes next
    let mut todo = names(path);
    let (mut real, mut links) = (PathBuf::new(), 0);
    while let Some(name) = todo.pop() {
        match name.as_bytes() {
            b"/" => real.clear(),
            b"." => {}
            // above the root is the root
            b".." => _ = real.pop(),
            _ => match link(&real.join(&name)) {
                Ok(link) if links < MAX_LINKS => {
                    links += 1;
                    todo.extend(names(&link));
                }
                Err(Errno::EINVAL) => real.push(name),
                _ => {
                    todo.push(name);
                    todo.reverse();
                    return Walked { real, missing: todo };
                }
            },
        }
    }
    Walked { real, missing: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Follows a path in a root with a directory `etc`, a link `var` to `/etc`, one `up` that climbs, and
    /// one that leads to itself.
    fn walked(path: &str) -> (String, Vec<OsString>) {
        let link = |path: &Path| match path.to_str() {
            Some("etc") => Err(Errno::EINVAL),
            Some("var") => Ok("/etc".into()),
            Some("up") => Ok("../../etc".into()),
            Some("loop") => Ok("loop".into()),
            _ => Err(Errno::ENOENT),
        };
        let Walked { real, missing } = walk(Path::new(path), link);
        (real.into_os_string().into_string().unwrap(), missing)
    }

    #[test]
    fn links_and_dots_stay_inside() {
        for path in ["/etc", "var", "/up", "/etc/../../var/.", "up/../etc"] {
            assert_eq!(walked(path), ("etc".to_string(), vec![]), "{path}");
        }
        assert_eq!(walked("/.."), (String::new(), vec![]));
    }

    #[test]
    fn what_is_missing_is_named_from_the_first_on() {
        assert_eq!(walked("var/a/../b"), ("etc".to_string(), ["a", "..", "b"].map(OsString::from).to_vec()));
        assert_eq!(walked("loop/a"), (String::new(), ["loop", "a"].map(OsString::from).to_vec()));
    }
}

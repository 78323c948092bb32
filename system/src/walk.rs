//! Follows a path and its symlinks as a process inside a root would, so that it cannot lead outside.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

/// How many symlinks the kernel follows in one path: path_resolution(7).
const MAX_LINKS: usize = 40;

/// How far a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked {
    /// The existing part, without symlinks, relative to the root; empty for the root.
    pub real: PathBuf,
    /// The names after it that do not exist.
    pub missing: Vec<OsString>,
}

/// The components of a path that are still to be followed; the next one is the last element.
#[derive(Debug)]
pub struct Components {
    todo: Vec<OsString>,
    links: usize,
}

/// A component of a path.
#[derive(Debug, PartialEq, Eq)]
pub enum Component {
    /// The root, with which an absolute path begins.
    Root,
    /// `..`; above the root is the root.
    Parent,
    /// A name in the current directory.
    Name(OsString),
}

impl Components {
    /// Those of a path.
    pub fn new(path: &Path) -> Self {
        Self { todo: names(path), links: 0 }
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.todo.is_empty()
    }

    /// Puts the parts of a link's target before the others.
    ///
    /// # Errors
    /// `ELOOP` for more links than the kernel follows.
    pub fn follow(&mut self, target: &Path) -> Result<(), Errno> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::ELOOP);
        }
        self.todo.extend(names(target));
        Ok(())
    }
}

impl Iterator for Components {
    type Item = Component;

    fn next(&mut self) -> Option<Component> {
        loop {
            let name = self.todo.pop()?;
            return Some(match name.as_bytes() {
                b"." => continue,
                b"/" => Component::Root,
                b".." => Component::Parent,
                _ => Component::Name(name),
            });
        }
    }
}

fn names(path: &Path) -> Vec<OsString> {
    path.components().rev().map(|part| part.as_os_str().to_owned()).collect()
}

/// Follows a path as far as it exists. `link` returns the target of the link at a path below the root,
/// and `EINVAL` for anything else: readlink(2).
pub fn walk(path: &Path, link: impl Fn(&Path) -> Result<PathBuf, Errno>) -> Walked {
    let mut parts = Components::new(path);
    let mut real = PathBuf::new();
    while let Some(part) = parts.next() {
        match part {
            Component::Root => real.clear(),
            Component::Parent => _ = real.pop(),
            Component::Name(name) => match link(&real.join(&name)) {
                Ok(target) if parts.follow(&target).is_ok() => {}
                Err(Errno::EINVAL) => real.push(name),
                _ => {
                    let missing = std::iter::once(name).chain(parts.todo.into_iter().rev()).collect();
                    return Walked { real, missing };
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

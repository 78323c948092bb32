// SPDX-License-Identifier: MIT OR Apache-2.0
//! Walking a path as a process inside a root would, links included, with nothing outside in reach.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;

/// As many links as the kernel follows in one path: path_resolution(7).
const MAX_LINKS: usize = 40;

/// How far a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked {
    /// What is there, without links, relative to the root; empty for the root.
    pub real: PathBuf,
    /// Below it, what is not.
    pub missing: Vec<OsString>,
}

/// Walks a path as far as it is there. `link` says what the link at a path below the root says,
/// and `EINVAL` where something else is: readlink(2).
pub fn walk(path: &Path, link: impl Fn(&Path) -> Result<PathBuf, Errno>) -> Walked {
    let mut todo: VecDeque<OsString> = path.components().map(|part| part.as_os_str().to_owned()).collect();
    let (mut real, mut links) = (PathBuf::new(), 0);
    while let Some(name) = todo.pop_front() {
        match Path::new(&name).components().next() {
            Some(Component::RootDir) => real = PathBuf::new(),
            // above the root is the root
            Some(Component::ParentDir) => _ = real.pop(),
            Some(Component::Normal(_)) => {
                let next = real.join(&name);
                match link(&next) {
                    Ok(link) if links < MAX_LINKS => {
                        links += 1;
                        for part in link.components().rev() {
                            todo.push_front(part.as_os_str().to_owned());
                        }
                    }
                    Err(Errno::EINVAL) => real = next,
                    _ => {
                        todo.push_front(name);
                        return Walked { real, missing: todo.into() };
                    }
                }
            }
            _ => {}
        }
    }
    Walked { real, missing: Vec::new() }
}

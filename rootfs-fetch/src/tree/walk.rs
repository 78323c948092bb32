//! Resolves a name part by part, to create missing directories and where openat2(2) is missing.

use std::collections::VecDeque;
use std::rc::Rc;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::tree::Tree;
use crate::tree::directories::{Inode, Origin};
use crate::tree::entry_path::Dir;

/// The kernel's limit of links in one path: path_resolution(7).
const MAX_LINKS: usize = 40;
const PATH: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Tree {
    /// Walks from the root, follows links inside the tree, creates missing directories.
    pub(super) fn walk(&mut self, path: &[u8], create: bool) -> rustix::io::Result<Rc<Dir>> {
        let mut todo: VecDeque<Vec<u8>> = parts(path).collect();
        let mut dir = self.root.clone();
        let mut links = 0;
        while let Some(part) = todo.pop_front() {
            match part.as_slice() {
                b"." => continue,
                b".." => {
                    dir = self.step_back(dir)?;
                    continue;
                }
                _ => {}
            }
            match self.step(&dir, &part, create)? {
                Step::Into(next) => dir = next,
                Step::Link(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP);
                    }
                    if target.starts_with(b"/") {
                        dir = self.root.clone();
                    }
                    for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                        todo.push_front(part);
                    }
                }
            }
        }
        Ok(dir)
    }

    /// The parent; the root is its own parent.
    fn step_back(&mut self, dir: Rc<Dir>) -> rustix::io::Result<Rc<Dir>> {
        match self.directories.parent(dir.inode()) {
            Some(parent) if dir.inode() != self.root.inode() => self.reach(parent, Some(dir)),
            _ => Ok(self.root.clone()),
        }
    }

    fn step(&mut self, dir: &Rc<Dir>, part: &[u8], create: bool) -> rustix::io::Result<Step> {
        let (fd, origin) = match rustix::fs::openat(dir, part, PATH, Mode::empty()) {
            Err(Errno::NOENT) if create => {
                rustix::fs::mkdirat(dir, part, Mode::RWXU)?;
                (rustix::fs::openat(dir, part, PATH, Mode::empty())?, Origin::Made)
            }
            other => (other?, Origin::Found),
        };
        let stat = rustix::fs::fstat(&fd)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let inode = Inode::of(&stat);
                self.directories.note(inode, dir.inode(), part, origin);
                Ok(Step::Into(Rc::new(Dir::new(fd, inode))))
            }
            FileType::Symlink => Ok(Step::Link(rustix::fs::readlinkat(&fd, "", Vec::new())?.into_bytes())),
            _ => Err(Errno::NOTDIR),
        }
    }
}

enum Step {
    Into(Rc<Dir>),
    Link(Vec<u8>),
}

fn parts(path: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    path.split(|&byte| byte == b'/').filter(|part| !part.is_empty()).map(<[u8]>::to_vec)
}

//! Resolves a name one component at a time: to create missing directories, and if openat2(2) is missing.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use system::walk::{Component, Components};

use crate::tree::Tree;
use crate::tree::directories::{Inode, Origin};
use crate::tree::entry_path::Dir;

const PATH: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Tree {
    /// Walks from the root, follows links inside the tree, creates missing directories.
    pub(super) fn walk(&mut self, path: &[u8], create: bool) -> rustix::io::Result<Rc<Dir>> {
        let mut parts = Components::new(Path::new(OsStr::from_bytes(path)));
        let mut dir = self.root.clone();
        while let Some(part) = parts.next() {
            dir = match part {
                Component::Root => self.root.clone(),
                Component::Parent => self.parent_of(dir)?,
                Component::Name(name) => match self.step(&dir, name.as_bytes(), create)? {
                    Step::Into(next) => next,
                    Step::Link(target) => {
                        parts.follow(Path::new(OsStr::from_bytes(&target))).map_err(|_| Errno::LOOP)?;
                        dir
                    }
                },
            };
        }
        Ok(dir)
    }

    /// The parent; the root is its own parent.
    fn parent_of(&mut self, dir: Rc<Dir>) -> rustix::io::Result<Rc<Dir>> {
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

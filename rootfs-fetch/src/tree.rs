//! The tree that is being built: an open root directory that nothing can lead out of.
//!
//! A name is opened in two steps. The kernel resolves its directory as if the root were `/` (openat2(2),
//! RESOLVE_IN_ROOT): symbolic links lead where they would lead after chroot(2), never outside. Its last
//! component is then created below that descriptor, by calls that follow no link. On kernels without
//! openat2(2), a walk does the same, one component at a time.

pub mod directories;
pub mod entry_path;
pub mod made;
pub mod name;
pub mod remove;
mod walk;

use std::collections::{HashSet, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use chain::reporter::Quoted;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use system::removal;

use crate::failure::{Failure, Result};
use crate::tree::directories::{Directories, Inode, Origin};
use crate::tree::entry_path::{Dir, EntryPath};
use crate::tree::name::Name;

/// The maximum number of recently used directories that stay open.
const MAX_OPEN_DIRECTORIES: usize = 16;

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const LISTED: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const CONFINED: ResolveFlags =
    ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS).union(ResolveFlags::NO_XDEV);

/// The tree: its root, what is known about its directories, and some of them open.
#[derive(Debug)]
pub struct Tree {
    root: Rc<Dir>,
    open: VecDeque<(Vec<u8>, Rc<Dir>)>,
    directories: Directories,
    /// The files that this run has created, if something existed before.
    files: Option<HashSet<Inode>>,
    walk_only: bool,
}

impl Tree {
    /// A tree below an open directory that no other process changes. Its origin is `Made` if it is empty.
    pub fn new(root: OwnedFd, origin: Origin) -> Result<Self> {
        let stat =
            rustix::fs::fstat(&root).map_err(|error| Failure::call("look at DIRECTORY", "fstat()", error))?;
        let inode = Inode::of(&stat);
        // for tests of the walk, and for a kernel with a faulty openat2(2)
        let walk_only = std::env::var_os("ROOTFS_FETCH_NO_OPENAT2").is_some();
        Ok(Self {
            root: Rc::new(Dir::new(root, inode)),
            open: VecDeque::new(),
            directories: Directories::new(inode, origin),
            files: (origin == Origin::Found).then(HashSet::new),
            walk_only,
        })
    }

    /// The root.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The inode of the root.
    pub fn root_inode(&self) -> Inode {
        self.root.inode()
    }

    /// The directories that are known.
    pub fn directories(&mut self) -> &mut Directories {
        &mut self.directories
    }

    /// Where to create `name`; missing parent directories are created.
    ///
    /// # Errors
    /// Damaged, if a directory of the name is a file, or links form a cycle.
    pub fn entry_path(&mut self, name: &Name) -> Result<EntryPath> {
        let (directory, leaf) = name.split();
        let dir = self.directory(directory).map_err(|error| in_the_way(name, error))?;
        Ok(EntryPath::new(dir, leaf))
    }

    /// The directory of `name` if it exists; nothing is created.
    pub fn existing_entry_path(&mut self, name: &Name) -> Result<Option<EntryPath>> {
        let (directory, leaf) = name.split();
        match self.open_directory(directory, false) {
            Ok(dir) => Ok(Some(EntryPath::new(dir, leaf))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(in_the_way(name, error)),
        }
    }

    /// The real name of `name`: links in its directory are followed, its last component is not. None if its
    /// directory does not exist.
    ///
    /// # Errors
    /// Those of [`Self::existing_entry_path`].
    pub fn real(&mut self, name: &Name) -> Result<Option<Name>> {
        let Some(entry_path) = self.existing_entry_path(name)? else { return Ok(None) };
        let directory = self.directories.real(entry_path.parent());
        Name::parse(&[directory.as_slice(), b"/", entry_path.leaf()].concat()).map(Some)
    }

    /// Whether one of `name`'s directories is a file.
    pub fn is_blocked(&mut self, name: &Name) -> bool {
        let (directory, _) = name.split();
        matches!(self.open_directory(directory, false), Err(Errno::NOTDIR))
    }

    /// If one of `name`'s directories is a file, removes the file, if `may_go` allows it. Returns whether it
    /// removed one.
    pub fn clear_way(&mut self, name: &Name, may_go: impl Fn(&Name) -> bool) -> Result<bool> {
        let (directory, _) = name.split();
        for (end, _) in directory.iter().enumerate().chain([(directory.len(), &0)]).skip(1) {
            if directory.get(end).is_some_and(|&byte| byte != b'/') {
                continue;
            }
            let above = Name::parse(directory.get(..end).unwrap_or_default())?;
            let Some(entry_path) = self.existing_entry_path(&above)? else { return Ok(false) };
            let Ok(stat) = entry_path.stat() else { return Ok(false) };
            let kind = FileType::from_raw_mode(stat.st_mode);
            if !matches!(kind, FileType::Directory | FileType::Symlink) {
                let goes = self.real(&above)?.is_some_and(|real| may_go(&real));
                return if goes { self.remove(&entry_path).map(|()| true) } else { Ok(false) };
            }
        }
        Ok(false)
    }

    fn directory(&mut self, path: &[u8]) -> rustix::io::Result<Rc<Dir>> {
        self.open_directory(path, true)
    }

    fn open_directory(&mut self, path: &[u8], create: bool) -> rustix::io::Result<Rc<Dir>> {
        if path.is_empty() {
            return Ok(self.root.clone());
        }
        if let Some((_, dir)) = self.open.iter().find(|(known, _)| known == path) {
            return Ok(dir.clone());
        }
        let dir = match self.resolve(path) {
            Some(fd) => self.known(fd)?,
            None => None,
        };
        let dir = match dir {
            Some(dir) => dir,
            None => self.walk(path, create)?,
        };
        if self.open.len() == MAX_OPEN_DIRECTORIES {
            self.open.pop_back();
        }
        self.open.push_front((path.to_vec(), dir.clone()));
        Ok(dir)
    }

    /// Resolves with one system call; None if the walk must do it.
    fn resolve(&mut self, path: &[u8]) -> Option<OwnedFd> {
        if self.walk_only {
            return None;
        }
        match rustix::fs::openat2(&self.root, path, DIRECTORY, Mode::empty(), CONFINED) {
            Ok(fd) => Some(fd),
            // before Linux 5.6, or with an older seccomp filter
            Err(Errno::NOSYS | Errno::PERM) => {
                self.walk_only = true;
                None
            }
            Err(_) => None,
        }
    }

    /// A directory that this run created; None for one that existed before.
    fn known(&self, fd: OwnedFd) -> rustix::io::Result<Option<Rc<Dir>>> {
        let inode = Inode::of(&rustix::fs::fstat(&fd)?);
        Ok(self.directories.contains(inode).then(|| Rc::new(Dir::new(fd, inode))))
    }

    /// Creates the directory `name`, or returns the existing one; a link or file there is removed.
    ///
    /// # Errors
    /// I/O, and those of [`Self::entry_path`].
    pub fn make_directory(&mut self, name: &Name) -> Result<Inode> {
        if name.is_root() {
            return Ok(self.root.inode());
        }
        let entry_path = self.entry_path(name)?;
        let failed = |error| Failure::entry_call(format_args!("create {name}"), "mkdirat()", error);
        loop {
            let origin = match rustix::fs::mkdirat(entry_path.dir(), entry_path.leaf(), Mode::RWXU) {
                Ok(()) => Origin::Made,
                Err(Errno::EXIST) => Origin::Found,
                Err(error) => return Err(failed(error)),
            };
            let stat = entry_path.stat().map_err(failed)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                let inode = Inode::of(&stat);
                self.directories.note(inode, entry_path.parent(), entry_path.leaf(), origin);
                return Ok(inode);
            }
            self.remove(&entry_path)?;
        }
    }

    /// Removes what is at `entry_path`; a directory with everything below it, also what existed before.
    fn remove(&mut self, entry_path: &EntryPath) -> Result<()> {
        // names that were resolved through it can lead elsewhere now
        self.open.clear();
        let directories = &mut self.directories;
        remove::entry(entry_path.dir(), entry_path.leaf(), &mut |inode| directories.forget(inode))
    }

    /// The names in a directory, and whether each is a directory; empty if the directory does not exist.
    pub fn children(&mut self, name: &Name) -> Result<Vec<(Vec<u8>, bool)>> {
        let dir = match self.open_directory(name.bytes(), false) {
            Ok(dir) => dir,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Vec::new()),
            Err(error) => return Err(in_the_way(name, error)),
        };
        // the descriptor that we hold can only be used for names (O_PATH)
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let names = rustix::fs::openat(&*dir, ".", flags, Mode::empty())
            .and_then(|open| removal::names(open.as_fd(), usize::MAX))
            .map_err(|error| Failure::entry_call(format_args!("list {name}"), "getdents64()", error))?;
        Ok(names.into_iter().map(|(name, kind)| (name, kind == FileType::Directory)).collect())
    }

    /// Opens the root to set its metadata.
    ///
    /// # Errors
    /// Those of openat(2).
    pub fn open_root(&self) -> rustix::io::Result<OwnedFd> {
        rustix::fs::openat(&self.root, ".", LISTED, Mode::empty())
    }

    /// Opens a directory in `parent` to set its metadata.
    ///
    /// # Errors
    /// Those of openat(2); ENOTDIR if it is another directory now.
    pub fn open_in(parent: &Dir, leaf: &[u8], inode: Inode) -> rustix::io::Result<OwnedFd> {
        let fd = rustix::fs::openat(parent, leaf, LISTED.union(OFlags::NOFOLLOW), Mode::empty())?;
        if Inode::of(&rustix::fs::fstat(&fd)?) == inode { Ok(fd) } else { Err(Errno::NOTDIR) }
    }

    /// The directory `parent`: reached from `held`, which is it or is in it, or else by its name.
    ///
    /// # Errors
    /// Those of openat(2); ENOTDIR if it is another directory now.
    pub fn reach(&mut self, parent: Inode, held: Option<Rc<Dir>>) -> rustix::io::Result<Rc<Dir>> {
        if let Some(held) = held {
            if held.inode() == parent {
                return Ok(held);
            }
            let up = rustix::fs::openat(&*held, "..", DIRECTORY, Mode::empty())?;
            if Inode::of(&rustix::fs::fstat(&up)?) == parent {
                return Ok(Rc::new(Dir::new(up, parent)));
            }
        }
        let real = self.directories.real(parent);
        let dir = self.open_directory(&real, false)?;
        if dir.inode() == parent { Ok(dir) } else { Err(Errno::NOTDIR) }
    }
}

fn in_the_way(name: &Name, error: Errno) -> Failure {
    let (directory, _) = name.split();
    let call = format!("openat2(root, {}, RESOLVE_IN_ROOT)", Quoted(directory));
    Failure::entry_call(format_args!("create {name}"), call, error)
}

/// Opens a directory outside the tree, by the caller's path: links are followed.
///
/// # Errors
/// Those of openat(2).
pub fn open_plain(path: &std::path::Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

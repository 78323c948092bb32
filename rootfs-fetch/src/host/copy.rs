//! Copies a path of the host into a tree: its directories, the symlinks on the way, the file.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use chain::reporter::quoted;
use rustix::fs::{CWD, FileType, Mode, OFlags, Timespec};
use rustix::io::Errno;
use system::walk::{Component, Components};

use crate::failure::{Failure, Result};
use crate::host::file_copy::{FileCopy, Workers};
use crate::host::target::Target;
use crate::tree::entry_path::EntryPath;
use crate::tree::name::Name;
use crate::unpack::file;

/// Copies paths of the host.
#[derive(Debug)]
pub struct Copier<'a, 'b> {
    target: &'a mut Target<'b>,
    workers: &'a Workers<'a>,
    done: HashSet<PathBuf>,
}

impl<'a, 'b> Copier<'a, 'b> {
    /// Nothing is copied yet.
    pub fn new(target: &'a mut Target<'b>, workers: &'a Workers<'a>) -> Self {
        Self { target, workers, done: HashSet::new() }
    }

    /// Copies an absolute path. If a part of it is a symlink (`/bin`, `/etc/alternatives/vi`), copies the
    /// symlink and its target. A directory that the tree had before stays where the host has a symlink to one
    /// (`/bin`, without merged-usr), and the rest of the path is copied into it.
    pub fn path(&mut self, path: &Path) -> Result<()> {
        let mut components = Components::new(path);
        let mut here = PathBuf::from("/");
        while let Some(component) = components.next() {
            match component {
                Component::Name(name) => here.push(name),
                Component::Root => {
                    here = "/".into();
                    continue;
                }
                Component::Parent => {
                    here.pop();
                    continue;
                }
            }
            let meta =
                std::fs::symlink_metadata(&here).map_err(|error| copy_failure(&here, "lstat()", error))?;
            if meta.is_symlink() {
                let target =
                    std::fs::read_link(&here).map_err(|error| copy_failure(&here, "readlink()", error))?;
                if !self.link(&here, &target)? {
                    continue;
                }
                here.pop();
                let followed = components.follow(&target);
                followed.map_err(|_| copy_failure(path, "open()", Errno::LOOP.into()))?;
            } else if meta.is_file() && components.is_empty() {
                self.file(&here)?;
            } else if meta.is_dir() && components.is_empty() {
                self.directory(&here)?;
            }
        }
        Ok(())
    }

    /// Copies a symlink. Returns whether to follow it, because the tree has no directory in its place.
    fn link(&mut self, path: &Path, target: &Path) -> Result<bool> {
        let name = name(path)?;
        if self.done.contains(path) {
            return Ok(true);
        }
        if self.has_link(&name, target)? {
            self.done.insert(path.to_path_buf());
            return Ok(true);
        }
        if path.is_dir() && self.target.had_directory(&name)? {
            return Ok(false);
        }
        self.done.insert(path.to_path_buf());
        if self.target.selects(&name) {
            self.target.count_file(&name, 0)?;
            let entry_path = self.target.tree.entry_path(&name)?;
            let make = |at: &EntryPath| rustix::fs::symlinkat(target, at.dir(), at.leaf());
            let made = self.target.tree.create(&entry_path, &name, make)?;
            made.map_err(|error| link_failure(path, error))?;
        }
        Ok(true)
    }

    /// Whether the tree has this link.
    fn has_link(&mut self, name: &Name, target: &Path) -> Result<bool> {
        let Some(entry_path) = self.target.tree.existing_entry_path(name)? else { return Ok(false) };
        let found = rustix::fs::readlinkat(entry_path.dir(), entry_path.leaf(), Vec::new());
        Ok(found.is_ok_and(|found| found.as_bytes() == target.as_os_str().as_bytes()))
    }

    /// Creates a link that the host does not have, unless its name is taken.
    pub fn new_link(&mut self, path: &Path, target: &Path) -> Result<()> {
        let name = name(path)?;
        if !self.target.selects(&name) || self.target.had(&name)? {
            return Ok(());
        }
        self.target.count_file(&name, 0)?;
        let entry_path = self.target.tree.entry_path(&name)?;
        let made = rustix::fs::symlinkat(target, entry_path.dir(), entry_path.leaf());
        made.map_err(|error| link_failure(path, error))
    }

    fn directory(&mut self, path: &Path) -> Result<()> {
        let name = name(path)?;
        if self.target.selects(&name) {
            self.target.tree.make_directory(&name)?;
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<()> {
        let name = name(path)?;
        if !self.target.selects(&name) || !self.done.insert(path.to_path_buf()) {
            return Ok(());
        }
        let failed = |call: &str, error| Failure::call(format_args!("copy {}", quoted(path)), call, error);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let from =
            rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|error| failed("openat()", error))?;
        let stat = rustix::fs::fstat(&from).map_err(|error| failed("fstat()", error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(());
        }
        let length = u64::try_from(stat.st_size).unwrap_or(0);
        self.target.count_file(&name, length)?;
        let entry_path = self.target.tree.entry_path(&name)?;
        // without set-id bits
        let mode = Mode::from_raw_mode(stat.st_mode & 0o777);
        let made = self.target.tree.create(&entry_path, &name, |at| file::create(at, mode))?;
        let to = made.map_err(|error| failed("openat(O_CREAT|O_EXCL)", error))?;
        let modified =
            Timespec { tv_sec: stat.st_mtime, tv_nsec: i64::try_from(stat.st_mtime_nsec).unwrap_or(0) };
        self.workers.copy(FileCopy { path: path.to_path_buf(), from, to, length, modified })
    }
}

fn link_failure(path: &Path, error: Errno) -> Failure {
    Failure::call(format_args!("create {}", quoted(path)), "symlinkat()", error)
}

fn name(path: &Path) -> Result<Name> {
    Name::parse(path.as_os_str().as_bytes())
}

fn copy_failure(path: &Path, call: &str, error: std::io::Error) -> Failure {
    Failure::call(format_args!("copy {}", quoted(path)), call, error).or_not_found()
}

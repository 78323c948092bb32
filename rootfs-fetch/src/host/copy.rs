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
use crate::tree::Tree;
use crate::tree::name::Name;
use crate::unpack::file;
use crate::unpack::report::Report;

/// Copies paths of the host.
#[derive(Debug)]
pub struct Copier<'a> {
    tree: &'a mut Tree,
    report: &'a mut Report,
    workers: &'a Workers<'a>,
    done: HashSet<PathBuf>,
}

impl<'a> Copier<'a> {
    /// Nothing is copied yet.
    pub fn new(tree: &'a mut Tree, report: &'a mut Report, workers: &'a Workers<'a>) -> Self {
        Self { tree, report, workers, done: HashSet::new() }
    }

    /// Copies an absolute path. If a part of it is a symlink (`/bin`, `/etc/alternatives/vi`), copies the
    /// symlink and its target.
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
                self.link(&here, &target)?;
                here.pop();
                let followed = components.follow(&target);
                followed.map_err(|_| copy_failure(path, "open()", Errno::LOOP.into()))?;
            } else if meta.is_file() && components.is_empty() {
                self.file(&here)?;
            } else if meta.is_dir() && components.is_empty() {
                self.tree.make_directory(&name(&here)?)?;
            }
        }
        Ok(())
    }

    fn link(&mut self, path: &Path, target: &Path) -> Result<()> {
        if !self.done.insert(path.to_path_buf()) {
            return Ok(());
        }
        self.new_link(path, target)
    }

    /// Creates a link that the host does not have.
    pub fn new_link(&mut self, path: &Path, target: &Path) -> Result<()> {
        let entry_path = self.tree.entry_path(&name(path)?)?;
        match rustix::fs::symlinkat(target, entry_path.dir(), entry_path.leaf()) {
            Ok(()) => self.report.files += 1,
            Err(Errno::EXIST) => {}
            Err(error) => {
                return Err(Failure::call(format_args!("create {}", quoted(path)), "symlinkat()", error));
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<()> {
        if !self.done.insert(path.to_path_buf()) {
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
        let entry_path = self.tree.entry_path(&name(path)?)?;
        // without set-id bits
        let mode = Mode::from_raw_mode(stat.st_mode & 0o777);
        let to = file::create(&entry_path, mode).map_err(|error| failed("openat(O_CREAT|O_EXCL)", error))?;
        let length = u64::try_from(stat.st_size).unwrap_or(0);
        let modified =
            Timespec { tv_sec: stat.st_mtime, tv_nsec: i64::try_from(stat.st_mtime_nsec).unwrap_or(0) };
        self.workers.copy(FileCopy { path: path.to_path_buf(), from, to, length, modified })?;
        self.report.files += 1;
        self.report.bytes += length;
        Ok(())
    }
}

fn name(path: &Path) -> Result<Name> {
    Name::parse(path.as_os_str().as_bytes())
}

fn copy_failure(path: &Path, call: &str, error: std::io::Error) -> Failure {
    Failure::call(format_args!("copy {}", quoted(path)), call, error).or_not_found()
}

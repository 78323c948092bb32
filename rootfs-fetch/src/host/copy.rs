//! Copies a path of the host into a tree: its directories, the links on the way, the file.

use std::collections::{HashSet, VecDeque};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use chain::reporter::quoted;
use rustix::fs::{CWD, FileType, Mode, OFlags, Timespec};
use rustix::io::Errno;

use crate::failure::{Failure, Result};
use crate::host::file_copy::{FileCopy, Workers};
use crate::tree::Tree;
use crate::tree::name::Name;
use crate::unpack::file;
use crate::unpack::report::Report;

const MAX_LINKS: usize = 40;

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

    /// Copies an absolute path; if a part of it is a
    /// link (`/bin`, `/etc/alternatives/vi`), the link and its target.
    pub fn path(&mut self, path: &Path) -> Result<()> {
        let mut todo: VecDeque<OsString> = parts(path);
        let mut here = PathBuf::from("/");
        let mut links = 0;
        while let Some(part) = todo.pop_front() {
            if part == ".." {
                here.pop();
                continue;
            }
            here.push(&part);
            let meta = std::fs::symlink_metadata(&here).map_err(|error| lost(&here, "lstat()", error))?;
            if meta.is_symlink() {
                links += 1;
                if links > MAX_LINKS {
                    return Err(lost(path, "open()", Errno::LOOP.into()));
                }
                let target = std::fs::read_link(&here).map_err(|error| lost(&here, "readlink()", error))?;
                self.link(&here, &target)?;
                here.pop();
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                for part in parts(&target).into_iter().rev() {
                    todo.push_front(part);
                }
            } else if meta.is_file() && todo.is_empty() {
                self.file(&here)?;
            } else if meta.is_dir() && todo.is_empty() {
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
                return Err(Failure::call(format_args!("make {}", quoted(path)), "symlinkat()", error));
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

fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(part) => Some(part.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            _ => None,
        })
        .collect()
}

fn name(path: &Path) -> Result<Name> {
    Name::parse(path.as_os_str().as_bytes())
}

fn lost(path: &Path, call: &str, error: std::io::Error) -> Failure {
    Failure::call(format_args!("copy {}", quoted(path)), call, error).or_not_found()
}

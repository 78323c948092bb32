// SPDX-License-Identifier: MIT OR Apache-2.0
//! Entries become files: each made new, the last of a name wins, directories finished last.

pub mod file;
pub mod look;

use chain::tell::Quoted;
use rustix::fs::{AtFlags, FileType, Mode};
use rustix::io::Errno;

use crate::failure::{Failure, Kind, Result};
use crate::interrupt::Interrupt;
use crate::name::Name;
use crate::policy::{Devices, Policy};
use crate::report::Report;
use crate::spot::Spot;
use crate::stream::Stream;
use crate::tar::reader::{Reader, Trailer, padded};
use crate::tar::{Entry, What};
use crate::tree::Tree;

/// Fills a tree.
#[derive(Debug)]
pub struct Unpacker {
    tree: Tree,
    policy: Policy,
    report: Report,
    entries: u64,
    /// Hard links whose other name has not come yet.
    waiting: Vec<(Name, Name)>,
}

impl Unpacker {
    /// Starts with an empty tree.
    pub fn new(tree: Tree, policy: Policy) -> Self {
        Self { tree, policy, report: Report::default(), entries: 0, waiting: Vec::new() }
    }

    /// Unpacks one archive to its end.
    ///
    /// # Errors
    /// Damaged, I/O, or a signal.
    pub fn archive(&mut self, stream: &mut Stream, trailer: Trailer, interrupt: &Interrupt) -> Result<()> {
        let mut reader = Reader::new(trailer);
        while let Some(entry) = reader.next(stream)? {
            interrupt.check()?;
            self.count()?;
            let stored = entry.stored;
            let before = stream.taken_by_reader();
            self.entry(entry, stream)?;
            let used = stream.taken_by_reader() - before;
            stream.skip(padded(stored) - used)?;
        }
        self.link_waiting()
    }

    fn count(&mut self) -> Result<()> {
        self.entries += 1;
        if self.entries > self.policy.most_files {
            let most = self.policy.most_files;
            return Err(Failure::damaged(format_args!("refused: the archive has more than {most} entries"))
                .hint("--max-files allows more"));
        }
        Ok(())
    }

    /// Makes one entry.
    fn entry(&mut self, mut entry: Entry, stream: &mut Stream) -> Result<()> {
        let name = Name::parse(&entry.raw_name)?;
        if entry.raw_name.starts_with(b"/") {
            self.report.absolute += 1;
        }
        if name.is_root() && entry.what != What::Directory {
            return Err(Failure::damaged("refused an entry that would make DIRECTORY itself something else"));
        }
        look::settle(&mut entry, &self.policy, &mut self.report)?;
        match &entry.what {
            What::Directory => self.directory(&name, entry),
            What::File => self.file(&name, &entry, None, stream),
            What::Unknown(_) => {
                self.report.unknown += 1;
                self.file(&name, &entry, None, stream)
            }
            What::Sparse(map) => self.file(&name, &entry, Some(map), stream),
            What::Symlink(target) => self.symlink(&name, target, &entry),
            What::HardLink(target) => self.hard_link(&name, target),
            What::Fifo => self.node(&name, &entry, FileType::Fifo, 0),
            What::CharDevice(..) | What::BlockDevice(..) => self.device(&name, &entry),
        }
    }

    fn directory(&mut self, name: &Name, entry: Entry) -> Result<()> {
        let inode = self.tree.make_directory(name)?;
        self.tree.directories().look(inode, entry);
        self.report.directories += 1;
        Ok(())
    }

    fn file(
        &mut self,
        name: &Name,
        entry: &Entry,
        map: Option<&crate::tar::sparse::Map>,
        stream: &mut Stream,
    ) -> Result<()> {
        let spot = self.tree.spot(name)?;
        let mode = look::mode_while_written(entry);
        let fd = self.new_at(&spot, name, "openat(O_CREAT|O_EXCL)", |spot| file::create(spot, mode))?;
        let written = match map {
            None => file::fill(&fd, entry.stored, stream),
            Some(map) => file::fill_sparse(&fd, map, stream),
        };
        written.map_err(|failure| self.full(failure, name))?;
        look::of_file(&fd, entry, &self.policy, &mut self.report)
            .map_err(|failure| failure.within(Quoted(name.bytes())))?;
        self.report.files += 1;
        self.report.bytes += entry.stored;
        Ok(())
    }

    /// Says of a full disk how far we came.
    fn full(&self, failure: Failure, name: &Name) -> Failure {
        let failure = if name.is_root() { failure } else { failure.within(Quoted(name.bytes())) };
        let Failure::Wrong { kind: Kind::Io, line, .. } = &failure else { return failure };
        if !(line.ends_with("(ENOSPC)") || line.ends_with("(EDQUOT)")) {
            return failure;
        }
        let size = crate::report::Size(self.report.bytes);
        let files = crate::report::Grouped(self.report.files);
        failure.hint(format_args!(
            "{files} files, {size}, were unpacked when the space ended; it was given back"
        ))
    }

    fn symlink(&mut self, name: &Name, target: &[u8], entry: &Entry) -> Result<()> {
        if target.is_empty() || target.contains(&0) {
            return Err(Failure::damaged(format_args!(
                "refused {}: a symbolic link to nothing",
                Quoted(name.bytes())
            )));
        }
        let spot = self.tree.spot(name)?;
        self.new_at(&spot, name, "symlinkat()", |spot| {
            rustix::fs::symlinkat(target, spot.dir(), spot.leaf())
        })?;
        look::of_name(&spot, entry, &self.policy, &mut self.report)
            .map_err(|failure| failure.within(Quoted(name.bytes())))?;
        self.report.files += 1;
        Ok(())
    }

    fn node(&mut self, name: &Name, entry: &Entry, kind: FileType, device: u64) -> Result<()> {
        let spot = self.tree.spot(name)?;
        let mode = Mode::from_raw_mode(entry.mode & 0o777);
        self.new_at(&spot, name, "mknodat()", |spot| {
            rustix::fs::mknodat(spot.dir(), spot.leaf(), kind, mode, device)
        })?;
        look::of_name(&spot, entry, &self.policy, &mut self.report)
            .map_err(|failure| failure.within(Quoted(name.bytes())))?;
        self.report.files += 1;
        Ok(())
    }

    fn device(&mut self, name: &Name, entry: &Entry) -> Result<()> {
        if self.policy.devices == Devices::LeaveOut {
            self.report.devices += 1;
            // the last of a name wins, also when it is left out
            return match self.tree.existing_spot(name)? {
                Some(spot) => self.tree.remove(&spot),
                None => Ok(()),
            };
        }
        let (kind, major, minor) = match entry.what {
            What::CharDevice(major, minor) => (FileType::CharacterDevice, major, minor),
            What::BlockDevice(major, minor) => (FileType::BlockDevice, major, minor),
            _ => return Ok(()),
        };
        self.node(name, entry, kind, rustix::fs::makedev(major, minor))
    }

    /// A link to a name of this tree, never to anything a link leads to.
    fn hard_link(&mut self, name: &Name, raw_target: &[u8]) -> Result<()> {
        let target = Name::parse(raw_target)?;
        if target.is_root() {
            return Err(Failure::damaged(format_args!(
                "refused {}: a hard link to nothing",
                Quoted(name.bytes())
            )));
        }
        if target == *name {
            return Ok(());
        }
        if !self.link(name, &target)? {
            // what it replaces goes now; what replaces it may still come
            if let Some(spot) = self.tree.existing_spot(name)? {
                self.tree.remove(&spot)?;
            }
            self.waiting.push((name.clone(), target));
        }
        self.report.files += 1;
        Ok(())
    }

    /// Whether the target was there to link to.
    fn link(&mut self, name: &Name, target: &Name) -> Result<bool> {
        let Some(old) = self.tree.existing_spot(target)? else { return Ok(false) };
        match old.stat() {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                return Err(Failure::damaged(format_args!(
                    "refused {}: a hard link to the directory {}",
                    Quoted(name.bytes()),
                    Quoted(target.bytes())
                )));
            }
            Ok(_) => {}
            Err(_) => return Ok(false),
        }
        let spot = self.tree.spot(name)?;
        let same = |spot: &Spot| {
            matches!((spot.stat(), old.stat()), (Ok(one), Ok(other))
                if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
        };
        // to replace a name by a link to itself would lose the file
        if !same(&spot) {
            self.new_at(&spot, name, "linkat()", |spot| {
                rustix::fs::linkat(old.dir(), old.leaf(), spot.dir(), spot.leaf(), AtFlags::empty())
            })?;
        }
        Ok(true)
    }

    /// Makes the hard links that came before what they name.
    fn link_waiting(&mut self) -> Result<()> {
        for (name, target) in std::mem::take(&mut self.waiting) {
            // a later entry of the same name has won
            if self.tree.existing_spot(&name)?.is_some_and(|spot| spot.stat().is_ok()) {
                continue;
            }
            if !self.link(&name, &target)? {
                return Err(Failure::damaged(format_args!(
                    "{} is a hard link to {}, which is not in the archive",
                    Quoted(name.bytes()),
                    Quoted(target.bytes())
                )));
            }
        }
        Ok(())
    }

    /// Makes something at `spot` that is not there yet; what is there gives way.
    fn new_at<T>(
        &mut self,
        spot: &Spot,
        name: &Name,
        call: &str,
        make: impl Fn(&Spot) -> rustix::io::Result<T>,
    ) -> Result<T> {
        let mut made = make(spot);
        if matches!(made, Err(Errno::EXIST)) {
            self.tree.remove(spot)?;
            made = make(spot);
        }
        made.map_err(|error| {
            let failure = Failure::call(format_args!("make {}", Quoted(name.bytes())), call, error);
            self.full(failure, &Name::default())
        })
    }

    /// Finishes the directories, and ends.
    ///
    /// # Errors
    /// I/O.
    pub fn finish(mut self) -> Result<Report> {
        finish_directories(&mut self.tree, &self.policy, &mut self.report)?;
        Ok(self.report)
    }
}

/// Gives every directory of a tree its owner, mode and time.
///
/// # Errors
/// I/O.
pub fn finish_directories(tree: &mut Tree, policy: &Policy, report: &mut Report) -> Result<()> {
    for directory in tree.directories().unfinished() {
        let shown = Quoted(&directory.real);
        let fd = tree.open_real(&directory.real, directory.inode).map_err(|error| {
            Failure::call(format_args!("finish {shown}"), "openat(O_DIRECTORY|O_NOFOLLOW)", error)
        })?;
        look::of_directory(&fd, directory.look.as_deref(), policy, report)
            .map_err(|failure| failure.within(shown))?;
    }
    Ok(())
}

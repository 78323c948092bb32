//! Entries become files: each is created anew, the last one with a name wins, and directories are finished
//! last.

mod acl_names;
mod copy;
mod disk_full;
pub mod file;
pub mod finish;
pub mod image_names;
mod links;
pub mod listing;
pub mod metadata;
mod name_set;
mod origins;
pub mod policy;
pub mod report;
pub mod selection;
mod special;
pub mod whiteout;

use std::collections::HashMap;
use std::rc::Rc;

use chain::Reporter;
use rustix::fs::FileType;

use crate::archive::stream::Stream;
use crate::archive::tar::reader::{Reader, padded, skip_rest};
use crate::archive::tar::{Entry, EntryKind};
use crate::failure::{Failure, Result};
use crate::interrupt::Interrupt;
use crate::tree::Tree;
use crate::tree::entry_path::EntryPath;
use crate::tree::name::Name;
use crate::unpack::disk_full::{DiskUsage, FullDisk};
use crate::unpack::listing::Listing;
use crate::unpack::name_set::NameSet;
use crate::unpack::origins::Origins;
use crate::unpack::policy::Policy;
use crate::unpack::report::Report;
use crate::unpack::selection::SelectionCounts;
use crate::unpack::whiteout::{Made, Mark};

/// Fills a tree.
#[derive(Debug)]
pub struct Unpacker {
    tree: Tree,
    policy: Policy,
    report: Report,
    reporter: Reporter,
    /// The number of entries, and of selected ones.
    entries: SelectionCounts,
    waiting: Vec<Waiting>,
    /// The size of their names in bytes.
    waiting_bytes: usize,
    /// Device nodes, and other names of them, that were not made.
    left_out: NameSet,
    /// Files that no more links can be made to, and the copies that take their place.
    copied: HashMap<Name, Name>,
    /// The size of these names in bytes.
    copied_name_bytes: usize,
    /// Bytes of the copies.
    copied_bytes: u64,
    interrupt: Interrupt,
    /// What this layer has created, while a layer of an image is applied.
    layer: Option<Made>,
    /// The stripped part of the current entry's name, in an image.
    origin: Option<Rc<Name>>,
    /// Where the files of an image come from, if parts of their names are stripped.
    origins: Option<Origins>,
    usage: DiskUsage,
}

/// A hard link whose target has not appeared yet.
#[derive(Debug)]
struct Waiting {
    name: Name,
    target: Name,
    /// The stripped part of its name, in an image.
    origin: Option<Rc<Name>>,
}

/// The kind of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveKind {
    /// A complete tree; every name means itself.
    Whole,
    /// A layer on top of others; some names remove files.
    Layer,
}

/// Rejects more entries than allowed.
///
/// # Errors
/// Damaged.
pub fn check_count(entries: u64, most: u64) -> Result<()> {
    if entries <= most {
        return Ok(());
    }
    Err(Failure::damaged(format_args!("refused: the archive has more than {most} entries"))
        .hint("raise the limit with --max-files"))
}

/// Rejects an entry that no tree can contain. Returns whether it is an entry, not a whiteout.
///
/// # Errors
/// Damaged.
pub fn check_entry(entry: &Entry, name: &Name, kind: ArchiveKind) -> Result<bool> {
    if kind == ArchiveKind::Layer && whiteout::mark(name)? != Mark::None {
        return Ok(false);
    }
    check_kind(name, entry).map(|()| true)
}

fn check_kind(name: &Name, entry: &Entry) -> Result<()> {
    match &entry.kind {
        EntryKind::Directory => Ok(()),
        _ if name.is_root() => Err(Failure::damaged("refused an entry that would replace DIRECTORY itself")),
        EntryKind::Symlink(target) if target.is_empty() || target.contains(&0) => {
            Err(Failure::damaged(format_args!("refused {name}: a symbolic link without a target")))
        }
        _ => Ok(()),
    }
}

impl Unpacker {
    /// Starts to fill a tree.
    pub fn new(tree: Tree, policy: Policy, reporter: Reporter) -> Self {
        let usage = DiskUsage::new(tree.root());
        let origins = (policy.selection.strip > 0).then(Origins::default);
        Self {
            tree,
            policy,
            report: Report::default(),
            reporter,
            entries: SelectionCounts::default(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            left_out: NameSet::default(),
            copied: HashMap::new(),
            copied_name_bytes: 0,
            copied_bytes: 0,
            interrupt: Interrupt::default(),
            layer: None,
            origin: None,
            origins,
            usage,
        }
    }

    /// Unpacks one archive to its end.
    ///
    /// # Errors
    /// Damaged, I/O, or a signal.
    pub fn archive(&mut self, stream: &mut Stream, kind: ArchiveKind, interrupt: &Interrupt) -> Result<()> {
        let is_lowest = self.entries.selected == 0 && self.tree.root_is_made();
        let (mut reader, layer) = match kind {
            ArchiveKind::Whole => (Reader::default(), None),
            ArchiveKind::Layer if is_lowest => (Reader::of_layer(), Some(Made::by_lowest_layer())),
            ArchiveKind::Layer => (Reader::of_layer(), Some(Made::default())),
        };
        self.layer = layer;
        self.interrupt = interrupt.clone();
        while let Some(entry) = reader.next(stream)? {
            interrupt.check()?;
            self.count()?;
            let stored = entry.stored;
            let before = stream.taken_by_reader();
            let made = self.entry(entry, stream);
            let used = stream.taken_by_reader() - before;
            let skip = padded(stored) - used;
            made.map_err(|failure| {
                if !failure.is_full() {
                    return failure;
                }
                let full = FullDisk {
                    root: self.tree.root(),
                    usage: self.usage.clone(),
                    report: &self.report,
                    selection: &self.policy.selection,
                    reader: &mut reader,
                    stream,
                    skip,
                    stored,
                    is_layer: kind == ArchiveKind::Layer,
                };
                failure.hint(full.hint())
            })?;
            skip_rest(stream, stored, used)?;
        }
        if reader.is_followed() {
            self.report.followed = true;
        }
        self.link_waiting()?;
        self.layer.take().map_or(Ok(()), |made| made.finish(&mut self.tree, self.origins.as_ref()))
    }

    fn count(&mut self) -> Result<()> {
        self.entries.seen += 1;
        // one name can require a thousand parent directories
        let made = self.tree.directories().count();
        check_count(self.entries.seen.max(made), self.policy.max_entries)
    }

    /// Creates one entry.
    fn entry(&mut self, entry: Entry, stream: &mut Stream) -> Result<()> {
        let name = Name::parse(&entry.raw_name)?;
        self.report.image_names.note(&name);
        if entry.raw_name.starts_with(b"/") {
            self.report.absolute += 1;
        }
        if self.layer.is_some() && self.whiteout(&name)? {
            return Ok(());
        }
        let whole_name = name;
        let Some(name) = self.policy.selection.select(&whole_name) else { return Ok(()) };
        self.entries.selected += 1;
        self.left_out.remove(name.bytes());
        if !self.copied.is_empty() {
            self.copied.remove(&name);
            self.copied.retain(|_, copy| *copy != name);
        }
        self.origin = match &mut self.origins {
            Some(origins) if self.layer.is_some() => {
                Some(origins.origin(self.policy.selection.stripped(&whole_name))?)
            }
            _ => None,
        };
        self.make(&name, entry, stream)?;
        self.note(&name)
    }

    /// Records that this layer has created an entry.
    fn note(&mut self, name: &Name) -> Result<()> {
        let Some(made) = &mut self.layer else { return Ok(()) };
        if let (Some(origins), Some(origin)) = (&mut self.origins, &self.origin)
            && let Some(real) = self.tree.real(name)?
        {
            origins.note(&real, origin);
        }
        made.note(&mut self.tree, name)
    }

    fn make(&mut self, name: &Name, mut entry: Entry, stream: &mut Stream) -> Result<()> {
        if self.policy.verbose {
            self.reporter.message(Listing(&entry, name));
        }
        check_kind(name, &entry)?;
        metadata::apply_policy(&mut entry, &self.policy, &mut self.report)?;
        if entry.kind != EntryKind::Directory {
            acl_names::resolve(&mut self.tree, &mut entry);
        }
        match &entry.kind {
            EntryKind::Directory => self.directory(name, entry),
            EntryKind::File => self.file(name, &entry, None, stream),
            EntryKind::Unknown(_) => {
                self.report.unknown += 1;
                self.file(name, &entry, None, stream)
            }
            EntryKind::Sparse(map) => self.file(name, &entry, Some(map), stream),
            EntryKind::Symlink(target) => self.symlink(name, target, &entry),
            EntryKind::HardLink(target) => self.hard_link(name, target),
            EntryKind::Fifo => self.node(name, &entry, FileType::Fifo, 0),
            EntryKind::CharDevice(..) | EntryKind::BlockDevice(..) => self.device(name, &entry),
        }
    }

    /// Whether the name was a whiteout.
    fn whiteout(&mut self, name: &Name) -> Result<bool> {
        let Some(made) = &mut self.layer else { return Ok(false) };
        let (tree, origins, selection) = (&mut self.tree, self.origins.as_ref(), &self.policy.selection);
        match whiteout::mark(name)? {
            Mark::None => return Ok(false),
            Mark::Ignore => {}
            Mark::Hide(name) => {
                let hidden = selection.select_hidden(&name);
                hidden.map_or(Ok(()), |hidden| made.hide(tree, &hidden, origins))?;
            }
            Mark::HideAll(directory) => {
                let hidden = selection.select_hidden(&directory);
                hidden.map_or(Ok(()), |hidden| made.hide_all(tree, hidden, origins))?;
            }
        }
        Ok(true)
    }

    /// Where to create `name`.
    fn entry_path(&mut self, name: &Name) -> Result<EntryPath> {
        self.clear_way(name)?;
        self.tree.entry_path(name)
    }

    /// In a layer, a file of a lower layer is replaced by a directory of this one, as in overlayfs.
    fn clear_way(&mut self, name: &Name) -> Result<()> {
        if let Some(made) = &self.layer
            && self.tree.is_blocked(name)
        {
            self.tree.clear_way(name, |real| !made.contains(real))?;
        }
        Ok(())
    }

    fn directory(&mut self, name: &Name, entry: Entry) -> Result<()> {
        self.clear_way(name)?;
        let inode = self.tree.make_directory(name)?;
        self.tree.directories().set_metadata(inode, entry)?;
        self.report.directories += 1;
        Ok(())
    }

    fn file(
        &mut self,
        name: &Name,
        entry: &Entry,
        map: Option<&crate::archive::tar::sparse::Map>,
        stream: &mut Stream,
    ) -> Result<()> {
        let entry_path = self.entry_path(name)?;
        let mode = metadata::mode_while_written(entry);
        let fd = self.new_at(&entry_path, name, "openat(O_CREAT|O_EXCL)", |entry_path| {
            file::create(entry_path, mode)
        })?;
        let written = match map {
            None if self.policy.sparse => file::fill_with_holes(&fd, entry.stored, stream),
            None => file::fill(&fd, entry.stored, stream),
            Some(map) => file::fill_sparse(&fd, map, stream),
        };
        written.map_err(|failure| failure.at_entry(name))?;
        metadata::finish_file(&fd, entry, &self.policy, &mut self.report)
            .map_err(|failure| failure.within(name))?;
        self.report.files += 1;
        self.report.bytes += entry.stored;
        self.usage.add(entry.stored);
        Ok(())
    }

    /// Creates something new at `entry_path`; what was there is removed.
    fn new_at<T>(
        &mut self,
        entry_path: &EntryPath,
        name: &Name,
        call: &str,
        make: impl Fn(&EntryPath) -> rustix::io::Result<T>,
    ) -> Result<T> {
        let made = self.tree.create(entry_path, name, make)?;
        if made.is_ok() {
            self.tree.note_file(entry_path);
        }
        made.map_err(|error| Failure::entry_call(format_args!("create {name}"), call, error))
    }

    /// The only directory at the top of the tree, if it seems to contain the root: Arch has a list of
    /// packages beside it.
    fn nested(&mut self) -> Result<Option<Vec<u8>>> {
        let mut top = self.tree.children(&Name::default())?;
        top.retain(|(_, is_directory)| *is_directory);
        let [(leaf, _)] = top.as_slice() else { return Ok(None) };
        let below = self.tree.children(&Name::parse(leaf)?)?;
        let is_root = ["bin", "etc", "usr"]
            .iter()
            .all(|wanted| below.iter().any(|(name, _)| name == wanted.as_bytes()));
        Ok(is_root.then(|| leaf.clone()))
    }

    /// Finishes the directories and returns the report.
    pub fn finish(mut self) -> Result<Report> {
        self.policy.selection.check(self.entries)?;
        // this is only for a hint, so a failure does not end the run
        self.report.nested = self.nested().unwrap_or_default();
        finish::directories(&mut self.tree, &self.policy, &mut self.report)?;
        Ok(self.report)
    }
}

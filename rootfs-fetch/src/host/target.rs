//! The tree that programs are copied to: what is created in it, and what was there before.
//!
//! A new tree is empty. With `--into`, it can have anything, also symbolic links that were planted: as when an archive
//! is unpacked, each file is created anew, what was there is removed and never opened, and a directory is not
//! replaced.

use chain::Reporter;
use rustix::fs::FileType;

use crate::failure::{Failure, Kind, Result};
use crate::tree::Tree;
use crate::tree::name::Name;
use crate::unpack::policy::Policy;
use crate::unpack::report::Report;

/// The most that is created.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Files, links and directories.
    pub entries: u64,
    /// Bytes of contents.
    pub bytes: u64,
}

impl Limits {
    /// Rejects more.
    ///
    /// # Errors
    /// Damaged, as for an archive.
    pub fn check(self, entries: u64, bytes: u64) -> Result<()> {
        let (what, option) = if entries > self.entries {
            (format!("{} entries", self.entries), "--max-files")
        } else if bytes > self.bytes {
            (format!("{} bytes", self.bytes), "--max-size")
        } else {
            return Ok(());
        };
        let failure =
            Failure::new(Kind::Damaged, format_args!("refused: this run would create more than {what}"));
        Err(failure.hint(format_args!("raise the limit with {option}")))
    }
}

/// A tree that is being filled.
#[derive(Debug)]
pub struct Target<'a> {
    /// The tree.
    pub tree: Tree,
    /// What was created.
    pub report: Report,
    /// How it is created.
    pub policy: &'a Policy,
    limits: Limits,
    reporter: Reporter,
}

impl<'a> Target<'a> {
    /// Nothing is created yet.
    pub fn new(tree: Tree, policy: &'a Policy, limits: Limits, reporter: Reporter) -> Self {
        Self { tree, report: Report::default(), policy, limits, reporter }
    }

    /// Whether `--exclude` lets a name be created.
    pub fn selects(&self, name: &Name) -> bool {
        self.policy.selection.select(name).is_some()
    }

    /// Counts a file or link that is about to be created.
    ///
    /// # Errors
    /// Too many, or too large.
    pub fn count_file(&mut self, name: &Name, bytes: u64) -> Result<()> {
        self.report.files += 1;
        self.report.bytes += bytes;
        self.counted(name)
    }

    /// Counts a directory that was created.
    ///
    /// # Errors
    /// Too many.
    pub fn count_directory(&mut self, name: &Name) -> Result<()> {
        self.report.directories += 1;
        self.counted(name)
    }

    fn counted(&mut self, name: &Name) -> Result<()> {
        let entries = self.report.files + self.report.directories.max(self.tree.directories().count());
        self.limits.check(entries, self.report.bytes)?;
        if self.policy.verbose {
            self.reporter.message(format_args!("/{}", String::from_utf8_lossy(name.bytes())));
        }
        Ok(())
    }

    /// Whether something with this name exists, other than a directory that this run created.
    ///
    /// # Errors
    /// Those of [`Tree::existing_entry_path`].
    pub fn had(&mut self, name: &Name) -> Result<bool> {
        let Some(entry_path) = self.tree.existing_entry_path(name)? else { return Ok(false) };
        let Ok(stat) = entry_path.stat() else { return Ok(false) };
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        Ok(!(is_directory && self.tree.is_made(&stat)))
    }

    /// Whether a name is a directory that existed before, or a link that leads to a directory of the tree.
    ///
    /// # Errors
    /// Those of [`Tree::existing_entry_path`].
    pub fn had_directory(&mut self, name: &Name) -> Result<bool> {
        if self.tree.root_is_made() {
            return Ok(false);
        }
        let inside = Name::parse(&[name.bytes(), b"/any"].concat())?;
        self.tree.existing_entry_path(&inside).map(|found| found.is_some())
    }
}

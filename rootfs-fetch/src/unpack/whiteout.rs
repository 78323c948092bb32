// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a layer takes away from those below it: `.wh.NAME`, and `.wh..wh..opq` for all.
//!
//! A whiteout hides what lower layers brought and nothing of its own layer,
//! whichever of the two comes first in the archive.
//!
//! # Source
//! OCI image-spec, layer.md, "Whiteouts".

use std::collections::HashMap;

use rustix::fs::FileType;

use crate::failure::{Failure, Result};
use crate::tree::Tree;
use crate::tree::name::Name;

const PREFIX: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Bookkeeping of aufs that old layers carry.
const AUFS: &[u8] = b".wh..wh.";

/// What an entry's name says in a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Nothing: it is a file.
    None,
    /// This name is taken away.
    Hide(Name),
    /// Everything in this directory is taken away.
    HideAll(Name),
    /// Nobody's concern.
    Ignore,
}

/// Reads the name of an entry of a layer.
///
/// # Errors
/// Damaged, for a whiteout of nothing, of the directory itself or of its parent.
pub fn mark(name: &Name) -> Result<Mark> {
    let (directory, leaf) = name.split();
    let Some(hidden) = leaf.strip_prefix(PREFIX) else { return Ok(Mark::None) };
    if leaf == OPAQUE {
        return Ok(Mark::HideAll(Name::parse(directory)?));
    }
    if leaf.starts_with(AUFS) {
        return Ok(Mark::Ignore);
    }
    if matches!(hidden, b"" | b"." | b"..") {
        return Err(Failure::damaged(format_args!("refused the whiteout {name}")));
    }
    Ok(Mark::Hide(Name::parse(&[directory, b"/", hidden].concat())?))
}

/// The names a layer has made so far, and the directories on the way to them: a name takes the
/// memory of its last part, however deep it is.
#[derive(Debug, Default)]
pub struct Made(HashMap<Box<[u8]>, Made>);

impl Made {
    /// Remembers an entry.
    pub fn note(&mut self, name: &Name) {
        let mut here = self;
        for part in parts(name) {
            here = here.0.entry(part.into()).or_default();
        }
    }

    /// Whether this layer made it, or something in it.
    fn contains(&self, name: &Name) -> bool {
        let mut here = self;
        for part in parts(name) {
            let Some(next) = here.0.get(part) else { return false };
            here = next;
        }
        true
    }

    /// Takes `name` away, but for what this layer made.
    ///
    /// # Errors
    /// I/O.
    pub fn hide(&self, tree: &mut Tree, name: &Name) -> Result<()> {
        let Some(entry_path) = tree.existing_entry_path(name)? else { return Ok(()) };
        if !self.contains(name) {
            return tree.remove(&entry_path);
        }
        // a link of this layer stays, and is not followed to what it names
        match entry_path.stat() {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                self.hide_all(tree, name)
            }
            _ => Ok(()),
        }
    }

    /// Takes away everything in the directory `name`, but for what this layer made.
    ///
    /// # Errors
    /// I/O.
    pub fn hide_all(&self, tree: &mut Tree, name: &Name) -> Result<()> {
        let mut todo = vec![name.clone()];
        while let Some(directory) = todo.pop() {
            for (leaf, is_directory) in tree.children(&directory)? {
                let child = Name::parse(&[directory.bytes(), b"/", &leaf].concat())?;
                let ours = self.contains(&child);
                if ours && is_directory {
                    todo.push(child);
                } else if !ours && let Some(entry_path) = tree.existing_entry_path(&child)? {
                    tree.remove(&entry_path)?;
                }
            }
        }
        Ok(())
    }
}

fn parts(name: &Name) -> impl Iterator<Item = &[u8]> {
    name.bytes().split(|&byte| byte == b'/').filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text.as_bytes()).expect("a name")
    }

    #[test]
    fn a_whiteout_names_what_it_hides() {
        assert_eq!(mark(&name("a/.wh.b")).expect("fine"), Mark::Hide(name("a/b")));
        assert_eq!(mark(&name(".wh.b")).expect("fine"), Mark::Hide(name("b")));
        assert_eq!(mark(&name("a/.wh..wh..opq")).expect("fine"), Mark::HideAll(name("a")));
        assert_eq!(mark(&name("a/.wh..wh.plnk")).expect("fine"), Mark::Ignore);
        assert_eq!(mark(&name("a/b.wh.c")).expect("fine"), Mark::None);
    }

    #[test]
    fn a_whiteout_of_nothing_of_the_directory_or_of_its_parent_is_refused() {
        for wrong in ["a/.wh.", "a/.wh..", "a/.wh...", ".wh..", ".wh..."] {
            assert!(mark(&name(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_a_layer_made_is_known_with_the_directories_on_the_way() {
        let mut made = Made::default();
        made.note(&name("a/b/c"));
        assert!(["a", "a/b", "a/b/c", ""].iter().all(|known| made.contains(&name(known))));
        assert!(["b", "a/c", "a/b/c/d"].iter().all(|other| !made.contains(&name(other))));
    }
}

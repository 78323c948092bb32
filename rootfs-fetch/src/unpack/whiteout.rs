//! What a layer takes away from those below it: `.wh.NAME`, and `.wh..wh..opq` for all.
//!
//! A whiteout hides what lower layers brought and nothing of its own layer,
//! whichever of the two comes first in the archive. What a layer made is known by
//! its real name, because links give one directory several names.
//!
//! # Source
//! OCI image-spec, layer.md, "Whiteouts".

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

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
    if directory.split(|&byte| byte == b'/').any(|part| part.starts_with(AUFS)) {
        return Ok(Mark::Ignore);
    }
    if leaf == OPAQUE {
        return Ok(Mark::HideAll(Name::parse(directory)?));
    }
    if leaf.starts_with(AUFS) {
        return Ok(Mark::Ignore);
    }
    let Some(hidden) = leaf.strip_prefix(PREFIX) else { return Ok(Mark::None) };
    if matches!(hidden, b"" | b"." | b"..") {
        return Err(Failure::damaged(format_args!("refused the whiteout {name}")));
    }
    Ok(Mark::Hide(Name::parse(&[directory, b"/", hidden].concat())?))
}

/// The names a layer has made so far, and the directories on the way to them. Of each only a hash
/// under a random key is kept: a layer may have a million, and the chance that one of them is taken for
/// another is one in 2^64.
#[derive(Debug, Default)]
pub struct Made {
    names: HashSet<u64>,
    key: RandomState,
    /// Whether the layer is the lowest, which has made all there is.
    is_lowest: bool,
    /// Directories that a whiteout empties while a link of a lower layer is still in their place:
    /// this layer's own directory may yet come.
    waiting: Vec<Name>,
}

impl Made {
    /// What the lowest layer makes, where nothing was before.
    pub fn by_lowest_layer() -> Self {
        Self { is_lowest: true, ..Self::default() }
    }

    /// Remembers an entry that was made.
    ///
    /// # Errors
    /// As [`Tree::real`].
    pub fn note(&mut self, tree: &mut Tree, name: &Name) -> Result<()> {
        if !self.is_lowest
            && let Some(real) = tree.real(name)?
        {
            self.note_real(&real);
        }
        Ok(())
    }

    fn note_real(&mut self, real: &Name) {
        let mut rest = real.bytes();
        // where a directory is known, those it is in are
        while !rest.is_empty() && self.names.insert(self.key.hash_one(rest)) {
            let end = rest.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
            rest = rest.get(..end).unwrap_or_default();
        }
    }

    /// Whether this layer made what has this real name, or something in it.
    pub fn contains(&self, real: &Name) -> bool {
        self.is_lowest || real.is_root() || self.names.contains(&self.key.hash_one(real.bytes()))
    }

    /// Takes `name` away, but for what this layer made.
    pub fn hide(&self, tree: &mut Tree, name: &Name) -> Result<()> {
        let (Some(entry_path), Some(real)) = (tree.existing_entry_path(name)?, tree.real(name)?) else {
            return Ok(());
        };
        if !self.contains(&real) {
            return tree.remove(&entry_path);
        }
        // a link of this layer stays, and is not followed to what it names
        match entry_path.stat() {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                self.empty(tree, real)
            }
            _ => Ok(()),
        }
    }

    /// Takes away everything in the directory `name`, but for what this layer made.
    pub fn hide_all(&mut self, tree: &mut Tree, name: &Name) -> Result<()> {
        let stat = tree.existing_entry_path(name)?.and_then(|entry_path| entry_path.stat().ok());
        let is_link = stat.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
        let Some(real) = tree.real(name)?.filter(|_| !name.is_root()) else {
            return self.empty(tree, name.clone());
        };
        if is_link && !self.contains(&real) {
            self.waiting.push(name.clone());
            return Ok(());
        }
        let directory = real_directory(tree, name)?.unwrap_or(real);
        self.empty(tree, directory)
    }

    /// Empties what the whiteouts named whose links are still there at the end of the layer.
    pub fn finish(mut self, tree: &mut Tree) -> Result<()> {
        for name in std::mem::take(&mut self.waiting) {
            let stat = tree.existing_entry_path(&name)?.and_then(|entry_path| entry_path.stat().ok());
            if stat.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
                && let Some(directory) = real_directory(tree, &name)?
            {
                self.empty(tree, directory)?;
            }
        }
        Ok(())
    }

    /// Removes everything in the directory of this real name that this layer did not make.
    fn empty(&self, tree: &mut Tree, directory: Name) -> Result<()> {
        let mut todo = vec![directory];
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

/// The real name of a directory, where links in all of its name are followed.
fn real_directory(tree: &mut Tree, name: &Name) -> Result<Option<Name>> {
    let below = Name::parse(&[name.bytes(), b"/x"].concat())?;
    let Some(real) = tree.real(&below)? else { return Ok(None) };
    Name::parse(real.split().0).map(Some)
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
        assert_eq!(mark(&name(".wh..wh.plnk/17.4")).expect("fine"), Mark::Ignore);
        assert_eq!(mark(&name(".wh..wh.orph/.wh.x")).expect("fine"), Mark::Ignore);
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
        made.note_real(&name("a/b/c"));
        assert!(["a", "a/b", "a/b/c", ""].iter().all(|known| made.contains(&name(known))));
        assert!(["b", "a/c", "a/b/c/d"].iter().all(|other| !made.contains(&name(other))));
    }
}

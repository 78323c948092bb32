//! What a layer removes from the layers below it: `.wh.NAME`, and `.wh..wh..opq` for everything.
//!
//! A whiteout hides files of lower layers and never of its own layer, whichever comes first in the archive.
//! What a layer has created is recorded by its real name, because links give a directory several names.
//!
//! # Source
//! OCI image-spec, layer.md, "Whiteouts".

use std::collections::HashSet;

use rustix::fs::FileType;

use crate::failure::{Failure, Result};
use crate::tree::Tree;
use crate::tree::made::Removal;
use crate::tree::name::Name;
use crate::unpack::name_set::NameSet;
use crate::unpack::origins::Origins;
use crate::unpack::selection::Hidden;

/// The maximum number of bytes of the names that wait for the end of their layer.
const MAX_WAITING_BYTES: usize = 16 << 20;
const PREFIX: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Metadata of aufs in old layers.
const AUFS: &[u8] = b".wh..wh.";

/// The meaning of an entry's name in a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// An ordinary entry.
    None,
    /// This name is removed.
    Hide(Name),
    /// Everything in this directory is removed.
    HideAll(Name),
    /// It is ignored.
    Ignore,
}

/// Interprets the name of a layer's entry.
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

/// The names that a layer has created so far, and the directories on the way to them.
#[derive(Debug, Default)]
pub struct Made {
    names: NameSet,
    /// Whether the layer is the lowest one, which created everything that exists.
    is_lowest: bool,
    /// Directories that a whiteout empties while a link of a lower layer is still in their place:
    /// this layer's own directory may yet come.
    waiting: HashSet<Hidden>,
    waiting_bytes: usize,
}

impl Made {
    /// For the lowest layer, before which there was nothing.
    pub fn by_lowest_layer() -> Self {
        Self { is_lowest: true, ..Self::default() }
    }

    /// Records a created entry.
    ///
    /// # Errors
    /// Those of [`Tree::real`].
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
        // if a directory is known, so are its parents
        while !rest.is_empty() && self.names.insert(rest) {
            let end = rest.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
            rest = rest.get(..end).unwrap_or_default();
        }
    }

    /// Whether this layer has created the file with this real name, or something in it.
    pub fn contains(&self, real: &Name) -> bool {
        self.is_lowest || real.is_root() || self.names.contains(real.bytes())
    }

    /// Removes what is hidden, except what this layer has created, and what existed before the run.
    pub fn hide(&self, tree: &mut Tree, hidden: &Hidden, origins: Option<&Origins>) -> Result<()> {
        if hidden.name.is_root() {
            return self.empty(tree, &hidden.name, hidden, origins);
        }
        let Some(real) = tree.real(&hidden.name)? else { return Ok(()) };
        // a link of this layer stays, and its target is not touched
        tree.remove_made(&real, &|real| self.removal(real, hidden, origins))
    }

    fn removal(&self, real: &Name, hidden: &Hidden, origins: Option<&Origins>) -> Removal {
        match origins {
            _ if self.contains(real) => Removal::Keep,
            None => Removal::Remove,
            // other directories of the archive can have files below it, too
            Some(origins) if origins.is_below(real, &hidden.stripped) => Removal::RemoveIfEmpty,
            Some(_) => Removal::Keep,
        }
    }

    /// The same for everything in a directory, which stays.
    pub fn hide_all(&mut self, tree: &mut Tree, hidden: Hidden, origins: Option<&Origins>) -> Result<()> {
        let name = &hidden.name;
        let stat = tree.existing_entry_path(name)?.and_then(|entry_path| entry_path.stat().ok());
        let is_link = stat.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
        let Some(real) = tree.real(name)?.filter(|_| !name.is_root()) else {
            return self.empty(tree, name, &hidden, origins);
        };
        if is_link && !self.contains(&real) {
            return self.wait(hidden);
        }
        let directory = real_directory(tree, name)?.unwrap_or(real);
        self.empty(tree, &directory, &hidden, origins)
    }

    fn wait(&mut self, hidden: Hidden) -> Result<()> {
        let bytes = hidden.name.bytes().len() + hidden.stripped.bytes().len();
        if self.waiting.insert(hidden) {
            self.waiting_bytes += bytes;
        }
        if self.waiting_bytes > MAX_WAITING_BYTES {
            return Err(Failure::damaged(
                "refused: too many whiteouts empty directories through links of lower layers",
            ));
        }
        Ok(())
    }

    /// Empties what the whiteouts named whose links are still there at the end of the layer.
    pub fn finish(mut self, tree: &mut Tree, origins: Option<&Origins>) -> Result<()> {
        for hidden in std::mem::take(&mut self.waiting) {
            let entry_path = tree.existing_entry_path(&hidden.name)?;
            let stat = entry_path.and_then(|entry_path| entry_path.stat().ok());
            if stat.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
                && let Some(directory) = real_directory(tree, &hidden.name)?
            {
                self.empty(tree, &directory, &hidden, origins)?;
            }
        }
        Ok(())
    }

    /// Removes what is hidden of a directory with this real name.
    fn empty(
        &self,
        tree: &mut Tree,
        directory: &Name,
        hidden: &Hidden,
        origins: Option<&Origins>,
    ) -> Result<()> {
        tree.remove_made_below(directory, &|real| self.removal(real, hidden, origins))
    }
}

/// The real name of a directory, with all links in its name followed.
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

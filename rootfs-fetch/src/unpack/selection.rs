//! Which names of an archive are selected, and their names in DIRECTORY.

use crate::failure::{Failure, Kind, Result};
use crate::tree::name::Name;

/// `--subdir`, `--strip-components` and `--exclude`.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Select only what is below this directory of the archive.
    pub below: Name,
    /// Then strip this number of leading components.
    pub strip: usize,
    /// Skip what matches these patterns, with everything below it.
    pub exclude: Vec<Pattern>,
}

impl Selection {
    /// Whether every entry is selected, and keeps its name.
    pub fn is_everything(&self) -> bool {
        self.below.is_root() && self.strip == 0 && self.exclude.is_empty()
    }

    /// The new name of an entry; None if it is not selected.
    pub fn select(&self, name: &Name) -> Option<Name> {
        if self.exclude.iter().any(|pattern| pattern.excludes(name)) {
            return None;
        }
        let name = name.below(&self.below)?;
        if self.strip == 0 { Some(name) } else { name.strip(self.strip) }
    }

    /// What a whiteout of a name hides; None if nothing of that is selected.
    pub fn select_hidden(&self, name: &Name) -> Option<Hidden> {
        if !name.is_root() && self.exclude.iter().any(|pattern| pattern.excludes(name)) {
            return None;
        }
        let name = match name.below(&self.below) {
            None if self.below.below(name).is_some() => Name::default(),
            below => below?,
        };
        let (stripped, name) = name.split_after(self.strip);
        Some(Hidden { name, stripped })
    }

    /// The components that [`Self::select`] strips from a name.
    pub fn stripped(&self, name: &Name) -> Name {
        name.below(&self.below).unwrap_or_default().split_after(self.strip).0
    }
}

/// What a whiteout hides in DIRECTORY.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hidden {
    /// The new name; empty for everything.
    pub name: Name,
    /// What was stripped: only files from there are hidden.
    pub stripped: Name,
}

/// The entries that a selection has seen and selected, in all layers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SelectionCounts {
    /// Entries seen.
    pub seen: u64,
    /// Entries selected.
    pub selected: u64,
}

impl Selection {
    /// Fails if nothing was selected from an archive with entries: a name is probably wrong.
    ///
    /// # Errors
    /// Not found.
    pub fn check(&self, counts: SelectionCounts) -> Result<()> {
        if self.is_everything() || counts.seen == 0 || counts.selected > 0 {
            return Ok(());
        }
        let line = match (self.below.is_root(), self.strip, self.exclude.is_empty()) {
            (false, 0, true) => format!("the archive has nothing below {}", self.below),
            (true, 1.., true) => format!("the archive has no name of more than {} parts", self.strip),
            _ => "--subdir, --strip-components and --exclude leave nothing of the archive".into(),
        };
        Err(Failure::new(Kind::NotFound, line).hint("to list the whole archive, use --dry-run alone"))
    }
}

/// A shell pattern as in tar(1): `*` and `?` also match a slash, and it can match from any component.
#[derive(Clone, Debug)]
pub struct Pattern(glob::Pattern);

impl Pattern {
    /// Parses a pattern; slashes at its ends do not matter. A pattern with an unclosed `[` matches itself.
    pub fn new(text: &str) -> Self {
        let text = text.strip_prefix("./").unwrap_or(text).trim_matches('/');
        // a star already matches slashes, and glob allows two only between slashes
        let mut single = text.to_owned();
        while single.contains("**") {
            single = single.replace("**", "*");
        }
        let literal = || glob::Pattern::new(&glob::Pattern::escape(text)).unwrap_or_default();
        Self(glob::Pattern::new(&single).unwrap_or_else(|_| literal()))
    }

    fn excludes(&self, name: &Name) -> bool {
        let name = String::from_utf8_lossy(name.bytes());
        let starts = std::iter::once(0).chain(name.match_indices('/').map(|(at, _)| at + 1));
        starts.filter_map(|start| name.get(start..)).any(|rest| {
            let ends = rest.match_indices('/').map(|(at, _)| at).chain([rest.len()]);
            ends.filter_map(|end| rest.get(..end)).any(|parts| self.0.matches(parts))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excludes(pattern: &str, name: &str) -> bool {
        Pattern::new(pattern).excludes(&Name::parse(name.as_bytes()).expect("a name"))
    }

    #[test]
    fn a_pattern_excludes_what_it_matches_and_all_below_it() {
        assert!(excludes("usr/share/doc", "usr/share/doc/bash/README"));
        assert!(excludes("*.pyc", "usr/lib/x.pyc"));
        assert!(excludes("doc", "usr/share/doc"));
        assert!(excludes("dev/*", "dev/null"));
        assert!(!excludes("dev/*", "dev"));
        assert!(!excludes("doc", "usr/share/docs"));
        assert!(excludes("./etc/", "etc/passwd"));
        assert!(excludes("*.[ao]", "usr/lib/x.o"));
        assert!(!excludes("*.[!ao]", "usr/lib/x.o"));
        assert!(excludes("usr**x", "usr/lib/x"));
        assert!(excludes("a[b", "a[b"));
    }

    #[test]
    fn stars_do_not_explode() {
        assert!(!excludes(&"*a".repeat(40), &"a".repeat(39)));
        assert!(!excludes(&"a*".repeat(40), &("aaab".repeat(9) + "aaa")));
        assert!(excludes("a?c*", "abcdef"));
    }

    #[test]
    fn parts_are_stripped_and_subdirectories_chosen() {
        let name = |text: &str| Name::parse(text.as_bytes()).expect("a name");
        let strip = Selection { strip: 1, ..Selection::default() };
        assert_eq!(strip.select(&name("root.x86_64/etc/hosts")), Some(name("etc/hosts")));
        assert_eq!(strip.select(&name("pkglist.txt")), None);
        let below = Selection { below: name("rootfs"), ..Selection::default() };
        assert_eq!(below.select(&name("rootfs")), Some(Name::default()));
        assert_eq!(below.select(&name("metadata.yaml")), None);
    }

    #[test]
    fn a_whiteout_above_what_is_selected_hides_all_of_it() {
        let name = |text: &str| Name::parse(text.as_bytes()).expect("a name");
        let hidden = |new: &str, stripped: &str| Some(Hidden { name: name(new), stripped: name(stripped) });
        let selection =
            Selection { below: name("a/b"), strip: 1, exclude: vec![Pattern::new("*.o"), Pattern::new("*")] };
        assert_eq!(selection.select_hidden(&name("")), hidden("", ""));
        let selection = Selection { exclude: vec![Pattern::new("*.o")], ..selection };
        for above in ["", "a", "a/b"] {
            assert_eq!(selection.select_hidden(&name(above)), hidden("", ""), "{above}");
        }
        assert_eq!(selection.select_hidden(&name("a/b/c")), hidden("", "c"));
        assert_eq!(selection.select_hidden(&name("a/b/c/d/e")), hidden("d/e", "c"));
        for other in ["b", "a/bc", "a/c", "a/b/c/x.o"] {
            assert_eq!(selection.select_hidden(&name(other)), None, "{other}");
        }
        assert_eq!(selection.stripped(&name("a/b/c/d")), name("c"));
    }
}

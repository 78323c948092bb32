//! A name in the tree: relative, without `.`, `..`, empty components or NUL.
//!
//! Names from an archive get this type when they are read, so they cannot leave the root by their spelling.
//! Symbolic links in a name are [`crate::tree`]'s concern.

use std::fmt;

use chain::reporter::Quoted;

use crate::failure::{Failure, Result};

/// The maximum number of components of a name; deeper trees only exhaust resources.
const MAX_PARTS: usize = 1024;

/// A name below the root; empty for the root itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Name(Vec<u8>);

impl Name {
    /// Parses a name from an archive; a leading `/` means the root of the tree.
    ///
    /// # Errors
    /// Damaged, for `..`, NUL, and more than 1024 components.
    pub fn parse(raw: &[u8]) -> Result<Self> {
        if raw.contains(&0) {
            return Err(Failure::damaged(format_args!("refused {}: its name contains NUL", Quoted(raw))));
        }
        let mut name = Vec::with_capacity(raw.len());
        let mut parts = 0;
        for part in raw.split(|&byte| byte == b'/') {
            match part {
                b"" | b"." => continue,
                b".." => {
                    return Err(Failure::damaged(format_args!(
                        "refused {}: its name leads out of the archive by \"..\"",
                        Quoted(raw)
                    )));
                }
                _ => {}
            }
            parts += 1;
            if !name.is_empty() {
                name.push(b'/');
            }
            name.extend_from_slice(part);
        }
        if parts > MAX_PARTS {
            return Err(Failure::damaged(format_args!(
                "refused a name of {parts} parts, {MAX_PARTS} at most"
            )));
        }
        Ok(Self(name))
    }

    /// The name as bytes, `usr/bin/env`.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The directory and the last component: `usr/bin` and `env`.
    pub fn split(&self) -> (&[u8], &[u8]) {
        match self.0.iter().rposition(|&byte| byte == b'/') {
            Some(at) => (self.0.get(..at).unwrap_or_default(), self.0.get(at + 1..).unwrap_or_default()),
            None => (b"", &self.0),
        }
    }

    /// The name without its first `count` components; None if nothing is left.
    pub fn strip(&self, count: usize) -> Option<Self> {
        let mut rest = self.0.as_slice();
        for _ in 0..count {
            let at = rest.iter().position(|&byte| byte == b'/')?;
            rest = rest.get(at + 1..)?;
        }
        if rest.is_empty() { None } else { Some(Self(rest.to_vec())) }
    }

    /// The first `count` components, and the others.
    pub fn split_after(&self, count: usize) -> (Self, Self) {
        match self.strip(count) {
            None => (self.clone(), Self::default()),
            Some(rest) => {
                let end = self.0.len() - rest.0.len();
                let first = self.0.get(..end.saturating_sub(1)).unwrap_or_default();
                (Self(first.to_vec()), rest)
            }
        }
    }

    /// The name relative to `directory`; None if it is elsewhere.
    pub fn below(&self, directory: &Self) -> Option<Self> {
        if directory.is_root() {
            return Some(self.clone());
        }
        match self.0.strip_prefix(directory.0.as_slice())? {
            [] => Some(Self::default()),
            [b'/', rest @ ..] => Some(Self(rest.to_vec())),
            _ => None,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Quoted(&self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(raw: &str) -> Name {
        Name::parse(raw.as_bytes()).expect("a good name")
    }

    #[test]
    fn dots_and_doubled_slashes_do_not_matter() {
        assert_eq!(name("./usr//bin/./env/"), name("usr/bin/env"));
        assert!(name("./").is_root());
    }

    #[test]
    fn an_absolute_name_is_one_below_the_root() {
        assert_eq!(name("/etc/passwd").bytes(), b"etc/passwd");
    }

    #[test]
    fn a_name_that_climbs_is_refused() {
        for raw in ["..", "../x", "a/../../x", "a/..", "/../x"] {
            assert!(Name::parse(raw.as_bytes()).is_err(), "{raw}");
        }
        assert_eq!(name("..a/b..").bytes(), b"..a/b..");
    }

    #[test]
    fn a_name_with_nul_is_refused() {
        assert!(Name::parse(b"a\0b").is_err());
    }

    #[test]
    fn the_last_part_is_what_is_made() {
        assert_eq!(name("usr/bin/env").split(), (&b"usr/bin"[..], &b"env"[..]));
        assert_eq!(name("env").split(), (&b""[..], &b"env"[..]));
    }

    #[test]
    fn leading_parts_are_stripped() {
        assert_eq!(name("root.x86_64/etc/hosts").strip(1), Some(name("etc/hosts")));
        assert_eq!(name("pkglist.txt").strip(1), None);
        assert_eq!(name("a/b/c").split_after(2), (name("a/b"), name("c")));
        assert_eq!(name("a/b").split_after(2), (name("a/b"), name("")));
        assert_eq!(name("a/b").split_after(0), (name(""), name("a/b")));
        assert_eq!(name("a/b").below(&name("a")), Some(name("b")));
        assert_eq!(name("ab").below(&name("a")), None);
    }
}

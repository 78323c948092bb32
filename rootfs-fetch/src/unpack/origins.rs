//! Where files come from whose names were shortened: with `--strip-components 1`, `a/x` and `b/y` become `x` and `y`,
//! and a whiteout of `a` removes only `x`.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;

use crate::failure::{Failure, Result};
use crate::tree::name::Name;

/// The maximum number of bytes of the stripped parts of names.
const MAX_BYTES: usize = 16 << 20;

/// The stripped parts of the names of an image's files. As in a set of names, only a hash of a name is kept.
#[derive(Debug, Default)]
pub struct Origins {
    stripped: HashSet<Rc<Name>>,
    bytes: usize,
    of: HashMap<u64, Rc<Name>>,
    key: RandomState,
}

impl Origins {
    /// Returns the shared copy of a stripped part, for [`Self::note`].
    ///
    /// # Errors
    /// Damaged, for too many parts.
    pub fn origin(&mut self, stripped: Name) -> Result<Rc<Name>> {
        if let Some(known) = self.stripped.get(&stripped) {
            return Ok(known.clone());
        }
        self.bytes += stripped.bytes().len();
        if self.bytes > MAX_BYTES {
            return Err(Failure::damaged("refused: --strip-components strips too many different names"));
        }
        let origin = Rc::new(stripped);
        self.stripped.insert(origin.clone());
        Ok(origin)
    }

    /// Records the origin of the file with this real name, and of directories on the way to it that have none yet.
    pub fn note(&mut self, real: &Name, origin: &Rc<Name>) {
        self.of.insert(self.key.hash_one(real.bytes()), origin.clone());
        let mut rest = real.split().0;
        while !rest.is_empty() {
            let hash = self.key.hash_one(rest);
            if self.of.contains_key(&hash) {
                break;
            }
            self.of.insert(hash, origin.clone());
            let end = rest.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
            rest = rest.get(..end).unwrap_or_default();
        }
    }

    /// Whether the file with this real name comes from below a directory of the archive.
    pub fn is_below(&self, real: &Name, directory: &Name) -> bool {
        let origin = self.of.get(&self.key.hash_one(real.bytes()));
        origin.is_some_and(|origin| origin.below(directory).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_its_directories_have_an_origin_and_the_last_one_of_a_name_counts() {
        let name = |text: &str| Name::parse(text.as_bytes()).expect("a name");
        let mut origins = Origins::default();
        let (a, b) = (origins.origin(name("a/1")).expect("few"), origins.origin(name("b/1")).expect("few"));
        origins.note(&name("d/e/x"), &a);
        origins.note(&name("d/y"), &b);
        let below = |real: &str, directory: &str| origins.is_below(&name(real), &name(directory));
        assert!(below("d", "a") && below("d/e", "a/1") && below("d/e/x", "") && below("d/y", "b"));
        assert!(!below("d/y", "a") && !below("d/e/x", "b") && !below("other", ""));
        origins.note(&name("d/e/x"), &b);
        assert!(origins.is_below(&name("d/e/x"), &name("b")));
    }
}

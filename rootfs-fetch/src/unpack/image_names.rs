//! Whether an archive can be an image, by its names.

use crate::tree::name::Name;

/// The files that distinguish an image from a root directory.
pub const MARKS: [&str; 4] = ["oci-layout", "index.json", "manifest.json", "repositories"];

/// Parts of the names in a root directory. In images, the parts are digests, `blobs`, `layer.tar` and the
/// like.
const ROOT_PARTS: [&[u8]; 6] = [b"bin", b"etc", b"lib", b"sbin", b"usr", b"var"];

/// The number of hexadecimal digits of a SHA-256.
const DIGEST_DIGITS: usize = 64;

/// What the names seen so far show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageNames {
    has_mark: bool,
    has_root_part: bool,
    has_image_part: bool,
}

impl ImageNames {
    /// Adds a name, as in the archive.
    pub fn note(&mut self, name: &Name) {
        let bytes = name.bytes();
        self.has_mark |= MARKS.iter().any(|mark| mark.as_bytes() == bytes);
        for part in bytes.split(|&byte| byte == b'/') {
            self.has_root_part |= ROOT_PARTS.contains(&part);
            self.has_image_part |= is_image_part(part);
        }
    }

    /// Whether the archive is not an image, whatever other names it has.
    pub fn exclude_image(self) -> bool {
        self.has_root_part
    }

    /// Whether the archive can be an image, if there are no more names.
    pub fn allow_image(self) -> bool {
        self.has_mark && !self.has_root_part
    }

    /// Whether the archive is probably an image, if more names follow.
    pub fn suggest_image(self) -> bool {
        (self.has_mark || self.has_image_part) && !self.has_root_part
    }
}

/// Whether a part of a name is one that programs give to the parts of images: `blobs`, or a digest with whatever
/// follows.
fn is_image_part(part: &[u8]) -> bool {
    let digest = part.strip_prefix(b"sha256:").unwrap_or(part);
    part == b"blobs"
        || digest.get(..DIGEST_DIGITS).is_some_and(|start| start.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_allows_an_image_and_a_part_of_a_root_excludes_it() {
        let noted = |names: &[&str]| {
            let mut noted = ImageNames::default();
            names.iter().for_each(|name| noted.note(&Name::parse(name.as_bytes()).expect("a name")));
            (noted.allow_image(), noted.exclude_image())
        };
        assert_eq!(noted(&[]), (false, false));
        assert_eq!(noted(&["./", "a/layer.tar", "a/manifest.json"]), (false, false));
        assert_eq!(noted(&["./", "a/layer.tar", "./manifest.json"]), (true, false));
        for root in ["usr", "/etc", "x/./bin/y", "x/y/lib"] {
            assert_eq!(noted(&["manifest.json", root, "a"]), (false, true), "{root}");
        }
        assert_eq!(noted(&["manifest.json", "lib.tar", "user/etcd"]), (true, false));
    }

    #[test]
    fn a_mark_a_digest_or_a_directory_of_blobs_suggests_an_image() {
        let suggested = |name: &str| {
            let mut noted = ImageNames::default();
            noted.note(&Name::parse(name.as_bytes()).expect("a name"));
            noted.suggest_image()
        };
        let digest = "0123456789abcdef".repeat(4);
        for name in ["./manifest.json", "./blobs/", "blobs/sha256/x", "oci-layout"] {
            assert!(suggested(name), "{name}");
        }
        for name in [format!("{digest}/VERSION"), format!("./{digest}.json"), format!("sha256:{digest}")] {
            assert!(suggested(&name), "{name}");
        }
        let short = digest.get(1..).expect("digits");
        for name in ["./", "a/manifest.json", "blobs.txt", short, &format!("usr/{digest}")] {
            assert!(!suggested(name), "{name}");
        }
    }
}

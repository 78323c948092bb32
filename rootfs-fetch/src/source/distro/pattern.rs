//! Finds file names with a version in pages of any format.

use std::cmp::Ordering;
use std::fmt;

/// Longer names are skipped: matching them takes too long.
const MAX_NAME_BYTES: usize = 255;

/// A file name in which `*` stands for a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionPattern(String);

impl fmt::Display for VersionPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl VersionPattern {
    /// Parses a pattern.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether it has a `*`.
    pub fn is_open(&self) -> bool {
        self.0.contains('*')
    }

    /// The matching name with the highest version in a text: a list of checksums, an index, a page of links.
    pub fn newest(&self, text: &str) -> Option<String> {
        // any other character ends a name
        let ends = |letter: char| !(letter.is_ascii_alphanumeric() || "._+~/-".contains(letter));
        let names = text
            .split(ends)
            .map(|name| name.trim_start_matches("./"))
            .filter(|it| it.len() <= MAX_NAME_BYTES);
        names
            .filter(|name| matches(self.0.as_bytes(), name.as_bytes()))
            .max_by(|a, b| versions(a, b))
            .map(str::to_owned)
    }
}

/// Whether a name matches. A `*` matches at least one character, no slash, and no leading dot.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), Some((&first, _))) if first != b'.' => {
            let most = name.iter().position(|&byte| byte == b'/').unwrap_or(name.len());
            (1..=most).any(|length| matches(rest, name.get(length..).unwrap_or_default()))
        }
        (Some((wanted, pattern)), Some((found, name))) => wanted == found && matches(pattern, name),
        _ => false,
    }
}

/// Compares numbers as numbers: `3.9` comes before `3.10`.
fn versions(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one, other);
    while !one.is_empty() && !other.is_empty() {
        let ((a, rest), (b, others)) = (word(one), word(other));
        let numbers =
            a.starts_with(|it: char| it.is_ascii_digit()) && b.starts_with(|it: char| it.is_ascii_digit());
        let (x, y) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
        let order = if numbers { x.len().cmp(&y.len()).then(x.cmp(y)) } else { a.cmp(b) };
        if order != Ordering::Equal {
            return order;
        }
        (one, other) = (rest, others);
    }
    one.len().cmp(&other.len())
}

/// Splits after the leading digits, or after the leading non-digits.
fn word(text: &str) -> (&str, &str) {
    let is_number = text.starts_with(|it: char| it.is_ascii_digit());
    let end = text.find(|it: char| it.is_ascii_digit() != is_number).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest(pattern: &str, text: &str) -> Option<String> {
        VersionPattern::new(pattern).newest(text)
    }

    #[test]
    fn a_name_is_found_in_checksums_indexes_and_pages() {
        let sums = "aa *ubuntu-base-24.04.9-base-amd64.tar.gz\nbb *ubuntu-base-24.04.10-base-amd64.tar.gz\n\
            cc *ubuntu-base-24.04-base-amd64.tar.gz\ndd *ubuntu-base-24.04.11-base-arm64.tar.gz\n";
        let found = newest("ubuntu-base-*-base-amd64.tar.gz", sums);
        assert_eq!(found.as_deref(), Some("ubuntu-base-24.04.10-base-amd64.tar.gz"));
        let yaml = "-\n  flavor: alpine-minirootfs\n  file: alpine-minirootfs-3.24.2-x86_64.tar.gz\n";
        let found = newest("alpine-minirootfs-*-x86_64.tar.gz", yaml);
        assert_eq!(found.as_deref(), Some("alpine-minirootfs-3.24.2-x86_64.tar.gz"));
        let bsd = "SHA256 (void-x86_64-musl-ROOTFS-20250202.tar.xz) = a\nSHA256 (void-x86_64-ROOTFS-20250202.tar.xz) = b\n";
        let found = newest("void-x86_64-ROOTFS-*.tar.xz", bsd);
        assert_eq!(found.as_deref(), Some("void-x86_64-ROOTFS-20250202.tar.xz"));
        let html =
            "<a href=\"Fedora-Container-44-1.7-x86_64-CHECKSUM\">Fedora-Container-44-1.7-x86_64-CHECKSUM</a>";
        let found = newest("Fedora-Container-44-*-x86_64-CHECKSUM", html);
        assert_eq!(found.as_deref(), Some("Fedora-Container-44-1.7-x86_64-CHECKSUM"));
        let latest = "# ts=1\n20261101T1Z/stage3-amd64-openrc-20261101T1Z.tar.xz 2875\n";
        let found = newest("*/stage3-amd64-openrc-*.tar.xz", latest);
        assert_eq!(found.as_deref(), Some("20261101T1Z/stage3-amd64-openrc-20261101T1Z.tar.xz"));
    }

    #[test]
    fn a_star_is_no_way_out() {
        for name in
            ["../stage.tar", "a/b/stage.tar", "/stage.tar", "./stage.tar", "//host/stage.tar", ".a/stage.tar"]
        {
            assert_eq!(newest("*/stage.tar", name), None, "{name}");
        }
        assert_eq!(newest("a-*.tar", "a-.tar a-b/c.tar"), None);
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (less, more) in
            [("3.9", "3.10"), ("1.7", "1.7.1"), ("20250202", "20261101"), ("a-2-b", "a-10-b"), ("007", "8")]
        {
            assert_eq!(versions(less, more), Ordering::Less, "{less} {more}");
        }
        assert_eq!(versions("1.0", "1.0"), Ordering::Equal);
    }
}

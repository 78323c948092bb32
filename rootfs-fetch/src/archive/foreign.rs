//! Formats that are not tar archives, by their magic numbers, to name them in an error.
//!
//! # Source
//! The formats' specifications; file(1)'s magic(5) has the same numbers.

use crate::failure::Failure;

/// Where a magic number stands, the number, and the format's name.
type Magic = (usize, &'static [u8], &'static str);

/// Formats that begin with their magic number.
const FORMATS: [Magic; 10] = [
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"hsqs", "a squashfs image"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"0707", "a cpio archive"),
    (0, b"!<arch>\n", "an ar archive (a .deb?)"),
    (0, b"XFSB", "an XFS file system image"),
    (0, b"QFI\xfb", "a qcow2 disk image"),
    (0, b"KDMV", "a VMDK disk image"),
    (510, b"\x55\xaa", "a disk image"),
    (0, b"<", "a page of text, not an archive"),
];

/// File systems that begin with zeros, as an archive without entries does.
const IMAGES: [Magic; 3] = [
    (0x438, b"\x53\xef", "an ext4 file system image"),
    (0x8001, b"CD001", "an ISO 9660 image"),
    (512, b"EFI PART", "a disk image"),
];

/// What bytes are that do not begin with a tar header.
pub fn format(head: &[u8]) -> Option<&'static str> {
    find(&FORMATS, head)
}

/// What bytes are that begin with zeros.
pub fn image(head: &[u8]) -> Option<&'static str> {
    find(&IMAGES, head)
}

/// The failure for a format of another kind.
pub fn refused(what: &str) -> Failure {
    Failure::damaged(format_args!("this is {what}; expected a tar archive"))
}

fn find(table: &[Magic], head: &[u8]) -> Option<&'static str> {
    let found =
        table.iter().find(|(at, magic, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    found.map(|(_, _, what)| *what)
}

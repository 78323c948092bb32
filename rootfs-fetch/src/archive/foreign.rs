//! Formats that are not tar archives, by their magic numbers, to name them in an error.
//!
//! # Source
//! The formats' specifications; file(1)'s magic(5) has the same numbers.

use crate::failure::Failure;

/// A format that is not tar.
#[derive(Debug)]
pub struct Foreign {
    /// The position of its magic number.
    at: usize,
    magic: &'static [u8],
    /// With its article.
    name: &'static str,
    /// How to make a root directory from it, if there is a program for that.
    hint: Option<&'static str>,
}

const fn known(at: usize, magic: &'static [u8], name: &'static str, hint: &'static str) -> Foreign {
    Foreign { at, magic, name, hint: Some(hint) }
}

const fn named(magic: &'static [u8], name: &'static str) -> Foreign {
    Foreign { at: 0, magic, name, hint: None }
}

const BSDTAR: &str = "convert it with bsdtar(1): 'bsdtar -cf - @ARCHIVE | rootfs-fetch - DIRECTORY'";
const DEB: &str = "for a Debian package: 'dpkg-deb --fsys-tarfile PACKAGE.deb | rootfs-fetch - DIRECTORY'";
const SQUASHFS: &str = "unpack it with unsquashfs(1): 'unsquashfs -d DIRECTORY IMAGE'";
const FILE_SYSTEM: &str =
    "mount it: 'mount -o loop,ro IMAGE /mnt', then 'tar -C /mnt -c . | rootfs-fetch - DIRECTORY'";
const DISK: &str = "convert it with virt-tar-out(1): 'virt-tar-out -a IMAGE / - | rootfs-fetch - DIRECTORY'";
const PAGE: &str =
    "perhaps a server sent it instead of the archive: check the URL, or whether it needs a login";

/// Formats that begin with their magic number.
static FORMATS: [Foreign; 19] = [
    known(0, b"PK\x03\x04", "a zip archive", BSDTAR),
    known(0, b"hsqs", "a squashfs image", SQUASHFS),
    known(0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", BSDTAR),
    known(0, b"Rar!\x1a\x07", "a RAR archive", BSDTAR),
    known(0, b"\xed\xab\xee\xdb", "an RPM package", BSDTAR),
    known(0, b"0707", "a cpio archive", BSDTAR),
    known(0, b"!<arch>\n", "an ar archive", DEB),
    known(0, b"XFSB", "an XFS file system image", FILE_SYSTEM),
    known(0, b"QFI\xfb", "a qcow2 disk image", DISK),
    known(0, b"KDMV", "a VMDK disk image", DISK),
    known(0, b"vhdxfile", "a VHDX disk image", DISK),
    // before a disk image: a program for Windows may have its mark too
    named(b"MZ", "a program for Windows"),
    known(510, b"\x55\xaa", "a disk image", DISK),
    named(b"\x7fELF", "a program"),
    named(b"#!", "a script"),
    named(b"-----BEGIN PGP", "a signature or a key"),
    known(0, b"<", "an HTML or XML document", PAGE),
    known(0, b"{", "a JSON document", PAGE),
    known(0, b"[", "a JSON document", PAGE),
];

/// File systems that begin with zeros, like an archive without entries.
static IMAGES: [Foreign; 4] = [
    known(0x400, b"\xe2\xe1\xf5\xe0", "an EROFS image", FILE_SYSTEM),
    known(0x438, b"\x53\xef", "an ext4 file system image", FILE_SYSTEM),
    known(0x8001, b"CD001", "an ISO 9660 image", BSDTAR),
    known(512, b"EFI PART", "a disk image", DISK),
];

/// The format of bytes that do not begin with a tar header.
pub fn format(head: &[u8]) -> Option<&'static Foreign> {
    find(&FORMATS, head)
}

/// The format of bytes that begin with zeros.
pub fn image(head: &[u8]) -> Option<&'static Foreign> {
    find(&IMAGES, head)
}

/// The failure for another format.
pub fn refused(found: &Foreign) -> Failure {
    let failure = Failure::damaged(format_args!("this is {}; expected a tar archive", found.name));
    match found.hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn find(table: &'static [Foreign], head: &[u8]) -> Option<&'static Foreign> {
    table.iter().find(|known| head.get(known.at..).is_some_and(|rest| rest.starts_with(known.magic)))
}

//! Known exceptions for single archives.

use std::path::Path;

use crate::How::{self, AsBsdtar, Refused, With};

const TWICE: &str = "two headers of one kind";
const TWICE_WHY: &str =
    "readers disagree which of them holds; GNU tar and Go take the last, Python the first";
const DAMAGED: &str = "made to be refused, by its own authors' readers too";
const GARBAGE: &str = "what follows the compressed data is neither padding nor more of them";
const LZ4: &str = "GNU tar knows no lz4";

/// The archives that we unpack differently from GNU tar.
pub const LISTED: &[(&str, How)] = &[
    ("cpython/recursion.tar", Refused("cut short", DAMAGED)),
    ("cpython/testtar.tar", With("--squash", "an entry belongs to the number that means nobody to chown(2)")),
    ("go/gnu-multi-hdrs.tar", Refused(TWICE, TWICE_WHY)),
    ("go/issue10968.tar", Refused("out of range", DAMAGED)),
    ("go/issue11169.tar", Refused("cut short", DAMAGED)),
    ("go/issue12435.tar", Refused("out of range", DAMAGED)),
    ("go/neg-size.tar", Refused("out of range", DAMAGED)),
    ("go/pax-bad-hdr-file.tar", Refused("malformed record", DAMAGED)),
    ("go/pax-bad-hdr-large.tar.bz2", Refused("claim more than", DAMAGED)),
    ("go/pax-bad-mtime-file.tar", Refused("\"mtime\" is malformed", DAMAGED)),
    ("go/pax-global-records.tar", AsBsdtar("GNU tar gives every entry the name that the global header has")),
    ("go/pax-multi-hdrs.tar", Refused(TWICE, TWICE_WHY)),
    ("go/pax-nul-path.tar", Refused("contains NUL", DAMAGED)),
    ("go/sparse-formats.tar", AsBsdtar("GNU tar reads a map of one-byte parts wrong, and fails")),
    ("go/writer-big-long.tar", Refused("cut short", "16 GiB of contents are not there")),
    ("go/writer-big.tar", Refused("cut short", "16 GiB of contents are not there")),
    ("libarchive/test_compat_bzip2_2.tbz", Refused("bz2 header missing", GARBAGE)),
    ("libarchive/test_compat_gzip_2.tgz", Refused("other data follow them", GARBAGE)),
    ("libarchive/test_compat_lz4_2.tar.lz4", Refused("other data follow them", GARBAGE)),
    ("libarchive/test_compat_lz4_1.tar.lz4", AsBsdtar(LZ4)),
    ("libarchive/test_compat_lz4_3.tar.lz4", AsBsdtar(LZ4)),
    ("libarchive/test_compat_lz4_B4.tar.lz4", AsBsdtar(LZ4)),
    ("libarchive/test_compat_lz4_B4BD.tar.lz4", AsBsdtar(LZ4)),
    ("libarchive/test_compat_lz4_B4BDBX.tar.lz4", AsBsdtar(LZ4)),
    ("libarchive/test_compat_lz4_B5.tar.lz4", AsBsdtar(LZ4)),
    ("libarchive/test_compat_lz4_B5BD.tar.lz4", AsBsdtar(LZ4)),
    ("libarchive/test_compat_lz4_B6.tar.lz4", AsBsdtar(LZ4)),
    ("libarchive/test_compat_lz4_B6BD.tar.lz4", AsBsdtar(LZ4)),
    ("libarchive/test_compat_lz4_B7.tar.lz4", AsBsdtar(LZ4)),
    ("libarchive/test_compat_lz4_B7BD.tar.lz4", AsBsdtar(LZ4)),
    (
        "libarchive/test_compat_tar_directory_1.tar",
        Refused(
            "it has a directory's name, but also contents",
            "Go sees contents there, libarchive and GNU tar none",
        ),
    ),
    (
        "libarchive/test_compat_zstd_2.tar.zst",
        AsBsdtar("zstd(1), which GNU tar runs, wants no skippable frame"),
    ),
    (
        "libarchive/test_read_format_gtar_sparse_1_17_posix10_modified.tar",
        Refused("malformed number", "its map has text between the numbers, which GNU tar refuses too"),
    ),
    (
        "libarchive/test_read_format_gtar_sparse_skip_entry.tar",
        Refused("does not fit its contents", "GNU tar refuses it too"),
    ),
    (
        "libarchive/test_pax_xattr_header_libarchive.tar",
        AsBsdtar("GNU tar does not read libarchive's own form of attributes"),
    ),
    ("libarchive/test_read_format_tar_invalid_pax_size.tar", Refused("\"size\" is malformed", DAMAGED)),
    ("rust/diff-014-unterminated-pax.tar", Refused("malformed record", DAMAGED)),
    ("rust/diff-024-pending-pax-boundary.tar", Refused("not a tar archive", DAMAGED)),
    ("rust/diff-039-truncated-entry-body.tar", Refused("cut short", DAMAGED)),
];

/// An intended difference.
pub fn excused(name: &Path, lines: &str, root: bool) -> bool {
    let (ours, theirs) = lines.split_once(" | ").unwrap_or_default();
    // a prefix that Go before 1.8 wrote into a header of GNU's format: Go and containerd read it, the peers
    // do not
    let old_go = name.to_string_lossy().starts_with("aaaaaaaaaa") && theirs == "nothing"
        || name == Path::new("foo") && ours == "nothing" && theirs.starts_with("100000 ");
    if old_go {
        return true;
    }
    // a label that belongs to a machine and not to a file
    if name == Path::new("conffiles") && theirs.starts_with(ours) && theirs.contains(" security.ima=") {
        return true;
    }
    // POSIX applies a global header's time to every entry, like GNU tar; bsdtar does not read it
    let global = ["file1", "file2", "file3"].iter().any(|file| name == Path::new(file));
    if global && ours.replacen(" 1500000000.", " 0.", 1) == theirs {
        return true;
    }
    // without the owner, we remove the set-id bits, and GNU tar keeps them
    let without_set_id = |line: &str| {
        let (mode, rest) = line.split_once(' ').unwrap_or_default();
        (u32::from_str_radix(mode, 8).map(|mode| mode & !0o6000).ok(), rest.to_owned())
    };
    !root && without_set_id(ours) == without_set_id(theirs)
}

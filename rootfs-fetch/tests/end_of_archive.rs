//! The end of an archive: with and without its mark, with and without padding, and with more data after it.
#![cfg(test)]

use std::fs;
use std::io::Write as _;
use std::process::Command;

use tests::fetch::{As, Outcome, Scratch, text};
use tests::layout::Layout;
use tests::tar::{Head, Tar};

const NO_MARK: &str = "rootfs-fetch: the archive is cut short: its end mark is missing (entry 2, after \"a\")\n\
    rootfs-fetch: hint: if its writer omits the end mark, save the archive to a file, or use --digest\n";

/// One file, and no end mark, as Julia's Tar.jl writes it.
fn unmarked() -> Vec<u8> {
    Tar::new().file("a", b"x").0
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(data).unwrap();
    gzip.finish().unwrap()
}

fn digest(scratch: &Scratch, data: &[u8]) -> String {
    fs::write(scratch.path("digested"), data).unwrap();
    let output = Command::new("sha256sum").arg(scratch.path("digested")).output().unwrap();
    format!("sha256:{}", String::from_utf8_lossy(&output.stdout[..64]))
}

fn is_whole(outcome: &Outcome, scratch: &Scratch) {
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert_eq!(text(scratch.work().join("root/a")), "x");
}

#[test]
fn without_an_end_mark_what_else_proves_the_end_is_enough() {
    let scratch = Scratch::new();
    let feed = |data: &[u8], args: &[&str]| scratch.feed(As::Caller, data, args);
    is_whole(&feed(&gzip(&unmarked()), &["-q", "-", "root"]), &scratch);
    let digest = digest(&scratch, &unmarked());
    is_whole(&feed(&unmarked(), &["-q", "--replace", "--digest", &digest, "-", "root"]), &scratch);
    fs::write(scratch.work().join("file.tar"), unmarked()).unwrap();
    is_whole(&feed(b"", &["-q", "--replace", "file.tar", "root"]), &scratch);
}

#[test]
fn a_stream_without_an_end_mark_and_without_a_proof_is_refused() {
    let scratch = Scratch::new();
    let outcome = scratch.feed(As::Caller, &unmarked(), &["-", "root"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(4), NO_MARK));
    let packed = gzip(&unmarked());
    let cut = scratch.feed(As::Caller, &packed[..packed.len() - 4], &["-", "root"]);
    assert_eq!(cut.code, Some(4), "{cut:?}");
    assert!(!scratch.work().join("root").exists());
}

#[test]
fn the_last_block_need_not_be_padded_nor_the_last_header_have_an_entry() {
    let scratch = Scratch::new();
    let mut short = unmarked();
    short.truncate(513);
    is_whole(&scratch.feed(As::Caller, &gzip(&short), &["-q", "-", "root"]), &scratch);
    let stray = Tar::new().file("a", b"x").pax(&[("comment", b"nobody's")]).end();
    is_whole(&scratch.feed(As::Caller, &stray, &["-q", "--replace", "-", "root"]), &scratch);
}

#[test]
fn a_pax_header_may_be_padded_with_nuls() {
    let scratch = Scratch::new();
    let mut records = tests::tar::pax_record(b"path", b"a");
    records.resize(512, 0);
    let head = Head::new(b'x', "header").size(512);
    let tar = Tar::new().entry(&head, &records).file("other", b"x").end();
    is_whole(&scratch.feed(As::Caller, &tar, &["-q", "-", "root"]), &scratch);
}

#[test]
fn a_layer_of_no_byte_is_a_layer_with_nothing_in_it() {
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.work().join("image"));
    layout.write_index(&[layout.image_of(&[Tar::new().file("a", b"x").end(), Vec::new()])]);
    is_whole(&scratch.feed(As::Caller, b"", &["-q", "oci:image", "root"]), &scratch);
}

#[test]
fn what_begins_with_zeros_is_named_and_no_empty_archive() {
    let scratch = Scratch::new();
    let image = |at: usize, magic: &[u8]| {
        let mut data = vec![0; 1 << 16];
        data[at..at + magic.len()].copy_from_slice(magic);
        data
    };
    for (data, what) in [
        (image(0x438, b"\x53\xef"), "this is an ext4 file system image; expected a tar archive"),
        (image(0x8001, b"CD001"), "this is an ISO 9660 image; expected a tar archive"),
        (image(512, b"EFI PART"), "this is a disk image; expected a tar archive"),
        (
            image(40_000, b"anything"),
            "this is not a tar archive, plain or compressed with gzip, xz, zstd, bzip2, lz4 or lzip",
        ),
    ] {
        let outcome = scratch.feed(As::Caller, &data, &["-", "root"]);
        assert_eq!(outcome.code, Some(4), "{outcome:?}");
        // a hint may follow
        assert_eq!(outcome.stderr.lines().next(), Some(format!("rootfs-fetch: {what}").as_str()));
    }
    assert_eq!(scratch.feed(As::Caller, &[0; 1024], &["-q", "-", "root"]).code, Some(0));
    assert_eq!(scratch.feed(As::Caller, b"", &["-", "other"]).stderr, "rootfs-fetch: the archive is empty\n");
}

#[test]
fn a_second_archive_is_told_and_left() {
    let scratch = Scratch::new();
    let both = [Tar::new().file("a", b"x").end(), Tar::new().file("b", b"y").end()].concat();
    let outcome = scratch.feed(As::Caller, &both, &["-", "root"]);
    let line = "rootfs-fetch: ignored data after the end of the archive; if that is a second archive, tar -xi reads both\n";
    assert_eq!((outcome.code, outcome.stderr.lines().next()), (Some(0), line.lines().next()));
    assert!(!scratch.work().join("root/b").exists());
}

#[test]
fn a_root_one_directory_down_is_told() {
    let scratch = Scratch::new();
    let tar =
        || Tar::new().dir("r/usr", 0o755).dir("r/etc", 0o755).symlink("r/bin", "usr/bin").dir("r/bin", 0o755);
    let line = "rootfs-fetch: \"r\" looks like the root directory: --subdir \"r\" unpacks only what is in it";
    // as Arch and LXD publish their roots
    for (name, archive) in [("root", tar().end()), ("other", tar().file("pkglist.txt", b"").end())] {
        let outcome = scratch.feed(As::Caller, &archive, &["-", name]);
        assert_eq!((outcome.code, outcome.stderr.lines().next()), (Some(0), Some(line)));
        let outcome = scratch.feed(As::Caller, &archive, &["--subdir", "r", "-", &format!("{name}-alone")]);
        assert_eq!((outcome.code, outcome.stderr.lines().count()), (Some(0), 1), "{outcome:?}");
        assert!(scratch.work().join(format!("{name}-alone/etc")).is_dir());
    }
    let outcome = scratch.feed(As::Caller, &tar().dir("s", 0o755).end(), &["-", "two"]);
    assert_eq!((outcome.code, outcome.stderr.lines().count()), (Some(0), 1), "{outcome:?}");
}

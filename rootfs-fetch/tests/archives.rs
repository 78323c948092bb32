//! Archives as they occur in practice: all formats and compressions, orders and owners.
#![cfg(test)]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::PathBuf;
use tests::fetch::{As, Scratch};
use tests::tar::{GNU, Head, Tar, V7, seal};

/// Unpacks an archive that must cause no message, and returns its root.
fn unpacked(scratch: &Scratch, archive: &[u8]) -> PathBuf {
    let outcome = scratch.feed(As::Caller, archive, &["-q", "-", "root"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    scratch.work().join("root")
}

fn text(path: PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

#[test]
fn the_last_entry_of_a_name_wins() {
    let scratch = Scratch::new();
    let root = unpacked(&scratch, &Tar::new().file("a", b"first, and longer").file("a", b"last").end());
    assert_eq!(text(root.join("a")), "last");
}

#[test]
fn an_entry_may_come_before_its_parent() {
    let scratch = Scratch::new();
    let tar = Tar::new().file("a/b/c", b"x").dir("a/b", 0o750).dir("a", 0o700);
    let root = unpacked(&scratch, &tar.end());
    assert_eq!(text(root.join("a/b/c")), "x");
    assert_eq!(root.join("a/b").metadata().unwrap().mode() & 0o7777, 0o750);
    assert_eq!(root.join("a").metadata().unwrap().mode() & 0o7777, 0o700);
}

#[test]
fn a_parent_without_an_entry_has_the_usual_mode() {
    let scratch = Scratch::new();
    let root = unpacked(&scratch, &Tar::new().file("a/b", b"x").end());
    assert_eq!(root.join("a").metadata().unwrap().mode() & 0o7777, 0o755);
    assert_eq!(root.metadata().unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn a_read_only_directory_is_filled_and_then_read_only() {
    for &who in As::all() {
        let scratch = Scratch::new();
        let tar = Tar::new().dir("d", 0o555).dir("d/e", 0o000).file("d/e/f", b"x").file("d/g", b"x");
        let outcome = scratch.feed(who, &tar.end(), &["-", "root"]);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let root = scratch.work().join("root");
        assert_eq!(root.join("d").metadata().unwrap().mode() & 0o7777, 0o555);
        assert_eq!(root.join("d/e").metadata().unwrap().mode() & 0o7777, 0o000);
    }
}

#[test]
fn the_time_of_a_directory_is_not_that_of_its_filling() {
    let scratch = Scratch::new();
    let root = unpacked(&scratch, &Tar::new().dir(".", 0o755).dir("d", 0o755).file("d/f", b"x").end());
    assert_eq!(root.join("d").metadata().unwrap().mtime(), 1);
    assert_eq!(root.metadata().unwrap().mtime(), 1);
}

#[test]
fn times_have_nanoseconds_and_may_be_before_1970() {
    let scratch = Scratch::new();
    let tar = Tar::new()
        .pax(&[("mtime", b"1234567890.123456789")])
        .file("new", b"")
        .pax(&[("mtime", b"-1.5")])
        .symlink("old", "new");
    let root = unpacked(&scratch, &tar.end());
    let (new, old) = (root.join("new").metadata().unwrap(), root.join("old").symlink_metadata().unwrap());
    assert_eq!((new.mtime(), new.mtime_nsec()), (1_234_567_890, 123_456_789));
    assert_eq!((old.mtime(), old.mtime_nsec()), (-2, 500_000_000));
}

#[test]
fn hard_links_are_one_file_also_when_the_link_comes_first() {
    let scratch = Scratch::new();
    let tar = Tar::new().hardlink("early", "d/file").file("d/file", b"x").hardlink("late", "/d/file");
    let root = unpacked(&scratch, &tar.end());
    let inode = root.join("d/file").metadata().unwrap().ino();
    assert_eq!(root.join("early").metadata().unwrap().ino(), inode);
    assert_eq!(root.join("late").metadata().unwrap().ino(), inode);
}

#[test]
fn a_hard_link_that_waits_is_superseded_by_a_later_entry_of_its_name() {
    let scratch = Scratch::new();
    let tar = Tar::new().hardlink("a", "b").file("a", b"own").file("b", b"other");
    let root = unpacked(&scratch, &tar.end());
    assert_eq!(text(root.join("a")), "own");
}

#[test]
fn names_of_every_format_and_length_are_read() {
    let scratch = Scratch::new();
    let long = |letter: &str| format!("{}/{}", letter.repeat(120), letter.repeat(120));
    let mut prefixed = Head::new(b'0', "name").size(1);
    prefixed.prefix = b"some/prefix".to_vec();
    let tar = Tar::new()
        .entry(&Head::new(b'0', "v7").magic(V7).size(1), b"x")
        .entry(&Head::new(0, "v7-directory/").magic(V7), b"")
        .entry(&prefixed, b"x")
        .entry(&Head::new(b'0', [b'n'; 100]).size(1), b"x")
        .long(b'L', long("g").as_bytes())
        .file("short", b"x")
        .pax(&[("path", long("p").as_bytes())])
        .file("short", b"x")
        .pax(&[("path", b"new\nline \xff")])
        .file("short", b"x")
        .long(b'K', long("g").as_bytes())
        .symlink("link", "short");
    let root = unpacked(&scratch, &tar.end());
    for name in ["v7", "some/prefix/name", &"n".repeat(100), &long("g"), &long("p")] {
        assert_eq!(text(root.join(name)), "x");
    }
    assert!(root.join("v7-directory").is_dir());
    assert_eq!(fs::read_link(root.join("link")).unwrap(), PathBuf::from(long("g")));
    assert!(!root.join("short").exists());
}

#[test]
fn holes_stay_holes_in_all_four_ways_to_write_them() {
    const SIZE: u64 = 1 << 30;
    let block = [b'x'; 512];
    let mut old = Head::new(b'S', "old").magic(GNU).size(512).block();
    old[386..398].copy_from_slice(b"00000000000\0");
    old[398..410].copy_from_slice(b"00000001000\0");
    old[410..422].copy_from_slice(b"10000000000\0");
    old[422..434].copy_from_slice(b"00000000000\0");
    old[483..495].copy_from_slice(b"10000000000\0");
    seal(&mut old);
    let mut tar = Tar(old.to_vec());
    tar.0.extend_from_slice(&block);
    let size = SIZE.to_string();
    let (size, map) = (size.as_bytes(), format!("0,512,{SIZE},0"));
    let tar = tar
        .pax(&[
            ("GNU.sparse.size", size),
            ("GNU.sparse.numblocks", b"2"),
            ("GNU.sparse.offset", b"0"),
            ("GNU.sparse.numbytes", b"512"),
            ("GNU.sparse.offset", size),
            ("GNU.sparse.numbytes", b"0"),
        ])
        .file("v00", &block)
        .pax(&[("GNU.sparse.size", size), ("GNU.sparse.map", map.as_bytes()), ("GNU.sparse.name", b"v01")])
        .file("GNUSparseFile.1/v01", &block)
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"v10"),
            ("GNU.sparse.realsize", size),
        ])
        .file("GNUSparseFile.1/v10", &{
            let mut data = format!("2\n0\n512\n{SIZE}\n0\n").into_bytes();
            data.resize(512, 0);
            data.extend_from_slice(&block);
            data
        });
    let scratch = Scratch::new();
    let root = unpacked(&scratch, &tar.end());
    for name in ["old", "v00", "v01", "v10"] {
        let meta = root.join(name).metadata().unwrap();
        assert_eq!(meta.len(), SIZE, "{name}");
        assert!(meta.blocks() * 512 < 1 << 20, "{name} has no holes");
        let mut start = [0; 600];
        std::os::unix::fs::FileExt::read_exact_at(&fs::File::open(root.join(name)).unwrap(), &mut start, 0)
            .unwrap();
        assert_eq!((&start[..512], &start[512..]), (&block[..], &[0; 88][..]), "{name}");
    }
}

#[test]
fn a_fifo_is_made_with_its_mode() {
    let scratch = Scratch::new();
    let root = unpacked(&scratch, &Tar::new().entry(&Head::new(b'6', "pipe").mode(0o640), b"").end());
    let meta = root.join("pipe").symlink_metadata().unwrap();
    assert!(meta.file_type().is_fifo());
    assert_eq!(meta.mode() & 0o7777, 0o640);
}

fn compressed(archive: &[u8], compression: &str) -> Vec<u8> {
    let mut out = Vec::new();
    match compression {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(&mut out, flate2::Compression::fast());
            encoder.write_all(archive).unwrap();
            encoder.finish().unwrap();
        }
        "xz" => {
            let mut encoder = liblzma::write::XzEncoder::new(&mut out, 0);
            encoder.write_all(archive).unwrap();
            encoder.finish().unwrap();
        }
        "zstd" => {
            let mut encoder = zstd::Encoder::new(&mut out, 1).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(archive).unwrap();
            encoder.finish().unwrap();
        }
        "bzip2" => {
            let mut encoder = bzip2::write::BzEncoder::new(&mut out, bzip2::Compression::fast());
            encoder.write_all(archive).unwrap();
            encoder.finish().unwrap();
        }
        "lz4" => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(&mut out);
            encoder.write_all(archive).unwrap();
            encoder.finish().unwrap();
        }
        other => panic!("{other}?"),
    }
    out
}

const COMPRESSIONS: [&str; 5] = ["gzip", "xz", "zstd", "bzip2", "lz4"];

/// Enough data, and irregular enough, to fill several chunks.
fn sample() -> (Vec<u8>, Vec<u8>) {
    let mut state = 1_u32;
    let data: Vec<u8> = (0..700_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8 & 0x3f
        })
        .collect();
    (Tar::new().file("data", &data).file("after", b"x").end(), data)
}

#[test]
fn a_compression_is_recognised_by_content() {
    let (archive, data) = sample();
    for compression in COMPRESSIONS {
        let scratch = Scratch::new();
        let root = unpacked(&scratch, &compressed(&archive, compression));
        assert!(fs::read(root.join("data")).unwrap() == data, "{compression}");
    }
}

#[test]
fn members_one_after_the_other_are_one_archive() {
    let (archive, data) = sample();
    for compression in COMPRESSIONS {
        let scratch = Scratch::new();
        let parts: Vec<u8> = archive.chunks(200_000).flat_map(|part| compressed(part, compression)).collect();
        let root = unpacked(&scratch, &parts);
        assert!(fs::read(root.join("data")).unwrap() == data, "{compression}");
    }
}

#[test]
fn zeros_after_the_compressed_data_fill_a_block_and_anything_else_is_damage() {
    let (archive, _) = sample();
    // zstd has no such padding, and its own tools refuse it
    for compression in COMPRESSIONS.into_iter().filter(|&one| one != "zstd") {
        let whole = compressed(&archive, compression);
        let padded = [&whole[..], &[0; 3 * 512]].concat();
        unpacked(&Scratch::new(), &padded);
        let scratch = Scratch::new();
        let garbage = [&whole[..], b"garbage, and enough of it"].concat();
        let outcome = scratch.feed(As::Caller, &garbage, &["-", "root"]);
        assert_eq!(outcome.code, Some(4), "{compression}: {outcome:?}");
        assert!(!outcome.stderr.contains("cut short"), "{compression}: {}", outcome.stderr);
        assert_eq!(scratch.left(), Vec::<String>::new(), "{compression}");
    }
}

#[test]
fn damage_of_compressed_data_is_noticed_and_leaves_nothing() {
    let (archive, _) = sample();
    for compression in COMPRESSIONS {
        let whole = compressed(&archive, compression);
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0x10;
        for damaged in [&whole[..whole.len() / 2], &flipped] {
            // lz4's own checksums are optional; without them, only the data themselves can show an error
            if compression == "lz4" && damaged.len() == whole.len() {
                continue;
            }
            let scratch = Scratch::new();
            let outcome = scratch.feed(As::Caller, damaged, &["-", "root"]);
            assert_eq!(outcome.code, Some(4), "{compression}: {outcome:?}");
            assert_eq!(outcome.stderr.lines().count(), 1, "{compression}: {outcome:?}");
            assert_eq!(scratch.left(), Vec::<String>::new(), "{compression}");
        }
    }
}

#[test]
fn a_checksum_after_the_end_of_the_archive_is_still_checked() {
    let (archive, _) = sample();
    let mut gzip = compressed(&archive, "gzip");
    let crc = gzip.len() - 8;
    gzip[crc] ^= 1;
    let scratch = Scratch::new();
    let outcome = scratch.feed(As::Caller, &gzip, &["-", "root"]);
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    assert_eq!(scratch.left(), Vec::<String>::new());
}

#[test]
fn devices_are_left_out_and_counted_in_one_line() {
    let scratch = Scratch::new();
    let device = |name| Head { device: (1, 3), ..Head::new(b'3', name) };
    let tar = Tar::new().entry(&device("null"), b"").entry(&device("zero"), b"").file("a", b"");
    let outcome = scratch.feed(As::Caller, &tar.end(), &["-", "root"]);
    assert_eq!(
        outcome.stderr,
        "rootfs-fetch: 2 device nodes skipped: chroot-rs mounts a /dev; as root, --devices creates them\n\
         rootfs-fetch: root: 1 file, 0 B\n"
    );
}

#[test]
fn what_was_made_is_said_in_the_last_line() {
    let scratch = Scratch::new();
    let outcome =
        scratch.feed(As::Caller, &Tar::new().file("a", &[0; 12_345]).file("b", b"").end(), &["-", "root"]);
    assert_eq!(outcome.stderr, "rootfs-fetch: root: 2 files, 12 kB\n");
}

#[test]
fn what_is_shorter_than_a_header_is_no_archive() {
    let scratch = Scratch::new();
    let not_tar = "this is not a tar archive, plain or compressed with gzip, xz, zstd, bzip2, lz4 or lzip";
    for (data, said) in
        [(b"hello\n".to_vec(), not_tar), (compressed(b"hello\n", "gzip"), not_tar), (vec![0; 100], not_tar)]
    {
        for how in ["-q", "--into", "--dry-run"] {
            let outcome = scratch.feed(As::Caller, &data, &[how, "-", "root"]);
            assert_eq!(outcome.stderr, format!("rootfs-fetch: {said}\n"), "{how}");
            assert_eq!(outcome.code, Some(4));
        }
        assert_eq!(scratch.left(), Vec::<String>::new());
    }
}

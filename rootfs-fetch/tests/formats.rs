//! The contents of an archive determine its format, never its name.
#![cfg(test)]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;

use tests::fetch::{As, Scratch, shell, text};
use tests::tar::{GNU, Head, Tar, seal};

fn unpacked(archive: &[u8], args: &[&str]) -> Scratch {
    let scratch = Scratch::new();
    let outcome = scratch.feed(As::Caller, archive, &[args, &["-q", "-", "root"]].concat());
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    scratch
}

fn file(scratch: &Scratch, name: &str) -> String {
    text(scratch.work().join("root").join(name))
}

#[test]
fn a_first_name_that_looks_like_another_format_is_a_name() {
    for name in ["070724-rootfs", "<html>", "BZh9", "PK\x03\x04", "hsqs", "LZIP", "]\u{1}"] {
        assert_eq!(file(&unpacked(&Tar::new().file(name, b"x").end(), &[]), name), "x");
    }
}

/// A skippable frame of lz4 and zstd, with `length` bytes.
fn skippable(length: usize) -> Vec<u8> {
    let mut frame = vec![0x50, 0x2a, 0x4d, 0x18];
    frame.extend(u32::try_from(length).unwrap().to_le_bytes());
    frame.resize(8 + length, b's');
    frame
}

fn lz4(data: &[u8]) -> Vec<u8> {
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    lz4.write_all(data).unwrap();
    lz4.finish().unwrap()
}

#[test]
fn skippable_frames_are_passed_over_before_between_and_behind_others() {
    let tar = Tar::new().file("a", b"x").end();
    let (one, other) = tar.split_at(700);
    let zstd = |data: &[u8]| zstd::encode_all(data, 3).unwrap();
    for packed in [
        [skippable(3), skippable(1000), lz4(&tar)].concat(),
        // enough to overflow a stack if each had its own decoder
        [skippable(0).repeat(200_000), lz4(&tar)].concat(),
        [lz4(one), skippable(3), lz4(other), skippable(600)].concat(),
        [skippable(1000), zstd(&tar)].concat(),
        [zstd(one), skippable(3), zstd(other), skippable(600)].concat(),
    ] {
        assert_eq!(file(&unpacked(&packed, &[]), "a"), "x");
    }
}

#[test]
fn a_window_of_zstd_may_be_larger_than_its_tools_take_by_default() {
    let tar = Tar::new().file("a", b"x").file("b", &vec![b'z'; 1 << 20]).end();
    let mut zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
    zstd.window_log(28).unwrap();
    zstd.include_contentsize(false).unwrap();
    zstd.write_all(&tar).unwrap();
    assert_eq!(file(&unpacked(&zstd.finish().unwrap(), &[]), "a"), "x");
}

#[test]
fn the_forms_of_lzma_before_xz_are_read() {
    let tar = Tar::new().file("a", b"x").end();
    let options = liblzma::stream::LzmaOptions::new_preset(6).unwrap();
    let encoder = liblzma::stream::Stream::new_lzma_encoder(&options).unwrap();
    let mut lzma = liblzma::write::XzEncoder::new_stream(Vec::new(), encoder);
    lzma.write_all(&tar).unwrap();
    assert_eq!(file(&unpacked(&lzma.finish().unwrap(), &[]), "a"), "x");
    assert_eq!(file(&unpacked(&lzip(&tar), &[]), "a"), "x");
}

/// A member of lzip around the LZMA stream of a `.lzma` file: the lzip manual, "File format".
fn lzip(data: &[u8]) -> Vec<u8> {
    let options = liblzma::stream::LzmaOptions::new_preset(6).unwrap();
    let encoder = liblzma::stream::Stream::new_lzma_encoder(&options).unwrap();
    let mut lzma = liblzma::write::XzEncoder::new_stream(Vec::new(), encoder);
    lzma.write_all(data).unwrap();
    let stream = lzma.finish().unwrap();
    // a dictionary of 8 MiB; the header of .lzma has 13 bytes, and its stream an end mark
    let mut member = b"LZIP\x01\x17".to_vec();
    member.extend(&stream[13..]);
    member.extend(crc32(data).to_le_bytes());
    member.extend((data.len() as u64).to_le_bytes());
    let size = member.len() as u64 + 8;
    member.extend(size.to_le_bytes());
    member
}

fn crc32(data: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    crc.sum()
}

#[test]
fn what_compress_packed_has_a_hint_that_works() {
    let scratch = Scratch::new();
    let outcome = scratch.feed(As::Caller, b"\x1f\x9d\x90rest", &["-", "root"]);
    let lines = "rootfs-fetch: this archive is compressed with compress(1), which is not supported\n\
        rootfs-fetch: hint: decompress it with gzip: zcat ARCHIVE.Z | rootfs-fetch - DIRECTORY\n";
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(4), lines));
}

/// The line that names the format, and the hint.
fn refused(what: &[u8]) -> (String, String) {
    let scratch = Scratch::new();
    let outcome = scratch.feed(As::Caller, what, &["-", "root"]);
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    let (line, hint) = outcome.stderr.split_once("rootfs-fetch: hint: ").unwrap_or((&outcome.stderr, ""));
    let line = line
        .strip_prefix("rootfs-fetch: this is ")
        .and_then(|line| line.strip_suffix("; expected a tar archive\n"));
    (line.unwrap_or_default().to_owned(), hint.to_owned())
}

#[test]
fn what_people_take_for_an_archive_is_named() {
    let zeros = |length: usize, magic: &[u8]| [&vec![0; length], magic, &[0; 600]].concat();
    for (bytes, name, hint) in [
        (&b"\x7fELF\x02"[..], "a program", ""),
        (b"#!/bin/sh\n", "a script", ""),
        (b"-----BEGIN PGP SIGNATURE-----", "a signature or a key", ""),
        (b"{\"errors\":[]}", "a JSON document", "check the URL"),
        (b"<!DOCTYPE html>", "an HTML or XML document", "check the URL"),
        (b"Rar!\x1a\x07\x01", "a RAR archive", "bsdtar -cf - @ARCHIVE"),
        (b"vhdxfile", "a VHDX disk image", "virt-tar-out(1)"),
        (&zeros(510, b"\x55\xaa")[..], "a disk image", "virt-tar-out(1)"),
        (&zeros(0x438, b"\x53\xef"), "an ext4 file system image", "mount -o loop,ro IMAGE /mnt"),
        (&zeros(0x400, b"\xe2\xe1\xf5\xe0"), "an EROFS image", "mount -o loop,ro IMAGE /mnt"),
    ] {
        let (found, said) = refused(bytes);
        assert_eq!(found, name);
        assert!(said.contains(hint) && hint.is_empty() == said.is_empty(), "{name}: {said}");
    }
}

mod peers {
    use super::*;

    #[test]
    #[ignore = "needs bsdtar"]
    fn what_bsdtar_reads_has_a_hint_that_works() {
        for (format, name) in [("zip", "a zip archive"), ("7zip", "a 7z archive"), ("newc", "a cpio archive")]
        {
            let scratch = Scratch::new();
            shell(&scratch, "mkdir tree && echo x >tree/a");
            shell(&scratch, &format!("bsdtar --format {format} -C tree -cf packed a"));
            let (found, hint) = refused(&fs::read(scratch.work().join("packed")).unwrap());
            assert_eq!(found, name);
            let line = hint.split('\'').nth(1).expect("a command").replace("@ARCHIVE", "@packed");
            let (convert, ours) = line.split_once(" | ").expect("a pipeline");
            assert_eq!(ours, "rootfs-fetch - DIRECTORY");
            shell(&scratch, &format!("{convert} >converted.tar"));
            let converted = fs::read(scratch.work().join("converted.tar")).unwrap();
            assert_eq!(file(&unpacked(&converted, &[]), "a"), "x\n");
        }
    }
}

#[test]
fn a_prefix_that_old_go_wrote_into_a_header_of_gnus_is_one() {
    let with_prefix = |prefix: &[u8]| {
        let mut block = Head::new(b'0', "name").magic(GNU).size(1).block();
        block[345..345 + prefix.len()].copy_from_slice(prefix);
        seal(&mut block);
        let mut tar = block.to_vec();
        tar.extend(b"x");
        tar.resize(1024 + 1024, 0);
        tar
    };
    assert_eq!(file(&unpacked(&with_prefix(b"some/long/directory"), &[]), "some/long/directory/name"), "x");
    // times, and bytes that are not ASCII, are not a prefix
    for times in [&b"14732754236\x0014732754236\x00"[..], b"caf\xc3\xa9"] {
        assert_eq!(file(&unpacked(&with_prefix(times), &[]), "name"), "x");
    }
}

#[test]
fn a_size_behind_several_nuls_is_refused_for_readers_differ() {
    let scratch = Scratch::new();
    let with_size = |field: &[u8; 12]| {
        let mut block = Head::new(b'0', "a").block();
        block[124..136].copy_from_slice(field);
        seal(&mut block);
        [block.to_vec(), vec![b'x'; 512], vec![0; 1024]].concat()
    };
    let wrong = scratch.feed(As::Caller, &with_size(b"\x00\x00000001000\x00"), &["-", "root"]);
    assert_eq!(wrong.code, Some(4), "{wrong:?}");
    assert!(wrong.stderr.contains("the size in a header is not a number"), "{wrong:?}");
    // one NUL is skipped, as by GNU tar
    let scratch = unpacked(&with_size(b"\x0000000001000"), &[]);
    assert_eq!(scratch.work().join("root/a").metadata().unwrap().len(), 512);
}

#[test]
fn stars_own_map_of_holes_is_read() {
    let mut block = Head::new(b'S', "holes").size(512).block();
    block[508..512].copy_from_slice(b"tar\0");
    block[356..368].copy_from_slice(b"00000100000\0");
    block[368..380].copy_from_slice(b"00000001000\0");
    block[452..464].copy_from_slice(b"00000200000\0");
    seal(&mut block);
    let tar = [block.to_vec(), vec![b'x'; 512], vec![0; 1024]].concat();
    let scratch = unpacked(&tar, &[]);
    let data = fs::read(scratch.work().join("root/holes")).unwrap();
    assert_eq!(data.len(), 0o200_000);
    assert!(data[..0o100_000].iter().all(|byte| *byte == 0) && data[0o100_000..0o101_000] == [b'x'; 512]);
}

#[test]
fn names_of_attributes_are_read_as_gnu_tar_and_libarchive_write_them() {
    let tar = Tar::new()
        .pax(&[("SCHILY.xattr.user.100%25", b"1"), ("SCHILY.xattr.user.a%3Db%41", b"2")])
        .file("gnu", b"x")
        .pax(&[("LIBARCHIVE.xattr.user.%6Bey", b"dmFsdWU")])
        .file("bsd", b"x");
    let scratch = unpacked(&tar.end(), &[]);
    let value = |name: &str, attribute: &str| {
        let mut value = [0; 64];
        let path = scratch.work().join("root").join(name);
        let length = rustix::fs::getxattr(&path, attribute, &mut value).unwrap_or_else(|why| panic!("{why}"));
        String::from_utf8(value[..length].to_vec()).unwrap()
    };
    assert_eq!(value("gnu", "user.100%"), "1");
    assert_eq!(value("gnu", "user.a=b%41"), "2");
    assert_eq!(value("bsd", "user.key"), "value");
}

#[test]
fn zeros_become_holes_when_asked_for_and_contents_stay() {
    const SIZE: usize = 1 << 20;
    let mut data = vec![0; SIZE + 123];
    data[300_000] = b'x';
    let tar = Tar::new().file("log", &data).file("short", &[0; 100]).file("full", &vec![b'y'; SIZE]).end();
    for (args, holes) in [(&["--sparse"][..], true), (&[][..], false)] {
        let scratch = unpacked(&tar, args);
        let root = scratch.work().join("root");
        assert!(fs::read(root.join("log")).unwrap() == data);
        assert!(fs::read(root.join("short")).unwrap() == [0; 100]);
        assert!(fs::read(root.join("full")).unwrap() == vec![b'y'; SIZE]);
        let blocks = root.join("log").metadata().unwrap().blocks() * 512;
        assert_eq!(blocks < SIZE as u64 / 2, holes, "{blocks}");
    }
}

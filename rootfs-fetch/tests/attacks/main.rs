//! Archives that try to leave the root, to confuse, or to exhaust; each is named after its trick and built
//! here byte by byte. For each user, and with or without openat2(2): nothing around the target changes, a
//! refusal is one line with exit code 4, and it leaves nothing behind.
#![cfg(test)]
mod images;
mod trial;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use tests::fetch::{As, Scratch, is_root};
use tests::tar::{GNU, Head, Tar, V7, seal};
use trial::{Confined, Refused, attack, attack_with};

fn text(root: &Path, name: &str) -> String {
    let path = root.join(name);
    assert!(!path.is_symlink(), "{name} is a link");
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A test for each archive: its name, its contents, and the expected result.
macro_rules! attacks {
    ($($name:ident: $tar:expr => $taken:expr;)*) => {
        $(#[test] fn $name() { attack(&$tar, &$taken); })*
    };
}

fn outside() -> String {
    // two levels up from root/, and more from below: `..` must stop at the root at every depth
    "../../../../../../../../../../../../../../../../../../../../tmp".into()
}

attacks! {
    a_name_that_climbs_out: Tar::new().file("../climbed", b"x").end() => Refused("leads out of the archive");
    a_name_that_climbs_from_below: Tar::new().dir("a", 0o755).file("a/../../climbed", b"x").end()
        => Refused("leads out of the archive");
    a_name_that_climbs_and_stays: Tar::new().dir("a", 0o755).file("a/../b", b"x").end()
        => Refused("leads out of the archive");
    a_directory_named_dot_dot: Tar::new().dir("..", 0o777).end() => Refused("leads out of the archive");
    a_name_that_climbs_in_a_pax_header: Tar::new().pax(&[("path", b"../climbed")]).file("harmless", b"x").end()
        => Refused("leads out of the archive");
    a_name_that_climbs_in_a_gnu_long_name: Tar::new().long(b'L', b"../climbed").file("harmless", b"x").end()
        => Refused("leads out of the archive");
    a_name_that_climbs_in_a_ustar_prefix: {
        let mut head = Head::new(b'0', "climbed");
        head.prefix = b"..".to_vec();
        Tar::new().entry(&head, b"").end()
    } => Refused("leads out of the archive");
    a_name_that_climbs_in_a_sparse_name: Tar::new()
        .pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.name", b"../x"), ("GNU.sparse.realsize", b"0")])
        .entry(&Head::new(b'0', "harmless").size(512), b"0\n").end() => Refused("leads out of the archive");
    an_absolute_name: Tar::new().file("/tmp/absolute", b"mine").end()
        => Confined(|root| assert_eq!(text(root, "tmp/absolute"), "mine"));
    an_absolute_name_with_many_slashes: Tar::new().file("////tmp//absolute", b"mine").end()
        => Confined(|root| assert_eq!(text(root, "tmp/absolute"), "mine"));

    a_symlink_that_climbs_then_a_file_below_it: Tar::new().symlink("out", outside()).file("out/through", b"x").end()
        => Confined(|root| assert_eq!(text(root, "tmp/through"), "x"));
    an_absolute_symlink_then_a_file_below_it: Tar::new().symlink("out", "/tmp").file("out/through", b"x").end()
        => Confined(|root| assert_eq!(text(root, "tmp/through"), "x"));
    a_symlink_to_the_parent_then_a_file_below_it: Tar::new().symlink("up", "..").file("up/through", b"x").end()
        => Confined(|root| assert_eq!(text(root, "through"), "x"));
    a_symlink_to_the_outside_directory_then_a_file_below_it: Tar::new()
        .symlink("out", "../../outside").file("out/secret", b"overwritten").end()
        => Confined(|root| assert_eq!(text(root, "outside/secret"), "overwritten"));
    a_chain_of_symlinks_that_climbs: Tar::new()
        .dir("a", 0o755).dir("a/b", 0o755).symlink("a/b/up", "../..").symlink("a/b/more", "up/..").file("a/b/more/x", b"x").end()
        => Confined(|root| assert_eq!(text(root, "x"), "x"));
    a_symlink_to_a_symlink_that_climbs: Tar::new()
        .symlink("one", "two/..").symlink("two", "../..").file("one/x", b"x").end()
        => Confined(|root| assert_eq!(text(root, "x"), "x"));
    a_symlink_then_a_file_of_the_same_name: Tar::new()
        .symlink("out", "../../outside/secret").file("out", b"mine").end()
        => Confined(|root| assert_eq!(text(root, "out"), "mine"));
    a_symlink_then_a_directory_of_the_same_name: Tar::new()
        .symlink("out", "../../outside/directory").dir("out", 0o777).file("out/x", b"x").end()
        => Confined(|root| assert_eq!(text(root, "out/x"), "x"));
    a_symlink_then_a_directory_with_a_trailing_slash: Tar::new()
        .symlink("out", "../../outside/directory").dir("out/", 0o777).end()
        => Confined(|root| assert!(root.join("out").symlink_metadata().unwrap().is_dir()));
    a_directory_replaced_by_a_symlink_before_its_mode_is_set: Tar::new()
        .dir("victim", 0o777).symlink("victim", "../../outside/directory").end()
        => Confined(|root| assert!(root.join("victim").is_symlink()));
    a_directory_replaced_by_a_symlink_then_filled: Tar::new()
        .dir("d", 0o755).file("d/x", b"1").symlink("d", "/tmp").file("d/y", b"2").end()
        => Confined(|root| assert_eq!(text(root, "tmp/y"), "2"));
    a_directory_whose_parent_becomes_a_symlink: Tar::new()
        .dir("d", 0o755).dir("d/directory", 0o700).symlink("d", "../../outside").end()
        => Confined(|root| assert!(root.join("d").is_symlink()));
    a_symlink_then_a_symlink_of_the_same_name: Tar::new()
        .symlink("l", "../../outside").symlink("l/x", "y").symlink("l", "z").end()
        => Confined(|root| assert_eq!(fs::read_link(root.join("l")).unwrap(), Path::new("z")));
    a_symlink_then_a_fifo_of_the_same_name: Tar::new().symlink("l", "../../outside/secret").fifo("l").end()
        => Confined(|root| assert!(!root.join("l").is_symlink()));
    a_symlink_loop_on_the_way: Tar::new().symlink("a", "b").symlink("b", "a").file("a/x", b"x").end()
        => Refused("(ELOOP)");
    a_symlink_to_itself_on_the_way: Tar::new().symlink("a", "a").file("a/x", b"x").end() => Refused("(ELOOP)");
    a_symlink_to_proc_self_root: Tar::new().symlink("out", "/proc/self/root/tmp").file("out/x", b"x").end()
        => Confined(|root| assert_eq!(text(root, "proc/self/root/tmp/x"), "x"));
    a_symlink_to_proc_self_cwd: Tar::new().symlink("out", "/proc/self/cwd/..").file("out/x", b"x").end()
        => Confined(|root| assert_eq!(text(root, "proc/self/x"), "x"));
    a_symlink_to_an_open_descriptor: Tar::new().symlink("out", "/dev/fd/3").file("out/x", b"x").end()
        => Confined(|root| assert_eq!(text(root, "dev/fd/3/x"), "x"));
    a_symlink_to_nothing: Tar::new().symlink("empty", "").end() => Refused("a symbolic link without a target");
    a_symlink_target_that_is_too_long: Tar::new().long(b'K', &[b'a'; 5000]).symlink("l", "").end()
        => Refused("File name too long (ENAMETOOLONG)");

    a_hard_link_to_an_absolute_path: Tar::new().hardlink("stolen", "/etc/passwd").end()
        => Refused("is not in the archive");
    a_hard_link_that_climbs: Tar::new().hardlink("stolen", "../../outside/secret").end()
        => Refused("leads out of the archive");
    a_hard_link_through_a_symlink: Tar::new().symlink("out", "../../outside").hardlink("stolen", "out/secret").end()
        => Refused("is not in the archive");
    a_hard_link_to_a_symlink_then_a_write_through_it: Tar::new()
        .symlink("l", "../../outside/secret").hardlink("h", "l").file("h", b"mine").end()
        => Confined(|root| assert_eq!(text(root, "h"), "mine"));
    a_hard_link_then_a_file_of_the_same_name: Tar::new()
        .file("a", b"first").hardlink("b", "a").file("b", b"second").end()
        => Confined(|root| { assert_eq!(text(root, "a"), "first"); assert_eq!(text(root, "b"), "second"); });
    a_hard_link_to_a_directory: Tar::new().dir("d", 0o755).hardlink("h", "d").end()
        => Refused("a hard link to the directory");
    a_hard_link_to_itself: Tar::new().file("a", b"x").hardlink("a", "a").end()
        => Confined(|root| assert_eq!(text(root, "a"), "x"));
    a_hard_link_to_itself_that_never_was: Tar::new().hardlink("a", "b").hardlink("b", "a").end()
        => Refused("is not in the archive");
    a_hard_link_to_the_root: Tar::new().hardlink("a", ".").end() => Refused("a hard link to DIRECTORY itself");
    a_hard_link_whose_pax_target_climbs: Tar::new().pax(&[("linkpath", b"../../outside/secret")]).hardlink("a", "b").end()
        => Refused("leads out of the archive");
    a_hard_link_that_claims_contents: Tar::new()
        .file("a", b"a").entry(&Head::new(b'1', "b").link("a").size(1024), b"").file("c", b"c").end()
        => Confined(|root| { assert_eq!(text(root, "b"), "a"); assert_eq!(text(root, "c"), "c"); });

    a_root_that_is_a_file: Tar::new().file(".", b"x").end() => Refused("DIRECTORY itself");
    a_root_that_is_a_symlink: Tar::new().symlink("./", "/tmp").end() => Refused("DIRECTORY itself");
    a_root_that_is_a_hard_link: Tar::new().file("a", b"x").hardlink(".", "a").end() => Refused("DIRECTORY itself");
    an_empty_name: Tar::new().file("", b"x").end() => Refused("DIRECTORY itself");
    a_name_of_slashes: Tar::new().file("///", b"").end() => Confined(|root| assert!(root.is_dir()));
    a_name_with_nul: Tar::new().pax(&[("path", b"a\0b")]).file("x", b"x").end() => Refused("contains NUL");
    a_part_of_a_name_that_is_too_long: Tar::new().pax(&[("path", &[b'a'; 300])]).file("x", b"x").end()
        => Refused("File name too long (ENAMETOOLONG)");
    a_name_of_too_many_parts: Tar::new().pax(&[("path", &b"a/".repeat(5000))]).dir("x", 0o755).end()
        => Refused("5000 parts");
    a_file_below_a_file: Tar::new().file("a", b"x").file("a/b", b"x").end() => Refused("Not a directory (ENOTDIR)");

    a_directory_replaced_by_a_file: Tar::new().dir("d", 0o700).file("d/x", b"x").file("d", b"file").end()
        => Confined(|root| assert_eq!(text(root, "d"), "file"));
    a_directory_of_mode_0_with_a_file: Tar::new().dir("d", 0).file("d/x", b"x").dir("d", 0o755).end()
        => Confined(|root| assert_eq!(text(root, "d/x"), "x"));
    a_set_id_program_of_root: Tar::new().entry(&Head::new(b'0', "su").mode(0o4755), b"").end()
        => Confined(|root| {
            let meta = root.join("su").metadata().unwrap();
            // root's own file keeps the bits; another owner's would run as that owner
            assert_eq!(meta.mode() & 0o7000 != 0, meta.uid() == 0);
        });
    a_device_node: Tar::new().entry(&Head { device: (8, 0), ..Head::new(b'4', "sda").mode(0o666) }, b"").end()
        => Confined(|root| assert!(!root.join("sda").exists()));
    a_device_node_over_a_symlink: Tar::new()
        .symlink("null", "../../outside/secret").entry(&Head { device: (1, 3), ..Head::new(b'3', "null") }, b"").end()
        => Confined(|root| assert!(root.join("null").symlink_metadata().is_err()));

    a_pax_size_that_hides_an_archive: {
        // CVE-2025-62518: a parser that believes the header's size sees the inner archive
        let inner = Tar::new().file("../smuggled", b"x").0;
        let size = inner.len().to_string();
        Tar::new().pax(&[("size", size.as_bytes())]).entry(&Head::new(b'0', "outer").size(0), &inner).end()
    } => Confined(|root| assert_eq!(root.join("outer").metadata().unwrap().len(), 1024));
    a_global_header_between_a_pax_header_and_its_entry: {
        let inner = Tar::new().file("../smuggled", b"x").0;
        let size = inner.len().to_string();
        Tar::new().pax(&[("size", size.as_bytes())]).global(&[("comment", b"x")])
            .entry(&Head::new(b'0', "outer").size(0), &inner).end()
    } => Confined(|root| assert_eq!(root.join("outer").metadata().unwrap().len(), 1024));
    a_global_header_with_a_name: Tar::new().global(&[("path", b"../x"), ("size", b"7")]).file("a", b"abc").end()
        => Confined(|root| assert_eq!(text(root, "a"), "abc"));
    a_directory_with_a_size: {
        // POSIX: no contents follow; a parser that skips some misses the next entry
        Tar::new().entry(&Head::new(b'5', "d").size(512), b"").file("seen", b"x").end()
    } => Confined(|root| assert_eq!(text(root, "seen"), "x"));
    a_directory_whose_contents_are_an_entry: Tar::new()
        .entry(&Head::new(b'5', "d").size(512), &Head::new(b'0', "../smuggled").block()).end()
        => Refused("leads out of the archive");
    a_directory_by_its_name_with_contents: Tar::new()
        .entry(&Head::new(b'0', "d/").size(512), &Head::new(b'0', "smuggled").block()).end()
        => Refused("it has a directory's name, but also contents");
    a_file_whose_long_name_makes_it_a_directory: Tar::new()
        // CVE-2025-13462: a parser that looks only at the short name sees contents here
        .long(b'L', b"d/").entry(&Head::new(0, "d").size(512), &Head::new(b'0', "smuggled").block()).end()
        => Refused("it has a directory's name, but also contents");
    a_symlink_with_contents: Tar::new()
        .entry(&Head::new(b'2', "l").link("x").size(512), &[b'x'; 512]).end() => Refused("checksum of a header is wrong");
    a_fifo_with_a_pax_size: Tar::new().pax(&[("size", b"512")]).fifo("p").file("seen", b"x").end()
        => Confined(|root| assert_eq!(text(root, "seen"), "x"));
    two_pax_headers_for_one_entry: Tar::new().pax(&[("path", b"a")]).pax(&[("path", b"b")]).file("c", b"x").end()
        => Refused("two headers of one kind");
    two_long_names_for_one_entry: Tar::new().long(b'L', b"a").long(b'L', b"b").file("c", b"x").end()
        => Refused("two headers of one kind");
    a_pax_record_that_is_longer_than_its_header: Tar::new()
        .entry(&Head::new(b'x', "pax").size(10), b"99 path=a\n").file("c", b"x").end() => Refused("malformed record");
    a_pax_record_of_length_zero: Tar::new()
        .entry(&Head::new(b'x', "pax").size(9), b"0 path=a\n").file("c", b"x").end() => Refused("malformed record");
    a_pax_size_that_is_negative: Tar::new().pax(&[("size", b"-1")]).file("c", b"x").end() => Refused("is malformed");
    a_pax_size_that_overflows: Tar::new().pax(&[("size", b"18446744073709551616")]).file("c", b"x").end()
        => Refused("is malformed");
    a_pax_size_near_the_end_of_64_bits: Tar::new().pax(&[("size", b"18446744073709551615")]).file("c", b"x").end()
        => Refused("out of range");
    a_pax_header_of_six_gigabytes: {
        let mut head = Head::new(b'x', "pax");
        head.size = b"60000000000\0".to_vec();
        Tar::new().entry(&head, b"").end()
    } => Refused("claim more than 1048576 bytes");
    a_long_name_of_six_gigabytes: {
        let mut head = Head::new(b'L', "././@LongLink").magic(GNU);
        head.size = b"60000000000\0".to_vec();
        Tar::new().entry(&head, b"").end()
    } => Refused("claim more than 1048576 bytes");
    headers_without_end: {
        let mut tar = Tar::new();
        for _ in 0..3000 {
            tar = tar.global(&[("comment", b"again")]);
        }
        tar.file("a", b"x").end()
    } => Refused("claim more than 1048576 bytes");
    a_header_that_describes_nothing: Tar::new().pax(&[("path", b"a")]).end() => Confined(|root| assert!(!root.join("a").exists()));

    a_size_in_base_256_that_is_negative: {
        let mut head = Head::new(b'0', "a");
        head.size = vec![0xff; 12];
        Tar::new().entry(&head, b"").end()
    } => Refused("negative size");
    a_size_in_base_256_that_wraps_to_zero: {
        let mut head = Head::new(b'0', "a");
        head.size = vec![0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        Tar::new().entry(&head, b"").end()
    } => Refused("out of range");
    a_size_that_is_no_number: {
        let mut head = Head::new(b'0', "a");
        head.size = b"0000000000x\0".to_vec();
        Tar::new().entry(&head, b"").end()
    } => Refused("is not a number");
    a_size_beyond_the_end: Tar::new().entry(&Head::new(b'0', "a").size(1 << 32), b"x").end() => Refused("cut short");
    a_checksum_that_is_wrong: {
        let mut tar = Tar::new().file("a", b"x").file("b", b"x").0;
        tar[1024] ^= 1;
        tar
    } => Refused("checksum of a header is wrong");
    an_archive_without_its_end: Tar::new().file("a", b"x").0 => Refused("end mark is missing");
    an_archive_cut_in_a_header: Tar::new().file("a", b"x").file("b", b"y").0[..1300] => Refused("cut short");
    an_archive_cut_in_a_file: Tar::new().file("a", &[7; 4000]).0[..2048] => Refused("cut short");
    an_archive_that_is_empty: Vec::new() => Refused("the archive is empty");
    an_archive_that_is_text: b"#!/bin/sh\nrm -rf /\n".repeat(100) => Refused("this is a script; expected a tar archive");
    an_archive_after_the_end_of_the_archive: {
        let mut tar = Tar::new().file("a", b"x").end();
        tar.extend(Tar::new().file("../b", b"x").end());
        tar
    } => Confined(|root| assert_eq!(root.read_dir().unwrap().count(), 1));
    one_volume_of_several: Tar::new().entry(&Head::new(b'M', "a").magic(GNU), b"").end() => Refused("one volume");
    an_entry_of_unknown_type: Tar::new().entry(&Head::new(b'Z', "a").size(1), b"x").end()
        => Confined(|root| assert_eq!(text(root, "a"), "x"));
    a_long_name_without_a_format: {
        // POSIX has no such type, but every parser accepts it like this
        let data = b"../x\0";
        Tar::new().entry(&Head::new(b'L', "n").magic(V7).size(data.len() as u64), data).file("a", b"x").end()
    } => Refused("leads out of the archive");

    a_sparse_file_that_overlaps: sparse("2\n0\n512\n256\n512\n", "1024", 1024) => Refused("out of order");
    a_sparse_file_that_overflows: sparse("1\n18446744073709551615\n2\n", "10", 2) => Refused("overflows");
    a_sparse_file_that_leaves_itself: sparse("1\n4096\n512\n", "100", 512) => Refused("exceeds the file");
    a_sparse_file_of_too_many_parts: sparse("4000000000\n", "100", 0) => Refused("parts");
    a_sparse_file_whose_contents_are_missing: sparse("1\n0\n1024\n", "1024", 512) => Refused("does not fit its contents");
    a_sparse_file_larger_than_a_file_can_be: sparse("0\n", "9223372036854775808", 0) => Refused("exceeds the file");
    a_sparse_map_that_never_ends: sparse("1\n0", "10", 0) => Refused("sparse file");
    a_sparse_file_of_a_terabyte_that_is_a_hole: sparse("0\n", "1099511627776", 0)
        => Confined(|root| {
            let meta = root.join("holes").metadata().unwrap();
            assert_eq!((meta.len(), meta.blocks() < 100), (1 << 40, true));
        });
    an_old_sparse_file_that_overlaps: {
        let mut block = Head::new(b'S', "s").magic(GNU).size(1024).block();
        for (at, value) in [(386, 0), (398, 512), (410, 256), (422, 512), (483, 4096)] {
            block[at..at + 12].copy_from_slice(format!("{value:011o}\0").as_bytes());
        }
        seal(&mut block);
        let mut tar = block.to_vec();
        tar.resize(512 + 1024 + 1024, 0);
        tar
    } => Refused("out of order");
    more_attributes_than_a_file_can_have: {
        let names: Vec<String> = (0..5000).map(|number| format!("SCHILY.xattr.user.{number}")).collect();
        let records: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
        Tar::new().pax(&records).file("a", b"").end()
    } => Refused("more than 4096 extended attributes");
    an_attribute_too_large_for_most_file_systems:
        Tar::new().pax(&[("SCHILY.xattr.user.large", &[b'x'; 60_000])]).file("a", b"contents").end()
        => Confined(|root| assert_eq!(text(root, "a"), "contents"));
    a_link_that_goes_up_and_down_and_up: {
        let down = ["d"; 100].join("/");
        let mut tar = Tar::new().pax(&[("path", down.as_bytes())]).dir("d", 0o755);
        // each time down, and up again, above the root
        let there_and_back = format!("{down}{}", "/..".repeat(110));
        tar = tar.pax(&[("linkpath", [there_and_back.as_str(); 7].join("/").as_bytes())]).symlink("up", "x");
        for number in 0..20 {
            tar = tar.file(format!("up/{number}/x"), b"inside");
        }
        tar.end()
    } => Confined(|root| assert_eq!(text(root, "19/x"), "inside"));
    hard_links_that_wait_for_ever: {
        let far = ["w"; 250].concat();
        let target = [far.as_str(); 1000].join("/");
        let mut tar = Tar::new();
        for number in 0..70 {
            tar = tar.pax(&[("linkpath", target.as_bytes())]).hardlink(format!("{number}"), "x");
        }
        tar.end()
    } => Refused("too many hard links come before what they name");
}

/// Archives without an end mark, whose compression says that nothing is missing.
mod without_an_end {
    use super::*;

    attacks! {
        a_name_that_climbs_in_the_last_entry: gzip(Tar::new().file("a", b"x").file("../climbed", b"x"))
            => Refused("leads out of the archive");
        a_file_through_a_link_as_the_last_entry: gzip(Tar::new().symlink("out", "../../outside").file("out/secret", b"mine"))
            => Confined(|root| assert_eq!(text(root, "outside/secret"), "mine"));
        contents_that_end_before_their_size: gzip(Tar::new().entry(&Head::new(b'0', "a").size(9999), b"x"))
            => Refused("cut short");
        a_header_that_is_cut: gzip(Tar(Tar::new().file("a", b"x").file("b", b"").0[..1100].to_vec()))
            => Refused("cut short");
        a_name_that_climbs_in_a_header_without_an_entry: gzip(Tar::new().file("a", b"x").pax(&[("path", b"../climbed")]))
            => Confined(|root| assert_eq!(fs::read_dir(root).unwrap().count(), 1));
        a_long_name_that_is_cut: gzip(Tar::new().entry(&Head::new(b'L', "n").size(5000), b"../climbed"))
            => Refused("cut short");
    }

    fn gzip(tar: Tar) -> Vec<u8> {
        tests::server::gzip(&tar.0)
    }
}

/// A sparse file of version 1.0, with its map as text.
fn sparse(map: &str, size: &str, contents: usize) -> Vec<u8> {
    let mut data = map.as_bytes().to_vec();
    data.resize(data.len().next_multiple_of(512) + contents, 0);
    Tar::new()
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"holes"),
            ("GNU.sparse.realsize", size.as_bytes()),
        ])
        .entry(&Head::new(b'0', "GNUSparseFile.0/holes").size(data.len() as u64), &data)
        .end()
}

#[test]
fn an_owner_that_means_nobody_to_chown_is_refused_where_owners_are_kept() {
    let mut head = Head::new(b'0', "a");
    head.uid = vec![0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
    let archive = Tar::new().entry(&head, b"").end();
    let scratch = Scratch::new();
    let outcome = scratch.feed(As::Caller, &archive, &["-", "root"]);
    assert_eq!(outcome.code, Some(if is_root() { 4 } else { 0 }), "{outcome:?}");
    let outcome = scratch.feed(As::Caller, &archive, &["--no-same-owner", "-", "other"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[test]
fn a_bomb_of_bytes_is_refused() {
    let archive = Tar::new().file("a", &vec![0; 1 << 20]).end();
    attack_with(&archive, &Refused("more than 65536 bytes"), &["--max-size", "64K"]);
}

#[test]
fn a_bomb_of_files_is_refused() {
    let mut tar = Tar::new();
    for number in 0..20 {
        tar = tar.file(format!("f{number}"), b"");
    }
    attack_with(&tar.end(), &Refused("more than 10 entries"), &["--max-files", "10"]);
}

#[test]
fn a_bomb_of_directories_on_the_way_is_refused() {
    let mut tar = Tar::new();
    for top in ["a", "b", "c"] {
        tar = tar.pax(&[("path", format!("{top}/{}x", "d/".repeat(200)).as_bytes())]).file("x", b"");
    }
    attack_with(&tar.end(), &Refused("more than 300 entries"), &["--max-files", "300"]);
}

#[test]
fn a_name_longer_than_a_path_can_be_is_made_part_by_part() {
    let name = ["directory-with-a-long-name"; 300].join("/");
    assert!(name.len() > 4096);
    attack(&Tar::new().pax(&[("path", name.as_bytes())]).file("x", b"x").end(), &Confined(|_| {}));
}

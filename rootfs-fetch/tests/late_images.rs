//! Archives that prove to be images, or not, after some of their files: in runs, dry runs and mount points.
#![cfg(test)]

use std::fs;

use rootfs_fetch::digest::Digest;
use serde_json::json;
use tests::fetch::{As, Scratch, fed_with_little_memory, shell, with_mounts};
use tests::layout::Layout;
use tests::tar::Tar;

/// An archive whose last file shows that it is an image, with the entries of `tar` before it.
fn with_image(tar: Tar, layer: &[u8]) -> Vec<u8> {
    let config =
        json!({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [Digest::of(layer).to_string()]}});
    tar.file("c.json", config.to_string().as_bytes())
        .file("l.tar", layer)
        .file("manifest.json", br#"[{"Config":"c.json","Layers":["l.tar"]}]"#)
        .end()
}

#[test]
fn an_archive_that_proves_to_be_an_image_at_its_end_leaves_nothing_of_itself() {
    let scratch = Scratch::new();
    let layer = Tar::new().file("name", b"a").file("dir/name", b"b").end();
    fs::write(scratch.work().join("late.tar"), with_image(Tar::new(), &layer)).unwrap();
    let said = "rootfs-fetch: this archive is a container image: unpacking its layers\n";
    for (args, files) in [
        (&["--exclude=dir"][..], &["name"][..]),
        (&["--exclude=none", "-v"], &["dir", "name"]),
        (&["--strip-components=1"], &["name"]),
        (&["--subdir=dir"], &["name"]),
        // the archive has three entries
        (&["--subdir=dir", "--max-files=2"], &["name"]),
        (&["--into"], &["dir", "name"]),
    ] {
        for is_there in [false, true] {
            let root = scratch.work().join("root");
            if is_there {
                fs::create_dir(&root).unwrap();
            }
            let outcome = scratch.feed(As::Caller, b"", &[args, &["late.tar", "root"]].concat());
            assert!(outcome.code == Some(0) && outcome.stderr.starts_with(said), "{args:?} {outcome:?}");
            assert!(!outcome.stderr.contains(".json"), "{args:?} {outcome:?}");
            let mut found: Vec<_> =
                fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            found.sort();
            assert_eq!(found, files, "{args:?}");
            fs::remove_dir_all(&root).unwrap();
        }
        let dry = scratch.feed(As::Caller, b"", &[&["--dry-run"], args, &["late.tar", "root"]].concat());
        assert!(dry.code == Some(0) && dry.stderr.starts_with(said), "{args:?} {dry:?}");
        assert!(!dry.stderr.contains(".json"), "{args:?} {dry:?}");
    }
    let wrong = format!("--digest={}", Digest::of(b""));
    for option in ["--dry-run", "--exclude=none"] {
        let outcome = scratch.feed(As::Caller, b"", &[option, &wrong, "late.tar", "root"]);
        assert!(outcome.code == Some(4) && outcome.stderr.lines().count() == 1, "{option} {outcome:?}");
    }
    assert_eq!(scratch.left(), ["late.tar"]);
}

#[test]
#[ignore = "needs a user namespace, to mount something"]
fn a_mount_point_has_nothing_of_the_archive_around_its_image() {
    let scratch = Scratch::new();
    let layer = Tar::new().file("name", b"a").end();
    let own = Tar::new().pax(&[("SCHILY.acl.default", b"user::rwx,group::r-x,other::---")]).dir("./", 0o711);
    fs::write(scratch.work().join("late.tar"), with_image(own, &layer)).unwrap();
    for option in ["--exclude=none", "--quiet"] {
        let script = format!(
            "mkdir root other; mount --bind other root; \"$TOOL\" --no-same-owner {option} late.tar root; cat root/name"
        );
        let (code, said) = with_mounts(&scratch, &script);
        assert_eq!(code, Some(0), "{said}");
        let list = "system.posix_acl_default";
        let found = rustix::fs::getxattr(scratch.work().join("other"), list, &mut [0; 256][..]);
        assert_eq!(found, Err(rustix::io::Errno::NODATA), "{option}");
        fs::remove_dir_all(scratch.work().join("other")).unwrap();
        fs::remove_dir(scratch.work().join("root")).unwrap();
    }
}

#[test]
#[ignore = "needs a user namespace, to mount something"]
fn a_dry_run_fails_as_the_run_for_an_image_from_a_stream_and_a_mount_point() {
    let scratch = Scratch::new();
    let layer = Tar::new().file("name", b"a").end();
    fs::write(scratch.work().join("late.tar"), with_image(Tar::new(), &layer)).unwrap();
    shell(&scratch, "mkdir root other");
    for option in ["--dry-run", "--quiet"] {
        let script = format!("mount --bind other root; \"$TOOL\" {option} --no-same-owner - root <late.tar");
        let (code, said) = with_mounts(&scratch, &script);
        assert_eq!(code, Some(4), "{option} {said}");
        let refused =
            "cannot unpack an image from a stream: DIRECTORY is a mount point, or its parent is not writable";
        assert!(said.contains(refused), "{option} {said}");
    }
}

#[test]
fn a_listing_is_complete_in_order_and_before_an_error_whether_it_was_held_back_or_not() {
    let scratch = Scratch::new();
    let names: Vec<String> = (0..40_000).map(|number| format!("{}{number}", "d".repeat(90))).collect();
    let mut tar = Tar::new();
    for name in &names {
        tar = tar.file(name, b"");
    }
    let archive = tar.file("manifest.json", b"[]").end();
    let broken = &archive[..archive.len() - 1636];
    for (file, bytes, code, count) in [
        ("many.tar", archive.as_slice(), Some(0), names.len() + 1),
        ("broken.tar", broken, Some(4), names.len() + 1),
        ("few.tar", &[&archive[..512 * 9], &[1; 512]].concat(), Some(4), 9 + 1),
    ] {
        fs::write(scratch.work().join(file), bytes).unwrap();
        let outcome = scratch.feed(As::Caller, b"", &["--dry-run", file, "root"]);
        assert_eq!((outcome.code, outcome.stderr.lines().count()), (code, count), "{file}");
        for (line, name) in outcome.stderr.lines().zip(&names).take(count - 2) {
            assert!(line.contains(name), "{file} {line}");
        }
    }
}

/// 96 MiB of files that can each show that this is an image.
#[test]
fn a_dry_run_keeps_no_more_than_the_last_file_of_a_name() {
    let large = [b"[", vec![b' '; (4 << 20) - 2].as_slice(), b"]"].concat();
    let lists =
        |tar: Tar| (0..12).fold(tar, |tar, _| tar.file("manifest.json", &large).file("index.json", &large));
    let layer = Tar::new().file("name", b"a").end();
    for (archive, is_image) in [
        (with_image(lists(Tar::new()), &layer), true),
        (lists(Tar::new()).end(), false),
        (lists(Tar::new().dir("usr", 0o755)).end(), false),
    ] {
        let scratch = Scratch::new();
        let outcome = fed_with_little_memory(&scratch, &archive, &["--dry-run", "-", "root"]);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert_eq!(outcome.stderr.contains("is a container image"), is_image, "{outcome:?}");
    }
}

#[test]
fn only_the_last_file_of_a_name_shows_whether_an_archive_is_an_image() {
    let list = br#"[{"Config":"c.json","Layers":["l.tar"]}]"#;
    let scratch = Scratch::new();
    let larger = vec![b' '; (4 << 20) + 1];
    for last in [
        Tar::new().file("manifest.json", b"[]"),
        Tar::new().file("manifest.json", &larger),
        Tar::new().symlink("manifest.json", "nowhere"),
    ] {
        let archive = Tar(Tar::new().file("manifest.json", list).0.into_iter().chain(last.0).collect()).end();
        let dry = scratch.feed(As::Caller, &archive, &["--dry-run", "-", "root"]);
        assert!(dry.code == Some(0) && !dry.stderr.contains("is a container image"), "{dry:?}");
        let run = scratch.feed(As::Caller, &archive, &["-q", "-", "root"]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        scratch.clear();
    }
}

#[test]
fn an_image_below_a_directory_of_an_archive_is_unpacked_as_files() {
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.work().join("image"));
    layout.write_index(&[layout.image_of(&[Tar::new().file("name", b"a").end()])]);
    shell(&scratch, "tar -cf nested.tar image");
    let archive = fs::read(scratch.work().join("nested.tar")).unwrap();
    for source in ["nested.tar", "-"] {
        let args = ["-q", "--strip-components=1", source, "root"];
        let outcome = scratch.feed(As::Caller, &archive, &args);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{source}");
        assert!(scratch.work().join("root/index.json").exists());
        fs::remove_dir_all(scratch.work().join("root")).unwrap();
    }
}

//! `--into`: what existed before stays, unless the archive has a file of the same name.
#![cfg(test)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tests::fetch::{As, Outcome, Scratch, shell, text};
use tests::layout::Layout;
use tests::tar::{Head, Tar};

/// `root/` with a user's files, before a run.
fn used() -> (Scratch, PathBuf) {
    let scratch = Scratch::new();
    let root = scratch.work().join("root");
    fs::create_dir_all(root.join("home/alice")).unwrap();
    for name in ["home/alice/f", "file", "other"] {
        fs::write(root.join(name), "mine").unwrap();
    }
    (scratch, root)
}

fn into(scratch: &Scratch, tar: Tar) -> Outcome {
    scratch.feed(As::Caller, &tar.end(), &["-q", "--into", "-", "root"])
}

/// Unpacks layers as an image into `root`.
fn layers_into(scratch: &Scratch, layers: &[Tar]) {
    let layers: Vec<_> = layers.iter().map(|tar| tar.clone().end()).collect();
    let layout = Layout::new(scratch.work().join("image"));
    layout.write_index(&[layout.image_of(&layers)]);
    let outcome = scratch.feed(As::Caller, b"", &["-q", "--into", "oci:image", "root"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_skipped_device_leaves_what_existed_before_and_removes_what_this_run_created() {
    let (scratch, root) = used();
    let device = |tar: Tar, name| tar.entry(&Head::new(b'3', name), b"");
    let tar = Tar::new().file("new", b"new").file("other", b"new").file("home/new", b"new");
    let tar = ["home", "file", "new", "other"].into_iter().fold(tar, device);
    let outcome = into(&scratch, tar.hardlink("file", "home"));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(text(root.join("home/alice/f")), "mine");
    assert_eq!(text(root.join("file")), "mine");
    // the last of a name wins
    assert!(!root.join("new").exists() && !root.join("other").exists() && !root.join("home/new").exists());
}

#[test]
fn a_hard_link_before_its_target_replaces_an_existing_file_and_no_existing_directory() {
    let (scratch, root) = used();
    let outcome = into(&scratch, Tar::new().hardlink("home", "x").file("x", b"new"));
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    assert!(
        outcome.stderr.contains("refused \"home\": it would replace an existing directory"),
        "{outcome:?}"
    );
    assert_eq!(text(root.join("home/alice/f")), "mine");
    let outcome = into(&scratch, Tar::new().hardlink("file", "x").file("x", b"new"));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(text(root.join("file")), "new");
}

#[test]
fn a_whiteout_removes_only_what_this_run_created_or_replaced() {
    let (scratch, root) = used();
    let lower = Tar::new().file("file", b"new").file("home/new", b"new").file("home/dir/new", b"new");
    let upper = Tar::new().file(".wh.home", b"").file(".wh.other", b"").file(".wh.file", b"");
    layers_into(&scratch, &[lower, upper]);
    assert_eq!(text(root.join("home/alice/f")), "mine");
    assert_eq!(text(root.join("other")), "mine");
    assert!(!root.join("file").exists());
    assert!(!root.join("home/new").exists() && !root.join("home/dir").exists());
}

#[test]
fn an_opaque_whiteout_removes_only_what_this_run_created() {
    for directory in ["", "home/"] {
        let (scratch, root) = used();
        let lower =
            Tar::new().file("home/new", b"new").file("home/alice/new", b"new").file("home/dir/x", b"");
        let upper = Tar::new().file("home/last", b"").file(format!("{directory}.wh..wh..opq"), b"");
        layers_into(&scratch, &[lower, upper]);
        for name in ["home/alice/f", "file", "other"] {
            assert_eq!(text(root.join(name)), "mine", "{directory}");
        }
        assert!(root.join("home/last").exists());
        for name in ["home/new", "home/alice/new", "home/dir"] {
            assert!(!root.join(name).exists(), "{directory} {name}");
        }
    }
}

#[test]
fn a_directory_that_a_whiteout_hides_again_is_as_it_was() {
    let (scratch, root) = used();
    fs::set_permissions(root.join("home"), PermissionsExt::from_mode(0o750)).unwrap();
    layers_into(&scratch, &[Tar::new().dir("home", 0o711), Tar::new().file(".wh.home", b"")]);
    assert_eq!(root.join("home").metadata().unwrap().permissions().mode() & 0o7777, 0o750);
}

#[test]
fn a_whiteout_in_the_lowest_layer_hides_nothing_that_existed_before() {
    let (scratch, root) = used();
    layers_into(&scratch, &[Tar::new().file(".wh.file", b"").file("home/.wh..wh..opq", b"").file("x", b"")]);
    assert_eq!((text(root.join("file")), text(root.join("home/alice/f"))), ("mine".into(), "mine".into()));
}

/// An image archive, its first names as they come from a program, or such that only the last one shows what it is.
fn images(scratch: &Scratch) -> Vec<Vec<u8>> {
    let layer = Tar::new().file("home/new", b"new").file("large", &[7; 300_000]).end();
    let layout = Layout::new(scratch.path("image"));
    layout.write_index(&[layout.image_of(&[layer])]);
    shell(scratch, "tar -C ../image -cf ../first.tar oci-layout index.json blobs");
    // more than what is looked at before anything is written
    shell(
        scratch,
        "head -c 400000 /dev/zero >../image/data; tar -C ../image -czf ../last.tar.gz data blobs index.json oci-layout",
    );
    ["first.tar", "last.tar.gz"].iter().map(|name| fs::read(scratch.path(name)).unwrap()).collect()
}

#[test]
fn an_image_from_a_stream_is_unpacked_into_a_directory_that_exists_or_not() {
    let said = "rootfs-fetch: this archive is a container image: unpacking its layers\n";
    let (scratch, _) = used();
    for (number, image) in images(&scratch).into_iter().enumerate() {
        for directory in ["root", "missing"] {
            let root = scratch.work().join(directory);
            let outcome = scratch.feed(As::Caller, &image, &["--into", "-", directory]);
            assert_eq!(outcome.code, Some(0), "{number} {directory} {outcome:?}");
            assert!(outcome.stderr.starts_with(said), "{number} {directory} {outcome:?}");
            assert_eq!(text(root.join("home/new")), "new", "{number} {directory}");
            for name in ["oci-layout", "index.json", "blobs", "data"] {
                assert!(!root.join(name).exists(), "{number} {directory} {name}");
            }
            assert_eq!(root.join("home/alice/f").exists(), directory == "root");
        }
        fs::remove_dir_all(scratch.work().join("missing")).unwrap();
        assert_eq!(scratch.left(), ["root"]);
    }
}

#[test]
fn a_part_of_an_image_from_a_stream_is_unpacked_into_an_existing_directory() {
    let (scratch, root) = used();
    for image in images(&scratch) {
        let args = ["--subdir=home", "--into", "-", "root"];
        let outcome = scratch.feed(As::Caller, &image, &args);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert_eq!((text(root.join("new")), text(root.join("file"))), ("new".into(), "mine".into()));
        fs::remove_file(root.join("new")).unwrap();
        // and the dry run lists it
        let dry = scratch.feed(As::Caller, &image, &[&["--dry-run"], &args[..]].concat());
        assert_eq!(dry.code, Some(0), "{dry:?}");
        assert!(dry.stderr.contains("\"new\"") && !dry.stderr.contains("large"), "{dry:?}");
        assert!(!root.join("new").exists());
    }
}

#[test]
fn an_archive_with_a_name_as_in_images_is_unpacked_as_it_is_from_a_stream() {
    let (scratch, root) = used();
    let outcome = into(&scratch, Tar::new().file("manifest.json", b"{}").file("blobs/x", &[7; 400_000]));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert_eq!(text(root.join("manifest.json")), "{}");
    assert_eq!(root.join("blobs/x").metadata().unwrap().len(), 400_000);
    // also what the kept copy cannot show
    let cut = Tar::new().file("manifest.json", b"[]").file("blobs/y", &[7; 400_000]).0;
    let outcome = scratch.feed(As::Caller, &cut[..300_000], &["--into", "-", "root"]);
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    assert!(outcome.stderr.contains("cut short"), "{outcome:?}");
}

#[test]
fn a_dry_run_fails_as_the_run_if_only_a_part_of_an_image_is_wanted_from_a_stream() {
    let (scratch, _) = used();
    for image in images(&scratch) {
        let args = ["--exclude=zzz", "-", "new"];
        let run = scratch.feed(As::Caller, &image, &[&["-q"], &args[..]].concat());
        let dry = scratch.feed(As::Caller, &image, &[&["--dry-run", "-q"], &args[..]].concat());
        assert_eq!(run.code, Some(4), "{run:?}");
        assert!(run.stderr.contains("can only be unpacked whole"), "{run:?}");
        assert_eq!((dry.code, dry.stderr), (run.code, run.stderr));
    }
    assert_eq!(scratch.left(), ["root"]);
}

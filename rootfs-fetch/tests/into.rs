//! `--into`: what existed before stays, unless the archive has a file of the same name.
#![cfg(test)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tests::fetch::{As, Outcome, Scratch, text};
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
        let upper = Tar::new().file("home/last", b"").file(&format!("{directory}.wh..wh..opq"), b"");
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

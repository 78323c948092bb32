//! Whiteouts in layers of which only a part is unpacked, or with shorter names.
#![cfg(test)]

use std::fs;
use tests::fetch::{As, Scratch};
use tests::layout::Layout;
use tests::tar::Tar;

/// The files that layers leave, unpacked as an image with these options.
#[track_caller]
fn files(options: &[&str], layers: &[Tar]) -> Vec<String> {
    let layers: Vec<_> = layers.iter().map(|tar| tar.clone().end()).collect();
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.work().join("image"));
    layout.write_index(&[layout.image_of(&layers)]);
    let outcome = scratch.feed(As::Caller, b"", &[options, &["-q", "oci:image", "root"]].concat());
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{options:?}");
    let root = scratch.work().join("root");
    let mut found = Vec::new();
    let mut todo = vec![root.clone()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                found.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// A layer of empty files.
fn layer(names: &[&str]) -> Tar {
    names.iter().fold(Tar::new(), |tar, name| tar.file(name, b""))
}

const SUBDIR: &[&str] = &["--subdir=a"];
const STRIP: &[&str] = &["--strip-components=1"];

#[test]
fn a_whiteout_hides_the_file_by_its_new_name() {
    let layers = [layer(&["a/f", "a/g", "a/d/x"]), layer(&["a/.wh.f", "a/.wh.d", "a/h"])];
    for options in [SUBDIR, STRIP] {
        assert_eq!(files(options, &layers), ["g", "h"], "{options:?}");
    }
    let layers = [layer(&["a/b/f", "a/b/g", "a/c/f"]), layer(&["a/b/.wh.f", "a/c/.wh.f"])];
    assert_eq!(files(&["--subdir=a", "--strip-components=1"], &layers), ["g"]);
}

#[test]
fn a_whiteout_outside_of_the_subdirectory_hides_nothing() {
    let layers = [layer(&["a/g", "g", "b/g"]), layer(&[".wh.g", "b/.wh.g", "b/.wh..wh..opq", "a/h"])];
    assert_eq!(files(SUBDIR, &layers), ["g", "h"]);
}

#[test]
fn an_opaque_whiteout_hides_lower_files_by_their_new_names() {
    for directory in ["a", "a/d"] {
        let opaque = format!("{directory}/.wh..wh..opq");
        let new = format!("{directory}/new");
        let lower = layer(&["a/d/x", "a/d/e/y"]);
        for upper in [layer(&[&opaque, &new]), layer(&[&new, &opaque])] {
            for options in [SUBDIR, STRIP] {
                let left = new.strip_prefix("a/").unwrap();
                assert_eq!(files(options, &[lower.clone(), upper.clone()]), [left], "{options:?}");
            }
        }
    }
}

#[test]
fn a_whiteout_of_the_subdirectory_or_above_it_hides_all_lower_files() {
    for name in [".wh.a", "a/.wh.b", ".wh..wh..opq", "a/.wh..wh..opq", "a/b/.wh..wh..opq"] {
        let layers = [layer(&["a/b/x", "a/b/c/y"]), layer(&["a/b/c/new", name])];
        assert_eq!(files(&["--subdir=a/b"], &layers), ["c/new"], "{name}");
        assert_eq!(files(&["--strip-components=2"], &layers), ["c/new"], "{name}");
    }
}

#[test]
fn a_whiteout_of_what_is_stripped_hides_only_files_from_there() {
    let lower = layer(&["a/x", "a/d/x", "a/both", "b/both", "b/y", "b/d/y", "c/f", "a/f"]);
    for (name, left) in [
        (".wh.a", &["both", "d/y", "y"][..]),
        ("a/.wh..wh..opq", &["both", "d/y", "y"]),
        ("a/.wh.d", &["both", "d/y", "f", "x", "y"]),
        ("a/d/.wh..wh..opq", &["both", "d/y", "f", "x", "y"]),
        ("a/.wh.both", &["both", "d/x", "d/y", "f", "x", "y"]),
        (".wh.b", &["d/x", "f", "x"]),
        (".wh.none", &["both", "d/x", "d/y", "f", "x", "y"]),
        (".wh..wh..opq", &[]),
    ] {
        assert_eq!(files(STRIP, &[lower.clone(), layer(&[name])]), left, "{name}");
    }
}

#[test]
fn a_whiteout_of_an_excluded_name_hides_nothing() {
    let lower = layer(&["a/x", "a/y", "b/x"]).symlink("l", "b");
    let upper = layer(&["l/.wh.x", "a/.wh.x", "l/.wh..wh..opq"]);
    assert_eq!(files(&["--exclude=l"], &[lower, upper]), ["a/y", "b/x"]);
    let layers = [layer(&["a/x", "a/y"]), layer(&["a/.wh..wh..opq", "b"])];
    assert_eq!(files(&["--exclude=a/x"], &layers), ["b"]);
}

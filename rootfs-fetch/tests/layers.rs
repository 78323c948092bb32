//! Layers on layers: what they add, and what they remove.
#![cfg(test)]

use std::path::Path;
use tests::fetch::{As, Scratch, assert_refused, fed_with_little_memory, text};
use tests::layout::Layout;
use tests::tar::{Head, Tar};

/// Unpacks layers as an image, as each user that tests can become, and checks the tree.
fn applied(layers: &[Vec<u8>], check: impl Fn(&Path)) {
    for &who in As::all() {
        let scratch = Scratch::new();
        let before = scratch.surroundings();
        let layout = Layout::new(scratch.work().join("image"));
        layout.write_index(&[layout.image_of(layers)]);
        let outcome = scratch.feed(who, b"", &["-q", "oci:image", "root"]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "as {who:?}");
        assert_eq!(scratch.surroundings(), before);
        check(&scratch.work().join("root"));
    }
}

#[test]
fn a_whiteout_takes_away_what_lower_layers_brought() {
    let lower = Tar::new().file("keep", b"1").file("gone", b"1").dir("d", 0o755).file("d/x", b"1").end();
    let upper = Tar::new().file(".wh.gone", b"").file(".wh.d", b"").file(".wh.never-was", b"").end();
    applied(&[lower, upper], |root| {
        assert_eq!(text(root.join("keep")), "1");
        assert!(!root.join("gone").exists() && !root.join("d").exists());
        assert!(!root.join(".wh.gone").exists());
    });
}

#[test]
fn an_opaque_directory_hides_lower_layers_and_not_its_own_in_either_order() {
    let lower =
        Tar::new().dir("d", 0o755).file("d/old", b"1").dir("d/sub", 0o755).file("d/sub/old", b"1").end();
    let first = Tar::new().file("d/.wh..wh..opq", b"").file("d/new", b"2").file("d/sub/new", b"2").end();
    let last = Tar::new().file("d/new", b"2").file("d/sub/new", b"2").file("d/.wh..wh..opq", b"").end();
    for upper in [first, last] {
        applied(&[lower.clone(), upper], |root| {
            assert_eq!(text(root.join("d/new")), "2");
            assert_eq!(text(root.join("d/sub/new")), "2");
            assert!(!root.join("d/old").exists() && !root.join("d/sub/old").exists());
        });
    }
}

#[test]
fn a_whiteout_after_the_same_name_in_the_same_layer_hides_only_lower_layers() {
    let lower = Tar::new().dir("d", 0o755).file("d/old", b"1").file("f", b"1").end();
    let upper = Tar::new().file("f", b"2").file(".wh.f", b"").file("d/new", b"2").file(".wh.d", b"").end();
    applied(&[lower, upper], |root| {
        assert_eq!(text(root.join("f")), "2");
        assert_eq!(text(root.join("d/new")), "2");
        assert!(!root.join("d/old").exists());
    });
}

#[test]
fn a_whiteout_through_a_symlink_stays_inside_the_root() {
    let lower = Tar::new().symlink("out", "../../outside").symlink("abs", "/tmp").file("tmp/x", b"1").end();
    let upper =
        Tar::new().file("out/.wh.secret", b"").file("out/.wh..wh..opq", b"").file("abs/.wh.x", b"").end();
    applied(&[lower, upper], |root| assert!(!root.join("tmp/x").exists()));
}

#[test]
fn a_whiteout_of_a_symlink_takes_the_link_and_not_what_it_names() {
    let lower = Tar::new().dir("d", 0o755).file("d/x", b"1").symlink("l", "d").end();
    let upper = Tar::new().file(".wh.l", b"").end();
    applied(&[lower.clone(), upper], |root| {
        assert_eq!(text(root.join("d/x")), "1");
        assert!(root.join("l").symlink_metadata().is_err());
    });
    let own = Tar::new().symlink("l", "d").file(".wh.l", b"").end();
    applied(&[lower, own], |root| assert_eq!(text(root.join("d/x")), "1"));
}

#[test]
fn a_whiteout_of_nothing_of_the_directory_or_of_its_parent_is_refused() {
    for name in ["d/.wh.", "d/.wh..", "d/.wh..."] {
        let layer = Tar::new().dir("d", 0o755).file(name, b"").end();
        assert_refused(
            |layout| layout.write_index(&[layout.image_of(std::slice::from_ref(&layer))]),
            4,
            "refused the whiteout",
        );
    }
}

#[test]
fn a_whiteout_in_a_plain_archive_is_a_file() {
    let scratch = Scratch::new();
    let outcome = scratch.feed(As::Caller, &Tar::new().file(".wh.x", b"1").end(), &["-q", "-", "root"]);
    assert_eq!(outcome.code, Some(0));
    assert_eq!(text(scratch.work().join("root/.wh.x")), "1");
}

#[test]
fn a_layer_may_go_through_links_change_types_and_link_to_lower_layers() {
    let lower = Tar::new()
        .dir("usr/lib", 0o755)
        .symlink("lib", "/usr/lib")
        .file("file", b"1")
        .dir("dir", 0o700)
        .end();
    let upper = Tar::new()
        .file("lib/x", b"2")
        .hardlink("linked", "file")
        .file("dir", b"now a file")
        .dir("file/", 0o755)
        .file("file/inner", b"2")
        .end();
    applied(&[lower, upper], |root| {
        assert_eq!(text(root.join("usr/lib/x")), "2");
        assert_eq!(text(root.join("linked")), "1");
        assert_eq!(text(root.join("dir")), "now a file");
        assert_eq!(text(root.join("file/inner")), "2");
    });
}

/// Each name of this layer is a hundred kilobytes and as deep as a name may be.
#[test]
fn names_that_are_long_and_deep_take_no_more_memory_than_there_are_directories() {
    let part = "p".repeat(100);
    let below = vec![part.as_str(); 1000].join("/");
    let mut tar = Tar::new();
    for number in 0..3 {
        let path = format!("{number}/{below}");
        tar = tar.pax(&[("path", path.as_bytes())]).dir("x", 0o755);
    }
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.work().join("image"));
    layout.write_index(&[layout.image_of(&[tar.end()])]);
    let outcome = fed_with_little_memory(&scratch, b"", &["-q", "oci:image", "root"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

/// 50 MB of names in each archive.
#[test]
fn long_names_of_directories_and_devices_take_little_memory() {
    let long = vec!["p".repeat(250).as_str(); 1000].join("/");
    let path = |number, is_device| {
        if is_device { format!("{number}/{long}") } else { format!("{}{number}", "./".repeat(125_000)) }
    };
    for is_device in [true, false] {
        let mut tar = Tar::new();
        for number in 0..200 {
            tar = tar.pax(&[("path", path(number, is_device).as_bytes())]);
            tar = if is_device { tar.entry(&Head::new(b'4', "x"), b"") } else { tar.dir("x", 0o755) };
        }
        let scratch = Scratch::new();
        let outcome = fed_with_little_memory(&scratch, &tar.end(), &["-q", "-", "root"]);
        assert_eq!(outcome.code, Some(0), "{is_device} {outcome:?}");
    }
}

/// 50 MB of names that are one name.
#[test]
fn an_opaque_whiteout_of_a_link_that_comes_again_takes_little_memory() {
    let long = vec!["p".repeat(250).as_str(); 400].join("/");
    let lower = Tar::new().pax(&[("path", long.as_bytes())]).symlink("x", "/target").end();
    let mut upper = Tar::new();
    for _ in 0..500 {
        upper = upper.pax(&[("path", format!("{long}/.wh..wh..opq").as_bytes())]).file("x", b"");
    }
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.work().join("image"));
    layout.write_index(&[layout.image_of(&[lower, upper.end()])]);
    let outcome = fed_with_little_memory(&scratch, b"", &["-q", "oci:image", "root"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[test]
fn an_entry_below_a_file_of_a_lower_layer_replaces_it() {
    let lower = Tar::new().file("a/b", b"1").file("a/keep", b"1").end();
    let entry = Tar::new().file("a/b/c/d", b"2");
    for upper in [entry.end(), Tar::new().file("a/b/c/d", b"2").file("a/.wh.b", b"").end()] {
        applied(&[lower.clone(), upper], |root| {
            assert_eq!(text(root.join("a/b/c/d")), "2");
            assert_eq!(text(root.join("a/keep")), "1");
        });
    }
    // in a layer, it is an error, as in an archive
    assert_refused(
        |layout| {
            layout.write_index(&[layout.image_of(&[Tar::new().file("a", b"1").file("a/b", b"1").end()])])
        },
        4,
        "ENOTDIR",
    );
}

#[test]
fn a_hard_link_below_a_file_of_a_lower_layer_replaces_it() {
    let lower = Tar::new().file("a", b"1").file("old", b"1").end();
    let link = |tar: Tar| tar.hardlink("a/h", "t");
    for upper in [link(Tar::new().file("t", b"2")), link(Tar::new()).file("t", b"2")] {
        for upper in [
            upper.clone(),
            upper.clone().file(".wh.a", b""),
            Tar(Tar::new().file(".wh.a", b"").0.into_iter().chain(upper.0).collect()),
        ] {
            applied(&[lower.clone(), upper.end()], |root| assert_eq!(text(root.join("a/h")), "2"));
        }
    }
    applied(&[lower, Tar::new().hardlink("a/h", "old").end()], |root| {
        assert_eq!(text(root.join("a/h")), "1")
    });
}

#[test]
fn an_opaque_whiteout_before_the_directory_that_replaces_a_link_spares_what_the_link_named() {
    let lower = Tar::new().file("target/x", b"1").symlink("d", "target").end();
    let upper = Tar::new().file("d/.wh..wh..opq", b"").dir("d", 0o755).file("d/new", b"2").end();
    applied(&[lower.clone(), upper], |root| {
        assert_eq!(text(root.join("target/x")), "1");
        assert_eq!(text(root.join("d/new")), "2");
        assert!(!root.join("target/new").exists());
    });
    // if the link stays, its target directory is used
    applied(&[lower, Tar::new().file("d/.wh..wh..opq", b"").file("d/new", b"2").end()], |root| {
        assert!(!root.join("target/x").exists());
        assert_eq!(text(root.join("target/new")), "2");
    });
}

#[test]
fn an_opaque_whiteout_spares_what_its_layer_made_by_another_name_of_the_directory() {
    let lower = Tar::new().file("usr/lib/old", b"1").symlink("lib", "usr/lib").end();
    let upper = Tar::new().file("lib/new", b"2").file("usr/lib/.wh..wh..opq", b"").end();
    applied(&[lower.clone(), upper], |root| {
        assert_eq!(text(root.join("usr/lib/new")), "2");
        assert!(!root.join("usr/lib/old").exists());
    });
    let upper = Tar::new().file("usr/lib/new", b"2").file("lib/.wh.new", b"").end();
    applied(&[lower, upper], |root| assert_eq!(text(root.join("usr/lib/new")), "2"));
}

#[test]
fn what_aufs_left_in_old_layers_never_becomes_a_file() {
    let layer = Tar::new()
        .dir(".wh..wh.plnk", 0o700)
        .file(".wh..wh.plnk/17.4", b"1")
        .dir(".wh..wh.orph", 0o700)
        .file(".wh..wh.aufs", b"")
        .file("a", b"1")
        .end();
    applied(&[layer], |root| {
        let names: Vec<_> =
            std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["a"]);
    });
}

#[test]
fn a_whiteout_in_the_lowest_layer_hides_nothing_also_after_an_empty_one() {
    let lowest = Tar::new().file("f", b"1").file(".wh.f", b"").file("d/x", b"1").file("d/.wh..wh..opq", b"");
    let lowest = lowest.symlink("l", "d").file("l/.wh.x", b"").end();
    for layers in [vec![lowest.clone()], vec![Tar::new().end(), lowest]] {
        applied(&layers, |root| {
            assert_eq!((text(root.join("f")), text(root.join("d/x"))), ("1".into(), "1".into()));
        });
    }
}

/// More than is decoded of a layer in advance.
#[test]
fn layers_of_any_size_are_applied_in_their_order() {
    let layer =
        |name: &str, size| Tar::new().file(name, &vec![b'x'; size]).file("last", name.as_bytes()).end();
    let sizes = [("a", 10), ("b", 9_000_000), ("c", 0), ("d", 8_000_000), ("e", 10)];
    applied(&sizes.map(|(name, size)| layer(name, size)), |root| {
        assert_eq!(text(root.join("last")), "e");
        assert!(sizes.iter().all(|(name, size)| root.join(name).metadata().unwrap().len() == *size as u64));
    });
}

//! Images in one file: layouts in an archive, what docker save wrote and writes, and what turns out to be one.
#![cfg(test)]

use std::fs;

use rootfs_fetch::digest::Digest;
use serde_json::json;
use tests::fetch::{As, Outcome, Scratch, shell, text};
use tests::layout::Layout;
use tests::tar::Tar;

fn fetched(scratch: &Scratch, source: &str) -> Outcome {
    let outcome = scratch.feed(As::Caller, b"", &["-q", source, "root"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert_eq!(text(scratch.work().join("root/a")), "upper");
    outcome
}

#[test]
fn an_archive_of_a_layout_is_read_in_place_also_compressed() {
    for (pack, archive) in [("cf", "image.tar"), ("czf", "image.tar.gz")] {
        let scratch = Scratch::new();
        let layout = Layout::new(scratch.work().join("image"));
        layout
            .write_index(&[layout
                .image_of(&[Tar::new().file("a", b"lower").end(), Tar::new().file("a", b"upper").end()])]);
        shell(&scratch, &format!("tar -C image -{pack} {archive} . && rm -r image"));
        fetched(&scratch, &format!("oci-archive:{archive}"));
        assert_eq!(scratch.left(), [archive, "root"]);
    }
}

#[test]
fn a_layout_is_recognised_without_its_transport() {
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.work().join("image"));
    layout.write_index(&[layout.image_of(&[Tar::new().file("a", b"upper").end()])]);
    fetched(&scratch, "image");
}

/// What `docker save` writes, with a layer that is a link to where it is.
fn saved(scratch: &Scratch, spoil: bool) {
    let (lower, upper) = (Tar::new().file("a", b"lower").end(), Tar::new().file("a", b"upper").end());
    let (one, two) = (Digest::of(&lower), Digest::of(&upper));
    let config =
        json!({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [one.to_string(), two.to_string()]}});
    let manifest =
        json!([{"Config": "c.json", "RepoTags": ["demo:latest"], "Layers": ["1/layer.tar", "2/layer.tar"]}]);
    let stored = if spoil { Tar::new().file("a", b"other").end() } else { upper };
    let tar = Tar::new()
        .file("c.json", config.to_string().as_bytes())
        .file("1.tar", &lower)
        .symlink("1/layer.tar", "../1.tar")
        .file("2/layer.tar", &stored)
        .file("manifest.json", manifest.to_string().as_bytes());
    fs::write(scratch.work().join("saved.tar"), tar.end()).unwrap();
}

#[test]
fn what_docker_save_writes_is_read_by_name_and_checked() {
    for source in
        ["docker-archive:saved.tar", "docker-archive:saved.tar:demo", "docker-archive:saved.tar:demo:latest"]
    {
        let scratch = Scratch::new();
        saved(&scratch, false);
        fetched(&scratch, source);
    }
    let scratch = Scratch::new();
    saved(&scratch, false);
    assert_eq!(scratch.feed(As::Caller, b"", &["docker-archive:saved.tar:other", "root"]).code, Some(3));
    saved(&scratch, true);
    let outcome = scratch.feed(As::Caller, b"", &["docker-archive:saved.tar", "root"]);
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    assert!(outcome.stderr.contains("the digest is"), "{outcome:?}");
    assert_eq!(scratch.left(), ["saved.tar"]);
}

#[test]
fn an_archive_that_is_an_image_is_recognised_and_said() {
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.work().join("image"));
    layout.write_index(&[layout.image_of(&[Tar::new().file("a", b"upper").end()])]);
    shell(&scratch, "tar -C image -czf image.tar.gz . && rm -r image");
    let outcome = scratch.feed(As::Caller, b"", &["image.tar.gz", "root"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let first = "rootfs-fetch: this archive is a container image: unpacking its layers";
    assert_eq!(outcome.stderr.lines().next(), Some(first));
    assert_eq!(text(scratch.work().join("root/a")), "upper");
    let archive = fs::read(scratch.work().join("image.tar.gz")).unwrap();
    let outcome = scratch.feed(As::Caller, &archive, &["-", "other"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().next(), Some(first));
    assert_eq!(text(scratch.work().join("other/a")), "upper");
    assert_eq!(scratch.left(), ["image.tar.gz", "other", "root"]);
}

/// What docker save wrote before version 1.10: each layer names the one below it.
fn saved_of_old(scratch: &Scratch, lowest: &str) {
    let layer = |contents: &[u8]| Tar::new().file("a", contents).end();
    let json = |id: &str, parent: &str| json!({"id": id, "parent": parent, "os": "linux"}).to_string();
    let tar = Tar::new()
        .file("2/VERSION", b"1.0")
        .file("2/json", json("2", "1").as_bytes())
        .file("2/layer.tar", &layer(b"upper"))
        .file("1/VERSION", b"1.0")
        .file("1/json", json("1", lowest).as_bytes())
        .file("1/layer.tar", &layer(b"lower"))
        .file("repositories", br#"{"demo":{"latest":"2","v1":"2"}}"#);
    fs::write(scratch.work().join("old.tar"), tar.end()).unwrap();
}

#[test]
fn what_docker_save_wrote_before_it_wrote_manifests_is_read_too() {
    for source in ["docker-archive:old.tar", "docker-archive:old.tar:demo", "docker-archive:old.tar:demo:v1"]
    {
        let scratch = Scratch::new();
        saved_of_old(&scratch, "");
        fetched(&scratch, source);
    }
    let scratch = Scratch::new();
    saved_of_old(&scratch, "");
    let outcome = scratch.feed(As::Caller, b"", &["old.tar", "root"]);
    assert_eq!((outcome.code, text(scratch.work().join("root/a"))), (Some(0), "upper".into()), "{outcome:?}");
    assert_eq!(scratch.feed(As::Caller, b"", &["docker-archive:old.tar:other", "other"]).code, Some(3));
    for (lowest, line) in [("2", "in a circle"), ("3", "\"3/json\" is missing")] {
        saved_of_old(&scratch, lowest);
        let outcome = scratch.feed(As::Caller, b"", &["docker-archive:old.tar", "other"]);
        assert_eq!(outcome.code, Some(4), "{outcome:?}");
        assert!(outcome.stderr.contains(line), "{outcome:?}");
    }
    assert_eq!(scratch.left(), ["old.tar", "root"]);
}

#[test]
fn names_in_the_lists_of_an_image_lead_nowhere_outside() {
    let layer = Tar::new().file("a", b"upper").end();
    let config = json!({"rootfs": {"diff_ids": [Digest::of(&layer).to_string()]}}).to_string();
    for (config_name, layer_name) in [
        ("../../outside/secret", "l.tar"),
        ("/outside/secret", "l.tar"),
        ("c.json", "../outside/secret"),
        ("c.json", "out/secret"),
        ("out/secret", "l.tar"),
        ("link", "l.tar"),
        ("c.json", "link"),
        ("c.json", "circle"),
        ("c.json", ".."),
        ("c.json", ""),
    ] {
        let list = json!([{"Config": config_name, "RepoTags": null, "Layers": [layer_name]}]).to_string();
        let tar = Tar::new()
            .symlink("out", "../../outside")
            .symlink("link", "../../../outside/secret")
            .symlink("circle", "circle")
            .file("c.json", config.as_bytes())
            .file("l.tar", &layer)
            .file("manifest.json", list.as_bytes())
            .end();
        let scratch = Scratch::new();
        fs::write(scratch.work().join("saved.tar"), &tar).unwrap();
        let before = scratch.surroundings();
        for source in ["-", "saved.tar", "docker-archive:saved.tar"] {
            for walk in [false, true] {
                let mut command = scratch.command(As::Caller);
                command.args([source, "root"]);
                if walk {
                    command.env("ROOTFS_FETCH_NO_OPENAT2", "1");
                }
                let outcome = tests::fetch::feed(command, &tar);
                assert_eq!(outcome.code, Some(4), "{config_name} {layer_name} {source} {outcome:?}");
                assert!(!outcome.stderr.contains("do not touch"), "{outcome:?}");
                assert_eq!(scratch.left(), ["saved.tar"]);
            }
        }
        assert_eq!(scratch.surroundings(), before);
    }
}

//! Images in one file: archived layouts, and the formats of docker save, old and new.
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
fn an_archive_that_begins_with_a_skippable_frame_is_decoded_before_its_parts_are_read() {
    let scratch = Scratch::new();
    saved(&scratch, false);
    let plain = fs::read(scratch.work().join("saved.tar")).unwrap();
    // as written by pzstd
    let packed =
        [b"\x50\x2a\x4d\x18\x04\0\0\0skip", zstd::encode_all(&plain[..], 3).unwrap().as_slice()].concat();
    fs::write(scratch.work().join("saved.tar.zst"), packed).unwrap();
    fetched(&scratch, "docker-archive:saved.tar.zst");
}

#[test]
fn a_transport_that_does_not_fit_has_a_hint_that_works() {
    let scratch = Scratch::new();
    let layer = Tar::new().file("a", b"upper").end();
    let layout = Layout::new(scratch.work().join("image"));
    layout.write_index(&[layout.image_of(std::slice::from_ref(&layer))]);
    shell(&scratch, "tar -C image -cf image.tar .");
    saved(&scratch, false);
    fs::write(scratch.work().join("plain.tar"), layer).unwrap();
    for (wrong, code, right) in [
        ("oci:image.tar", 3, "oci-archive:image.tar"),
        ("oci-archive:image", 2, "oci:image"),
        ("docker-archive:image", 2, "oci:image"),
        ("oci-archive:saved.tar", 3, "docker-archive:saved.tar"),
        ("docker-archive:image.tar", 3, "oci-archive:image.tar"),
        ("docker-archive:plain.tar", 3, "plain.tar"),
        ("oci-archive:plain.tar", 3, "plain.tar"),
    ] {
        let outcome = scratch.feed(As::Caller, b"", &["-q", wrong, "root"]);
        assert_eq!(outcome.code, Some(code), "{wrong}: {outcome:?}");
        let (_, hint) = outcome.stderr.split_once("rootfs-fetch: hint: ").expect("a hint");
        assert!(hint.contains(&format!("use '{right}'")), "{wrong}: {hint}");
        fetched(&scratch, right);
        shell(&scratch, "rm -r root");
    }
    // as written by helm
    let outcome = scratch.feed(As::Caller, b"", &["-q", "oci://registry.example/a/b:1", "root"]);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert!(outcome.stderr.contains("use 'docker://registry.example/a/b:1'"), "{outcome:?}");
    for nothing in ["oci:", "oci-archive::1"] {
        let outcome = scratch.feed(As::Caller, b"", &[nothing, "root"]);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.stderr.contains("expected a path after oci"), "{outcome:?}");
    }
}

#[test]
fn a_layout_is_recognised_without_its_transport() {
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.work().join("image"));
    layout.write_index(&[layout.image_of(&[Tar::new().file("a", b"upper").end()])]);
    fetched(&scratch, "image");
}

/// What `docker save` writes, with a layer that is a link to the real one.
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

#[test]
fn a_quiet_run_does_not_print_that_an_archive_is_an_image() {
    let scratch = Scratch::new();
    saved(&scratch, false);
    let archive = fs::read(scratch.work().join("saved.tar")).unwrap();
    for source in ["saved.tar", "-"] {
        for how in [&[][..], &["--replace"], &["--exclude=none"], &["--dry-run"]] {
            if source == "-" && how == ["--exclude=none"] {
                continue;
            }
            let outcome = scratch.feed(As::Caller, &archive, &[&["-q"], how, &[source, "root"]].concat());
            assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{source} {how:?}");
            shell(&scratch, "rm -rf root");
        }
    }
    let outcome = scratch.feed(As::Caller, b"", &["-q", "--dry-run", "docker-archive:saved.tar", "root"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
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
    for (lowest, line) in [("2", "form a cycle"), ("3", "\"3/json\" is missing")] {
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

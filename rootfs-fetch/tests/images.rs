// SPDX-License-Identifier: MIT OR Apache-2.0
//! Container images: layers over layers, platforms, digests, and how they can lie.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that fails may say so in the shortest way"
)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rootfs_fetch::digest::Digest;
use serde_json::{Value, json};
use support::{As, Outcome, Scratch, Tar};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// An image layout that grows in a directory.
struct Layout(PathBuf);

impl Layout {
    fn new(directory: PathBuf) -> Self {
        fs::create_dir_all(directory.join("blobs/sha256")).unwrap();
        fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self(directory)
    }

    fn blob(&self, data: &[u8], media_type: &str) -> Value {
        let digest = Digest::of(data);
        fs::write(self.0.join(digest.blob()), data).unwrap();
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": data.len()})
    }

    fn json(&self, value: &Value, media_type: &str) -> Value {
        self.blob(value.to_string().as_bytes(), media_type)
    }

    fn image(&self, layers: &[Vec<u8>]) -> Value {
        let layers: Vec<Value> = layers.iter().map(|layer| self.blob(layer, LAYER)).collect();
        self.manifest(&json!(layers))
    }

    fn manifest(&self, layers: &Value) -> Value {
        let config = self.json(&json!({"architecture": "amd64", "os": "linux"}), CONFIG);
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        self.json(&manifest, MANIFEST)
    }

    fn index(&self, manifests: &[Value]) {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        fs::write(self.0.join("index.json"), index.to_string()).unwrap();
    }
}

fn with(mut descriptor: Value, key: &str, value: Value) -> Value {
    descriptor[key] = value;
    descriptor
}

fn tagged(descriptor: Value, tag: &str) -> Value {
    with(descriptor, "annotations", json!({"org.opencontainers.image.ref.name": tag}))
}

fn for_platform(descriptor: Value, architecture: &str) -> Value {
    with(descriptor, "platform", json!({"os": "linux", "architecture": architecture}))
}

/// Unpacks layers as an image, as everybody we can be, and checks the tree.
fn applied(layers: &[Vec<u8>], check: impl Fn(&Path)) {
    for &who in As::all() {
        let scratch = Scratch::new();
        let before = scratch.surroundings();
        let layout = Layout::new(scratch.work().join("image"));
        layout.index(&[layout.image(layers)]);
        let outcome = scratch.feed(who, b"", &["-q", "oci:image", "root"]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "as {who:?}");
        assert_eq!(scratch.surroundings(), before);
        check(&scratch.work().join("root"));
    }
}

fn refused(prepare: impl Fn(&Layout), code: i32, line: &str) {
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.work().join("image"));
    prepare(&layout);
    let outcome = scratch.feed(As::Caller, b"", &["oci:image", "root"]);
    assert_eq!(outcome.code, Some(code), "{outcome:?}");
    assert!(outcome.stderr.contains(line), "{outcome:?}");
    assert_eq!(scratch.left(), ["image"]);
}

fn text(path: PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
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
        refused(
            |layout| layout.index(&[layout.image(std::slice::from_ref(&layer))]),
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

#[test]
fn the_layer_of_a_platform_is_taken() {
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.work().join("image"));
    let image = |name: &str| layout.image(&[Tar::new().file("arch", name.as_bytes()).end()]);
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        for_platform(image("riscv64"), "riscv64"), for_platform(image("s390x"), "s390x"),
        for_platform(image("attestation"), "unknown"),
    ]});
    layout.index(&[layout.json(&index, INDEX)]);
    let fetch =
        |platform: &str, to: &str| scratch.feed(As::Caller, b"", &["--platform", platform, "oci:image", to]);
    assert_eq!(fetch("linux/s390x", "root").code, Some(0));
    assert_eq!(text(scratch.work().join("root/arch")), "s390x");
    let outcome = fetch("linux/arm64", "other");
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert!(outcome.stderr.contains("hint: it has linux/riscv64, linux/s390x"), "{outcome:?}");
}

#[test]
fn a_tag_chooses_one_of_several_images_and_is_needed() {
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.work().join("image"));
    let image = |name: &str| tagged(layout.image(&[Tar::new().file("tag", name.as_bytes()).end()]), name);
    layout.index(&[image("v1"), image("v2")]);
    assert_eq!(scratch.feed(As::Caller, b"", &["oci:image:v2", "root"]).code, Some(0));
    assert_eq!(text(scratch.work().join("root/tag")), "v2");
    for source in ["oci:image", "oci:image:v3"] {
        let outcome = scratch.feed(As::Caller, b"", &[source, "other"]);
        assert_eq!(outcome.code, Some(3), "{outcome:?}");
        assert!(outcome.stderr.contains("v1, v2"), "{outcome:?}");
    }
}

#[test]
fn the_digest_of_an_image_is_said_and_may_be_demanded() {
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.work().join("image"));
    let image = layout.image(&[Tar::new().file("a", b"x").end()]);
    layout.index(std::slice::from_ref(&image));
    let digest = image["digest"].as_str().unwrap();
    let outcome = scratch.feed(As::Caller, b"", &["--digest", digest, "oci:image", "root"]);
    assert_eq!(outcome.stderr, format!("rootfs-fetch: root: 1 file, 1 B, {digest}\n"));
    let other = Digest::of(b"other").to_string();
    let outcome = scratch.feed(As::Caller, b"", &["--digest", &other, "oci:image", "other"]);
    assert_eq!(outcome.code, Some(4));
    assert_eq!(scratch.left(), ["image", "root"]);
}

#[test]
fn a_blob_that_is_not_what_its_digest_says_leaves_nothing() {
    let change = |layout: &Layout, blob: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let path = layout.0.join(blob);
        let mut data = fs::read(&path).unwrap();
        change(&mut data);
        fs::write(path, data).unwrap();
    };
    let layer = Tar::new().file("a", &[7; 5000]).end();
    let blob = Digest::of(&layer).blob();
    let prepared = |layout: &Layout| layout.index(&[layout.image(std::slice::from_ref(&layer))]);
    refused(
        |layout| {
            prepared(layout);
            change(layout, &blob, &|data| data[600] ^= 1);
        },
        4,
        "the digest is",
    );
    refused(
        |layout| {
            prepared(layout);
            change(layout, &blob, &|data| data.push(0));
        },
        4,
        "longer than it should be",
    );
    refused(
        |layout| {
            prepared(layout);
            change(layout, &blob, &|data| data.truncate(5120));
        },
        4,
        "blobs/sha256/",
    );
    refused(
        |layout| {
            prepared(layout);
            fs::remove_file(layout.0.join(&blob)).unwrap();
        },
        4,
        "is missing",
    );
}

#[test]
fn manifests_that_lie_are_refused() {
    let layer = || Tar::new().file("a", b"x").end();
    refused(
        |layout| {
            let both = layout.json(&json!({"schemaVersion": 2, "manifests": [], "layers": []}), MANIFEST);
            layout.index(&[both]);
        },
        4,
        "neither an index nor an image",
    );
    refused(
        |layout| {
            let image = layout.image(&[layer()]);
            layout.index(&[with(image, "mediaType", json!(INDEX))]);
        },
        4,
        "says that it is something else",
    );
    refused(
        |layout| layout.index(&[with(layout.image(&[layer()]), "size", json!(7))]),
        4,
        "is not what its digest says",
    );
    refused(
        |layout| layout.index(&[with(layout.image(&[layer()]), "size", json!(-7))]),
        4,
        "without a digest or size",
    );
    refused(
        |layout| {
            layout.index(&[with(layout.image(&[layer()]), "digest", json!("sha256:../../../outside/secret"))])
        },
        4,
        "a digest is sha256:",
    );
    refused(
        |layout| layout.index(&[layout.manifest(&json!([layout.blob(b"x", "text/plain")]))]),
        4,
        "no tar archive",
    );
    refused(|layout| fs::write(layout.0.join("index.json"), "{").unwrap(), 4, "index.json of the image");
    refused(
        |layout| fs::write(layout.0.join("index.json"), "[".repeat(100_000)).unwrap(),
        4,
        "recursion limit",
    );
    refused(|_| {}, 3, "index.json is missing");
    refused(
        |layout| {
            let mut index = layout.image(&[layer()]);
            for _ in 0..6 {
                index = layout.json(&json!({"schemaVersion": 2, "manifests": [index]}), INDEX);
            }
            layout.index(&[index]);
        },
        4,
        "without end",
    );
}

fn shell(scratch: &Scratch, script: &str) {
    let output = Command::new("sh").args(["-c", script]).current_dir(scratch.work()).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

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
        layout.index(&[
            layout.image(&[Tar::new().file("a", b"lower").end(), Tar::new().file("a", b"upper").end()])
        ]);
        shell(&scratch, &format!("tar -C image -{pack} {archive} . && rm -r image"));
        fetched(&scratch, &format!("oci-archive:{archive}"));
        assert_eq!(scratch.left(), [archive, "root"]);
    }
}

#[test]
fn a_layout_is_recognised_without_its_transport() {
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.work().join("image"));
    layout.index(&[layout.image(&[Tar::new().file("a", b"upper").end()])]);
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
    layout.index(&[layout.image(&[Tar::new().file("a", b"upper").end()])]);
    shell(&scratch, "tar -C image -czf image.tar.gz . && rm -r image");
    let outcome = scratch.feed(As::Caller, b"", &["image.tar.gz", "root"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let first = "rootfs-fetch: this archive is a container image: its layers are unpacked";
    assert_eq!(outcome.stderr.lines().next(), Some(first));
    assert_eq!(text(scratch.work().join("root/a")), "upper");
    let archive = fs::read(scratch.work().join("image.tar.gz")).unwrap();
    let outcome = scratch.feed(As::Caller, &archive, &["-", "other"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().next(), Some(first));
    assert_eq!(text(scratch.work().join("other/a")), "upper");
    assert_eq!(scratch.left(), ["image.tar.gz", "other", "root"]);
}

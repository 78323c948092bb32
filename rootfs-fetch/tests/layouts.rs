//! Image layouts: tags, platforms, digests, and where they are wrong.
#![cfg(test)]

use std::fs;

use rootfs_fetch::digest::Digest;
use serde_json::json;
use tests::fetch::{As, Scratch, assert_refused, text};
use tests::layout::{Layout, Packing, media, tagged, with};
use tests::tar::Tar;

#[test]
fn the_layer_of_a_platform_is_taken() {
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.work().join("image"));
    let image = |name: &str| {
        let layer = layout.layer(&Tar::new().file("arch", name.as_bytes()).end(), Packing::Gzip);
        layout.image(&[layer], name)
    };
    let index = json!({"schemaVersion": 2, "mediaType": media::INDEX, "manifests": [
        image("riscv64"), image("s390x"), image("unknown"),
    ]});
    layout.write_index(&[layout.json(&index, media::INDEX)]);
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
    let image = |name: &str| tagged(layout.image_of(&[Tar::new().file("tag", name.as_bytes()).end()]), name);
    layout.write_index(&[image("v1"), image("v2")]);
    assert_eq!(scratch.feed(As::Caller, b"", &["oci:image:v2", "root"]).code, Some(0));
    assert_eq!(text(scratch.work().join("root/tag")), "v2");
    for (source, hint) in [
        ("oci:image", "choose one: 'oci:image:@0' (v1), 'oci:image:@1' (v2)"),
        ("oci:image:v3", "it has v1, v2"),
    ] {
        let outcome = scratch.feed(As::Caller, b"", &[source, "other"]);
        assert_eq!(outcome.code, Some(3), "{outcome:?}");
        assert!(outcome.stderr.ends_with(&format!("rootfs-fetch: hint: {hint}\n")), "{outcome:?}");
    }
}

#[test]
fn the_digest_of_an_image_is_said_and_may_be_demanded() {
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.work().join("image"));
    let image = layout.image_of(&[Tar::new().file("a", b"x").end()]);
    layout.write_index(std::slice::from_ref(&image));
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
        let path = layout.path().join(blob);
        let mut data = fs::read(&path).unwrap();
        change(&mut data);
        fs::write(path, data).unwrap();
    };
    let layer = Tar::new().file("a", &[7; 5000]).end();
    let blob = Digest::of(&layer).blob();
    let prepared = |layout: &Layout| layout.write_index(&[layout.image_of(std::slice::from_ref(&layer))]);
    assert_refused(
        |layout| {
            prepared(layout);
            change(layout, &blob, &|data| data[600] ^= 1);
        },
        4,
        "the digest is",
    );
    assert_refused(
        |layout| {
            prepared(layout);
            change(layout, &blob, &|data| data.push(0));
        },
        4,
        "longer than it should be",
    );
    assert_refused(
        |layout| {
            prepared(layout);
            change(layout, &blob, &|data| data.truncate(5120));
        },
        4,
        "blobs/sha256/",
    );
    assert_refused(
        |layout| {
            prepared(layout);
            fs::remove_file(layout.path().join(&blob)).unwrap();
        },
        4,
        "is missing",
    );
}

#[test]
fn manifests_that_lie_are_refused() {
    let layer = || Tar::new().file("a", b"x").end();
    assert_refused(
        |layout| {
            let both =
                layout.json(&json!({"schemaVersion": 2, "manifests": [], "layers": []}), media::MANIFEST);
            layout.write_index(&[both]);
        },
        4,
        "neither an index nor an image",
    );
    assert_refused(
        |layout| {
            let image = layout.image_of(&[layer()]);
            layout.write_index(&[with(image, "mediaType", json!(media::INDEX))]);
        },
        4,
        "has a different type from the reference to it",
    );
    assert_refused(
        |layout| layout.write_index(&[with(layout.image_of(&[layer()]), "size", json!(7))]),
        4,
        "does not match its digest",
    );
    assert_refused(
        |layout| layout.write_index(&[with(layout.image_of(&[layer()]), "size", json!(-7))]),
        4,
        "without a digest or size",
    );
    assert_refused(
        |layout| {
            layout.write_index(&[with(
                layout.image_of(&[layer()]),
                "digest",
                json!("sha256:../../../outside/secret"),
            )])
        },
        4,
        "expected sha256:",
    );
    assert_refused(
        |layout| layout.write_index(&[layout.manifest(&json!([layout.blob(b"x", "text/plain")]))]),
        4,
        "not a tar archive",
    );
    assert_refused(
        |layout| fs::write(layout.path().join("index.json"), "{").unwrap(),
        4,
        "index.json of the image",
    );
    assert_refused(
        |layout| fs::write(layout.path().join("index.json"), "[".repeat(100_000)).unwrap(),
        4,
        "recursion limit",
    );
    assert_refused(
        |layout| fs::remove_file(layout.path().join("index.json")).unwrap(),
        3,
        "index.json is missing",
    );
    assert_refused(
        |layout| {
            let mut index = layout.image_of(&[layer()]);
            for _ in 0..6 {
                index = layout.json(&json!({"schemaVersion": 2, "manifests": [index]}), media::INDEX);
            }
            layout.write_index(&[index]);
        },
        4,
        "nested too deeply",
    );
}

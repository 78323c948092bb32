//! One image of several, for the requested platform: never silently the first one.
#![cfg(test)]

use std::fs;

use rootfs_fetch::digest::Digest;
use serde_json::{Value, json};
use tests::fetch::{As, Outcome, Scratch, text};
use tests::layout::{Layout, media, tagged, with};
use tests::tar::Tar;

/// This machine, in Go's terms.
fn host() -> String {
    rootfs_fetch::oci::platform::Platform::host().to_string()
}

fn layer(name: &str) -> Vec<u8> {
    Tar::new().file("name", name.as_bytes()).end()
}

fn config(layers: &[Vec<u8>], platform: &str) -> Value {
    let (os, architecture) = platform.split_once('/').unwrap();
    let contents: Vec<String> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
    json!({"os": os, "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": contents}})
}

/// An image in a layout, with these additional fields in its manifest.
fn image(layout: &Layout, layers: &[Vec<u8>], platform: &str, config_type: &str, more: &Value) -> Value {
    let config = layout.json(&config(layers, platform), config_type);
    let layers: Vec<Value> = layers.iter().map(|layer| layout.blob(layer, media::LAYER)).collect();
    let mut manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
    for (key, value) in more.as_object().unwrap() {
        manifest[key] = value.clone();
    }
    layout.json(&manifest, media::MANIFEST)
}

/// A layout `image` with one layer for each platform, without a platform in the index.
fn of_platforms(scratch: &Scratch, platforms: &[&str]) {
    let layout = Layout::new(scratch.work().join("image"));
    let one = |platform: &&str| image(&layout, &[layer(platform)], platform, media::CONFIG, &json!({}));
    let images: Vec<Value> = platforms.iter().map(one).collect();
    layout.write_index(&images);
}

/// What `docker save` writes: image `name` has one layer, `name`.
fn saved(images: &[(&str, Value)]) -> Vec<u8> {
    let mut tar = Tar::new();
    let mut list = Vec::new();
    for (name, tags) in images {
        let layer = layer(name);
        let config = config(std::slice::from_ref(&layer), "linux/amd64").to_string();
        tar = tar.file(format!("{name}.json"), config.as_bytes()).file(format!("{name}.tar"), &layer);
        list.push(
            json!({"Config": format!("{name}.json"), "RepoTags": tags, "Layers": [format!("{name}.tar")]}),
        );
    }
    tar.file("manifest.json", json!(list).to_string().as_bytes()).end()
}

fn fetch(scratch: &Scratch, args: &[&str]) -> Outcome {
    scratch.feed(As::Caller, b"", args)
}

#[track_caller]
fn gets(scratch: &Scratch, args: &[&str], name: &str) {
    let outcome = fetch(scratch, &[args, &["-q", "root"]].concat());
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{args:?}");
    assert_eq!(text(scratch.work().join("root/name")), name, "{args:?}");
    fs::remove_dir_all(scratch.work().join("root")).unwrap();
}

#[track_caller]
fn fails(scratch: &Scratch, args: &[&str], code: i32, stderr: &str) {
    let outcome = fetch(scratch, &[args, &["root"]].concat());
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(code), stderr), "{args:?}");
    assert!(!scratch.work().join("root").exists());
}

#[test]
fn a_platform_that_is_named_is_held() {
    let scratch = Scratch::new();
    of_platforms(&scratch, &["linux/s390x"]);
    gets(&scratch, &["--platform", "linux/s390x", "oci:image"], "linux/s390x");
    let lines = "rootfs-fetch: the image does not have the platform linux/arm64\n\
        rootfs-fetch: hint: it has linux/s390x\n";
    fails(&scratch, &["--platform", "linux/arm64", "oci:image"], 3, lines);
    fails(&scratch, &["--platform", "linux/arm64", "--dry-run", "oci:image"], 3, lines);
    // none was requested: it is used, and reported
    let outcome = fetch(&scratch, &["oci:image", "root"]);
    let line = format!("rootfs-fetch: the image is for linux/s390x; this machine is {}", host());
    assert_eq!((outcome.code, outcome.stderr.lines().next()), (Some(0), Some(line.as_str())));
}

#[test]
fn configurations_decide_where_an_index_does_not() {
    let scratch = Scratch::new();
    of_platforms(&scratch, &["linux/s390x", "linux/x86_64", "linux/arm64"]);
    for (platform, name) in
        [("linux/arm64", "linux/arm64"), ("linux/amd64", "linux/x86_64"), ("s390x", "linux/s390x")]
    {
        gets(&scratch, &["--platform", platform, "oci:image"], name);
    }
    let lines = "rootfs-fetch: the image does not have the platform linux/riscv64\n\
        rootfs-fetch: hint: it has linux/s390x, linux/amd64, linux/arm64\n";
    fails(&scratch, &["--platform", "riscv64", "oci:image"], 3, lines);
}

#[test]
fn several_images_are_told_and_chosen_by_position() {
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.work().join("image"));
    let one = |name| image(&layout, &[layer(name)], "linux/amd64", media::CONFIG, &json!({}));
    layout.write_index(&[one("a"), one("b")]);
    fs::write(scratch.work().join("saved.tar"), saved(&[("a", json!(null)), ("b", json!(["b:1"]))])).unwrap();
    let amd64 = ["--platform", "linux/amd64"];
    for (source, second) in [("oci:image", "unnamed"), ("docker-archive:saved.tar", "b:1")] {
        gets(&scratch, &[amd64.as_slice(), &[&format!("{source}:@0")]].concat(), "a");
        gets(&scratch, &[amd64.as_slice(), &[&format!("{source}:@1")]].concat(), "b");
        let lines = format!(
            "rootfs-fetch: SOURCE has several images\n\
             rootfs-fetch: hint: choose one: '{source}:@0' (unnamed), '{source}:@1' ({second})\n"
        );
        fails(&scratch, &[amd64.as_slice(), &[source]].concat(), 3, &lines);
        let outcome = fetch(&scratch, &[&format!("{source}:@2"), "root"]);
        let lines = "rootfs-fetch: the image does not have a position 2\nrootfs-fetch: hint: it has @0, ";
        assert!(outcome.code == Some(3) && outcome.stderr.starts_with(lines), "{outcome:?}");
    }
    // also if the archive was not known to be an image
    let outcome = fetch(&scratch, &["saved.tar", "root"]);
    assert!(
        outcome.code == Some(3) && outcome.stderr.contains("'docker-archive:saved.tar:@1'"),
        "{outcome:?}"
    );
}

#[test]
fn one_image_by_two_names_is_one() {
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.work().join("image"));
    let one = image(&layout, &[layer("k")], &host(), media::CONFIG, &json!({}));
    layout.write_index(&[tagged(one.clone(), "localhost/k:latest"), tagged(one, "localhost/k:stable")]);
    for source in ["oci:image", "oci:image:localhost/k:stable", "oci:image:localhost/k", "oci:image:@1"] {
        gets(&scratch, &[source], "k");
    }
    let two = [("a", json!(["a:1"])), ("a", json!(["a:2"]))];
    fs::write(scratch.work().join("saved.tar"), saved(&two)).unwrap();
    gets(&scratch, &["docker-archive:saved.tar"], "a");
    gets(&scratch, &["docker-archive:saved.tar:a:2"], "a");
}

#[test]
fn names_are_those_of_docker_short_or_full() {
    let scratch = Scratch::new();
    for (file, tag) in [("full.tar", "docker.io/library/ubuntu:24.04"), ("short.tar", "ubuntu:24.04")] {
        let images = [("a", json!([tag])), ("b", json!(["other:1"]))];
        fs::write(scratch.work().join(file), saved(&images)).unwrap();
        for name in ["ubuntu:24.04", "docker.io/library/ubuntu:24.04", "library/ubuntu:24.04"] {
            gets(&scratch, &[&format!("docker-archive:{file}:{name}")], "a");
        }
    }
    // what containerd writes
    let layout = Layout::new(scratch.work().join("image"));
    let one = |name: &str| {
        let image = image(&layout, &[layer(name)], "linux/amd64", media::CONFIG, &json!({}));
        let name = format!("docker.io/library/{name}:latest");
        let names = json!({"io.containerd.image.name": name, "org.opencontainers.image.ref.name": "latest"});
        with(image, "annotations", names)
    };
    layout.write_index(&[one("x"), one("y")]);
    gets(&scratch, &["oci:image:y"], "y");
    gets(&scratch, &["oci:image:docker.io/library/x:latest"], "x");
    let lines = "rootfs-fetch: several images have the name \"latest\"\n\
        rootfs-fetch: hint: choose one: 'oci:image:@0' (docker.io/library/x:latest), 'oci:image:@1' (docker.io/library/y:latest)\n";
    fails(&scratch, &["oci:image:latest", "--platform=linux/amd64"], 3, lines);
}

#[test]
fn a_configuration_of_a_lost_type_is_one_if_it_reads_as_one() {
    for lost in ["application/octet-stream", "application/json", "text/html", ""] {
        let scratch = Scratch::new();
        let layout = Layout::new(scratch.work().join("image"));
        layout.write_index(&[image(&layout, &[layer("old")], &host(), lost, &json!({}))]);
        gets(&scratch, &["oci:image"], "old");
        let chart = json!({"config": layout.blob(b"apiVersion: v2", lost)});
        layout.write_index(&[image(&layout, &[layer("old")], &host(), lost, &chart)]);
        let line = format!("rootfs-fetch: this is not a container image, but {lost:?}\n");
        fails(&scratch, &["oci:image"], 4, &line);
    }
}

#[test]
fn a_list_that_is_null_is_empty() {
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.work().join("image"));
    let both = json!({"manifests": null});
    layout.write_index(&[image(&layout, &[layer("a")], &host(), media::CONFIG, &both)]);
    gets(&scratch, &["oci:image"], "a");
    layout.write_index(&[image(&layout, &[], &host(), media::CONFIG, &json!({"layers": null}))]);
    assert_eq!(fetch(&scratch, &["-q", "oci:image", "empty"]).code, Some(0));
    let no_layers = Tar::new()
        .file("c.json", br#"{"rootfs":{"type":"layers"}}"#)
        .file("manifest.json", br#"[{"Config":"c.json","RepoTags":["x:1"],"Layers":null}]"#);
    fs::write(scratch.work().join("none.tar"), no_layers.end()).unwrap();
    assert_eq!(fetch(&scratch, &["-q", "none.tar", "none"]).code, Some(0));
    assert_eq!(fs::read_dir(scratch.work().join("none")).unwrap().count(), 0);
}

#[test]
fn an_index_without_a_list_gives_way_to_the_manifest_beside_it() {
    let scratch = Scratch::new();
    let tar = Tar::new().file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    let tar = tar.file("index.json", br#"{"schemaVersion":2,"manifests":null}"#);
    let rest = saved(&[("a", json!(null))]);
    let marks = tar.end();
    let whole = [&marks[..marks.len() - 1024], &rest].concat();
    fs::write(scratch.work().join("saved.tar"), whole).unwrap();
    for source in ["saved.tar", "oci-archive:saved.tar", "docker-archive:saved.tar"] {
        let outcome = fetch(&scratch, &["--platform=linux/amd64", source, "root"]);
        assert_eq!(
            (outcome.code, text(scratch.work().join("root/name"))),
            (Some(0), "a".into()),
            "{outcome:?}"
        );
        fs::remove_dir_all(scratch.work().join("root")).unwrap();
    }
}

#[test]
fn an_archive_is_an_image_by_its_manifest_from_a_file_a_pipe_and_in_part() {
    let scratch = Scratch::new();
    let archive = saved(&[("a", json!(null))]);
    fs::write(scratch.work().join("saved.tar"), &archive).unwrap();
    let said = "rootfs-fetch: this archive is a container image: unpacking its layers\n";
    for args in [&["saved.tar"][..], &["-"], &["--exclude=none", "saved.tar"], &["--into", "saved.tar"]] {
        let args = [args, &["--platform=linux/amd64", "root"]].concat();
        let outcome = scratch.feed(As::Caller, &archive, &args);
        assert!(outcome.code == Some(0) && outcome.stderr.starts_with(said), "{args:?} {outcome:?}");
        assert_eq!(text(scratch.work().join("root/name")), "a");
        fs::remove_dir_all(scratch.work().join("root")).unwrap();
    }
    // a pipe with a name
    let args = ["/dev/stdin", "--platform=linux/amd64", "root"];
    let outcome = scratch.feed(As::Caller, &archive, &args);
    assert!(outcome.code == Some(0) && outcome.stderr.starts_with(said), "{outcome:?}");
    fs::remove_dir_all(scratch.work().join("root")).unwrap();
    for pipe in ["-", "/dev/stdin"] {
        let outcome = scratch.feed(As::Caller, &archive, &["--dry-run", pipe, "root"]);
        let would = "rootfs-fetch: this archive is a container image: a run would unpack its layers\n";
        assert!(outcome.code == Some(0) && outcome.stderr.ends_with(would), "{outcome:?}");
        let outcome = scratch.feed(As::Caller, &archive, &["--exclude=none", pipe, "root"]);
        assert!(outcome.code == Some(4) && outcome.stderr.contains("hint: save it to a file"), "{outcome:?}");
    }
    assert_eq!(scratch.left(), ["saved.tar"]);
    // a file of that name is not enough
    for other in ["{}", "[]", r#"[{"name":"x"}]"#, "no JSON"] {
        let tar = Tar::new().file("manifest.json", other.as_bytes()).file("name", b"tree").end();
        assert_eq!(scratch.feed(As::Caller, &tar, &["-q", "-", "root"]).code, Some(0));
        assert_eq!(text(scratch.work().join("root/manifest.json")), other);
        fs::remove_dir_all(scratch.work().join("root")).unwrap();
    }
}

#[test]
fn an_archive_with_names_of_a_root_is_no_image_in_whole_and_in_part() {
    let scratch = Scratch::new();
    let image = saved(&[("a", json!(null))]);
    let image = &image[..image.len() - 1024];
    for (part, is_first) in [("./etc/name", true), ("opt/lib/name", false)] {
        let root = Tar::new().file(part, b"root").end();
        let entry = &root[..root.len() - 1024];
        let archive = if is_first { [entry, image, &[0; 1024]].concat() } else { [image, &root].concat() };
        fs::write(scratch.work().join("odd.tar"), &archive).unwrap();
        for args in [&["odd.tar"][..], &["-"], &["--exclude=none", "odd.tar"], &["--into", "odd.tar"]] {
            let outcome = scratch.feed(As::Caller, &archive, &[args, &["-q", "root"]].concat());
            assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{part} {args:?}");
            assert_eq!(text(scratch.work().join("root").join(part)), "root");
            assert!(scratch.work().join("root/manifest.json").exists());
            fs::remove_dir_all(scratch.work().join("root")).unwrap();
        }
        for source in ["odd.tar", "-"] {
            let outcome = scratch.feed(As::Caller, &archive, &["--dry-run", source, "root"]);
            assert_eq!(outcome.code, Some(0), "{outcome:?}");
            assert!(!outcome.stderr.contains("image"), "{outcome:?}");
        }
    }
}

#[test]
fn a_digest_in_upper_case_is_refused_in_an_image_and_lowered_in_an_option() {
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.work().join("image"));
    let one = image(&layout, &[layer("a")], &host(), media::CONFIG, &json!({}));
    layout.write_index(std::slice::from_ref(&one));
    let digest = one["digest"].as_str().unwrap();
    let upper = format!("sha256:{}", digest.trim_start_matches("sha256:").to_uppercase());
    gets(&scratch, &["--digest", &upper, "oci:image"], "a");
    layout.write_index(&[with(one, "digest", json!(upper))]);
    let line = format!("rootfs-fetch: {upper:?}: a digest in an image must be in lower case\n");
    fails(&scratch, &["oci:image"], 4, &line);
}

#[test]
fn a_dry_run_ends_as_the_run_would() {
    let scratch = Scratch::new();
    let archive = saved(&[("a", json!(null)), ("b", json!(null))]);
    fs::write(scratch.work().join("saved.tar"), archive).unwrap();
    fs::create_dir_all(scratch.work().join("full/of")).unwrap();
    let tar = Tar::new().file("a", b"x").file("b", b"x").symlink("link", "").end();
    fs::write(scratch.work().join("link.tar"), &tar).unwrap();
    for args in [
        &["saved.tar", "root"][..],
        &["docker-archive:saved.tar:@0", "full"],
        &["--max-files=1", "link.tar", "root"],
        &["link.tar", "root"],
        &["link.tar", "missing/root"],
        &["--config=config", "link.tar", "root"],
    ] {
        let run = fetch(&scratch, args);
        let dry = fetch(&scratch, &[&["--dry-run", "-q"], args].concat());
        let last = |outcome: &Outcome| {
            let lines = outcome.stderr.lines().filter(|line| !line.contains("container image"));
            lines.filter(|line| !line.contains("the image is for")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_ne!(run.code, Some(0), "{args:?}");
        assert_eq!((dry.code, last(&dry)), (run.code, last(&run)), "{args:?}");
    }
}

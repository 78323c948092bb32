//! Image archives that attack with names, platforms or numbers: the terminal, or the machine's resources.

use serde_json::{Value, json};
use tests::fetch::{As, Outcome, Scratch};
use tests::layout::Layout;
use tests::tar::Tar;

/// A terminal's control sequence, and a line that looks like the tool's.
const FORGED: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\r\nrootfs-fetch: root: 1 file\u{9b}31m";

fn layer() -> Vec<u8> {
    Tar::new().file("a", b"x").end()
}

/// What `docker save` would write for images with these names; the first has one layer, the others two.
fn saved(images: &[Value], platform: &str) -> Vec<u8> {
    let mut tar = Tar::new().file("l.tar", &layer());
    for count in [1, 2] {
        let digests = vec![rootfs_fetch::digest::Digest::of(&layer()).to_string(); count];
        let config = json!({"os": "linux", "architecture": platform, "rootfs": {"diff_ids": digests}});
        tar = tar.file(format!("c-{count}.json"), config.to_string().as_bytes());
    }
    let image = |(number, names): (usize, &Value)| {
        let count = 1 + number.min(1);
        json!({"Config": format!("c-{count}.json"), "RepoTags": names, "Layers": vec!["l.tar"; count]})
    };
    let list: Vec<Value> = images.iter().enumerate().map(image).collect();
    tar.file("manifest.json", json!(list).to_string().as_bytes()).end()
}

/// Unpacks an image archive as each user; nothing is left or changed except `root`, and every line is the
/// tool's.
#[track_caller]
fn fed(archive: &[u8], args: &[&str], code: i32) -> Outcome {
    let mut last = None;
    for &who in As::all() {
        let scratch = Scratch::new();
        let before = scratch.surroundings();
        let outcome = scratch.feed(who, archive, &[args, &["-", "root"]].concat());
        assert_eq!(outcome.code, Some(code), "{who:?} {outcome:?}");
        assert_eq!(scratch.surroundings(), before, "{who:?}");
        assert_eq!(scratch.left(), if code == 0 { vec!["root"] } else { Vec::new() }, "{who:?}");
        let is_ours = |line: &str| line.starts_with("rootfs-fetch: ") && !line.chars().any(char::is_control);
        assert!(outcome.stderr.lines().all(is_ours), "{:?}", outcome.stderr);
        assert!(outcome.stderr.lines().count() <= 3, "{:?}", outcome.stderr);
        last = Some(outcome);
    }
    last.expect("somebody to run it as")
}

#[test]
fn a_name_of_an_image_is_printed_without_what_a_terminal_obeys() {
    let two = saved(&[json!([FORGED]), json!(["b:1"])], "amd64");
    let outcome = fed(&two, &[], 3);
    assert!(outcome.stderr.contains("owned"), "{outcome:?}");
    // two entries differ only in their names
    let other = saved(&[json!([FORGED, "x"])], "amd64");
    fed(&other, &[], 0);
}

#[test]
fn a_platform_of_an_image_is_printed_without_what_a_terminal_obeys() {
    fed(&saved(&[json!(["a:1"])], FORGED), &["--platform", "linux/arm64"], 3);
    fed(&saved(&[json!(["a:1"])], FORGED), &[], 0);
}

#[test]
fn a_hundred_thousand_names_of_one_image_are_one_image() {
    let names: Vec<String> = (0..100_000).map(|number| format!("x:{number}")).collect();
    fed(&saved(&[json!(names)], "amd64"), &[], 0);
    let outcome = fed(&saved(&[json!(names), json!(["other:1"])], "amd64"), &[], 3);
    assert!(outcome.stderr.len() < 4096, "{}", outcome.stderr.len());
    // and as many entries with the same name
    let entries: Vec<Value> = (0..20_000).map(|_| json!(["x:1"])).collect();
    let outcome = fed(&saved(&entries, "amd64"), &[], 3);
    assert!(outcome.stderr.len() < 4096, "{}", outcome.stderr.len());
}

#[test]
fn a_layout_whose_names_are_commands_is_chosen_by_position_alone() {
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.path("layout"));

    for name in [FORGED, "--replace", "$(touch outside)", "'; touch outside; '"] {
        layout.tag(layout.image_of(&[layer()]), name);
        layout.tag(layout.image_of(&[layer(), layer()]), &format!("{name}-other"));
    }
    let before = scratch.surroundings();
    let source = format!("oci:{}", scratch.path("layout").display());
    let outcome = scratch.feed(As::Caller, b"", &[&source, "root"]);
    assert_eq!((outcome.code, scratch.left().len()), (Some(3), 0), "{outcome:?}");
    assert!(!outcome.stderr.chars().any(|char| char.is_control() && char != '\n'), "{:?}", outcome.stderr);
    assert_eq!(outcome.stderr.lines().count(), 2, "{:?}", outcome.stderr);
    assert_eq!(scratch.surroundings(), before);
}

#[test]
fn small_layers_are_not_a_bomb_together() {
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.path("layout"));
    let layers: Vec<Vec<u8>> =
        (0..20).map(|number| Tar::new().file(format!("f{number}"), &[0; 16 << 10]).end()).collect();
    layout.write_index(&[layout.image_of(&layers)]);
    let source = format!("oci:{}", scratch.path("layout").display());
    for &who in As::all() {
        for dry_run in [&[][..], &["--dry-run"]] {
            let limited = [dry_run, &["--quiet", "--max-size", "64K", &source, "root"]].concat();
            let outcome = scratch.feed(who, b"", &limited);
            assert_eq!((outcome.code, scratch.left().len()), (Some(4), 0), "{who:?} {outcome:?}");
            assert!(outcome.stderr.contains("unpacks to more than 65536 bytes"), "{outcome:?}");
        }
        let outcome = scratch.feed(who, b"", &["--max-size", "1M", &source, "root"]);
        assert_eq!(outcome.code, Some(0), "{who:?} {outcome:?}");
        std::fs::remove_dir_all(scratch.work().join("root")).expect("it is removed");
    }
}

//! Without openat2(2), because of the kernel, a container's filter, or a rename somewhere on the machine while it
//! resolves "..": the same trees, and the same refusals.
#![cfg(test)]

use std::fs;
use std::process::Command;

use tests::fetch::{As, Outcome, Scratch, feed};
use tests::layout::Layout;
use tests::tar::Tar;
use tests::tree::differences;

/// The tool when openat2(2) fails with `errno`.
fn without_openat2(scratch: &Scratch, errno: &str, archive: &[u8], args: &[&str]) -> Outcome {
    let inject = format!("--inject=openat2:error={errno}");
    let mut command: Command = scratch.as_who(As::Caller, "strace");
    command.args(["-f", "-o", "/dev/null", "-e", "trace=openat2", &inject]).arg(scratch.path("tool"));
    command.args(args);
    feed(command, archive)
}

/// Links in and out, names through them, and a change of type.
fn winding() -> Vec<u8> {
    Tar::new()
        .dir("usr/bin", 0o755)
        .symlink("bin", "usr/bin")
        .symlink("run", "../../../../var/run")
        .dir("var/run", 0o750)
        .file("bin/sh", b"a shell")
        .file("run/pid", b"1")
        .symlink("etc", "/usr/etc")
        .dir("usr/etc", 0o700)
        .file("etc/passwd", b"root")
        .hardlink("usr/sh", "bin/sh")
        .symlink("bin/sh", "dash")
        .end()
}

#[test]
#[ignore = "needs strace"]
fn a_tree_is_the_same_without_openat2() {
    let scratch = Scratch::new();
    assert_eq!(scratch.feed(As::Caller, &winding(), &["-q", "-", "with"]).code, Some(0));
    for errno in ["ENOSYS", "EPERM"] {
        let outcome = without_openat2(&scratch, errno, &winding(), &["-q", "--replace", "-", "without"]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{errno}");
        let mut different = differences(&scratch.work().join("with"), &scratch.work().join("without"));
        // these have no time in the archive
        different.retain(|(name, _)| !["", "usr", "var"].map(std::path::PathBuf::from).contains(name));
        assert_eq!(different, [], "{errno}");
    }
}

#[test]
#[ignore = "needs strace"]
fn nothing_outside_is_written_or_linked_without_openat2() {
    for attack in [
        Tar::new().symlink("out", "../outside").file("out/climbed", b"x").end(),
        Tar::new().symlink("a", "..").symlink("b", "a/a/a/outside").file("b/climbed", b"x").end(),
        Tar::new().symlink("out", "../outside/secret").file("out", b"mine").end(),
        Tar::new().symlink("out", "../outside").hardlink("stolen", "out/secret").end(),
    ] {
        let scratch = Scratch::new();
        let before = scratch.surroundings();
        let outcome = without_openat2(&scratch, "ENOSYS", &attack, &["-q", "-", "root"]);
        assert_eq!(scratch.surroundings(), before, "{outcome:?}");
        assert!(matches!(outcome.code, Some(0 | 4)), "{outcome:?}");
        assert!(!scratch.work().join("root/stolen").exists());
    }
}

#[test]
#[ignore = "needs strace"]
fn a_layout_whose_parts_are_links_leads_nowhere_else_without_openat2() {
    let scratch = Scratch::new();
    let layer = Tar::new().file("from-a-layer", b"x").end();
    let layout = Layout::new(scratch.work().join("image"));
    layout.write_index(&[layout.image_of(&[layer])]);
    // links inside the image are followed, as docker save writes them
    let blobs = scratch.work().join("image/blobs");
    fs::rename(blobs.join("sha256"), blobs.join("real")).unwrap();
    std::os::unix::fs::symlink("real", blobs.join("sha256")).unwrap();
    for errno in ["ENOSYS", "EAGAIN"] {
        let outcome = without_openat2(&scratch, errno, b"", &["-q", "oci:image", "root"]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{errno}");
        assert!(scratch.work().join("root/from-a-layer").exists());
        fs::remove_dir_all(scratch.work().join("root")).unwrap();
    }
    // and those that lead out are not
    fs::rename(blobs.join("real"), scratch.work().join("elsewhere")).unwrap();
    fs::remove_file(blobs.join("sha256")).unwrap();
    std::os::unix::fs::symlink("../../elsewhere", blobs.join("sha256")).unwrap();
    for openat2 in [true, false] {
        let outcome = if openat2 {
            scratch.feed(As::Caller, b"", &["oci:image", "other"])
        } else {
            without_openat2(&scratch, "ENOSYS", b"", &["oci:image", "other"])
        };
        assert_eq!(outcome.code, Some(4), "{outcome:?}");
        assert!(outcome.stderr.contains("is missing"), "{outcome:?}");
    }
}

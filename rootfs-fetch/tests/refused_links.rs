//! File systems without some features of tar: links, owners, times.
#![cfg(test)]

use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use tests::fetch::{As, Outcome, Scratch, feed, text};
use tests::layout::Layout;
use tests::tar::{Head, Tar};

/// The tool when a call fails with `errno`; `when` as in strace(1).
fn injected(scratch: &Scratch, call: &str, errno: &str, archive: &[u8], args: &[&str]) -> Outcome {
    injected_as(As::Caller, scratch, call, errno, archive, args)
}

fn injected_as(
    who: As,
    scratch: &Scratch,
    call: &str,
    errno: &str,
    archive: &[u8],
    args: &[&str],
) -> Outcome {
    let inject = format!("--inject={call}:error={errno}");
    let mut command: Command = scratch.as_who(who, "strace");
    command
        .args(["-f", "-o", "/dev/null", "-e", &format!("trace={call}"), &inject])
        .arg(scratch.path("tool"));
    command.args(args);
    feed(command, archive)
}

#[test]
#[ignore = "needs strace"]
fn a_link_that_the_file_system_refuses_becomes_a_copy() {
    let tar = Tar::new()
        .entry(&Head::new(b'0', "file").size(1).mode(0o640), b"x")
        .symlink("link", "file")
        .hardlink("d/other", "file")
        .hardlink("d/link", "link")
        .hardlink("early", "late")
        .file("late", b"y")
        .end();
    for errno in ["EMLINK", "EPERM", "EACCES", "EXDEV", "EOPNOTSUPP"] {
        let scratch = Scratch::new();
        let outcome = injected(&scratch, "linkat", errno, &tar, &["-", "root"]);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let line = "rootfs-fetch: 3 hard links are copies: the file system refused the link";
        assert_eq!(outcome.stderr.lines().next(), Some(line), "{errno}");
        let root = scratch.work().join("root");
        assert_eq!((text(root.join("d/other")), text(root.join("early"))), ("x".into(), "y".into()));
        let (old, new) = (root.join("file").metadata().unwrap(), root.join("d/other").metadata().unwrap());
        assert_eq!((new.mode(), new.mtime(), new.uid()), (old.mode(), old.mtime(), old.uid()));
        assert_eq!(std::fs::read_link(root.join("d/link")).unwrap().to_str(), Some("file"));
    }
}

#[test]
#[ignore = "needs strace"]
fn a_link_to_a_file_whose_copy_is_gone_is_another_copy() {
    let lower = Tar::new().file("file", b"x").hardlink("d/copy", "file").end();
    for upper in [Tar::new().file("d/.wh.copy", b""), Tar::new().file("d", b"")] {
        let scratch = Scratch::new();
        let layout = Layout::new(scratch.work().join("image"));
        layout.write_index(&[layout.image_of(&[lower.clone(), upper.hardlink("other", "file").end()])]);
        let outcome = injected(&scratch, "linkat", "EMLINK", b"", &["oci:image", "root"]);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert_eq!(text(scratch.work().join("root/other")), "x");
    }
}

/// An archive that needs more space only if links become copies.
fn a_bomb_of_links(size: usize, count: usize) -> Vec<u8> {
    let mut tar = Tar::new().file("a", &vec![b'x'; size]);
    for number in 0..count {
        tar = tar.hardlink(format!("link-{number}"), "a");
    }
    tar.end()
}

#[test]
#[ignore = "needs strace"]
fn copies_of_links_count_as_what_is_unpacked() {
    let scratch = Scratch::new();
    let tar = a_bomb_of_links(1 << 20, 20);
    let outcome = injected(&scratch, "linkat", "EMLINK", &tar, &["--max-size", "8M", "-", "root"]);
    let said = "rootfs-fetch: refused: copies of hard links would take more than 8388608 bytes\n\
                rootfs-fetch: hint: raise the limit with --max-size\n";
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(4), said));
    assert_eq!(scratch.left(), Vec::<String>::new());
    let outcome = injected(&scratch, "linkat", "EMLINK", &tar, &["--max-size", "40M", "-", "root"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[test]
#[ignore = "needs strace"]
fn a_copy_of_a_file_with_holes_has_them_too() {
    let scratch = Scratch::new();
    let mut map = b"2\n0\n512\n1099511627264\n512\n".to_vec();
    map.resize(512, 0);
    let data = [map, vec![b'x'; 1024]].concat();
    let tar = Tar::new()
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"holes"),
            ("GNU.sparse.realsize", b"1099511627776"),
        ])
        .entry(&Head::new(b'0', "GNUSparseFile.0/holes").size(data.len() as u64), &data)
        .hardlink("other", "holes")
        .end();
    let outcome = injected(&scratch, "linkat", "EMLINK", &tar, &["-", "root"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let other = scratch.work().join("root/other").metadata().unwrap();
    assert_eq!((other.size(), other.blocks() < 100), (1 << 40, true));
    let mut same = Command::new("cmp");
    same.args(["-n", "4096", "-i", "1099511623680"]);
    let same = same.arg(scratch.work().join("root/holes")).arg(scratch.work().join("root/other")).status();
    assert!(same.unwrap().success());
}

#[test]
#[ignore = "needs strace"]
fn a_copy_is_made_of_what_the_link_names_and_never_through_it() {
    let outside = |scratch: &Scratch| scratch.path("outside/secret").display().to_string();
    for who in As::all() {
        let scratch = Scratch::new();
        let secret = outside(&scratch);
        let before = scratch.surroundings();
        let tar = Tar::new()
            .symlink("to-secret", &secret)
            .symlink("to-directory", scratch.path("outside").display().to_string())
            .hardlink("copy", "to-secret")
            .fifo("pipe")
            .hardlink("other-pipe", "pipe")
            // a copy of a name that was taken meanwhile
            .file("file", b"inside")
            .symlink("taken", &secret)
            .hardlink("taken", "file")
            .end();
        let outcome = injected_as(*who, &scratch, "linkat", "EMLINK", &tar, &["-", "root"]);
        assert_eq!(outcome.code, Some(0), "{who:?} {outcome:?}");
        assert_eq!(scratch.surroundings(), before, "{who:?}");
        let root = scratch.work().join("root");
        assert_eq!(std::fs::read_link(root.join("copy")).unwrap().to_str(), Some(secret.as_str()));
        assert!(root.join("taken").symlink_metadata().unwrap().is_file());
        assert_eq!(text(root.join("taken")), "inside");
        // a name through a link to an absolute directory is inside the root, where that directory does not
        // exist
        let tar = Tar::new()
            .symlink("d", scratch.path("outside").display().to_string())
            .hardlink("stolen", "d/secret")
            .end();
        let outcome = injected_as(*who, &scratch, "linkat", "EMLINK", &tar, &["-", "other"]);
        assert_eq!(outcome.code, Some(4), "{who:?} {outcome:?}");
        assert_eq!((scratch.surroundings(), scratch.left()), (before, vec!["root".to_string()]), "{who:?}");
    }
}

#[test]
#[ignore = "needs strace"]
fn a_disk_that_fails_is_no_file_system_that_has_no_links() {
    let scratch = Scratch::new();
    let tar = Tar::new().file("a", b"x").hardlink("b", "a").end();
    let outcome = injected(&scratch, "linkat", "EIO", &tar, &["-", "root"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(!scratch.work().join("root").exists());
}

#[test]
#[ignore = "needs strace"]
fn times_that_a_file_system_refuses_are_counted() {
    let scratch = Scratch::new();
    let tar = Tar::new().dir("d", 0o755).file("d/a", b"x").symlink("d/l", "a").end();
    let outcome = injected(&scratch, "utimensat", "EPERM", &tar, &["-", "root"]);
    let line = "rootfs-fetch: 3 files have the current time: the file system refused the archive's";
    assert_eq!((outcome.code, outcome.stderr.lines().next()), (Some(0), Some(line)));
}

#[test]
#[ignore = "needs root and strace"]
fn owners_that_a_file_system_refuses_have_a_hint_that_works() {
    if !tests::fetch::is_root() {
        return;
    }
    let scratch = Scratch::new();
    let mut head = Head::new(b'0', "a").size(1);
    head.uid = b"0000007\0".to_vec();
    let tar = Tar::new().entry(&head, b"x").end();
    let outcome = injected(&scratch, "fchown,fchownat", "EPERM", &tar, &["-", "root"]);
    assert_eq!(outcome.code, Some(5), "{outcome:?}");
    let hint = "hint: this file system does not store owners: use --no-same-owner";
    assert!(outcome.stderr.contains(hint), "{outcome:?}");
    let outcome =
        injected(&scratch, "fchown,fchownat", "EPERM", &tar, &["-q", "--no-same-owner", "-", "root"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
}

#[test]
fn another_name_of_a_device_that_is_left_out_is_left_out_too() {
    let scratch = Scratch::new();
    let tar = Tar::new()
        .hardlink("early", "null")
        .entry(&Head::new(b'3', "null"), b"")
        .hardlink("other", "null")
        .hardlink("third", "other")
        .file("a", b"x")
        .end();
    let outcome = scratch.feed(As::Caller, &tar, &["-", "root"]);
    let line =
        "rootfs-fetch: 4 device nodes skipped: chroot-rs mounts a /dev; as root, --devices creates them";
    assert_eq!((outcome.code, outcome.stderr.lines().next()), (Some(0), Some(line)));
    // if a file has taken the name of a skipped device, a hard link to the name is one to the file
    let tar = Tar::new().entry(&Head::new(b'3', "n"), b"").file("n", b"x").hardlink("m", "n").end();
    let outcome = scratch.feed(As::Caller, &tar, &["-q", "--replace", "-", "root"]);
    assert_eq!((outcome.code, text(scratch.work().join("root/m"))), (Some(0), "x".into()));
}

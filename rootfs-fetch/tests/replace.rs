//! What `--replace` does not take away: what is mounted, where somebody works, where somebody lives.
#![cfg(test)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;
use tests::fetch::{As, Outcome, Scratch, feed, is_root};
use tests::tar::Tar;

const ANOTHER: &str = "rootfs-fetch: hint: name a directory that does not exist, or an empty one\n";

/// `a.tar`, and a directory `old` that has something.
fn with_old() -> Scratch {
    let scratch = Scratch::new();
    fs::write(scratch.work().join("a.tar"), Tar::new().file("new", b"x").end()).unwrap();
    fs::create_dir_all(scratch.work().join("old/m n")).unwrap();
    fs::write(scratch.work().join("old/mine"), "x").unwrap();
    scratch
}

/// The tool in a directory of `work`, with a home of its own.
fn run(scratch: &Scratch, dir: &str, home: &str, args: &[&str]) -> Outcome {
    let mut command = scratch.command(As::Caller);
    command.current_dir(scratch.work().join(dir)).env("HOME", home).args(args);
    feed(command, b"")
}

#[test]
fn the_working_directory_and_what_it_is_in_are_not_replaced() {
    let scratch = with_old();
    symlink("..", scratch.work().join("old/up")).unwrap();
    let tar = scratch.work().join("a.tar").display().to_string();
    for (directory, why) in [
        (".", "it is the working directory"),
        ("../../old/m n", "it is the working directory"),
        ("..", "the working directory is in it"),
        ("../up/old", "the working directory is in it"),
        ("/", "the working directory is in it"),
    ] {
        let outcome = run(&scratch, "old/m n", "/nonexistent", &["--replace", &tar, directory]);
        assert_eq!(outcome.code, Some(7), "{directory}: {outcome:?}");
        let line = format!("rootfs-fetch: \"{directory}\" cannot be replaced: {why}\n{ANOTHER}");
        assert_eq!(outcome.stderr, line);
    }
    assert_eq!(scratch.left(), ["a.tar", "old"]);
    assert!(scratch.work().join("old/mine").exists());
    // a neighbour whose name begins likewise is another directory
    fs::create_dir(scratch.work().join("old/m")).unwrap();
    let outcome = run(&scratch, "old/m n", "/nonexistent", &["-q", "--replace", &tar, "../m"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_home_and_what_it_is_in_are_not_replaced() {
    let scratch = with_old();
    symlink("old", scratch.work().join("link")).unwrap();
    let home = scratch.work().join("link/m n").display().to_string();
    for (directory, why) in [("old/m n", "it is the home directory"), ("link", "the home directory is in it")]
    {
        let outcome = run(&scratch, ".", &home, &["--replace", "a.tar", directory]);
        assert_eq!(outcome.code, Some(7), "{directory}: {outcome:?}");
        let line = format!("rootfs-fetch: \"{directory}\" cannot be replaced: {why}\n{ANOTHER}");
        assert_eq!(outcome.stderr, line);
    }
    assert!(scratch.work().join("old/mine").exists());
    let outcome = run(&scratch, ".", "", &["-q", "--replace", "a.tar", "old"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
}

#[test]
fn replace_is_offered_only_where_it_helps() {
    let scratch = with_old();
    let tar = scratch.work().join("a.tar").display().to_string();
    for (directory, args) in [(".", &[][..]), ("mine", &[]), ("mine", &["--replace"]), ("mine", &["--into"])]
    {
        let outcome = run(&scratch, "old", "/nonexistent", &[args, &[&tar, directory]].concat());
        assert_eq!(outcome.code, Some(7), "{directory}: {outcome:?}");
        let what = if directory == "." { "is not empty" } else { "is not a directory" };
        assert_eq!(outcome.stderr, format!("rootfs-fetch: \"{directory}\" exists and {what}\n{ANOTHER}"));
    }
    let outcome = run(&scratch, ".", "/nonexistent", &[&tar, "old"]);
    assert!(outcome.stderr.ends_with("an empty one; --replace deletes its contents\n"), "{outcome:?}");
}

/// Runs a script where it may mount, with the tool as `$TOOL`; its status, and what it said.
fn with_mounts(scratch: &Scratch, script: &str) -> (Option<i32>, String) {
    // root needs no user namespace, and would have no rights over nobody's directory in one
    let map: &[&str] = if is_root() { &[] } else { &["--map-root-user"] };
    let output = Command::new("timeout")
        .args(["60", "unshare", "--mount"])
        .args(map)
        .args(["sh", "-c", &format!("set -e; {script}")])
        .current_dir(scratch.work())
        .env("TOOL", scratch.path("tool"))
        .output()
        .expect("timeout starts");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
#[ignore = "needs a user namespace, to mount a tmpfs"]
fn a_tree_with_something_mounted_in_it_is_not_replaced_and_nothing_is_fetched() {
    for (mounts, directory, what, hint) in [
        ("mount -t tmpfs t 'old/m n'", "old", "\"old/m n\" is a mount point", "umount 'old/m n'"),
        ("mount -t tmpfs t old/m", "link", "\"link/m\" is a mount point", "umount link/m"),
        ("mount -t tmpfs t old/m", "up/old/", "\"up/old/m\" is a mount point", "umount up/old/m"),
        ("mount --bind . old/m", "old", "\"old/m\" is a mount point", "umount old/m"),
        (
            "mount -t tmpfs t old/m; mount -t tmpfs t old/m",
            "old",
            "\"old/m\" is a mount point",
            "umount old/m",
        ),
        // the inner one goes first
        (
            "mount -t tmpfs t old/m; mkdir old/m/i; mount -t tmpfs t old/m/i",
            "old",
            "\"old/m/i\" is a mount point",
            "umount old/m/i",
        ),
        ("mount -t tmpfs t old", "old", "it is a mount point", "umount old"),
        ("mount -t tmpfs t old; touch old/mine", "link", "it is a mount point", "umount link"),
        (
            "mount -t tmpfs t old/m; mkdir old/m/i; chmod 0 old",
            "old",
            "\"old/m\" is a mount point",
            "umount old/m",
        ),
        ("touch f; mount --bind f old/mine", "old", "\"old/mine\" is a mount point", "umount old/mine"),
    ] {
        let scratch = with_old();
        fs::create_dir(scratch.work().join("old/m")).unwrap();
        symlink("old", scratch.work().join("link")).unwrap();
        symlink(".", scratch.work().join("up")).unwrap();
        let before = scratch.left();
        // a source that would have to be fetched, and cannot be
        let script = format!("{mounts}; \"$TOOL\" --replace http://127.0.0.1:1/a.tar {directory}");
        let (code, said) = with_mounts(&scratch, &script);
        let line =
            format!("rootfs-fetch: \"{directory}\" cannot be replaced: {what}\nrootfs-fetch: hint: {hint}\n");
        assert_eq!((code, said), (Some(7), line), "{mounts}");
        fs::set_permissions(scratch.work().join("old"), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(scratch.work().join("old/mine").exists());
        let left: Vec<String> = scratch.left().into_iter().filter(|name| name != "f").collect();
        assert_eq!(left, before);
    }
}

#[test]
#[ignore = "needs a user namespace, to mount a tmpfs"]
fn what_was_mounted_while_the_tree_grew_is_seen_before_the_exchange() {
    let scratch = with_old();
    // more than the decoder gathers before it hands anything on
    fs::write(scratch.work().join("a.tar"), Tar::new().file("new", &[7; 600_000]).end()).unwrap();
    let script = "{ head -c 600000 a.tar; until [ -e old.partial-* ]; do :; done; mount -t tmpfs t 'old/m n'; \
         tail -c +600001 a.tar; } | \"$TOOL\" --replace - old";
    let (code, said) = with_mounts(&scratch, script);
    let line = "rootfs-fetch: \"old\" cannot be replaced: \"old/m n\" is a mount point\n\
         rootfs-fetch: hint: umount 'old/m n'\n";
    assert_eq!((code, said.as_str()), (Some(7), line));
    assert_eq!(scratch.left(), ["a.tar", "old"]);
    assert!(scratch.work().join("old/mine").exists());
}

#[test]
#[ignore = "needs a user namespace, to mount a tmpfs"]
fn what_is_mounted_beside_or_hidden_by_another_mount_does_not_matter() {
    for script in [
        "mkdir old-other; mount -t tmpfs t old-other; \"$TOOL\" -q --replace a.tar old",
        // a mount in another directory of that name, which one on its parent hides
        "mkdir -p d/old/m; mount -t tmpfs t d/old/m; mount -t tmpfs t d; mkdir -p d/old/m; \
         \"$TOOL\" -q --replace a.tar d/old",
        "mkdir -p d; mount -t tmpfs t d; mkdir -p d/old/m; \"$TOOL\" -q --replace a.tar d/old",
    ] {
        assert_eq!(with_mounts(&with_old(), script), (Some(0), String::new()), "{script}");
    }
}

//! What `--replace` must not remove: mounts, and directories in which processes work or have their root.
#![cfg(test)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Stdio;
use tests::fetch::{As, Outcome, Scratch, feed, with_mounts};
use tests::tar::Tar;

const ANOTHER: &str = "rootfs-fetch: hint: name a directory that does not exist, or an empty one\n";

/// `a.tar`, and a directory `old` with contents.
fn with_old() -> Scratch {
    let scratch = Scratch::new();
    fs::write(scratch.work().join("a.tar"), Tar::new().file("new", b"x").end()).unwrap();
    fs::create_dir_all(scratch.work().join("old/m n")).unwrap();
    fs::write(scratch.work().join("old/mine"), "x").unwrap();
    scratch
}

/// The tool in a directory of `work`, with its own home.
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
    // a neighbour whose name begins the same way is another directory
    fs::create_dir(scratch.work().join("old/m")).unwrap();
    let outcome = run(&scratch, "old/m n", "/nonexistent", &["-q", "--replace", &tar, "../m"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
}

#[test]
fn runs_that_replace_one_directory_at_once_leave_one_tree_and_no_remains() {
    let scratch = with_old();
    for round in 0..5 {
        for dir in 0..40 {
            let dir = scratch.work().join(format!("old/d{dir}/below"));
            fs::create_dir_all(&dir).unwrap();
            (0..50).for_each(|file| fs::write(dir.join(format!("f{file}")), "x").unwrap());
        }
        let runs = [(); 4].map(|()| {
            let mut command = scratch.command(As::Caller);
            command.args(["-q", "--replace", "a.tar", "old"]).stdin(Stdio::null()).stderr(Stdio::piped());
            command.spawn().expect("the tool starts")
        });
        for run in runs {
            let output = run.wait_with_output().expect("it ends");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "round {round}");
        }
        assert_eq!(scratch.left(), ["a.tar", "old"], "round {round}");
        assert!(scratch.work().join("old/new").exists() && !scratch.work().join("old/d0").exists());
    }
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
        // the inner one is unmounted first
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
        // a source that would have to be fetched, but cannot be
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
    // more than the decoder's buffers hold
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

/// As on NFS: renameat2(2) refuses every flag.
const NO_FLAGS: &str = "--inject=renameat2:error=EINVAL";

/// `--replace a.tar old`, with calls that fail.
fn replace_with(scratch: &Scratch, faults: &[&str]) -> Outcome {
    let mut command = scratch.as_who(As::Caller, "strace");
    command.args(["-f", "-o", "/dev/null", "-e", "trace=renameat2,renameat,unlinkat"]).args(faults);
    command.arg(scratch.path("tool")).args(["-q", "--replace", "a.tar", "old"]);
    feed(command, b"")
}

/// A run that fails after it has looked at the remains of the previous one.
fn fail_after_it(scratch: &Scratch) {
    fs::write(scratch.work().join("cut.tar"), &Tar::new().file("cut", b"x").end()[..100]).unwrap();
    let outcome = run(scratch, ".", "/nonexistent", &["-q", "--replace", "cut.tar", "old"]);
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    assert_eq!(scratch.left(), ["a.tar", "cut.tar", "old"]);
}

#[test]
#[ignore = "needs strace"]
fn a_directory_is_replaced_where_two_names_cannot_be_exchanged() {
    let scratch = with_old();
    // names that the removal would like to use
    for number in 1..10 {
        let taken = scratch.work().join(format!("old/.removed-{number}"));
        if number % 2 == 0 {
            fs::write(taken, "x").unwrap()
        } else {
            fs::create_dir_all(taken.join("x")).unwrap()
        }
        fs::create_dir_all(scratch.work().join(format!("old/a{number}/b/c"))).unwrap();
    }
    let outcome = replace_with(&scratch, &[NO_FLAGS]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert!(scratch.work().join("old/new").exists() && !scratch.work().join("old/mine").exists());
    assert_eq!(scratch.left(), ["a.tar", "old"]);
}

#[test]
#[ignore = "needs strace"]
fn a_run_that_is_killed_while_it_replaces_leaves_the_old_tree_or_the_new_one() {
    for (killed, whole) in [
        // before the old tree is moved aside, and before the new one has its name
        ("--inject=renameat:error=EIO:signal=KILL:when=1", "old/mine"),
        ("--inject=renameat:error=EIO:signal=KILL:when=2", "old/mine"),
        // before the old tree is removed, and meanwhile
        ("--inject=renameat:error=EIO:signal=KILL:when=3", "old/new"),
        ("--inject=unlinkat:error=EIO:signal=KILL:when=3", "old/new"),
    ] {
        let scratch = with_old();
        let outcome = replace_with(&scratch, &[NO_FLAGS, killed]);
        assert_eq!(outcome.code, None, "{killed}: {outcome:?}");
        fail_after_it(&scratch);
        assert!(scratch.work().join(whole).exists(), "{killed}");
        assert_eq!(
            fs::read_dir(scratch.work().join("old")).unwrap().count(),
            if whole == "old/new" { 1 } else { 2 }
        );
    }
}

#[test]
#[ignore = "needs strace"]
fn an_old_tree_that_cannot_be_moved_back_is_named_and_the_next_run_moves_it_back() {
    let scratch = with_old();
    let outcome = replace_with(&scratch, &[NO_FLAGS, "--inject=renameat:error=EIO:when=2+"]);
    let left = scratch.left();
    let [_, aside] = left.as_slice() else { panic!("{left:?}") };
    let hint = format!(
        "rootfs-fetch: hint: the old directory is called \"{aside}\" now; the next run renames it back\n"
    );
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(aside.starts_with("old.replaced-") && outcome.stderr.ends_with(&hint), "{outcome:?}");
    fail_after_it(&scratch);
    assert!(scratch.work().join("old/mine").exists());
}

/// As on NFS, while a command runs from the old tree.
#[test]
#[ignore = "needs strace"]
fn a_directory_is_replaced_although_its_old_tree_cannot_be_removed() {
    for faults in [&["--inject=unlinkat:error=EBUSY"][..], &["--inject=unlinkat:error=EBUSY", NO_FLAGS]] {
        let scratch = with_old();
        let outcome = replace_with(&scratch, faults);
        let left = scratch.left();
        let [_, _, remains] = left.as_slice() else { panic!("{left:?}, {outcome:?}") };
        let line = format!(
            "rootfs-fetch: \"old\" is replaced, but the old tree remains: \
             cannot remove \"{remains}\": unlinkat(): Device or resource busy (EBUSY)\n"
        );
        assert_eq!((outcome.code, outcome.stderr), (Some(0), line));
        fail_after_it(&scratch);
        assert!(scratch.work().join("old/new").exists());
    }
}

//! DIRECTORY is complete or absent, the exit code says why, and nothing else is left.
#![cfg(test)]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use tests::deadline::until;
use tests::fetch::{As, Scratch, feed, is_root};
use tests::tar::{Head, Tar};

fn small() -> Vec<u8> {
    Tar::new().file("a", b"x").end()
}

/// Starts the tool, writes the beginning of an archive to it, and waits until it unpacks.
fn started(scratch: &Scratch, directory: &str) -> Child {
    let mut command = scratch.command(As::Caller);
    command.args(["-", directory]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the tool starts");
    let stdin = child.stdin.as_mut().expect("a pipe");
    stdin.write_all(&Tar::new().file("begun", &[7; 600_000]).0).expect("the tool reads");
    let prefix = format!("{directory}.partial-");
    until("a partial directory with a file", || {
        let mut names = scratch.left().into_iter();
        names.find(|name| name.starts_with(&prefix) && scratch.work().join(name).join("begun").exists())
    });
    child
}

/// Sends a signal, and waits for the end.
fn ended_by(signal: &str, mut child: Child) -> ExitStatus {
    // Child::wait closes it first, and the end of the input ends the tool, too
    let _stdin = child.stdin.take();
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill starts");
    assert!(sent.success());
    child.wait().expect("the tool ends")
}

#[test]
fn a_directory_that_has_something_is_refused_with_7_and_untouched() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.work().join("root")).unwrap();
    fs::write(scratch.work().join("root/mine"), "x").unwrap();
    let outcome = scratch.feed(As::Caller, &small(), &["-", "root"]);
    assert_eq!(outcome.code, Some(7));
    assert_eq!(
        outcome.stderr,
        "rootfs-fetch: \"root\" exists and is not empty\n\
         rootfs-fetch: hint: name a directory that does not exist, or an empty one; --replace deletes its contents\n"
    );
    assert_eq!(fs::read_dir(scratch.work().join("root")).unwrap().count(), 1);
}

#[test]
fn a_file_of_that_name_is_refused_with_7() {
    let scratch = Scratch::new();
    fs::write(scratch.work().join("root"), "x").unwrap();
    assert_eq!(scratch.feed(As::Caller, &small(), &["-", "root"]).code, Some(7));
    assert_eq!(fs::read(scratch.work().join("root")).unwrap(), b"x");
}

#[test]
fn an_empty_directory_is_taken() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.work().join("root")).unwrap();
    assert_eq!(scratch.feed(As::Caller, &small(), &["-", "root"]).code, Some(0));
    assert!(scratch.work().join("root/a").exists());
    assert_eq!(scratch.left(), ["root"]);
}

#[test]
fn a_link_to_an_empty_directory_is_followed() {
    for written in ["root", "root/"] {
        let scratch = Scratch::new();
        fs::create_dir(scratch.work().join("real")).unwrap();
        symlink("real", scratch.work().join("root")).unwrap();
        assert_eq!(scratch.feed(As::Caller, &small(), &["-", written]).code, Some(0), "{written}");
        assert!(scratch.work().join("real/a").exists());
        assert!(scratch.work().join("root").is_symlink());
    }
}

#[test]
fn a_trailing_slash_and_a_path_do_not_matter() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.work().join("d")).unwrap();
    assert_eq!(scratch.feed(As::Caller, &small(), &["-", "d/../d/root/"]).code, Some(0));
    assert!(scratch.work().join("d/root/a").exists());
}

#[test]
fn a_source_that_is_not_there_is_3() {
    let scratch = Scratch::new();
    let outcome = scratch.feed(As::Caller, b"", &["no.tar", "root"]);
    assert_eq!(outcome.code, Some(3));
    assert_eq!(
        outcome.stderr,
        "rootfs-fetch: cannot open the archive: openat(\"no.tar\"): No such file or directory (ENOENT)\n"
    );
}

#[test]
fn a_source_that_may_not_be_read_is_5() {
    let who = if is_root() { As::Nobody } else { As::Caller };
    let scratch = Scratch::new();
    let archive = scratch.work().join("a.tar");
    fs::write(&archive, small()).unwrap();
    fs::set_permissions(&archive, fs::Permissions::from_mode(0o000)).unwrap();
    assert_eq!(scratch.feed(who, b"", &["a.tar", "root"]).code, Some(5));
    assert_eq!(scratch.left(), ["a.tar"]);
}

#[test]
fn a_parent_that_may_not_be_written_is_5() {
    let who = if is_root() { As::Nobody } else { As::Caller };
    let scratch = Scratch::new();
    fs::set_permissions(scratch.work(), fs::Permissions::from_mode(0o555)).unwrap();
    let outcome = scratch.feed(who, &small(), &["-", "root"]);
    fs::set_permissions(scratch.work(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(outcome.code, Some(5), "{outcome:?}");
}

#[test]
fn a_parent_that_is_not_there_is_1() {
    let scratch = Scratch::new();
    assert_eq!(scratch.feed(As::Caller, &small(), &["-", "no/root"]).code, Some(1));
}

#[test]
fn a_command_line_that_is_wrong_is_2() {
    let scratch = Scratch::new();
    for args in [
        &["-"][..],
        &[],
        &["a", "b", "c"],
        &["--no-such-option", "-", "root"],
        &["--max-size", "x", "-", "root"],
    ] {
        let outcome = scratch.feed(As::Caller, b"", args);
        assert_eq!(outcome.code, Some(2), "{args:?}: {outcome:?}");
    }
}

#[test]
fn a_signal_removes_everything_and_is_how_the_tool_ends() {
    for (name, number) in [("-INT", 2), ("-TERM", 15), ("-HUP", 1)] {
        let scratch = Scratch::new();
        let status = ended_by(name, started(&scratch, "root"));
        assert_eq!(status.signal(), Some(number), "{status:?}");
        assert_eq!(scratch.left(), Vec::<String>::new());
    }
}

#[test]
fn a_signal_before_the_first_byte_ends_the_tool() {
    let scratch = Scratch::new();
    let mut command = scratch.command(As::Caller);
    command.args(["-", "root"]).stdin(Stdio::piped()).stderr(Stdio::null());
    let child = command.spawn().expect("the tool starts");
    let status = format!("/proc/{}/status", child.id());
    until("the tool to wait for signals", || {
        let status = fs::read_to_string(&status).ok()?;
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"))?;
        (!blocked.trim().trim_matches('0').is_empty()).then_some(())
    });
    assert_eq!(ended_by("-INT", child).signal(), Some(2));
}

#[test]
fn what_a_killed_run_left_is_removed_by_the_next_and_a_live_one_is_not() {
    let scratch = Scratch::new();
    let mut killed = started(&scratch, "root");
    killed.kill().expect("killed");
    killed.wait().expect("ended");
    assert_eq!(scratch.left().len(), 1);
    let mut live = started(&scratch, "other");
    fs::create_dir(scratch.work().join("root.partial-mine00")).unwrap();
    assert_eq!(scratch.feed(As::Caller, &small(), &["-", "root"]).code, Some(0));
    assert_eq!(scratch.feed(As::Caller, &small(), &["-", "other"]).code, Some(0));
    let left = scratch.left();
    let live_partial = |name: &&String| name.starts_with("other.partial-");
    assert_eq!(left.iter().filter(live_partial).count(), 1, "{left:?}");
    assert_eq!(left.iter().filter(|name| !live_partial(name)).count(), 3, "{left:?}");
    // the live run was slower, and finds its name taken
    let mut stdin = live.stdin.take().expect("a pipe");
    stdin.write_all(&[0; 4096]).expect("the tool reads");
    drop(stdin);
    assert_eq!(live.wait().expect("ended").code(), Some(7));
    assert_eq!(scratch.left(), ["other", "root", "root.partial-mine00"]);
}

#[test]
fn two_runs_into_one_directory_give_one_complete_tree() {
    let scratch = Scratch::new();
    let mut children: Vec<Child> = (0..4)
        .map(|number| {
            let mut command = scratch.command(As::Caller);
            command.args(["-q", "-", "root"]).stdin(Stdio::piped()).stderr(Stdio::null());
            let mut child = command.spawn().expect("the tool starts");
            let mut tar = Tar::new();
            for file in 0..200 {
                tar = tar.file(format!("{file}"), format!("{number}").as_bytes());
            }
            child.stdin.take().expect("a pipe").write_all(&tar.end()).expect("the tool reads");
            child
        })
        .collect();
    let codes: Vec<Option<i32>> =
        children.iter_mut().map(|child| child.wait().expect("ends").code()).collect();
    assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == Some(7)).count(), 3, "{codes:?}");
    let root = scratch.work().join("root");
    let winner = fs::read(root.join("0")).unwrap();
    assert!((0..200).all(|file| fs::read(root.join(format!("{file}"))).unwrap() == winner));
    assert_eq!(scratch.left(), ["root"]);
}

#[test]
fn the_mask_of_the_caller_is_for_the_directory_and_changes_no_mode_in_it() {
    let scratch = Scratch::new();
    let tool = scratch.path("tool");
    let mut command = Command::new("sh");
    command.current_dir(scratch.work());
    command.args(["-c", "umask 077; exec \"$0\" -q - root"]).arg(tool);
    let tar = Tar::new().entry(&Head::new(b'0', "open").mode(0o666), b"").dir("d", 0o777).file("e/f", b"");
    let outcome = feed(command, &tar.end());
    assert_eq!(outcome.code, Some(0));
    let mode =
        |name| scratch.work().join("root").join(name).metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("open"), mode("d"), mode("e"), mode(".")), (0o666, 0o777, 0o755, 0o700));
}

#[test]
fn a_marked_parent_does_not_mark_the_tree() {
    let scratch = Scratch::new();
    fs::set_permissions(scratch.work(), fs::Permissions::from_mode(0o2755)).unwrap();
    let outcome =
        scratch.feed(As::Caller, &Tar::new().dir("d", 0o755).file("e/f", b"").end(), &["-q", "-", "root"]);
    assert_eq!(outcome.code, Some(0));
    for name in [".", "d", "e"] {
        let mode = scratch.work().join("root").join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755, "{name}");
    }
}

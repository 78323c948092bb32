//! Two runs for one directory at the same time: on one machine, and on two machines that share a disk by NFS and do not
//! see each other's locks.
#![cfg(test)]

use std::fs;
use std::io::Write as _;
use std::process::{Child, ChildStdin, Command, Stdio};

use tests::deadline::until;
use tests::fetch::{As, Outcome, Scratch, feed, with_mounts};
use tests::tar::Tar;

const FILES: usize = 400;

/// The files of `root`; the last one is larger than what the decoder collects before it passes anything on.
fn archive() -> Vec<u8> {
    let files =
        (0..FILES).fold(Tar::new(), |tar, number| tar.file(format!("d{}/f{number}", number % 7), b"x"));
    files.file("last", &[7; 700_000]).end()
}

/// A run that has unpacked everything, and waits for the end of the archive.
fn unpacked(scratch: &Scratch) -> (Child, ChildStdin) {
    let mut command = scratch.command(As::Caller);
    command.args(["-q", "-", "root"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the tool starts");
    let mut input = child.stdin.take().expect("a pipe");
    let archive = archive();
    input.write_all(&archive[..archive.len() - 1024]).expect("it reads");
    let is_tree = |name: &String| name.starts_with("root") && scratch.work().join(name).join("last").exists();
    until("the last file", || scratch.left().into_iter().find(is_tree));
    (child, input)
}

/// What the run does when the archive ends.
fn finish((child, mut input): (Child, ChildStdin)) -> Outcome {
    input.write_all(&[0; 1024]).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    Outcome {
        code: output.status.code(),
        signal: None,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A run that sees no other run's locks.
fn on_another_machine(scratch: &Scratch, faults: &[&str]) -> Command {
    let mut command = scratch.as_who(As::Caller, "strace");
    command
        .args(["-f", "-o", "/dev/null", "-e", "trace=flock,unlinkat", "--inject=flock:retval=0"])
        .args(faults);
    command.arg(scratch.path("tool")).args(["-q", "a.tar", "root"]);
    command
}

const HINT: &str = "rootfs-fetch: hint: another run for this directory removed the unfinished tree; ";

#[test]
#[ignore = "needs strace"]
fn a_tree_that_another_machine_began_to_remove_never_becomes_the_directory() {
    let scratch = Scratch::new();
    fs::write(scratch.work().join("a.tar"), archive()).unwrap();
    let first = unpacked(&scratch);
    let second = on_another_machine(&scratch, &["--inject=unlinkat:error=EIO:signal=KILL:when=30"]);
    assert_eq!(feed(second, b"").code, None);
    let outcome = finish(first);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains(HINT), "{outcome:?}");
    assert!(!scratch.work().join("root").exists());
    assert_eq!(scratch.feed(As::Caller, b"", &["-q", "a.tar", "root"]).code, Some(0));
    assert_eq!(scratch.left(), ["a.tar", "root"]);
}

#[test]
#[ignore = "needs strace"]
fn the_later_of_two_machines_makes_the_directory() {
    let scratch = Scratch::new();
    fs::write(scratch.work().join("a.tar"), Tar::new().file("later", b"x").end()).unwrap();
    let first = unpacked(&scratch);
    assert_eq!(feed(on_another_machine(&scratch, &[]), b"").code, Some(0));
    let outcome = finish(first);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains(HINT), "{outcome:?}");
    assert_eq!(scratch.left(), ["a.tar", "root"]);
    let names: Vec<_> =
        fs::read_dir(scratch.work().join("root")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["later"]);
}

#[test]
#[ignore = "needs a user namespace, to mount something"]
fn a_directory_that_is_filled_in_place_is_filled_by_one_run_at_a_time() {
    let scratch = Scratch::new();
    fs::write(scratch.work().join("a.tar"), Tar::new().file("a", b"x").end()).unwrap();
    // flock(1) holds the lock that another run would hold
    let script = "mkdir root; mount -t tmpfs t root; ! flock root \"$TOOL\" --no-same-owner a.tar root
        test -z \"$(ls -A root)\"; \"$TOOL\" -q --no-same-owner a.tar root; test -e root/a";
    let line = "rootfs-fetch: another run is filling \"root\"\n";
    assert_eq!(with_mounts(&scratch, script), (Some(0), line.to_string()));
}

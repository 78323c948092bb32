//! Killed or out of space at any moment: DIRECTORY is complete or absent, and the next run cleans up.
#![cfg(test)]

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::deadline::until;
use tests::fetch::{As, Scratch, with_mounts};
use tests::tar::Tar;

const FILES: usize = 400;

fn archive() -> Vec<u8> {
    let mut tar = Tar::new();
    for number in 0..FILES {
        tar = tar.file(format!("d{}/f{number}", number % 7), &vec![b'x'; 5000]);
    }
    tar.end()
}

fn complete(root: &Path) -> bool {
    (0..FILES).all(|number| {
        let file = root.join(format!("d{}/f{number}", number % 7));
        file.metadata().is_ok_and(|meta| meta.len() == 5000)
    })
}

#[test]
fn killed_at_any_moment_it_leaves_a_complete_tree_or_none_and_the_next_run_cleans_up() {
    let scratch = Scratch::new();
    fs::write(scratch.work().join("a.tar"), archive()).unwrap();
    let mut finished = 0;
    for round in 0..100_u64 {
        let mut command = scratch.command(As::Caller);
        command.args(["a.tar", "root"]).stdin(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the tool starts");
        // the moments are spread over the duration of a run, from before its first call on
        std::thread::sleep(Duration::from_micros(round * 300));
        let _ = child.kill();
        child.wait().expect("the tool ends");
        let root = scratch.work().join("root");
        if root.exists() {
            assert!(complete(&root), "round {round}");
            finished += 1;
            fs::remove_dir_all(&root).unwrap();
        }
    }
    assert_eq!(scratch.feed(As::Caller, b"", &["-q", "a.tar", "root"]).code, Some(0));
    assert!(complete(&scratch.work().join("root")));
    assert_eq!(scratch.left(), ["a.tar", "root"]);
    assert!(finished < 100, "nothing was killed in time");
}

#[test]
fn a_signal_ends_a_digest_of_a_silent_pipe() {
    let scratch = Scratch::new();
    let mut command = scratch.command(As::Caller);
    command.args(["--print-digest", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the tool starts");
    let silent = child.stdin.take();
    let pid = i32::try_from(child.id()).expect("a pid");
    // read(2) is call 0 on x86-64
    let reads = |call: &String| call.starts_with("0 ") || cfg!(not(target_arch = "x86_64"));
    until("the first read", || fs::read_to_string(format!("/proc/{pid}/syscall")).ok().filter(reads));
    kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
    let status = until("its end", || child.try_wait().expect("a child"));
    assert_eq!((status.signal(), scratch.left().len()), (Some(Signal::SIGINT as i32), 0));
    drop(silent);
}

#[test]
#[ignore = "needs a user namespace, to mount a small tmpfs"]
fn on_a_full_disk_it_says_so_and_leaves_nothing_whatever_the_size() {
    let scratch = Scratch::new();
    fs::write(scratch.work().join("a.tar"), archive()).unwrap();
    let mut full = 0;
    for kib in (256..4608).step_by(128) {
        let script = format!(
            "set -e; mkdir -p small; mount -t tmpfs -o size={kib}k tmpfs small; cd small\n\
             \"$TOOL\" --no-same-owner ../a.tar root || code=$?\n\
             ls -A > ../left; test ! -e root || find root -type f -size 5000c | wc -l > ../count; exit ${{code:-0}}"
        );
        let (code, said) = with_mounts(&scratch, &script);
        let left = fs::read_to_string(scratch.work().join("left")).unwrap();
        match code {
            Some(0) => {
                assert_eq!(left, "root\n", "{kib} KiB");
                let count = fs::read_to_string(scratch.work().join("count")).unwrap();
                assert_eq!(count.trim(), FILES.to_string(), "{kib} KiB");
            }
            Some(1) => {
                full += 1;
                assert_eq!(left, "", "{kib} KiB: {said}");
                assert!(said.contains("No space left on device (ENOSPC)"), "{kib} KiB: {said}");
                assert!(said.contains(" are needed; ") && said.lines().count() == 2, "{kib} KiB: {said}");
            }
            other => panic!("{kib} KiB: {other:?}: {said}"),
        }
    }
    assert!(full > 5 && full < 34, "{full} of 34 were full");
}

/// The hint of a run on a disk that is too small, and whether a disk of the suggested size is not.
fn needed(scratch: &Scratch, source: &str, options: &str) -> (String, Option<i32>) {
    let run = |options: &str| {
        let script = format!(
            "set -e; mkdir -p small; mount -t tmpfs -o {options} tmpfs small; cd small; \"$TOOL\" --no-same-owner {source} root"
        );
        with_mounts(scratch, &script)
    };
    let (code, said) = run(options);
    assert_eq!(code, Some(1), "{said}");
    let hint = said.lines().find(|line| line.contains(": hint: ")).unwrap_or_else(|| panic!("{said}"));
    let figure = hint.split("hint: ").nth(1).unwrap().trim_start_matches("at least ");
    let mut words = figure.split(' ');
    let number: f64 = words.next().unwrap().replace(',', "").parse().unwrap();
    let unit = if words.next() == Some("MB") { 1e6 } else { 1e3 };
    // the number is rounded to two or three digits; the root itself is not an entry
    let bytes = number * unit * 1.03 + 65536.0;
    (hint.to_owned(), run(&format!("size={bytes:.0}")).0)
}

#[test]
#[ignore = "needs a user namespace, to mount a small tmpfs"]
fn a_full_disk_is_told_with_what_was_needed_and_that_is_enough() {
    let scratch = Scratch::new();
    fs::write(scratch.work().join("a.tar"), archive()).unwrap();
    let sparse = Tar::new()
        .pax(&[
            ("GNU.sparse.size", b"9000000"),
            ("GNU.sparse.numblocks", b"1"),
            ("GNU.sparse.map", b"0,700000"),
        ])
        .file("sparse", &[1; 700_000])
        .file("more", &[1; 700_000])
        .hardlink("again", "more");
    fs::write(scratch.work().join("sparse.tar"), sparse.end()).unwrap();
    let (hint, enough) = needed(&scratch, "../a.tar", "size=1m");
    assert!(hint.contains("hint: 3.3 MB are needed; "), "{hint}");
    assert_eq!(enough, Some(0), "{hint}");
    let (hint, enough) = needed(&scratch, "- < ../a.tar", "size=2m");
    assert!(hint.contains("hint: 3.3 MB are needed; "), "{hint}");
    assert_eq!(enough, Some(0), "{hint}");
    let (hint, enough) = needed(&scratch, "../sparse.tar", "size=1m");
    assert!(hint.contains("hint: 1.4 MB are needed; there was room for 1 file, 700 kB"), "{hint}");
    assert_eq!(enough, Some(0), "{hint}");
    let (hint, enough) = needed(&scratch, "../a.tar", "size=64m,nr_inodes=100");
    assert!(hint.contains(" and 400 inodes, of which none is left, are needed; "), "{hint}");
    assert_eq!(enough, Some(0), "{hint}");
    let (hint, enough) = needed(&scratch, "host:sh,ls", "size=1m");
    assert!(hint.ends_with(" MB are needed"), "{hint}");
    assert_eq!(enough, Some(0), "{hint}");
}

#[test]
#[ignore = "needs a user namespace, to mount something"]
fn a_mount_point_is_filled_where_it_is_and_emptied_again_on_failure() {
    let scratch = Scratch::new();
    fs::write(scratch.work().join("a.tar"), archive()).unwrap();
    let script = "set -e; mkdir root; mount -t tmpfs tmpfs root; head -c 300000 a.tar > cut.tar
        ! \"$TOOL\" --no-same-owner cut.tar root 2>said; test -z \"$(ls -A root)\"
        \"$TOOL\" -q --no-same-owner a.tar root; test $(find root -type f | wc -l) = 400; mountpoint -q root";
    let (code, said) = with_mounts(&scratch, script);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
#[ignore = "needs a user namespace, to mount something, and strace"]
fn what_is_mounted_in_a_tree_that_is_removed_is_not_emptied() {
    // also if the kernel cannot tell what is mounted when it resolves a name
    for before in ["", "strace -f -o /dev/null -e trace=openat2 --inject=openat2:error=ENOSYS"] {
        let scratch = Scratch::new();
        fs::write(scratch.work().join("a.tar"), archive()).unwrap();
        let script = format!(
            "mkfifo input; \"$TOOL\" - root <input & exec 3>input; head -c 600000 a.tar >&3
            until test -e root.partial-*; do :; done; kill -KILL $!; wait $! || left=$(echo root.partial-*)
            mkdir -p $left/home precious; echo mine >precious/file; mount --bind precious $left/home
            {before} \"$TOOL\" --no-same-owner a.tar root
            test ! -e $left; test -e root/d0/f0; cat precious/file >&2"
        );
        let (code, said) = with_mounts(&scratch, &script);
        assert_eq!((code, said.lines().last()), (Some(0), Some("mine")), "{said}");
    }
}

#[test]
#[ignore = "needs a user namespace, to mount something"]
fn a_mount_point_on_the_same_file_system_is_filled_where_it_is() {
    let scratch = Scratch::new();
    fs::write(scratch.work().join("a.tar"), archive()).unwrap();
    let script = "set -e; mkdir root other; mount --bind other root
        \"$TOOL\" -q --no-same-owner a.tar root; test $(find other -type f | wc -l) = 400";
    let (code, said) = with_mounts(&scratch, script);
    assert_eq!((code, said.as_str()), (Some(0), ""));
}

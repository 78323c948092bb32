//! The effects of options.
#![cfg(test)]

use std::fs;
use std::os::unix::fs::symlink;

use rootfs_fetch::digest::Digest;
use tests::fetch::{As, Scratch, feed};
use tests::rng::Rng;
use tests::tar::Tar;

fn bootstrap() -> Vec<u8> {
    Tar::new()
        .file("pkglist.txt", b"x")
        .dir("root.x86_64", 0o711)
        .file("root.x86_64/etc/hosts", b"hosts")
        .hardlink("root.x86_64/etc/other", "root.x86_64/etc/hosts")
        .file("root.x86_64/usr/share/doc/readme", b"x")
        .end()
}

#[test]
fn leading_parts_are_stripped_from_names_and_hard_links() {
    let scratch = Scratch::new();
    let outcome = scratch.feed(As::Caller, &bootstrap(), &["-q", "--strip-components", "1", "-", "root"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(fs::read(scratch.work().join("root/etc/other")).unwrap(), b"hosts");
    assert!(!scratch.work().join("root/pkglist.txt").exists());
}

#[test]
fn a_subdirectory_becomes_the_root() {
    let scratch = Scratch::new();
    let outcome = scratch.feed(As::Caller, &bootstrap(), &["-q", "--subdir", "root.x86_64/", "-", "root"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(fs::read(scratch.work().join("root/etc/hosts")).unwrap(), b"hosts");
    let mode = std::os::unix::fs::MetadataExt::mode(&scratch.work().join("root").metadata().unwrap());
    assert_eq!(mode & 0o7777, 0o711);
}

#[test]
fn what_leaves_nothing_of_an_archive_is_said_to_and_nothing_is_made() {
    let scratch = Scratch::new();
    for (chosen, said) in [
        (&["--subdir", "nosuch"][..], "the archive has nothing below \"nosuch\""),
        (&["--strip-components", "50"], "the archive has no name of more than 50 parts"),
        (
            &["--strip-components", "1", "--subdir", "pkglist.txt"],
            "--subdir, --strip-components and --exclude leave nothing of the archive",
        ),
        (&["--exclude", "*"], "--subdir, --strip-components and --exclude leave nothing of the archive"),
    ] {
        for how in [&[][..], &["--into"], &["--dry-run"]] {
            let outcome = scratch.feed(As::Caller, &bootstrap(), &[chosen, how, &["-", "root"]].concat());
            assert_eq!(outcome.code, Some(3), "{chosen:?}: {outcome:?}");
            let hint = "rootfs-fetch: hint: to list the whole archive, use --dry-run alone\n";
            assert_eq!(outcome.stderr, format!("rootfs-fetch: {said}\n{hint}"));
            assert_eq!(scratch.left(), Vec::<String>::new());
        }
    }
    // an existing directory is enough
    let outcome = scratch.feed(
        As::Caller,
        &Tar::new().dir("a/b", 0o755).end(),
        &["-q", "--subdir", "a/b", "-", "root"],
    );
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
}

#[test]
fn what_is_excluded_is_left_out() {
    let scratch = Scratch::new();
    let args = ["-q", "--exclude", "usr/share/doc", "--exclude", "*.txt", "-", "root"];
    assert_eq!(scratch.feed(As::Caller, &bootstrap(), &args).code, Some(0));
    let root = scratch.work().join("root");
    assert!(!root.join("pkglist.txt").exists() && !root.join("root.x86_64/usr/share/doc").exists());
    assert!(root.join("root.x86_64/etc/hosts").exists());
}

#[test]
fn a_hard_link_to_what_was_excluded_is_an_error_that_says_so() {
    let scratch = Scratch::new();
    let outcome = scratch.feed(As::Caller, &bootstrap(), &["--exclude", "hosts", "-", "root"]);
    assert_eq!(outcome.code, Some(4));
    assert!(outcome.stderr.contains("which was skipped"), "{outcome:?}");
    assert_eq!(scratch.left(), Vec::<String>::new());
}

#[test]
fn a_digest_must_be_that_of_the_archive_as_it_is() {
    let archive = bootstrap();
    let right = Digest::of(&archive).to_string();
    let scratch = Scratch::new();
    let outcome = scratch.feed(As::Caller, &archive, &["--digest", &right, "-", "root"]);
    assert_eq!(outcome.stderr, format!("rootfs-fetch: root: 4 files, 7 B, {right}\n"));
    let wrong = Digest::of(b"").to_string();
    let outcome = scratch.feed(As::Caller, &archive, &["--digest", &wrong, "-", "other"]);
    assert_eq!(outcome.code, Some(4));
    assert_eq!(outcome.stderr, format!("rootfs-fetch: the digest is {right}, not {wrong}\n"));
    assert_eq!(scratch.left(), ["root"]);
}

#[test]
fn another_digest_is_told_of_no_file_whichever_was_being_written() {
    let scratch = Scratch::new();
    let wrong = Digest::of(b"").to_string();
    // the last chunk of the decoder ends in the file, and after it in the end mark
    for (tar, more) in [
        (Tar::new().file("first", b"x").file("second", &[7; 600_000]), 0),
        (Tar::new().file("first", b"x"), 600_000),
    ] {
        let mut archive = tar.end();
        archive.resize(archive.len() + more, 0);
        let right = Digest::of(&archive).to_string();
        let outcome = scratch.feed(As::Caller, &archive, &["--digest", &wrong, "-", "other"]);
        assert_eq!(outcome.code, Some(4));
        assert_eq!(outcome.stderr, format!("rootfs-fetch: the digest is {right}, not {wrong}\n"));
    }
}

#[test]
fn a_dry_run_lists_and_makes_nothing() {
    let scratch = Scratch::new();
    let tar = Tar::new().dir("d", 0o755).file("d/f", b"abc").symlink("l", "d").hardlink("h", "d/f");
    let outcome = scratch.feed(As::Caller, &tar.end(), &["--dry-run", "-", "root"]);
    assert_eq!(outcome.code, Some(0));
    assert_eq!(
        outcome.stderr,
        "rootfs-fetch: d0755       0:0          0 \"d\"\n\
         rootfs-fetch: -0644       0:0          3 \"d/f\"\n\
         rootfs-fetch: l0644       0:0          0 \"l\" -> \"d\"\n\
         rootfs-fetch: h0644       0:0          0 \"h\" = \"d/f\"\n"
    );
    assert_eq!(scratch.left(), Vec::<String>::new());
}

#[test]
fn entries_are_listed_as_they_are_made() {
    let scratch = Scratch::new();
    let outcome = scratch.feed(As::Caller, &Tar::new().file("a", b"x").end(), &["-v", "-", "root"]);
    assert!(outcome.stderr.ends_with("\"a\"\nrootfs-fetch: root: 1 file, 1 B\n"), "{outcome:?}");
}

#[test]
fn a_tree_that_exists_is_replaced_as_a_whole_or_stays() {
    let scratch = Scratch::new();
    let root = scratch.work().join("root");
    let fetch = |tar: Tar| scratch.feed(As::Caller, &tar.end(), &["-q", "--replace", "-", "root"]).code;
    assert_eq!(fetch(Tar::new().file("first", b"1")), Some(0));
    assert_eq!(fetch(Tar::new().file("second", b"2")), Some(0));
    assert!(!root.join("first").exists() && root.join("second").exists());
    let damaged = scratch.feed(As::Caller, &Tar::new().file("third", b"3").0, &["--replace", "-", "root"]);
    assert_eq!(damaged.code, Some(4));
    assert!(root.join("second").exists());
    assert_eq!(scratch.left(), ["root"]);
}

#[test]
fn a_directory_is_added_to_on_purpose_and_keeps_what_it_has() {
    let scratch = Scratch::new();
    let root = scratch.work().join("root");
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::set_permissions(root.join("etc"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    fs::write(root.join("etc/mine"), "mine").unwrap();
    fs::write(root.join("etc/old"), "old").unwrap();
    let into = |tar: Tar| scratch.feed(As::Caller, &tar.end(), &["-q", "--into", "-", "root"]);
    let outcome =
        into(Tar::new().file("etc/old", b"new").file("etc/more/x", b"x").hardlink("etc/y", "etc/more/x"));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert_eq!(fs::read(root.join("etc/mine")).unwrap(), b"mine");
    assert_eq!(fs::read(root.join("etc/old")).unwrap(), b"new");
    assert_eq!(fs::read(root.join("etc/y")).unwrap(), b"x");
    let mode = std::os::unix::fs::MetadataExt::mode(&root.join("etc").metadata().unwrap());
    assert_eq!(mode & 0o7777, 0o700, "a directory the archive does not mention is as it was");
    // the previous contents are neither linked to nor removed as a whole
    assert_eq!(into(Tar::new().hardlink("stolen", "etc/mine")).code, Some(4));
    assert_eq!(into(Tar::new().file("etc", b"a file")).code, Some(4));
    assert_eq!(fs::read(root.join("etc/mine")).unwrap(), b"mine");
    assert_eq!(scratch.left(), ["root"]);
}

#[test]
fn a_path_of_the_users_that_cannot_be_is_no_damaged_archive() {
    let scratch = Scratch::new();
    symlink("round", scratch.work().join("round")).unwrap();
    fs::write(scratch.work().join("file"), "").unwrap();
    let long = format!("{}.tar", "n".repeat(300));
    for (source, errno) in [("round", "ELOOP"), (long.as_str(), "ENAMETOOLONG"), ("file/a.tar", "ENOTDIR")] {
        let outcome = scratch.feed(As::Caller, b"", &[source, "root"]);
        assert_eq!(outcome.code, Some(3), "{source} {outcome:?}");
        assert!(outcome.stderr.contains(&format!("({errno})")), "{source} {outcome:?}");
    }
    for (directory, errno) in
        [(long.as_str(), "ENAMETOOLONG"), ("round/root", "ELOOP"), ("file/root", "ENOTDIR")]
    {
        let outcome = scratch.feed(As::Caller, &bootstrap(), &["-", directory]);
        assert_eq!(outcome.code, Some(1), "{directory} {outcome:?}");
        assert!(outcome.stderr.contains(&format!("({errno})")), "{directory} {outcome:?}");
    }
    assert_eq!(scratch.left(), ["file", "round"]);
}

/// Runs the tool in a shell, and returns how many bytes it read and wrote.
#[track_caller]
fn bytes_read_and_written(scratch: &Scratch, args: &[&str]) -> (u64, u64) {
    let mut shell = scratch.as_who(As::Caller, "sh");
    // the shell's numbers include those of the processes that it has waited for
    shell.args(["-c", r#"tool=$1; shift; "$tool" -q "$@" && cat "/proc/$$/io" >&2"#, "sh"]);
    shell.arg(scratch.path("tool")).args(args);
    let outcome = feed(shell, b"");
    assert_eq!(outcome.code, Some(0), "{args:?} {outcome:?}");
    let number = |key: &str| {
        let line = outcome.stderr.lines().find_map(|line| line.strip_prefix(key));
        line.expect("a line of proc_pid_io(5)").trim().parse().expect("a number")
    };
    (number("rchar:"), number("wchar:"))
}

#[test]
fn a_packed_archive_is_read_once_and_decoded_to_nowhere_else() {
    const BYTES: u64 = 12 << 20;
    let mut rng = Rng::new();
    let noise: Vec<u8> = (0..BYTES / 8).flat_map(|_| rng.next_u64().to_ne_bytes()).collect();
    let scratch = Scratch::new();
    for (file, name) in [
        ("root.tar.zst", "usr/noise"),
        ("nested.tar.zst", "a/lib/noise"),
        // only all names together show that this is not an image
        ("flat.tar.zst", "flat/noise"),
    ] {
        let tar = Tar::new().file("first", b"x").file(name, &noise).file("last", b"").end();
        fs::write(scratch.work().join(file), zstd::encode_all(tar.as_slice(), 1).unwrap()).unwrap();
        for (option, written) in [
            ("--dry-run", 0),
            ("--strip-components=1", BYTES),
            ("--subdir=/", BYTES),
            ("--exclude=last", BYTES),
            ("--into", BYTES),
        ] {
            let (read, wrote) = bytes_read_and_written(&scratch, &[option, file, "root"]);
            assert!(read < BYTES * 3 / 2, "{option} {file}: read {read} bytes");
            assert!(wrote < written + (1 << 20), "{option} {file}: wrote {wrote} bytes");
            let _ = fs::remove_dir_all(scratch.work().join("root"));
        }
    }
}

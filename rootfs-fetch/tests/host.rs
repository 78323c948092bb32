// SPDX-License-Identifier: MIT OR Apache-2.0
//! `host:` gives a root whose programs run in it.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that fails may say so in the shortest way"
)]

mod support;

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use support::{As, Scratch};

fn made(scratch: &Scratch, source: &str) -> String {
    let outcome = scratch.feed(As::Caller, b"", &[source, "root"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    outcome.stderr
}

#[test]
fn a_root_of_the_host_has_what_a_person_expects() {
    let scratch = Scratch::new();
    let said = made(&scratch, "host:");
    assert!(said.starts_with("rootfs-fetch: root: ") && said.lines().count() == 1, "{said}");
    let root = scratch.work().join("root");
    for program in ["bin/sh", "bin/ls", "bin/cat"] {
        let path = root.join(program);
        assert!(
            path.symlink_metadata().is_ok() || root.join("usr").join(program).symlink_metadata().is_ok(),
            "{program}"
        );
    }
    for (directory, mode) in
        [("tmp", 0o1777), ("root", 0o700), ("proc", 0o755), ("dev", 0o755), ("var/tmp", 0o1777)]
    {
        assert_eq!(root.join(directory).metadata().unwrap().mode() & 0o7777, mode, "{directory}");
    }
    let passwd = std::fs::read_to_string(root.join("etc/passwd")).unwrap();
    assert!(passwd.starts_with("root:x:0:0:"));
    let release = std::fs::read_to_string(root.join("etc/os-release")).unwrap();
    assert!(release.ends_with("VARIANT_ID=host-copy\n"));
}

#[test]
fn one_program_has_every_name_it_has_here() {
    let scratch = Scratch::new();
    made(&scratch, "host:sh");
    for name in ["/bin/sh", "/usr/bin/sh"].map(Path::new).into_iter().filter(|name| name.exists()) {
        let inside = scratch.work().join("root").join(name.strip_prefix("/").unwrap());
        assert!(inside.exists(), "{name:?}");
    }
}

#[test]
fn no_copied_program_is_set_id() {
    let scratch = Scratch::new();
    made(&scratch, "host:");
    for (path, line) in support::tree(&scratch.work().join("root")) {
        let mode = u32::from_str_radix(line.split(' ').next().unwrap(), 8).unwrap();
        let file = mode & 0o170_000 == 0o100_000;
        assert!(!file || mode & 0o6000 == 0, "{path:?}");
    }
}

#[test]
fn a_program_that_is_not_there_is_3_and_leaves_nothing() {
    let scratch = Scratch::new();
    let outcome = scratch.feed(As::Caller, b"", &["host:sh,no-such-program", "root"]);
    assert_eq!(outcome.code, Some(3));
    assert_eq!(outcome.stderr, "rootfs-fetch: \"no-such-program\" is no program on this host\n");
    assert_eq!(scratch.left(), Vec::<String>::new());
}

#[test]
fn a_script_brings_its_interpreter() {
    let scratch = Scratch::new();
    let script = scratch.path("script");
    let written = Command::new("sh")
        .args(["-c", "printf '#!/bin/sh\\necho from the script\\n' > \"$0\" && chmod 755 \"$0\""])
        .arg(&script)
        .status();
    assert!(written.unwrap().success());
    made(&scratch, &format!("host:{}", script.display()));
    let root = scratch.work().join("root");
    assert!(
        root.join("bin/sh").symlink_metadata().is_ok() || root.join("usr/bin/sh").symlink_metadata().is_ok()
    );
    // where no standard directory has it, a link in one leads to it
    assert_eq!(std::fs::read_link(root.join("usr/bin/script")).unwrap(), script);
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root, for chroot(2)"]
    fn its_shell_its_users_and_its_line_editing_work_under_chroot() {
        let scratch = Scratch::new();
        made(&scratch, "host:");
        let output = Command::new("chroot")
        .arg(scratch.work().join("root"))
        .args([
            "/bin/sh",
            "-c",
            "id -un; ls -ld /root | cut -d' ' -f3; env -i /bin/sh -c 'echo $((6*7))'; tput -T xterm colors",
        ])
        .output()
        .unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert_eq!(stdout, "root\nroot\n42\n8\n", "{}", String::from_utf8_lossy(&output.stderr));
    }
}

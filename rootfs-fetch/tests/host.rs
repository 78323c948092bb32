//! `host:` makes a root in which the programs run.
#![cfg(test)]

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use tests::fetch::{As, Scratch};
use tests::tree::tree;

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
    for (path, entry) in tree(&scratch.work().join("root")) {
        let file = entry.mode & 0o170_000 == 0o100_000;
        assert!(!file || entry.mode & 0o6000 == 0, "{path:?}");
    }
}

#[test]
fn a_program_that_is_not_there_is_3_and_leaves_nothing() {
    let scratch = Scratch::new();
    let outcome = scratch.feed(As::Caller, b"", &["host:sh,no-such-program", "root"]);
    assert_eq!(outcome.code, Some(3));
    assert_eq!(outcome.stderr, "rootfs-fetch: \"no-such-program\" is not a program on this machine\n");
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
    // if no standard directory has it, a link in one leads to it
    assert_eq!(std::fs::read_link(root.join("usr/bin/script")).unwrap(), script);
}

/// A program with a library in three directories: for every processor, for almost all processors, and for
/// none.
#[cfg(target_arch = "x86_64")]
fn program_with_levels(scratch: &Scratch) -> std::path::PathBuf {
    let script = "set -e; mkdir -p lib/glibc-hwcaps/x86-64-v1 lib/glibc-hwcaps/x86-64-v2 lib/glibc-hwcaps/x86-64-v9
        make() { echo \"int level(void) { return $1; }\" > level.c; cc -shared -fPIC -Wl,-soname,libonly.so -o $2 level.c; }
        make 0 lib/libonly.so
        make 2 lib/glibc-hwcaps/x86-64-v2/libonly.so
        make 9 lib/glibc-hwcaps/x86-64-v9/libonly.so
        echo 'int level(void); int main(void) { return level(); }' > main.c
        cc -o main main.c -Llib -lonly -Wl,-rpath,$PWD/lib; chmod -R a+rX .";
    let directory = scratch.path("built");
    std::fs::create_dir(&directory).unwrap();
    let output = Command::new("sh").args(["-c", script]).current_dir(&directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    directory.join("main")
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_root_has_each_library_that_the_loader_would_take() {
    let scratch = Scratch::new();
    let main = program_with_levels(&scratch);
    made(&scratch, &format!("host:{}", main.display()));
    let output = Command::new(&main).env("LD_TRACE_LOADED_OBJECTS", "1").output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    let taken: Vec<&Path> =
        listed.split_whitespace().filter(|word| word.starts_with('/')).map(Path::new).collect();
    assert!(taken.iter().any(|path| path.ends_with("libonly.so")), "{listed}");
    let root = scratch.work().join("root");
    for path in taken {
        assert!(root.join(path.strip_prefix("/").unwrap()).exists(), "{path:?}: {listed}");
    }
    // another machine may have another processor
    let library = root.join(main.strip_prefix("/").unwrap()).with_file_name("lib/libonly.so");
    assert!(library.exists(), "{library:?}");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_library_for_no_processor_is_none() {
    let scratch = Scratch::new();
    let main = program_with_levels(&scratch);
    let lib = main.with_file_name("lib");
    for path in [lib.join("libonly.so"), lib.join("glibc-hwcaps/x86-64-v2/libonly.so")] {
        std::fs::remove_file(path).unwrap();
    }
    let outcome = scratch.feed(As::Caller, b"", &[&format!("host:{}", main.display()), "root"]);
    assert_eq!(outcome.code, Some(3));
    assert!(outcome.stderr.contains("needs the library \"libonly.so\""), "{outcome:?}");
}

mod as_root {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    #[ignore = "needs root, for chroot(2)"]
    fn the_loader_takes_the_same_library_in_the_root_as_here() {
        let scratch = Scratch::new();
        let main = program_with_levels(&scratch);
        let levels = main.with_file_name("lib/glibc-hwcaps");
        // first with the library for this processor and the generic one, then with only the former
        for gone in [None, Some(levels.with_file_name("libonly.so"))] {
            if let Some(gone) = gone {
                std::fs::remove_file(gone).unwrap();
            }
            scratch.clear();
            made(&scratch, &format!("host:{}", main.display()));
            let here = Command::new(&main).status().unwrap().code();
            let there = Command::new("chroot").arg(scratch.work().join("root")).arg(&main).status();
            assert_eq!((here, there.unwrap().code()), (Some(2), Some(2)));
        }
    }

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

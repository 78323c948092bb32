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

fn into(scratch: &Scratch, source: &str) -> tests::fetch::Outcome {
    scratch.feed(As::Caller, b"", &["-q", "--into", source, "root"])
}

/// The files of a tree with this name.
fn named(root: &Path, name: &str) -> Vec<std::path::PathBuf> {
    let found = tree(root).into_keys().filter(|path| path.file_name().is_some_and(|last| last == name));
    found.map(|path| root.join(path)).collect()
}

#[test]
fn programs_are_added_to_a_tree_and_replace_only_what_the_host_also_has() {
    let scratch = Scratch::new();
    made(&scratch, "host:sh");
    let root = scratch.work().join("root");
    let libc = named(&root, "libc.so.6").remove(0);
    let good = std::fs::read(&libc).unwrap();
    std::fs::write(&libc, "an old one").unwrap();
    std::fs::write(root.join("etc/passwd"), "mine\n").unwrap();
    std::fs::remove_file(root.join("etc/hosts")).unwrap();
    std::fs::remove_dir(root.join("home")).unwrap();
    std::os::unix::fs::symlink("var/home", root.join("home")).unwrap();
    std::fs::set_permissions(root.join("root"), std::os::unix::fs::PermissionsExt::from_mode(0o750)).unwrap();
    let outcome = into(&scratch, "host:cat");
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert!(!named(&root, "cat").is_empty() && !named(&root, "sh").is_empty());
    assert!(std::fs::read(&libc).unwrap() == good, "the library is the host's");
    // what the host does not have, but a new root would get
    assert_eq!(std::fs::read_to_string(root.join("etc/passwd")).unwrap(), "mine\n");
    assert!(root.join("etc/hosts").exists());
    assert_eq!(std::fs::read_link(root.join("home")).unwrap(), Path::new("var/home"));
    assert_eq!(root.join("root").metadata().unwrap().mode() & 0o7777, 0o750);
}

#[test]
fn a_link_in_a_tree_leads_no_copy_outside() {
    for walk in [false, true] {
        let scratch = Scratch::new();
        made(&scratch, "host:sh,cat");
        let root = scratch.work().join("root");
        let outside = scratch.path("outside");
        let before = scratch.surroundings();
        for name in ["cat", "libc.so.6"] {
            for path in named(&root, name) {
                std::fs::remove_file(&path).unwrap();
                std::os::unix::fs::symlink(outside.join("secret"), &path).unwrap();
            }
        }
        std::fs::remove_dir_all(root.join("usr/lib/locale")).unwrap_or_default();
        std::os::unix::fs::symlink(outside.join("directory"), root.join("usr/lib/locale"))
            .unwrap_or_default();
        std::fs::remove_dir_all(root.join("dev")).unwrap();
        std::os::unix::fs::symlink(outside.join("new"), root.join("dev")).unwrap();
        std::fs::remove_file(root.join("etc/hosts")).unwrap();
        std::os::unix::fs::symlink(outside.join("hosts"), root.join("etc/hosts")).unwrap();
        let mut command = scratch.command(As::Caller);
        command.args(["-q", "--into", "host:cat", "root"]);
        if walk {
            command.env("ROOTFS_FETCH_NO_OPENAT2", "1");
        }
        let outcome = tests::fetch::feed(command, b"");
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "walk: {walk}");
        assert_eq!(scratch.surroundings(), before, "walk: {walk}");
        for name in ["cat", "libc.so.6"] {
            let files = named(&root, name);
            assert!(files.iter().any(|path| path.symlink_metadata().unwrap().is_file()), "{files:?}");
        }
    }
}

#[test]
fn a_directory_of_a_tree_stays_where_the_host_has_a_link_to_one() {
    for (name, wanted) in [("bin", "sh"), ("lib64", "ld-linux-x86-64.so.2")] {
        let is_there = Path::new("/").join(name).join(wanted).exists();
        if !is_there || !Path::new("/").join(name).is_symlink() {
            continue;
        }
        for to in [None, Some("opt/other")] {
            let scratch = Scratch::new();
            let root = scratch.work().join("root");
            let real = root.join(to.unwrap_or(name));
            std::fs::create_dir_all(&real).unwrap();
            std::fs::write(real.join("mine"), "mine").unwrap();
            if let Some(to) = to {
                std::os::unix::fs::symlink(to, root.join(name)).unwrap();
            }
            let outcome = into(&scratch, "host:/bin/sh");
            assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{name} {to:?}");
            assert!(real.join("mine").exists());
            assert_eq!(std::fs::read_link(root.join(name)).ok(), to.map(Into::into));
            // the program and its loader have the names by which they are used
            assert!(real.join(wanted).symlink_metadata().is_ok(), "{name} {to:?}");
        }
    }
}

#[test]
fn a_directory_of_a_tree_is_not_replaced_by_a_program() {
    let scratch = Scratch::new();
    made(&scratch, "host:sh");
    let root = scratch.work().join("root");
    let cat = named(&root, "sh").remove(0).with_file_name("cat");
    std::fs::create_dir(&cat).unwrap();
    std::fs::write(cat.join("mine"), "mine").unwrap();
    let outcome = into(&scratch, "host:cat");
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    assert!(outcome.stderr.contains("it would replace an existing directory"), "{outcome:?}");
    assert!(cat.join("mine").exists());
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

//! What an interrupted `--apply` or `--discard` leaves in the directory of changes, and what stops it in NEWROOT.

use std::fs;
use std::path::Path;

use tests::{End, Run, Trace, tools};

use crate::changes::Tried;
use crate::root_locations::has_overlay;

/// The names in a directory, sorted, and those in its `work`.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = [dir, &dir.join("work")]
        .iter()
        .flat_map(|dir| fs::read_dir(dir).unwrap().flatten())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The changes of a run, discarded by a tool that could not remove their files.
fn interrupted(tried: &Tried) {
    tried.change("echo x >>/etc/a");
    // the first removes what an earlier discard has left, which is nothing here
    let ended =
        Trace::new().only("unlinkat").fail_with("unlinkat", 2, "EIO").run(tried.command("--discard")).ended;
    ended.ended(End::Exit(125));
}

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static, namespaces and strace"]
    fn an_interrupted_discard_is_finished_by_the_next_and_by_an_apply() {
        if !has_overlay() {
            return;
        }
        for option in ["--discard", "--apply"] {
            let tried = Tried::new();
            interrupted(&tried);
            let left = names(&tried.dir());
            assert!(left.contains(&"gone".into()) && left.contains(&"since".into()), "{left:?}");
            assert_eq!(tried.list(), "");
            let dir = tried.dir();
            let said = format!("chroot-rs: finish discarding the changes in \"{}\"\n", dir.display());
            assert_eq!(tried.run(&["--dry-run", option], &[]).ended(End::Exit(0)).err(), said);
            assert_eq!(names(&tried.dir()), left);
            tried.run(&[option], &[]).ok();
            assert_eq!(names(&tried.dir()), ["work"]);
            tried.run(&[option], &[]).ok();
        }
    }

    #[test]
    #[ignore = "needs busybox-static, namespaces and strace"]
    fn a_run_after_an_interrupted_discard_begins_anew() {
        if !has_overlay() {
            return;
        }
        let tried = Tried::new();
        interrupted(&tried);
        // later than the old changes, but earlier than the new ones
        fs::write(tried.root.path("etc/a"), "outside\n").unwrap();
        tried.change("echo x >>/etc/a");
        assert!(!tried.dir().join("gone").exists());
        assert_eq!(tried.list(), "changed \"/etc/a\"\n");
        tried.run(&["--apply"], &[]).ok();
        assert_eq!(tried.read("etc/a"), "outside\nx\n");
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_directory_of_something_else_is_left_alone() {
        if !has_overlay() {
            return;
        }
        let said = |dir: &str, name: &str| {
            format!(
                "chroot-rs: {dir:?} is not a directory of --changes: chroot-rs did not create its {name:?}\n\
                 chroot-rs: hint: name a DIR that does not exist, or an empty one\n"
            )
        };
        for (file, name) in [("upper/thesis", "upper"), ("work/src/main.c", "work"), ("since", "since")] {
            let tried = Tried::new();
            let file = tried.dir().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "mine").unwrap();
            for (options, command) in
                [(&["--list"][..], &[][..]), (&["--apply"], &[]), (&["--discard"], &[]), (&[], &["true"])]
            {
                let ended = tried.run(options, command).ended(End::Exit(125));
                assert_eq!(ended.err(), said(&tried.dir().display().to_string(), name));
                assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
            }
            assert_eq!(fs::read_dir(tried.dir()).unwrap().count(), 1);
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn newroot_itself_keeps_no_changes() {
        let tried = Tried::new();
        let run =
            Run::new(tools().chroot()).arg("--changes").args([tried.root.path(""), tried.root.path("")]);
        let ended = run.arg("true").end().ended(End::Exit(125));
        assert!(
            ended.err().contains("--changes cannot keep the changes in NEWROOT itself"),
            "{}",
            ended.err()
        );
        assert!(!tried.root.path("upper").exists());
    }
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root, busybox-static and overlay"]
    fn a_file_with_a_mount_on_it_stops_an_apply_before_it_begins() {
        if !has_overlay() {
            return;
        }
        let tried = Tried::new();
        tried.change("echo x >>/etc/a; echo x >/etc/b; echo x >/etc/new; rm -r /old");
        let mounted = |file: &str, options: &[&str]| {
            let script = r#"mount --bind "$1" "$1"; shift; exec "$@""#;
            let run = Run::new("unshare").args(["--mount", "/bin/sh", "-euc", script, "sh"]);
            let run = run.arg(tried.root.path(file)).arg(tools().chroot());
            tried.run_by(run, options, &[]).ended(End::Exit(125)).err()
        };
        for (file, options) in
            [("etc/b", &["--apply"][..]), ("old/sub", &["--dry-run", "--apply"]), ("old/sub/f", &["--apply"])]
        {
            let said = format!(
                "chroot-rs: nothing was applied: something is mounted on \"/{file}\"\n\
                chroot-rs: hint: umount {}, or undo this change in another run; then run --apply again\n",
                tried.root.path(file).display()
            );
            assert_eq!(mounted(file, options), said);
            assert_eq!((tried.read("etc/a"), tried.read("old/sub/f")), ("a\n".into(), "f\n".into()));
        }
        tried.run(&["--apply"], &[]).ok();
        assert_eq!((tried.read("etc/b"), tried.read("etc/new")), ("x\n".into(), "x\n".into()));
    }

    #[test]
    #[ignore = "needs root, busybox-static, overlay and strace"]
    fn a_file_that_cannot_get_its_name_leaves_no_other_one() {
        if !has_overlay() {
            return;
        }
        let tried = Tried::new();
        tried.change("echo x >>/etc/a");
        let ended = Trace::new()
            .only("renameat")
            .fail_with("renameat", 1, "EBUSY")
            .run(tried.command("--apply"))
            .ended;
        let said = ended.ended(End::Exit(125)).err();
        let hint = format!("hint: umount {}, or undo", tried.root.path("etc/a").display());
        assert!(said.contains("cannot apply \"/etc/a\"") && said.contains(&hint), "{said}");
        assert!(!tried.root.path("etc/.chroot-rs.unfinished").exists());
    }
}

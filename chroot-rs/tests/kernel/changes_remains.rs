//! What an interrupted `--apply` or `--discard` leaves in the directory of changes.

use std::fs;
use std::path::Path;

use tests::{End, Trace};

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
        let tried = Tried::new();
        fs::create_dir(tried.dir()).unwrap();
        for name in ["gone", "since"] {
            fs::write(tried.dir().join(name), "mine").unwrap();
        }
        tried.run(&["--discard"], &[]).ended(End::Exit(125));
        tried.change("echo x >>/etc/a");
        for name in ["gone", "since"] {
            assert_eq!(fs::read_to_string(tried.dir().join(name)).unwrap(), "mine");
        }
    }
}

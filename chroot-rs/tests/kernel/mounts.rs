//! The additional mounts that the caller requests, and the fate of what is written.

use std::fs::{self, DirEntry};
use std::os::unix::fs::symlink;
use std::path::Path;

use tests::accounts::unused_id;
use tests::{End, Run, Scratch, tools};

use crate::jail::{Isolation, Jail, SECRET, mount_table};
use crate::root_locations::{has_overlay, run_outside};

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn nothing_can_be_written_to_a_read_only_root() {
        let script = "touch /x; touch /tmp/x; touch /dev/shm/x && echo memory can";
        let ended = Jail::new().run(Isolation::Default, &["--read-only"], script).end();
        assert_eq!(ended.out(), "memory can\n");
        let said = "touch: /x: Read-only file system\ntouch: /tmp/x: Read-only file system\n";
        assert_eq!(ended.err(), said);
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn what_is_written_to_an_ephemeral_root_is_forgotten() {
        if !has_overlay() {
            return;
        }
        let (jail, mounts) = (Jail::new(), mount_table());
        let script = "echo new >/etc/passwd && rm /etc/group && mkdir /etc/dir && cat /etc/passwd && ls /etc";
        for isolation in [Isolation::Default, Isolation::Chain] {
            let out = jail.run(isolation, &["--ephemeral", "--no-hosts"], script).end().ok();
            assert_eq!(out, "new\ndir\nhosts\npasswd\n", "{isolation:?}");
        }
        assert!(fs::read_to_string(jail.root.path("etc/passwd")).unwrap().starts_with("root:"));
        assert!(jail.root.path("etc/group").exists() && !jail.root.path("etc/dir").exists());
        assert_eq!(mount_table(), mounts);
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn an_ephemeral_root_holds_as_any_other() {
        if !has_overlay() {
            return;
        }
        let jail = Jail::new();
        let out =
            jail.run(Isolation::Default, &["--ephemeral"], "umount -l /; cat $SECRET ../$SECRET").end().out();
        assert!(!out.contains(SECRET), "{out}");
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn binds_and_tmpfs_are_mounted_in_order() {
        let (jail, source) = (Jail::new(), Scratch::new());
        fs::write(source.path("file"), "from outside\n").unwrap();
        fs::create_dir(source.path("place")).unwrap();
        let source = source.path("").display().to_string();
        let source = source.trim_end_matches('/');
        let options = [
            "--tmpfs=/tmp:1m",
            &format!("--bind={source}:/tmp/made/here"),
            &format!("--bind={source}/file:/tmp/made/file:ro"),
            &format!("--bind={source}/file:/etc/group:ro"),
            "--tmpfs=/tmp/made/here/place",
        ];
        let script = "cat /etc/group /tmp/made/here/file /tmp/made/file
            (echo x >/tmp/made/file) 2>&1; touch /tmp/made/here/place/x && df -k /tmp | tail -n 1 | awk '{print $2}'";
        let out = jail.run(Isolation::Default, &options, script).end().ended(End::Exit(0)).out();
        let line = "from outside\n";
        let refused = "/bin/sh: can't create /tmp/made/file: Read-only file system\n";
        assert_eq!(out, format!("{line}{line}{line}{refused}1024\n"));
        assert_eq!(fs::read_dir(format!("{source}/place")).unwrap().count(), 0);
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn the_resolver_is_shown_on_a_file_and_on_a_link_to_nowhere() {
        let Ok(resolver) = fs::read_to_string("/etc/resolv.conf") else { return };
        let jail = Jail::new();
        let place = jail.root.path("etc/resolv.conf");
        let run = |options: &[&str]| {
            jail.run(
                Isolation::Default,
                options,
                "cat /etc/resolv.conf; (echo >/etc/resolv.conf) 2>/dev/null",
            )
            .end()
        };
        if has_overlay() {
            assert_eq!(run(&["--resolv-conf", "--ephemeral"]).out(), resolver);
            assert!(!place.exists());
        }
        // an empty file is created for it
        assert_eq!(run(&["--resolv-conf"]).out(), resolver);
        assert_eq!(fs::read_to_string(&place).unwrap(), "");
        fs::remove_file(&place).unwrap();
        let refused = run(&["--resolv-conf", "--read-only"]).ended(End::Exit(125));
        let said = "nothing to mount on: the new root has no \"/etc/resolv.conf\"\n";
        assert!(refused.err().contains(said), "{}", refused.err());
        fs::write(&place, "").unwrap();
        assert_eq!(run(&["--resolv-conf"]).out(), resolver);
        assert_eq!(fs::read_to_string(&place).unwrap(), "");
        fs::remove_file(&place).unwrap();
        symlink("../run/systemd/resolve/stub-resolv.conf", &place).unwrap();
        assert_eq!(run(&["--resolv-conf"]).out(), resolver);
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_target_that_links_outside_lands_inside() {
        let jail = Jail::new();
        let outside = jail.secret.parent().unwrap().to_path_buf();
        symlink(&outside, jail.root.path("way")).unwrap();
        let options = [format!("--bind={}:/way:ro", outside.display())];
        let ended = jail.run(Isolation::Default, &[&options[0]], "true").end().ended(End::Exit(125));
        assert!(ended.err().contains("the new root has no \"/way\"\n"), "{}", ended.err());
        // the path inside, if it exists
        fs::create_dir_all(jail.root.path(outside.strip_prefix("/").unwrap())).unwrap();
        assert_eq!(jail.run(Isolation::Default, &[&options[0]], "cat /way/secret").end().ok(), SECRET);
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn the_command_starts_in_the_workdir() {
        let jail = Jail::new();
        assert_eq!(jail.run(Isolation::Default, &["--workdir=/etc"], "pwd").end().ok(), "/etc\n");
        assert_eq!(jail.run(Isolation::Default, &["-w", "sub/bin"], "pwd").end().ok(), "/sub/bin\n");
        let ended = jail.run(Isolation::Default, &["--workdir=/nope"], "pwd").end().ended(End::Exit(125));
        let said =
            "chroot-rs: cannot start in \"/nope\": chdir(\"/nope\"): No such file or directory (ENOENT)\n";
        assert!(ended.err().ends_with(said), "{}", ended.err());
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_directory_of_the_root_that_is_bound_keeps_what_is_written_in_spite_of_the_overlay() {
        if !has_overlay() {
            return;
        }
        let jail = Jail::new();
        let kept = jail.root.path("root");
        let bind = format!("--bind={}:/mnt", kept.display());
        let ended = jail.run(Isolation::Default, &["--ephemeral", &bind], "echo kept >/mnt/f");
        assert_eq!(ended.end().out(), "");
        assert_eq!(fs::read_to_string(kept.join("f")).unwrap(), "kept\n");
        // and the parts above it show the root unchanged
        let above = format!("--bind={}:/mnt", jail.root.path("..").canonicalize().unwrap().display());
        let inside = format!("ls /mnt/{}", jail.root.path("").file_name().unwrap().display());
        let seen = jail.run(Isolation::Default, &["--ephemeral", &above], &inside).end().ok();
        assert!(seen.contains("bin\n") && !seen.contains("upper"), "{seen}");
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn the_machines_own_root_takes_the_same_mounts() {
        let shown = Scratch::new();
        fs::write(shown.path("f"), "shown\n").unwrap();
        let run = |options: &[&str], script: &str| {
            Run::new(tools().chroot()).args(options).args(["/", "/bin/sh", "-c", script]).end()
        };
        let bind = format!("--bind={}:/mnt", shown.path("").display());
        assert_eq!(run(&[&bind], "cat /mnt/f").out(), "shown\n");
        assert_eq!(run(&["--tmpfs=/mnt"], "echo x >/mnt/f; cat /mnt/f").out(), "x\n");
        assert_eq!(run(&["--read-only"], "(echo x >/etc/x) 2>/dev/null || echo refused").out(), "refused\n");
        if has_overlay() {
            let script = "echo x >/etc/chain-test-x; cat /etc/chain-test-x";
            assert_eq!(run(&["--ephemeral"], script).out(), "x\n");
            assert!(!fs::exists("/etc/chain-test-x").unwrap());
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn nothing_of_the_machines_root_is_left_below_the_new_one() {
        again_inside("--share-pid");
        again_inside("--read-only");
        if has_overlay() {
            again_inside("--ephemeral");
        }
    }
}

/// After setns(2) into a process's own mount namespace, the root is the topmost mount there, as for nsenter(1) from
/// outside: this must be the new root.
fn again_inside(option: &str) {
    let script = "echo inside >/mnt/f; nsenter --mount=/proc/self/ns/mnt cat /mnt/f";
    let run = Run::new(tools().chroot()).args([option, "--privileged", "--tmpfs=/mnt", "/"]);
    let ended = run.args(["/bin/sh", "-c", script]).end();
    assert_eq!(ended.out(), "inside\n", "{option}: {}", ended.err());
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn nothing_of_the_machines_root_is_left_below_one_with_other_ids() {
        // the root of the VM is a tmpfs, which cannot map owners before Linux 6.3
        let root = Run::new(tools().chroot()).args(["--userns=auto", "/", "true"]).end();
        if !root.err().contains("cannot map owners") {
            again_inside("--userns=auto");
        }
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn a_directory_of_the_machines_root_is_bound_below_one_with_other_ids() {
        // a name that "/" does not have: while the new root is mounted on /usr, the test would find the one in "/"
        let mut sources = fs::read_dir("/usr").unwrap().map(|entry| entry.unwrap());
        let is_other = |entry: &DirEntry| !Path::new("/").join(entry.file_name()).exists();
        let Some(source) = sources.find(|entry| entry.path().is_dir() && is_other(entry)) else { return };
        let outside = fs::read_dir(source.path()).unwrap().count();
        let bind = format!("--bind={}:/mnt", source.path().display());
        let count = [bind.as_str(), "/", "/bin/sh", "-c", "ls -A /mnt | wc -l"];
        let ended = Run::new(tools().chroot()).arg("--userns=auto").args(count).end();
        if !ended.err().contains("cannot map owners") {
            assert_eq!(ended.out().trim(), outside.to_string(), "{}", ended.err());
        }
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn what_is_mounted_below_an_ephemeral_root_can_be_written_to_and_is_forgotten_too() {
        if !has_overlay() {
            return;
        }
        let script = r#"mount -t tmpfs t "$2"; echo outside >"$2"/f; mkdir "$2"/b; mount -t tmpfs t "$2"/b; touch "$2"/b/g
            "$3" --ephemeral "$1" /bin/sh -c 'cat /tmp/f; ls /tmp/b; echo inside >/tmp/f; rm /tmp/b/g; cat /tmp/f; ls /tmp/b'
            cat "$2"/f; ls "$2"/b"#;
        let jail = Jail::new();
        let ended = run_outside(&jail, script).end();
        assert_eq!(ended.out(), "outside\ng\ninside\noutside\ng\n", "{}", ended.err());
        assert_eq!(ended.err(), "");
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn mounts_that_unshare_rs_lets_in_reach_a_bound_directory_where_the_root_is_private() {
        // exit comes last, because busybox' sh becomes its last command, and the namespace that the mounts come from
        // would end with the shell
        let script = r#"mount -t tmpfs t "$2"; mount --make-shared "$2"
            "$UNSHARE" --propagation slave -- "$3" --bind "$2":/sub "$1" \
                /bin/sh -c 'grep -c " /sub .* master:" /proc/self/mountinfo'
            exit"#;
        let ended = run_outside(&Jail::new(), script).env("UNSHARE", tools().unshare()).end();
        assert_eq!(ended.out(), "1\n", "{}", ended.err());
    }

    #[test]
    #[ignore = "needs root, setpriv and busybox-static"]
    fn an_ephemeral_root_of_somebody_else_is_refused_before_anything_is_done() {
        let (jail, id) = (Jail::new(), unused_id().to_string());
        let run = Run::new("setpriv").args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
        let ended =
            run.arg(tools().chroot()).arg("--ephemeral").arg(jail.root.path("")).arg("/bin/true").end();
        let said = "chroot-rs: --ephemeral cannot change NEWROOT: its owner, user 0, has no id inside\n\
            chroot-rs: hint: copy it: cp -a NEWROOT COPY; or use --read-only, with --tmpfs for the directories to write to\n";
        assert_eq!((ended.end, ended.err()), (End::Exit(125), said.to_string()));
    }
}

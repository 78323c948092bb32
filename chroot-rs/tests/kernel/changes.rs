//! Changes that are kept, listed, applied and discarded.

use std::ffi::OsString;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tests::{End, Ended, Run, Scratch, deadline, tools};

use crate::jail::Jail;
use crate::root_locations::{has_overlay, run_outside};

/// A root and a directory of changes.
pub(crate) struct Tried {
    pub(crate) root: Scratch,
    pub(crate) kept: Scratch,
}

impl Tried {
    pub(crate) fn new() -> Self {
        let (root, kept) = (Scratch::busybox_root(), Scratch::new());
        for dir in ["old/sub", "opaque"] {
            fs::create_dir_all(root.path(dir)).unwrap();
        }
        for (file, text) in [("etc/a", "a\n"), ("etc/b", "b\n"), ("old/sub/f", "f\n"), ("opaque/gone", "g\n")]
        {
            fs::write(root.path(file), text).unwrap();
        }
        Self { root, kept }
    }

    /// Whether the kernel and the file system support everything: a user's overlay marks a removed directory
    /// with an attribute `user.*`, which tmpfs has since Linux 6.6.
    pub(crate) fn lets_directories_go(&self) -> bool {
        has_overlay() && (nix::unistd::geteuid().is_root() || self.keeps_attributes())
    }

    pub(crate) fn keeps_attributes(&self) -> bool {
        let kept = self.kept.path("");
        rustix::fs::setxattr(&kept, c"user.chain-test", b"x", rustix::fs::XattrFlags::empty()).is_ok()
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.kept.path("changes")
    }

    pub(crate) fn run(&self, options: &[&str], command: &[&str]) -> Ended {
        self.run_by(Run::new(tools().chroot()), options, command)
    }

    pub(crate) fn run_by(&self, run: Run, options: &[&str], command: &[&str]) -> Ended {
        run.arg("--changes").arg(self.dir()).args(options).arg(self.root.path("")).args(command).end()
    }

    /// The command line with an option that runs no command.
    pub(crate) fn command(&self, option: &str) -> [OsString; 5] {
        let (dir, root) = (self.dir().into(), self.root.path("").into());
        [tools().chroot().into(), "--changes".into(), dir, option.into(), root]
    }

    pub(crate) fn change(&self, script: &str) {
        self.run(&[], &["/bin/sh", "-euc", script]).ended(End::Exit(0));
    }

    pub(crate) fn list(&self) -> String {
        self.run(&["--list"], &[]).ok()
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.root.path(file)).unwrap_or_else(|why| why.to_string())
    }
}

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn what_a_command_did_is_kept_apart_listed_and_the_start_of_the_next_run() {
        let tried = Tried::new();
        if !tried.lets_directories_go() {
            return;
        }
        tried.change(
            "echo new >/etc/new; echo more >>/etc/a; rm /etc/b; rm -r /old; rm -r /opaque; mkdir /opaque
            echo f >/opaque/f; ln -s a /etc/link; mv /etc/group /etc/moved; chmod 700 /tmp; touch /etc/passwd",
        );
        assert_eq!((tried.read("etc/a"), tried.read("etc/b")), ("a\n".into(), "b\n".into()));
        let listed = "changed \"/etc/a\"\nremoved \"/etc/b\"\nremoved \"/etc/group\"\ncreated \"/etc/link\"\n\
            created \"/etc/moved\"\ncreated \"/etc/new\"\nremoved \"/old\"\ncreated \"/opaque/f\"\n\
            removed \"/opaque/gone\"\nchanged \"/tmp\"\n";
        assert_eq!(tried.list(), listed);
        tried.change("test ! -e /old; cat /etc/a | grep -q more; rm /etc/new");
        assert_eq!(tried.list(), listed.replace("created \"/etc/new\"\n", ""));
        let json = tried.run(&["--list=json"], &[]).ok();
        let first = "{\"change\":\"changed\",\"path\":\"/etc/a\",\"type\":\"file\",\"conflict\":false}\n";
        assert!(json.starts_with(first), "{json}");
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn applied_the_root_is_what_the_command_left_of_it() {
        let tried = Tried::new();
        if !tried.lets_directories_go() {
            return;
        }
        tried.change(
            "echo new >/etc/new; ln /etc/new /tmp/second; chmod 4711 /etc/new; echo more >>/etc/a; rm /etc/b
            rm -r /old; echo file >/old; rm -r /opaque; mkdir /opaque; echo f >/opaque/f; rm /etc/group
            mkdir /etc/group; mkfifo /tmp/pipe",
        );
        tried.run(&["--apply"], &[]).ok();
        assert_eq!(tried.read("etc/a"), "a\nmore\n");
        assert_eq!((tried.read("old"), tried.read("opaque/f")), ("file\n".into(), "f\n".into()));
        assert!(!tried.root.path("etc/b").exists() && !tried.root.path("opaque/gone").exists());
        assert!(tried.root.path("etc/group").is_dir());
        let (one, other) = (tried.root.path("etc/new"), tried.root.path("tmp/second"));
        let (one, other) = (fs::metadata(one).unwrap(), fs::metadata(other).unwrap());
        assert_eq!((one.ino(), one.permissions().mode() & 0o7777), (other.ino(), 0o4711));
        assert_eq!(tried.list(), "");
        // the directory can be used again
        tried.change("echo again >/etc/again");
        assert_eq!(tried.list(), "created \"/etc/again\"\n");
        tried.run(&["--discard"], &[]).ok();
        assert_eq!(tried.list(), "");
        assert!(!tried.root.path("etc/again").exists());
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_command_that_would_not_run_is_refused_and_a_dry_run_changes_nothing() {
        if !has_overlay() {
            return;
        }
        let tried = Tried::new();
        tried.change("echo new >/etc/a");
        for option in ["--list", "--apply", "--discard"] {
            let refused = tried.run(&[option], &["/bin/sh"]).ended(End::Exit(125));
            let said = format!("chroot-rs: {option} runs no command: leave out \"/bin/sh\"\n");
            assert_eq!((refused.out(), refused.err()), (String::new(), said));
        }
        let (dir, root) = (tried.dir().display().to_string(), tried.root.path("").display().to_string());
        for (option, said) in [
            ("--apply", format!("chroot-rs: apply 1 change in \"{dir}\" to \"{root}\"\n")),
            ("--discard", format!("chroot-rs: discard the changes in \"{dir}\"\n")),
        ] {
            let dry = tried.run(&["--dry-run", option], &[]).ended(End::Exit(0));
            assert_eq!((dry.out(), dry.err()), (String::new(), said));
        }
        assert_eq!((tried.read("etc/a"), tried.list()), ("a\n".into(), "changed \"/etc/a\"\n".into()));
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn what_was_changed_on_both_sides_is_told_and_not_replaced_unasked() {
        let tried = Tried::new();
        if !tried.lets_directories_go() {
            return;
        }
        tried.change("echo inside >>/etc/a; rm -r /old");
        fs::write(tried.root.path("etc/a"), "outside\n").unwrap();
        fs::write(tried.root.path("old/sub/f"), "outside\n").unwrap();
        let listed = "changed \"/etc/a\", also in NEWROOT\nremoved \"/old\", also in NEWROOT\n";
        assert_eq!(tried.list(), listed);
        let refused = tried.run(&["--apply"], &[]).ended(End::Exit(125));
        let said = "chroot-rs: nothing was applied: NEWROOT has changed, too: \"/etc/a\" (2 in all)\n\
            chroot-rs: hint: --list shows them; --apply=force replaces them\n";
        assert_eq!((refused.err(), tried.read("etc/a")), (said.into(), "outside\n".into()));
        tried.run(&["--apply=force"], &[]).ok();
        assert_eq!(tried.read("etc/a"), "a\ninside\n");
        assert!(!tried.root.path("old").exists());
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn where_directories_cannot_be_removed_a_line_says_so() {
        if !has_overlay() {
            return;
        }
        let tried = Tried::new();
        let ended = tried.run(&[], &["/bin/sh", "-c", "rm -r /old 2>/dev/null; echo $?; rm /etc/a"]);
        let ended = ended.ended(End::Exit(0));
        let said = "chroot-rs: directories of NEWROOT with files in them cannot be removed: the file system of \
            --changes keeps no user.* attributes, like tmpfs before Linux 6.6\n";
        let (status, said) = if tried.lets_directories_go() { ("0\n", "") } else { ("1\n", said) };
        assert_eq!((ended.out(), ended.err()), (status.into(), said.into()));
        assert!(tried.list().starts_with("removed \"/etc/a\"\n"));
    }

    #[test]
    #[ignore = "needs busybox-static, namespaces and prlimit"]
    fn an_apply_that_was_interrupted_is_done_by_the_next() {
        let tried = Tried::new();
        if !tried.lets_directories_go() {
            return;
        }
        tried.change("echo x >>/etc/a; head -c 100000 /dev/zero >/etc/m; rm /etc/b; rm -r /opaque; mkdir /opaque; echo >/opaque/f");
        let limited = Run::new("prlimit").arg("--fsize=5000").arg(tools().chroot());
        let ended = tried.run_by(limited, &["--apply"], &[]);
        assert_ne!(ended.end, End::Exit(0));
        // the changes before it are applied, and those after it are still there
        assert_eq!(tried.read("etc/a"), "a\nx\n");
        assert!(!tried.root.path("etc/m").exists() && tried.root.path("opaque/gone").exists());
        tried.run(&["--apply"], &[]).ok();
        assert_eq!(fs::metadata(tried.root.path("etc/m")).unwrap().len(), 100_000);
        assert!(!tried.root.path("etc/b").exists() && !tried.root.path("opaque/gone").exists());
        let names = fs::read_dir(tried.root.path("etc")).unwrap();
        assert!(!names.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(".chroot")));
        assert_eq!(tried.list(), "");
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_link_that_an_earlier_command_left_takes_no_changes_outside() {
        if !has_overlay() {
            return;
        }
        let (jail, kept, outside) = (Jail::new(), Scratch::new(), Scratch::new());
        fs::create_dir(jail.root.path("srv")).unwrap();
        // with a mount of the outer user namespace in the root, each of its directories gets its own overlay
        let script = r#"unshare --user --map-root-user --mount "$3" --changes "$KEPT" "$1" /bin/sh -c 'rmdir /srv && ln -s "$AT" /srv'
            mount -t tmpfs t "$2"
            unshare --user --map-root-user --mount "$3" --changes "$KEPT" "$1" /bin/sh -c 'echo x >/srv/spoilt'"#;
        let run = run_outside(&jail, script).env("KEPT", kept.path("changes")).env("AT", outside.path(""));
        let ended = run.end();
        assert!(!outside.path("spoilt").exists(), "{}", ended.err());
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn where_an_earlier_command_put_a_link_a_default_is_skipped() {
        let tried = Tried::new();
        if !tried.lets_directories_go() {
            return;
        }
        fs::write(tried.root.path("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
        let replace = "rmdir /dev /sys /proc; ln -s /tmp /dev; ln -s /tmp /sys; rm -r /etc; ln -s /tmp /etc";
        tried.run(&["--no-mount"], &["/bin/sh", "-euc", replace]).ended(End::Exit(0));
        let chain = Run::new(tools().unshare()).arg("--").arg(tools().chroot());
        let look = "for dir in dev sys etc; do readlink /$dir; done; test -e /proc/self && echo proc";
        let ended = tried.run_by(chain, &[], &["/bin/sh", "-c", look]).ended(End::Exit(0));
        assert_eq!(ended.out(), "/tmp\n/tmp\n/tmp\nproc\n", "{}", ended.err());
        for name in ["dev", "sys"] {
            let said = format!("chroot-rs: skipped /{name}: it is a symbolic link in the new root\n");
            assert!(ended.err().contains(&said), "{}", ended.err());
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn the_machines_own_root_is_tried_and_applied_to() {
        if !has_overlay() {
            return;
        }
        let (place, kept) = (Scratch::of_machine(), Scratch::new());
        let run = |options: &[&str], command: &[&str]| {
            let run = Run::new(tools().chroot()).arg("--changes").arg(kept.path("changes")).args(options);
            run.arg("/").args(command).env("HOME", place.path("home")).end()
        };
        fs::create_dir(place.path("home")).unwrap();
        let file = place.path("home/tried");
        run(&[], &["/bin/sh", "-c", &format!("echo x >{}", file.display())]).ended(End::Exit(0));
        assert!(!file.exists());
        let listed = run(&["--list"], &[]);
        assert_eq!(listed.out(), format!("created \"{}\"\n", file.display()));
        run(&["--apply"], &[]).ended(End::Exit(0));
        assert_eq!(fs::read_to_string(file).unwrap(), "x\n");
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_directory_is_used_by_one_run_at_a_time_with_and_without_a_reaper() {
        if !has_overlay() {
            return;
        }
        for options in [&[][..], &["--share-pid"]] {
            let tried = Tried::new();
            let (held, release) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
            let script = format!("echo ready >/etc/new; read line <&{}", held.as_raw_fd());
            let run = Run::new(tools().chroot()).leaving_open(held).arg("--changes").arg(tried.dir());
            let first = run.args(options).arg(tried.root.path("")).args(["/bin/sh", "-c", &script]).start();
            let written = tried.dir().join("upper/etc/new");
            deadline::until("the first command", || written.exists().then_some(()));
            for (again, command) in
                [(options, &["/bin/true"][..]), (&["--discard"], &[]), (&["--apply"], &[])]
            {
                let refused = tried.run(again, command).ended(End::Exit(125));
                let said = refused.err();
                assert!(
                    said.contains("(EAGAIN)\nchroot-rs: hint: another run uses this directory: "),
                    "{said}"
                );
                // a user's overlay, before Linux 6.6
                let lines = said.lines().filter(|line| !line.contains("keeps no user.* attributes"));
                assert_eq!(lines.count(), 2, "{said}");
            }
            drop(release);
            first.end();
            assert_eq!(tried.list(), "created \"/etc/new\"\n");
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn directories_without_rights_for_their_owner_are_discarded_and_applied() {
        if !has_overlay() {
            return;
        }
        let tried = Tried::new();
        tried.change("mkdir /ro /none; echo >/ro/f; echo >/none/f; chmod 555 /ro; chmod 0 /none");
        tried.run(&["--discard"], &[]).ok();
        assert!(!tried.dir().join("gone").exists());
        tried.change("mkdir /ro; echo >/ro/f; chmod 555 /ro");
        tried.run(&["--apply"], &[]).ok();
        assert!(tried.root.path("ro/f").exists());
        if tried.lets_directories_go() {
            tried.change("rm -r /ro");
            tried.run(&["--apply"], &[]).ok();
            assert!(!tried.root.path("ro").exists());
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn what_is_left_after_changes_can_be_removed_by_their_owner() {
        if !has_overlay() {
            return;
        }
        for option in ["--apply", "--discard"] {
            let tried = Tried::new();
            tried.change("echo new >/etc/new");
            tried.run(&[option], &[]).ok();
            fs::remove_dir_all(tried.dir()).unwrap();
        }
    }
}

mod as_user {
    use super::*;

    #[test]
    #[ignore = "needs an ordinary user, busybox-static and namespaces"]
    fn the_directory_that_keeps_changes_out_is_named() {
        if !has_overlay() {
            return;
        }
        let (root, place) = (Scratch::busybox_root(), Scratch::new());
        let closed = place.path("closed");
        fs::create_dir(&closed).unwrap();
        let said = |mode, dir: &Path, options: &[&str]| {
            fs::set_permissions(&closed, fs::Permissions::from_mode(mode)).unwrap();
            let run = Run::new(tools().chroot()).arg("--changes").arg(dir).args(options);
            let ended = run.arg(root.path("")).end().ended(End::Exit(125));
            fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
            ended.err().lines().last().map(String::from)
        };
        let user = nix::unistd::geteuid();
        let hint = |cannot: &str| {
            let (closed, right) = (closed.display(), if cannot == "enter" { "x" } else { "w" });
            Some(format!(
                "chroot-rs: hint: user {user} cannot {cannot} \"{closed}\": chmod u+{right} {closed}"
            ))
        };
        let new = closed.join("new");
        assert_eq!(said(0o600, &new, &[]), hint("enter"));
        assert_eq!(said(0o600, &new, &["--list"]), hint("enter"));
        assert_eq!(said(0o600, &closed, &["--list"]), hint("enter"));
        assert_eq!(said(0o500, &new, &[]), hint("write to"));
    }

    #[test]
    #[ignore = "needs an ordinary user, busybox-static and namespaces"]
    fn what_its_user_cannot_apply_can_be_undone_and_the_rest_applied() {
        assert!(!nix::unistd::geteuid().is_root(), "root's command would write to this machine's /etc");
        let (place, kept) = (Scratch::of_machine(), Scratch::new());
        let run = |options: &[&str], command: &[&str]| {
            let run = Run::new(tools().chroot()).arg("--changes").arg(kept.path("changes")).args(options);
            run.arg("/").args(command).end()
        };
        let (own, foreign) = (place.path("tried"), format!("/etc/chain-test-{}", std::process::id()));
        run(&[], &["/bin/sh", "-c", &format!("touch {foreign}; echo x >{}", own.display())]);
        // an overlay of /etc has a top directory of the caller; one with mounts below it is read-only
        let listed = run(&["--list"], &[]).out();
        if !(listed.contains(&foreign) && listed.contains("/tried")) {
            return;
        }
        let refused = run(&["--apply"], &[]).ended(End::Exit(125)).err();
        let hint = "chroot-rs: hint: the changes are kept: undo this one in another run, or run --apply as a user who \
            can write there\n";
        assert!(refused.ends_with(hint), "{refused}");
        run(&[], &["/bin/rm", &foreign]).ended(End::Exit(0));
        run(&["--apply"], &[]).ended(End::Exit(0));
        assert_eq!(fs::read_to_string(own).unwrap(), "x\n");
    }
}

//! `--userns auto`: root inside is a user without an account, and the root directory does not change.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use tests::{End, Ended, Run, Scratch, deadline, tools};

use crate::root_locations::has_overlay;

/// A root below a directory that every user can enter.
fn root() -> Scratch {
    let root = Scratch::busybox_root();
    fs::set_permissions(root.path(""), Permissions::from_mode(0o755)).unwrap();
    root
}

fn run(root: &Scratch, options: &[&str], script: &str) -> Ended {
    let chroot = Run::new(tools().chroot()).args(["--userns", "auto"]).args(options).arg(root.path(""));
    chroot.args(["/bin/sh", "-c", script]).end()
}

/// Whether the file system of scratch directories supports id-mapped mounts.
fn can_map_owners(root: &Scratch) -> bool {
    let ended = run(root, &[], "exit 7");
    let unable = ended.err().contains("cannot map owners") || ended.err().contains("takes Linux 5.12");
    assert!(unable || ended.end == End::Exit(7), "{}", ended.err());
    !unable
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn files_belong_to_the_same_numbers_inside_and_on_the_disk() {
        let root = root();
        if !can_map_owners(&root) {
            return;
        }
        let script = "id -u; touch /etc/new; chown 5:6 /etc/new; stat -c %u:%g / /etc/passwd /etc/new";
        let ended = run(&root, &[], script).ended(End::Exit(0));
        assert_eq!(ended.out(), "0\n0:0\n0:0\n5:6\n", "{}", ended.err());
        let new = fs::metadata(root.path("etc/new")).unwrap();
        assert_eq!((new.uid(), new.gid()), (5, 6));
        if has_overlay() {
            let ended = run(&root, &["--ephemeral"], "rm /etc/new && echo >/etc/other && ls /etc");
            assert!(ended.out().contains("other"), "{}", ended.err());
            assert!(root.path("etc/new").exists() && !root.path("etc/other").exists());
        }
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn two_at_once_have_other_ids_and_neither_those_of_an_account() {
        let root = root();
        if !can_map_owners(&root) {
            return;
        }
        let script = "cat /proc/self/uid_map; : >/tmp/$1; while [ -e /tmp/$1 ]; do sleep 0.1; done";
        let start = |name: &str| {
            let chroot = Run::new(tools().chroot()).args(["--userns", "auto"]).arg(root.path(""));
            let running = chroot.args(["/bin/sh", "-c", script, "sh", name]).start();
            let there = root.path("tmp").join(name);
            deadline::until("a command inside", || there.exists().then_some(()));
            running
        };
        let both = ["one", "two"].map(|name| (name, start(name)));
        let first_ids = both.map(|(name, running)| {
            fs::remove_file(root.path("tmp").join(name)).unwrap();
            let map = running.end().out();
            let mut fields = map.split_whitespace().map(|field| field.parse::<u32>().unwrap());
            assert_eq!((fields.next(), fields.nth(1)), (Some(0), Some(65536)), "{map}");
            map.split_whitespace().nth(1).unwrap().parse::<u32>().unwrap()
        });
        assert_ne!(first_ids[0], first_ids[1]);
        assert!(first_ids.iter().all(|first| *first >= 524_288), "{first_ids:?}");
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn what_belongs_to_root_outside_is_out_of_reach_even_with_every_right() {
        let root = root();
        if !can_map_owners(&root) {
            return;
        }
        let outside = Scratch::new();
        fs::write(outside.path("secret"), "secret").unwrap();
        fs::set_permissions(outside.path("secret"), Permissions::from_mode(0o600)).unwrap();
        // /dev/zero
        mknod(&root.path("node"), SFlag::S_IFCHR, Mode::S_IRUSR, makedev(1, 5)).unwrap();
        let bind = format!("--bind={}:/mnt", outside.path("").display());
        fs::create_dir_all(root.path("mnt")).unwrap();
        let script = "mount -o remount,bind,dev / 2>/dev/null && echo remounted
            cat /mnt/secret 2>/dev/null; head -c 1 /node 2>/dev/null | wc -c";
        let ended = run(&root, &["--privileged", &bind], script);
        assert_eq!(ended.out(), "0\n", "{}", ended.err());
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn what_cannot_go_with_it_is_refused() {
        let root = root();
        for words in [&["--plain"][..], &["--changes=/tmp/changes"]] {
            let ended = run(&root, words, "true").ended(End::Exit(125));
            assert!(ended.err().contains("--userns"), "{}", ended.err());
        }
    }
}

mod as_user {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static"]
    fn an_ordinary_user_is_refused_with_what_helps() {
        let ended = run(&root(), &[], "true").ended(End::Exit(125));
        let said = "chroot-rs: --userns auto needs root of the machine, because only it can map the ids\n\
            chroot-rs: hint: leave it out: 'unshare-rs --' before chroot-rs maps the ids in /etc/subuid\n";
        assert_eq!(ended.err(), said);
    }
}

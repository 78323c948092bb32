//! The ways out of a chroot, each tried with chroot(1), where it succeeds, and with chroot-rs.
//!
//! The table in chroot-rs/README.md agrees with this file.

use std::fs;

use tests::End;

use crate::jail::{Isolation, Jail, SECRET, mount_table};

/// chroot(2) does not change the working directory: a process that changes the root once more, with its
/// working directory outside the new one, is below no root and can walk up.
pub(crate) const WALK_UP: &str = "exec nsenter --root=/sub --wd=/ /bin/sh -c '
    i=0; while [ $i -lt 64 ]; do cd ..; i=$((i + 1)); done; exec chroot . /bin/cat \"$SECRET\"'";

/// Every process shows its root and its working directory in /proc.
pub(crate) const SHOWN_BY_PROC: &str = "mount -t proc proc /proc 2>/dev/null
    cat /proc/[0-9]*/root/$SECRET; for cwd in /proc/[0-9]*/cwd; do cat $cwd/../../../../../../../$SECRET; done";

/// Reading the memory of a process needs the rights of ptrace(2): proc_pid_mem(5).
pub(crate) const PTRACE: &str = "mount -t proc proc /proc 2>/dev/null
    head -c 1 /proc/$OUTSIDE/environ >/dev/null && kill -0 $OUTSIDE && cat /proc/$OUTSIDE/root/$SECRET";

/// Entering the mount namespace of a process outside.
pub(crate) const SETNS: &str = "mount -t proc proc /proc 2>/dev/null
    exec nsenter --mount=/proc/$OUTSIDE/ns/mnt /bin/cat $SECRET";

pub(crate) const OWN_LINKS: &str = "mount -t proc proc /proc 2>/dev/null
    for way in root cwd task/self/root fd/0/..; do
        cat /proc/self/$way/$SECRET /proc/self/$way/../../../../../../$SECRET
    done; cd ../../../..; cat ./$SECRET";

/// Unmounting one of our mounts must not reveal what it covers.
pub(crate) const UNMOUNT: &str = "umount /proc; umount -l /dev/pts; umount -l /dev; umount -l /sys
    mount --move /tmp /sub; mount --move / /tmp; cat $SECRET; umount -l /; cat $SECRET ../../../../$SECRET";

/// The /proc below our mount on /proc shows the processes outside.
pub(crate) const UNCOVER: &str = "for i in 1 2 3 4 5 6; do
        cat /proc/[0-9]*/root/$SECRET; umount -l /proc
    done";

pub(crate) const MOVE: &str =
    "mount --move /dev /tmp; mount --move /proc /sub; ls -a /dev /proc; cat /proc/../$SECRET
    pivot_root / /tmp; cat $SECRET /tmp/$SECRET; pivot_root . . ; cat $SECRET";

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn each_trick_works_against_chroot() {
        let jail = Jail::new();
        for trick in [WALK_UP, SHOWN_BY_PROC, PTRACE, SETNS] {
            assert!(jail.escapes(Isolation::Chroot, trick), "{trick}");
        }
        assert!(!jail.escapes(Isolation::Chroot, OWN_LINKS), "its own links never led out");
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn plain_is_chroot_and_no_more() {
        let jail = Jail::new();
        let out = jail.run(Isolation::Default, &["--plain"], WALK_UP).end().ok();
        assert_eq!(out, SECRET);
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn share_pid_shows_root_the_processes_outside_and_with_every_right_a_way_out() {
        let jail = Jail::new();
        assert!(!jail.escapes_with(Isolation::Default, &["--share-pid"], SHOWN_BY_PROC));
        assert!(jail.escapes_with(Isolation::Default, &["--share-pid", "--privileged"], SHOWN_BY_PROC));
    }
}

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn nobody_walks_out() {
        let jail = Jail::new();
        for isolation in [Isolation::Default, Isolation::Chain, Isolation::Waiting] {
            assert!(!jail.escapes(isolation, WALK_UP), "{isolation:?}");
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn no_link_of_proc_leads_out() {
        let jail = Jail::new();
        for trick in [OWN_LINKS, SHOWN_BY_PROC, PTRACE, SETNS] {
            for isolation in [Isolation::Default, Isolation::Chain, Isolation::Waiting] {
                assert!(!jail.escapes(isolation, trick), "{isolation:?} {trick}");
            }
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn taking_mounts_away_uncovers_nothing() {
        let jail = Jail::new();
        for isolation in [Isolation::Default, Isolation::Chain, Isolation::Waiting] {
            for trick in [UNMOUNT, MOVE] {
                assert!(!jail.escapes(isolation, trick), "{isolation:?} {trick}");
            }
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn the_root_is_what_was_opened_even_if_its_name_is_swapped_meanwhile() {
        let mounts = mount_table();
        let jail = Jail::new();
        let links = tests::Scratch::new();
        for (name, target) in [("a", jail.root.path("")), ("b", jail.root.path("sub"))] {
            fs::write(target.join("name"), name).unwrap();
            std::os::unix::fs::symlink(target, links.path(name)).unwrap();
        }
        for name in ["dev", "proc", "sys"] {
            fs::create_dir(jail.root.path("sub").join(name)).unwrap();
        }
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let flags = nix::fcntl::RenameFlags::RENAME_EXCHANGE;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let (a, b) = (links.path("a"), links.path("b"));
                    nix::fcntl::renameat2(nix::fcntl::AT_FDCWD, &a, nix::fcntl::AT_FDCWD, &b, flags).unwrap();
                }
            });
            for _ in 0..100 {
                let script = "cat /name && test -e /proc/self && test -c /dev/null";
                let ended = jail.run_in(links.path("a"), Isolation::Default, &[], script).end();
                let out = ended.out();
                if ended.end != End::Exit(0) || (out != "a" && out != "b") {
                    stop.store(true, std::sync::atomic::Ordering::Relaxed);
                    panic!("{:?} {out} {}", ended.end, ended.err());
                }
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(mount_table(), mounts);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Roots that lie in unusual places, and machines that can do less.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use tests::{End, Run, Scratch, tools};

use crate::escapes::{MOVE, OWN_LINKS, PTRACE, SETNS, SHOWN_BY_PROC, UNCOVER, UNMOUNT, WALK_UP};
use crate::house::{House, Lock, SECRET, mount_table};
use crate::street::{WHOLE, has_overlay, in_each_place, outside, tried};

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn what_is_mounted_below_the_root_is_there_inside() {
        let script = r#"for i in 1 2 3; do mount -t tmpfs t "$2"; touch "$2"/$i; done
            "$3" "$1" /bin/sh -c 'ls /tmp; umount /tmp; ls /tmp'; ls "$2"
            "$3" --read-only "$1" touch /tmp/x"#;
        let ended = outside(&House::new(), script).end().ended(End::Exit(1));
        assert_eq!(ended.out(), "3\n2\n3\n");
        assert!(ended.err().contains("Read-only file system"), "{}", ended.err());
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn in_a_chroot_it_is_a_chroot_and_says_so() {
        let house = House::new();
        house.root.install(&tools().chroot(), "bin");
        let script = "/bin/chroot-rs /sub /bin/sh -c 'echo inside'; /bin/chroot-rs --read-only /sub /bin/sh";
        let ended = house.run(Lock::Chroot, &[], script).end().ended(End::Exit(125));
        assert_eq!(ended.out(), "inside\n");
        let why = "this process is in a chroot itself, where mounts cannot be kept inside";
        assert_eq!(
            ended.err(),
            format!(
                "chroot-rs: plain chroot(2), no mounts, and root inside could get out: {why}\n\
                chroot-rs: a mount was asked for, and none can be made here\n\
                chroot-rs: hint: {why}\n"
            )
        );
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn the_same_directory_at_another_place_is_another_root() {
        let script = r#"mount --bind / "$2"; cd "$2"; "$3" . /bin/sh -c 'grep -c " / / " /proc/self/mountinfo'
            "$3" / /bin/sh -c 'echo same'"#;
        let ended = outside(&House::new(), script).end();
        assert_eq!((ended.out(), ended.err()), ("1\nsame\n".into(), String::new()));
    }
}

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn it_works_wherever_the_root_lies() {
        for (place, ended) in in_each_place(r#""$3" "$place" /bin/sh -c "$WHOLE""#) {
            assert_eq!(ended.out(), "whole\n", "{place}: {}", ended.err());
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn what_is_written_is_forgotten_wherever_the_root_lies() {
        if !has_overlay() {
            return;
        }
        let script =
            r#""$3" --ephemeral "$place" /bin/sh -c "touch /etc/x; $WHOLE"; test ! -e "$place"/etc/x"#;
        for (place, ended) in in_each_place(script) {
            assert_eq!(
                (ended.end, ended.out()),
                (End::Exit(0), "whole\n".into()),
                "{place}: {}",
                ended.err()
            );
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn nobody_gets_out_wherever_the_root_lies() {
        let tricks = [WALK_UP, SHOWN_BY_PROC, PTRACE, SETNS, OWN_LINKS, UNMOUNT, UNCOVER, MOVE];
        for (place, ended) in in_each_place(&tried(&tricks)) {
            assert!(!ended.out().contains(SECRET), "{place}: {} {}", ended.out(), ended.err());
            assert!(!ended.err().contains("already"), "{place}: {}", ended.err());
        }
        for (place, ended) in in_each_place(&tried(&[WALK_UP]).replace("\"$3\"", "chroot")) {
            assert_eq!(ended.out(), SECRET, "chroot(1) in {place}: {}", ended.err());
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_proc_that_cannot_be_taken_away_is_covered_and_its_danger_said() {
        let script = r#"mount --bind "$1" "$2"; mount --rbind /proc "$2"/proc
            unshare --user --map-root-user --mount "$3" "$2" /bin/sh -c "$WHOLE""#;
        let ended = outside(&House::new(), script).end();
        assert_eq!(ended.out(), "whole\n", "{}", ended.err());
        let said = "chroot-rs: what is mounted on /proc in the new root already is covered, and root inside \
            could uncover it and get out: umount it before\n";
        assert_eq!(ended.err(), said);
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_proc_and_a_sys_of_the_same_namespaces_may_be_mounted_already() {
        let house = House::new();
        let script = r#"mount -t proc proc "$1"/proc; mount -t sysfs sys "$1"/sys; exec "$2" "$1" /bin/sh -c "$WHOLE""#;
        let ended = Run::new(tools().unshare())
            .args(["--", "/bin/sh", "-euc", script, "sh"])
            .args([house.root.path(""), tools().chroot()])
            .env("SECRET", &house.secret)
            .env("WHOLE", WHOLE)
            .end();
        assert_eq!(ended.out(), "whole\n", "{}", ended.err());
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn it_works_inside_itself() {
        let house = House::new();
        house.root.install(&tools().chroot(), "bin");
        house.root.install(&tools().unshare(), "bin");
        for dir in ["proc", "sys", "dev"] {
            fs::create_dir(house.root.path("sub").join(dir)).unwrap();
        }
        for inner in ["chroot-rs /sub", "unshare-rs -- chroot-rs /sub"] {
            for lock in [Lock::Default, Lock::Chain] {
                let script = format!("{inner} /bin/sh -c '{WHOLE}'");
                let ended = house.run(lock, &[], &script).end();
                assert_eq!(ended.out(), "whole\n", "{lock:?} {inner}: {}", ended.err());
            }
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn where_no_new_proc_is_given_the_old_one_is_shown_and_its_danger_said() {
        let house = House::new();
        let ended = Run::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "/bin/sh", "-c"])
            .arg("mount -t tmpfs t /proc/fs && exec \"$@\"")
            .arg("sh")
            .args([tools().chroot(), house.root.path(""), "/bin/sh".into(), "-c".into(), WHOLE.into()])
            .env("SECRET", &house.secret)
            .end();
        assert_eq!(ended.out(), "whole\n", "{}", ended.err());
        let said = "chroot-rs: the processes outside stay in sight, and root inside could get out: \
            a part of /proc is covered, so the kernel gives no new one\n";
        assert_eq!(ended.err(), said);
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_closed_working_directory_is_no_hindrance() {
        let house = House::new();
        let closed = house.root.path("sub/closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        for lock in [Lock::Default, Lock::Chain] {
            let run = house.run_in("../..".into(), lock, &[], &format!("pwd; {WHOLE}"));
            let ended = run.with(|command| _ = command.current_dir(&closed)).end();
            assert_eq!(ended.out(), "/\nwhole\n", "{lock:?}: {}", ended.err());
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_name_may_be_any_bytes() {
        let outer = Scratch::new();
        let house = House::new();
        let name = outer.path(OsStr::from_bytes(b"new\xff:,\\root\n"));
        std::os::unix::fs::symlink(house.root.path(""), &name).unwrap();
        let ended = house.run_in(name, Lock::Default, &[], WHOLE).end();
        assert_eq!(ended.out(), "whole\n", "{}", ended.err());
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn the_machines_mounts_stay_as_they_are_even_if_we_are_killed_at_any_moment() {
        let (house, mounts) = (House::new(), mount_table());
        let ways = [(Lock::Default, None), (Lock::Chain, None), (Lock::Default, Some("--read-only"))];
        for number in 0..200u64 {
            let (lock, option) = ways[(number % 3) as usize];
            let running = house.run(lock, option.as_slice(), "true").start();
            // a spread over the few milliseconds that it takes
            std::thread::sleep(Duration::from_micros(number * 7919 % 4000));
            let _ = nix::sys::signal::kill(running.pid(), nix::sys::signal::Signal::SIGKILL);
            running.end();
        }
        assert_eq!(mount_table(), mounts);
    }
}

mod as_user {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn the_directory_that_keeps_us_out_is_named() {
        let house = House::new();
        let closed = house.root.path("closed");
        fs::create_dir_all(closed.join("fs")).unwrap();
        fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let ended = house.run_in(closed.join("fs"), Lock::Default, &[], "true").end().ended(End::Exit(125));
        let user = nix::unistd::geteuid();
        let (root, closed) = (closed.join("fs"), closed.display());
        assert_eq!(
            ended.err(),
            format!(
                "chroot-rs: cannot change root directory to \"{}\": Permission denied (EACCES)\n\
                chroot-rs: hint: user {user} may not enter \"{closed}\": chmod, or be its owner\n",
                root.display()
            )
        );
    }
}

mod on_host {
    use super::*;

    #[test]
    #[ignore = "needs strace, busybox-static and namespaces"]
    fn older_kernels_do_without_the_newer_calls() {
        let house = House::new();
        // those of one version came together
        let of_5_2 = "open_tree,move_mount,fsopen,fsconfig,fsmount,fspick";
        let all = format!("{of_5_2},openat2,mount_setattr");
        for missing in [of_5_2, "openat2", "mount_setattr", &all] {
            let ended = Run::new("strace")
                .args(["-f", "-o", "/dev/null", "-e", &format!("inject={missing}:error=ENOSYS")])
                .args([tools().chroot().as_os_str(), OsStr::new("--userspec=root")])
                .arg(house.root.path(""))
                .args(["/bin/sh", "-c", WHOLE])
                .env("SECRET", &house.secret)
                .end();
            let left_out = ended.err().contains("left out /sys");
            let expected = if left_out { "" } else { "whole\n" };
            assert_eq!(ended.out(), expected, "{missing}: {}", ended.err());
            assert!(!ended.out().contains(SECRET));
        }
    }
}

//! Roots in unusual places, and machines with fewer features.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use tests::{End, Run, Scratch, tools};

use crate::escapes::{MOVE, OWN_LINKS, PTRACE, SETNS, SHOWN_BY_PROC, UNCOVER, UNMOUNT, WALK_UP};
use crate::jail::{Isolation, Jail, SECRET, mount_table};
use crate::root_locations::{CHECK_COMPLETE, at_each_location, has_overlay, run_outside, try_all};

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn what_is_mounted_below_the_root_is_there_inside() {
        let script = r#"for i in 1 2 3; do mount -t tmpfs t "$2"; touch "$2"/$i; done
            "$3" --privileged "$1" /bin/sh -c 'ls /tmp; umount /tmp; ls /tmp'; ls "$2"
            "$3" --read-only "$1" touch /tmp/x"#;
        let ended = run_outside(&Jail::new(), script).end().ended(End::Exit(1));
        assert_eq!(ended.out(), "3\n2\n3\n");
        assert!(ended.err().contains("Read-only file system"), "{}", ended.err());
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn in_a_chroot_it_is_a_chroot_and_says_so() {
        let jail = Jail::new();
        jail.root.install(&tools().chroot(), "bin");
        let script = "/bin/chroot-rs /sub /bin/sh -c 'echo inside'; /bin/chroot-rs --read-only /sub /bin/sh";
        let ended = jail.run(Isolation::Chroot, &[], script).end().ended(End::Exit(125));
        assert_eq!(ended.out(), "inside\n");
        let why = "the caller runs in a chroot(2), where mounts cannot be kept private";
        assert_eq!(
            ended.err(),
            format!(
                "chroot-rs: this is a plain chroot(2) without mounts, and root inside can get out: {why}\n\
                chroot-rs: an option needs a mount, and none can be made here\n\
                chroot-rs: hint: {why}\n"
            )
        );
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn the_same_directory_at_another_place_is_another_root() {
        let script = r#"mount --bind / "$2"; cd "$2"; "$3" . /bin/sh -c 'grep -c " / / " /proc/self/mountinfo'
            "$3" / /bin/sh -c 'echo same'"#;
        let ended = run_outside(&Jail::new(), script).end();
        assert_eq!((ended.out(), ended.err()), ("1\nsame\n".into(), String::new()));
    }
}

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn it_works_wherever_the_root_lies() {
        for (place, ended) in at_each_location(r#""$3" "$place" /bin/sh -c "$CHECK_COMPLETE""#) {
            assert_eq!(ended.out(), "whole\n", "{place}: {}", ended.err());
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn what_is_written_is_forgotten_wherever_the_root_lies() {
        if !has_overlay() {
            return;
        }
        let script = r#""$3" --ephemeral "$place" /bin/sh -c "touch /etc/x; $CHECK_COMPLETE"; test ! -e "$place"/etc/x"#;
        for (place, ended) in at_each_location(script) {
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
        for (place, ended) in at_each_location(&try_all(&tricks)) {
            assert!(!ended.out().contains(SECRET), "{place}: {} {}", ended.out(), ended.err());
            assert!(!ended.err().contains("already"), "{place}: {}", ended.err());
        }
        for (place, ended) in at_each_location(&try_all(&[WALK_UP]).replace("\"$3\"", "chroot")) {
            assert_eq!(ended.out(), SECRET, "chroot(1) in {place}: {}", ended.err());
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_proc_that_cannot_be_taken_away_is_covered_and_its_danger_said() {
        let script = r#"mount --bind "$1" "$2"; mount --rbind /proc "$2"/proc
            for option in "" --privileged; do
                unshare --user --map-root-user --mount "$3" $option "$2" /bin/sh -c "$CHECK_COMPLETE"
            done"#;
        let ended = run_outside(&Jail::new(), script).end();
        assert_eq!(ended.out(), "whole\nwhole\n", "{}", ended.err());
        // without the capability nothing can be unmounted
        let said = "chroot-rs: root inside can unmount the new /proc, uncover the one below and get out: \
            drop --privileged or --cap-add SYS_ADMIN\n";
        assert_eq!(ended.err(), said);
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_proc_and_a_sys_of_the_same_namespaces_may_be_mounted_already() {
        let jail = Jail::new();
        let script = r#"mount -t proc proc "$1"/proc; mount -t sysfs sys "$1"/sys; exec "$2" "$1" /bin/sh -c "$CHECK_COMPLETE""#;
        let ended = Run::new(tools().unshare())
            .args(["--", "/bin/sh", "-euc", script, "sh"])
            .args([jail.root.path(""), tools().chroot()])
            .env("SECRET", &jail.secret)
            .env("CHECK_COMPLETE", CHECK_COMPLETE)
            .end();
        assert_eq!(ended.out(), "whole\n", "{}", ended.err());
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn it_works_inside_itself() {
        let jail = Jail::new();
        jail.root.install(&tools().chroot(), "bin");
        jail.root.install(&tools().unshare(), "bin");
        for dir in ["proc", "sys", "dev"] {
            fs::create_dir(jail.root.path("sub").join(dir)).unwrap();
        }
        // without its capabilities, root of the machine can create no namespaces either
        let every_right = ["--privileged"];
        let is_root = nix::unistd::geteuid().is_root();
        let runs = [
            ("unshare-rs -- chroot-rs /sub", if is_root { &every_right[..] } else { &[] }),
            ("chroot-rs /sub", &every_right),
        ];
        for (inner, options) in runs {
            for isolation in [Isolation::Default, Isolation::Chain] {
                let script = format!("{inner} /bin/sh -c '{CHECK_COMPLETE}'");
                let ended = jail.run(isolation, options, &script).end();
                assert_eq!(ended.out(), "whole\n", "{isolation:?} {inner}: {}", ended.err());
            }
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn where_no_new_proc_is_given_the_old_one_is_shown_and_its_danger_said() {
        let jail = Jail::new();
        let ended = Run::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "/bin/sh", "-c"])
            .arg("mount -t tmpfs t /proc/fs && exec unshare --user --map-root-user --mount \"$@\"")
            .arg("sh")
            .args([
                tools().chroot(),
                jail.root.path(""),
                "/bin/sh".into(),
                "-c".into(),
                CHECK_COMPLETE.into(),
            ])
            .env("SECRET", &jail.secret)
            .end();
        assert_eq!(ended.out(), "whole\n", "{}", ended.err());
        let said = "chroot-rs: processes outside stay visible, and root inside can get out: \
            a part of /proc is covered, so the kernel refuses a new one; ";
        assert!(ended.err().starts_with(said) && ended.err().lines().count() == 1, "{}", ended.err());
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn where_the_caller_has_no_proc_there_is_none_inside_and_no_process_of_outside() {
        let jail = Jail::new();
        jail.root.install(&tools().chroot(), "bin");
        for dir in ["proc", "sys"] {
            fs::remove_dir(jail.root.path(dir)).unwrap();
        }
        for dir in ["proc", "sys", "dev"] {
            fs::create_dir(jail.root.path("sub").join(dir)).unwrap();
        }
        let script = "chroot-rs /sub /bin/sh -c 'test ! -e /proc/self && test -c /dev/null && echo $$'";
        let ended = jail.run(Isolation::User, &["--privileged"], script).end();
        assert_eq!(ended.out(), "2\n", "{}", ended.err());
        let said = "chroot-rs: skipped /proc, /sys: NEWROOT does not have these directories: create them, or use --ephemeral\n\
            chroot-rs: skipped /proc, /sys: the caller has none, and the kernel refuses new ones here\n";
        assert_eq!(ended.err(), said);
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_closed_working_directory_is_no_hindrance() {
        let jail = Jail::new();
        let closed = jail.root.path("sub/closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        for isolation in [Isolation::Default, Isolation::Chain] {
            let run = jail.run_in("../..".into(), isolation, &[], &format!("pwd; {CHECK_COMPLETE}"));
            let ended = run.with(|command| _ = command.current_dir(&closed)).end();
            assert_eq!(ended.out(), "/\nwhole\n", "{isolation:?}: {}", ended.err());
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_name_may_be_any_bytes() {
        let outer = Scratch::new();
        let jail = Jail::new();
        let name = outer.path(OsStr::from_bytes(b"new\xff:,\\root\n"));
        std::os::unix::fs::symlink(jail.root.path(""), &name).unwrap();
        let ended = jail.run_in(name, Isolation::Default, &[], CHECK_COMPLETE).end();
        assert_eq!(ended.out(), "whole\n", "{}", ended.err());
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn the_machines_mounts_stay_as_they_are_even_if_we_are_killed_at_any_moment() {
        let (jail, mounts) = (Jail::new(), mount_table());
        let ways =
            [(Isolation::Default, None), (Isolation::Chain, None), (Isolation::Default, Some("--read-only"))];
        for number in 0..200u64 {
            let (isolation, option) = ways[(number % 3) as usize];
            let running = jail.run(isolation, option.as_slice(), "true").start();
            // spread over the few milliseconds that it takes
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
        let jail = Jail::new();
        let closed = jail.root.path("closed");
        fs::create_dir_all(closed.join("fs")).unwrap();
        fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let user = nix::unistd::geteuid();
        for root in [closed.join("fs"), closed.clone()] {
            let ended =
                jail.run_in(root.clone(), Isolation::Default, &[], "true").end().ended(End::Exit(125));
            let (root, closed) = (root.display(), closed.display());
            assert_eq!(
                ended.err(),
                format!(
                    "chroot-rs: cannot change root directory to \"{root}\": Permission denied (EACCES)\n\
                    chroot-rs: hint: user {user} cannot enter \"{closed}\": chmod u+x {closed}\n"
                )
            );
        }
    }
}

mod on_host {
    use super::*;

    #[test]
    #[ignore = "needs strace, busybox-static and namespaces"]
    fn older_kernels_do_without_the_newer_calls() {
        let jail = Jail::new();
        // those of one version came together
        let of_5_2 = "open_tree,move_mount,fsopen,fsconfig,fsmount,fspick";
        let all = format!("{of_5_2},openat2,mount_setattr");
        for missing in [of_5_2, "openat2", "mount_setattr", &all] {
            let ended = Run::new("strace")
                .args(["-f", "-o", "/dev/null", "-e", &format!("inject={missing}:error=ENOSYS")])
                .args([tools().chroot().as_os_str(), OsStr::new("--userspec=root")])
                .arg(jail.root.path(""))
                .args(["/bin/sh", "-c", CHECK_COMPLETE])
                .env("SECRET", &jail.secret)
                .end();
            let left_out = ended.err().contains("skipped /sys");
            let expected = if left_out { "" } else { "whole\n" };
            assert_eq!(ended.out(), expected, "{missing}: {}", ended.err());
            assert!(!ended.out().contains(SECRET));
        }
    }
}

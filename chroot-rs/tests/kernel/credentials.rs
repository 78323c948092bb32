//! `--userspec`, `--groups` and the exit statuses, as in GNU chroot.

use std::fs;

use tests::accounts::unused_id;
use tests::{End, Ended, Run, tools};

use crate::jail::{Isolation, Jail, has_gnu_chroot};

fn jail() -> Jail {
    let jail = Jail::new();
    // a group whose number is not the user's: confusing the two is a known mistake
    let passwd = "root:x:0:0:root:/root:/bin/sh\nbad line\n+::::\nworker:x:1234:2345::/:/bin/sh\n";
    fs::write(jail.root.path("etc/passwd"), passwd).unwrap();
    let group = "root:x:0:\nstaff:x:2345:\nnight:x:3456:worker\nday:x:4567:worker,root\n";
    fs::write(jail.root.path("etc/group"), group).unwrap();
    jail
}

fn id(jail: &Jail, isolation: Isolation, options: &[&str]) -> Ended {
    jail.run(isolation, options, "id -u; id -g; id -G | tr ' ' '\\n' | sort -n | tr '\\n' ' '").end()
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn each_spec_gives_the_ids_and_the_status_that_gnu_chroot_gives() {
        if !has_gnu_chroot() {
            return;
        }
        let jail = jail();
        // GNU chroot also asks the machine outside
        let unknown = format!("--userspec={}", unused_id());
        let cases: [&[&str]; 28] = [
            &["--userspec=worker"],
            &["--userspec=worker:"],
            &["--userspec=worker:night"],
            &["--userspec=1234"],
            &["--userspec=+1234:+99"],
            &["--userspec=7777:8888"],
            &["--userspec=:staff"],
            &["--userspec=:"],
            &["--userspec=worker.night"],
            &["--userspec=worker", "--groups="],
            &["--userspec=worker", "--groups=day,+77"],
            &["--userspec=root", "--userspec=worker"],
            &["--groups=night,,day,"],
            &["--groups=night", "--groups=day"],
            &["--groups="],
            &["--user=worker"],
            &["--userspec= 1234:\t+99"],
            &["--userspec=1234:+5678", "--groups= +8765,4321"],
            // all of these fail
            &["--userspec=no-such-user"],
            &[&unknown],
            &["--userspec=:no-such-group"],
            &["--groups=no-such-group"],
            &["--groups=,"],
            &["--groups=0trail"],
            &["--groups= "],
            &["--groups=day, night"],
            &["--groups=77 "],
            &["--skip-chdir"],
        ];
        for options in cases {
            let gnu = id(&jail, Isolation::Chroot, options);
            let plain = [&["--plain"], options].concat();
            for ours in [id(&jail, Isolation::Default, options), id(&jail, Isolation::Default, &plain)] {
                let (ours, gnus) = ((ours.end, ours.out(), ours.err()), (gnu.end, gnu.out(), gnu.err()));
                assert_eq!((ours.0, &ours.1), (gnus.0, &gnus.1), "{options:?}\n{}{}", ours.2, gnus.2);
            }
        }
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn the_message_names_what_is_wrong() {
        let jail = jail();
        let said = |options: &[&str]| {
            let ended = id(&jail, Isolation::Default, options).ended(End::Exit(125));
            ended.err().lines().next().unwrap().to_string()
        };
        assert_eq!(said(&["--userspec=no-such-user"]), "chroot-rs: invalid user: \"no-such-user\"");
        assert_eq!(said(&["--userspec=:x"]), "chroot-rs: invalid group: \":x\"");
        assert_eq!(said(&["--userspec=42"]), "chroot-rs: no group specified for unknown uid: 42");
        assert_eq!(said(&["--groups=x"]), "chroot-rs: invalid group \"x\"");
        let only = "chroot-rs: option --skip-chdir only permitted if NEWROOT is old '/'";
        assert_eq!(said(&["--skip-chdir"]), only);
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn skip_chdir_stays_where_the_caller_is() {
        let tool = tools().chroot();
        let there = |options: &[&str]| {
            let run = Run::new(&tool).args(options).args(["/", "pwd"]);
            run.with(|command| _ = command.current_dir("/proc")).end().ok()
        };
        assert_eq!(there(&["--skip-chdir"]), "/proc\n");
        assert_eq!(there(&[]), "/\n");
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn the_new_user_has_no_way_back() {
        let jail = jail();
        let script = "grep -E '^(Uid|Gid|Cap(Prm|Eff|Amb))' /proc/self/status";
        let out = jail.run(Isolation::Default, &["--userspec=worker"], script).end().ok();
        let none = "0000000000000000";
        assert_eq!(
            out.replace('\t', " "),
            format!(
                "Uid: 1234 1234 1234 1234\nGid: 2345 2345 2345 2345\nCapPrm: {none}\nCapEff: {none}\nCapAmb: {none}\n"
            )
        );
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn the_death_of_the_parent_still_ends_who_became_another_user() {
        let jail = jail();
        for options in [&[][..], &["--userspec=worker"], &["--userspec=:staff"]] {
            let running = jail.run(Isolation::Chain, options, "exec sleep 1000").start();
            // the command, next to process 1
            let children = format!("/proc/{}/task/{}/children", running.pid(), running.pid());
            let asleep = || {
                let children = fs::read_to_string(&children).ok()?;
                let name = |child| fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
                children.split_whitespace().any(|child| name(child) == "sleep\n").then_some(())
            };
            tests::deadline::until("sleep to run inside", asleep);
            nix::sys::signal::kill(running.pid(), nix::sys::signal::Signal::SIGKILL).unwrap();
            // its output ends when the last process that has it open ends
            assert_eq!(running.end().end, End::Signal(9), "{options:?}");
        }
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn names_are_those_of_the_root_and_never_of_the_machine() {
        let jail = jail();
        fs::write(jail.root.path("etc/passwd"), "daemon:x:77:78::/:/bin/sh\n").unwrap();
        let out = id(&jail, Isolation::Default, &["--userspec=daemon"]).ok();
        assert_eq!(out, "77\n78\n78 ");
        fs::remove_file(jail.root.path("etc/passwd")).unwrap();
        // a device or a pipe in its place does not make the tool wait
        nix::unistd::mkfifo(&jail.root.path("etc/passwd"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        id(&jail, Isolation::Default, &["--userspec=daemon"]).ended(End::Exit(125));
    }
}

mod as_user {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn who_is_not_mapped_is_named_before_anything_is_done() {
        let ended = id(&jail(), Isolation::Default, &["--userspec=worker"]).ended(End::Exit(125));
        let said = "chroot-rs: user 1234 is not mapped in this user namespace\n";
        assert!(ended.err().starts_with(said), "{}", ended.err());
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn root_inside_can_be_asked_for_although_setgroups_is_denied() {
        for options in [&["--userspec=root"][..], &["--userspec=0:0"]] {
            let out = id(&jail(), Isolation::Default, options).ok();
            assert!(out.starts_with("0\n0\n"), "{out}");
        }
    }
}

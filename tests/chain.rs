// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contract of a link: what its exit statuses mean.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use tests::{End, Link, Run, Scratch, tools};

#[test]
fn wrong_usage_is_125_and_one_line_with_a_way_out() {
    for tool in [tools().unshare(), tools().cgexec(), tools().chroot()] {
        let ended = Run::new(&tool).arg("--no-such-option").end().ended(End::Exit(125));
        let name = tool.file_name().unwrap().to_str().unwrap();
        let said = ended.err();
        assert!(said.lines().all(|line| line.starts_with(&format!("{name}: "))), "{said}");
        assert!(said.contains("--no-such-option"), "{said}");
        assert_eq!(ended.out(), "", "standard output belongs to the command");
    }
}

#[test]
fn help_and_version_are_asked_for_so_they_are_output() {
    for tool in [tools().unshare(), tools().cgexec(), tools().chroot()] {
        let name = tool.file_name().unwrap().to_str().unwrap();
        let help = Run::new(&tool).arg("--help").end().ok();
        assert!(help.ends_with('\n') && !help.ends_with("\n\n"), "{help:?}");
        assert!(help.contains(&format!("Usage: {name} ")), "{help}");
        let too_wide: Vec<_> = help.lines().filter(|line| line.chars().count() > 80).collect();
        assert_eq!(too_wide, [] as [&str; 0]);
        let version = Run::new(&tool).arg("--version").end().ok();
        assert_eq!(version, format!("{name} {}\n", env!("CARGO_PKG_VERSION")));
    }
}

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn the_commands_own_exit_status_comes_through() {
        let root = Scratch::busybox_root();
        for link in Link::all(&root) {
            for status in [0, 1, 7, 125, 126, 127, 128, 255] {
                let ended = link.run(["/bin/sh", "-c", &format!("exit {status}")]).end();
                assert_eq!(ended.end, End::Exit(status), "{}: {}", link.name, ended.err());
            }
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn what_the_command_says_comes_through_and_nothing_else() {
        let root = Scratch::busybox_root();
        for link in Link::all(&root) {
            let said = link.run(["/bin/sh", "-c", "cat; echo out; echo err >&2"]).stdin("in\n").end();
            assert_eq!(said.out(), "in\nout\n", "{}", link.name);
            let err = said.err();
            // what is left out is said, but no step, no warning for what works
            let foreign: Vec<_> = err.lines().filter(|line| !line.contains("-rs: ")).collect();
            assert_eq!(foreign, ["err"], "{}", link.name);
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_command_that_is_not_there_is_127_and_one_line() {
        let root = Scratch::busybox_root();
        for link in Link::all(&root) {
            for command in ["no-such-command", "/bin/no-such-command"] {
                let ended = link.run([command]).end();
                assert_eq!(ended.end, End::Exit(127), "{}: {}", link.name, ended.err());
                let naming = ended.err().lines().filter(|line| line.contains(command)).count();
                assert_eq!(naming, 1, "{}: {}", link.name, ended.err());
            }
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_command_that_cannot_be_run_is_126() {
        let root = Scratch::busybox_root();
        fs::write(root.path("plain"), "not a program\n").unwrap();
        fs::write(root.path("foreign"), b"\x7fELF\x02\x01\x01 of another machine").unwrap();
        fs::set_permissions(root.path("foreign"), Permissions::from_mode(0o755)).unwrap();
        for link in Link::all(&root) {
            for file in ["plain", "foreign", "tmp"] {
                let ended = link.run([link.place(&root, file)]).end();
                assert_eq!(ended.end, End::Exit(126), "{} {file}: {}", link.name, ended.err());
            }
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_failure_of_the_last_of_three_is_125() {
        let root = Scratch::busybox_root();
        let chain = Link::unshare().then(Link::cgexec(), "unshare, cgexec");
        let nowhere = root.path("no-such-root").into();
        let ended = chain.run([tools().chroot().into(), nowhere, OsString::from("true")]).end();
        assert_eq!(ended.end, End::Exit(125), "{}", ended.err());
        assert!(ended.err().contains("no-such-root"), "{}", ended.err());
    }

    #[test]
    #[ignore = "needs namespaces"]
    fn a_parent_that_stays_ends_by_the_signal_that_ended_the_command() {
        let link = Link::new(
            "unshare --user --fork",
            [tools().unshare().into(), "--user".into(), "--fork".into(), "--".into()],
        );
        for (name, number) in [("TERM", 15), ("KILL", 9), ("INT", 2), ("USR1", 10), ("40", 40)] {
            let ended = link.run(["sh", "-c", &format!("kill -{name} $$")]).end();
            assert_eq!(ended.end, End::Signal(number), "{}", ended.err());
        }
    }

    #[test]
    #[ignore = "needs namespaces"]
    fn process_1_ends_with_128_and_the_number_of_the_signal() {
        // inside, unshare is process 1 of the outer one's namespace, which no signal of its own can end
        let named = ["--user", "--map-root-user", "--pid"].map(OsString::from);
        let outer = std::iter::once(tools().unshare().into()).chain(named).chain(["--".into()]);
        let inner = [tools().unshare().into(), "--uts".into(), "--fork".into(), "--".into()];
        let link = Link::new("", outer).then(Link::new("", inner), "unshare --pid, unshare --fork");
        let ended = link.run(["sh", "-c", "kill -TERM $$"]).end();
        assert_eq!(ended.end, End::Exit(128 + 15), "{}", ended.err());
    }

    /// The chains that end in chroot-rs, chroot-rs alone, and unshare-rs alone.
    fn containers(root: &Scratch) -> Vec<Link> {
        Link::all(root).into_iter().filter(|link| link.name != "cgexec").collect()
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_signal_ends_the_command_of_a_container_as_it_would_outside() {
        let root = Scratch::busybox_root();
        for link in containers(&root) {
            for (name, number) in [
                ("TERM", 15),
                ("KILL", 9),
                ("ABRT", 6),
                ("HUP", 1),
                ("INT", 2),
                ("PIPE", 13),
                ("ALRM", 14),
                ("XCPU", 24),
                ("USR1", 10),
                ("SEGV", 11),
            ] {
                let ended = link.run(["sh", "-c", &format!("ulimit -c 0; kill -{name} $$")]).end();
                assert_eq!(ended.end, End::Signal(number), "{} {name}: {}", link.name, ended.err());
            }
        }
    }

    #[test]
    #[ignore = "needs busybox-static, bash and namespaces"]
    fn a_pipeline_ends_with_the_status_that_it_has_outside() {
        let root = Scratch::busybox_root();
        for link in containers(&root) {
            for (script, status) in [
                ("yes", 141),
                ("while :; do echo x; done", 141),
                ("kill -ABRT $$", 134),
                ("kill -TERM $$", 143),
                ("kill -KILL $$", 137),
                ("ulimit -S -t 1; while :; do :; done", 152),
                ("echo x; exit 7", 7),
            ] {
                let script = format!("ulimit -c 0; {script}");
                let words = Link::typed(&link.words(["sh", "-c", &script]));
                let outside = format!("{words} 2>err | head -n 1; echo ${{PIPESTATUS[*]}} >status");
                let place = Scratch::new();
                let ended = Run::new("timeout").args(["20", "bash", "-c", &outside]).with(|bash| {
                    bash.current_dir(place.path(""));
                });
                ended.end().ok();
                let said = fs::read_to_string(place.path("status")).unwrap();
                assert_eq!(said, format!("{status} 0\n"), "{} {script}", link.name);
                let err = fs::read_to_string(place.path("err")).unwrap();
                let foreign: Vec<_> = err.lines().filter(|line| !line.contains("-rs: ")).collect();
                assert_eq!(foreign, [""; 0], "{} {script}", link.name);
            }
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn the_command_is_process_2_and_what_loses_its_parent_is_reaped() {
        let root = Scratch::busybox_root();
        let script = "echo $$; sh -c 'sleep 0 & exec sleep 0.1' & wait; \
            n=0; while grep -q '^State:.Z' /proc/[0-9]*/status && [ $n -lt 100 ]; do sleep 0.05; n=$((n+1)); done; \
            grep -l '^State:.Z' /proc/[0-9]*/status; tr '\\0' ' ' </proc/1/cmdline";
        for link in containers(&root) {
            let said = link.run(["sh", "-c", script]).end();
            let lines: Vec<_> = said.out().lines().map(|line| line.trim_end().to_string()).collect();
            let by = if link.name == "unshare" { "unshare-rs" } else { "chroot-rs" };
            assert_eq!(lines, ["2", by], "{}: {}", link.name, said.err());
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn one_pid_namespace_is_made_by_the_link_that_starts_the_command() {
        let root = Scratch::busybox_root();
        for link in containers(&root).into_iter().filter(|link| link.name != "unshare") {
            let told = link.run(["sh", "-c", "env"]).env("CHAIN_EXPLAIN", "1").end();
            let made: Vec<_> =
                told.err().lines().filter(|line| line.contains("CLONE_NEWPID")).map(String::from).collect();
            assert!(made.len() == 1 && made[0].starts_with("chroot-rs: "), "{}: {made:?}", link.name);
            assert!(!told.out().contains("CHAIN_PROCESS_1"), "{}: {}", link.name, told.out());
        }
        // a shell between is none of our links, so each makes its own
        let inner = Link::typed(&Link::chroot(&root).words(["sh", "-c", "echo $$"]));
        let told =
            Link::unshare().run(["sh", "-c", &format!("echo $$; {inner}")]).env("CHAIN_EXPLAIN", "1").end();
        assert_eq!(told.out(), "2\n2\n", "{}", told.err());
        assert_eq!(told.err().lines().filter(|line| line.contains("CLONE_NEWPID")).count(), 2);
        // the last link may be one that makes no namespace by itself
        let link = Link::unshare().then(Link::cgexec(), "unshare, cgexec");
        assert_eq!(link.run(["sh", "-c", "echo $$; readlink /proc/self | grep -c ."]).end().out(), "2\n1\n");
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn without_an_init_the_command_is_process_1_through_the_chain() {
        let root = Scratch::busybox_root();
        let none = || Link::unshare().with("--no-init");
        for link in [
            none(),
            Link::chroot(&root).with("--no-init"),
            none().then(Link::cgexec(), "").then(Link::chroot(&root), "unshare --no-init, cgexec, chroot"),
            Link::unshare().then(Link::chroot(&root).with("--no-init"), "unshare, chroot --no-init"),
        ] {
            assert_eq!(link.run(["sh", "-c", "echo $$"]).end().out(), "1\n", "{}", link.name);
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_command_that_kills_all_kills_neither_process_1_nor_itself() {
        let root = Scratch::busybox_root();
        for link in containers(&root) {
            let ended = link.run(["sh", "-c", "sleep 1000 & kill -9 1; kill -9 -1; wait; exit 7"]).end();
            assert_eq!(ended.end, End::Exit(7), "{}: {}", link.name, ended.err());
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn process_1_holds_nothing_of_outside() {
        let root = Scratch::busybox_root();
        let looks = "ls /proc/1/fd 2>/dev/null | wc -l; readlink /proc/1/cwd 2>/dev/null; readlink /proc/1/root 2>/dev/null; \
            tr '\\0' ' ' </proc/1/cmdline";
        for link in containers(&root).into_iter().filter(|link| link.changes_root) {
            let said = link.run(["sh", "-c", looks]).end();
            let seen: Vec<_> = said.out().lines().map(|line| line.trim_end().to_string()).collect();
            // what may not be seen is not there
            let rest: Vec<_> = seen.iter().skip(1).filter(|line| *line != "/").collect();
            assert!(seen.first().is_some_and(|count| count == "0"), "{}: {seen:?}", link.name);
            assert_eq!(rest, ["chroot-rs"], "{}: {}", link.name, said.err());
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn the_pid_file_names_a_process_of_the_container_in_every_order() {
        let root = Scratch::busybox_root();
        fs::write(root.path("etc/inside"), "").unwrap();
        let file = Scratch::new();
        let option = format!("--pid-file={}", file.path("number").display());
        let unshare = || Link::unshare().with(&option);
        for link in [
            unshare().then(Link::chroot(&root), "unshare, chroot"),
            unshare().then(Link::cgexec(), "").then(Link::chroot(&root), "unshare, cgexec, chroot"),
            Link::cgexec().then(unshare(), "").then(Link::chroot(&root), "cgexec, unshare, chroot"),
        ] {
            let _ = fs::remove_file(file.path("number"));
            let script = format!(
                "cd \"$0\"; {} & until [ -s number ]; do sleep 0.02; done
                ls -d \"/proc/$(cat number)/root/etc/inside\"; kill $(cat number); wait $!; echo $?",
                Link::typed(&link.words(["sleep", "1000"]))
            );
            let ended =
                Run::new("sh").args(["-c".as_ref(), script.as_ref(), file.path("").as_os_str()]).end();
            let lines: Vec<_> = ended.out().lines().map(String::from).collect();
            assert!(lines[0].ends_with("/root/etc/inside"), "{}: {lines:?} {}", link.name, ended.err());
            assert_eq!(lines[1], "143", "{}", link.name);
        }
    }
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root"]
    fn plain_chroot_is_a_link_too() {
        let root = Scratch::busybox_root();
        let words = [tools().chroot().into(), "--plain".into(), "--".into(), root.path("").into()];
        let link = Link::new("chroot --plain", words);
        assert_eq!(link.run(["sh", "-c", "pwd; exit 7"]).end().ended(End::Exit(7)).out(), "/\n");
        link.run(["no-such-command"]).end().ended(End::Exit(127));
        link.run(["/etc/passwd"]).end().ended(End::Exit(126));
        // its parent is gone: it became the command
        let ended = link.run(["sh", "-c", "kill -TERM $$"]).end();
        assert_eq!(ended.end, End::Signal(15));
    }
}

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
    fn every_tool_of_a_chain_is_found_after_the_environment_is_cleared() {
        let root = Scratch::busybox_root();
        let path = format!("{}:/usr/bin:/bin", tools().dir().display());
        for option in ["--clear-env", "--whitelist-env=TERM"] {
            let run = Run::new(tools().unshare()).env("PATH", &path);
            let run = run.args([option, "--", "cgexec-rs", "--", "chroot-rs"]).arg(root.path(""));
            let ended = run.args(["/bin/echo", "found"]).end();
            assert_eq!((ended.end, ended.out().as_str()), (End::Exit(0), "found\n"), "{}", ended.err());
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
            // a line for a skipped default, but no line for a step, and no warning about something that works
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
        // inside, unshare is process 1 of the outer one's namespace, and its own signals cannot end process 1
        let named = ["--user", "--map-root-user", "--pid"].map(OsString::from);
        let outer = std::iter::once(tools().unshare().into()).chain(named).chain(["--".into()]);
        let inner = [tools().unshare().into(), "--uts".into(), "--fork".into(), "--".into()];
        let link = Link::new("", outer).then(Link::new("", inner), "unshare --pid, unshare --fork");
        let ended = link.run(["sh", "-c", "kill -TERM $$"]).end();
        assert_eq!(ended.end, End::Exit(128 + 15), "{}", ended.err());
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
        // its parent is gone, because it became the command
        let ended = link.run(["sh", "-c", "kill -TERM $$"]).end();
        assert_eq!(ended.end, End::Signal(15));
    }
}

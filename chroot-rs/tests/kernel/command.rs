// SPDX-License-Identifier: MIT OR Apache-2.0
//! What becomes the command, where it is found, and what is said where it cannot be run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tests::{End, Run, tools};

use crate::house::{House, has_gnu_chroot};

fn no_command(house: &House, shell: &str) -> String {
    let run = Run::new(tools().chroot()).arg(house.root.path("")).env("SHELL", shell);
    run.stdin("echo $0 $-; exit\n").end().out()
}

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn without_a_command_it_is_an_interactive_shell_that_exists_inside() {
        let house = House::new();
        let says = |shell: &str, expected: &str| {
            let out = no_command(&house, shell);
            // the flags of an interactive shell that reads its standard input
            assert!(out.contains(&format!("# {expected} si\n")), "{shell}: {out}");
        };
        says("/bin/ash", "/bin/ash");
        // not inside: the shell of root in the root's own passwd
        fs::write(house.root.path("etc/passwd"), "root:x:0:0::/:/bin/ash\n").unwrap();
        says("/bin/zsh", "/bin/ash");
        fs::write(house.root.path("etc/passwd"), "root:x:0:0::/:/bin/fish\n").unwrap();
        says("", "/bin/sh");
        says("bin/ash", "/bin/sh");
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn path_is_replaced_only_where_it_leads_nowhere() {
        let house = House::new();
        let usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n";
        let tool = tools().chroot();
        let seen = |path: &str| {
            let run = Run::new(&tool).arg(house.root.path("")).args(["env"]).env("PATH", path);
            let out = run.end().ended(End::Exit(0)).out();
            out.lines().find_map(|line| line.strip_prefix("PATH=")).map(|path| format!("{path}\n"))
        };
        assert_eq!(seen("/nix/store/bin:/run/wrappers/bin").unwrap(), usual);
        assert_eq!(seen("/nope:/bin:/usr/games").unwrap(), "/nope:/bin:/usr/games\n");
        assert_eq!(seen(&format!("{usual}:").replace('\n', "")).unwrap(), format!("{}:\n", usual.trim()));
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn what_cannot_be_run_says_what_is_missing_inside() {
        let house = House::new();
        let write = |name: &str, text: &[u8], mode| {
            fs::write(house.root.path(name), text).unwrap();
            fs::set_permissions(house.root.path(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        write("perl", b"#!/usr/bin/perl\n", 0o755);
        write("windows", b"#!/bin/sh\r\n", 0o755);
        write("plain", b"#!/bin/sh\n", 0o644);
        let shown = |program: &str| {
            let ended = Run::new(tools().chroot()).arg(house.root.path("")).arg(program).end();
            (ended.end, ended.err().lines().next().unwrap().replacen("chroot-rs: ", "", 1))
        };
        for (program, status, said) in [
            ("/nope", 127, "command not found: \"/nope\""),
            ("/perl", 126, "cannot run \"/perl\": its interpreter \"/usr/bin/perl\" is not there"),
            ("/plain", 126, "cannot run \"/plain\": it is not executable: Permission denied (EACCES)"),
            ("/etc", 126, "cannot run \"/etc\": it is a directory: Permission denied (EACCES)"),
            (
                "/windows",
                126,
                "cannot run \"/windows\": its first line ends in a carriage return, \
                so its interpreter \"/bin/sh\\r\" is not there",
            ),
        ] {
            assert_eq!(shown(program), (End::Exit(status), said.to_string()), "{program}");
        }
    }
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn the_exit_status_is_gnu_chroots() {
        if !has_gnu_chroot() {
            return;
        }
        let house = House::new();
        fs::write(house.root.path("text"), "no program").unwrap();
        for (root, command, options) in [
            (house.root.path(""), "true", ""),
            (house.root.path(""), "false", ""),
            (house.root.path(""), "exit 77", ""),
            (house.root.path(""), "/nope", ""),
            (house.root.path(""), "/etc", ""),
            (house.root.path(""), "/text", ""),
            (house.root.path("nope"), "true", ""),
            (house.root.path("text"), "true", ""),
            (house.root.path(""), "true", "--no-such-option"),
        ] {
            let words = if command == "exit 77" { vec!["sh", "-c", command] } else { vec![command] };
            let status = |tool: &[&str]| {
                let run = Run::new("env").args(tool).args([options].iter().filter(|word| !word.is_empty()));
                run.arg(&root).args(&words).end().end
            };
            let ours = tools().chroot();
            let ours = ours.to_str().unwrap();
            let gnu = status(&["chroot"]);
            assert_eq!(status(&[ours]), gnu, "{root:?} {command} {options}");
            assert_eq!(status(&[ours, "--plain"]), gnu, "--plain {root:?} {command} {options}");
        }
        // no operand at all
        assert_eq!(Run::new(tools().chroot()).end().end, End::Exit(125));
    }
}

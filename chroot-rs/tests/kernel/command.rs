//! Which program becomes the command, where it is found, and the message if it cannot be run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tests::{End, Run, Scratch, tools};

use crate::jail::{Jail, has_gnu_chroot};
use crate::root_locations::run_outside;

fn no_command(jail: &Jail, shell: &str) -> String {
    let run = Run::new(tools().chroot()).arg(jail.root.path("")).env("SHELL", shell);
    run.stdin("echo $0 $-; exit\n").end().out()
}

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_root_where_nothing_may_be_run_is_named() {
        let script = r#"mount --bind "$1" "$2"; mount -o remount,bind,noexec "$2"; "$3" "$2" /bin/true"#;
        let ended = run_outside(&Jail::new(), script).end().ended(End::Exit(126));
        let said = "chroot-rs: cannot run \"/bin/true\": it is on a file system mounted noexec: \
            Permission denied (EACCES)\n";
        assert_eq!(ended.err(), said);
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn without_a_command_it_is_an_interactive_shell_that_exists_inside() {
        let jail = Jail::new();
        let says = |shell: &str, expected: &str| {
            let out = no_command(&jail, shell);
            // the flags of an interactive shell that reads its standard input
            assert!(out.contains(&format!("# {expected} si\n")), "{shell}: {out}");
        };
        says("/bin/ash", "/bin/ash");
        // not inside: root's shell comes from the passwd file in the root
        fs::write(jail.root.path("etc/passwd"), "root:x:0:0::/:/bin/ash\n").unwrap();
        says("/bin/zsh", "/bin/ash");
        fs::write(jail.root.path("etc/passwd"), "root:x:0:0::/:/bin/fish\n").unwrap();
        says("", "/bin/sh");
        says("bin/ash", "/bin/sh");
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_directory_that_has_the_name_of_a_command_is_not_mistaken_for_newroot() {
        let (jail, here) = (Jail::new(), Scratch::new());
        let name = |dir: &Scratch| dir.path("").to_str().unwrap().trim_end_matches('/').to_string();
        let (root, shown) = (name(&jail.root), name(&here));
        let hint = |options: &[&str], command: &str| {
            fs::create_dir_all(here.path(command)).unwrap();
            let run = Run::new(tools().chroot()).args(options).args(["--bind", &shown, &root, command]);
            let ended = run.with(|run| _ = run.current_dir(here.path(""))).end().ended(End::Exit(125));
            let hint =
                ended.err().lines().find_map(|line| line.strip_prefix("chroot-rs: hint: ").map(String::from));
            hint.unwrap_or_default()
        };
        let joined = format!("join DST to SRC: '--bind {shown}:{root}'");
        let create = format!("mkdir -p {root}{shown}; or use --ephemeral, which creates it for this run");
        assert_eq!(hint(&[], "cat"), create);
        assert_eq!(hint(&["--skip-chdir"], "cat"), "--workdir=DIR starts in a directory of the new root");
        // inside, no program has that name
        assert_eq!([hint(&[], "ubuntu"), hint(&["--skip-chdir"], "ubuntu")], [joined.clone(), joined]);
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn path_is_replaced_only_where_it_leads_nowhere() {
        let jail = Jail::new();
        let usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n";
        let tool = tools().chroot();
        let seen = |path: &str| {
            let run = Run::new(&tool).arg(jail.root.path("")).args(["env"]).env("PATH", path);
            let out = run.end().ended(End::Exit(0)).out();
            out.lines().find_map(|line| line.strip_prefix("PATH=")).map(|path| format!("{path}\n"))
        };
        assert_eq!(seen("/nix/store/bin:/run/wrappers/bin").unwrap(), usual);
        assert_eq!(seen("/nope:/bin:/usr/games").unwrap(), "/nope:/bin:/usr/games\n");
        assert_eq!(seen(&format!("{usual}:").replace('\n', "")).unwrap(), format!("{}:\n", usual.trim()));
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn variables_that_lead_nowhere_are_those_of_the_roots_own_user_or_gone() {
        let (jail, shown) = (Jail::new(), Scratch::new());
        let run = |options: &[&str], there: bool| {
            let value = |name: &str| if there { name.to_string() } else { format!("/no/such{name}") };
            let run = Run::new(tools().chroot()).args(options).arg(jail.root.path("")).args(["env"]);
            let names =
                [("HOME", "/tmp"), ("SHELL", "/bin/ash"), ("TMPDIR", "/etc"), ("XDG_RUNTIME_DIR", "/dev")];
            let run = names.iter().fold(run, |run, (name, path)| run.env(name, value(path)));
            let out = run.end().ended(End::Exit(0)).out();
            let found = names.iter().map(|(name, _)| {
                let line = out.lines().find(|line| line.starts_with(&format!("{name}=")));
                line.unwrap_or_default().to_string()
            });
            found.collect::<Vec<_>>()
        };
        assert_eq!(run(&[], false), ["HOME=/root", "SHELL=/bin/sh", "", ""]);
        assert_eq!(run(&[], true), ["HOME=/tmp", "SHELL=/bin/ash", "TMPDIR=/etc", "XDG_RUNTIME_DIR=/dev"]);
        // what a mount shows exists
        let home = shown.path("home");
        fs::create_dir(&home).unwrap();
        let bind = format!("--bind={}:/no/such", shown.path("").display());
        fs::create_dir_all(jail.root.path("no/such")).unwrap();
        let run = Run::new(tools().chroot()).arg(&bind).arg(jail.root.path("")).args(["env"]);
        let out = run.env("HOME", "/no/such/home").end().ended(End::Exit(0)).out();
        assert!(out.lines().any(|line| line == "HOME=/no/such/home"), "{out}");
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn what_cannot_be_run_says_what_is_missing_inside() {
        let jail = Jail::new();
        let write = |name: &str, text: &[u8], mode| {
            fs::write(jail.root.path(name), text).unwrap();
            fs::set_permissions(jail.root.path(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        write("perl", b"#!/usr/bin/perl\n", 0o755);
        write("windows", b"#!/bin/sh\r\n", 0o755);
        write("plain", b"#!/bin/sh\n", 0o644);
        let shown = |program: &str| {
            let ended = Run::new(tools().chroot()).arg(jail.root.path("")).arg(program).end();
            (ended.end, ended.err().lines().next().unwrap().replacen("chroot-rs: ", "", 1))
        };
        for (program, status, said) in [
            ("/nope", 127, "command not found: \"/nope\""),
            ("/perl", 126, "cannot run \"/perl\": its interpreter \"/usr/bin/perl\" does not exist"),
            ("/plain", 126, "cannot run \"/plain\": it is not executable: Permission denied (EACCES)"),
            ("/etc", 126, "cannot run \"/etc\": it is a directory: Permission denied (EACCES)"),
            (
                "/windows",
                126,
                "cannot run \"/windows\": its first line ends in a carriage return, \
                so its interpreter \"/bin/sh\\r\" does not exist",
            ),
        ] {
            assert_eq!(shown(program), (End::Exit(status), said.to_string()), "{program}");
        }
        // the options for outside are named there
        let hint = |program: &str| {
            let ended = Run::new(tools().chroot()).arg(jail.root.path("")).arg(program).end();
            ended.err().lines().nth(1).unwrap_or_default().replacen("chroot-rs: hint: ", "", 1)
        };
        assert_eq!(hint("/plain"), format!("chmod +x {}", jail.root.path("plain").display()));
        let inside = format!("it is not in any directory of PATH inside {:?}: ", jail.root.path(""));
        assert!(hint("nope").starts_with(&inside), "{}", hint("nope"));
    }
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn the_directory_that_keeps_the_user_from_the_command_is_named() {
        let jail = Jail::new();
        for (dir, mode) in [("open", 0o755), ("open/closed", 0o700)] {
            fs::create_dir(jail.root.path(dir)).unwrap();
            fs::set_permissions(jail.root.path(dir), fs::Permissions::from_mode(mode)).unwrap();
        }
        jail.root.install(tests::scratch::busybox(), "open/closed");
        let run = Run::new(tools().chroot()).arg("--userspec=1234:1234").arg(jail.root.path(""));
        let ended = run.args(["/open/closed/busybox", "true"]).end().ended(End::Exit(126));
        let said = "chroot-rs: cannot run \"/open/closed/busybox\": user 1234 cannot enter \"/open/closed\": \
            Permission denied (EACCES)\n";
        assert_eq!(ended.err(), said);
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn the_exit_status_is_gnu_chroots() {
        if !has_gnu_chroot() {
            return;
        }
        let jail = Jail::new();
        fs::write(jail.root.path("text"), "no program").unwrap();
        for (root, command, options) in [
            (jail.root.path(""), "true", ""),
            (jail.root.path(""), "false", ""),
            (jail.root.path(""), "exit 77", ""),
            (jail.root.path(""), "/nope", ""),
            (jail.root.path(""), "/etc", ""),
            (jail.root.path(""), "/text", ""),
            (jail.root.path("nope"), "true", ""),
            (jail.root.path("text"), "true", ""),
            (jail.root.path(""), "true", "--no-such-option"),
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

mod on_host {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static, namespaces and a dynamic /usr/bin/true"]
    fn a_loader_that_is_missing_inside_and_another_machine_are_named() {
        let jail = Jail::new();
        // 64 bits, with the number of an extinct machine
        let mut header = [0_u8; 64];
        header[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        header[16..20].copy_from_slice(&[2, 0, 0xff, 0x7f]);
        fs::write(jail.root.path("foreign"), header).unwrap();
        fs::set_permissions(jail.root.path("foreign"), fs::Permissions::from_mode(0o755)).unwrap();
        Run::new("cp").args(["/usr/bin/true".into(), jail.root.path("dynamic")]).end().ok();
        let shown = |program: &str| {
            let ended = Run::new(tools().chroot()).arg(jail.root.path("")).arg(program).end();
            ended.ended(End::Exit(126)).err()
        };
        let loader = shown("/dynamic");
        let start = "chroot-rs: cannot run \"/dynamic\": the loader it needs, \"/lib";
        assert!(loader.starts_with(start) && loader.contains("\", does not exist\n"), "{loader}");
        let foreign = shown("/foreign");
        assert!(foreign.starts_with("chroot-rs: cannot run \"/foreign\": it is a program for "), "{foreign}");
        let hint = "chroot-rs: hint: to run programs for other machines, install qemu-user-static\n";
        assert!(foreign.ends_with(hint), "{foreign}");
    }
}

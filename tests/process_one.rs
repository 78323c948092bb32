//! Process 1 of a container is a reaper beside the command: signals, pipelines and ends are as outside, one
//! PID namespace is made a chain, and nobody inside gets at the reaper.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use tests::{End, Link, Run, Scratch, tools};

/// The chains that end in chroot-rs, chroot-rs alone, and unshare-rs alone.
fn containers(root: &Scratch) -> Vec<Link> {
    Link::all(root).into_iter().filter(|link| link.name != "cgexec").collect()
}

mod as_anyone {
    use super::*;

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

    /// A root with a program that tries what a shell has no words for, and tools of which a copy may be lost.
    fn root_with_escape(root: &Scratch) -> Vec<Link> {
        root.install(&tools().escape(), "bin");
        containers(root).into_iter().filter(|link| link.changes_root).collect()
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn nobody_inside_traces_process_1_or_opens_its_program() {
        let root = Scratch::busybox_root();
        for link in root_with_escape(&root) {
            let traced = link.run(["escape", "trace", "1"]).end();
            assert!(traced.err().contains("EPERM"), "{}: {}{}", link.name, traced.out(), traced.err());
            let opened = link.run(["escape", "overwrite", "/proc/1/exe"]).end();
            assert!(opened.err().contains("EACCES"), "{}: {}{}", link.name, opened.out(), opened.err());
            let read = link.run(["sh", "-c", "cat /proc/1/environ /proc/1/maps /proc/1/mem"]).end();
            assert_eq!(read.out(), "", "{}", link.name);
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn the_program_of_process_1_is_not_overwritten_when_it_ends() {
        let root = Scratch::busybox_root();
        for link in root_with_escape(&root) {
            for _ in 0..25 {
                // it waits for the end of process 1, which comes when the first of two commands has ended
                let script = "escape overwrite /proc/1/exe & exit 0";
                link.run(["sh", "-c", script]).end().ended(End::Exit(0));
            }
        }
        let begins = fs::read(tools().chroot()).unwrap();
        assert!(begins.starts_with(b"\x7fELF"), "the program of outside was overwritten");
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn an_init_that_fails_as_process_2_is_told_how_to_be_process_1() {
        let root = Scratch::busybox_root();
        fs::remove_file(root.path("bin/init")).ok();
        let script = "#!/bin/sh\ntest $$ = 1 || { echo I am not process 1 >&2; exit 100; }\n";
        fs::write(root.path("bin/init"), script).unwrap();
        fs::set_permissions(root.path("bin/init"), Permissions::from_mode(0o755)).unwrap();
        let chain = || Link::unshare().then(Link::chroot(&root), "unshare, chroot");
        let failed = chain().run(["init"]).end().ended(End::Exit(100));
        let hint = "chroot-rs: hint: an init must be process 1: run it with chroot-rs --no-init";
        assert_eq!(failed.err().lines().last(), Some(hint));
        chain().with("--no-init").run(["init"]).end().ended(End::Exit(0));
    }
}

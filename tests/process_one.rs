//! Process 1 of a container is a reaper beside the command. Signals, pipelines and exit statuses are as
//! outside, a chain has one PID namespace, and no process inside has access to the reaper.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use tests::{End, Link, Run, Scratch, Trace, documents, tools};

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
    #[ignore = "needs make, bash and namespaces"]
    fn make_runs_its_jobs_at_once_inside_as_the_page_says() {
        if Run::new("sh").args(["-c", "command -v make"]).end().end != End::Exit(0) {
            return;
        }
        let page = documents::text("docs/pipelines.md");
        let script = page.split_once("```sh\n").and_then(|(_, rest)| rest.split_once("```")).unwrap().0;
        let place = Scratch::new();
        let path = format!("{}:{}", tools().dir().display(), env::var("PATH").unwrap());
        let ended = Run::new("timeout").args(["60", "bash", "-c", script]).env("PATH", path);
        let ended = ended.with(|bash| {
            bash.current_dir(place.path(""));
        });
        let ended = ended.end().ended(End::Exit(0));
        assert_eq!(ended.out(), "written by one\nmake: 2\n", "{}", ended.err());
        assert!(ended.err().contains("Makefile:4: bad] Error 3\n"), "{}", ended.err());
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
        // a shell in between is not one of our links, so each link creates its own
        let inner = Link::typed(&Link::chroot(&root).words(["sh", "-c", "echo $$"]));
        let told =
            Link::unshare().run(["sh", "-c", &format!("echo $$; {inner}")]).env("CHAIN_EXPLAIN", "1").end();
        assert_eq!(told.out(), "2\n2\n", "{}", told.err());
        assert_eq!(told.err().lines().filter(|line| line.contains("CLONE_NEWPID")).count(), 2);
        // the last link can be one that creates no namespaces itself
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
            // files without permission to see are missing
            let rest: Vec<_> = seen.iter().skip(1).filter(|line| *line != "/").collect();
            assert!(seen.first().is_some_and(|count| count == "0"), "{}: {seen:?}", link.name);
            assert_eq!(rest, ["chroot-rs"], "{}: {}", link.name, said.err());
        }
    }

    #[test]
    #[ignore = "needs busybox-static, strace and namespaces"]
    fn process_1_has_closed_its_last_descriptor_when_the_command_starts() {
        let root = Scratch::busybox_root();
        let link = Link::chroot(&root).with("--cap-add=SYS_PTRACE");
        let slow = Trace::new().only("sendto").slow("sendto");
        let traced = slow.run(link.words(["sh", "-c", "ls /proc/1/fd | wc -l"]));
        assert!(traced.calls.iter().any(|call| call.name == "sendto"), "the reaper answers");
        assert_eq!(traced.ended.out(), "0\n", "{}", traced.ended.err());
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

    /// The links that change the root, with a program in the root for what a shell cannot do.
    fn root_with_escape(root: &Scratch) -> Vec<Link> {
        root.install(&tools().escape(), "bin");
        containers(root).into_iter().filter(|link| link.changes_root).collect()
    }

    #[track_caller]
    fn assert_program_is_whole() {
        let begins = fs::read(tools().chroot()).unwrap();
        assert!(begins.starts_with(b"\x7fELF"), "the program outside was overwritten");
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
    fn no_command_is_the_program_of_the_tool_itself() {
        let root = Scratch::busybox_root();
        std::os::unix::fs::symlink("/proc/self/exe", root.path("bin/itself")).unwrap();
        let said = [
            "chroot-rs: hint: use a COMMAND that is not a link to /proc/self/exe",
            "chroot-rs: refused: this program is outside the root directory; a link in /proc led to it",
        ];
        for link in containers(&root).into_iter().filter(|link| link.changes_root) {
            for args in
                [&["--plain", "/", "echo", "run"] as &[&str], &["--version"], &["--help"], &["--unknown"]]
            {
                for command in ["/proc/self/exe", "itself"] {
                    let ended = link.run([command].iter().chain(args)).end();
                    let last = ended.err().lines().rev().take(2).map(String::from).collect::<Vec<_>>();
                    assert_eq!(last, said, "{} {command} {args:?}", link.name);
                    let run = (ended.end, ended.out());
                    assert_eq!(run, (End::Exit(125), String::new()), "{} {command} {args:?}", link.name);
                }
            }
        }
    }

    #[test]
    #[ignore = "needs busybox-static, strace and namespaces"]
    fn nor_where_the_kernel_does_not_tell_mounts_or_the_tools_are_shown_inside() {
        let root = Scratch::busybox_root();
        std::os::unix::fs::symlink("/proc/self/exe", root.path("bin/itself")).unwrap();
        let itself = ["/bin/itself", "--plain", "/", "echo", "run"];
        let refused = |ended: tests::Ended| {
            assert!(
                ended.err().contains("refused: this program is outside"),
                "{}{}",
                ended.out(),
                ended.err()
            );
            assert_eq!((ended.end, ended.out()), (End::Exit(125), String::new()));
        };
        // Linux before 5.8 has no mount in statx(2), and before 4.11 no statx(2)
        let old = || Trace::new().only("statx").every("statx", "ENOSYS");
        refused(old().run(Link::chroot(&root).words(itself)).ended);
        let usual = old().run(Link::chroot(&root).words(["/bin/busybox", "echo", "run"])).ended;
        assert_eq!(usual.out(), "run\n", "{}", usual.err());
        // another mount of the same file: that one cannot be written to
        let tools = tools().dir().display().to_string();
        fs::create_dir_all(root.path(tools.trim_start_matches('/'))).unwrap();
        let shown = || Link::chroot(&root).with(&format!("--bind={tools}:{tools}:ro"));
        refused(shown().run(itself).end());
        let nested = shown().run([&format!("{tools}/chroot-rs"), "--plain", "/", "echo", "run"]).end();
        assert_eq!(nested.out(), "run\n", "{}", nested.err());
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
        assert_program_is_whole();
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn who_may_trace_process_1_finds_nothing_of_the_callers_and_a_program_that_is_not_the_tools() {
        let root = Scratch::busybox_root();
        let chroot = || Link::chroot(&root).with("--cap-add=SYS_PTRACE");
        for link in [chroot(), Link::unshare().then(chroot(), "unshare, chroot")] {
            let look = "echo begun; readlink /proc/1/exe; tr -d '\\0' </proc/1/environ
                dd if=/bin/busybox of=/proc/1/exe conv=notrunc 2>/dev/null && echo overwritten; exit 7";
            let ended = link.run(["sh", "-c", look]).env("SECRET", "hunter2").end().ended(End::Exit(7));
            let owner = fs::metadata(tools().chroot()).unwrap().uid();
            let program = match (nix::unistd::geteuid().is_root(), link.name) {
                // in the user namespace that chroot-rs itself creates, process 1 cannot be traced
                (false, "chroot") => String::new(),
                // root, the program's owner, has no id inside, so no copy is needed
                (false, _) if owner == 0 => format!("{}\n", tools().chroot().display()),
                _ => "/memfd:chroot-rs (deleted)\n".to_string(),
            };
            assert_eq!(ended.out(), format!("begun\n{program}"), "{}: {}", link.name, ended.err());
        }
        assert_program_is_whole();
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn what_can_be_read_only_once_is_read_by_the_copy_alone() {
        let root = Scratch::busybox_root();
        let image = r#"printf '{"config":{"Cmd":["/bin/echo","run"]}}' | "$@""#;
        let options = ["--cap-add=SYS_PTRACE", "--image-config=/proc/self/fd/0"];
        let chroot = || options.iter().fold(Link::chroot(&root), |link, option| link.with(option));
        for link in [chroot(), Link::unshare().then(chroot(), "unshare, chroot")] {
            let ended = Run::new("sh").args(["-c", image, "sh"]).args(link.words([""; 0])).end();
            assert_eq!(ended.out(), "run\n", "{}: {}", link.name, ended.err());
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn the_copy_alone_reads_a_filter_from_a_named_pipe() {
        let (root, pipe) = (Scratch::busybox_root(), Scratch::new());
        let pipe = pipe.path("filter");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // who opens it a second time waits forever
        let script = r#"printf '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}' >"$0" & exec "$@""#;
        let option = format!("--seccomp={}", pipe.display());
        let chroot = || Link::chroot(&root).with("--cap-add=SYS_PTRACE").with(&option);
        for link in [chroot(), Link::unshare().then(chroot(), "unshare, chroot")] {
            let words = link.words(["sh", "-c", "mkdir /tmp/new 2>/dev/null || echo refused"]);
            let ended = Run::new("sh").args(["-c", script]).arg(&pipe).args(words).end();
            assert_eq!(ended.out(), "refused\n", "{}: {}", link.name, ended.err());
        }
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

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root"]
    fn a_tool_whose_file_was_replaced_runs_whatever_bytes_a_mount_point_has() {
        let scratch = Scratch::new();
        let script = r#"cd "$0" && mount -t tmpfs none . && cp "$1" chroot-rs && ln chroot-rs kept &&
            mkdir "$(printf '\377')" && mount -t tmpfs none "$(printf '\377')" &&
            exec 3<chroot-rs && rm chroot-rs && /proc/self/fd/3 --plain / echo run"#;
        let words = ["--mount", "--propagation", "private", "sh", "-c", script];
        let run = Run::new("unshare").args(words).arg(scratch.path("")).arg(tools().chroot());
        let ended = run.end();
        assert_eq!(ended.out(), "run\n", "{}", ended.err());
    }

    #[test]
    #[ignore = "needs root, strace and busybox-static"]
    fn the_copy_has_the_name_of_the_tool_and_its_failure_the_cause_that_there_is() {
        let root = Scratch::busybox_root();
        let chroot = Link::chroot(&root).with("--cap-add=SYS_PTRACE");
        let named = chroot.run(["cat", "/proc/1/comm"]).end();
        assert_eq!(named.out(), "chroot-rs\n", "{}", named.err());
        let refused = Trace::new().only("memfd_create").every("memfd_create", "EACCES");
        let ended = refused.run(chroot.words(["true"])).ended.ended(End::Exit(125));
        let forbids = fs::read_to_string("/proc/sys/vm/memfd_noexec").is_ok_and(|value| value == "2\n");
        assert_eq!(ended.err().contains("sysctl vm.memfd_noexec=1"), forbids, "{}", ended.err());
        assert_eq!(ended.err().contains("hint: leave out SYS_PTRACE"), !forbids, "{}", ended.err());
    }
}

//! At a terminal, and with signals: a command behaves as it does without the tools.

mod fetch_bar;
mod steps;

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::terminal::{CTRL_C, CTRL_Z};
use tests::{End, Link, Run, Scratch, Snapshot, Terminal, tools};

/// An interactive shell, outside.
fn shell() -> Terminal {
    let mut shell = Command::new("sh");
    shell.arg("-i").env("PS1", "outside> ").env("TERM", "dumb").env_remove("ENV");
    let mut terminal = Terminal::start(shell);
    terminal.wait_for("outside> ");
    terminal
}

/// A link with a command, as the leader of a terminal's session.
fn at_terminal(link: &Link, command: &[impl Into<OsString> + Clone]) -> Terminal {
    let words = link.words(command.iter().cloned());
    let (program, args) = words.split_first().unwrap();
    let mut command = Command::new(program);
    command.args(args).env("PS1", "inside> ").env("TERM", "dumb").env_remove("ENV");
    Terminal::start(command)
}

/// An interactive shell, inside: the same one through each link.
fn inside(link: &Link, root: &Scratch) -> [OsString; 2] {
    [link.place(root, "bin/sh"), "-i".into()]
}

/// The same, when it has printed its prompt.
fn shell_inside(link: &Link, root: &Scratch) -> Terminal {
    let mut terminal = at_terminal(link, &inside(link, root));
    terminal.wait_for("inside> ");
    terminal
}

/// Tries each link on a root with busybox; no process, mount or group may be left.
fn for_each_link(test: impl Fn(&Link, &Scratch, &Snapshot)) {
    let before = Snapshot::take();
    let root = Scratch::busybox_root();
    for link in Link::all(&root) {
        println!("through {}", link.name);
        test(&link, &root, &before);
    }
}

/// Stops `cat`, which was started by a shell with this prompt, and resumes it until its end.
fn stop_and_resume(terminal: &mut Terminal, prompt: &str) {
    terminal.wait_for("going");
    terminal.send(CTRL_Z);
    terminal.wait_for(prompt);
    terminal.line("fg");
    terminal.wait_for("exec cat");
    terminal.wait_for("\r\n");
    terminal.line("again");
    terminal.wait_for("again\r\nagain\r\n");
    terminal.send("\x04");
    terminal.wait_for(prompt);
}

/// A command that prints "now going" and then waits for ever, without catching a signal.
///
/// A shell would do this with `exec`, but a signal that it catches during the exec is lost if it is process
/// 1.
fn waits(link: &Link, root: &Scratch) -> [OsString; 3] {
    std::fs::write(root.path("tmp/file"), "now going\n").unwrap();
    ["tail".into(), "-f".into(), link.place(root, "tmp/file")]
}

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn ctrl_c_inside_ends_a_sleep_and_not_the_shell() {
        for_each_link(|link, root, _| {
            let mut terminal = shell_inside(link, root);
            terminal.line(&Link::typed(&waits(link, root)));
            terminal.wait_for("now going");
            terminal.send(CTRL_C);
            terminal.wait_for("inside> ");
            terminal.line("exit 7");
            assert_eq!(terminal.end(), End::Exit(7), "{}", link.name);
        });
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn ctrl_z_inside_stops_a_job_and_fg_resumes_it() {
        for_each_link(|link, root, _| {
            let mut terminal = shell_inside(link, root);
            terminal.line("sh -c 'echo go\"\"ing; exec cat'");
            stop_and_resume(&mut terminal, "inside> ");
            terminal.line("exit");
            terminal.end();
        });
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn ctrl_c_outside_ends_the_command_as_if_no_tool_were_there() {
        for_each_link(|link, root, _| {
            let mut terminal = shell();
            terminal.line(&Link::typed(&link.words(waits(link, root))));
            terminal.wait_for("now going");
            terminal.send(CTRL_C);
            terminal.wait_for("outside> ");
            terminal.line("echo status $?");
            let seen = terminal.wait_for("outside> ");
            assert!(seen.contains("status 130\r\n"), "{}: {seen}", link.name);
        });
    }

    #[test]
    #[ignore = "needs namespaces and setsid"]
    fn ctrl_c_ends_a_command_that_has_left_the_process_group() {
        let _before = Snapshot::take();
        let words = [tools().unshare().into(), "--user".into(), "--fork".into(), "--".into()];
        let command = ["setsid", "sh", "-c", "echo go\"\"ing; exec sleep 1000"].map(OsString::from);
        let mut terminal = shell();
        terminal.line(&Link::typed(&Link::new("unshare --user --fork", words).words(command)));
        terminal.wait_for("going\r\n");
        terminal.send(CTRL_C);
        terminal.wait_for("outside> ");
        terminal.line("echo status $?");
        terminal.wait_for("status 130\r\n");
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn ctrl_z_outside_stops_the_command_and_fg_resumes_it() {
        for_each_link(|link, _, _| {
            let mut terminal = shell();
            terminal.line(&Link::typed(&link.words(["sh", "-c", "echo go\"\"ing; exec cat"])));
            stop_and_resume(&mut terminal, "outside> ");
        });
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn ctrl_z_stops_nothing_where_no_shell_could_resume_it() {
        let root = Scratch::busybox_root();
        for link in Link::all(&root) {
            let reads = "echo now going; while read word; do echo \"<$word>\"; done; exit 3";
            let command = [link.place(&root, "bin/sh"), "-c".into(), reads.into()];
            // as from a terminal emulator or ssh: the session has no shell
            let mut terminal = at_terminal(&link, &command);
            terminal.wait_for("now going\r\n");
            for word in ["one", "two", "three", "four", "five"] {
                terminal.send(CTRL_Z);
                terminal.wait_for("^Z");
                terminal.line(word);
                terminal.wait_for(&format!("<{word}>\r\n"));
            }
            // the end of the input: Ctrl-D
            terminal.send("");
            assert_eq!(terminal.end(), End::Exit(3), "{}", link.name);
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn after_an_interactive_shell_the_caller_can_read_the_terminal_again() {
        for_each_link(|link, root, _| {
            let script =
                format!("{}; read line; echo \"read <$line>\"", Link::typed(&link.words(inside(link, root))));
            let mut terminal = at_terminal(&Link::new("nothing", ["sh".into()]), &["-c", &script]);
            terminal.wait_for("inside> ");
            // a foreground job with its own process group, so that the inner shell has moved the terminal
            terminal.line("cat /dev/null");
            terminal.wait_for("inside> ");
            terminal.line("exit");
            terminal.line("hello");
            terminal.wait_for("read <hello>");
            assert_eq!(terminal.end(), End::Exit(0), "{}", link.name);
        });
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn the_command_sees_the_window_and_its_changes() {
        let script = "trap 'stty size' WINCH; stty size; echo ready; while :; do sleep 0.05; done";
        for_each_link(|link, _, _| {
            let mut terminal = at_terminal(link, &["/bin/sh", "-c", script]);
            let seen = terminal.wait_for("ready");
            assert!(seen.contains("24 80\r\n"), "{}: {seen}", link.name);
            terminal.resize(33, 77);
            terminal.wait_for("33 77\r\n");
            terminal.send(CTRL_C);
            terminal.end();
        });
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_signal_sent_to_the_tool_reaches_the_command() {
        let script = "trap 'echo caught; exit 3' TERM INT HUP QUIT USR1 USR2; echo ready; while :; do sleep 0.05; done";
        for_each_link(|link, _, _| {
            for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1]
            {
                let mut terminal = at_terminal(link, &["sh", "-c", script]);
                terminal.wait_for("ready");
                kill(Pid::from_raw(terminal.pid().cast_signed()), signal).unwrap();
                terminal.wait_for("caught");
                assert_eq!(terminal.end(), End::Exit(3), "{} {signal}", link.name);
            }
        });
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_signal_that_the_command_does_not_catch_ends_it() {
        for_each_link(|link, root, before| {
            for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1]
            {
                let mut terminal = at_terminal(link, &waits(link, root));
                terminal.wait_for("now going");
                kill(Pid::from_raw(terminal.pid().cast_signed()), signal).unwrap();
                let end = terminal.end();
                // in the chain an inner tool is process 1, which can only exit with 128 and the number
                let number = signal as i32;
                let by_signal = [End::Signal(number), End::Exit(128 + number)].contains(&end);
                assert!(by_signal, "{} {signal}: {end:?}", link.name);
                drop(terminal);
                before.unchanged();
            }
        });
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_killed_tool_takes_what_it_started_with_it() {
        let before = Snapshot::take();
        let root = Scratch::busybox_root();
        // a link that becomes the command leaves no parent to be killed: chroot-rs, and cgexec-rs without a
        // group
        let stays = |link: &Link| match link.name {
            "chroot" => false,
            "cgexec" => nix::unistd::geteuid().is_root(),
            _ => true,
        };
        for link in Link::all(&root).into_iter().filter(stays) {
            println!("through {}", link.name);
            let script = "sleep 1000 & setsid sleep 1000 & echo going; wait";
            let mut terminal = at_terminal(&link, &["sh", "-c", script]);
            terminal.wait_for("going");
            kill(Pid::from_raw(terminal.pid().cast_signed()), Signal::SIGKILL).unwrap();
            assert_eq!(terminal.end(), End::Signal(9), "{}", link.name);
            drop(terminal);
            // without a PID namespace, the command's background processes end only with its group
            if link.name != "cgexec" {
                before.all_ended();
            }
            // the next run removes the group of a killed one
            link.run(["true"]).end().ended(End::Exit(0));
            before.unchanged();
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn timeout_ends_the_command_in_time() {
        for_each_link(|link, _, before| {
            let words = link.words(["sleep", "1000"]);
            let ended = Run::new("timeout").arg("1").args(words).end();
            // coreutils' timeout exits with 124, busybox' timeout becomes the command
            let ends = [End::Exit(124), End::Exit(143), End::Signal(15)];
            assert!(ends.contains(&ended.end), "{}: {:?} {}", link.name, ended.end, ended.err());
            before.unchanged();
        });
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_caller_that_ignores_sigchld_learns_the_exit_status() {
        for_each_link(|link, _, _| {
            let ignoring = |command: &mut Command| {
                let ignore = || {
                    // SAFETY: no handler is set.
                    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
                    Ok(())
                };
                // SAFETY: between fork and exec only signal(2) runs: no lock, no allocation.
                unsafe { command.pre_exec(ignore) };
            };
            let ended = link.run(["sh", "-c", "exit 7"]).with(ignoring).end();
            assert_eq!(ended.end, End::Exit(7), "{}: {}", link.name, ended.err());
        });
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn output_to_a_closed_pipe_ends_the_command_as_ever() {
        for_each_link(|link, _, _| {
            let script = format!("{} | head -n 1", Link::typed(&link.words(["yes"])));
            let ended = Run::new("sh").args(["-c", &script]).end().ended(End::Exit(0));
            assert_eq!(ended.out(), "y\n", "{}", link.name);
        });
    }
}

//! At a terminal, and under signals: a tool is not there, only the command is.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::tar::Tar;
use tests::terminal::{CTRL_C, CTRL_Z};
use tests::{End, Link, Run, Scratch, Snapshot, Terminal, snapshot, tools};

/// A shell as a person starts it, outside.
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

/// A shell as a person starts it, inside: the same one through each link.
fn inside(link: &Link, root: &Scratch) -> [OsString; 2] {
    [link.place(root, "bin/sh"), "-i".into()]
}

/// A command that says "now going" and then waits for ever, without catching a signal.
///
/// A shell would do it with `exec`, but a signal that it catches and that comes during the exec is
/// lost for a process 1.
fn waits(link: &Link, root: &Scratch) -> [OsString; 3] {
    std::fs::write(root.path("tmp/file"), "now going\n").unwrap();
    ["tail".into(), "-f".into(), link.place(root, "tmp/file")]
}

/// rootfs-fetch at a terminal, its archive in a pipe of its own.
fn fetch(scratch: &Scratch, options: &str) -> (Terminal, std::fs::File) {
    let pipe = scratch.path("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let script = format!("exec \"$0\" {options} - \"$1/root\" < \"$1/pipe\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(tools().fetch()).arg(scratch.path("")).env("TERM", "xterm");
    let terminal = Terminal::start(command);
    (terminal, std::fs::File::create(pipe).unwrap())
}

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs a terminal of its own"]
    fn a_bar_says_how_much_has_come_and_goes_before_the_last_line() {
        let _turn = snapshot::turn();
        let archive = Tar::new().file("half", &[0; 600_000]).file("all", &[0; 600_000]).end();
        let scratch = Scratch::new();
        let (mut terminal, mut pipe) = fetch(&scratch, "");
        pipe.write_all(&archive[..600_000]).unwrap();
        terminal.wait_for("kB");
        pipe.write_all(&archive[600_000..]).unwrap();
        drop(pipe);
        terminal.wait_for("root: 2 files, 1.2 MB");
        assert_eq!(terminal.end(), End::Exit(0));
    }

    #[test]
    #[ignore = "needs a terminal of its own"]
    fn ctrl_c_ends_a_fetch_and_leaves_nothing() {
        let _turn = snapshot::turn();
        let archive = Tar::new().file("half", &[0; 600_000]).end();
        let scratch = Scratch::new();
        let (mut terminal, mut pipe) = fetch(&scratch, "-v");
        pipe.write_all(&archive[..300_000]).unwrap();
        terminal.wait_for("half");
        terminal.send(CTRL_C);
        assert_eq!(terminal.end(), End::Signal(Signal::SIGINT as i32));
        let left: Vec<_> =
            std::fs::read_dir(scratch.path("")).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(left, ["pipe"]);
    }

    #[test]
    #[ignore = "needs a terminal of its own"]
    fn ctrl_c_leaves_no_bar_where_the_terminal_is_narrow() {
        let _turn = snapshot::turn();
        let archive = Tar::new().file("half", &[0; 600_000]).end();
        let scratch = Scratch::new();
        let (mut terminal, mut pipe) = fetch(&scratch, "");
        terminal.resize(24, 50);
        pipe.write_all(&archive[..300_000]).unwrap();
        let mut before = terminal.wait_for("kB");
        terminal.send(CTRL_C);
        // the terminal prints the key on the line of the bar, which is then cleared with it
        before += &terminal.wait_for("^C");
        let line = before.rsplit("\u{1b}[2K").next().unwrap();
        assert!(line.contains("kB") && line.chars().count() <= 50, "{line:?}");
        assert!(terminal.wait_for("\u{1b}[2K").chars().all(|char| char != '\n'));
        assert_eq!(terminal.end(), End::Signal(Signal::SIGINT as i32));
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn ctrl_c_inside_ends_a_sleep_and_not_the_shell() {
        let _before = Snapshot::take();
        let root = Scratch::busybox_root();
        for link in Link::all(&root) {
            println!("through {}", link.name);
            let mut terminal = at_terminal(&link, &inside(&link, &root));
            terminal.wait_for("inside> ");
            terminal.line(&Link::typed(&waits(&link, &root)));
            terminal.wait_for("now going");
            terminal.send(CTRL_C);
            terminal.wait_for("inside> ");
            terminal.line("exit 7");
            assert_eq!(terminal.end(), End::Exit(7), "{}", link.name);
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn ctrl_z_inside_stops_a_job_and_fg_resumes_it() {
        let _before = Snapshot::take();
        let root = Scratch::busybox_root();
        for link in Link::all(&root) {
            println!("through {}", link.name);
            let mut terminal = at_terminal(&link, &inside(&link, &root));
            terminal.wait_for("inside> ");
            terminal.line("sh -c 'echo go\"\"ing; exec cat'");
            terminal.wait_for("going");
            terminal.send(CTRL_Z);
            terminal.wait_for("inside> ");
            terminal.line("fg");
            terminal.wait_for("exec cat");
            terminal.wait_for("\r\n");
            terminal.line("again");
            terminal.wait_for("again\r\nagain\r\n");
            terminal.send("\x04");
            terminal.wait_for("inside> ");
            terminal.line("exit");
            terminal.end();
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn ctrl_c_outside_ends_the_command_as_if_no_tool_were_there() {
        let _before = Snapshot::take();
        let root = Scratch::busybox_root();
        for link in Link::all(&root) {
            println!("through {}", link.name);
            let mut terminal = shell();
            terminal.line(&Link::typed(&link.words(waits(&link, &root))));
            terminal.wait_for("now going");
            terminal.send(CTRL_C);
            terminal.wait_for("outside> ");
            terminal.line("echo status $?");
            let seen = terminal.wait_for("outside> ");
            assert!(seen.contains("status 130\r\n"), "{}: {seen}", link.name);
        }
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
        let _before = Snapshot::take();
        let root = Scratch::busybox_root();
        for link in Link::all(&root) {
            println!("through {}", link.name);
            let mut terminal = shell();
            terminal.line(&Link::typed(&link.words(["sh", "-c", "echo go\"\"ing; exec cat"])));
            terminal.wait_for("going");
            terminal.send(CTRL_Z);
            terminal.wait_for("outside> ");
            terminal.line("fg");
            terminal.wait_for("exec cat");
            terminal.wait_for("\r\n");
            terminal.line("again");
            terminal.wait_for("again\r\nagain\r\n");
            terminal.send("\x04");
            terminal.wait_for("outside> ");
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn ctrl_z_stops_nothing_where_no_shell_could_resume_it() {
        let root = Scratch::busybox_root();
        for link in Link::all(&root) {
            let reads = "echo now going; while read word; do echo \"<$word>\"; done; exit 3";
            let command = [link.place(&root, "bin/sh"), "-c".into(), reads.into()];
            // as of a terminal emulator or ssh: the session has no shell
            let mut terminal = at_terminal(&link, &command);
            terminal.wait_for("now going\r\n");
            for word in ["one", "two", "three", "four", "five"] {
                terminal.send(CTRL_Z);
                terminal.wait_for("^Z");
                terminal.line(word);
                terminal.wait_for(&format!("<{word}>\r\n"));
            }
            // the end of what is typed: Ctrl-D
            terminal.send("");
            assert_eq!(terminal.end(), End::Exit(3), "{}", link.name);
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn after_an_interactive_shell_the_caller_can_read_the_terminal_again() {
        let _before = Snapshot::take();
        let root = Scratch::busybox_root();
        for link in Link::all(&root) {
            println!("through {}", link.name);
            let script = format!(
                "{}; read line; echo \"read <$line>\"",
                Link::typed(&link.words(inside(&link, &root)))
            );
            let mut terminal = at_terminal(&Link::new("nothing", ["sh".into()]), &["-c", &script]);
            terminal.wait_for("inside> ");
            // a job of its own in the foreground, so that the inner shell has moved the terminal
            terminal.line("cat /dev/null");
            terminal.wait_for("inside> ");
            terminal.line("exit");
            terminal.line("hello");
            terminal.wait_for("read <hello>");
            assert_eq!(terminal.end(), End::Exit(0), "{}", link.name);
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn the_command_sees_the_window_and_its_changes() {
        let _before = Snapshot::take();
        let root = Scratch::busybox_root();
        let script = "trap 'stty size' WINCH; stty size; echo ready; while :; do sleep 0.05; done";
        for link in Link::all(&root) {
            println!("through {}", link.name);
            let mut terminal = at_terminal(&link, &["/bin/sh", "-c", script]);
            let seen = terminal.wait_for("ready");
            assert!(seen.contains("24 80\r\n"), "{}: {seen}", link.name);
            terminal.resize(33, 77);
            terminal.wait_for("33 77\r\n");
            terminal.send(CTRL_C);
            terminal.end();
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_signal_sent_to_the_tool_reaches_the_command() {
        let _before = Snapshot::take();
        let root = Scratch::busybox_root();
        let script = "trap 'echo caught; exit 3' TERM INT HUP QUIT USR1 USR2; echo ready; while :; do sleep 0.05; done";
        for link in Link::all(&root) {
            println!("through {}", link.name);
            for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1]
            {
                let mut terminal = at_terminal(&link, &["sh", "-c", script]);
                terminal.wait_for("ready");
                kill(Pid::from_raw(terminal.pid().cast_signed()), signal).unwrap();
                terminal.wait_for("caught");
                assert_eq!(terminal.end(), End::Exit(3), "{} {signal}", link.name);
            }
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_signal_that_the_command_does_not_catch_ends_it() {
        let before = Snapshot::take();
        let root = Scratch::busybox_root();
        for link in Link::all(&root) {
            println!("through {}", link.name);
            for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1]
            {
                let mut terminal = at_terminal(&link, &waits(&link, &root));
                terminal.wait_for("now going");
                kill(Pid::from_raw(terminal.pid().cast_signed()), signal).unwrap();
                let end = terminal.end();
                // in the chain an inner tool is process 1, which can only say 128 and the number
                let number = signal as i32;
                let by_signal = [End::Signal(number), End::Exit(128 + number)].contains(&end);
                assert!(by_signal, "{} {signal}: {end:?}", link.name);
                drop(terminal);
                before.unchanged();
            }
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_killed_tool_takes_what_it_started_with_it() {
        let before = Snapshot::take();
        let root = Scratch::busybox_root();
        // who becomes the command leaves no parent to be killed: chroot-rs, and cgexec-rs without a group
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
            // without a PID namespace what the command put in the background ends with its group only
            if link.name != "cgexec" {
                before.all_ended();
            }
            // the next run collects the group that a killed one had to leave
            link.run(["true"]).end().ended(End::Exit(0));
            before.unchanged();
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn timeout_ends_the_command_in_time() {
        let before = Snapshot::take();
        let root = Scratch::busybox_root();
        for link in Link::all(&root) {
            println!("through {}", link.name);
            let words = link.words(["sleep", "1000"]);
            let ended = Run::new("timeout").arg("1").args(words).end();
            // coreutils' timeout says 124, busybox' becomes the command
            let ends = [End::Exit(124), End::Exit(143), End::Signal(15)];
            assert!(ends.contains(&ended.end), "{}: {:?} {}", link.name, ended.end, ended.err());
            before.unchanged();
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_caller_that_ignores_sigchld_learns_the_exit_status() {
        let _before = Snapshot::take();
        let root = Scratch::busybox_root();
        for link in Link::all(&root) {
            println!("through {}", link.name);
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
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn output_to_a_closed_pipe_ends_the_command_as_ever() {
        let _before = Snapshot::take();
        let root = Scratch::busybox_root();
        for link in Link::all(&root) {
            println!("through {}", link.name);
            let script = format!("{} | head -n 1", Link::typed(&link.words(["yes"])));
            let ended = Run::new("sh").args(["-c", &script]).end().ended(End::Exit(0));
            assert_eq!(ended.out(), "y\n", "{}", link.name);
        }
    }
}

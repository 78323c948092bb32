//! The progress bar of rootfs-fetch, which only a terminal shows.

use std::io::Write as _;
use std::process::Command;

use nix::sys::signal::Signal;
use tests::tar::Tar;
use tests::terminal::CTRL_C;
use tests::{End, Scratch, Terminal, snapshot, tools};

/// rootfs-fetch at a terminal; its archive comes through a pipe.
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
        // the terminal prints the key on the bar's line, which is then cleared
        before += &terminal.wait_for("^C");
        let line = before.rsplit("\u{1b}[2K").next().unwrap();
        assert!(line.contains("kB") && line.chars().count() <= 50, "{line:?}");
        assert!(terminal.wait_for("\u{1b}[2K").chars().all(|char| char != '\n'));
        assert_eq!(terminal.end(), End::Signal(Signal::SIGINT as i32));
    }
}

//! A link passes on unchanged whatever it was not asked to change.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;

use tests::{End, Link, Run, Scratch, tools};

/// What a command received, with and without a link before it.
struct Comparison {
    root: Scratch,
}

impl Comparison {
    fn new() -> Self {
        let root = Scratch::new();
        for dir in ["bin", "dev", "proc", "sys", "tmp"] {
            fs::create_dir(root.path(dir)).unwrap();
        }
        root.install(&tools().report(), "bin");
        Self { root }
    }

    /// Fails if a link changes anything that `sender` sets, except for its own purpose.
    fn assert_untouched(&self, args: &[&OsStr], sender: impl Fn(Run) -> Run) {
        // variables that name no file in the root would be replaced
        let led = |run: Run| {
            run.env("HOME", "/tmp").with(|command| {
                for name in ["SHELL", "TMPDIR", "XDG_RUNTIME_DIR"] {
                    command.env_remove(name);
                }
            })
        };
        let sender = |run| sender(led(run));
        let direct = Run::new(self.root.path("bin/report")).arg(self.root.path("out")).args(args);
        sender(direct).end().ok();
        let sent = self.received(&Link::new("nothing", []));
        for link in Link::all(&self.root) {
            let report = link.place(&self.root, "bin/report");
            let out = link.place(&self.root, "out");
            let command = [report, out].into_iter().chain(args.iter().map(OsString::from));
            let ended = sender(link.run(command)).end();
            assert_eq!(ended.end, End::Exit(0), "{}: {}", link.name, ended.err());
            assert_eq!(self.received(&link), self.expected(&link, &sent), "through {}", link.name);
        }
    }

    /// The report's lines; descriptors 0-2 are other pipes in each run.
    fn received(&self, link: &Link) -> Vec<String> {
        let text = fs::read_to_string(self.root.path("out"));
        let text = text.unwrap_or_else(|why| panic!("no report through {}: {why}", link.name));
        fs::remove_file(self.root.path("out")).unwrap();
        let standard = |line: &str| ["fd 0 ", "fd 1 ", "fd 2 "].iter().any(|fd| line.starts_with(fd));
        let words = |line: &str| line.split(' ').map(String::from).collect::<Vec<_>>();
        text.lines()
            .map(|line| {
                if standard(line) {
                    [&words(line)[..2], &words(line)[3..]].concat().join(" ")
                } else {
                    line.into()
                }
            })
            .collect()
    }

    fn expected(&self, link: &Link, sent: &[String]) -> Vec<String> {
        let moved = |line: &String| {
            if link.changes_root && line.starts_with("cwd ") { "cwd /".into() } else { line.clone() }
        };
        sent.iter().map(moved).collect()
    }
}

/// Does something in the child, as its last action before it becomes the command.
fn last_deed(run: Run, deed: impl FnMut() -> io::Result<()> + Send + Sync + 'static) -> Run {
    run.with(|command| {
        // SAFETY: the actions in this file are only system calls: no locks, no allocation.
        unsafe { command.pre_exec(deed) };
    })
}

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs namespaces"]
    fn arguments_pass_byte_for_byte() {
        let bytes = OsStr::from_bytes(b"\xff\xfe not \x80 UTF-8 \x01\x7f");
        let args = ["", " two  spaces ", "-x", "--", "--help", "a\nb\tc", "'\"\\$(id)*?", ""].map(OsStr::new);
        let args: Vec<_> = args.into_iter().chain([bytes]).collect();
        Comparison::new().assert_untouched(&args, |run| run);
    }

    #[test]
    #[ignore = "needs namespaces"]
    fn the_environment_passes_byte_for_byte() {
        let value = OsStr::from_bytes(b"\xff = \n\x80");
        Comparison::new().assert_untouched(&[], |run| {
            run.env("EMPTY", "").env("BYTES", value).env("PWD", "/no/where").env("SHLVL", "9").env("_", "x")
        });
    }

    #[test]
    #[ignore = "needs namespaces"]
    fn open_files_pass_with_their_numbers() {
        let comparison = Comparison::new();
        fs::write(comparison.root.path("file"), "content").unwrap();
        let file = File::open(comparison.root.path("file")).unwrap();
        let open = file.as_raw_fd();
        comparison.assert_untouched(&[], |run| {
            last_deed(run, move || {
                for number in [3, 9, 77, 1000] {
                    // SAFETY: dup2 accepts any numbers, and this child uses none of them.
                    if unsafe { libc::dup2(open, number) } < 0 {
                        return Err(io::Error::last_os_error());
                    }
                }
                Ok(())
            })
        });
    }

    #[test]
    #[ignore = "needs namespaces"]
    fn closed_standard_descriptors_stay_closed() {
        for closed in [&[0][..], &[1], &[2], &[0, 1, 2]] {
            Comparison::new().assert_untouched(&[], |run| {
                last_deed(run, move || {
                    for number in closed {
                        // SAFETY: nothing in this child uses its standard descriptors any more.
                        unsafe { libc::close(*number) };
                    }
                    Ok(())
                })
            });
        }
    }

    #[test]
    #[ignore = "needs namespaces"]
    fn umask_and_niceness_pass() {
        for mask in [0, 0o027, 0o377] {
            Comparison::new().assert_untouched(&[], |run| {
                last_deed(run, move || {
                    // SAFETY: takes a number and touches no memory.
                    unsafe { libc::umask(mask) };
                    // SAFETY: takes a number and touches no memory.
                    unsafe { libc::nice(3) };
                    Ok(())
                })
            });
        }
    }

    #[test]
    #[ignore = "needs namespaces"]
    fn signals_stay_ignored_or_not_and_blocked_or_not() {
        for (signal, what) in [
            (libc::SIGPIPE, libc::SIG_IGN),
            (libc::SIGPIPE, libc::SIG_DFL),
            (libc::SIGINT, libc::SIG_IGN),
            (libc::SIGCHLD, libc::SIG_IGN),
            (libc::SIGHUP, libc::SIG_IGN),
        ] {
            Comparison::new().assert_untouched(&[], |run| {
                last_deed(run, move || {
                    // SAFETY: no handler is set, only "ignore" or "default".
                    unsafe { libc::signal(signal, what) };
                    Ok(())
                })
            });
        }
        for signal in [libc::SIGTERM, libc::SIGCHLD, libc::SIGUSR1, 40] {
            Comparison::new().assert_untouched(&[], |run| {
                last_deed(run, move || {
                    // SAFETY: all zeroes is a valid set, an empty one.
                    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
                    // SAFETY: a valid set and the number of a signal.
                    unsafe { libc::sigaddset(&raw mut set, signal) };
                    // SAFETY: reads the set, and writes none.
                    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) };
                    Ok(())
                })
            });
        }
    }

    #[test]
    #[ignore = "needs namespaces"]
    fn the_working_directory_stays_where_the_root_does() {
        let comparison = Comparison::new();
        let dir = comparison.root.path("tmp");
        comparison.assert_untouched(&[], |run| {
            run.with(|command| {
                command.current_dir(&dir);
            })
        });
    }
}

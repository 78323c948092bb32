//! A machine that lacks what every machine has: each tool works, or prints why not.

use std::ffi::OsString;
use std::fs;

use tests::tar::Tar;
use tests::{End, Ended, Link, Run, Scratch, Snapshot, tools};

/// Commands of a shell before it becomes the tool, which is in its arguments.
const BEFORE: [&str; 32] = [
    "ulimit -n 0",
    "ulimit -n 3",
    "ulimit -n 4",
    "ulimit -n 5",
    "ulimit -n 6",
    "ulimit -n 7",
    "ulimit -n 8",
    "ulimit -n 10",
    "ulimit -n 12",
    "ulimit -p 0",
    "ulimit -p 1",
    "ulimit -v 3000",
    "ulimit -v 5000",
    "ulimit -v 8000",
    "ulimit -v 20000",
    "ulimit -v 80000",
    "ulimit -s 64",
    "ulimit -l 0",
    "ulimit -f 0",
    "exec <&-",
    "exec >&-",
    "exec 2>&-",
    "exec <&- >&-",
    "exec <&- 2>&-",
    "exec >&- 2>&-",
    "exec <&- >&- 2>&-",
    "exec </dev/full >/dev/full 2>/dev/full",
    "unset HOME",
    "unset PATH",
    "export PATH=",
    "cd /proc/self/fd",
    "umask 777",
];

/// The same, in a private mount namespace.
const MOUNTED: [&str; 10] = [
    "mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp",
    "mount -t tmpfs none /proc",
    "mount -t tmpfs none /sys",
    "mount -t tmpfs none /dev",
    "mount -t tmpfs none /run",
    "mount -t tmpfs none /etc",
    "mount --bind /dev/zero /dev/null",
    "mount -t tmpfs none /proc && mount -t tmpfs none /sys && mount -t tmpfs none /dev",
    "mount -t tmpfs -o ro none /sys/fs/cgroup",
    "mount --make-rslave /",
];

/// The command of each chain, known by its exit status: it may have nowhere to write to.
const COMMAND: [&str; 3] = ["/bin/sh", "-c", "exit 7"];

/// A command line under test: its name, its words, and its exit status if nothing is missing.
type Line = (&'static str, Vec<OsString>, i32);

fn lines(root: &Scratch, files: &Scratch) -> Vec<Line> {
    let mut lines: Vec<Line> =
        Link::all(root).iter().map(|link| (link.name, link.words(COMMAND), 7)).collect();
    let fetch = [tools().fetch().into(), files.path("a.tar").into(), files.path("out").into()];
    lines.push(("rootfs-fetch", fetch.to_vec(), 0));
    lines
}

/// Runs a command line after some shell commands.
fn run(before: &str, mounts: bool, (_, words, _): &Line) -> Ended {
    let root = nix::unistd::geteuid().is_root();
    let own: &[&str] = match (mounts, root) {
        (false, _) => &[],
        (true, true) => &["unshare", "--mount", "--"],
        (true, false) => &["unshare", "--user", "--map-root-user", "--mount", "--"],
    };
    let shell = ["sh", "-c", &format!("{before} || exit 99\nexec \"$@\""), "sh"].map(OsString::from);
    let mut all = own.iter().map(OsString::from).chain(shell).chain(words.iter().cloned());
    let program = all.next().expect("a program");
    Run::new(program).args(all).end()
}

/// What is wrong with its end.
fn wrong(before: &str, (name, _, good): &Line, ended: &Ended) -> Option<String> {
    let err = ended.err();
    let shown = || format!("{before}: {name}: {:?}, said {err}", ended.end);
    let failed = match ended.end {
        End::Exit(status) if status == *good => false,
        End::Exit(1..=7) if *name == "rootfs-fetch" => true,
        End::Exit(125..=127) if *name != "rootfs-fetch" => true,
        // the kernel or libc ended it before our first instruction
        End::Signal(9 | 11) if before.starts_with("ulimit -v") && !can_be_loaded(before, name) => false,
        _ => return Some(shown()),
    };
    let names = ["unshare-rs: ", "cgexec-rs: ", "chroot-rs: ", "rootfs-fetch: "];
    let says = err.lines().any(|line| names.iter().any(|name| line.starts_with(name)));
    let unheard = before.contains("2>");
    let strange = err.contains("panicked") || err.contains("(os error");
    ((failed && !says && !unheard) || strange).then(shown)
}

/// Whether there is enough memory for a program to start at all.
fn can_be_loaded(before: &str, name: &'static str) -> bool {
    let tool = match name {
        "rootfs-fetch" => tools().fetch(),
        "chroot" => tools().chroot(),
        _ => tools().unshare(),
    };
    run(before, false, &(name, vec![tool.into(), "--version".into()], 0)).end == End::Exit(0)
}

/// Runs each command line in each circumstance.
#[track_caller]
fn try_all(circumstances: &[&str], mounts: bool) {
    let machine = Snapshot::take();
    let (root, files) = (Scratch::busybox_root(), Scratch::new());
    let archive = Tar::new().dir("d", 0o755).file("d/f", b"text").symlink("l", "d").end();
    fs::write(files.path("a.tar"), archive).expect("an archive");
    let mut found = Vec::new();
    for before in circumstances {
        let mut failed = Vec::new();
        for line in lines(&root, &files) {
            let ended = run(before, mounts, &line);
            found.extend(wrong(before, &line, &ended));
            if ended.end != End::Exit(line.2) {
                failed.push(format!(
                    "  {}: {:?} {}",
                    line.0,
                    ended.end,
                    ended.err().lines().next().unwrap_or("")
                ));
            }
            if let Some(left) = machine.left() {
                panic!("{before}: {}: left behind:\n{left}", line.0);
            }
            for entry in fs::read_dir(files.path("")).expect("the directory").flatten() {
                match entry.file_name().to_str() {
                    Some("a.tar") => {}
                    Some("out") => fs::remove_dir_all(entry.path()).expect("a directory to take away"),
                    // it could not open what it had to remove, and printed that; the next run removes it
                    _ if ended.err().contains("rootfs-fetch: cannot remove \"out.partial-") => {
                        fs::remove_dir_all(entry.path()).expect("a directory to take away");
                    }
                    _ => found.push(format!("{before}: left behind {:?}", entry.path())),
                }
            }
        }
        // printed with --nocapture: the command lines that failed
        println!("{before}\n{}", failed.join("\n"));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn what_was_asked_for_and_cannot_be_printed_is_an_error() {
    let links = [tools().unshare(), tools().cgexec(), tools().chroot()].map(|tool| (tool, 125));
    for (tool, status) in links.into_iter().chain([(tools().fetch(), 1)]) {
        let name = tool.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let more = match name.as_str() {
            "cgexec-rs" => "--check",
            "rootfs-fetch" => "--list",
            _ => "-h",
        };
        for option in ["--help", "--version", more] {
            let shell = |line: &str| Run::new("sh").args(["-c", line]).arg(&tool).arg(option).end();
            for (line, error) in [
                ("\"$0\" $1 >/dev/full", "No space left on device (ENOSPC)"),
                ("\"$0\" $1 >&-", "Bad file descriptor (EBADF)"),
            ] {
                // std's start opens /dev/null in place of a descriptor that is closed
                if name == "rootfs-fetch" && line.ends_with("&-") {
                    continue;
                }
                let said = shell(line).ended(End::Exit(status)).err();
                let expected = format!("{name}: cannot write to standard output: write(1): {error}\n");
                assert_eq!(said, expected, "{option}");
            }
            // the reader has what it wanted
            let piped = shell("{ \"$0\" $1; echo $? >&2; } | :").ended(End::Exit(0));
            let status = piped.err();
            assert!(status == "0\n" || option == "--check" && status == "125\n", "{option}: {status}");
        }
    }
}

mod on_host {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn limits_closed_descriptors_and_an_empty_environment_are_lived_with_or_said() {
        try_all(&BEFORE, false);
    }

    #[test]
    #[ignore = "needs busybox-static, util-linux and namespaces"]
    fn mounts_that_are_missing_or_read_only_are_lived_with_or_said() {
        try_all(&MOUNTED, true);
    }

    #[test]
    #[ignore = "needs util-linux and namespaces"]
    fn a_full_disk_is_said_and_nothing_stays_on_it() {
        let files = Scratch::new();
        fs::write(files.path("a.tar"), Tar::new().file("large", &[7; 1 << 20]).file("s", b"").end())
            .expect("an archive");
        fs::create_dir(files.path("small")).expect("a directory to mount on");
        let shell = |options: &str| {
            format!(
                "cd '{}' && mount -t tmpfs -o {options} none small || exit 99\n\
                 \"$0\" a.tar small/out; status=$?; ls -A small; exit $status",
                files.path("").display()
            )
        };
        for options in ["size=64k", "size=4m,nr_inodes=2", "size=4m,nr_inodes=3"] {
            let own = if nix::unistd::geteuid().is_root() { vec!["--mount"] } else { vec!["-Urm"] };
            let run = Run::new("unshare").args(own).args(["--", "sh", "-c", &shell(options)]);
            let ended = run.arg(tools().fetch()).end().ended(End::Exit(1));
            assert_eq!(ended.out(), "", "{options}");
            let said = ended.err();
            let (hints, lines): (Vec<&str>, Vec<&str>) =
                said.lines().partition(|line| line.contains(": hint: "));
            assert!(
                lines.len() == 1 && lines[0].ends_with(" (ENOSPC)") && hints.len() <= 1,
                "{options}: {said}"
            );
        }
    }
}

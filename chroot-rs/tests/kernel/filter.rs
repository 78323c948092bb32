//! The system-call filter in the kernel: the test asks about each number, and makes none of the calls.

use std::fs;

use tests::seccomp::{ALLOWED, answer_questions};
use tests::{End, Ended, Run, Scratch, tools};

/// A call to ask about: the name of its table, its number and its first two arguments.
#[derive(Debug)]
struct Question {
    table: &'static str,
    number: u32,
    args: [u64; 2],
}

/// The tables of system calls that this machine's kernel accepts, and their columns in `seccomp/syscalls.tsv`.
const TABLES: &[(&str, usize)] =
    if cfg!(target_arch = "x86_64") { &[("native", 1), ("i386", 2)] } else { &[("native", 3)] };

/// The name, the numbers and the rule of each call.
fn rows() -> impl Iterator<Item = Vec<&'static str>> {
    let lines = include_str!("../../seccomp/syscalls.tsv").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split('\t').collect())
}

/// A command inside.
struct Case {
    /// Whether it is in a user namespace; there, the kernel itself checks its capabilities.
    in_user_namespace: bool,
    /// The options of chroot-rs.
    options: &'static [&'static str],
    /// The capabilities that allow it more calls.
    capabilities: &'static [&'static str],
}

impl Case {
    /// The errno by a rule for a call of the command with arguments of 0.
    fn expected(&self, rule: &str) -> i32 {
        let has = |list: &str| list.split(',').any(|name| self.capabilities.contains(&name));
        match rule.split_once(':') {
            Some(("ns", list)) if self.in_user_namespace || has(list) => ALLOWED,
            Some(("cap", list)) if has(list) => ALLOWED,
            Some(_) => libc::EPERM,
            None => match rule {
                "deny" => libc::EPERM,
                "absent" => libc::ENOSYS,
                "clone3" if !self.makes_namespaces() => libc::ENOSYS,
                _ => ALLOWED,
            },
        }
    }

    fn makes_namespaces(&self) -> bool {
        self.in_user_namespace || self.capabilities.contains(&"SYS_ADMIN")
    }

    /// Each number of a table, with the expected errno.
    fn numbers(&self, table: &'static str, column: usize) -> Vec<(Question, i32)> {
        let rules: Vec<(u32, &str)> =
            rows().filter_map(|row| Some((row[column].parse().ok()?, row[4]))).collect();
        let rule =
            |number| rules.iter().find(|(known, _)| *known == number).map_or("absent", |(_, rule)| rule);
        // the kernel makes uretprobe and uprobe of x86_64 without asking a filter
        let is_asked = |number: &u32| table != "native" || column != 1 || ![335, 336].contains(number);
        // the second range is that of x32
        let numbers = (0..1024).chain(0x4000_0000..0x4000_0400).filter(is_asked);
        numbers
            .map(|number| (Question { table, number, args: [0; 2] }, self.expected(rule(number))))
            .collect()
    }

    /// Calls whose arguments decide.
    fn arguments(&self, table: &'static str, column: usize) -> Vec<(Question, i32)> {
        let of_namespaces = if self.makes_namespaces() { ALLOWED } else { libc::EPERM };
        // the kernel does not read this half
        let upper = 0xffff_ffff_0000_0000;
        let (tiocsti, tioclinux, tiocgwinsz) = (0x5412, 0x541c, 0x5413);
        let questions = [
            ("clone", [libc::CLONE_NEWUSER as u64, 0], of_namespaces),
            ("clone", [libc::CLONE_NEWNET as u64, 0], of_namespaces),
            ("clone", [libc::CLONE_VM as u64, 0], ALLOWED),
            ("ioctl", [0, tiocsti], libc::EPERM),
            ("ioctl", [0, upper | tiocsti], libc::EPERM),
            ("ioctl", [0, tioclinux], libc::EPERM),
            ("ioctl", [0, tiocgwinsz], ALLOWED),
            ("socket", [libc::AF_VSOCK as u64, 0], libc::EPERM),
            ("socket", [upper | libc::AF_VSOCK as u64, 0], libc::EPERM),
            ("socket", [libc::AF_INET as u64, 0], ALLOWED),
            ("personality", [0xffff_ffff, 0], ALLOWED),
            ("personality", [libc::ADDR_NO_RANDOMIZE as u64, 0], libc::EPERM),
        ];
        let number = |name| rows().find(|row| row[0] == name).and_then(|row| row[column].parse().ok());
        let known = |(name, args, errno)| Some((Question { table, number: number(name)?, args }, errno));
        questions.into_iter().filter_map(known).collect()
    }

    /// Runs the program that asks.
    fn ask(&self, questions: &[(Question, i32)]) -> Ended {
        let root = Scratch::busybox_root();
        root.install(&tools().decisions(), "bin");
        let line = |(Question { table, number, args: [first, second] }, _): &(Question, i32)| {
            format!("{table} {number} {first} {second}\n")
        };
        fs::write(root.path("questions"), questions.iter().map(line).collect::<String>()).unwrap();
        let mut run = if self.in_user_namespace {
            Run::new(tools().unshare()).args(["--user", "--map-root-user", "--"]).arg(tools().chroot())
        } else {
            Run::new(tools().chroot())
        };
        run = run.args(self.options).arg(root.path("")).args(["decisions", "/questions"]);
        run.with(answer_questions).end()
    }

    /// Compares the kernel's answers with the table.
    #[track_caller]
    fn check(&self) {
        for (table, column) in TABLES {
            let questions: Vec<_> =
                self.numbers(table, *column).into_iter().chain(self.arguments(table, *column)).collect();
            let ended = self.ask(&questions);
            // this kernel does not run 32-bit programs
            if *table == "i386" && ended.end == End::Signal(libc::SIGSEGV) {
                continue;
            }
            let answers: Vec<i32> = ended.ok().lines().map(|line| line.parse().unwrap()).collect();
            assert_eq!(answers.len(), questions.len());
            let wrong = questions.iter().zip(answers).filter(|((_, expected), answer)| expected != answer);
            let wrong: Vec<String> = wrong
                .map(|((question, expected), answer)| format!("{question:?}: {answer}, not {expected}"))
                .collect();
            assert_eq!(wrong, [""; 0]);
        }
    }
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn each_call_of_root_is_answered_as_the_table_says() {
        let with = |options, capabilities| Case { in_user_namespace: false, options, capabilities };
        with(&[], &["SYS_CHROOT"]).check();
        with(&["--cap-add=SYS_ADMIN"], &["SYS_CHROOT", "SYS_ADMIN"]).check();
        with(&["--cap-drop=SYS_CHROOT", "--cap-add=SYSLOG"], &["SYSLOG"]).check();
    }
}

mod as_user {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn each_call_of_a_user_is_answered_as_the_table_says() {
        Case { in_user_namespace: true, options: &[], capabilities: &["SYS_CHROOT"] }.check();
    }
}

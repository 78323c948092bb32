//! The system calls of a program, traced by strace(1), and calls that are made to fail.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;

use crate::run::{Ended, Run};
use crate::scratch::Scratch;

/// A system call in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracedCall {
    /// The caller, in the PID namespace of the test.
    pub pid: u32,
    /// The call's name.
    pub name: String,
    /// Its arguments as strace prints them, descriptors as `</path>` without their number.
    pub args: String,
    /// The result: a number, `-1 EPERM (Operation not permitted)`, `?`.
    pub result: String,
}

impl TracedCall {
    /// The call as `--explain` prints it.
    pub fn text(&self) -> String {
        format!("{}({})", self.name, self.args)
    }

    /// Whether the call succeeded.
    pub fn worked(&self) -> bool {
        !self.result.starts_with("-1 ")
    }

    /// Whether this is a call that was made to fail.
    pub fn was_refused(&self) -> bool {
        self.result.ends_with(" (INJECTED)")
    }
}

/// A run under strace, being configured.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    calls: Option<String>,
    options: Vec<String>,
}

/// A run under strace that ended.
#[derive(Debug)]
pub struct Traced {
    /// The command's output and its end, which is also strace's.
    pub ended: Ended,
    /// All calls of all its processes, in the order of their starts.
    pub calls: Vec<TracedCall>,
}

impl Trace {
    /// A trace of all calls.
    pub fn new() -> Self {
        Self::default()
    }

    /// Traces only these calls: a list or a class of strace's, `mount,umount2` or `%process`.
    pub fn only(mut self, calls: impl Into<String>) -> Self {
        self.calls = Some(calls.into());
        self
    }

    /// Makes the `nth` call of this name (from 1, counted in each process) fail with EPERM.
    pub fn fail(self, name: &str, nth: usize) -> Self {
        self.fail_with(name, nth, "EPERM")
    }

    /// The same with another errno, by its name.
    pub fn fail_with(mut self, name: &str, nth: usize, errno: &str) -> Self {
        self.options.push(format!("--inject={name}:error={errno}:when={nth}"));
        self
    }

    /// Makes every call of this name fail with an errno.
    pub fn every(mut self, name: &str, errno: &str) -> Self {
        self.options.push(format!("--inject={name}:error={errno}"));
        self
    }

    /// Delays the return from every call of this name by three seconds, in which another process can act.
    pub fn slow(mut self, name: &str) -> Self {
        self.options.push(format!("--inject={name}:delay_exit=3000000"));
        self
    }

    /// Counts only calls on this path, for [`Self::fail`], too.
    pub fn on_path(mut self, path: &str) -> Self {
        self.options.push(format!("--trace-path={path}"));
        self
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// Without strace, or if the log cannot be understood.
    #[track_caller]
    pub fn run(self, command: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Traced {
        let scratch = Scratch::new();
        let log = scratch.path("log");
        let trace = self.calls.map(|calls| format!("--trace={calls}"));
        let ended = Run::new("strace")
            .args(["-f", "-y", "-s", "4096", "-o"])
            .arg(&log)
            .args(trace.into_iter().chain(self.options))
            .arg("--")
            .args(command)
            .end();
        let log = fs::read(&log).unwrap_or_else(|why| panic!("no log: {why}; strace: {}", ended.err()));
        Traced { ended, calls: parse(&String::from_utf8_lossy(&log)) }
    }
}

/// Parses a log made with `-f`, without the lines about signals and exits.
fn parse(log: &str) -> Vec<TracedCall> {
    let mut calls: Vec<TracedCall> = Vec::new();
    let mut unfinished: HashMap<u32, usize> = HashMap::new();
    for line in log.lines() {
        let (pid, rest) = line.split_once(' ').expect("a line that starts with a process id");
        let pid = pid.parse().unwrap_or_else(|_| panic!("no process id: {line}"));
        let rest = rest.trim_start();
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        if rest.starts_with("<... ") {
            let (_, rest) = rest.split_once(" resumed>").unwrap_or_else(|| panic!("not resumed: {line}"));
            let begun = unfinished.remove(&pid).and_then(|at| calls.get_mut(at));
            let begun = begun.unwrap_or_else(|| panic!("resumed, but never begun: {line}"));
            let (args, result) = split_result(rest).unwrap_or_else(|| panic!("no result: {line}"));
            begun.args.push_str(&without_numbers(args));
            begun.result = result.into();
            continue;
        }
        let (name, rest) = rest.split_once('(').unwrap_or_else(|| panic!("no call: {line}"));
        let (args, result) = match rest.strip_suffix(" <unfinished ...>").map(str::trim_end) {
            Some(args) => {
                unfinished.insert(pid, calls.len());
                (args, "?")
            }
            None => split_result(rest).unwrap_or_else(|| panic!("no result: {line}")),
        };
        calls.push(TracedCall { pid, name: name.into(), args: without_numbers(args), result: result.into() });
    }
    calls
}

/// `ARGS) = RESULT`, with spaces before the last ` = ` that follows a parenthesis.
fn split_result(rest: &str) -> Option<(&str, &str)> {
    rest.rmatch_indices(" = ").find_map(|(at, equals)| {
        let args = rest.get(..at)?.trim_end().strip_suffix(')')?;
        Some((args, rest.get(at + equals.len()..)?))
    })
}

/// `3</path>` becomes `</path>`, but not in quoted strings.
fn without_numbers(args: &str) -> String {
    let mut text = String::with_capacity(args.len());
    let mut quoted = false;
    let mut escaped = false;
    for (at, each) in args.char_indices() {
        if each == '<' && !quoted {
            let number = text.trim_end_matches(|last: char| last.is_ascii_digit()).len();
            // AT_FDCWD</path> keeps its name
            if !text.get(..number).is_some_and(|before| before.ends_with(char::is_alphanumeric)) {
                text.truncate(number);
            }
        }
        quoted ^= each == '"' && !escaped;
        escaped = each == '\\' && !escaped;
        text.extend(args.get(at..at + each.len_utf8()));
    }
    text
}

/// How many calls of the same name the same process has made so far, including this one: strace's `when=`.
pub fn counted(calls: &[TracedCall]) -> Vec<(usize, &TracedCall)> {
    let mut made: HashMap<(u32, &str), usize> = HashMap::new();
    let count = |call| {
        let TracedCall { pid, name, .. }: &TracedCall = call;
        let nth = made.entry((*pid, name.as_str())).or_default();
        *nth += 1;
        (*nth, call)
    };
    calls.iter().map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(log: &str) -> Vec<String> {
        parse(log).iter().map(|call| format!("{} {} = {}", call.pid, call.text(), call.result)).collect()
    }

    #[test]
    fn a_line_is_a_call() {
        let log = "11  mount(\"none\", \"/\", NULL, MS_REC|MS_PRIVATE, NULL) = 0\n";
        assert_eq!(texts(log), ["11 mount(\"none\", \"/\", NULL, MS_REC|MS_PRIVATE, NULL) = 0"]);
    }

    #[test]
    fn descriptors_lose_their_numbers_and_strings_keep_theirs() {
        let log = "11  mkdirat(3</a>, \"4</b>\\\"5</c>\", 0755) = 0\n12 openat(AT_FDCWD</x1>, \"y\", O_RDONLY) = 4</x1/y>\n";
        assert_eq!(
            texts(log),
            [
                "11 mkdirat(</a>, \"4</b>\\\"5</c>\", 0755) = 0",
                "12 openat(AT_FDCWD</x1>, \"y\", O_RDONLY) = 4</x1/y>"
            ]
        );
    }

    #[test]
    fn an_interrupted_call_is_one_call_where_it_began() {
        let log = "11  wait4(-1,  <unfinished ...>\n\
            12  chdir(\"/\")                       = 0\n\
            12  +++ exited with 0 +++\n\
            11  <... wait4 resumed>NULL, 0, NULL) = 12\n\
            11  --- SIGCHLD {si_signo=SIGCHLD} ---\n\
            13  pause( <unfinished ...>\n";
        assert_eq!(texts(log), ["11 wait4(-1,NULL, 0, NULL) = 12", "12 chdir(\"/\") = 0", "13 pause() = ?"]);
    }

    #[test]
    fn calls_are_counted_in_each_process() {
        let calls = parse("1 chdir(\"/a\") = 0\n2 chdir(\"/b\") = 0\n1 chdir(\"/c\") = 0\n");
        assert_eq!(counted(&calls).iter().map(|(nth, _)| *nth).collect::<Vec<_>>(), [1, 1, 2]);
    }

    mod as_anyone {
        use super::*;
        use crate::run::End;

        #[test]
        #[ignore = "needs strace"]
        fn a_call_can_be_made_to_fail() {
            let script = "cd /; cd /tmp; cd /etc";
            let traced = Trace::new().only("chdir").fail("chdir", 2).run(["sh", "-c", script]);
            let results: Vec<_> = traced.calls.iter().map(|call| (call.text(), call.worked())).collect();
            let expected = [("chdir(\"/\")", true), ("chdir(\"/tmp\")", false), ("chdir(\"/etc\")", true)];
            assert_eq!(results, expected.map(|(text, worked)| (text.to_string(), worked)));
            let refused: Vec<_> = traced.calls.iter().map(TracedCall::was_refused).collect();
            assert_eq!(refused, [false, true, false]);
            assert_eq!(traced.ended.end, End::Exit(0));
        }
    }
}

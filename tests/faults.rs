// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each single call of each plan refused: one line says which, nothing stays behind.

use tests::told::{CHANGES, is_change};
use tests::trace::{Call, counted};
use tests::{End, Ended, Link, Scratch, Snapshot, Trace};

/// What the command says if it ran after all.
const COMMAND: [&str; 3] = ["/bin/sh", "-c", "echo the command ran"];

/// Calls that open what a change is then made to.
const OPENERS: [&str; 5] = ["flock", "openat", "openat2", "pipe2", "socket"];

/// Whether the plan cannot go on without the call.
fn is_needed(call: &Call) -> bool {
    match call.name.as_str() {
        // what is only read may be missing, and the terminal too
        "openat" => call.args.contains("O_WRONLY"),
        name => OPENERS.contains(&name) || is_change(call),
    }
}

/// A call to refuse.
struct Fault {
    call: Call,
    /// Which one of its name it is, in its process.
    nth: usize,
    /// The parent has made as many by then: only its path tells the call apart.
    path: Option<String>,
}

impl Fault {
    fn run(&self, plan: &Link) -> Ended {
        let trace = Trace::new();
        let trace = match &self.path {
            Some(path) => trace.on_path(path).fail(&self.call.name, 1),
            None => trace.fail(&self.call.name, self.nth),
        };
        trace.run(plan.words(COMMAND)).ended
    }
}

/// All changes that a plan makes before it becomes the command.
fn faults(plan: &Link) -> Vec<Fault> {
    let calls = Trace::new().only([CHANGES, &OPENERS].concat().join(",")).run(plan.words(COMMAND)).calls;
    let became = |call: &Call| call.name == "execve" && call.worked() && call.args.contains(COMMAND[2]);
    // the first one is how strace starts the tool
    let end = calls.iter().skip(1).position(became).expect("the command in the log") + 1;
    let calls = counted(calls.get(..end).unwrap_or_default());
    let tool = calls.first().expect("the tool in the log").1.pid;
    let by_the_tool = |nth: usize, name: &str| {
        calls.iter().any(|(its_nth, call)| call.pid == tool && (*its_nth, call.name.as_str()) == (nth, name))
    };
    // before its first change a tool only looks
    let looked = calls.iter().skip(1).position(|(_, call)| is_change(call)).map_or(end, |at| at + 1);
    let changes = calls.iter().skip(looked).filter(|(_, call)| is_needed(call) && call.worked());
    let fault = |(nth, call): &(usize, &Call)| {
        let told_apart = call.pid == tool || !by_the_tool(*nth, &call.name);
        let path = if told_apart { None } else { Some(path_of(call)?) };
        Some(Fault { call: (*call).clone(), nth: *nth, path })
    };
    changes.filter_map(fault).collect()
}

/// The last absolute path in a call, its file or a mount's target, if it is the same in each run.
///
/// A group's name is not, but for the plan that gives it one.
fn path_of(call: &Call) -> Option<String> {
    let mut words = call.args.split(['"', '<', '>']);
    words.rfind(|word| word.starts_with('/')).filter(|path| !path.contains("/cgexec-")).map(String::from)
}

/// What the refused call is called in the tool's own words.
fn told_name(call: &Call) -> &str {
    match call.name.as_str() {
        "clone" | "vfork" => "fork",
        name => name,
    }
}

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs strace, busybox-static and namespaces"]
    fn each_call_that_is_refused_is_named_once_and_leaves_nothing() {
        let before = Snapshot::take();
        let root = Scratch::busybox_root();
        let (mut wrong, mut count) = (Vec::new(), 0);
        for plan in Link::plans(&root) {
            // the first run also takes away what a killed one had to leave, and says what is left out
            // traced as well, because that keeps newuidmap from its rights
            let quiet = Trace::new().run(plan.words(COMMAND)).ended.err();
            let faults = faults(&plan);
            // seen with --nocapture: what a green result is worth
            println!("{}: {} calls refused", plan.name, faults.len());
            count += faults.len();
            for fault in faults {
                let Fault { call, nth, .. } = &fault;
                let ended = fault.run(&plan);
                let err = ended.err();
                let new: Vec<_> = err.lines().filter(|line| !quiet.contains(line)).collect();
                let failures = new.iter().filter(|line| line.contains(": cannot ")).count();
                let named = new.iter().any(|line| {
                    (OPENERS.contains(&call.name.as_str()) || line.contains(&format!("{}(", told_name(call))))
                        && line.ends_with(": Operation not permitted (EPERM)")
                });
                let hints = new.iter().filter(|line| line.contains(": hint: ")).count();
                let right = ended.end == End::Exit(125)
                    && named
                    && failures == 1
                    && new.len() == 1 + hints
                    && hints <= 1;
                if !right || ended.out() != "" {
                    let text = call.text();
                    wrong.push(format!(
                        "{} number {nth}: {text}\n  {:?}, said {new:?} {:?}",
                        plan.name,
                        ended.end,
                        ended.out()
                    ));
                }
                before.unchanged();
            }
        }
        assert!(count > 20, "only {count} calls to refuse");
        assert!(wrong.is_empty(), "refused with EPERM:\n{}", wrong.join("\n"));
    }
}

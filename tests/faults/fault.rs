//! The calls of a plan that can be made to fail, each told apart from the others.

use tests::explain::{CHANGING_CALLS, is_change};
use tests::trace::{TracedCall, counted};
use tests::{Ended, Link, Trace};

/// A command whose output shows that it ran.
pub const COMMAND: [&str; 3] = ["/bin/sh", "-c", "echo the command ran"];

/// Calls that open or prepare the object of a later change.
const OPENERS: [&str; 11] = [
    "fchmod",
    "fchown",
    "fcntl",
    "flock",
    "fsconfig",
    "openat",
    "openat2",
    "pipe2",
    "prctl",
    "signalfd4",
    "socket",
];

/// How often to try again if the fault hit another call.
const TRIES: usize = 5;

/// Whether a failure names the step's call instead of this one, which is a part of the step.
pub fn is_opener(name: &str) -> bool {
    OPENERS.contains(&name)
}

/// Whether the plan cannot continue without the call.
fn is_needed(call: &TracedCall) -> bool {
    match call.name.as_str() {
        // files that are only read can be missing, and so can the terminal
        "openat" => call.args.contains("O_WRONLY"),
        // one dropped capability represents all
        "prctl" => ["PR_SET_PDEATHSIG", "PR_CAPBSET_DROP, CAP_SYS_ADMIN"]
            .iter()
            .any(|option| call.args.starts_with(option)),
        // a descriptor to listen on or to pass on; std sets flags as it likes
        "fcntl" => call.args.contains("F_SETFD"),
        name => is_opener(name) || is_change(call),
    }
}

/// Whether the number of earlier calls can vary, depending on what the tool finds. The arguments identify
/// these calls.
fn is_uncertain(call: &TracedCall) -> bool {
    ["flock", "openat", "write"].contains(&call.name.as_str())
}

/// A call to refuse.
pub struct Fault {
    /// The plan that makes it.
    pub plan: &'static str,
    /// The call, as it was made without faults.
    pub call: TracedCall,
    /// Its number among the calls with this name in its process.
    pub nth: usize,
    /// Set if the parent has made as many by then: only the path tells the calls apart.
    path: Option<String>,
}

impl Fault {
    /// The plan with this call failing.
    pub fn run(&self, plan: &Link, errno: &str) -> Ended {
        let mut nth = self.nth;
        for _ in 0..TRIES {
            let trace = Trace::new();
            let trace = match &self.path {
                Some(path) => trace.on_path(path).fail_with(&self.call.name, 1, errno),
                None => trace.fail_with(&self.call.name, nth, errno),
            };
            let traced = trace.run(plan.words(COMMAND));
            let refused = |call: &TracedCall| call.was_refused() && self.is_like(call);
            if self.path.is_some() || !is_uncertain(&self.call) || traced.calls.iter().any(refused) {
                return traced.ended;
            }
            // what the tool searches for, such as groups of other runs, changes the number of calls
            let calls = Trace::new().only(self.call.name.as_str()).run(plan.words(COMMAND)).calls;
            let like = counted(&calls).into_iter().filter(|(_, call)| self.is_like(call)).map(|(nth, _)| nth);
            nth = like.min_by_key(|at| at.abs_diff(nth)).unwrap_or(nth);
        }
        panic!("{} was never the one that was refused", self.call.text());
    }

    /// Whether a call of another run is this one: numbers, and names that contain them, differ between runs.
    fn is_like(&self, call: &TracedCall) -> bool {
        let shape = |args: &str| args.chars().filter(|each| !each.is_ascii_hexdigit()).collect::<String>();
        call.name == self.call.name && shape(&call.args) == shape(&self.call.args)
    }

    /// The name of the refused call in the tool's messages.
    pub fn told_name(&self) -> &str {
        match self.call.name.as_str() {
            "clone" | "vfork" => "fork",
            name => name,
        }
    }
}

/// All changes of a plan before it becomes the command.
pub fn faults(plan: &Link) -> Vec<Fault> {
    let calls =
        Trace::new().only([CHANGING_CALLS, &OPENERS].concat().join(",")).run(plan.words(COMMAND)).calls;
    let became = |call: &TracedCall| call.name == "execve" && call.worked() && call.args.contains(COMMAND[2]);
    // the first one is strace starting the tool
    let end = calls.iter().skip(1).position(became).expect("the command in the log") + 1;
    let calls = counted(calls.get(..end).unwrap_or_default());
    let tool = calls.first().expect("the tool in the log").1.pid;
    let by_the_tool = |nth: usize, name: &str| {
        calls.iter().any(|(its_nth, call)| call.pid == tool && (*its_nth, call.name.as_str()) == (nth, name))
    };
    // before its first change, a tool only reads
    let looked = calls.iter().skip(1).position(|(_, call)| is_change(call)).map_or(end, |at| at + 1);
    let changes = calls.iter().skip(looked).filter(|(_, call)| is_needed(call) && call.worked());
    let fault = |(nth, call): &(usize, &TracedCall)| {
        let told_apart = call.pid == tool || !by_the_tool(*nth, &call.name);
        let path = if told_apart { None } else { Some(path_of(call)?) };
        Some(Fault { plan: plan.name, call: (*call).clone(), nth: *nth, path })
    };
    changes.filter_map(fault).collect()
}

/// The last absolute path in a call, a file or a mount's target, if it is the same in each run.
///
/// The name of a group is not, except in the plan that names it.
fn path_of(call: &TracedCall) -> Option<String> {
    let mut words = call.args.split(['"', '<', '>']);
    words.rfind(|word| word.starts_with('/')).filter(|path| !path.contains("/cgexec-")).map(String::from)
}

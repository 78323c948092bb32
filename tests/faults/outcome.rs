//! What a tool made of a refused call, and whether that is right.

use std::path::Path;

use tests::trace::Call;
use tests::{End, Ended};

use crate::fault::{Fault, is_opener};

/// What the command says.
const RAN: &str = "the command ran\n";

/// What followed, as the table has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outcome {
    /// The exit status.
    pub status: String,
    /// The line that was said, its errno left out, or why none was.
    pub said: String,
}

/// What was said that is not said when nothing fails.
fn new_lines<'a>(err: &'a str, quiet: &str) -> Vec<&'a str> {
    err.lines().filter(|line| !quiet.contains(line)).collect()
}

/// The outcome of a fault.
///
/// # Errors
/// What is wrong with it.
pub fn judge(fault: &Fault, errno: &str, ended: &Ended, quiet: &str) -> Result<Outcome, String> {
    let err = ended.err();
    let new = new_lines(&err, quiet);
    let wrong = || Err(format!("{:?}, said {new:?} {:?}", ended.end, ended.out()));
    // tried again, or done in another way: then the command runs as if nothing had been
    if goes_on(&fault.call.name, errno) && ended.end == End::Exit(0) && new.is_empty() {
        return Ok(Outcome { status: "0".into(), said: "(another way: the command runs)".into() });
    }
    let (failures, hints): (Vec<&str>, Vec<&str>) = new.iter().partition(|line| !line.contains(": hint: "));
    let [failure] = failures.as_slice() else { return wrong() };
    if let Some(note) = left_out(fault, errno) {
        let noted = failure.contains(note) && hints.is_empty();
        if ended.end != End::Exit(0) || !noted || ended.out() != RAN {
            return wrong();
        }
        return Ok(Outcome { status: "0".into(), said: (*failure).to_string() });
    }
    let named = is_opener(&fault.call.name) || failure.contains(&format!("{}(", fault.told_name()));
    let end = format!(" ({errno})");
    let told = failure.contains(": cannot ") && failure.ends_with(&end) && named;
    // a default that cannot be done is left out
    let (status, printed) = if is_optional(&fault.call) { (0, RAN) } else { (125, "") };
    if ended.end != End::Exit(status) || hints.len() > 1 || !told || ended.out() != printed {
        return wrong();
    }
    // strerror(3)'s words and the name of the errno are in another column
    let said = failure.rsplit_once(": ").map_or(*failure, |(said, _)| said);
    Ok(Outcome { status: status.to_string(), said: said.to_string() })
}

/// Which failures a tool knows another way for, and why.
fn goes_on(call: &str, errno: &str) -> bool {
    match (call, errno) {
        // kernels before 5.7 have no CLONE_INTO_CGROUP, and filters hide clone3(2)
        ("clone3", "ENOSYS" | "E2BIG") => true,
        // no keyrings, or nobody gets at one
        ("keyctl", "EPERM" | "ENOSYS") => true,
        // the parent that stays locks a group that may just be going
        ("flock", "EINTR") => true,
        // kernels before 5.6: each component is opened by itself
        ("openat2", "ENOSYS") => true,
        // cgroup.subtree_control and killed processes on their way out
        ("write", "EBUSY") => true,
        _ => false,
    }
}

/// How the line begins that says what is left out: only a default gives way, and only to the errno by
/// which filters and containers refuse it. The same call that an option wants is a failure.
fn left_out(fault: &Fault, errno: &str) -> Option<&'static str> {
    if errno != "EPERM" || fault.plan != "unshare" {
        return None;
    }
    match fault.call.name.as_str() {
        "sethostname" => Some("unshare-rs: the hostname is unchanged: "),
        "mount" if fault.call.args.starts_with("\"proc\", ") => {
            Some("unshare-rs: the processes outside stay visible: ")
        }
        _ => None,
    }
}

/// Whether the command runs without what the call does, which is then told as a failure is.
fn is_optional(call: &Call) -> bool {
    match call.name.as_str() {
        "keyctl" | "seccomp" => true,
        "prctl" => call.args.starts_with("PR_CAPBSET_DROP"),
        _ => false,
    }
}

/// A line without what differs from run to run and machine to machine: the root's path, the
/// group's place and name, and an ordinary user's number.
pub fn without_places(line: &str, root: &Path) -> String {
    let line = line.replace(&*root.to_string_lossy(), "NEWROOT");
    let user = nix::unistd::geteuid();
    let map = format!("0 {user} 1");
    let length = format!("\"{map}\", {}", map.len());
    let line = if user.is_root() { line } else { line.replace(&length, "\"0 UID 1\", LENGTH") };
    let line =
        line.replace(&format!("{user} outside"), if user.is_root() { "0 outside" } else { "UID outside" });
    let within_group = |part: &str| {
        let rest = ["/cgexec-", "/chain-test-named"].into_iter().find_map(|name| part.split_once(name))?.1;
        Some(format!("GROUP{}", rest.trim_start_matches(|each: char| each.is_ascii_hexdigit())))
    };
    // a path stands in quotes, or as a descriptor's name
    let parts = line.split_inclusive(['"', '<', '>']);
    parts.map(|part| within_group(part).unwrap_or_else(|| part.to_string())).collect()
}

//! How a tool reacts to a refused call, and whether that is right.

use std::path::Path;

use tests::trace::TracedCall;
use tests::{End, Ended};

use crate::fault::{Fault, is_opener};

/// The output of the command.
const RAN: &str = "the command ran\n";

/// The result, as in the table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outcome {
    /// The exit status.
    pub status: String,
    /// The printed line without its errno, or why there was none.
    pub said: String,
}

/// Lines that are not printed without a fault.
fn new_lines<'a>(err: &'a str, quiet: &str) -> Vec<&'a str> {
    err.lines().filter(|line| !quiet.contains(line)).collect()
}

/// Judges the result of a fault.
///
/// # Errors
/// What is wrong with it.
pub fn judge(fault: &Fault, errno: &str, ended: &Ended, quiet: &str) -> Result<Outcome, String> {
    let err = ended.err();
    let new = new_lines(&err, quiet);
    let wrong = || Err(format!("{:?}, said {new:?} {:?}", ended.end, ended.out()));
    // tried again, or done in another way: then the command runs as if nothing had happened
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
    // a default that is impossible is skipped
    let (status, printed) = if is_optional(&fault.call) { (0, RAN) } else { (125, "") };
    if ended.end != End::Exit(status) || hints.len() > 1 || !told || ended.out() != printed {
        return wrong();
    }
    // the text of strerror(3) and the errno are in another column
    let said = failure.rsplit_once(": ").map_or(*failure, |(said, _)| said);
    Ok(Outcome { status: status.to_string(), said: said.to_string() })
}

/// Which failures a tool has an alternative for, and why.
fn goes_on(call: &str, errno: &str) -> bool {
    match (call, errno) {
        // kernels before 5.7 have no CLONE_INTO_CGROUP, and filters hide clone3(2)
        ("clone3", "ENOSYS" | "E2BIG") => true,
        // no keyrings, or no access to them
        ("keyctl", "EPERM" | "ENOSYS") => true,
        // the supervisor locks a group that may just be being removed
        ("flock", "EINTR") => true,
        // kernels before 5.6: each component is opened by itself
        ("openat2", "ENOSYS") => true,
        // cgroup.subtree_control, while killed processes are ending
        ("write", "EBUSY") => true,
        _ => false,
    }
}

/// The beginning of the line about a skipped default. Only a default is skipped, and only for the errno with
/// which filters and containers refuse it. If an option asks for the same call, it is a failure.
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

/// Whether the command runs without the call, which is then reported like a failure.
fn is_optional(call: &TracedCall) -> bool {
    match call.name.as_str() {
        "keyctl" | "seccomp" => true,
        "prctl" => call.args.starts_with("PR_CAPBSET_DROP"),
        _ => false,
    }
}

/// A line without what differs between runs and machines: the root's path, the group's place and name, and an
/// ordinary user's id.
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
    // a path is in quotes, or is a descriptor's name
    let parts = line.split_inclusive(['"', '<', '>']);
    parts.map(|part| within_group(part).unwrap_or_else(|| part.to_string())).collect()
}

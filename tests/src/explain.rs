//! The steps that `--explain` prints, and whether a call in strace's log is one of them.

use crate::trace::TracedCall;

/// The calls that change a process or the system: `--explain` must print each.
pub const CHANGING_CALLS: &[&str] = &[
    "capset",
    "chdir",
    "chroot",
    "clone",
    "clone3",
    "execve",
    "execveat",
    "fchdir",
    "fchmod",
    "flock",
    "fork",
    "fsconfig",
    "fsmount",
    "fsopen",
    "ioctl",
    "keyctl",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "pivot_root",
    "prctl",
    "rmdir",
    "seccomp",
    "setdomainname",
    "setgid",
    "setgroups",
    "sethostname",
    "setns",
    "setresgid",
    "setresuid",
    "setsid",
    "setuid",
    "symlink",
    "symlinkat",
    "umask",
    "umount2",
    "unlink",
    "unlinkat",
    "unshare",
    "vfork",
    "write",
];

/// A line of `--explain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedStep {
    /// The tool that printed it.
    pub tool: String,
    /// Why: "the tool will now …".
    pub reason: String,
    /// The call in strace's notation, without descriptor numbers.
    pub call: String,
    /// The manual page.
    pub page: String,
}

impl ExplainedStep {
    /// Parses `TOOL: REASON: CALL  # PAGE`; other lines are not steps.
    pub fn parse(line: &str) -> Option<Self> {
        let (said, page) = line.rsplit_once("  # ")?;
        if page.ends_with("(3)") {
            // of the environment, which the kernel does not know
            return None;
        }
        let (tool, said) = said.split_once(": ")?;
        // a reason can quote anything, so the call is the first part that looks like one
        let (at, _) =
            said.match_indices(": ").find(|(at, _)| is_call(said.get(at + 2..).unwrap_or_default()))?;
        let (reason, call) = (said.get(..at)?, said.get(at + 2..)?);
        Some(Self { tool: tool.into(), reason: reason.into(), call: call.into(), page: page.into() })
    }

    /// All steps in a tool's standard error. A step with several calls counts as one step each.
    pub fn parse_all(stderr: &str) -> Vec<Self> {
        let each = |step: Self| {
            let mut calls: Vec<String> = Vec::new();
            for part in step.call.split_inclusive("), ") {
                match calls.last_mut() {
                    Some(last) if !is_call(part) => last.push_str(part),
                    _ => calls.push(part.to_string()),
                }
            }
            let calls = calls.into_iter().map(|call| call.trim_end_matches(", ").to_string());
            calls.map(|call| Self { call, ..step.clone() }).collect::<Vec<_>>()
        };
        stderr.lines().filter_map(Self::parse).flat_map(each).collect()
    }

    /// Whether this call is this step.
    ///
    /// A step shows a descriptor without a path by a name: `<new root/proc>` matches any descriptor whose
    /// path ends with `/proc`. `...` matches anything. strace shows fork(3) as clone(2).
    pub fn is(&self, call: &TracedCall) -> bool {
        if self.call == "fork()" {
            return matches!(call.name.as_str(), "clone" | "fork" | "vfork")
                || call.name == "clone3" && !call.args.contains("CLONE_INTO_CGROUP");
        }
        // the log has the target of /proc/self
        let call = call.text().replace(&format!("</proc/{}/", call.pid), "</proc/self/");
        matches(&self.call, &as_told(&call))
    }
}

/// Whether `--explain` must print a call.
pub fn is_change(call: &TracedCall) -> bool {
    match call.name.as_str() {
        // a process reads its umask by setting it twice
        "umask" => false,
        // a free lock only shows that the run that created a group is gone
        "flock" => false,
        // without a file, it only tests whether the kernel has the call
        "open_tree" | "mount_setattr" if call.args.starts_with("-1, ") => false,
        // only writes to files that change the kernel's state
        "write" => call.args.starts_with("</proc/") || call.args.starts_with("</sys/"),
        "ioctl" => call.args.contains("SIOCSIFFLAGS"),
        // several capabilities in a row are shown as one
        "prctl" => {
            let told = ["PR_SET_DUMPABLE, SUID_DUMP_DISABLE", "PR_SET_KEEPCAPS", "PR_SET_NO_NEW_PRIVS"];
            told.iter().any(|operation| call.args.starts_with(operation))
        }
        "clone" | "clone3" => !call.args.contains("CLONE_THREAD"),
        name => CHANGING_CALLS.contains(&name),
    }
}

/// The calls of the tools themselves: without strace's start of the first one, and without those of a process
/// after it became the command (the program `command`).
pub fn calls_by_tools<'a>(calls: &'a [TracedCall], command: &str) -> Vec<&'a TracedCall> {
    let became = |call: &TracedCall| call.name == "execve" && call.worked() && call.args.contains(command);
    let mut commands = Vec::new();
    let mut kept = Vec::new();
    for call in calls.iter().skip(1) {
        if !commands.contains(&call.pid) {
            kept.push(call);
        }
        if became(call) {
            commands.push(call.pid);
        }
    }
    kept
}

fn is_call(text: &str) -> bool {
    let name = text.split('(').next().unwrap_or_default();
    name.len() < text.len()
        && !name.is_empty()
        && name.chars().all(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || each == '_')
}

/// Removes what only strace shows: the path of AT_FDCWD and the number of variables.
fn as_told(call: &str) -> String {
    let mut told = String::with_capacity(call.len());
    let mut rest = call;
    while let Some((before, after)) = rest.split_once("AT_FDCWD<") {
        told.push_str(before);
        told.push_str("AT_FDCWD");
        rest = after.split_once('>').map_or("", |(_, after)| after);
    }
    told.push_str(rest);
    match told.rsplit_once(", 0x") {
        Some((before, address)) if address.ends_with(" vars */)") => format!("{before}, environ)"),
        _ => told,
    }
}

/// Whether they are equal; `<name/end>` in `told` matches any `<…/end>`, and `...` anything.
fn matches(told: &str, call: &str) -> bool {
    if let Some((before, after)) = told.split_once("...").filter(|_| !told.contains('"')) {
        return call.strip_prefix(before).is_some_and(|rest| rest.ends_with(after));
    }
    let Some((before, name, after)) = named_descriptor(told) else { return told == call };
    let Some(rest) = call.strip_prefix(before) else { return false };
    // strace 6.1 shows the descriptor in clone3's arguments as a bare number
    let bare = rest.trim_start_matches(|each: char| each.is_ascii_digit());
    if bare.len() < rest.len() {
        return matches(after, bare);
    }
    let Some((path, rest)) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) else {
        return false;
    };
    let end = name.split_once('/').map(|(_, end)| format!("/{end}"));
    end.is_none_or(|end| path.ends_with(&end)) && matches(after, rest)
}

/// The first `<…>` outside of quotes that is not an absolute path.
fn named_descriptor(told: &str) -> Option<(&str, &str, &str)> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, each) in told.char_indices() {
        let rest = told.get(at + 1..).unwrap_or_default();
        if each == '<' && !quoted && !rest.starts_with('/') {
            let (name, after) = rest.split_once('>')?;
            return Some((told.get(..at)?, name, after));
        }
        quoted ^= each == '"' && !escaped;
        escaped = each == '\\' && !escaped;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(call: &str) -> ExplainedStep {
        ExplainedStep::parse(&format!("tool: do a thing: {call}  # page(2)")).unwrap()
    }

    fn call(name: &str, args: &str) -> TracedCall {
        TracedCall { pid: 1, name: name.into(), args: args.into(), result: "0".into() }
    }

    #[test]
    fn a_step_is_reason_call_and_page() {
        let line = r#"unshare-rs: become "a: b": execve("a: b", ["c  # d"], environ)  # execve(2)"#;
        let expected = ExplainedStep {
            tool: "unshare-rs".into(),
            reason: r#"become "a: b""#.into(),
            call: r#"execve("a: b", ["c  # d"], environ)"#.into(),
            page: "execve(2)".into(),
        };
        assert_eq!(ExplainedStep::parse(line), Some(expected));
        assert_eq!(ExplainedStep::parse("unshare-rs: left out /sys: it is a symbolic link"), None);
    }

    #[test]
    fn a_call_is_what_was_told_whatever_its_numbers() {
        let exec = told(r#"execve("/bin/true", ["true"], environ)"#);
        assert!(exec.is(&call("execve", r#""/bin/true", ["true"], 0x7ffd /* 9 vars */"#)));
        assert!(!exec.is(&call("execve", r#""/bin/true", ["false"], 0x7ffd /* 9 vars */"#)));
        let fchdir = told("fchdir(<new root/proc>)");
        assert!(fchdir.is(&call("fchdir", "</tmp/root/proc>")));
        assert!(!fchdir.is(&call("fchdir", "</tmp/root/sys>")));
        let mkdir = told(r#"mkdirat(AT_FDCWD, "pts", 0755)"#);
        assert!(mkdir.is(&call("mkdirat", r#"AT_FDCWD</dev>, "pts", 0755"#)));
    }

    #[test]
    fn three_dots_are_what_takes_too_many_words() {
        let dropped = told("prctl(PR_CAPBSET_DROP, ...)");
        assert!(dropped.is(&call("prctl", "PR_CAPBSET_DROP, CAP_SYS_ADMIN")));
        assert!(!dropped.is(&call("prctl", "PR_SET_PDEATHSIG, SIGKILL")));
    }

    #[test]
    fn a_write_is_told_if_the_kernel_takes_it_as_an_order() {
        assert!(is_change(&call("write", r#"</proc/1/uid_map>, "0 0 1", 5"#)));
        assert!(!is_change(&call("write", r#"<pipe:[1]>, "text", 4"#)));
    }
}

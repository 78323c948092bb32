//! `--explain` prints everything that is done, in order, and nothing else.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tests::explain::{CHANGING_CALLS, calls_by_tools, is_change};
use tests::snapshot::turn;
use tests::trace::{Traced, TracedCall};
use tests::{End, ExplainedStep, Link, Run, Scratch, Trace, tools};

/// The final command, known by its name in the log.
const COMMAND: &str = "/bin/true";

fn traced(plan: &Link) -> Traced {
    Trace::new().only(CHANGING_CALLS.join(",")).run(plan.words([COMMAND]))
}

/// The log without messages.
fn shown(traced: &Traced) -> String {
    let calls = traced.calls.iter().filter(|call| call.name != "write" || is_change(call));
    calls.map(|call| format!("  {} = {}", call.text(), call.result)).collect::<Vec<_>>().join("\n")
}

/// Removes group names: two runs create groups with different names, and a dry run must print the undo steps
/// of a group that does not exist.
fn without_names_of_groups(told: &[ExplainedStep]) -> Vec<String> {
    // newuidmap gets the PID, which differs in each run
    let hide = |call: &str| {
        let varies = ["cgexec-", "map\", \""].into_iter().find(|name| call.contains(name));
        let Some((name, (before, after))) = varies.and_then(|name| Some((name, call.split_once(name)?)))
        else {
            return call.to_string();
        };
        format!("{before}{name}X{}", after.trim_start_matches(|each: char| each.is_ascii_hexdigit()))
    };
    let reason = |told: &ExplainedStep| hide(told.reason.trim_start_matches("afterwards, "));
    told.iter().map(|told| format!("{}: {}", reason(told), hide(&told.call))).collect()
}

/// Whether a step is this call. When only root can read the reaper's memory, an ordinary user's strace shows
/// addresses instead of arguments.
fn is_told(told: &ExplainedStep, call: &TracedCall, log: &[TracedCall]) -> bool {
    let withdraws = |other: &TracedCall| other.pid == call.pid && other.args.starts_with("PR_SET_DUMPABLE");
    let is_unreadable = || call.args.contains("0x7f") && log.iter().any(withdraws);
    told.is(call) || told.call.starts_with(&format!("{}(", call.name)) && is_unreadable()
}

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs strace, busybox-static and namespaces"]
    fn every_line_of_explain_is_in_straces_log_in_order() {
        let _turn = turn();
        let root = Scratch::busybox_root();
        for plan in Link::plans(&root) {
            let traced = traced(&plan.clone().with("--explain"));
            assert_eq!(traced.ended.end, End::Exit(0), "{}: {}", plan.name, traced.ended.err());
            let told = ExplainedStep::parse_all(&traced.ended.err());
            assert_ne!(told, [], "{}", plan.name);
            let mut log = traced.calls.get(1..).unwrap_or_default();
            let mut not_done = Vec::new();
            for told in &told {
                match log.iter().position(|call| is_told(told, call, &traced.calls)) {
                    Some(at) => log = log.get(at + 1..).unwrap_or_default(),
                    None => not_done.push(&told.call),
                }
            }
            assert!(
                not_done.is_empty(),
                "{}: not done, or too early: {not_done:#?}\n{}",
                plan.name,
                shown(&traced)
            );
        }
    }

    #[test]
    #[ignore = "needs strace, busybox-static and namespaces"]
    fn every_change_in_straces_log_is_told() {
        let _turn = turn();
        let root = Scratch::busybox_root();
        for plan in Link::plans(&root) {
            let traced = traced(&plan.clone().with("--explain"));
            let told = ExplainedStep::parse_all(&traced.ended.err());
            let mut untold = told.as_slice();
            let mut silent = Vec::new();
            for call in calls_by_tools(&traced.calls, COMMAND).into_iter().filter(|call| is_change(call)) {
                match untold.iter().position(|told| is_told(told, call, &traced.calls)) {
                    Some(at) => untold = untold.get(at + 1..).unwrap_or_default(),
                    None => silent.push(format!("{} = {}", call.text(), call.result)),
                }
            }
            assert_eq!(silent, [] as [&str; 0], "{}: not told, or told too late", plan.name);
        }
    }

    #[test]
    #[ignore = "needs strace, busybox-static and namespaces"]
    fn dry_run_makes_no_call_that_changes_anything() {
        let _turn = turn();
        let root = Scratch::busybox_root();
        for plan in Link::plans(&root) {
            let traced = traced(&plan.clone().with("--dry-run"));
            assert_eq!(traced.ended.end, End::Exit(0), "{}: {}", plan.name, traced.ended.err());
            let made: Vec<_> = traced.calls.iter().skip(1).filter(|call| is_change(call)).collect();
            assert_eq!(made, [] as [&TracedCall; 0], "{}", plan.name);
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn dry_run_tells_what_explain_tells() {
        let _turn = turn();
        let root = Scratch::busybox_root();
        for plan in Link::plans(&root) {
            let told = |option| {
                let ended = plan.clone().with(option).run([COMMAND]).end().ended(End::Exit(0));
                without_names_of_groups(&ExplainedStep::parse_all(&ended.err()))
            };
            assert_eq!(told("--dry-run"), told("--explain"), "{}", plan.name);
        }
    }

    #[test]
    #[ignore = "needs strace, busybox-static and namespaces"]
    fn the_file_with_the_hostname_is_told_step_by_step() {
        let _turn = turn();
        let root = Scratch::busybox_root();
        fs::write(root.path("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
        let chain = Link::unshare().then(Link::chroot(&root), "unshare, chroot");
        let words = ["env", "CHAIN_EXPLAIN=1"].map(Into::into).into_iter().chain(chain.words([COMMAND]));
        let traced = Trace::new().only(CHANGING_CALLS.join(",")).run(words);
        let told = ExplainedStep::parse_all(&traced.ended.err());
        let made: Vec<&TracedCall> =
            traced.calls.iter().filter(|call| is_change(call) && call.args.contains("hosts")).collect();
        assert!(made.len() >= 4, "{}", shown(&traced));
        let mut untold = told.as_slice();
        for call in made {
            let at = untold.iter().position(|told| is_told(told, call, &traced.calls));
            let at = at.unwrap_or_else(|| panic!("{} is not told, or too late", call.text()));
            untold = untold.get(at + 1..).unwrap_or_default();
        }
        // the other direction; the file is opened and closed without a change
        let mut log = traced.calls.as_slice();
        let is_meant =
            |told: &&ExplainedStep| told.call.contains("hosts") && !told.call.starts_with("openat(");
        for told in told.iter().filter(is_meant) {
            let at = log.iter().position(|call| is_told(told, call, &traced.calls));
            let at = at.unwrap_or_else(|| panic!("{} is not made, or too early", told.call));
            log = log.get(at + 1..).unwrap_or_default();
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_variable_lets_the_whole_chain_explain_itself() {
        let _turn = turn();
        let root = Scratch::busybox_root();
        let [.., chain, _] = Link::all(&root);
        let ended = chain.run([COMMAND]).env("CHAIN_EXPLAIN", "1").end().ended(End::Exit(0));
        let tools = tools_that_told(&ended.err());
        // cgexec-rs stays, and prints how it removes its group, if it had one
        assert_eq!(tools.get(..3).unwrap(), ["unshare-rs", "cgexec-rs", "chroot-rs"], "{}", ended.err());
    }

    #[test]
    #[ignore = "needs strace, busybox-static and namespaces"]
    fn a_dry_run_goes_on_to_the_last_tool_and_changes_nothing() {
        let _turn = turn();
        let root = Scratch::busybox_root();
        for chain in Link::all(&root).into_iter().rev().take(2).map(|chain| chain.with("--dry-run")) {
            let traced = traced(&chain);
            assert_eq!(traced.ended.end, End::Exit(0), "{}: {}", chain.name, traced.ended.err());
            let became_another = |call: &&TracedCall| call.name == "execve" && !call.args.contains("-rs\"");
            let made: Vec<_> =
                traced.calls.iter().filter(|call| is_change(call) && call.name != "execve").collect();
            assert_eq!(made, [] as [&TracedCall; 0], "{}", chain.name);
            let others: Vec<_> = traced.calls.iter().filter(became_another).collect();
            assert_eq!(others, [] as [&TracedCall; 0], "{}: the command was run", chain.name);
            assert_eq!(tools_that_told(&traced.ended.err()).len(), 3, "{}", traced.ended.err());
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_variable_lets_the_whole_chain_plan_and_make_nothing_whatever_its_options() {
        let _turn = turn();
        let root = Scratch::busybox_root();
        let [.., chain, _] = Link::all(&root);
        let planned = |chain: &Link| {
            let ended = chain.run(["/bin/touch", "/made"]).env("CHAIN_DRY_RUN", "1").end();
            tools_that_told(&ended.ended(End::Exit(0)).err())
        };
        let all = ["unshare-rs", "cgexec-rs", "chroot-rs"].map(str::to_string);
        assert_eq!(planned(&chain), all);
        assert_eq!(planned(&chain.clone().with("--explain")), all);
        assert!(!root.path("made").exists());
        // 0 turns it off, as for CHAIN_EXPLAIN
        chain.run(["/bin/touch", "/made"]).env("CHAIN_DRY_RUN", "0").end().ok();
        assert!(root.path("made").exists());
    }

    #[test]
    #[ignore = "needs namespaces"]
    fn a_dry_run_starts_no_script_of_a_tools_name_and_no_tool_of_a_new_root() {
        let _turn = turn();
        let scratch = Scratch::new();
        let script = scratch.path("cgexec-rs");
        fs::write(&script, "#!/bin/sh\necho CHAIN_DRY_RUN\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let plan = |words: &[&OsStr]| {
            let ended = Run::new(tools().unshare()).arg("--dry-run").args(words).end().ended(End::Exit(0));
            assert_eq!(ended.out(), "");
            ended.err().lines().last().unwrap().to_string()
        };
        let said = format!("unshare-rs: the plan ends here: {:?} does not support CHAIN_DRY_RUN", script);
        assert_eq!(plan(&["--".as_ref(), script.as_os_str()]), said);
        let said = plan(&["--root=/usr".as_ref(), "cgexec-rs".as_ref()]);
        assert_eq!(said, "unshare-rs: the plan ends here: \"cgexec-rs\" is in the new root, not in this one");
    }

    /// The tools that printed steps, in order.
    fn tools_that_told(stderr: &str) -> Vec<String> {
        let mut tools: Vec<_> = ExplainedStep::parse_all(stderr).into_iter().map(|told| told.tool).collect();
        tools.dedup();
        tools
    }
}

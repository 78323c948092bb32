// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--explain` tells what is done, all of it, in order, and nothing else.

use tests::told::{CHANGES, is_change, of_the_tools};
use tests::trace::{Call, Traced};
use tests::{End, Link, Scratch, Told, Trace};

/// The command at the end, known by its name in the log.
const COMMAND: &str = "/bin/true";

fn traced(plan: &Link) -> Traced {
    Trace::new().only(CHANGES.join(",")).run(plan.words([COMMAND]))
}

/// The log without what was said.
fn shown(traced: &Traced) -> String {
    let calls = traced.calls.iter().filter(|call| call.name != "write" || is_change(call));
    calls.map(|call| format!("  {} = {}", call.text(), call.result)).collect::<Vec<_>>().join("\n")
}

/// Two runs make groups of different names, and one that is not made yet has to say what comes
/// after the command.
fn without_names_of_groups(told: &[Told]) -> Vec<String> {
    // newuidmap is told the number of the process too, which is another one in each run
    let hide = |call: &str| {
        let varies = ["cgexec-", "map\", \""].into_iter().find(|name| call.contains(name));
        let Some((name, (before, after))) = varies.and_then(|name| Some((name, call.split_once(name)?)))
        else {
            return call.to_string();
        };
        format!("{before}{name}X{}", after.trim_start_matches(|each: char| each.is_ascii_hexdigit()))
    };
    let reason = |told: &Told| hide(told.reason.trim_start_matches("afterwards, "));
    told.iter().map(|told| format!("{}: {}", reason(told), hide(&told.call))).collect()
}

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs strace, busybox-static and namespaces"]
    fn every_line_of_explain_is_in_straces_log_in_order() {
        let root = Scratch::busybox_root();
        for plan in Link::plans(&root) {
            let traced = traced(&plan.clone().with("--explain"));
            assert_eq!(traced.ended.end, End::Exit(0), "{}: {}", plan.name, traced.ended.err());
            let told = Told::read_all(&traced.ended.err());
            assert_ne!(told, [], "{}", plan.name);
            let mut log = traced.calls.get(1..).unwrap_or_default();
            let mut not_done = Vec::new();
            for told in &told {
                match log.iter().position(|call| told.is(call)) {
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
        let root = Scratch::busybox_root();
        for plan in Link::plans(&root) {
            let traced = traced(&plan.clone().with("--explain"));
            let told = Told::read_all(&traced.ended.err());
            let mut untold = told.as_slice();
            let mut silent = Vec::new();
            for call in of_the_tools(&traced.calls, COMMAND).into_iter().filter(|call| is_change(call)) {
                match untold.iter().position(|told| told.is(call)) {
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
        let root = Scratch::busybox_root();
        for plan in Link::plans(&root) {
            let traced = traced(&plan.clone().with("--dry-run"));
            assert_eq!(traced.ended.end, End::Exit(0), "{}: {}", plan.name, traced.ended.err());
            let made: Vec<_> = traced.calls.iter().skip(1).filter(|call| is_change(call)).collect();
            assert_eq!(made, [] as [&Call; 0], "{}", plan.name);
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn dry_run_tells_what_explain_tells() {
        let root = Scratch::busybox_root();
        for plan in Link::plans(&root) {
            let told = |option| {
                let ended = plan.clone().with(option).run([COMMAND]).end().ended(End::Exit(0));
                without_names_of_groups(&Told::read_all(&ended.err()))
            };
            assert_eq!(told("--dry-run"), told("--explain"), "{}", plan.name);
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_variable_lets_the_whole_chain_explain_itself() {
        let root = Scratch::busybox_root();
        let [.., chain, _] = Link::all(&root);
        let ended = chain.run([COMMAND]).env("CHAIN_EXPLAIN", "1").end().ended(End::Exit(0));
        let mut tools: Vec<_> = Told::read_all(&ended.err()).into_iter().map(|told| told.tool).collect();
        tools.dedup();
        // cgexec-rs stays behind and tells how it takes its group back, where it had one
        assert_eq!(tools.get(..3).unwrap(), ["unshare-rs", "cgexec-rs", "chroot-rs"], "{}", ended.err());
    }
}

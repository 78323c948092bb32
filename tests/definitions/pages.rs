//! `options/TOOL/OPTION.md`: each option of each tool has a page, and its sessions are true.

use std::collections::BTreeSet;

use tests::documents;
use tests::session::{SessionKind, check};

use crate::{definitions, options, page, written};

const PAGES: &str = "tests/options/";

#[test]
fn what_anyone_can_try_is_true() {
    check(&[PAGES], SessionKind::Anyone);
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root"]
    fn what_root_can_try_is_true() {
        check(&[PAGES], SessionKind::Root);
    }
}

mod as_user {
    use super::*;

    #[test]
    #[ignore = "needs an ordinary user who may make user namespaces"]
    fn what_an_ordinary_user_can_try_is_true() {
        check(&[PAGES], SessionKind::User);
    }
}

mod in_vm {
    use super::*;

    #[test]
    #[ignore = "needs root in a VM with cgroup v2 alone"]
    fn what_takes_cgroup_v2_is_true() {
        tests::vm::only_here();
        check(&[PAGES], SessionKind::Vm);
    }
}

#[test]
fn each_option_has_a_page_and_each_page_an_option() {
    let mut described = BTreeSet::new();
    for tool in definitions() {
        for option in options(&tool) {
            let (short, long) = written(option);
            let short = short.map(|short| format!("{short}, ")).unwrap_or_default();
            described.insert((page(&tool, option), format!("# {short}{long}")));
        }
    }
    let pages: BTreeSet<(String, String)> = documents::starting_with(PAGES)
        .map(|(path, text)| (path.to_string(), text.lines().next().unwrap_or_default().to_string()))
        .collect();
    let missing: Vec<_> = described.difference(&pages).collect();
    let surplus: Vec<_> = pages.difference(&described).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "missing: {missing:#?}\nwithout an option: {surplus:#?}"
    );
}

#[test]
fn each_page_has_a_session() {
    let without: Vec<&str> = documents::starting_with(PAGES)
        .filter(|(_, text)| !text.contains("\n```console"))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(without, [""; 0]);
}

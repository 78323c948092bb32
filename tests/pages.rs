// SPDX-License-Identifier: MIT OR Apache-2.0
//! `options/TOOL/OPTION.md`: each option of each tool has a page whose sessions are true.

use std::collections::BTreeSet;

use clap::{Arg, Command};
use tests::book;
use tests::session::{World, check};

const PAGES: &str = "tests/options/";

#[test]
fn what_anyone_can_try_is_true() {
    check(PAGES, World::Anyone);
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root"]
    fn what_root_can_try_is_true() {
        check(PAGES, World::Root);
    }
}

mod as_user {
    use super::*;

    #[test]
    #[ignore = "needs an ordinary user who may make user namespaces"]
    fn what_an_ordinary_user_can_try_is_true() {
        check(PAGES, World::User);
    }
}

mod in_vm {
    use super::*;

    #[test]
    #[ignore = "needs root in a VM with cgroup v2 alone"]
    fn what_takes_cgroup_v2_is_true() {
        check(PAGES, World::Vm);
    }
}

fn definitions() -> [Command; 4] {
    [
        chain::args::command::<unshare_rs::cli::Options>(&unshare_rs::cli::TOOL),
        chain::args::command::<cgexec_rs::cli::Options>(&cgexec_rs::cli::TOOL),
        chain::args::command::<chroot_rs::cli::Options>(&chroot_rs::cli::TOOL),
        chain::args::command::<rootfs_fetch::cli::Options>(&rootfs_fetch::TOOL),
    ]
}

#[test]
fn each_option_has_a_page_and_each_page_an_option() {
    let mut options = BTreeSet::new();
    for mut tool in definitions() {
        tool.build();
        for option in tool.get_arguments().filter(|argument| !argument.is_positional()) {
            let long = option.get_long().expect("each option has a long name");
            options.insert((format!("{PAGES}{}/{long}.md", tool.get_name()), title(option)));
        }
    }
    let pages: BTreeSet<(String, String)> = book::below(PAGES)
        .map(|(path, text)| (path.to_string(), text.lines().next().unwrap_or_default().to_string()))
        .collect();
    let missing: Vec<_> = options.difference(&pages).collect();
    let surplus: Vec<_> = pages.difference(&options).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "missing: {missing:#?}\nwithout an option: {surplus:#?}"
    );
}

#[test]
fn each_page_has_a_session() {
    let without: Vec<&str> =
        book::below(PAGES).filter(|(_, text)| !text.contains("\n```console")).map(|(path, _)| path).collect();
    assert_eq!(without, [""; 0]);
}

/// `# -m, --memory BYTES`, `# --mount-proc[=DIR]`.
fn title(option: &Arg) -> String {
    let short = option.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    let long = option.get_long().unwrap_or_default();
    let takes = option.get_num_args().expect("built");
    let value = match option.get_value_names() {
        Some([name, ..]) if takes.takes_values() && takes.min_values() == 0 => format!("[={name}]"),
        Some([name, ..]) if takes.takes_values() => format!(" {name}"),
        _ => String::new(),
    };
    format!("# {short}--{long}{value}")
}

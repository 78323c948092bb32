// SPDX-License-Identifier: MIT OR Apache-2.0
//! Completions are asked for as the shells ask, and manual pages read as mandoc(1) reads them.

use std::collections::BTreeSet;
use std::fs;

use clap::{Arg, Command};
use tests::{Run, Scratch, documents};

use crate::{definitions, options};

/// Each long option, as it is typed, and its other names.
fn long_options(tool: &Command) -> BTreeSet<String> {
    let names = |option: &Arg| -> Vec<String> {
        let others = option.get_all_aliases().unwrap_or_default();
        option.get_long().into_iter().chain(others).map(|long| format!("--{long}")).collect()
    };
    options(tool).flat_map(names).collect()
}

/// A file of a tool, where a shell or mandoc finds it.
fn written(scratch: &Scratch, tool: &Command, file: &str) -> String {
    let path = scratch.path(file.rsplit('/').next().expect("a name"));
    fs::write(&path, &*documents::text(&format!("{}/{file}", tool.get_name())))
        .expect("a file of the scratch");
    path.to_str().expect("a path of ours").to_string()
}

#[test]
#[ignore = "needs bash"]
fn bash_offers_each_option() {
    for tool in definitions() {
        let (scratch, name) = (Scratch::new(), tool.get_name().to_string());
        let file = written(&scratch, &tool, &format!("completions/{name}.bash"));
        let function = format!("_{}", name.replace('-', "__"));
        let script = format!(
            "source '{file}' && complete -p {name} >/dev/null && COMP_WORDS=({name} --) COMP_CWORD=1 && \
             {function} {name} -- {name}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let offered = Run::new("bash").args(["--norc", "-c", &script]).end().ok();
        let offered: BTreeSet<String> = offered.lines().map(str::to_string).collect();
        assert_eq!(offered, long_options(&tool), "{name}");
    }
}

#[test]
#[ignore = "needs fish"]
fn fish_offers_each_option() {
    for tool in definitions() {
        let (scratch, name) = (Scratch::new(), tool.get_name().to_string());
        let file = written(&scratch, &tool, &format!("completions/{name}.fish"));
        let script = format!("source '{file}'; complete -C '{name} --'");
        let fish = Run::new("fish").args(["--no-config", "-c", &script]).env("HOME", scratch.path(""));
        let offered = fish.end().ok();
        let option = |line: &str| line.split(['\t', '=']).next().unwrap_or_default().to_string();
        let offered: BTreeSet<String> = offered.lines().map(option).collect();
        assert_eq!(offered, long_options(&tool), "{name}");
    }
}

#[test]
#[ignore = "needs zsh"]
fn zsh_finds_the_completion_and_completes_an_option() {
    for tool in definitions() {
        let (scratch, name) = (Scratch::new(), tool.get_name().to_string());
        written(&scratch, &tool, &format!("completions/_{name}"));
        // a shell that thinks it has a terminal; reading waits for a pattern
        let script = format!(
            "zmodload zsh/zpty && zpty z zsh -f -i &&
             zpty -w z 'fpath=({dir} $fpath); autoload -Uz compinit; compinit -D -u; PS1=; print -n re; print ady' &&
             zpty -r -m z seen '*ready*' && zpty -n -w z $'{name} --explai\\t' &&
             zpty -r -m z seen '*--explain*' && print -r -- $seen",
            dir = scratch.path("").display()
        );
        let zsh = Run::new("zsh").args(["-f", "-c", &script]).env("HOME", scratch.path(""));
        let seen = zsh.end().ok();
        assert!(seen.contains("--explain") && !seen.contains("comparguments"), "{name}: {seen}");
    }
}

#[test]
#[ignore = "needs mandoc"]
fn mandoc_finds_nothing_wrong_in_a_manual_page() {
    for tool in definitions() {
        let scratch = Scratch::new();
        let page = written(&scratch, &tool, &format!("man/{}.1", tool.get_name()));
        let said = Run::new("mandoc").args(["-T", "lint", &page]).end();
        // the pages have no date, as they have no release yet
        let said = said.out() + &said.err();
        let wrong: Vec<&str> = said.lines().filter(|line| !line.contains("missing date")).collect();
        assert_eq!(wrong, [""; 0]);
    }
}

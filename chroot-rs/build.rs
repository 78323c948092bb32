//! Turns seccomp/syscalls.tsv into one sorted table of ranges for each architecture.

// a build that cannot continue stops with a message: that is what expect is for
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

const TABLE: &str = "seccomp/syscalls.tsv";
/// The name of each column's table, and the machine whose kernel accepts its calls. Tests have all tables.
const ARCHITECTURES: [(&str, &str); 3] = [("X86_64", "x86_64"), ("I386", "x86_64"), ("AARCH64", "aarch64")];

fn main() {
    println!("cargo::rerun-if-changed={TABLE}");
    let text = fs::read_to_string(TABLE).expect("the table of system calls");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
        .collect();
    let mut code = String::new();
    for (column, (name, machine)) in ARCHITECTURES.iter().enumerate() {
        let mut calls: Vec<(u32, String)> = rows
            .iter()
            .filter(|row| row[column + 1] != "-")
            .map(|row| (row[column + 1].parse().expect("a number"), rule(row[4])))
            .collect();
        calls.sort();
        assert!(calls.windows(2).all(|pair| pair[0].0 < pair[1].0), "{name}: a number appears twice");
        writeln!(code, "#[cfg(any(test, target_arch = \"{machine}\"))]").expect("a String");
        writeln!(code, "static {name}: &[(u32, Rule)] = &[").expect("a String");
        for (start, rule) in ranges(&calls) {
            writeln!(code, "    ({start}, {rule}),").expect("a String");
        }
        code.push_str("];\n");
    }
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("syscalls.rs"), code).expect("OUT_DIR is writable");
}

/// The first number of each run of calls with the same rule. Numbers without a call are absent.
fn ranges(calls: &[(u32, String)]) -> Vec<(u32, String)> {
    let absent = || "Rule::Absent".to_string();
    let mut ranges = vec![(0, absent())];
    for (number, rule) in calls {
        ranges.push((*number, rule.clone()));
        ranges.push((*number + 1, absent()));
    }
    // of several ranges that start at the same number, the last one counts
    let mut merged: Vec<(u32, String)> = Vec::new();
    for (start, rule) in ranges {
        if merged.last().is_some_and(|last| last.0 == start) {
            merged.pop();
        }
        if merged.last().is_none_or(|last| last.1 != rule) {
            merged.push((start, rule));
        }
    }
    merged
}

fn rule(text: &str) -> String {
    let capabilities = |list: &str| {
        let names: Vec<String> = list.split(',').map(|name| format!("1 << CAP_{name}")).collect();
        names.join(" | ")
    };
    match text.split_once(':') {
        Some(("cap", list)) => format!("Rule::Guarded({})", capabilities(list)),
        Some(("ns", list)) => format!("Rule::Namespaced({})", capabilities(list)),
        Some(_) => panic!("no such rule: {text}"),
        None => match text {
            "allow" => "Rule::Allow",
            "deny" => "Rule::Deny",
            "absent" => "Rule::Absent",
            "clone" => "Rule::Clone",
            "clone3" => "Rule::Clone3",
            "ioctl" => "Rule::Ioctl",
            "socket" => "Rule::Socket",
            "personality" => "Rule::Personality",
            other => panic!("no such rule: {other}"),
        }
        .to_string(),
    }
}

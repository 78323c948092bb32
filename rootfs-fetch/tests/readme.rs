// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sessions of the README are true.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that fails may say so in the shortest way"
)]

mod support;

use std::process::Command;

use support::Scratch;

#[derive(Default)]
struct Step {
    command: String,
    code: i32,
    output: Vec<String>,
}

/// The `$` lines of the console blocks, the exit code expected (`? N`), and what is said.
fn steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => match (line.strip_prefix("$ "), line.strip_prefix("? "), steps.last_mut()) {
                (Some(command), _, _) => steps.push(Step { command: command.into(), ..Step::default() }),
                (_, Some(code), Some(step)) => step.code = code.parse().unwrap(),
                (_, _, Some(step)) => step.output.push(line.into()),
                _ => panic!("output before a command: {line}"),
            },
        }
    }
    steps
}

/// `[..]` stands for any lines.
fn matches(said: &[&str], expected: &[String]) -> bool {
    match expected.split_first() {
        None => said.is_empty(),
        Some((any, rest)) if any == "[..]" => (0..=said.len()).any(|at| matches(&said[at..], rest)),
        Some((line, rest)) => said.first() == Some(&line.as_str()) && matches(&said[1..], rest),
    }
}

#[test]
fn the_sessions_of_the_readme_are_true() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("bin")).unwrap();
    std::os::unix::fs::symlink(scratch.path("tool"), scratch.path("bin/rootfs-fetch")).unwrap();
    let path = format!("{}:{}", scratch.path("bin").display(), std::env::var("PATH").unwrap());
    let steps = steps(include_str!("../README.md"));
    assert!(steps.len() >= 5);
    for step in steps {
        let output = Command::new("sh")
            .args(["-c", &format!("{{ {}\n}} 2>&1", step.command)])
            .current_dir(scratch.work())
            .env("PATH", &path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(step.code), "{}: {said}", step.command);
        assert!(matches(&said.lines().collect::<Vec<_>>(), &step.output), "{}: {said}", step.command);
    }
}

//! Random command lines: the tool rejects them in its own words or runs them, and never panics.

use std::ffi::OsString;
use std::thread;

use clap::Command;
use tests::Rng;

use self::sandbox::{Tried, try_all, typed};
use self::words::Words;
use crate::definitions;

mod sandbox;
mod words;

/// The number of command lines per tool; `CHAIN_CASES` overrides it.
const CASES: usize = 1500;

/// Commands of the pages that exit with 125 themselves, like links of a chain, and print why.
const LIKE_LINKS: [&str; 4] = ["env", "nice", "nohup", "stdbuf"];

/// What is wrong with an outcome.
fn wrong(tool: &str, tried: &Tried) -> Option<&'static str> {
    let Tried { status, said, answered } = tried;
    // rootfs-fetch: 0 to 7; a link: its own and all of the command's, but no signal
    let expected = if tool == "rootfs-fetch" { *status <= 7 } else { !(129..=192).contains(status) };
    let failed = if tool == "rootfs-fetch" { *status != 0 } else { *status == 125 };
    let by = |name: &str, line: &str| line.starts_with(&format!("{name}: "));
    let own = |line: &str| by(tool, line);
    let told = |line: &str| own(line) || LIKE_LINKS.iter().any(|command| by(command, line));
    if said.contains("panicked at") || *status == 134 {
        Some("it panicked")
    } else if *status == 124 || *status == 137 {
        Some("it did not end")
    } else if !expected {
        Some("its status is not one of its own")
    } else if failed && !answered && !said.lines().next().is_some_and(told) {
        Some("it failed and does not say why")
    } else if said.lines().any(|line| own(line) && (line.contains("(os error") || line.contains('\x1b'))) {
        Some("it does not say it in its own words")
    } else {
        None
    }
}

/// Tries command lines of a tool. Returns what is wrong, and how many ended in each way.
fn try_tool(tool: &Command, mut rng: Rng, cases: usize) -> String {
    let name = tool.get_name();
    let words = Words::of(tool);
    let lines: Vec<Vec<OsString>> = (0..cases).map(|_| words.line(&mut rng)).collect();
    let tried = try_all(name, &lines);
    let ran = tried.iter().filter(|tried| tried.status != 125 && tried.status != 2).count();
    // printed with --nocapture: if all were rejected, the test would be worthless
    println!("{name}: {} command lines, {ran} went on to the end", lines.len());
    let wrong = lines.iter().zip(&tried).filter_map(|(line, tried)| {
        let what = wrong(name, tried)?;
        Some(format!("{what} ({}): {}\n{}\n", tried.status, typed(name, line), tried.said))
    });
    wrong.collect()
}

mod peers {
    use super::*;

    #[test]
    #[ignore = "needs bubblewrap and namespaces"]
    fn any_command_line_is_done_or_refused_in_words() {
        let cases = std::env::var("CHAIN_CASES").map_or(CASES, |cases| cases.parse().expect("a number"));
        let mut rng = Rng::new();
        let tools = definitions();
        let wrong: String = thread::scope(|scope| {
            let start = |tool| {
                let rng = Rng::seeded(rng.next_u64());
                scope.spawn(move || try_tool(tool, rng, cases))
            };
            let running: Vec<_> = tools.iter().map(start).collect();
            running.into_iter().map(|tool| tool.join().expect("a tool's cases")).collect()
        });
        assert!(wrong.is_empty(), "{wrong}");
    }
}

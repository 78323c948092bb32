//! How long a container takes to start, against its peers: interleaved pairs, medians of their ratios.
//!
//! `tests/benches/start` runs it, after it has installed the peers and built the tools. `comparisons.rs` has
//! the comparisons, `measure.rs` measures them, and `counts.rs` has the numbers that do not depend on the
//! machine's load.
#![allow(clippy::print_stdout, reason = "the tables are what it is run for")]

mod comparisons;
mod counts;
mod fixtures;
mod measure;
mod results;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use comparisons::Comparison;
use fixtures::Fixtures;
use measure::{Ratios, at_once, paired};
use results::{Goal, Results};

/// The time between starts on an idle machine: long enough for the kernel to drop what it keeps ready for the
/// next start.
const IDLE: Duration = Duration::from_millis(40);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let (tools, work, rounds, limited) = match words.as_slice() {
        [tools, work, rounds] => (tools, work, rounds, false),
        [tools, work, rounds, what] if what == "limited" => (tools, work, rounds, true),
        _ => {
            println!("usage: TOOLS WORK ROUNDS [limited]; see tests/benches/start and start-limited");
            return ExitCode::FAILURE;
        }
    };
    let rounds = rounds.parse().unwrap_or(200);
    let fixtures = Fixtures::prepare(PathBuf::from(tools), PathBuf::from(work));
    let pairs = if limited { comparisons::limited() } else { comparisons::all(&fixtures) };
    let mut results = Results::begin();
    println!(
        "Each row: the ratio of ours to theirs, start to end, median of pairs (quartiles), and the goal.\n\
         {rounds} pairs, fewer with what is slow. Each is started as `COMMAND true` in a busybox root.\n"
    );
    let regimes = [("back to back", Duration::ZERO), ("40 ms apart", IDLE)];
    for (regime, pause) in regimes {
        println!("| {regime} | ours | theirs | ratio | goal |\n| --- | --- | --- | --- | --- |");
        for pair in &pairs {
            let measured = paired(pair, &fixtures, pair.rounds(rounds), pause);
            results.add(regime, pair.title, &measured);
            row(pair, measured, pair.goal(pause.is_zero()).map(|goal| results.judge(goal)));
        }
        println!();
    }
    if limited {
        return ExitCode::SUCCESS;
    }
    for many in [8, 64] {
        println!(
            "| {many} at once | ours, a second | theirs, a second | ratio of times | |\n| --- | --- | --- | --- | --- |"
        );
        for pair in pairs.iter().filter(|pair| pair.also_at_once) {
            let measured = at_once(pair, &fixtures, many, rounds);
            results.add(&format!("{many} at once"), pair.title, &measured);
            busy_row(pair, measured);
        }
        println!();
    }
    counts::print(&fixtures);
    ExitCode::SUCCESS
}

fn row(pair: &Comparison, measured: Result<Ratios, String>, goal: Option<Goal>) {
    match measured {
        Ok(Ratios { ours, theirs, ratio: ratio @ [low, median, high] }) => println!(
            "| {} | {ours:.0} us | {theirs:.0} us | {median:.2} ({low:.2} to {high:.2}) | {} |",
            pair.title,
            goal.map(|goal| goal.verdict(ratio)).unwrap_or_default()
        ),
        Err(why) => println!("| {} | | | not measured: {why} | |", pair.title),
    }
}

fn busy_row(pair: &Comparison, measured: Result<Ratios, String>) {
    match measured {
        Ok(Ratios { ours, theirs, ratio: [low, median, high] }) => println!(
            "| {} | {:.0} | {:.0} | {median:.2} ({low:.2} to {high:.2}) | |",
            pair.title,
            1e6 / ours,
            1e6 / theirs
        ),
        Err(why) => println!("| {} | | | not measured: {why} | |", pair.title),
    }
}

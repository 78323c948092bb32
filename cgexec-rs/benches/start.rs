//! The cost of a start in a new group, compared with cgexec(1) of libcgroup: interleaved runs, medians of
//! paired ratios. cgexec-rs/benches/start runs it.
#![allow(clippy::print_stdout, reason = "the table is what it is run for")]

use std::process::ExitCode;
use std::time::Duration;

use tests::timing::{Contender, measure, quantile};

/// Shorter pauses hide that a process that moves itself waits for RCU; a machine is idle between two starts
/// by a person.
const APART: Duration = Duration::from_millis(60);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [tool, group, rounds] = args.try_into().unwrap_or_default();
    let rounds = rounds.parse().unwrap_or(200);
    let existing = format!("cpu,memory,pids:{group}");
    let limits = "-m 1G --cpus 4 --pids-limit 1000";
    let contenders = [
        ("cgexec, an existing group", format!("cgexec -g {existing} busybox true")),
        ("cgexec-rs, its own group with three limits", format!("{tool} {limits} -- busybox true")),
        ("the same with --exec", format!("{tool} --exec {limits} -- busybox true")),
        ("cgexec-rs, its own group", format!("{tool} -- busybox true")),
        ("cgexec-rs, an existing group", format!("{tool} -g {existing} -- busybox true")),
        ("bare", "busybox true".to_string()),
    ]
    .map(|(name, line)| Contender::new(name, &line));
    println!("start of `busybox true`, {rounds} rounds, interleaved; ratios are medians of pairs");
    for (regime, pause) in [("warm", Duration::ZERO), ("60 ms apart", APART)] {
        let times = match measure(&contenders, rounds, pause) {
            Ok(times) => times,
            Err(name) => {
                println!("{name} failed");
                return ExitCode::FAILURE;
            }
        };
        let Some(theirs) = times.first() else { return ExitCode::FAILURE };
        println!("\n| {regime} | median | against cgexec (quartiles) |\n| --- | --- | --- |");
        for (contender, ours) in contenders.iter().zip(&times) {
            let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
            let [low, half, high] = [0.25, 0.5, 0.75].map(|at| quantile(&ratios, at));
            let median = quantile(ours, 0.5);
            println!("| {} | {median:.0} us | {half:.2} ({low:.2} to {high:.2}) |", contender.name);
        }
    }
    ExitCode::SUCCESS
}

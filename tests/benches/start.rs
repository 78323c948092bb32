// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long a container takes to start, against its peers: interleaved runs, medians of paired ratios.
//!
//! Run by `tests/benches/start`, which installs the peers and builds the tools.
#![allow(clippy::print_stdout, reason = "the table is what it is run for")]

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// One way to start `true` in the root, and whom it is measured against.
struct Contender {
    name: &'static str,
    argv: Vec<String>,
}

fn main() -> ExitCode {
    let [tools, root, runs] = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect::<Vec<_>>()
        .try_into()
        .unwrap_or_default();
    let runs = runs.parse().unwrap_or(200);
    let contenders = contenders(Path::new(&tools), &root);
    println!("start of `true` in a busybox root, {runs} rounds, interleaved; ratios are medians of pairs\n");
    for (regime, pause) in [("warm", Duration::ZERO), ("40 ms apart", Duration::from_millis(40))] {
        match measure(&contenders, runs, pause) {
            Ok(times) => print_table(regime, &contenders, &times),
            Err(name) => {
                println!("{name} failed");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn contenders(tools: &Path, root: &str) -> Vec<Contender> {
    let words = |line: &str| -> Vec<String> {
        line.split_whitespace()
            .map(|word| match word {
                "FS" => root.to_string(),
                "unshare-rs" | "cgexec-rs" | "chroot-rs" => tools.join(word).display().to_string(),
                word => word.to_string(),
            })
            .collect()
    };
    let all = [
        ("chain", "unshare-rs -- cgexec-rs -- chroot-rs FS /bin/true"),
        ("chain, cgexec-rs first", "cgexec-rs -- unshare-rs -- chroot-rs FS /bin/true"),
        // what the chain makes, but for the control group, which bwrap has not
        (
            "bwrap, the same",
            "bwrap --unshare-all --hostname container --bind FS / --proc /proc --tmpfs /proc/acpi \
             --ro-bind /dev/null /proc/keys --ro-bind /dev/null /proc/timer_list --ro-bind /sys /sys \
             --tmpfs /sys/firmware --dev /dev --mqueue /dev/mqueue /bin/true",
        ),
        ("bwrap, less", "bwrap --unshare-all --bind FS / --proc /proc --dev /dev /bin/true"),
        ("chain without cgexec-rs", "unshare-rs -- chroot-rs FS /bin/true"),
        ("unshare + chroot", "unshare -mupinC --fork --mount-proc chroot FS /bin/true"),
        ("chroot-rs --plain", "chroot-rs --plain FS /bin/true"),
        ("chroot", "chroot FS /bin/true"),
        ("bare", "FS/bin/true"),
    ];
    let mut contenders: Vec<Contender> =
        all.into_iter().map(|(name, line)| Contender { name, argv: words(line) }).collect();
    if let Some(bare) = contenders.last_mut() {
        bare.argv = vec![format!("{root}/bin/true")];
    }
    // an ordinary user can neither chroot nor unshare without a user namespace
    if !nix::unistd::geteuid().is_root() {
        contenders.retain(|contender| {
            !matches!(contender.name, "chroot" | "chroot-rs --plain" | "unshare + chroot")
        });
    }
    contenders
}

/// Microseconds of each contender in each round.
fn measure(contenders: &[Contender], runs: usize, pause: Duration) -> Result<Vec<Vec<f64>>, &'static str> {
    let mut times = vec![Vec::with_capacity(runs); contenders.len()];
    for round in 0..runs + 5 {
        for (contender, times) in contenders.iter().zip(&mut times) {
            if !pause.is_zero() {
                std::thread::sleep(pause);
            }
            let took = start(contender)?;
            // the first rounds fill caches
            if round >= 5 {
                times.push(took.as_secs_f64() * 1e6);
            }
        }
    }
    Ok(times)
}

fn start(contender: &Contender) -> Result<Duration, &'static str> {
    let [program, args @ ..] = contender.argv.as_slice() else { return Err(contender.name) };
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begin = Instant::now();
    let status = command.status();
    let took = begin.elapsed();
    match status {
        Ok(status) if status.success() => Ok(took),
        _ => Err(contender.name),
    }
}

fn print_table(regime: &str, contenders: &[Contender], times: &[Vec<f64>]) {
    println!("| {regime} | median | against bwrap doing the same (quartiles) |\n| --- | --- | --- |");
    let bwrap = contenders
        .iter()
        .position(|contender| contender.name == "bwrap, the same")
        .and_then(|at| times.get(at));
    for (contender, times) in contenders.iter().zip(times) {
        let median = quantile(times.clone(), 0.5);
        let ratios = |bwrap: &Vec<f64>| {
            times.iter().zip(bwrap).map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>()
        };
        let ratios = bwrap.map(ratios).unwrap_or_default();
        println!(
            "| {} | {median:.0} us | {:.2} ({:.2} to {:.2}) |",
            contender.name,
            quantile(ratios.clone(), 0.5),
            quantile(ratios.clone(), 0.25),
            quantile(ratios, 0.75),
        );
    }
    println!();
}

fn quantile(mut values: Vec<f64>, at: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (values.len().saturating_sub(1) as f64 * at).round() as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}

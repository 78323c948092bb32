//! Measures starts from outside: the time that a caller waits.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use tests::timing::quantile;

use crate::comparisons::{Comparison, words};
use crate::fixtures::Fixtures;

/// The result.
pub struct Ratios {
    /// Microseconds a start of ours takes, the median.
    pub ours: f64,
    /// The same of theirs.
    pub theirs: f64,
    /// Ours to theirs, pair by pair: first quartile, median, third quartile.
    pub ratio: [f64; 3],
}

impl Ratios {
    fn of(pairs: &[(f64, f64)]) -> Self {
        let (ours, theirs): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let ratios: Vec<f64> = pairs.iter().map(|(ours, theirs)| ours / theirs).collect();
        Self {
            ours: quantile(&ours, 0.5),
            theirs: quantile(&theirs, 0.5),
            ratio: [0.25, 0.5, 0.75].map(|part| quantile(&ratios, part)),
        }
    }
}

/// Measures ours and theirs alternately, one after the other.
pub fn paired(
    pair: &Comparison,
    fixtures: &Fixtures,
    rounds: usize,
    pause: Duration,
) -> Result<Ratios, String> {
    let one = |line: &str| {
        thread::sleep(pause);
        start(line, pair, fixtures)
    };
    let mut pairs = Vec::with_capacity(rounds);
    for round in 0..rounds + 3 {
        let times = (one(pair.ours)?, one(pair.theirs)?);
        // the first rounds fill caches
        if round >= 3 {
            pairs.push(times);
        }
    }
    Ok(Ratios::of(&pairs))
}

/// Measures this many starts at once, in alternating batches of ours and theirs; a batch's time is divided by
/// the number of its starts.
pub fn at_once(pair: &Comparison, fixtures: &Fixtures, many: usize, rounds: usize) -> Result<Ratios, String> {
    let each = (rounds / many).clamp(2, 16);
    let batch = |line: &str| {
        let begin = Instant::now();
        let runs = || (0..each).try_for_each(|_| start(line, pair, fixtures).map(drop));
        thread::scope(|scope| {
            let starters: Vec<_> = (0..many).map(|_| scope.spawn(runs)).collect();
            starters.into_iter().try_for_each(|starter| starter.join().map_err(|_| "a thread ended")?)
        })
        .map(|()| begin.elapsed().as_secs_f64() * 1e6 / (many * each) as f64)
    };
    let mut pairs = Vec::new();
    for round in 0..8 {
        let times = (batch(pair.ours)?, batch(pair.theirs)?);
        if round > 0 {
            pairs.push(times);
        }
    }
    Ok(Ratios::of(&pairs))
}

/// Microseconds from the start to the end of one command, which must succeed.
fn start(line: &str, pair: &Comparison, fixtures: &Fixtures) -> Result<f64, String> {
    let words = words(line, fixtures);
    let name = words.first().cloned().unwrap_or_default();
    let mut command = fixtures.command(pair.place, &words)?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begin = Instant::now();
    let status = command.status();
    let took = begin.elapsed();
    match status {
        Ok(status) if status.success() => Ok(took.as_secs_f64() * 1e6),
        Ok(status) => Err(format!("{name} ended with {status}")),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

//! The run times of programs: in each round every program runs once, so that other load on the machine slows
//! all of them alike.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Rounds that are not counted, because they fill caches.
const FIRST: usize = 5;

/// A command that is measured against others.
#[derive(Clone, Debug)]
pub struct Contender {
    /// Its name in the table.
    pub name: &'static str,
    words: Vec<String>,
}

impl Contender {
    /// A command line of words without spaces.
    pub fn new(name: &'static str, line: &str) -> Self {
        Self { name, words: line.split_whitespace().map(str::to_string).collect() }
    }

    fn time(&self) -> Option<Duration> {
        let (program, args) = self.words.split_first()?;
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begin = Instant::now();
        let status = command.status();
        let took = begin.elapsed();
        status.is_ok_and(|status| status.success()).then_some(took)
    }
}

/// Microseconds of each contender in each round, with a pause before each run.
///
/// # Errors
/// The name of a command that failed.
pub fn measure(
    contenders: &[Contender],
    rounds: usize,
    pause: Duration,
) -> Result<Vec<Vec<f64>>, &'static str> {
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for round in 0..rounds + FIRST {
        for (contender, times) in contenders.iter().zip(&mut times) {
            std::thread::sleep(pause);
            let took = contender.time().ok_or(contender.name)?;
            if round >= FIRST {
                times.push(took.as_secs_f64() * 1e6);
            }
        }
    }
    Ok(times)
}

/// The value below which this fraction of all values lies: 0.5 for the median.
pub fn quantile(values: &[f64], at: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let index = (values.len().saturating_sub(1) as f64 * at).round() as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_runs_once_in_a_round_and_one_that_fails_is_named() {
        let contenders = [Contender::new("one", "true"), Contender::new("two", "sh -c true")];
        let times = measure(&contenders, 3, Duration::ZERO).unwrap();
        assert_eq!(times.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3]);
        assert_eq!(measure(&[Contender::new("bad", "false")], 1, Duration::ZERO), Err("bad"));
    }

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), 2.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}

//! The results of a run for docs/speed.md, and whether its machine was quiet enough.

use std::fs;
use std::io::Write as _;
use std::time::Duration;

use crate::measure::Ratios;

/// The share of all processor time that other processes may use before a run.
const BUSY: f64 = 0.1;
/// The distance between the quartiles of paired ratios, relative to the median, above which a row means
/// little.
const SPREAD: f64 = 0.3;

/// The file in `CHAIN_RESULTS`, if it is set: `tests/benches/report` reads it.
pub struct Results {
    file: Option<fs::File>,
    /// The share of all processor time that other processes used before the run.
    busy: f64,
}

/// A ratio to reach.
#[derive(Clone, Copy)]
pub struct Goal {
    ratio: f64,
    busy: f64,
}

impl Results {
    /// Measures for a second how busy the machine is. Repeats this for up to half a minute while it is
    /// busy, because the engines of the run before may still be ending.
    pub fn begin() -> Self {
        let mut busy = used_by_others();
        for _ in 0..30 {
            if busy <= BUSY {
                break;
            }
            busy = used_by_others();
        }
        if busy > BUSY {
            println!("The machine is busy ({:.0} %): no goal is judged.\n", busy * 100.0);
        }
        let file = std::env::var_os("CHAIN_RESULTS")
            .and_then(|path| fs::File::options().append(true).open(path).ok());
        let mut results = Self { file, busy };
        results.write(&format!("# busy before\t{busy:.2}"));
        results
    }

    /// Stores a row: the regime, the comparison, the microseconds of ours and theirs, and the quartiles of
    /// the ratio.
    pub fn add(&mut self, regime: &str, title: &str, measured: &Result<Ratios, String>) {
        if let Ok(Ratios { ours, theirs, ratio: [low, median, high] }) = measured {
            self.write(&format!(
                "{regime}\t{title}\t{ours:.0}\t{theirs:.0}\t{low:.3}\t{median:.3}\t{high:.3}"
            ));
        }
    }

    /// A goal, judged together with how busy the machine was.
    pub fn judge(&self, ratio: f64) -> Goal {
        Goal { ratio, busy: self.busy }
    }

    fn write(&mut self, line: &str) {
        if let Some(file) = &mut self.file {
            // without the file, the printed tables are still useful
            let _ = writeln!(file, "{line}");
        }
    }
}

impl Goal {
    /// Whether the quartiles of a ratio reach the goal. On a busy machine or with a wide spread, this is
    /// undecided.
    pub fn verdict(self, [low, median, high]: [f64; 3]) -> String {
        let Self { ratio, busy } = self;
        if busy > BUSY {
            format!("{ratio}: not judged, the machine is busy")
        } else if high - low > SPREAD * median {
            format!("{ratio}: not judged, the spread is wide")
        } else if median <= ratio {
            format!("{ratio}: reached")
        } else {
            format!("{ratio}: not reached")
        }
    }
}

/// The fraction of all processor time that is used in a second.
fn used_by_others() -> f64 {
    let before = processor_time();
    std::thread::sleep(Duration::from_secs(1));
    let after = processor_time();
    let (used, all) = (after.0 - before.0, after.1 - before.1);
    if all > 0.0 { used / all } else { 1.0 }
}

/// The used and the total processor time: the first line of /proc/stat.
fn processor_time() -> (f64, f64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let times: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    let all: f64 = times.iter().take(8).sum();
    // idle and iowait
    let idle: f64 = times.iter().skip(3).take(2).sum();
    (all - idle, all)
}

//! What a run keeps for docs/speed.md, and whether its machine was quiet enough to judge it.

use std::fs;
use std::io::Write as _;
use std::time::Duration;

use crate::measure::Ratios;

/// The part of all processor time that others may use before a run.
const BUSY: f64 = 0.1;
/// The distance of the quartiles of paired ratios, as a part of the median, above which a row says little.
const SPREAD: f64 = 0.3;

/// The file that `CHAIN_RESULTS` names, if it does: `tests/benches/report` reads it.
pub struct Results {
    file: Option<fs::File>,
    /// The part of all processor time that others used before the run.
    busy: f64,
}

/// A ratio to reach.
#[derive(Clone, Copy)]
pub struct Goal {
    ratio: f64,
    busy: f64,
}

impl Results {
    /// Looks for a second at what else the machine does.
    pub fn begin() -> Self {
        let before = processor_time();
        std::thread::sleep(Duration::from_secs(1));
        let after = processor_time();
        let (used, all) = (after.0 - before.0, after.1 - before.1);
        let busy = if all > 0.0 { used / all } else { 1.0 };
        if busy > BUSY {
            println!("The machine is busy ({:.0} %): no goal is judged.\n", busy * 100.0);
        }
        let file = std::env::var_os("CHAIN_RESULTS")
            .and_then(|path| fs::File::options().append(true).open(path).ok());
        let mut results = Self { file, busy };
        results.write(&format!("# busy before\t{busy:.2}"));
        results
    }

    /// Keeps a row: regime, what, microseconds of ours and theirs, and the quartiles of the ratio.
    pub fn add(&mut self, regime: &str, title: &str, measured: &Result<Ratios, String>) {
        if let Ok(Ratios { ours, theirs, ratio: [low, median, high] }) = measured {
            self.write(&format!(
                "{regime}\t{title}\t{ours:.0}\t{theirs:.0}\t{low:.3}\t{median:.3}\t{high:.3}"
            ));
        }
    }

    /// A goal that is judged by what the machine did.
    pub fn judge(&self, ratio: f64) -> Goal {
        Goal { ratio, busy: self.busy }
    }

    fn write(&mut self, line: &str) {
        if let Some(file) = &mut self.file {
            // a run is worth its printed tables without the file
            let _ = writeln!(file, "{line}");
        }
    }
}

impl Goal {
    /// Whether quartiles of a ratio reach it. A busy machine or a wide spread says neither.
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

/// Time that was used, and all there was: the first line of /proc/stat.
fn processor_time() -> (f64, f64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let times: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    let all: f64 = times.iter().take(8).sum();
    // idle and iowait
    let idle: f64 = times.iter().skip(3).take(2).sum();
    (all - idle, all)
}

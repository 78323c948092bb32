//! The progress bar, on terminals only: bytes read of the source, speed, remaining time.

use std::io::Read;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const KNOWN: &str = "{bar:30} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";
const UNKNOWN: &str = "{spinner} {decimal_bytes} {decimal_bytes_per_sec}";

/// How far the source has been read.
#[derive(Clone, Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Shows a bar; without a length, only the bytes read.
    pub fn start(length: Option<u64>) -> Self {
        // indicatif draws on standard error, and only if that is a terminal
        let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let template = if length.is_some() { KNOWN } else { UNKNOWN };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self(bar)
    }

    /// A bar that is not shown.
    pub fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// A reader whose bytes the bar counts.
    pub fn count(&self, input: impl Read + Send + 'static) -> Box<dyn Read + Send> {
        if self.0.is_hidden() { Box::new(input) } else { Box::new(self.0.wrap_read(input)) }
    }

    /// Removes the bar from the screen before other output.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}

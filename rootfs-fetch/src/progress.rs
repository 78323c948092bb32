//! The progress bar, only on terminals: bytes read, speed, remaining time.

use std::io::{self, Read};
use std::time::Duration;

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

// the bar gets the columns that the numbers leave: 14 of 50
const KNOWN: &str = "{wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";
const UNKNOWN: &str = "{spinner} {decimal_bytes} {decimal_bytes_per_sec}";

const DRAWS_PER_SECOND: u8 = 20;
/// Columns that stay free, because the terminal prints `^C` there.
const FREE_COLUMNS: u16 = 3;

/// A line of the terminal. indicatif would fill it with spaces; then `^C` would start a new line, and the bar
/// would stay visible.
#[derive(Debug)]
struct Line(Term);

impl TermLike for Line {
    fn width(&self) -> u16 {
        self.0.size().1.saturating_sub(FREE_COLUMNS)
    }

    fn move_cursor_up(&self, count: usize) -> io::Result<()> {
        self.0.move_cursor_up(count)
    }

    fn move_cursor_down(&self, count: usize) -> io::Result<()> {
        self.0.move_cursor_down(count)
    }

    fn move_cursor_right(&self, count: usize) -> io::Result<()> {
        self.0.move_cursor_right(count)
    }

    fn move_cursor_left(&self, count: usize) -> io::Result<()> {
        self.0.move_cursor_left(count)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.0.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        if text.bytes().all(|byte| byte == b' ') { Ok(()) } else { self.0.write_str(text) }
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}

/// How far the source has been read.
#[derive(Clone, Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Shows a bar; without a length, only the bytes read.
    pub fn start(length: Option<u64>) -> Self {
        let terminal = Term::buffered_stderr();
        if !terminal.is_term() {
            return Self::hidden();
        }
        let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
        bar.set_draw_target(ProgressDrawTarget::term_like_with_hz(
            Box::new(Line(terminal)),
            DRAWS_PER_SECOND,
        ));
        let template = if length.is_some() { KNOWN } else { UNKNOWN };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
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

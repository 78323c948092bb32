//! The destination and format of a report.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use chain::{Failure, Reporter};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use system::sys;

use crate::cli::ReportFormat;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportOutput {
    pub format: ReportFormat,
    /// The file; None for standard error.
    pub file: Option<PathBuf>,
}

impl ReportOutput {
    /// Checks that the file is writable, before the command runs for hours.
    pub fn check_writable(&self) -> Result<(), Failure> {
        let Some(file) = &self.file else { return Ok(()) };
        let parent = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let why = match (file.exists(), parent.is_dir()) {
            (true, _) if file.is_dir() => "it is a directory",
            (true, _) if sys::is_writable(file) => return Ok(()),
            (true, _) => "it is not writable",
            (false, true) if sys::is_writable(parent) => return Ok(()),
            (false, true) => "its directory is not writable",
            (false, false) => "its directory does not exist",
        };
        Err(Failure::new(format!("cannot write the report to {}: {why}", file.display()))
            .hint("--report alone writes it to standard error"))
    }

    /// Writes the report. A failure is one line, because the command has already ended.
    pub fn write(&self, text: &str, reporter: &Reporter) {
        match (&self.file, self.format) {
            (Some(file), _) => {
                if let Err(error) = write_file(file, &format!("{text}\n")) {
                    let why = match error.raw_os_error() {
                        Some(errno) if errno == Errno::ENXIO as i32 => {
                            "no process reads the pipe".to_string()
                        }
                        _ => error.kind().to_string(),
                    };
                    reporter.message(format_args!("cannot write the report to {}: {why}", file.display()));
                }
            }
            (None, ReportFormat::Json | ReportFormat::Runexec) => {
                sys::write_stderr(format!("{text}\n").as_bytes())
            }
            (None, ReportFormat::Human) => reporter.message(text),
        }
    }
}

/// Does not wait for the reader of a named pipe: the groups still exist, and every signal is blocked.
fn write_file(file: &Path, text: &str) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true).custom_flags(OFlag::O_NONBLOCK.bits());
    options.open(file)?.write_all(text.as_bytes())
}

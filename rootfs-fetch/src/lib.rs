// SPDX-License-Identifier: MIT OR Apache-2.0
//! rootfs-fetch: any archive, or the host itself, becomes a root directory.
//!
//! The story is [`fetch::Fetch::run`]: open the source, make a sibling of DIRECTORY, fill
//! it, rename it into place. Whatever goes wrong on the way, the sibling goes
//! and DIRECTORY was never there. Nothing an archive says reaches outside the
//! sibling: names are [`name::Name`]s, and a [`tree::Tree`] resolves them.

#![forbid(unsafe_code)]

pub mod cli;
pub mod decode;
pub mod digest;
pub mod directories;
pub mod failure;
pub mod fetch;
#[doc(hidden)]
pub mod fuzzed;
pub mod host;
pub mod image;
pub mod interrupt;
pub mod listed;
pub mod name;
pub mod partial;
pub mod place;
pub mod policy;
pub mod progress;
pub mod remove;
pub mod report;
pub mod selection;
pub mod source;
pub mod spot;
pub mod stream;
pub mod tar;
pub mod tree;
pub mod unpack;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use chain::Tell;
use chain::args::{self, Tool};

use crate::cli::Options;
use crate::failure::{Failure, Kind};
use crate::fetch::Fetch;
use crate::interrupt::Interrupt;
use crate::source::Source;

/// What the tool says of itself.
pub const TOOL: Tool = Tool {
    name: "rootfs-fetch",
    about: "Make a root directory from an archive, or from this machine's own programs",
    operands: "SOURCE DIRECTORY",
    version: env!("CARGO_PKG_VERSION"),
    usage_error: Kind::Usage as i32,
};

/// Runs the tool: reads the command line, fetches, tells, and says how it ended.
pub fn run(argv: Vec<OsString>) -> ExitCode {
    let line = args::parse::<Options>(&TOOL, argv);
    let tell = Tell::new(TOOL.name, line.voice);
    let mut operands = line.operands.into_iter();
    let (Some(source), Some(directory), None) = (operands.next(), operands.next(), operands.next()) else {
        args::usage_error(
            &TOOL,
            &tell,
            "needs a SOURCE and a DIRECTORY",
            Some("'rootfs-fetch host: my-root' copies this machine's own programs"),
        )
    };
    // modes are the archive's, whatever the caller's mask
    rustix::process::umask(rustix::fs::Mode::empty());
    let interrupt = Interrupt::watch();
    let directory = PathBuf::from(directory);
    let fetch = Fetch {
        source: Source::parse(&source),
        directory: &directory,
        options: &line.options,
        interrupt: &interrupt,
        tell: &tell,
    };
    match fetch.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            interrupt::let_go();
            ended(&interrupt.check().err().unwrap_or(failure), &tell)
        }
    }
}

fn ended(failure: &Failure, tell: &Tell) -> ExitCode {
    failure.tell(tell);
    match failure {
        Failure::Wrong { kind, .. } => ExitCode::from(*kind as u8),
        Failure::Signal(signal) => {
            interrupt::end_by(*signal);
            ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
        }
    }
}

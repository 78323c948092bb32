// SPDX-License-Identifier: MIT OR Apache-2.0
//! rootfs-fetch: an image, any archive, or the host itself, becomes a root directory.
//!
//! The story is [`fetch::Fetch::run`]: open the source, make a sibling of DIRECTORY, fill
//! it, rename it into place. Whatever goes wrong on the way, the sibling goes
//! and DIRECTORY was never there. Nothing an archive says reaches outside the
//! sibling: names are [`name::Name`]s, and a [`tree::Tree`] resolves them.

#![forbid(unsafe_code)]
// nothing read from outside may end in a panic: CONTRIBUTING.md, "No panic"
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unimplemented,
        clippy::unreachable
    )
)]

pub mod cache;
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
pub mod input;
pub mod interrupt;
pub mod listed;
pub mod name;
pub mod net;
pub mod partial;
pub mod place;
pub mod policy;
pub mod progress;
pub mod registry;
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
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use chain::Tell;
use chain::args::{self, Tool};

use crate::cli::Options;
use crate::failure::{Failure, Kind};
use crate::fetch::Fetch;
use crate::input::Opener;
use crate::interrupt::Interrupt;
use crate::net::client::{Net, Rules};
use crate::source::Source;

/// What the tool says of itself.
pub const TOOL: Tool = Tool {
    name: "rootfs-fetch",
    about: "Make a root directory from an image, an archive, or this machine's own programs",
    operands: "SOURCE DIRECTORY",
    version: env!("CARGO_PKG_VERSION"),
    usage_error: Kind::Usage as i32,
};

/// Runs the tool: reads the command line, fetches, tells, and says how it ended.
pub fn run(argv: Vec<OsString>) -> ExitCode {
    let line = args::parse::<Options>(&TOOL, argv);
    let tell = Tell::new(TOOL.name, line.voice);
    // modes are the archive's, whatever the caller's mask
    rustix::process::umask(rustix::fs::Mode::empty());
    let options = &line.options;
    let operands = Operands::take(line.operands, options)
        .unwrap_or_else(|(wrong, hint)| args::usage_error(&TOOL, &tell, wrong, hint));
    let interrupt = Interrupt::watch();
    let rules = Rules {
        authorities: options.cacert.clone(),
        insecure_http: options.insecure_http,
        patience: Duration::from_secs(options.timeout),
    };
    let net = Net::new(rules, &interrupt);
    match fetch(&operands, options, &net, &tell) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            interrupt::let_go();
            ended(&interrupt.check().err().unwrap_or(failure), &tell)
        }
    }
}

/// SOURCE, and DIRECTORY unless only something is to be said of the source.
struct Operands {
    source: OsString,
    directory: Option<PathBuf>,
}

impl Operands {
    fn take(
        operands: Vec<OsString>,
        options: &Options,
    ) -> Result<Self, (&'static str, Option<&'static str>)> {
        let mut operands = operands.into_iter();
        let (source, directory) = (operands.next(), operands.next().map(PathBuf::from));
        match (source, directory, operands.next()) {
            (Some(source), None, None) if options.print_digest || options.config.is_some() => {
                Ok(Self { source, directory: None })
            }
            (Some(_), Some(_), None) if options.print_digest => {
                Err(("--print-digest makes no DIRECTORY", None))
            }
            (Some(source), Some(directory), None) => Ok(Self { source, directory: Some(directory) }),
            _ => Err((
                "needs a SOURCE and a DIRECTORY",
                Some("'rootfs-fetch host: my-root' copies this machine's own programs"),
            )),
        }
    }
}

fn fetch(operands: &Operands, options: &Options, net: &Arc<Net>, tell: &Tell) -> failure::Result<()> {
    let source = Source::parse(&operands.source)?;
    net.check()?;
    if let Some(directory) = &operands.directory {
        return Fetch { source, directory, options, net, tell }.run();
    }
    let opener = Opener { options, net, beside: Path::new("."), tell };
    if options.print_digest {
        let line = format!("{}\n", opener.digest(&source)?);
        return unpack::file::write_all(rustix::stdio::stdout(), line.as_bytes());
    }
    let config = opener.config(&source)?;
    options.config.as_ref().map_or(Ok(()), |path| input::write_config(&config, path))
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

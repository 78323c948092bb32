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

pub mod ahead;
pub mod cache;
pub mod checksums;
pub mod cli;
pub mod decode;
pub mod digest;
pub mod directories;
pub mod distro;
pub mod failure;
pub mod fetch;
#[doc(hidden)]
pub mod fuzzed;
pub mod host;
pub mod image;
pub mod input;
pub mod interrupt;
pub mod listed;
pub mod mounted;
pub mod name;
pub mod net;
pub mod operands;
pub mod partial;
pub mod place;
pub mod policy;
pub mod progress;
pub mod provenance;
pub mod registry;
pub mod remove;
pub mod report;
pub mod selection;
pub mod signature;
pub mod source;
pub mod spared;
pub mod spelling;
pub mod spot;
pub mod stream;
pub mod tar;
pub mod tree;
pub mod unpack;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use chain::args::{self, Tool};
use chain::{Reporter, Verbosity};

use crate::cli::Options;
use crate::failure::{Failure, Kind};
use crate::fetch::Fetch;
use crate::input::Opener;
use crate::interrupt::Interrupt;
use crate::net::client::{Net, Rules};
use crate::operands::Operands;

/// What the tool says of itself.
pub const TOOL: Tool = Tool {
    name: "rootfs-fetch",
    about: source::ABOUT,
    operands: "SOURCE DIRECTORY",
    version: env!("CARGO_PKG_VERSION"),
    usage_error: Kind::Usage as i32,
};

/// Runs the tool: reads the command line, fetches, tells, and says how it ended.
pub fn run(argv: Vec<OsString>) -> ExitCode {
    let line = args::parse::<Options>(&TOOL, operands::in_order(argv));
    let reporter = Reporter::new(TOOL.name, line.verbosity);
    // modes are the archive's, whatever the caller's mask
    rustix::process::umask(rustix::fs::Mode::empty());
    let options = &line.options;
    if options.list && line.operands.is_empty() {
        return told(unpack::file::write_all(rustix::stdio::stdout(), distro::list().as_bytes()), &reporter);
    }
    let operands = Operands::take(line.operands, options)
        .unwrap_or_else(|(wrong, hint)| args::usage_error(&TOOL, &reporter, &wrong, hint.as_deref()));
    let interrupt = Interrupt::watch();
    let rules = Rules {
        authorities: options.cacert.clone(),
        insecure_http: options.insecure_http,
        patience: Duration::from_secs(options.timeout),
    };
    let net = Net::new(rules, &interrupt);
    let fetched = fetch(&operands, options, &net, &reporter).map_err(|failure| {
        interrupt::let_go();
        interrupt.check().err().unwrap_or(failure)
    });
    told(fetched, &reporter)
}

fn fetch(operands: &Operands, options: &Options, net: &Arc<Net>, reporter: &Reporter) -> failure::Result<()> {
    net.check()?;
    let replaced = operands.directory.as_deref().filter(|_| options.replace);
    if let Some(directory) = replaced.filter(|_| reporter.verbosity() != Verbosity::DryRun) {
        // before anything is fetched in vain; and once more before the old tree goes
        spared::check(directory)?;
    }
    let beside = operands.directory.as_deref().map_or(Path::new("."), fetch::beside);
    let opener = Opener { options, net, beside, reporter };
    let (source, options) = &provenance::settle(&operands.source, &opener)?;
    if let Some(directory) = &operands.directory {
        return Fetch { source: source.clone(), directory, options, net, reporter }.run();
    }
    let opener = Opener { options, ..opener };
    if options.print_digest {
        let line = format!("{}\n", opener.digest(source)?);
        return unpack::file::write_all(rustix::stdio::stdout(), line.as_bytes());
    }
    let config = opener.config(source)?;
    if reporter.verbosity() == Verbosity::DryRun {
        return Ok(());
    }
    options.config.as_ref().map_or(Ok(()), |path| input::write_config(&config, path))
}

/// Says how it ended, by a line and by the exit status.
fn told(result: failure::Result<()>, reporter: &Reporter) -> ExitCode {
    let Err(failure) = result else { return ExitCode::SUCCESS };
    failure.reporter(reporter);
    match failure {
        Failure::Wrong { kind, .. } => ExitCode::from(kind as u8),
        Failure::Signal(signal) => {
            interrupt::end_by(signal);
            ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! rootfs-fetch: a root directory from an image, an archive, or the host's own programs.
//!
//! [`fetch::Fetch::run`] is the whole run: open the source, create a sibling of DIRECTORY, fill it,
//! rename it to DIRECTORY. If anything fails, the sibling is removed and DIRECTORY is unchanged.
//!
//! Layers, each of which imports only those below it:
//!
//! | layer | what it does |
//! | --- | --- |
//! | [`cli`] | options and operands |
//! | [`fetch`] | one run, from source to directory |
//! | [`source`] | what SOURCE names: transports, distributions, checksums and signatures |
//! | [`oci`] | container images: registries, layouts, docker archives, the cache |
//! | [`net`] | HTTP |
//! | [`host`], [`destination`] | the host's programs as a root; DIRECTORY and its sibling |
//! | [`unpack`] | entries become files, as the policy allows |
//! | [`tree`] | the tree that grows: names in it never lead outside |
//! | [`archive`] | from bytes to entries: compression, tar |
//! | [`failure`], [`digest`], [`io`], [`interrupt`], [`progress`] | what all layers use |

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

pub mod archive;
pub mod cli;
pub mod destination;
pub mod digest;
pub mod failure;
pub mod fetch;
#[doc(hidden)]
pub mod fuzzed;
pub mod host;
pub mod interrupt;
pub mod io;
pub mod net;
pub mod oci;
pub mod progress;
pub mod source;
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
use crate::cli::operands::Operands;
use crate::failure::{Failure, Kind};
use crate::fetch::Fetch;
use crate::interrupt::Interrupt;
use crate::net::client::{Net, Rules};
use crate::source::input::Opener;

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
    let line = args::parse::<Options>(&TOOL, cli::operands::in_order(argv));
    let reporter = Reporter::new(TOOL.name, line.verbosity);
    // modes are the archive's, whatever the caller's mask
    rustix::process::umask(rustix::fs::Mode::empty());
    let options = &line.options;
    if options.list && line.operands.is_empty() {
        return told(io::write_all(rustix::stdio::stdout(), source::distro::list().as_bytes()), &reporter);
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
        destination::replace_guard::check(directory)?;
    }
    let beside = operands.directory.as_deref().map_or(Path::new("."), fetch::beside);
    let opener = Opener { options, net, beside, reporter };
    let (source, options) = &source::verify::verify_source(&operands.source, &opener)?;
    if let Some(directory) = &operands.directory {
        return Fetch { source: source.clone(), directory, options, net, reporter }.run();
    }
    let opener = Opener { options, ..opener };
    if options.print_digest {
        let line = format!("{}\n", opener.digest(source)?);
        return io::write_all(rustix::stdio::stdout(), line.as_bytes());
    }
    let config = opener.config(source)?;
    if reporter.verbosity() == Verbosity::DryRun {
        return Ok(());
    }
    options.config.as_ref().map_or(Ok(()), |path| source::input::write_config(&config, path))
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

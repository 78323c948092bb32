//! rootfs-fetch: a root directory from an image, an archive, or the host's own programs.
//!
//! [`fetch::Fetch::run`] is the whole run: open the source, create a sibling of DIRECTORY, fill it,
//! rename it to DIRECTORY. If anything fails, the sibling is removed and DIRECTORY is unchanged. With
//! `--into` there is no sibling: DIRECTORY itself is added to, and what was added stays.
//!
//! Layers, each of which imports only those below it:
//!
//! | layer | what it does |
//! | --- | --- |
//! | [`cli`] | options and operands |
//! | [`fetch`] | one run, from source to directory |
//! | [`source`] | what SOURCE names: transports, distributions, checksums and signatures |
//! | [`config`] | what a fetch is to do |
//! | [`oci`] | container images: registries, layouts, docker archives, the cache |
//! | [`net`] | HTTP |
//! | [`host`], [`destination`] | the host's programs as a root; DIRECTORY and its sibling |
//! | [`unpack`] | entries become files, as the policy allows |
//! | [`tree`] | the tree that grows: names in it never lead outside |
//! | [`archive`] | from bytes to entries: compression, tar |
//! | [`failure`], [`digest`], [`io`], [`interrupt`], [`progress`] | what all layers use |

#![forbid(unsafe_code)]

pub mod archive;
pub mod cli;
pub mod config;
pub mod destination;
pub mod digest;
pub mod failure;
pub mod fetch;
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

use chain::Reporter;
use chain::args;

use crate::cli::Options;
pub use crate::cli::TOOL;
use crate::cli::operands::{Operands, Target};
use crate::config::FetchConfig;
use crate::destination::{IfExists, replace_guard};
use crate::fetch::Fetch;
use crate::interrupt::Interrupt;
use crate::net::client::Net;
use crate::source::input::{Opener, write_image_config};
use crate::source::verify::verify_source;

/// Runs the tool and returns its exit status.
pub fn run(argv: Vec<OsString>) -> ExitCode {
    let parsed = args::parse::<Options>(&TOOL, cli::operands::in_order(argv));
    let reporter = Reporter::new(TOOL.name, parsed.verbosity);
    // helper programs, the cache and --config use the caller's umask; entries get the archive's modes
    // regardless
    io::take_umask();
    let options = parsed.options;
    if options.list && parsed.operands.is_empty() {
        args::print(&TOOL, &source::distro::list(), 0)
    }
    let operands = Operands::parse(parsed.operands, &options).unwrap_or_else(|failure| {
        args::usage_error(&TOOL, &reporter, &failure.message, failure.hint.as_deref())
    });
    let interrupt = Interrupt::watch();
    let net = Net::new(options.net_rules(reporter), &interrupt);
    let fetched = fetch(&operands, options.into_config(), &net, &reporter).map_err(|failure| {
        interrupt::unblock_signals();
        interrupt.check().err().unwrap_or(failure)
    });
    finish(fetched, &reporter)
}

fn fetch(
    operands: &Operands,
    mut config: FetchConfig,
    net: &Arc<Net>,
    reporter: &Reporter,
) -> failure::Result<()> {
    net.check()?;
    let dry_run = reporter.verbosity().is_dry_run();
    if let Target::Directory(directory) = &operands.target
        && config.if_exists == IfExists::Replace
    {
        // fail before the download; this is checked again before the old tree is removed
        replace_guard::check(directory)?;
    }
    let source = verify_source(&operands.source, &mut config, net, reporter)?;
    let opener = Opener { config: &config, net, temp_dir: Path::new("."), reporter };
    match &operands.target {
        Target::Directory(directory) => Fetch { source, directory, config: &config, net, reporter }.run(),
        Target::PrintedDigest => {
            source::refused::check_printed_digest(&source, &config)?;
            // there is nothing to clean up, so a signal need not wait for the next bytes
            interrupt::unblock_signals();
            let line = format!("{}\n", opener.digest(&source)?);
            io::write_all(rustix::stdio::stdout(), line.as_bytes())
        }
        Target::ImageConfig(path) => {
            let directory = Path::new(".");
            let image_config =
                Fetch { source, directory, config: &config, net, reporter }.only_image_config()?;
            if dry_run { Ok(()) } else { write_image_config(&image_config, path) }
        }
    }
}

/// Prints a failure and returns the exit status; after a signal the process ends by that signal.
fn finish(result: failure::Result<()>, reporter: &Reporter) -> ExitCode {
    let Err(failure) = result else { return ExitCode::SUCCESS };
    let status = failure.print(reporter);
    if let Some(signal) = failure.by_signal() {
        interrupt::end_by(signal);
    }
    ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX))
}

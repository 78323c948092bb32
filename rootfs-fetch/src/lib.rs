// SPDX-License-Identifier: MIT OR Apache-2.0
//! rootfs-fetch: any archive, or the host itself, becomes a root directory.
//!
//! The story is [`fetch`]: open the source, make a sibling of DIRECTORY, fill
//! it, rename it into place. Whatever goes wrong on the way, the sibling goes
//! and DIRECTORY was never there. Nothing an archive says reaches outside the
//! sibling: names are [`name::Name`]s, and a [`tree::Tree`] resolves them.

#![forbid(unsafe_code)]

pub mod cli;
pub mod decode;
pub mod directories;
pub mod failure;
pub mod host;
pub mod interrupt;
pub mod name;
pub mod place;
pub mod policy;
pub mod remove;
pub mod report;
pub mod source;
pub mod spot;
pub mod stream;
pub mod tar;
pub mod tree;
pub mod unpack;

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chain::args::{self, Tool};
use chain::{Tell, Voice};

use crate::cli::Options;
use crate::failure::{Failure, Kind, Result};
use crate::interrupt::Interrupt;
use crate::place::Place;
use crate::policy::{Devices, Owners, Policy};
use crate::report::Report;
use crate::source::Source;
use crate::stream::Stream;
use crate::tar::reader::Trailer;
use crate::tree::Tree;
use crate::unpack::Unpacker;

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
    match fetch(&Source::parse(&source), &directory, &line.options, &interrupt, &tell) {
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

/// From SOURCE to DIRECTORY.
///
/// # Errors
/// Every [`Failure`]; DIRECTORY is then as it was.
pub fn fetch(
    source: &Source,
    directory: &Path,
    options: &Options,
    interrupt: &Interrupt,
    tell: &Tell,
) -> Result<()> {
    let policy = policy(options);
    let input = Input::open(source, options, interrupt)?;
    if tell.voice() == Voice::DryRun {
        return Ok(());
    }
    let place = Place::beside(directory)?;
    match fill(&place, input, policy, interrupt) {
        Ok(report) => {
            place.commit()?;
            if !options.quiet {
                report.tell_losses(tell);
                report.tell_made(tell, directory);
            }
            Ok(())
        }
        Err(failure) => {
            if let Err(left) = place.abandon() {
                left.tell(tell);
            }
            Err(failure)
        }
    }
}

/// A source that is there and can be read.
enum Input {
    Archive(Stream),
    Host(host::Copy),
}

impl Input {
    fn open(source: &Source, options: &Options, interrupt: &Interrupt) -> Result<Self> {
        let input: File = match source {
            Source::Host(programs) => return Ok(Self::Host(host::Copy::plan(programs)?)),
            Source::File(path) => place::open_archive(path)?.into(),
            Source::Stdin => rustix::io::dup(rustix::stdio::stdin())
                .map_err(|error| Failure::call("read standard input", "dup(0)", error))?
                .into(),
        };
        let mut stream = Stream::start(Box::new(input), options.max_size, interrupt)?;
        // what is no archive is said before anything is made
        stream.ready()?;
        Ok(Self::Archive(stream))
    }
}

fn fill(place: &Place, input: Input, policy: Policy, interrupt: &Interrupt) -> Result<Report> {
    let tree = Tree::new(place.root()?)?;
    match input {
        Input::Archive(mut stream) => {
            let mut unpacker = Unpacker::new(tree, policy);
            unpacker.archive(&mut stream, Trailer::Required, interrupt)?;
            unpacker.finish()
        }
        Input::Host(copy) => copy.make(tree, interrupt),
    }
}

fn policy(options: &Options) -> Policy {
    let mut policy = Policy::for_caller();
    if options.no_same_owner {
        policy.owners = Owners::Caller;
    } else if options.squash && policy.owners == Owners::Keep {
        policy.owners = Owners::Squash;
    }
    if options.devices {
        policy.devices = Devices::Make;
    }
    policy.most_files = options.max_files;
    policy
}

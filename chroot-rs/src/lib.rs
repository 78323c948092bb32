//! chroot-rs: change the root directory so that nothing inside can see out, then become the next command.
#![forbid(unsafe_code)]

mod broken_variables;
pub mod capabilities;
mod cgroup_view;
pub mod changes;
pub mod cli;
mod credentials;
mod descriptors;
mod dev;
mod environment;
mod extra_mount;
mod free_ids;
mod ids;
mod image;
mod make_directories;
mod mask;
mod mount_request;
mod mount_target;
mod mounts;
mod nested_mounts;
mod overlay;
mod plan;
mod probe;
mod rights;
mod root;
mod root_mount;
pub mod seccomp;
mod setup;
mod standard_pipes;
mod subordinate_files;

use std::ffi::OsString;
use std::path::PathBuf;

use chain::args::{self, Parsed};
use chain::exec::Command;
use chain::{Failure, Reporter, Verbosity};
use system::sys;

use crate::cli::{Options, TOOL};
use crate::image::Image;
use crate::probe::Probe;
use crate::root::Root;
use crate::setup::Setup;

/// Runs the tool with its argument vector; becomes the command and does not return.
pub fn run(argv: Vec<OsString>) -> ! {
    let Parsed { options, verbosity, operands, .. } = args::parse::<Options>(&TOOL, argv);
    let reporter = Reporter::new(TOOL.name, verbosity);
    if options.changes.run_nothing() {
        match open_root(operands).and_then(|(root, _)| options.changes.act(&root)) {
            Ok(()) => sys::exit(0),
            Err(failure) => reporter.exit_with(&failure),
        }
    }
    let (setup, remarks) = prepare(options, operands).unwrap_or_else(|failure| reporter.exit_with(&failure));
    let remarks = remarks.iter().filter(|_| reporter.verbosity() != Verbosity::Quiet);
    for note in setup.notes.iter().chain(remarks) {
        reporter.message(note);
    }
    plan::plan(setup).execute(&reporter)
}

/// Reads the system and decides, and changes nothing. What an image says of itself comes along.
fn prepare(mut options: Options, operands: Vec<OsString>) -> Result<(Setup, Vec<String>), Failure> {
    let (root, mut command) = open_root(operands)?;
    let image = options.image.image_config.as_deref().map(Image::read).transpose()?;
    if let Some(image) = &image {
        command = image.command(options.image.entrypoint.as_deref(), command)?;
    }
    let accounts = image.as_ref().map(|image| {
        let accounts = root.account_files();
        image.fill_in(&mut options.credentials, &mut options.workdir, &accounts);
        accounts
    });
    let command = Command::from_operands(command).unwrap_or_else(|| interactive_shell(&root));
    let mut setup = Setup::resolve(&options, Probe::read(root, &options), command)?;
    if let (Some(image), Some(accounts)) = (&image, &accounts) {
        let home = accounts.user_of(setup.credentials.uid.unwrap_or_default()).and_then(|user| user.home());
        let home = home.unwrap_or_else(|| "/".into());
        setup.environment = image.environment(&home, &mut setup.notes);
        // the image has a PATH and a HOME of its own
        setup.mended.clear();
        setup.missing_workdir = setup.workdir.clone().filter(|dir| !setup.root.has(dir));
    }
    setup.environment.set_all(&options.image.env);
    Ok((setup, image.map(|image| image.remarks).unwrap_or_default()))
}

/// NEWROOT, and the words of the command.
fn open_root(mut operands: Vec<OsString>) -> Result<(Root, Vec<OsString>), Failure> {
    if operands.is_empty() {
        return Err(Failure::new("missing operand: NEWROOT").hint("chroot-rs ubuntu-fs /bin/bash"));
    }
    let command = operands.split_off(1);
    Ok((Root::open(operands.pop().map(PathBuf::from).unwrap_or_default())?, command))
}

fn interactive_shell(root: &Root) -> Command {
    let program = root.shell(std::env::var_os("SHELL"));
    Command { argv: vec![program.clone(), "-i".into()], ..Command::shell(program) }
}

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
mod hosts;
mod ids;
mod image;
mod kernel_mounts;
mod make_directories;
mod mask;
mod mount_point;
mod mount_request;
mod mount_target;
mod nested_mounts;
mod notes;
mod overlay;
mod plan;
mod probe;
mod rights;
mod root;
mod root_mount;
mod sealed_copy;
pub mod seccomp;
mod setup;
mod standard_pipes;
mod subordinate_files;

use std::ffi::OsString;
use std::path::PathBuf;

use chain::args::{self, Parsed};
use chain::command::Command;
use chain::reporter::quoted;
use chain::{Failure, Plan, Reporter, Verbosity};
use system::{program, sys};

use crate::cli::{Options, TOOL};
use crate::image::Image;
use crate::probe::Probe;
use crate::root::Root;
use crate::setup::Setup;

/// Runs the tool with its arguments; becomes the command and never returns.
pub fn run(argv: Vec<OsString>) -> ! {
    // before --help and --version, too: the command is not this program
    if program::is_outside() {
        // processes inside could write to it through /proc
        let failure =
            Failure::new("refused: this program is outside the root directory; a link in /proc led to it");
        let failure = failure.hint("use a COMMAND that is not a link to /proc/self/exe");
        Reporter::new(TOOL.name, Verbosity::Quiet).exit_with(&failure);
    }
    let Parsed { options, verbosity, operands, last_option } = args::parse::<Options>(&TOOL, argv);
    let reporter = Reporter::new(TOOL.name, verbosity);
    if let Some(option) = options.changes.instead_of_run() {
        let opened = open_root(&options, operands, last_option.as_deref());
        let done = opened.and_then(|(root, command, _)| match command.first() {
            Some(word) => Err(Failure::new(format!("{option} runs no command: leave out {}", quoted(word)))),
            None => options.changes.check(&root).and_then(|()| options.changes.act(&root, &reporter)),
        });
        match done {
            Ok(()) => sys::exit(0),
            Err(failure) => reporter.exit_with(&failure),
        }
    }
    let becomes_copy = sealed_copy::is_needed(&options) && !sealed_copy::is_here();
    if becomes_copy && !reporter.verbosity().is_dry_run() {
        let mut plan = Plan::without_command();
        sealed_copy::plan(&mut plan);
        plan.execute(&reporter);
    }
    let (mut setup, image_notes) = prepare(options, operands, last_option.as_deref())
        .unwrap_or_else(|failure| reporter.exit_with(&failure));
    setup.becomes_copy = becomes_copy;
    let image_notes = image_notes.iter().filter(|_| reporter.verbosity().shows_steps());
    for note in setup.notes.iter().chain(image_notes) {
        reporter.message(note);
    }
    plan::plan(setup).execute(&reporter)
}

/// Reads the system and decides, without changing anything. Also returns the image's notes.
fn prepare(
    mut options: Options,
    operands: Vec<OsString>,
    last_option: Option<&str>,
) -> Result<(Setup, Vec<String>), Failure> {
    let (root, mut command, meant) = open_root(&options, operands, last_option)?;
    options.changes.check(&root)?;
    let image = options.image.image_config.as_deref().map(Image::read).transpose()?;
    if let Some(image) = &image {
        command = image.command(options.image.entrypoint.as_deref(), command)?;
    }
    let accounts = image.as_ref().map(|image| {
        let accounts = root.account_files();
        image.fill_in(&mut options.credentials, &mut options.workdir, &accounts);
        accounts
    });
    let command = Command::from_operands(command);
    // a directory here can have the name of a program there
    let is_there = |command: &Command| command.candidates().iter().any(|place| root.has_file(place));
    let meant = meant.filter(|_| !command.as_ref().is_some_and(is_there));
    let command = command.map(|command| command.or_hint(meant.clone()));
    let command = command.unwrap_or_else(|| interactive_shell(&root));
    let mut setup = Setup::resolve(&options, Probe::read(root, &options), command)
        .map_err(|failure| Failure { hint: meant.or(failure.hint), ..failure })?;
    if let (Some(image), Some(accounts)) = (&image, &accounts) {
        let home = accounts.user_of(setup.credentials.uid.unwrap_or_default()).and_then(|user| user.home());
        let home = home.unwrap_or_else(|| "/".into());
        setup.environment = image.environment(&home, &mut setup.notes);
        // the image has its own PATH and HOME
        setup.mended.clear();
        setup.missing_workdir = setup.workdir.clone().filter(|dir| !setup.root.has(dir));
    }
    setup.environment.set_all(&options.image.env);
    Ok((setup, image.map(|image| image.notes).unwrap_or_default()))
}

/// NEWROOT, the words of the command, and the hint if that is not found. Without NEWROOT, the message names the last
/// option, whose value it may have become.
fn open_root(
    options: &Options,
    mut operands: Vec<OsString>,
    last_option: Option<&str>,
) -> Result<(Root, Vec<OsString>, Option<String>), Failure> {
    if operands.is_empty() {
        let hint = options.changes.example().unwrap_or_else(|| "chroot-rs ubuntu-fs /bin/bash".to_string());
        return Err(Failure::new("missing operand: NEWROOT").hint(hint));
    }
    let command = operands.split_off(1);
    let path = operands.pop().map(PathBuf::from).unwrap_or_default();
    let joined = options.mounts.joined(&path, command.first());
    let meant = || {
        let path = path.to_string_lossy();
        joined.clone().or_else(|| last_option.and_then(|option| hints::unjoined(TOOL.name, option, &path)))
    };
    let root = Root::open(path.clone()).map_err(|failure| match meant().filter(|_| !path.exists()) {
        Some(hint) => failure.hint(hint),
        None => failure,
    })?;
    Ok((root, command, joined))
}

fn interactive_shell(root: &Root) -> Command {
    let program = root.shell(std::env::var_os("SHELL"));
    Command { argv: vec![program.clone(), "-i".into()], ..Command::shell(program) }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    #[test]
    fn the_hint_for_a_missing_newroot_repeats_the_users_options() {
        let hint = |words: &[&str]| {
            let command = Options::augment_args(clap::Command::new("chroot-rs").no_binary_name(true));
            let options = Options::from_arg_matches(&command.try_get_matches_from(words).unwrap()).unwrap();
            open_root(&options, Vec::new(), None).unwrap_err().hint.unwrap()
        };
        for (words, expected) in [
            (&["--changes=kept", "--list"][..], "chroot-rs --changes kept --list ubuntu-fs"),
            (
                &["--changes=my changes", "--list=json"],
                "chroot-rs --changes 'my changes' --list=json ubuntu-fs",
            ),
            (&["--changes=kept", "--apply"], "chroot-rs --changes kept --apply ubuntu-fs"),
            (&["--changes=kept", "--apply=force"], "chroot-rs --changes kept --apply=force ubuntu-fs"),
            (&["--changes=kept", "--discard"], "chroot-rs --changes kept --discard ubuntu-fs"),
            (&["--changes=kept"], "chroot-rs ubuntu-fs /bin/bash"),
        ] {
            assert_eq!(hint(words), expected, "{words:?}");
        }
    }
}

//! The next link of a chain in a dry run.
//!
//! A dry run becomes the next of our tools, which also prints its plan and changes nothing, because
//! `CHAIN_DRY_RUN=1` is in its environment. Other commands have no dry-run mode, so the output ends there.
//! The next tool reads the system without the effects of the steps before it. A line warns that its plan can
//! differ from the real one.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use nix::errno::Errno;
use nix::sched::CloneFlags;

use crate::call::Effect;
use crate::command::{Command, TOOLS};
use crate::exit::{FAILED, NOT_FOUND, NOT_RUNNABLE};
use crate::reporter::{Detail, ErrnoText, Reporter, Verbosity, listed, quoted};
use crate::step::Step;
use system::sys;

/// The variable that makes every tool of a chain print its plan and change nothing.
pub const DRY_RUN: &str = "CHAIN_DRY_RUN";

/// The variable that makes every tool of a chain print its steps.
pub(crate) const EXPLAIN: &str = "CHAIN_EXPLAIN";

/// Continues with the command's plan if the command is one of our tools. Returns the exit status of the dry
/// run if it is not, or cannot be run.
pub(crate) fn continue_with_next(reporter: &Reporter, command: &Command, steps: &[Step]) -> i32 {
    let name = Path::new(&command.program).file_name().unwrap_or_default();
    if !TOOLS.iter().any(|link| name == *link) {
        return 0;
    }
    let program = quoted(&command.program);
    let effects: Vec<Effect> = steps.iter().map(|step| step.action.effect()).collect();
    if effects.contains(&Effect::NewRoot) {
        reporter.message(format_args!("the plan ends here: {program} is in the new root, not in this one"));
        return 0;
    }
    if let Err((dir, errno)) = enter_directories(&effects) {
        reporter.message(format_args!("cannot continue the plan in {}: {}", quoted(dir), ErrnoText(errno)));
        return FAILED;
    }
    let Some(place) = command.resolve() else {
        reporter.message(format_args!("command not found: {program}"));
        return NOT_FOUND;
    };
    if !knows_dry_run(&place) {
        let place = quoted(&place);
        reporter.message(format_args!("the plan ends here: {place} does not support {DRY_RUN}"));
        return 0;
    }
    let kinds = changed_reads(&effects);
    if !kinds.is_empty() {
        reporter.message(format_args!(
            "the next plan is computed outside, so its steps can differ: inside, there are other {kinds}"
        ));
    }
    for effect in &effects {
        if let Effect::Variable(name, value) = effect {
            // cannot fail for our names and values
            let _ = sys::set_variable(name, value);
        }
    }
    become_it(reporter, command, &place)
}

/// Changes the working directory as the plan does: relative paths of the next tool start there.
fn enter_directories(effects: &[Effect]) -> Result<(), (&Path, Errno)> {
    effects.iter().try_for_each(|effect| match effect {
        Effect::Directory(dir) => nix::unistd::chdir(dir.as_path()).map_err(|errno| (dir.as_path(), errno)),
        _ => Ok(()),
    })
}

/// Whether the program contains the variable's name. A script, or a version of a tool without the variable,
/// would run for real.
fn knows_dry_run(place: &Path) -> bool {
    let mut bytes = Vec::new();
    let read = File::open(place).and_then(|mut file| file.read_to_end(&mut bytes));
    let word = DRY_RUN.as_bytes();
    read.is_ok() && bytes.starts_with(b"\x7fELF") && bytes.windows(word.len()).any(|part| part == word)
}

/// What the next tool reads from the system that will be different in the real run.
fn changed_reads(effects: &[Effect]) -> String {
    let changes = effects.iter().fold(CloneFlags::empty(), |all, effect| match effect {
        Effect::Changes(kinds) => all | *kinds,
        _ => all,
    });
    let kinds = [
        ("ids", CloneFlags::CLONE_NEWUSER),
        ("mounts", CloneFlags::CLONE_NEWNS),
        ("processes", CloneFlags::CLONE_NEWPID),
        ("control groups", CloneFlags::CLONE_NEWCGROUP),
        ("hostnames", CloneFlags::CLONE_NEWUTS),
    ];
    let kinds = kinds.into_iter().filter(|(_, flag)| changes.contains(*flag));
    let kinds: Vec<&str> = kinds.map(|(name, _)| name).collect();
    listed(&kinds)
}

fn become_it(reporter: &Reporter, command: &Command, place: &Path) -> i32 {
    let argv = command.argv.iter().map(|arg| sys::c_string(arg)).collect::<Result<Vec<_>, _>>();
    let asked = sys::c_string(place.as_os_str()).and_then(|path| {
        sys::set_variable(DRY_RUN, "1")?;
        if reporter.verbosity() == Verbosity::DryRun(Detail::Short) {
            sys::set_variable(EXPLAIN, "short")?;
        }
        Ok((path, argv?))
    });
    let errno = match asked {
        Ok((path, argv)) => sys::execve(&path, &argv),
        Err(errno) => errno,
    };
    reporter.message(format_args!("cannot get the plan of {}: {}", quoted(place), ErrnoText(errno)));
    NOT_RUNNABLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_next_tool_reads_otherwise_is_named() {
        let all = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
        assert_eq!(changed_reads(&[Effect::Changes(all)]), "ids, mounts and processes");
        assert_eq!(changed_reads(&[Effect::Changes(CloneFlags::CLONE_NEWCGROUP)]), "control groups");
        assert_eq!(changed_reads(&[Effect::Changes(CloneFlags::CLONE_NEWUTS)]), "hostnames");
        assert_eq!(changed_reads(&[Effect::Changes(CloneFlags::CLONE_NEWNET)]), "");
    }

    #[test]
    fn a_script_is_not_asked_for_its_plan() {
        let script = std::env::temp_dir().join(format!("exec-chain-next-{}", std::process::id()));
        std::fs::write(&script, format!("#!/bin/sh\n# {DRY_RUN}\n")).unwrap();
        let knows = knows_dry_run(&script);
        std::fs::remove_file(&script).unwrap();
        assert!(!knows);
    }
}

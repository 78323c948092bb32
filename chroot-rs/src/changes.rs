//! Kept changes: `--changes DIR`, and the options for them after the run.
//!
//! DIR has overlayfs's own format, `upper` and `work`, so the next run can continue with it. The options
//! compare it with NEWROOT, apply it to NEWROOT, or discard it; none of them runs a command.

mod apply;
mod comparison;
mod dir;
mod discard;
mod foreign;
mod lock;
mod marks;
mod mounted;
mod names;
mod removal;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use chain::call::shell_word;
use chain::reporter::{ErrnoText, quoted};
use chain::{Failure, Reporter, call};
use nix::errno::Errno;
use system::sys;

use crate::root::{DirState, Root};
use apply::Apply;
use comparison::{Change, Comparison};
use dir::Dir;
pub use discard::{FinishDiscard, is_unfinished};
pub use lock::Lock;
pub use marks::{AS_ROOT, Marks};
pub use names::{SINCE, UPPER, USERXATTR, WORK};

/// The options about changes.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ChangeOptions {
    /// Keep what is written to NEWROOT in DIR, where the next run with DIR finds it; NEWROOT stays unchanged
    #[arg(long, value_name = "DIR", conflicts_with_all = ["plain", "read_only", "ephemeral"])]
    pub changes: Option<PathBuf>,

    /// Print what was created, changed and removed in DIR of --changes, as text or json, and run nothing
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = "text",
          hide_possible_values = true,
          requires = "changes", conflicts_with_all = ["apply", "discard"])]
    pub list: Option<Format>,

    /// Apply DIR of --changes to NEWROOT, with force also where both changed, and run nothing
    #[arg(long, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_missing_value = "unchanged",
          hide_possible_values = true,
          requires = "changes", conflicts_with = "discard")]
    pub apply: Option<ApplyWhen>,

    /// Discard the changes in DIR of --changes, and run nothing
    #[arg(long, requires = "changes")]
    pub discard: bool,
}

/// How changes are printed: as text, with the path in quotes, or as one JSON object per line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[expect(missing_docs, reason = "a doc comment would be a long help")]
pub enum Format {
    Text,
    Json,
}

/// Which changes are applied: only if NEWROOT's versions have not changed since, or always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[expect(missing_docs, reason = "a doc comment would be a long help")]
pub enum ApplyWhen {
    Unchanged,
    Force,
}

impl ChangeOptions {
    /// The absolute path of the directory, outside.
    pub fn directory(&self) -> Option<PathBuf> {
        self.changes.as_ref().map(|dir| std::path::absolute(dir).unwrap_or_else(|_| dir.clone()))
    }

    /// Checks that the directory is one of changes, or can become one.
    ///
    /// # Errors
    /// If it is NEWROOT, or has files that no run with `--changes` created.
    pub fn check(&self, root: &Root) -> Result<(), Failure> {
        self.changes.as_ref().map_or(Ok(()), |dir| foreign::check(dir, root))
    }

    /// The option that replaces a run.
    pub const fn instead_of_run(&self) -> Option<&'static str> {
        match self {
            Self { list: Some(_), .. } => Some("--list"),
            Self { apply: Some(_), .. } => Some("--apply"),
            Self { discard: true, .. } => Some("--discard"),
            _ => None,
        }
    }

    /// A command line with that option and its values, for a hint.
    pub fn example(&self) -> Option<String> {
        let option = match self {
            Self { list: Some(Format::Json), .. } => "--list=json",
            Self { apply: Some(ApplyWhen::Force), .. } => "--apply=force",
            _ => self.instead_of_run()?,
        };
        let dir = shell_word(self.changes.as_ref()?);
        Some(format!("chroot-rs --changes {dir} {option} ubuntu-fs"))
    }

    /// Does what that option asks for; a dry run only prints it.
    ///
    /// # Errors
    /// What cannot be read or written, and changes on both sides.
    pub fn act(&self, root: &Root, reporter: &Reporter) -> Result<(), Failure> {
        let Some(dir) = &self.changes else { return Ok(()) };
        if opened(dir)?.is_none() && (self.list.is_some() || !is_unfinished(dir)) {
            return Ok(());
        }
        // a command that still runs must not lose its changes
        let _lock = match self.list {
            Some(_) => None,
            None => Some(locked(dir)?),
        };
        // another run may have discarded them before this one got the lock
        let Some(upper) = opened(dir)? else {
            let finishes = self.list.is_none()
                && begins(reporter, format_args!("finish discarding the changes in {}", quoted(dir)));
            return if finishes { discarded(dir, discard::finish) } else { Ok(()) };
        };
        let lower = Dir::at(&Path::new("/proc/self/fd").join(fd_name(root)))
            .map_err(|why| failed("read", &root.path, &why))?;
        if self.discard {
            let discards = begins(reporter, format_args!("discard the changes in {}", quoted(dir)));
            return if discards { discarded(dir, discard::all) } else { Ok(()) };
        }
        let marks = Marks::recorded(dir).unwrap_or_default();
        if !marks.are_readable() {
            let failure =
                format!("cannot read the changes in {}: the machine's root began them", quoted(dir));
            return Err(Failure::new(failure).hint(marks::AS_ROOT));
        }
        let mut found = Comparison { since: start_time(dir), marks, changes: Vec::new() };
        found.compare(&upper, Some(&lower), Path::new("")).map_err(|why| failed("compare", dir, &why))?;
        found.changes.sort_by(|one, other| one.path.cmp(&other.path));
        if let Some(format) = self.list {
            return print(&found.changes, format).map_err(|why| Failure::new(format!("cannot print: {why}")));
        }
        let conflicts: Vec<&Change> = found.changes.iter().filter(|change| change.is_conflict).collect();
        if let (Some(first), Some(ApplyWhen::Unchanged)) = (conflicts.first(), self.apply) {
            let count = conflicts.len();
            let path = Path::new("/").join(&first.path);
            let message =
                format!("nothing was applied: NEWROOT has changed, too: {} ({count} in all)", quoted(&path));
            return Err(Failure::new(message).hint("--list shows them; --apply=force replaces them"));
        }
        if let Some(at) = mounted::in_the_way(&found.changes, root) {
            let inside = Path::new("/").join(&at);
            let message = format!("nothing was applied: something is mounted on {}", quoted(&inside));
            return Err(Failure::new(message).hint(unmount(&root.path.join(&at))));
        }
        let count = found.changes.len();
        let counted = if count == 1 { "1 change".to_string() } else { format!("{count} changes") };
        let (from, to) = (quoted(dir), quoted(&root.path));
        if !begins(reporter, format_args!("apply {counted} in {from} to {to}")) {
            return Ok(());
        }
        Apply::all(&upper, &lower, marks).map_err(|(path, why)| {
            let failure = failed("apply", &Path::new("/").join(&path), &why);
            match why.raw_os_error() {
                // a mount that was made meanwhile
                Some(libc::EXDEV | libc::EBUSY) => failure.hint(unmount(&root.path.join(path))),
                // an overlay lets a user create and remove entries in other users' directories
                Some(libc::EACCES | libc::EPERM) => failure.hint(
                    "the changes are kept: undo this one in another run, or run --apply as a user who can write there",
                ),
                _ => failure.hint("the changes are kept: run --apply again to continue"),
            }
        })?;
        discarded(dir, discard::all)
    }
}

/// The hint for a mount in the way.
fn unmount(path: &Path) -> String {
    let path = call::shell_word(path);
    format!("umount {path}, or undo this change in another run; then run --apply again")
}

/// Prints what will be done, if the user asks for steps. Returns whether to do it.
fn begins(reporter: &Reporter, what: impl Display) -> bool {
    if reporter.verbosity().shows_steps() {
        reporter.message(what);
    }
    !reporter.verbosity().is_dry_run()
}

/// The state of a directory of NEWROOT that a command has replaced or removed; None if it is still a directory.
pub fn replaced(changes: &Path, name: &Path) -> Option<DirState> {
    let found = std::fs::symlink_metadata(changes.join(UPPER).join(name)).ok()?;
    let kind = found.file_type();
    Some(match () {
        () if kind.is_dir() => return None,
        () if kind.is_symlink() => DirState::Symlink,
        // an overlay's whiteout
        () if kind.is_char_device() && found.rdev() == 0 => DirState::Missing,
        () => DirState::Refused(Errno::ENOTDIR),
    })
}

fn fd_name(root: &Root) -> String {
    std::os::fd::AsRawFd::as_raw_fd(&root.dir.as_fd()).to_string()
}

/// When the changes in a directory began.
fn start_time(dir: &Path) -> Option<(i64, u64)> {
    let since = std::fs::metadata(dir.join(SINCE)).ok()?;
    Some((since.mtime(), since.mtime_nsec().try_into().ok()?))
}

fn locked(dir: &Path) -> Result<OwnedFd, Failure> {
    sys::try_lock_dir(dir).map_err(|errno| {
        let failure = failed("lock", dir, &errno.into());
        if errno == Errno::EWOULDBLOCK { failure.hint(lock::in_use()) } else { failure }
    })
}

/// Discards changes, or what is left of them.
fn discarded(dir: &Path, discard: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), Failure> {
    discard(dir).map_err(|why| failed("discard the changes in", dir, &why))
}

/// The changes; None if they were applied or discarded.
fn opened(dir: &Path) -> Result<Option<Dir>, Failure> {
    match Dir::at(&dir.join(UPPER)) {
        Err(why) if why.kind() == io::ErrorKind::NotFound && dir.join(WORK).is_dir() => Ok(None),
        opened => opened.map(Some).map_err(|why| {
            let failure = failed("read the changes in", dir, &why);
            match why.kind() {
                io::ErrorKind::NotFound => failure.hint("run a command with --changes=DIR first"),
                _ => Failure { hint: call::closed_above(&dir.join(UPPER)), ..failure },
            }
        }),
    }
}

fn print(changes: &[Change], format: Format) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for Change { kind, path, file_type, is_conflict } in changes {
        let path = Path::new("/").join(path);
        let word = kind.word();
        match format {
            Format::Text => {
                let conflict = if *is_conflict { ", also in NEWROOT" } else { "" };
                writeln!(out, "{word} {}{conflict}", quoted(&path))?;
            }
            Format::Json => writeln!(
                out,
                "{{\"change\":\"{word}\",\"path\":{},\"type\":\"{file_type}\",\"conflict\":{is_conflict}}}",
                json_string(&path)
            )?,
        }
    }
    out.flush()
}

/// A JSON string. A byte that is not UTF-8 becomes the code point with the same number, as in Latin-1.
fn json_string(path: &Path) -> String {
    let mut text = String::from("\"");
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
    let whole = std::str::from_utf8(bytes)
        .map_or_else(|_| bytes.iter().map(|byte| char::from(*byte)).collect(), str::to_string);
    for letter in whole.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            // ISO 8859 control characters too: terminals obey them
            letter if letter.is_control() => text.push_str(&format!("\\u{:04x}", letter as u32)),
            letter => text.push(letter),
        }
    }
    text + "\""
}

fn failed(what: &str, path: &Path, why: &io::Error) -> Failure {
    let cannot = format!("cannot {what} {}", quoted(path));
    match why.raw_os_error() {
        Some(errno) => Failure::new(format!("{cannot}: {}", ErrnoText(Errno::from_raw(errno)))),
        None => Failure::new(format!("{cannot}: {why}")),
    }
}

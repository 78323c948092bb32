//! Changes that are kept: `--changes DIR`, and what is done with them afterwards.
//!
//! DIR has overlayfs' own form, `upper` and `work`, so it is the start of the next run. It is compared with
//! NEWROOT, applied to it, or discarded; none of these runs a command.

mod apply;
mod lock;
mod tree;

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use chain::Failure;
use chain::reporter::{ErrnoText, quoted};
use nix::errno::Errno;
use system::sys;

use crate::root::Root;
use apply::Apply;
pub use lock::Lock;
use tree::{Change, Comparison, Dir};

/// The file that says when the changes were begun.
pub const SINCE: &str = "since";
/// What was written, as overlayfs keeps it.
pub const UPPER: &str = "upper";
/// The name of what was written while it is removed.
const GONE: &str = "gone";
/// The overlay's own directory.
pub const WORK: &str = "work";

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
    pub apply: Option<When>,

    /// Discard the changes in DIR of --changes, and run nothing
    #[arg(long, requires = "changes")]
    pub discard: bool,
}

/// How changes are printed: in words with a path in quotes, or an object a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[expect(missing_docs, reason = "a doc comment would be a long help")]
pub enum Format {
    Text,
    Json,
}

/// Which changes are applied: where nothing of NEWROOT that they concern was changed since, or always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[expect(missing_docs, reason = "a doc comment would be a long help")]
pub enum When {
    Unchanged,
    Force,
}

impl ChangeOptions {
    /// The directory, from the root of the caller.
    pub fn directory(&self) -> Option<PathBuf> {
        self.changes.as_ref().map(|dir| std::path::absolute(dir).unwrap_or_else(|_| dir.clone()))
    }

    /// Whether they ask for something else than a run.
    pub const fn run_nothing(&self) -> bool {
        self.list.is_some() || self.apply.is_some() || self.discard
    }

    /// Does what they ask for.
    ///
    /// # Errors
    /// What cannot be read or written, and changes of both sides.
    pub fn act(&self, root: &Root) -> Result<(), Failure> {
        let Some(dir) = &self.changes else { return Ok(()) };
        let upper = match Dir::at(&dir.join(UPPER)) {
            // they were applied or thrown away
            Err(why) if why.kind() == io::ErrorKind::NotFound && dir.join(WORK).is_dir() => return Ok(()),
            opened => opened.map_err(|why| {
                failed("read the changes in", dir, &why).hint("run a command with --changes=DIR first")
            })?,
        };
        let lower = Dir::at(&Path::new("/proc/self/fd").join(fd_name(root)))
            .map_err(|why| failed("read", &root.path, &why))?;
        // nothing is changed below a command that still runs
        let _lock = match self.list {
            Some(_) => None,
            None => Some(locked(dir)?),
        };
        if self.discard {
            return throw_away(dir);
        }
        let mut found = Comparison { since: begun(dir), changes: Vec::new() };
        found.compare(&upper, Some(&lower), Path::new("")).map_err(|why| failed("compare", dir, &why))?;
        found.changes.sort_by(|one, other| one.path.cmp(&other.path));
        if let Some(format) = self.list {
            return print(&found.changes, format).map_err(|why| Failure::new(format!("cannot print: {why}")));
        }
        let conflicts: Vec<&Change> = found.changes.iter().filter(|change| change.is_conflict).collect();
        if let (Some(first), Some(When::Unchanged)) = (conflicts.first(), self.apply) {
            let count = conflicts.len();
            let path = Path::new("/").join(&first.path);
            let message =
                format!("nothing is applied: NEWROOT changed as well: {} ({count} in all)", quoted(&path));
            return Err(Failure::new(message).hint("--list shows them; --apply=force replaces them"));
        }
        let mut apply = Apply::default();
        apply.directory(&upper, &lower, &lower, Path::new("")).map_err(|(path, why)| {
            failed("apply", &Path::new("/").join(path), &why)
                .hint("the changes are kept: run --apply again to continue")
        })?;
        throw_away(dir)
    }
}

fn fd_name(root: &Root) -> String {
    std::os::fd::AsRawFd::as_raw_fd(&root.dir.as_fd()).to_string()
}

/// When the changes of a directory were begun.
fn begun(dir: &Path) -> Option<(i64, u64)> {
    let since = std::fs::metadata(dir.join(SINCE)).ok()?;
    Some((since.mtime(), since.mtime_nsec().try_into().ok()?))
}

fn locked(dir: &Path) -> Result<OwnedFd, Failure> {
    sys::try_lock_dir(dir).map_err(|errno| {
        let failure = failed("lock", dir, &errno.into());
        if errno == Errno::EWOULDBLOCK { failure.hint(lock::in_use()) } else { failure }
    })
}

/// Discards changes; DIR can be used again. Half of them would mean something else than all of them, so they are
/// renamed first.
fn throw_away(dir: &Path) -> Result<(), Failure> {
    let cannot = |why: io::Error| failed("discard the changes in", dir, &why);
    let open = Dir::at(dir).map_err(cannot)?;
    let remove = |name| apply::remove(&open, OsStr::new(name), open.stat(OsStr::new(name))?.as_ref());
    remove(GONE).map_err(cannot)?;
    std::fs::rename(dir.join(UPPER), dir.join(GONE)).map_err(cannot)?;
    remove(GONE).map_err(cannot)?;
    empty_work(&open).map_err(cannot)?;
    match std::fs::remove_file(dir.join(SINCE)) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(cannot(why)),
        _ => Ok(()),
    }
}

/// Empties the overlay's own directory: the kernel leaves directories in it that their owner may not read, so that
/// `rm -r` of a user fails there. The directory itself stays, as the sign of changes that are gone.
fn empty_work(open: &Dir) -> io::Result<()> {
    let work = Dir::open(open.0.as_fd(), OsStr::new(WORK))?;
    for name in work.names()? {
        if let Some(found) = work.stat(&name)? {
            apply::remove(&work, &name, Some(&found))?;
        }
    }
    Ok(())
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

/// A string of JSON. A byte that is not UTF-8 becomes the code point of the same number, as in Latin-1.
fn json_string(path: &Path) -> String {
    let mut text = String::from("\"");
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
    let whole = std::str::from_utf8(bytes)
        .map_or_else(|_| bytes.iter().map(|byte| char::from(*byte)).collect(), str::to_string);
    for letter in whole.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            letter if (letter as u32) < 0x20 => text.push_str(&format!("\\u{:04x}", letter as u32)),
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

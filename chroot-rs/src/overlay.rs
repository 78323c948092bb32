//! The overlay that takes what is written to an ephemeral root.
//!
//! An overlay shows one file system and no mounts on it, so each that is mounted below the root gets an
//! overlay of its own. In a user namespace the kernel lays none over a directory below which something
//! is mounted that came from outside, because it would show what that hides: there the directories of
//! the root are overlaid one by one, and those with such mounts are shown read-only.

use std::path::{Path, PathBuf};

use chain::handles::FdSlot;
use chain::reporter::quoted;
use chain::{Plan, call};
use nix::errno::Errno;
use nix::mount::MsFlags;

use crate::changes::{Lock, SINCE};
use crate::root_mount::RootMount;

/// What an overlay has to know of the root; empty where none is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OverlayProbe {
    /// Directories below with a file system of their own, those above first.
    pub nested: Vec<PathBuf>,
    /// What is mounted below and can have no overlay.
    pub hidden: Vec<PathBuf>,
    /// The directory's own entries, where there can be no overlay of the whole.
    pub pieces: Vec<Piece>,
    /// Directories of `--changes` that are to be made, below that, with their modes.
    pub missing: Vec<(PathBuf, u32)>,
    /// Whether the file system of what is written lacks the attribute by which an overlay of a user's tells that a
    /// directory shows nothing of the one below.
    pub lacks_attributes: bool,
    /// The owner of the root who has no id inside, so that nothing of theirs can be changed.
    pub foreign_owner: Option<u32>,
}

/// An entry of the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its name.
    pub name: PathBuf,
    /// How it is shown.
    pub kind: PieceKind,
    /// Its mode.
    pub mode: u32,
    /// Directories of other users on the way to what is the caller's, below it, with their modes: an overlay
    /// cannot take one over to make a file in it.
    pub ways: Vec<(PathBuf, u32)>,
}

/// How an entry of the root is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PieceKind {
    /// Below an overlay.
    Overlaid,
    /// Read-only, with the mounts below it.
    ReadOnly,
    /// An empty directory, for one of our mounts.
    Empty,
    /// A file.
    File,
    /// A symbolic link to this.
    Link(PathBuf),
}

/// The overlay of a root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    /// The most that can be written, as tmpfs(5) reads it.
    pub size: Option<String>,
    /// What is overlaid.
    pub probe: OverlayProbe,
    /// Directories that the root lacks and our mounts need.
    pub made: Vec<&'static str>,
    /// Where what is written is kept.
    pub changes: Option<PathBuf>,
}

impl Overlay {
    /// Makes what the directory of `--changes` lacks and locks it, before the fork of the parent that stays.
    pub fn plan_directory(&self, plan: &mut Plan, umask: u32) {
        let Some(dir) = &self.changes else { return };
        if !self.probe.missing.is_empty() {
            plan.step("give directories exactly their modes", call::Umask(0));
            for (below, mode) in &self.probe.missing {
                let path = if below.as_os_str().is_empty() { dir.clone() } else { dir.join(below) };
                let reason = format!("make {} for what is written", quoted(&path));
                if below == Path::new(SINCE) {
                    plan.step("remember when the changes began", call::Mknod::file(path, *mode));
                } else {
                    plan.step(reason, call::Mkdir { path, mode: *mode });
                }
            }
            plan.step("take the umask back", call::Umask(umask));
        }
        let slot = plan.slot("lock");
        plan.step("keep other runs from using it", Lock { dir: dir.clone(), slot });
    }

    /// Takes the directory of `--changes`, before a mount can lie over it.
    pub fn plan_kept(&self, plan: &mut Plan) -> Option<FdSlot> {
        let dir = self.changes.as_ref()?;
        let slot = plan.slot("kept");
        let copy = call::OpenTree { path: dir.clone(), slot, recursive: false };
        plan.step("take the directory of the changes as a mount of its own", copy);
        Some(slot)
    }
}

/// What the kernel says where a file system takes no overlay.
const NO_OVERLAY: &[Errno] = &[Errno::EINVAL, Errno::EPERM, Errno::ELOOP, Errno::EREMOTE, Errno::EOVERFLOW];

impl RootMount {
    /// Mounts an overlay of the root and an empty directory in memory. All of it lies on a new
    /// tmpfs and is named from there, so that the options hold no name the caller chose.
    pub fn plan_overlay(&self, plan: &mut Plan, new_root: FdSlot, overlay: &Overlay, kept: Option<FdSlot>) {
        let slot = plan.slot("changes");
        plan.step("open an empty file system in memory", call::FsOpen { fstype: "tmpfs", slot });
        if let Some(size) = &overlay.size {
            let size = call::FsSet { slot, name: "size", value: size.clone() };
            plan.step("limit what can be written to it", size);
        }
        plan.step("make it", call::FsMount(slot));
        plan.step("mount it over the new root", call::MoveMount { slot, target: ".".into() });
        plan.step("go there", call::Enter { slot, dir: "".into() });
        plan.step("give directories exactly their modes", call::Umask(0));
        if let Some(slot) = kept {
            let mkdir = call::Mkdir { path: "changes".into(), mode: 0o700 };
            plan.step("make a place for the directory of the changes", mkdir);
            plan.step("put it there", call::MoveMount { slot, target: "changes".into() });
        }
        if overlay.probe.pieces.is_empty() {
            self.plan_whole(plan, new_root, &overlay.probe.nested, kept.is_some());
        } else {
            self.plan_pieces(plan, new_root, &overlay.probe.pieces, kept.is_some());
        }
        plan.step("go to what both give", call::Reopen { path: "root".into(), slot: new_root });
        for name in &overlay.made {
            let mkdir = call::Mkdir { path: name.into(), mode: 0o755 };
            plan.step(format!("make /{name}, which the new root lacks"), mkdir);
        }
        plan.step("take the umask back", call::Umask(self.umask));
        if kept.is_some() && !overlay.probe.pieces.is_empty() {
            // its names are in no directory of the changes
            let remount = call::Mount::remount(".", MsFlags::MS_BIND | MsFlags::MS_RDONLY);
            plan.step("let nothing be made in it that would not be kept", remount);
        }
    }

    /// One overlay of the root, and one of each file system below.
    fn plan_whole(&self, plan: &mut Plan, new_root: FdSlot, nested: &[PathBuf], is_kept: bool) {
        // an overlay covers what lies there, and what is mounted below is still needed
        let lower = if nested.is_empty() { "root" } else { "lower" };
        let (upper, work) = if is_kept { ("changes/upper", "changes/work") } else { ("upper", "work") };
        if !is_kept {
            self.plan_changes(plan, upper, work, self.mode);
        }
        for name in if nested.is_empty() { &["root"][..] } else { &["lower", "root"] } {
            let mkdir = call::Mkdir { path: name.into(), mode: self.mode };
            plan.step("make a directory for the new root", mkdir);
        }
        let into_place = call::MoveMount { slot: new_root, target: lower.into() };
        plan.step("put the new root in its place", into_place);
        plan.step("lay what is written over it", self.overlay(lower, upper, work, Path::new("root")));
        for (number, dir) in nested.iter().enumerate() {
            if is_kept {
                let (lower, at) = (Path::new("lower").join(dir), Path::new("root").join(dir));
                plan_read_only(plan, &quoted(&Path::new("/").join(dir)).to_string(), lower, at);
                continue;
            }
            let (upper, work) = (format!("upper-{number}"), format!("work-{number}"));
            self.plan_changes(plan, &upper, &work, 0o755);
            let lower = Path::new("lower").join(dir);
            let at = Path::new("root").join(dir);
            let inside = Path::new("/").join(dir);
            let mount = self.overlay(&lower.display().to_string(), &upper, &work, &at);
            plan.step(format!("do the same with {}", quoted(&inside)), mount);
            plan.or_else(NO_OVERLAY, hidden(&inside), Vec::new());
        }
    }

    /// A directory in memory for the root, in which each entry of it is shown.
    fn plan_pieces(&self, plan: &mut Plan, new_root: FdSlot, pieces: &[Piece], is_kept: bool) {
        for name in ["lower", "root"] {
            let mkdir = call::Mkdir { path: name.into(), mode: self.mode };
            plan.step("make a directory for the new root", mkdir);
        }
        let into_place = call::MoveMount { slot: new_root, target: "lower".into() };
        plan.step("put the new root in its place", into_place);
        for (number, Piece { name, kind, mode, ways }) in pieces.iter().enumerate() {
            let (lower, at) = (Path::new("lower").join(name), Path::new("root").join(name));
            let shown = quoted(&Path::new("/").join(name)).to_string();
            let make = match kind {
                PieceKind::Link(target) => {
                    let symlink = call::Symlink { target: target.clone(), link: at };
                    plan.step(format!("make the link {shown}"), symlink);
                    continue;
                }
                PieceKind::File => {
                    plan.step(format!("make a place for {shown}"), call::Mknod::file(&at, 0o644));
                    None
                }
                _ => Some(call::Mkdir { path: at.clone(), mode: *mode }),
            };
            plan.step_if_some(format!("make a place for {shown}"), make);
            match kind {
                PieceKind::Overlaid => {
                    let (upper, work) = if is_kept {
                        let name = name.display();
                        (format!("changes/upper/{name}"), format!("changes/work/{name}"))
                    } else {
                        let (upper, work) = (format!("upper-{number}"), format!("work-{number}"));
                        self.plan_changes(plan, &upper, &work, *mode);
                        for (way, mode) in ways {
                            let path = Path::new(&upper).join(way);
                            let reason = format!("make a way to what is the caller's below {shown}");
                            plan.step(reason, call::Mkdir { path, mode: *mode });
                        }
                        (upper, work)
                    };
                    let mount = self.overlay(&lower.display().to_string(), &upper, &work, &at);
                    plan.step(format!("lay what is written over {shown}"), mount);
                    plan.or_else(NO_OVERLAY, hidden(&Path::new("/").join(name)), Vec::new());
                }
                PieceKind::ReadOnly | PieceKind::File => plan_read_only(plan, &shown, lower, at),
                PieceKind::Empty | PieceKind::Link(_) => {}
            }
        }
        // pivot_root(2) needs a mount
        let whole = call::OpenTree { path: "root".into(), slot: new_root, recursive: true };
        plan.step("take all of them as a mount", whole);
        plan.step("mount it on itself", call::MoveMount { slot: new_root, target: "root".into() });
    }

    fn plan_changes(&self, plan: &mut Plan, upper: &str, work: &str, mode: u32) {
        for (name, purpose) in [(upper, "what is written"), (work, "the overlay itself")] {
            plan.step(format!("make a directory for {purpose}"), call::Mkdir { path: name.into(), mode });
        }
    }

    fn overlay(&self, lower: &str, upper: &str, work: &str, at: &Path) -> call::Mount {
        let userxattr = if self.userxattr { ",userxattr" } else { "" };
        // what is kept must say all by itself, of each file: no other directory is pointed to
        let whole = match upper.starts_with("changes/") {
            // with userxattr nothing else is possible, and it must not even be named
            true if !self.userxattr => ",redirect_dir=off,index=off,metacopy=off",
            _ => "",
        };
        let options = format!("lowerdir={lower},upperdir={upper},workdir={work}{userxattr}{whole}");
        call::Mount::new("overlay", at, MsFlags::empty()).with_data(options)
    }
}

/// Shows a part of the root as it is, and lets nothing be written to it.
fn plan_read_only(plan: &mut Plan, shown: &str, lower: PathBuf, at: PathBuf) {
    let slot = plan.slot("piece");
    let copy = call::OpenTree { path: lower, slot, recursive: true };
    plan.step(format!("take {shown} as a mount of its own"), copy);
    plan.step("make it read-only", call::SetTree::read_only(slot));
    plan.step("show it", call::MoveMount { slot, target: at });
}

/// The line for what no overlay shows.
pub fn hidden(path: &Path) -> String {
    format!("hidden: {}, which takes no overlay: --bind shows it", quoted(path))
}

//! The overlay that stores what is written to an ephemeral root.
//!
//! An overlay shows one file system without the mounts on it, so each mount below the root gets its own
//! overlay. In a user namespace, the kernel refuses an overlay over a directory with mounts from outside
//! below it, because the overlay would show what they hide. There, each directory of the root gets its own
//! overlay, and those with such mounts are shown read-only.

use std::path::{Path, PathBuf};

use chain::handles::FdSlot;
use chain::plan::Step;
use chain::reporter::quoted;
use chain::{Plan, call};
use nix::errno::Errno;
use nix::mount::MsFlags;

use crate::changes::{FinishDiscard, Lock, Marks, SINCE, USERXATTR};
use crate::root::{chdir_inside, chdir_to_root};
use crate::root_mount::RootMount;

/// The facts about the root that an overlay needs; empty without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OverlayProbe {
    /// Directories below with their own file systems, parents first.
    pub nested: Vec<PathBuf>,
    /// Mounts below that cannot have an overlay.
    pub hidden: Vec<PathBuf>,
    /// The root's entries, if there can be no overlay of the whole root.
    pub pieces: Vec<Piece>,
    /// Missing directories of `--changes`, relative to it, with their modes.
    pub missing: Vec<(PathBuf, u32)>,
    /// Whether the directory of `--changes` contains the rest of changes that were applied or discarded.
    pub has_discarded: bool,
    /// How the overlay marks its files: as it did before, or as the caller may.
    pub marks: Marks,
    /// Whether the kept changes have marks that this caller cannot read.
    pub has_foreign_marks: bool,
    /// Whether the file system for written files lacks user.* attributes. With one, an overlay mounted by a
    /// user marks a directory as opaque.
    pub lacks_attributes: bool,
    /// The network file system that contains the directory of `--changes`: an overlay cannot write to one.
    pub network: Option<&'static str>,
    /// The root's owner, if it has no id inside, so that none of its files can be changed.
    pub foreign_owner: Option<u32>,
}

/// An entry of the root directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its name.
    pub name: PathBuf,
    /// How it is shown.
    pub kind: PieceKind,
    /// Its mode.
    pub mode: u32,
    /// Other users' directories on the way to the caller's files below it, with their modes: an overlay
    /// cannot copy such a directory up to create a file in it.
    pub ways: Vec<(PathBuf, u32)>,
}

/// How an entry of the root directory is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PieceKind {
    /// In an overlay.
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
    /// The size limit, as in tmpfs(5).
    pub size: Option<String>,
    /// What is overlaid.
    pub probe: OverlayProbe,
    /// Directories that the root lacks and our mounts need.
    pub made: Vec<&'static str>,
    /// The directory for written files that are kept.
    pub changes: Option<PathBuf>,
}

impl Overlay {
    /// Locks the directory of `--changes` and creates what it lacks, before the fork that leaves a supervisor.
    pub fn plan_directory(&self, plan: &mut Plan, umask: u32) {
        let Some(dir) = &self.changes else { return };
        let missing = &self.probe.missing;
        if !missing.is_empty() {
            plan.step("clear the umask, so that directories get their exact modes", call::Umask(0));
        }
        let (new, below): (Vec<_>, Vec<_>) =
            missing.iter().partition(|(path, _)| path.as_os_str().is_empty());
        for (_, mode) in new {
            let reason = format!("create {} for written files", quoted(dir));
            plan.step(reason, call::Mkdir { path: dir.clone(), mode: *mode });
        }
        let slot = plan.slot("lock");
        plan.step("lock it against other runs", Lock { dir: dir.clone(), slot });
        if self.probe.has_discarded {
            plan.step("remove what is left of discarded changes", FinishDiscard(dir.clone()));
        }
        for (below, mode) in below {
            let path = dir.join(below);
            let purpose = match below.to_str() {
                Some(SINCE) => "create a file whose time shows when the changes began",
                Some(USERXATTR) => "create a file that records how the overlay marks the written files",
                _ => {
                    let reason = format!("create {} for written files", quoted(&path));
                    plan.step(reason, call::Mkdir { path, mode: *mode });
                    continue;
                }
            };
            plan.step(purpose, call::Mknod::file(path, *mode));
        }
        if !missing.is_empty() {
            plan.step("restore the umask", call::Umask(umask));
        }
    }

    /// Opens the directory of `--changes`, before a mount can cover it.
    pub fn plan_kept(&self, plan: &mut Plan) -> Option<FdSlot> {
        let dir = self.changes.as_ref()?;
        let slot = plan.slot("kept");
        let copy = call::OpenTree { path: dir.clone(), slot, recursive: false };
        plan.step("create a mount of the directory of the changes", copy);
        Some(slot)
    }
}

/// The errors for a file system without overlay support.
const NO_OVERLAY: &[Errno] = &[Errno::EINVAL, Errno::EPERM, Errno::ELOOP, Errno::EREMOTE, Errno::EOVERFLOW];

impl RootMount {
    /// Mounts an overlay of the root and an empty directory in memory. All its parts are on a new tmpfs and are named
    /// from there, so that the options contain no name that the caller chose. `place` is a directory of the new root
    /// on which the tmpfs is mounted meanwhile.
    pub fn plan_overlay(
        &self,
        plan: &mut Plan,
        new_root: FdSlot,
        overlay: &Overlay,
        kept: Option<FdSlot>,
        place: &Path,
    ) {
        let slot = plan.slot("changes");
        plan.step("open an empty file system in memory", call::FsOpen { fstype: "tmpfs", slot });
        if let Some(size) = &overlay.size {
            let size = call::FsSet { slot, name: "size", value: size.clone() };
            plan.step("limit what can be written to it", size);
        }
        plan.step("create a mount of it", call::FsMount(slot));
        plan.step("mount it over the new root", call::MoveMount { slot, target: place.into() });
        plan.step("go there", call::Enter { slot, dir: "".into() });
        plan.step("clear the umask, so that directories get their exact modes", call::Umask(0));
        if let Some(slot) = kept {
            let mkdir = call::Mkdir { path: "changes".into(), mode: 0o700 };
            plan.step("create a mount point for the directory of the changes", mkdir);
            plan.step("mount it there", call::MoveMount { slot, target: "changes".into() });
        }
        let held = Held { memory: slot, new_root, kept };
        if overlay.probe.pieces.is_empty() {
            self.plan_whole(plan, held, &overlay.probe.nested);
        } else {
            self.plan_pieces(plan, held, &overlay.probe.pieces);
        }
        plan.step("go to the combined directory", call::Reopen { path: "root".into(), slot: new_root });
        for name in &overlay.made {
            let mkdir = call::Mkdir { path: name.into(), mode: 0o755 };
            plan.step(format!("create /{name}, which the new root lacks"), mkdir);
        }
        plan.step("restore the umask", call::Umask(self.umask));
        if kept.is_some() && !overlay.probe.pieces.is_empty() {
            // names created there would be in no directory of the changes
            let remount = call::Mount::remount(".", MsFlags::MS_BIND | MsFlags::MS_RDONLY);
            plan.step("make the top directory read-only, because nothing there would be kept", remount);
        }
    }

    /// One overlay of the root, and one of each file system below.
    fn plan_whole(&self, plan: &mut Plan, held: Held, nested: &[PathBuf]) {
        // an overlay covers what lies there, and what is mounted below is still needed
        let lower = if nested.is_empty() { "root" } else { "lower" };
        let (upper, work) =
            if held.kept.is_some() { ("changes/upper", "changes/work") } else { ("upper", "work") };
        if held.kept.is_none() {
            self.plan_changes(plan, upper, work, self.mode);
        }
        for name in if nested.is_empty() { &["root"][..] } else { &["lower", "root"] } {
            let mkdir = call::Mkdir { path: name.into(), mode: self.mode };
            plan.step("create a directory for the new root", mkdir);
        }
        let into_place = call::MoveMount { slot: held.new_root, target: lower.into() };
        plan.step("mount the new root there", into_place);
        plan.step("mount an overlay for writes over it", self.overlay(lower, upper, work, Path::new("root")));
        if nested.is_empty() {
            return;
        }
        let combined = plan.slot("combined");
        plan.step("go to the combined directory", call::Reopen { path: "root".into(), slot: combined });
        held.plan_return(plan);
        for (number, dir) in nested.iter().enumerate() {
            self.plan_nested(plan, held, number, dir, combined);
        }
    }

    /// Mounts an overlay of a file system below the root; with `--changes`, which cannot keep changes there, a read-only
    /// view.
    fn plan_nested(&self, plan: &mut Plan, held: Held, number: usize, dir: &Path, combined: FdSlot) {
        let inside = Path::new("/").join(dir);
        let shown = quoted(&inside).to_string();
        let slot = held.plan_taking(plan, &shown, dir);
        if held.kept.is_some() {
            plan.step("make it read-only", call::SetTree::read_only(slot));
        } else {
            let (upper, work) = (format!("upper-{number}"), format!("work-{number}"));
            let lower = plan_lower(plan, number, slot);
            self.plan_changes(plan, &upper, &work, 0o755);
            let both = PathBuf::from(format!("both-{number}"));
            let mkdir = call::Mkdir { path: both.clone(), mode: 0o755 };
            plan.step("create a directory for both", mkdir);
            let mount = self.overlay(&lower, &upper, &work, &both);
            let step = Step::new(format!("mount an overlay for writes over {shown}"), mount);
            plan.add(step.or_else(NO_OVERLAY, hidden(&inside), Vec::new()));
            plan.step("create a mount of both", call::OpenTree { path: both, slot, recursive: false });
        }
        match dir.parent().filter(|above| !above.as_os_str().is_empty()) {
            Some(above) => chdir_inside(plan, combined, above),
            None => chdir_to_root(plan, combined),
        }
        let target = dir.file_name().unwrap_or_default().into();
        plan.step("mount it there", call::MoveMount { slot, target });
        held.plan_return(plan);
    }

    /// A directory in memory for the root, in which each entry of it is shown.
    fn plan_pieces(&self, plan: &mut Plan, held: Held, pieces: &[Piece]) {
        for name in ["lower", "root"] {
            let mkdir = call::Mkdir { path: name.into(), mode: self.mode };
            plan.step("create a directory for the new root", mkdir);
        }
        let into_place = call::MoveMount { slot: held.new_root, target: "lower".into() };
        plan.step("mount the new root there", into_place);
        for (number, piece) in pieces.iter().enumerate() {
            self.plan_piece(plan, held, number, piece);
        }
        // pivot_root(2) needs a mount
        let whole = call::OpenTree { path: "root".into(), slot: held.new_root, recursive: true };
        plan.step("create a mount of all of them", whole);
        plan.step("mount it on itself", call::MoveMount { slot: held.new_root, target: "root".into() });
    }

    /// Shows an entry of the root in the directory in memory.
    fn plan_piece(&self, plan: &mut Plan, held: Held, number: usize, piece: &Piece) {
        let Piece { name, kind, mode, .. } = piece;
        let at = Path::new("root").join(name);
        let shown = quoted(&Path::new("/").join(name)).to_string();
        let mount_point = format!("create a mount point for {shown}");
        match kind {
            PieceKind::Link(target) => {
                let symlink = call::Symlink { target: target.clone(), link: at };
                return plan.step(format!("create the link {shown}"), symlink);
            }
            PieceKind::File => plan.step(mount_point, call::Mknod::file(&at, 0o644)),
            PieceKind::Overlaid | PieceKind::ReadOnly | PieceKind::Empty => {
                plan.step(mount_point, call::Mkdir { path: at.clone(), mode: *mode });
            }
        }
        match kind {
            PieceKind::Overlaid => {
                let slot = held.plan_taking(plan, &shown, name);
                let lower = plan_lower(plan, number, slot);
                let (upper, work) = self.plan_written(plan, held, number, piece);
                let mount = self.overlay(&lower, &upper, &work, &at);
                let step = Step::new(format!("mount an overlay for writes over {shown}"), mount);
                plan.add(step.or_else(NO_OVERLAY, hidden(&Path::new("/").join(name)), Vec::new()));
            }
            PieceKind::ReadOnly | PieceKind::File => {
                let slot = held.plan_taking(plan, &shown, name);
                plan.step("make it read-only", call::SetTree::read_only(slot));
                plan.step("mount it there", call::MoveMount { slot, target: at });
            }
            PieceKind::Empty | PieceKind::Link(_) => {}
        }
    }

    /// The directories for an entry's written files, and for the overlay itself.
    fn plan_written(&self, plan: &mut Plan, held: Held, number: usize, piece: &Piece) -> (String, String) {
        let Piece { name, mode, ways, .. } = piece;
        let shown = quoted(&Path::new("/").join(name)).to_string();
        if held.kept.is_some() {
            // if an earlier command left a link there, it leads to another mount, and the kernel refuses that: both
            // directories must be on the same mount
            let name = name.display();
            return (format!("changes/upper/{name}"), format!("changes/work/{name}"));
        }
        let (upper, work) = (format!("upper-{number}"), format!("work-{number}"));
        self.plan_changes(plan, &upper, &work, *mode);
        for (way, mode) in ways {
            let path = Path::new(&upper).join(way);
            let reason = format!("create a directory on the way to the caller's files below {shown}");
            plan.step(reason, call::Mkdir { path, mode: *mode });
        }
        (upper, work)
    }

    fn plan_changes(&self, plan: &mut Plan, upper: &str, work: &str, mode: u32) {
        for (name, purpose) in [(upper, "written files"), (work, "the overlay itself")] {
            plan.step(format!("create a directory for {purpose}"), call::Mkdir { path: name.into(), mode });
        }
    }

    fn overlay(&self, lower: &str, upper: &str, work: &str, at: &Path) -> call::Mount {
        let userxattr = if self.userxattr { ",userxattr" } else { "" };
        // kept files must be complete on their own, without references to other directories
        let whole = match upper.starts_with("changes/") {
            // with userxattr this is always so, and the kernel refuses the options
            true if !self.userxattr => ",redirect_dir=off,index=off,metacopy=off",
            _ => "",
        };
        let options = format!("lowerdir={lower},upperdir={upper},workdir={work}{userxattr}{whole}");
        call::Mount::new("overlay", at, MsFlags::empty()).with_data(options)
    }
}

/// The open descriptors while an overlay is mounted.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// The file system in memory, which is the working directory.
    memory: FdSlot,
    new_root: FdSlot,
    /// The directory of `--changes`.
    kept: Option<FdSlot>,
}

impl Held {
    /// Copies the mount of a part of the new root; a link that has replaced it meanwhile is not followed.
    fn plan_taking(self, plan: &mut Plan, shown: &str, path: &Path) -> FdSlot {
        let slot = plan.slot("piece");
        let copy = call::OpenTreeBelow { dir: self.new_root, path: path.into(), slot };
        plan.step(format!("create a mount of {shown}"), copy);
        slot
    }

    fn plan_return(self, plan: &mut Plan) {
        plan.step("go back to the file system in memory", call::Enter { slot: self.memory, dir: "".into() });
    }
}

/// Mounts a part of the root in memory, where options can name it.
fn plan_lower(plan: &mut Plan, number: usize, slot: FdSlot) -> String {
    let lower = format!("lower-{number}");
    let mkdir = call::Mkdir { path: lower.clone().into(), mode: 0o755 };
    plan.step("create a mount point for it", mkdir);
    plan.step("mount it there", call::MoveMount { slot, target: lower.clone().into() });
    lower
}

/// The note about a mount that no overlay shows.
pub fn hidden(path: &Path) -> String {
    format!("hidden: {}: its file system cannot be overlaid; show it with --bind", quoted(path))
}

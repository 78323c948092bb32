//! Finds the mount points for mounts that options ask for, in the new root as it will look with our own
//! mounts.
//!
//! The paths are resolved before the plan is made. The plan enters the directory that was found without
//! following a symlink, and attaches with move_mount(2), which follows none either. A symlink that appears in
//! between makes the call fail.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use chain::Failure;
use chain::call;
use chain::call::shell_word;
use chain::reporter::{ErrnoText, quoted};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, readlink, readlinkat};
use nix::sys::stat::{SFlag, fstatat, stat};
use nix::sys::statfs::{
    CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, FsType, PROC_SUPER_MAGIC, SYSFS_MAGIC, statfs,
};
use nix::unistd::{AccessFlags, faccessat};
use system::idmap::OVERFLOW_ID;
use system::sys;
use system::walk::{Walked, walk};

use crate::dev::Dev;
use crate::extra_mount::{ExtraMount, MountSource};
use crate::kernel_mounts::{FsProvision, KernelMounts};
use crate::mount_request::{BindOptions, MountRequest, MountRequests};
use crate::root::Root;
use crate::root_mount::WriteMode;

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// File systems in which users create no files, with their manual pages. A directory in a hierarchy of control groups
/// would be a group.
const KERNEL_FS: [(FsType, &str); 4] = [
    (PROC_SUPER_MAGIC, "proc(5)"),
    (SYSFS_MAGIC, "sysfs(5)"),
    (CGROUP_SUPER_MAGIC, "cgroups(7)"),
    (CGROUP2_SUPER_MAGIC, "cgroups(7)"),
];

const EPHEMERAL: &str = "use --ephemeral, which creates it for this run";

/// What one of our mounts shows.
enum Overlaid {
    /// An empty directory in memory, in which directories can be created.
    Memory,
    Host(PathBuf),
}

/// Finds mount points, one request after the other: a later one can be inside an earlier one.
pub struct TargetResolver<'a> {
    root: &'a Root,
    write_mode: WriteMode,
    overlaid: Vec<(PathBuf, Overlaid)>,
    /// Paths that the plan creates.
    made: Vec<PathBuf>,
    /// Directories of our own /dev, with their modes.
    dev: Vec<(PathBuf, u32)>,
}

impl<'a> TargetResolver<'a> {
    /// A resolver for a root that has these mounts.
    pub fn new(root: &'a Root, write_mode: WriteMode, kernel: &KernelMounts, dev: Option<&Dev>) -> Self {
        let mut resolver = Self { root, write_mode, overlaid: Vec::new(), made: Vec::new(), dev: Vec::new() };
        for (name, provision) in [("proc", kernel.proc), ("sys", kernel.sys)] {
            if provision != FsProvision::Skip {
                // it has the same names inside as outside
                resolver.overlaid.push((name.into(), Overlaid::Host(Path::new("/").join(name))));
            }
        }
        if let Some(dev) = dev {
            resolver.overlaid.push(("dev".into(), Overlaid::Memory));
            resolver.made.extend(dev.names().map(|name| Path::new("dev").join(name)));
            resolver.dev.extend(dev.directories().map(|(name, mode)| (Path::new("dev").join(name), mode)));
        }
        resolver
    }

    /// # Errors
    /// A source or a target that is missing, or a directory where the other is a file.
    pub fn resolve_all(mut self, requests: &MountRequests) -> Result<Vec<ExtraMount>, Failure> {
        let all = requests.0.iter().map(|request| self.resolve(request));
        all.filter_map(Result::transpose).collect()
    }

    fn resolve(&mut self, request: &MountRequest) -> Result<Option<ExtraMount>, Failure> {
        match request {
            MountRequest::Bind { source, may_be_missing: true, .. }
                if matches!(stat(source), Err(Errno::ENOENT | Errno::ENOTDIR)) =>
            {
                Ok(None)
            }
            MountRequest::Bind { source, target, options, .. } => {
                self.bind(source, target, *options).map(Some)
            }
            MountRequest::Tmpfs { target, size } => self.tmpfs(target, size.as_deref()).map(Some),
            MountRequest::ResolvConf => self.resolv_conf().map(Some),
        }
    }

    fn bind(&mut self, path: &Path, target: &Path, options: BindOptions) -> Result<ExtraMount, Failure> {
        let cannot = |why: &dyn Display| Failure::new(format!("cannot bind {}: {why}", quoted(path)));
        let found = stat(path).map_err(|errno| match call::closed_above(path) {
            Some(closed) => cannot(&ErrnoText(errno)).hint(closed),
            None => {
                let fuse = (errno == Errno::EACCES).then(|| call::private_fuse(path)).flatten();
                let form = || "--bind=SRC:DST shows the caller's SRC at DST in the new root".to_string();
                cannot(&ErrnoText(errno)).hint(fuse.unwrap_or_else(form))
            }
        })?;
        let is_pipe = found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFIFO.bits();
        // a FIFO in a directory can be mounted
        if is_pipe && ["/dev/fd", "/dev/stdin", "/proc/self/fd"].iter().any(|fds| path.starts_with(fds)) {
            return Err(cannot(&"it is a pipe, which cannot be mounted")
                .hint("f=$(mktemp) && COMMAND >\"$f\", then --bind \"$f:DST:ro\""));
        }
        let is_dir = is_directory(found.st_mode);
        let mut walked = self.walk(target);
        if let Some(link) = self.link_itself(target).filter(|_| !is_dir) {
            // the link's target can belong to something else: a zone of localtime(5), a file of a service
            walked = Walked { real: link, missing: Vec::new() };
            return Ok(ExtraMount {
                source: MountSource::Host { path: path.to_path_buf(), is_dir, options },
                target: walked,
            });
        }
        let source = MountSource::Host { path: path.to_path_buf(), is_dir, options };
        let real = self.check(&walked, target, &source)?;
        if is_dir {
            self.overlaid.push((real, Overlaid::Host(path.to_path_buf())));
        }
        Ok(ExtraMount { source, target: walked })
    }

    fn tmpfs(&mut self, target: &Path, size: Option<&str>) -> Result<ExtraMount, Failure> {
        let walked = self.walk(target);
        // with the permissions of the directory that it covers: /tmp is open to all users, /root is not
        let covered = self.mode(&walked.real).filter(|_| walked.missing.is_empty());
        let mode = covered.map_or(0o755, |mode| mode & 0o7777);
        let size = size.map(|size| format!(",size={size}")).unwrap_or_default();
        let source = MountSource::Tmpfs { options: format!("mode={mode:o}{size}") };
        let real = self.check(&walked, target, &source)?;
        self.overlaid.push((real, Overlaid::Memory));
        Ok(ExtraMount { source, target: walked })
    }

    fn resolv_conf(&mut self) -> Result<ExtraMount, Failure> {
        // often a symlink into /run: systemd-resolved(8)
        let Ok(path) = Path::new(RESOLV_CONF).canonicalize() else {
            return Err(Failure::new(format!("cannot show {RESOLV_CONF}: the caller has none"))
                .hint("--bind=FILE:/etc/resolv.conf shows another file there"));
        };
        let options = BindOptions { read_only: true, ..BindOptions::default() };
        let source = MountSource::Host { path, is_dir: false, options };
        let target = Path::new(RESOLV_CONF);
        let walked = self.walk(target);
        // a link to a file that a service would create: mount the file on the link itself
        if let Some(link) = self.link_itself(target).filter(|_| !walked.missing.is_empty()) {
            return Ok(ExtraMount { source, target: Walked { real: link, missing: Vec::new() } });
        }
        // every container engine leaves an empty file in the root for this
        let may_make = self.write_mode == WriteMode::Persistent
            && self.overlaid(&walked.real).is_none()
            && self.root.can_write(&Path::new("/").join(&walked.real));
        if walked.missing.is_empty() || !may_make {
            self.check(&walked, target, &source)?;
        }
        Ok(ExtraMount { source, target: walked })
    }

    /// The path of the link, if a target is one.
    fn link_itself(&self, target: &Path) -> Option<PathBuf> {
        let above = self.walk(target.parent()?);
        let link = above.real.join(target.file_name()?);
        (above.missing.is_empty() && self.link(&link).is_ok()).then_some(link)
    }

    /// The path of a mount point, if it suits the source or can be created.
    fn check(&mut self, walked: &Walked, target: &Path, source: &MountSource) -> Result<PathBuf, Failure> {
        let mut real = walked.real.clone();
        if walked.missing.is_empty() {
            return self.check_kind(&real, target, source).map(|()| real);
        }
        if self.mode(&real).is_some_and(|mode| !is_directory(mode)) {
            let file = quoted(&Path::new("/").join(&real)).to_string();
            return Err(Failure::new(format!("{}, because {file} is not a directory", lacks(target))));
        }
        let can_make = match self.overlaid(&real) {
            Some((Overlaid::Memory, _)) => true,
            // what is there belongs to the caller, and stays unchanged
            Some((Overlaid::Host(_), _)) => false,
            None => self.write_mode == WriteMode::Ephemeral,
        };
        if !can_make || walked.missing.iter().any(|name| name == "..") {
            if let Some(kind) = self.kernel_fs(&real) {
                let failure =
                    format!("{}, and its file system has no place for a mount point: {kind}", lacks(target));
                return Err(Failure::new(failure));
            }
            return Err(Failure::new(lacks(target)).hint(self.creation_hint(walked, source)));
        }
        for name in &walked.missing {
            real.push(name);
            self.made.push(real.clone());
        }
        Ok(real)
    }

    /// A directory is mounted on a directory, anything else on anything else.
    fn check_kind(&self, real: &Path, target: &Path, source: &MountSource) -> Result<(), Failure> {
        let Some(mode) = self.mode(real) else { return Ok(()) };
        let wrong = match (is_directory(mode), source.is_file()) {
            (true, true) => "it is a directory",
            (false, false) => "it is not a directory",
            _ => return Ok(()),
        };
        Err(Failure::new(format!("cannot mount on {}: {wrong}", quoted(target)))
            .hint("a directory is mounted on a directory, a file on a file"))
    }

    /// Where a path is outside: the directory that is shown, and the path below it.
    fn outside<'p>(&self, path: &'p Path) -> (&Path, &'p Path) {
        match self.overlaid(path) {
            Some((Overlaid::Host(host), below)) => (host, below),
            _ => (&self.root.path, path),
        }
    }

    /// The manual page of the file system at a path, if only the kernel creates files there.
    fn kernel_fs(&self, path: &Path) -> Option<&'static str> {
        let (dir, below) = self.outside(path);
        let found = statfs(&dir.join(below)).ok()?.filesystem_type();
        KERNEL_FS.iter().find(|(magic, _)| *magic == found).map(|(_, page)| *page)
    }

    /// What creates a mount point outside. Its path is the target's real path, so that no symlink can lead out of the
    /// root.
    fn creation_hint(&self, walked: &Walked, source: &MountSource) -> String {
        let (dir, real) = self.outside(&walked.real);
        let mut below = real.to_path_buf();
        for name in &walked.missing {
            if name == ".." {
                below.pop();
            } else {
                below.push(name);
            }
        }
        let path = dir.join(&below);
        let above = path.parent().unwrap_or(Path::new("/"));
        let make = match source.is_file() {
            true if above.is_dir() => format!("touch {}", shell_word(&path)),
            true => format!("mkdir -p {} && touch {}", shell_word(above), shell_word(&path)),
            false => format!("mkdir -p {}", shell_word(&path)),
        };
        let is_callers = self.overlaid(&walked.real).is_some();
        let existing: PathBuf = dir.join(real).components().collect();
        match faccessat(AT_FDCWD, &existing, AccessFlags::W_OK | AccessFlags::X_OK, AtFlags::AT_EACCESS) {
            Err(Errno::EROFS) if is_callers => {
                format!("{} is read-only: bind another directory", shell_word(&existing))
            }
            Err(Errno::EROFS) => unwritable_hint(&self.root.path, self.write_mode, self.can_overlay()),
            Err(Errno::EACCES) if !is_own(&existing) => {
                format!("as the owner of {}: {make}", shell_word(&existing))
            }
            _ if !is_callers && self.write_mode == WriteMode::Persistent && self.can_overlay() => {
                format!("{make}; or {EPHEMERAL}")
            }
            _ => make,
        }
    }

    /// Whether `--ephemeral` is possible: not if the owner of the root has no id in the caller's user namespace.
    fn can_overlay(&self) -> bool {
        let user = sys::effective_ids().0;
        match self.root.owner_of(Path::new("/")) {
            Some((owner, _)) if user == 0 => owner != OVERFLOW_ID,
            Some((owner, _)) => owner == user,
            None => false,
        }
    }

    fn walk(&self, path: &Path) -> Walked {
        walk(path, |path| self.link(path))
    }

    /// The target of a symlink; `EINVAL` for anything else: readlink(2).
    fn link(&self, path: &Path) -> Result<PathBuf, Errno> {
        let target: Result<OsString, Errno> = match self.overlaid(path) {
            Some((_, below)) if below.as_os_str().is_empty() => Err(Errno::EINVAL),
            Some((Overlaid::Host(host), below)) => readlink(&host.join(below)),
            _ if self.made.iter().any(|made| made == path) => Err(Errno::EINVAL),
            Some((Overlaid::Memory, _)) => Err(Errno::ENOENT),
            None => readlinkat(&self.root.dir, path),
        };
        target.map(PathBuf::from)
    }

    /// The last of our mounts over a path, and the path below it.
    fn overlaid<'p>(&self, path: &'p Path) -> Option<(&Overlaid, &'p Path)> {
        self.overlaid.iter().rev().find_map(|(at, what)| Some((what, path.strip_prefix(at).ok()?)))
    }

    fn mode(&self, path: &Path) -> Option<u32> {
        let found = match self.overlaid(path) {
            None => fstatat(&self.root.dir, path, AtFlags::empty()).ok(),
            Some((Overlaid::Host(host), below)) => stat(&host.join(below)).ok(),
            Some((Overlaid::Memory, _)) => {
                let made = self.dev.iter().find(|(dir, _)| dir == path);
                return made.map(|(_, mode)| SFlag::S_IFDIR.bits() | mode);
            }
        };
        found.map(|found| found.st_mode)
    }
}

fn lacks(target: &Path) -> String {
    format!("nothing to mount on: the new root has no {}", quoted(target))
}

/// The hint for a root on a read-only file system.
fn unwritable_hint(root: &Path, mode: WriteMode, can_overlay: bool) -> String {
    match mode {
        WriteMode::Persistent if can_overlay => EPHEMERAL.to_string(),
        _ => format!("copy NEWROOT to a directory of yours: cp -a {} COPY", shell_word(root)),
    }
}

fn is_own(path: &Path) -> bool {
    stat(path).is_ok_and(|found| found.st_uid == sys::effective_ids().0)
}

const fn is_directory(mode: u32) -> bool {
    mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits()
}

#[cfg(test)]
mod tests;

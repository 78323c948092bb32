// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds where the mounts that were asked for land: paths of the new root as it will be, with
//! our own mounts on it.
//!
//! It looks while the plan is made. The plan then enters the directory that was found without
//! crossing a link, and attaches with move_mount(2), which follows none either: a link put in the
//! way meanwhile makes the call fail and nothing else.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use chain::reporter::quoted;
use nix::errno::Errno;
use nix::sys::stat::SFlag;

use crate::extra_mount::{ExtraMount, MountSource};
use crate::mount_request::{self, Bind, MountRequest, MountRequests, RESOLV_CONF, Tmpfs};
use crate::mounts;
use crate::probe::Probe;
use crate::root::{DirState, Root};
use crate::walk::{Walked, walk};

const S_IFMT: u32 = SFlag::S_IFMT.bits();
const S_IFDIR: u32 = SFlag::S_IFDIR.bits();

/// What lies at a path because of us.
enum Overlaid {
    /// Empty and ours: directories can be made in it.
    Memory,
    /// The caller's directory.
    Shown(PathBuf),
}

/// Finds the places.
pub struct TargetResolver<'a> {
    root: &'a Root,
    /// Whether anything may be made: the changes vanish.
    ephemeral: bool,
    overlaid: Vec<(PathBuf, Overlaid)>,
    made: Vec<PathBuf>,
}

/// A refusal and what to do about it.
pub type Refusal = (String, String);

impl<'a> TargetResolver<'a> {
    /// A surveyor of a root as it will be once `probe`'s file systems are mounted.
    pub fn new(root: &'a Root, ephemeral: bool, probe: &Probe) -> Self {
        let mut overlaid = Vec::new();
        for (name, place) in [("proc", probe.proc_dir), ("sys", probe.sys_dir)] {
            if place == DirState::Directory {
                // inside it has the names that it has outside
                overlaid.push((name.into(), Overlaid::Shown(Path::new("/").join(name))));
            }
        }
        let mut made = Vec::new();
        if probe.dev_dir == DirState::Directory {
            overlaid.push(("dev".into(), Overlaid::Memory));
            made.extend(mounts::names_in_dev().map(|name| Path::new("dev").join(name)));
        }
        Self { root, ephemeral, overlaid, made }
    }

    /// # Errors
    /// A source or a target that is not there.
    pub fn resolve_all(mut self, requests: &MountRequests) -> Result<Vec<ExtraMount>, Refusal> {
        requests.0.iter().map(|request| self.resolve(request)).collect()
    }

    fn resolve(&mut self, request: &MountRequest) -> Result<ExtraMount, Refusal> {
        match request {
            MountRequest::Bind(bind) => self.bind(bind),
            MountRequest::Tmpfs(tmpfs) => self.tmpfs(tmpfs),
            MountRequest::ResolvConf => self.resolv_conf(),
        }
    }

    fn bind(&mut self, Bind { source, target, read_only }: &Bind) -> Result<ExtraMount, Refusal> {
        let read_only = *read_only;
        let meta = std::fs::metadata(source).map_err(|why| {
            let errno = Errno::from_raw(why.raw_os_error().unwrap_or_default());
            let wrong = format!("cannot bind {}: {}", quoted(source), chain::reporter::ErrnoText(errno));
            (wrong, "--bind=SRC:DST shows SRC of the caller at DST of the new root".to_string())
        })?;
        let what = if meta.is_dir() {
            MountSource::Directory { source: source.clone(), read_only }
        } else {
            MountSource::File { source: source.clone(), read_only }
        };
        let walked = walk(target, |path| self.link(path));
        let real = self.allow(&walked, target, &what)?;
        if meta.is_dir() {
            self.overlaid.push((real, Overlaid::Shown(source.clone())));
        }
        Ok(extra(what, walked))
    }

    fn tmpfs(&mut self, Tmpfs { target, size }: &Tmpfs) -> Result<ExtraMount, Refusal> {
        let walked = walk(target, |path| self.link(path));
        // as accessible as what it covers: /tmp is everybody's, /root is not
        let covered = self.mode(&walked.real).filter(|_| walked.missing.is_empty());
        let mode = covered.map_or(0o755, |mode| mode & 0o7777);
        let size = size.as_ref().map(|size| format!(",size={size}")).unwrap_or_default();
        let what = MountSource::Tmpfs { data: format!("mode={mode:o}{size}") };
        let real = self.allow(&walked, target, &what)?;
        self.overlaid.push((real, Overlaid::Memory));
        Ok(extra(what, walked))
    }

    fn resolv_conf(&mut self) -> Result<ExtraMount, Refusal> {
        let target = Path::new(RESOLV_CONF);
        let Some(source) = mount_request::resolver() else {
            let wrong = format!("cannot show {RESOLV_CONF}: the caller has none");
            return Err((wrong, "--bind=FILE:/etc/resolv.conf shows another file there".to_string()));
        };
        let what = MountSource::File { source, read_only: true };
        let etc = walk(Path::new("/etc"), |path| self.link(path));
        let walked = walk(target, |path| self.link(path));
        // a link to a file that a service would make: the file is mounted on the link itself
        if !walked.missing.is_empty() && etc.missing.is_empty() && self.is_link(&etc.real.join("resolv.conf"))
        {
            return Ok(ExtraMount {
                what,
                above: etc.real,
                missing: Vec::new(),
                entry: Some("resolv.conf".into()),
            });
        }
        self.allow(&walked, target, &what)?;
        Ok(extra(what, walked))
    }

    /// Where it will be, if what is missing may be made.
    fn allow(&mut self, walked: &Walked, target: &Path, what: &MountSource) -> Result<PathBuf, Refusal> {
        let real: PathBuf = std::iter::once(walked.real.as_os_str())
            .chain(walked.missing.iter().map(OsString::as_os_str))
            .collect();
        if walked.missing.is_empty() {
            return self.fits(&real, target, what).map(|()| real);
        }
        let in_memory = matches!(self.overlaid(&walked.real), Some((Overlaid::Memory, _)));
        let in_root = self.overlaid(&walked.real).is_none();
        let climbs = walked.missing.iter().any(|name| name == "..");
        if climbs || !(in_memory || in_root && self.ephemeral) {
            let wrong = format!("nothing to mount on: the new root has no {}", quoted(target));
            return Err((wrong, self.how_to_make(walked, target, what)));
        }
        let mut made = walked.real.clone();
        for name in &walked.missing {
            made.push(name);
            self.made.push(made.clone());
        }
        Ok(real)
    }

    /// A directory is mounted on a directory, anything else on anything else.
    fn fits(&self, real: &Path, target: &Path, what: &MountSource) -> Result<(), Refusal> {
        let Some(mode) = self.mode(real) else { return Ok(()) };
        let wrong = match (mode & S_IFMT == S_IFDIR, matches!(what, MountSource::File { .. })) {
            (true, true) => format!("cannot mount on {}: it is a directory", quoted(target)),
            (false, false) => format!("cannot mount on {}: it is no directory", quoted(target)),
            _ => return Ok(()),
        };
        Err((wrong, "a directory is mounted on a directory, a file on a file".to_string()))
    }

    fn how_to_make(&self, walked: &Walked, target: &Path, what: &MountSource) -> String {
        let shown = match self.overlaid(&walked.real) {
            Some((Overlaid::Shown(source), below)) => Some(source.join(below)),
            _ => None,
        };
        let inside = |path: &Path| self.root.path.join(path.strip_prefix("/").unwrap_or(path));
        let place = match &shown {
            Some(source) => source.join(walked.missing.iter().collect::<PathBuf>()),
            None => inside(target),
        };
        let above = place.parent().unwrap_or(Path::new("/"));
        let make = match what {
            MountSource::File { .. } if above.is_dir() => format!("touch {}", place.display()),
            MountSource::File { .. } => format!("mkdir -p {} && touch {}", above.display(), place.display()),
            _ => format!("mkdir -p {}", place.display()),
        };
        match shown {
            // what lies there is the caller's, and stays as it is
            Some(_) => make,
            None => format!("{make}; or --ephemeral, which makes it for this run"),
        }
    }

    /// What the link at a path says; `EINVAL` where something else is: readlink(2).
    fn link(&self, path: &Path) -> Result<PathBuf, Errno> {
        match self.overlaid(path) {
            Some((Overlaid::Memory, _)) if self.made.iter().any(|made| made == path) => Err(Errno::EINVAL),
            Some((_, below)) if below.as_os_str().is_empty() => Err(Errno::EINVAL),
            Some((Overlaid::Memory, _)) => Err(Errno::ENOENT),
            Some((Overlaid::Shown(source), below)) => {
                nix::fcntl::readlink(&source.join(below)).map(PathBuf::from)
            }
            None if self.made.iter().any(|made| made == path) => Err(Errno::EINVAL),
            None => nix::fcntl::readlinkat(&self.root.dir, path).map(PathBuf::from),
        }
    }

    fn is_link(&self, path: &Path) -> bool {
        self.link(path).is_ok()
    }

    /// The last of our mounts that covers a path, and the path below it.
    fn overlaid<'p>(&self, path: &'p Path) -> Option<(&Overlaid, &'p Path)> {
        self.overlaid.iter().rev().find_map(|(at, overlaid)| Some((overlaid, path.strip_prefix(at).ok()?)))
    }

    fn mode(&self, path: &Path) -> Option<u32> {
        let none = nix::fcntl::AtFlags::empty();
        let stat = match self.overlaid(path) {
            None => nix::sys::stat::fstatat(&self.root.dir, path, none).ok(),
            Some((Overlaid::Shown(source), below)) => nix::sys::stat::stat(&source.join(below)).ok(),
            Some((Overlaid::Memory, _)) => None,
        };
        stat.map(|stat| stat.st_mode)
    }
}

fn extra(what: MountSource, walked: Walked) -> ExtraMount {
    let Walked { real, missing } = walked;
    if !missing.is_empty() {
        return ExtraMount { what, above: real, missing, entry: None };
    }
    let above = real.parent().unwrap_or(Path::new("")).to_path_buf();
    ExtraMount { what, above, missing, entry: real.file_name().map(OsStr::to_owned) }
}

#[cfg(test)]
mod tests;

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the mounts that were asked for land: paths of the new root, walked as a process inside
//! would walk them, links included, but with nothing outside in reach.
//!
//! The walk happens while the plan is made. The plan then enters the directory it found without
//! crossing a link, and attaches with move_mount(2), which follows none either: a link put in the
//! way meanwhile makes the call fail and nothing else.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use chain::tell::quoted;
use chain::{Call, Plan};
use nix::errno::Errno;
use nix::mount::MsFlags;

use crate::root::{Place, Root};
use crate::view::View;
use crate::wish::{self, Bind, RESOLV_CONF, Tmpfs, Wish, Wishes};
use crate::{enter, mounts};

/// As many links as the kernel follows in one path: path_resolution(7).
const MOST_LINKS: usize = 40;

/// The name of what is to be attached, in the plan.
const SOURCE: &str = "source";

/// A mount that was asked for, with the place that was found for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    what: What,
    /// A directory that is there, without links, relative to the root; empty for the root.
    above: PathBuf,
    /// Below it, what is not there yet: made, the last one as what is mounted on it.
    missing: Vec<OsString>,
    /// The entry that is there to be mounted on, where nothing is missing.
    entry: Option<OsString>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Directory { source: PathBuf, read_only: bool },
    File { source: PathBuf, read_only: bool },
    Tmpfs { data: String },
}

/// What lies at a path because of us.
enum Area {
    /// Empty and ours: directories can be made in it.
    Memory,
    /// The caller's directory.
    Shown(PathBuf),
}

/// Finds the places.
pub struct Surveyor<'a> {
    root: &'a Root,
    /// Whether anything may be made: the changes vanish.
    ephemeral: bool,
    areas: Vec<(PathBuf, Area)>,
    made: Vec<PathBuf>,
}

/// A refusal and what to do about it.
pub type Refusal = (String, String);

struct Walked {
    real: PathBuf,
    missing: Vec<OsString>,
}

impl<'a> Surveyor<'a> {
    /// A surveyor of a root as it will be once `view`'s file systems are mounted.
    pub fn new(root: &'a Root, ephemeral: bool, view: &View) -> Self {
        let mut areas = Vec::new();
        for (name, place) in [("proc", view.proc_dir), ("sys", view.sys_dir)] {
            if place == Place::Directory {
                // inside it has the names that it has outside
                areas.push((name.into(), Area::Shown(Path::new("/").join(name))));
            }
        }
        let mut made = Vec::new();
        if view.dev_dir == Place::Directory {
            areas.push(("dev".into(), Area::Memory));
            made.extend(mounts::names_in_dev().map(|name| Path::new("dev").join(name)));
        }
        Self { root, ephemeral, areas, made }
    }

    /// # Errors
    /// A source or a target that is not there.
    pub fn place_all(mut self, wishes: &Wishes) -> Result<Vec<Extra>, Refusal> {
        wishes.0.iter().map(|wish| self.place(wish)).collect()
    }

    fn place(&mut self, wish: &Wish) -> Result<Extra, Refusal> {
        match wish {
            Wish::Bind(bind) => self.bind(bind),
            Wish::Tmpfs(tmpfs) => self.tmpfs(tmpfs),
            Wish::ResolvConf => self.resolv_conf(),
        }
    }

    fn bind(&mut self, Bind { source, target, read_only }: &Bind) -> Result<Extra, Refusal> {
        let read_only = *read_only;
        let meta = std::fs::metadata(source).map_err(|why| {
            let errno = Errno::from_raw(why.raw_os_error().unwrap_or_default());
            let wrong = format!("cannot bind {}: {}", quoted(source), chain::tell::Why(errno));
            (wrong, "--bind=SRC:DST shows SRC of the caller at DST of the new root".to_string())
        })?;
        let what = if meta.is_dir() {
            What::Directory { source: source.clone(), read_only }
        } else {
            What::File { source: source.clone(), read_only }
        };
        let walked = self.walk(target);
        let real = self.allow(&walked, target, &what)?;
        if meta.is_dir() {
            self.areas.push((real, Area::Shown(source.clone())));
        }
        Ok(extra(what, walked))
    }

    fn tmpfs(&mut self, Tmpfs { target, size }: &Tmpfs) -> Result<Extra, Refusal> {
        let walked = self.walk(target);
        // as accessible as what it covers: /tmp is everybody's, /root is not
        let mode = if walked.missing.is_empty() { self.mode(&walked.real) } else { 0o755 };
        let size = size.as_ref().map(|size| format!(",size={size}")).unwrap_or_default();
        let what = What::Tmpfs { data: format!("mode={mode:o}{size}") };
        let real = self.allow(&walked, target, &what)?;
        self.areas.push((real, Area::Memory));
        Ok(extra(what, walked))
    }

    fn resolv_conf(&mut self) -> Result<Extra, Refusal> {
        let target = Path::new(RESOLV_CONF);
        let Some(source) = wish::resolver() else {
            let wrong = format!("cannot show {RESOLV_CONF}: the caller has none");
            return Err((wrong, "--bind=FILE:/etc/resolv.conf shows another file there".to_string()));
        };
        let what = What::File { source, read_only: true };
        let etc = self.walk(Path::new("/etc"));
        let walked = self.walk(target);
        // a link to a file that a service would make: the file is mounted on the link itself
        if !walked.missing.is_empty() && etc.missing.is_empty() && self.is_link(&etc.real.join("resolv.conf"))
        {
            return Ok(Extra {
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
    fn allow(&mut self, walked: &Walked, target: &Path, what: &What) -> Result<PathBuf, Refusal> {
        let real: PathBuf = std::iter::once(walked.real.as_os_str())
            .chain(walked.missing.iter().map(OsString::as_os_str))
            .collect();
        if walked.missing.is_empty() {
            return Ok(real);
        }
        let in_memory = matches!(self.area(&walked.real), Some((Area::Memory, _)));
        let in_root = self.area(&walked.real).is_none();
        let climbs = walked.missing.iter().any(|name| name == "..");
        if climbs || !(in_memory || in_root && self.ephemeral) {
            let wrong = format!("nothing to mount on: the new root has no {}", quoted(target));
            return Err((wrong, self.how_to_make(target, what)));
        }
        let mut made = walked.real.clone();
        for name in &walked.missing {
            made.push(name);
            self.made.push(made.clone());
        }
        Ok(real)
    }

    fn how_to_make(&self, target: &Path, what: &What) -> String {
        let inside = |path: &Path| self.root.path.join(path.strip_prefix("/").unwrap_or(path));
        let (place, above) = (inside(target), target.parent().map(inside).unwrap_or_default());
        let make = match what {
            What::File { .. } if above.is_dir() => format!("touch {}", place.display()),
            What::File { .. } => format!("mkdir -p {} && touch {}", above.display(), place.display()),
            _ => format!("mkdir -p {}", place.display()),
        };
        format!("{make}; or --ephemeral, which makes it for this run")
    }

    /// Walks a path as far as it is there.
    fn walk(&self, path: &Path) -> Walked {
        let mut todo: VecDeque<OsString> =
            path.components().map(|part| part.as_os_str().to_owned()).collect();
        let (mut real, mut links) = (PathBuf::new(), 0);
        while let Some(name) = todo.pop_front() {
            match Path::new(&name).components().next() {
                Some(Component::RootDir) => real = PathBuf::new(),
                // above the root is the root
                Some(Component::ParentDir) => _ = real.pop(),
                Some(Component::Normal(_)) => {
                    let next = real.join(&name);
                    match self.link(&next) {
                        Ok(link) if links < MOST_LINKS => {
                            links += 1;
                            for part in link.components().rev() {
                                todo.push_front(part.as_os_str().to_owned());
                            }
                        }
                        Err(Errno::EINVAL) => real = next,
                        _ => {
                            todo.push_front(name);
                            return Walked { real, missing: todo.into() };
                        }
                    }
                }
                _ => {}
            }
        }
        Walked { real, missing: Vec::new() }
    }

    /// What the link at a path says; `EINVAL` where something else is: readlink(2).
    fn link(&self, path: &Path) -> Result<PathBuf, Errno> {
        match self.area(path) {
            Some((Area::Memory, _)) if self.made.iter().any(|made| made == path) => Err(Errno::EINVAL),
            Some((_, below)) if below.as_os_str().is_empty() => Err(Errno::EINVAL),
            Some((Area::Memory, _)) => Err(Errno::ENOENT),
            Some((Area::Shown(source), below)) => {
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
    fn area<'p>(&self, path: &'p Path) -> Option<(&Area, &'p Path)> {
        self.areas.iter().rev().find_map(|(at, area)| Some((area, path.strip_prefix(at).ok()?)))
    }

    fn mode(&self, path: &Path) -> u32 {
        let none = nix::fcntl::AtFlags::empty();
        let stat = match self.area(path) {
            None => nix::sys::stat::fstatat(&self.root.dir, path, none).ok(),
            Some((Area::Shown(source), below)) => nix::sys::stat::stat(&source.join(below)).ok(),
            Some((Area::Memory, _)) => None,
        };
        stat.map_or(0o755, |stat| stat.st_mode & 0o7777)
    }
}

fn extra(what: What, walked: Walked) -> Extra {
    let Walked { real, missing } = walked;
    if !missing.is_empty() {
        return Extra { what, above: real, missing, entry: None };
    }
    let above = real.parent().unwrap_or(Path::new("")).to_path_buf();
    Extra { what, above, missing, entry: real.file_name().map(OsStr::to_owned) }
}

impl Extra {
    /// The calls.
    pub fn plan(self, plan: &mut Plan) {
        if let What::Directory { source, read_only } | What::File { source, read_only } = &self.what {
            let reason = format!("take {} as a mount of its own", quoted(source));
            plan.will(reason, Call::OpenTree { path: source.clone(), opened: SOURCE });
            if *read_only {
                plan.will("make it read-only", Call::ReadOnlyTree(SOURCE));
            }
        }
        let mut above = self.above;
        enter(plan, &above);
        let last = self.missing.len().saturating_sub(1);
        for (number, name) in self.missing.iter().enumerate() {
            make(plan, &above, name, number == last && matches!(self.what, What::File { .. }));
            if number < last {
                above.push(name);
                enter(plan, &above);
            }
        }
        let name = self.entry.or(self.missing.into_iter().next_back()).unwrap_or_default();
        match self.what {
            What::Directory { .. } | What::File { .. } => {
                let reason = format!("show it at {}", shown(&above.join(&name)));
                plan.will(reason, Call::MoveMount { opened: SOURCE, target: name.into() });
            }
            What::Tmpfs { data } => {
                enter(plan, above.join(&name));
                let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
                let mount = Call::Mount {
                    source: Some("tmpfs".into()),
                    target: ".".into(),
                    fstype: Some("tmpfs"),
                    flags,
                    data: Some(data),
                };
                plan.will("mount an empty file system there", mount);
            }
        }
    }
}

fn shown(below_root: &Path) -> String {
    quoted(&Path::new("/").join(below_root)).to_string()
}

fn make(plan: &mut Plan, above: &Path, name: &OsStr, as_file: bool) {
    let reason = format!("make {}", shown(&above.join(name)));
    let path = PathBuf::from(name);
    if as_file {
        let kind = nix::sys::stat::SFlag::S_IFREG;
        plan.will(reason, Call::Mknod { path, kind, mode: 0o644, device: (0, 0) });
    } else {
        plan.will(reason, Call::Mkdir { path, mode: 0o755 });
    }
}

#[cfg(test)]
mod tests;

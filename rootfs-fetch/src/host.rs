//! A root directory from the host's own programs, without a network.
//!
//! The programs are located, and then what they need, by reading ELF headers and the first lines of scripts;
//! unlike ldd(1), this runs none of them. All files are copied to the same path, with the symlinks on the
//! way, so that every path of the host works in the new root.

pub mod copy;
pub mod elf;
mod file_copy;
pub mod hwcaps;
pub mod libraries;
pub mod programs;
pub mod runtime_files;
pub mod skeleton;
pub mod target;

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use chain::reporter::quoted;

use crate::failure::{Failure, Kind, Result};
use crate::host::copy::Copier;
use crate::host::libraries::{Libraries, Requirements};
use crate::host::target::{Limits, Target};
use crate::interrupt::Interrupt;
use crate::tree::name::Name;
use crate::unpack::policy::Policy;
use crate::unpack::report::{Report, Size};

const LD_SO_CACHE: &str = "/etc/ld.so.cache";
/// The block size of most file systems.
const BLOCK_BYTES: u64 = 4096;

/// The directories of programs; on most hosts some are links to others.
const PROGRAMS: [&str; 4] = ["/bin", "/sbin", "/usr/bin", "/usr/sbin"];

/// The files to copy; all are located before anything is created.
#[derive(Debug)]
pub struct CopyPlan {
    libraries: Libraries,
    paths: Vec<PathBuf>,
    seen: HashSet<PathBuf>,
    /// What the first program needs; it decides the root's machine.
    wants: Option<Requirements>,
    /// Programs outside the standard directories, which get a link in /usr/bin.
    elsewhere: Vec<PathBuf>,
}

impl CopyPlan {
    /// Locates the named programs, or the usual ones, and what they need.
    ///
    /// # Errors
    /// Not found: a named program, or a library of one.
    pub fn plan(named: &[OsString]) -> Result<Self> {
        let mut copy = Self {
            libraries: Libraries::of_host(),
            paths: Vec::new(),
            seen: HashSet::new(),
            wants: None,
            elsewhere: Vec::new(),
        };
        for name in named {
            let path = programs::find_named(name).ok_or_else(|| {
                Failure::new(
                    Kind::NotFound,
                    format_args!("{} is not a program on this machine", quoted(name)),
                )
            })?;
            copy.program(&path).map_err(|missing| {
                Failure::new(Kind::NotFound, format_args!("{}: {missing}", quoted(&path)))
            })?;
        }
        if named.is_empty() {
            copy.expected()?;
        }
        copy.runtime_files();
        Ok(copy)
    }

    fn expected(&mut self) -> Result<()> {
        for path in programs::expected().filter_map(programs::find_expected) {
            // skip scripts in languages that the root will not contain
            let shell = |name: &OsString| {
                let name = Path::new(name).file_name().unwrap_or_default();
                ["sh", "bash", "dash"].iter().any(|shell| name == OsStr::new(shell))
            };
            if programs::interpreters(&head(&path)).iter().all(shell) {
                // a program with a missing library does not run here either
                let _ = self.program(&path);
            }
        }
        if self.paths.is_empty() {
            return Err(Failure::new(Kind::NotFound, "this host has none of the usual programs"));
        }
        Ok(())
    }

    /// Adds a program with its interpreter or loader and its libraries; adds nothing if one of them is
    /// missing.
    fn program(&mut self, path: &Path) -> std::result::Result<(), String> {
        let mut new = Vec::new();
        let mut todo = vec![(path.to_path_buf(), None::<Requirements>)];
        while let Some((path, by)) = todo.pop() {
            if self.seen.contains(&path) || new.contains(&path) {
                continue;
            }
            new.push(path.clone());
            let Some(elf) = self.libraries.elf(&path) else {
                for interpreter in programs::interpreters(&head(&path)) {
                    let found = programs::find_named(&interpreter);
                    todo.push((found.ok_or_else(|| format!("needs {}", quoted(&interpreter)))?, None));
                }
                continue;
            };
            let wants = Requirements::new(&elf, &path, by.as_ref());
            if let Some(loader) = &elf.interpreter {
                todo.push((PathBuf::from(loader), None));
            }
            for name in &elf.needed {
                let files = self.libraries.find(name, &wants);
                if files.is_empty() {
                    return Err(format!("needs the library {}", quoted(name)));
                }
                todo.extend(files.into_iter().map(|file| (file, Some(wants.clone()))));
            }
            self.wants.get_or_insert(wants);
        }
        if !programs::is_standard(path) {
            self.elsewhere.push(path.to_path_buf());
        }
        self.seen.extend(new.iter().cloned());
        self.paths.extend(new);
        Ok(())
    }

    /// Adds optional files that programs open by name.
    fn runtime_files(&mut self) {
        let elsewhere = self.elsewhere.len();
        if let Some(wants) = self.wants.clone() {
            for name in runtime_files::LOADED_LATER {
                for path in self.libraries.find(OsStr::new(name), &wants) {
                    let _ = self.program(&path);
                }
            }
        }
        if let Some(modules) = self.pam().map(|pam| pam.with_file_name("security")) {
            for module in runtime_files::PAM {
                let path = modules.join(module);
                if path.is_file() {
                    let _ = self.program(&path);
                }
            }
        }
        // these need no link in /usr/bin
        self.elsewhere.truncate(elsewhere);
        self.paths.extend(runtime_files::terminals());
        self.paths.extend(runtime_files::locale());
        let library = |path: &PathBuf| path.to_string_lossy().contains(".so");
        if self.paths.iter().any(|path| library(path) && !self.libraries.is_usual(path)) {
            // the host's cache is valid, because the paths are the same
            self.paths.extend(Some(PathBuf::from(LD_SO_CACHE)).filter(|path| path.is_file()));
        }
    }

    fn pam(&self) -> Option<PathBuf> {
        self.paths.iter().find(|path| path.file_name() == Some(OsStr::new("libpam.so.0"))).cloned()
    }

    /// Checks that something is selected, and that it is not more than allowed, as far as the located files show it.
    ///
    /// # Errors
    /// Not found, if nothing is selected; damaged, for more than the limits.
    pub fn check(&self, policy: &Policy, limits: Limits) -> Result<()> {
        let selected = self.selected(policy);
        if selected.is_empty() && !skeleton::is_selected(&policy.selection) {
            return Err(Failure::new(Kind::NotFound, "--exclude leaves nothing of the host's programs"));
        }
        let sizes = selected.iter().filter_map(|path| std::fs::metadata(path).ok()).map(|meta| meta.len());
        limits.check(selected.len() as u64, sizes.sum())
    }

    /// The located files that `--exclude` does not skip.
    pub fn selected(&self, policy: &Policy) -> Vec<&Path> {
        let name = |path: &PathBuf| Name::parse(path.as_os_str().as_bytes()).ok();
        let selects =
            |path: &&PathBuf| name(path).is_none_or(|name| policy.selection.select(&name).is_some());
        self.paths.iter().filter(selects).map(PathBuf::as_path).collect()
    }

    /// Copies the selected files into a tree.
    ///
    /// # Errors
    /// Those of [`Self::check`]; I/O, or a signal.
    pub fn make(&self, mut target: Target<'_>, interrupt: &Interrupt) -> Result<Report> {
        file_copy::with_workers(|workers| self.copy(&mut Copier::new(&mut target, workers), interrupt))
            .map_err(|failure| self.full(failure))?;
        skeleton::make(&mut target, self.pam().is_some())?;
        let Target { mut tree, mut report, policy, .. } = target;
        crate::unpack::finish::directories(&mut tree, policy, &mut report)?;
        Ok(report)
    }

    fn copy(&self, copier: &mut Copier<'_, '_>, interrupt: &Interrupt) -> Result<()> {
        // keep all names of a program, above all /bin/sh
        for directory in PROGRAMS.map(Path::new).into_iter().filter(|directory| directory.is_symlink()) {
            copier.path(directory)?;
        }
        for path in &self.paths {
            interrupt.check()?;
            copier.path(path)?;
        }
        for path in &self.elsewhere {
            if let Some(name) = path.file_name() {
                copier.new_link(&Path::new("/usr/bin").join(name), path)?;
            }
        }
        Ok(())
    }

    /// Adds the required space to a failure of a full disk.
    fn full(&self, failure: Failure) -> Failure {
        if !failure.is_full() {
            return failure;
        }
        let sizes = self.paths.iter().filter_map(|path| std::fs::metadata(path).ok());
        let needed = sizes.map(|meta| meta.len().next_multiple_of(BLOCK_BYTES)).sum();
        failure.hint(format_args!("{} are needed", Size(needed)))
    }
}

/// The beginning of a file, enough for the first line of a script.
fn head(path: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        // an unreadable file is not a script
        let _ = file.take(256).read_to_end(&mut head);
    }
    head
}

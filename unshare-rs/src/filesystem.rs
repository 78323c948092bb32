// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the command sees: how mounts spread, the root, /proc, interpreters, directory, environment.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use chain::{Plan, call};
use nix::mount::MsFlags;

use crate::cli::{BINFMT_DIR, FilesystemOptions, Propagation};

/// The options, thought through.
#[derive(Clone, Debug, Default)]
pub struct Filesystem {
    /// How mounts spread, where they are to spread in another way.
    pub propagation: Option<MsFlags>,
    /// Where to mount a new proc.
    pub proc: Option<PathBuf>,
    root: Option<PathBuf>,
    directory: Option<PathBuf>,
    binfmt: Option<PathBuf>,
    interpreter: Option<OsString>,
    /// The variables to keep, where not all are.
    environment: Option<Vec<OsString>>,
}

impl Filesystem {
    /// What options say of a place, with or without new mounts.
    pub fn from_options(options: &FilesystemOptions, new_mounts: bool) -> Self {
        let spread = match options.propagation.unwrap_or(Propagation::Private) {
            Propagation::Private => Some(MsFlags::MS_PRIVATE),
            Propagation::Shared => Some(MsFlags::MS_SHARED),
            Propagation::Slave => Some(MsFlags::MS_SLAVE),
            Propagation::Unchanged => None,
        };
        let binfmt = options.binfmt.dir();
        // the default place of binfmt_misc is in /proc
        let implied =
            options.binfmt.mount_binfmt.is_none() || binfmt.as_deref() == Some(Path::new(BINFMT_DIR));
        let proc = binfmt.as_ref().filter(|_| implied && !options.no_mount_proc).map(|_| "/proc".into());
        let no_environment = options.clear_env || !options.whitelist_env.is_empty();
        Self {
            propagation: spread.filter(|_| new_mounts),
            proc: options.mount_proc.clone().or(proc),
            root: options.root.clone(),
            directory: options.wd.clone(),
            binfmt,
            interpreter: options.binfmt.load_interp.clone(),
            environment: no_environment.then(|| options.whitelist_env.clone()),
        }
    }

    /// Adds how mounts spread, right after the namespace is made.
    pub fn plan_propagation(&self, plan: &mut Plan) {
        // a new mount namespace starts as a copy whose shared mounts still lead outside:
        // mount_namespaces(7)
        let reason = match self.propagation {
            Some(MsFlags::MS_PRIVATE) => "keep mounts from spreading outside",
            Some(MsFlags::MS_SLAVE) => "let mounts spread in, but not out",
            Some(_) => "let mounts spread among those who share them",
            None => return,
        };
        plan.step(reason, call::Mount::propagate("/", self.propagation.unwrap_or(MsFlags::empty())));
    }

    /// Adds everything that is seen, in the child.
    pub fn plan(&self, plan: &mut Plan) {
        if let Some(root) = &self.root {
            // flag F opens the interpreter now, and it is outside of the root: binfmt_misc of the kernel
            if self.interpreter.as_ref().is_some_and(has_fix_binary_flag) {
                self.plan_interpreter(plan, Path::new(BINFMT_DIR));
            }
            plan.step("change the root directory", call::Chroot(root.clone()));
            plan.step("enter it", call::Chdir("/".into()));
        }
        if let Some(at) = &self.proc {
            plan.step("mount a proc that shows the processes inside", mount("proc", at));
        }
        if let Some(at) = &self.binfmt {
            let registered =
                self.root.is_some() && self.interpreter.as_ref().is_some_and(has_fix_binary_flag);
            if registered {
                plan.step("mount the table of interpreters", mount("binfmt_misc", at));
            } else {
                self.plan_interpreter(plan, at);
            }
        }
        if let Some(directory) = &self.directory {
            plan.step("enter the working directory", call::Chdir(directory.clone()));
        }
    }

    fn plan_interpreter(&self, plan: &mut Plan, at: &Path) {
        plan.step("mount a table of interpreters", mount("binfmt_misc", at));
        if let Some(entry) = &self.interpreter {
            plan.step(
                "register an interpreter",
                call::Write::new(at.join("register"), entry.as_encoded_bytes()),
            );
        }
    }

    /// Adds the last thing before the command.
    pub fn plan_environment(&self, plan: &mut Plan) {
        if let Some(names) = &self.environment {
            let reason = if names.is_empty() { "clear the environment" } else { "keep only named variables" };
            plan.step(reason, call::KeepEnvironment(names.clone()));
        }
    }
}

/// Whether an entry of binfmt_misc has the flag F, behind the last colon.
fn has_fix_binary_flag(entry: &OsString) -> bool {
    entry.as_encoded_bytes().rsplit(|byte| *byte == b':').next().is_some_and(|flags| flags.contains(&b'F'))
}

/// A file system of the kernel, without what it never needs. A proc shows the PID namespace of
/// whoever mounts it: proc(5).
fn mount(fstype: &'static str, at: &Path) -> call::Mount {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    call::Mount::new(fstype, at, flags)
}

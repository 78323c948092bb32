// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the command is run: whether a parent stays, what it says at the end, what the command sees.

use std::path::PathBuf;
use std::time::Instant;

use chain::exec::Command;

use crate::cli::{Manager, Options, ReportFormat};
use crate::group::Cleanup;
use crate::oom::AncestorOoms;
use crate::placement::{GroupRequest, Placement};
use crate::report::{self, Report};

/// How the command is run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunMode {
    /// What becomes of the group.
    pub cleanup: Cleanup,
    /// Whether a parent is to stay also where nobody has to.
    pub waits: bool,
    /// Whether the command gets a cgroup namespace.
    pub cgroupns: bool,
    /// Whether the command becomes the first process of a PID namespace, because this one is.
    pub first: bool,
    /// Whether a limit that fails is left out.
    pub attempt: bool,
    /// Who makes the group.
    pub manager: Manager,
    /// The report that is wanted.
    pub report: Option<ReportFormat>,
    /// Where it goes.
    pub file: Option<PathBuf>,
}

impl RunMode {
    /// As the options say.
    ///
    /// # Errors
    /// What is wrong and what to do.
    pub fn of(options: &Options, admin: bool) -> Result<Self, (String, String)> {
        if options.cgroupns && !admin {
            let wrong = "a cgroup namespace takes CAP_SYS_ADMIN: cgroup_namespaces(7)".to_string();
            return Err((wrong, "run it as root, or below 'unshare-rs --map-root-user --'".to_string()));
        }
        if options.manager == Manager::Systemd && (options.parent.is_some() || options.keep) {
            let wrong = "systemd chooses where its scope is, and removes it when it is empty".to_string();
            return Err((wrong, "--parent and --keep go with --manager cgroupfs".to_string()));
        }
        if let Some(file) = &options.report_file {
            report::can_write(file).map_err(|why| {
                let wrong = format!("cannot write the report to {}: {why}", file.display());
                (wrong, "--report writes it to standard error".to_string())
            })?;
        }
        Ok(Self {
            cleanup: options.cleanup(),
            waits: options.wait || options.report().is_some(),
            cgroupns: admin && !options.no_cgroupns,
            first: admin && is_first(),
            attempt: options.attempt,
            manager: options.manager,
            report: options.report(),
            file: options.report_file.clone(),
        })
    }

    /// What else decides, once the mounts are read: where a part of /proc is covered, no new proc can
    /// be had in a user namespace, because it would show that part.
    pub fn with_mounts(&mut self, proc_is_covered: bool) {
        self.first &= !proc_is_covered;
    }

    /// In a scope nobody has to stay: systemd removes it.
    pub fn in_scope(&mut self, request: &mut GroupRequest) {
        self.manager = Manager::Systemd;
        if !self.waits {
            self.cleanup = Cleanup::ByLaterRun;
        }
        request.cleanup = self.cleanup;
    }

    /// Whether a parent stays behind the command.
    pub fn stays(&self) -> bool {
        self.cleanup != Cleanup::ByLaterRun
    }

    /// Whether the group is meant to stay.
    pub fn keeps(&self) -> bool {
        self.cleanup == Cleanup::Never
    }

    /// What is said at the end.
    pub fn report(&self, placement: &Placement, command: &Command) -> Report {
        let v2 = placement.v2.as_ref();
        let counts = v2.filter(|group| self.report.is_some() || !group.limits.is_empty());
        Report {
            form: self.report,
            file: self.file.clone(),
            command: command.argv.iter().map(|arg| arg.to_string_lossy().into_owned()).collect(),
            manager: if self.manager == Manager::Systemd { "systemd" } else { "cgroupfs" },
            groups: v2.into_iter().chain(&placement.v1).cloned().collect(),
            above: counts.map(|group| AncestorOoms::of(&group.path)).unwrap_or_default(),
            // the first look at the clock costs three pages
            started: self.report.is_some().then(Instant::now),
        }
    }
}

/// Whether this is PID 1 of a PID namespace with a proc of its own, which can be mounted anew.
fn is_first() -> bool {
    std::process::id() == 1 && std::fs::read_link("/proc/self").is_ok_and(|own| own.as_os_str() == "1")
}

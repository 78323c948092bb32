//! How the command runs: its namespaces, its time limits and its report.

use chain::Failure;

use crate::cli::{Manager, Options};
use crate::report_output::ReportOutput;
use crate::time_limit::TimeLimits;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunMode {
    pub cgroupns: CgroupNs,
    /// Whether the command becomes PID 1 of a new PID namespace, because this process is PID 1.
    pub new_init: bool,
    pub report: Option<ReportOutput>,
    pub times: TimeLimits,
}

/// When the command enters a cgroup namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupNs {
    #[default]
    No,
    /// In a new group: the default.
    NewGroup,
    /// Always: `--cgroupns`.
    Always,
}

impl RunMode {
    /// Reads the options. `admin` says whether the caller has CAP_SYS_ADMIN.
    ///
    /// # Errors
    /// Options that exclude each other or need CAP_SYS_ADMIN, or a report file that is not writable.
    pub fn of(options: &Options, admin: bool) -> Result<Self, Failure> {
        if options.cgroupns && !admin {
            return Err(Failure::new("a cgroup namespace needs CAP_SYS_ADMIN: cgroup_namespaces(7)")
                .hint("run it as root, or after 'unshare-rs --map-root-user --'"));
        }
        if options.manager == Manager::Systemd && (options.parent.is_some() || options.keep) {
            return Err(Failure::new("--parent and --keep cannot be combined with --manager systemd").hint(
                "use --manager cgroupfs; systemd chooses where its scope is, and removes it when it is empty",
            ));
        }
        let report =
            options.report().map(|format| ReportOutput { format, file: options.report_file.clone() });
        if let Some(report) = &report {
            report.check_writable()?;
        }
        let times = options.time.limits()?;
        Ok(Self {
            cgroupns: match (options.cgroupns, admin && !options.no_cgroupns) {
                (true, _) => CgroupNs::Always,
                (_, true) => CgroupNs::NewGroup,
                _ => CgroupNs::No,
            },
            new_init: admin && is_init_with_proc(),
            report,
            times,
        })
    }
}

/// Whether this is PID 1 of a PID namespace with its own proc, which can be mounted again because nothing
/// covers a part of it.
fn is_init_with_proc() -> bool {
    std::process::id() == 1
        && std::fs::read_link("/proc/self").is_ok_and(|own| own.as_os_str() == "1")
        && system::mountinfo::cover_of_proc().is_none()
}

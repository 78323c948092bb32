//! This process's group in each hierarchy: /proc/self/cgroup.

use std::ffi::OsString;
use std::fmt::Display;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use chain::Reporter;
use nix::errno::Errno;
use system::sys;

/// A line of /proc/self/cgroup.
pub struct Membership {
    pub id: Vec<u8>,
    /// Empty for version 2.
    pub controllers: Vec<String>,
    /// The group; its name can contain colons.
    pub path: PathBuf,
}

impl Membership {
    pub fn all(text: &[u8]) -> impl Iterator<Item = Self> {
        text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).filter_map(Self::parse)
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.splitn(3, |byte| *byte == b':');
        let id = fields.next()?.to_vec();
        let controllers = String::from_utf8_lossy(fields.next()?).into_owned();
        let path = fields.next()?;
        let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
        let controllers =
            controllers.split(',').filter(|name| !name.is_empty()).map(str::to_string).collect();
        Some(Self { id, controllers, path: PathBuf::from(OsString::from_vec(path.to_vec())) })
    }

    /// Mounts the hierarchy without attaching it. These calls come before the plan, because the plan depends
    /// on what the hierarchy shows. A dry run prints them and gets no mount.
    pub fn mount(&self, reporter: &Reporter) -> Option<OwnedFd> {
        let fstype = if self.controllers.is_empty() { "cgroup2" } else { "cgroup" };
        let open = format!("fsopen(\"{fstype}\", FSOPEN_CLOEXEC)");
        let set = |name: &str| format!("fsconfig(<{fstype}>, FSCONFIG_SET_FLAG, \"{name}\", NULL, 0)");
        let mount = format!(
            "fsconfig(<{fstype}>, FSCONFIG_CMD_CREATE, NULL, NULL, 0), fsmount(<{fstype}>, FSMOUNT_CLOEXEC, 0)"
        );
        if reporter.verbosity().is_dry_run() {
            reporter.step(REASON, open, "fsopen(2)");
            self.controllers.iter().for_each(|name| reporter.step(REASON, set(name), "fsconfig(2)"));
            reporter.step(REASON, mount, "fsmount(2)");
            return None;
        }
        let context = make(reporter, open, "fsopen(2)", || sys::fs_open(fstype))?;
        for name in &self.controllers {
            make(reporter, set(name), "fsconfig(2)", || sys::fs_flag(context.as_fd(), name))?;
        }
        make(reporter, mount, "fsmount(2)", || sys::fs_mount(context.as_fd()))
    }
}

const REASON: &str = "look at a hierarchy that no mount shows";

/// Prints a call as a step and makes it. With --explain, a failure is printed; the caller decides what it
/// means.
fn make<T>(
    reporter: &Reporter,
    call: impl Display,
    page: &str,
    make: impl FnOnce() -> Result<T, Errno>,
) -> Option<T> {
    reporter.step(REASON, &call, page);
    make()
        .inspect_err(|errno| {
            if reporter.verbosity().is_explain() {
                reporter.failed(REASON, &call, *errno)
            }
        })
        .ok()
}

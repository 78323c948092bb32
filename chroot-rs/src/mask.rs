//! Covers paths in proc and sys, so that root inside does not change the machine by accident.
//!
//! The list is the default of OCI runtimes (readonlyPaths and maskedPaths in runc's `spec`). The files belong
//! to the machine's user 0, whatever its capabilities are, so they are covered if that user exists inside. In
//! a user namespace without that user, nothing is covered: the files refuse changes there, and a cover over a
//! part of /proc would make the kernel refuse a new proc in inner namespaces: user_namespaces(7).

use std::borrow::Cow;
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::unistd::AccessFlags;
use system::sys;

/// How a path is covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    ReadOnly,
    /// A file that reads as empty.
    File,
    /// A directory that lists as empty.
    Directory,
}

/// A covered path: `proc` or `sys`, and the path below it.
pub type Mask = (&'static str, Cow<'static, str>, Cover);

const MASKS: [(&str, &str, Cover); 17] = [
    ("proc", "bus", Cover::ReadOnly),
    ("proc", "fs", Cover::ReadOnly),
    ("proc", "irq", Cover::ReadOnly),
    ("proc", "sys", Cover::ReadOnly),
    ("proc", "sysrq-trigger", Cover::ReadOnly),
    ("proc", "acpi", Cover::Directory),
    ("proc", "asound", Cover::Directory),
    ("proc", "interrupts", Cover::File),
    ("proc", "kcore", Cover::File),
    ("proc", "keys", Cover::File),
    ("proc", "latency_stats", Cover::File),
    ("proc", "sched_debug", Cover::File),
    ("proc", "scsi", Cover::Directory),
    ("proc", "timer_list", Cover::File),
    ("proc", "timer_stats", Cover::File),
    ("sys", "firmware", Cover::Directory),
    ("sys", "devices/virtual/powercap", Cover::Directory),
];

/// The paths that exist on this kernel.
pub fn all() -> Vec<Mask> {
    let in_proc = known_in_proc();
    let is_there = |(dir, name, _): &(&str, &str, Cover)| match *dir {
        "proc" => in_proc.contains(name),
        _ => Path::new("/").join(dir).join(name).exists(),
    };
    let masks =
        MASKS.iter().filter(|mask| is_there(mask)).map(|(dir, name, cover)| (*dir, (*name).into(), *cover));
    masks.chain(thermal_throttle()).collect()
}

/// The temperature history of each processor, in the sysfs of machines that have one.
fn thermal_throttle() -> Vec<Mask> {
    const CPUS: &str = "devices/system/cpu";
    let mut found = Vec::new();
    let Ok(()) = nix::unistd::access("/sys/devices/system/cpu/cpu0/thermal_throttle", AccessFlags::F_OK)
    else {
        return found;
    };
    let _ = sys::for_each_entry(&Path::new("/sys").join(CPUS), &mut |name| {
        let number = name.as_bytes().strip_prefix(b"cpu").unwrap_or_default();
        if let (Some(name), true) =
            (name.to_str(), !number.is_empty() && number.iter().all(u8::is_ascii_digit))
        {
            found.push(("sys", format!("{CPUS}/{name}/thermal_throttle").into(), Cover::Directory));
        }
        ControlFlow::Continue(())
    });
    found
}

/// The names in the list that exist in /proc. The kernel lists /proc faster than it looks up each name. The
/// processes come last and are not read.
fn known_in_proc() -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut others = false;
    let _ = sys::for_each_entry(Path::new("/proc"), &mut |name| {
        let is_process = name.as_bytes().iter().all(u8::is_ascii_digit);
        if is_process && others {
            return ControlFlow::Break(());
        }
        others |= !is_process;
        let known = MASKS.iter().find(|(dir, known, _)| *dir == "proc" && name == OsStr::new(known));
        found.extend(known.map(|(_, known, _)| *known));
        ControlFlow::Continue(())
    });
    found
}

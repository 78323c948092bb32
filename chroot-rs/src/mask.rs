// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paths of proc and sys that are covered, so that root inside does not change the machine by accident.
//!
//! The list is the OCI runtimes' default (readonlyPaths and maskedPaths in runc's `spec`). It guards
//! against accidents only: root of the machine can unmount it. In a user namespace nothing is covered,
//! because these files refuse to be changed there, and a covered part of /proc keeps the kernel from
//! mounting a new proc in namespaces below: user_namespaces(7).

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use system::sys;

/// How a path is covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    ReadOnly,
    /// A file reads as empty.
    File,
    /// A directory lists as empty.
    Directory,
}

/// A covered path: `proc` or `sys`, and the path below.
pub type Mask = (&'static str, &'static str, Cover);

const MASKS: [Mask; 16] = [
    ("proc", "bus", Cover::ReadOnly),
    ("proc", "fs", Cover::ReadOnly),
    ("proc", "irq", Cover::ReadOnly),
    ("proc", "sys", Cover::ReadOnly),
    ("proc", "sysrq-trigger", Cover::ReadOnly),
    ("proc", "acpi", Cover::Directory),
    ("proc", "asound", Cover::Directory),
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
    let is_there = |(dir, name, _): &Mask| match *dir {
        "proc" => in_proc.contains(name),
        _ => Path::new("/").join(dir).join(name).exists(),
    };
    MASKS.into_iter().filter(is_there).collect()
}

/// Names of the list that /proc has. Listing /proc takes the kernel less time than looking up each
/// name. The processes come last and are not read.
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

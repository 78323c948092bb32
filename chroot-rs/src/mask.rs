// SPDX-License-Identifier: MIT OR Apache-2.0
//! What root inside should not touch by accident: the switches of the machine in proc and sys.
//!
//! The lists are the OCI runtimes' defaults (readonlyPaths and maskedPaths in runc's `spec`).
//! It is damage control for root of the machine, who may unmount it again, and not done in a
//! user namespace: there the switches belong to somebody else anyway, and a part of /proc that
//! is covered keeps the kernel from giving a new proc to namespaces below: user_namespaces(7).

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use chain::handles::FdSlot;
use chain::{Plan, call, sys};
use nix::mount::MsFlags;

use crate::chdir_inside;
use crate::mounts::NO_SUID_DEV_EXEC;

/// How a path below proc or sys is kept from harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    /// It can be read.
    ReadOnly,
    /// A file reads as empty.
    File,
    /// A directory lists as empty.
    Directory,
}

/// A path that is covered: the directory of the root, and the path below.
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

/// The masks for what this kernel has.
pub fn all() -> Vec<Mask> {
    let in_proc = known_in_proc();
    let is_there = |(dir, name, _): &Mask| match *dir {
        "proc" => in_proc.contains(name),
        _ => Path::new("/").join(dir).join(name).exists(),
    };
    MASKS.into_iter().filter(is_there).collect()
}

/// What of the list /proc has. It is listed once, which costs the kernel less than to look for each name.
/// The kernel lists the processes last, and nobody wants to wait for those.
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

/// Covers what is in `dir`, which has just been mounted: no name in it can be swapped.
pub fn cover(plan: &mut Plan, new_root: FdSlot, masks: &[Mask], dir: &str) {
    let mut masks = masks.iter().filter(|(of, _, _)| *of == dir).peekable();
    if masks.peek().is_some() {
        chdir_inside(plan, new_root, dir);
    }
    for (_, name, how) in masks {
        match how {
            Cover::ReadOnly => {
                plan.step(
                    format!("take /{dir}/{name} as a mount of its own"),
                    call::Mount::bind(*name, *name, MsFlags::empty()),
                );
                let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | NO_SUID_DEV_EXEC;
                plan.step(format!("make /{dir}/{name} read-only"), call::Mount::remount(*name, flags));
            }
            Cover::File => plan.step(
                format!("let /{dir}/{name} read as empty"),
                call::Mount::bind("/dev/null", *name, MsFlags::empty()),
            ),
            Cover::Directory => plan.step(
                format!("let /{dir}/{name} list as empty"),
                call::Mount::new("tmpfs", name, NO_SUID_DEV_EXEC | MsFlags::MS_RDONLY),
            ),
        }
    }
}

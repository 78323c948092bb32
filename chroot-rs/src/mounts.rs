// SPDX-License-Identifier: MIT OR Apache-2.0
//! The file systems of the kernel inside the new root: proc, sys, dev and what belongs below.
//!
//! Each is mounted on the working directory, entered through an open descriptor
//! without crossing a symlink: whatever the new root's owner puts in the way, no
//! mount lands outside.

use std::path::Path;

use chain::handles::FdSlot;
use chain::{Plan, call};
use nix::mount::{MntFlags, MsFlags};

use crate::probe::{Devices, FsProvision, OldRoot, Probe};
use crate::{chdir_inside, mask};

/// Flags of a file system of the kernel: nothing in it is to be run or opened as a device.
pub const NO_SUID_DEV_EXEC: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// Name, major and minor number of what every program expects in /dev:
/// Documentation/admin-guide/devices.txt.
const DEVICES: [(&str, u64, u64); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

/// What our /dev has.
pub fn names_in_dev() -> impl Iterator<Item = &'static str> {
    let devices = DEVICES.iter().map(|(name, _, _)| *name);
    devices.chain(LINKS.iter().map(|(_, name)| *name)).chain(["pts", "shm", "mqueue", "console"])
}

/// proc, of the PID namespace we are in.
pub fn proc(plan: &mut Plan, new_root: FdSlot, probe: &Probe) {
    chdir_inside(plan, new_root, "proc");
    uncover(plan, new_root, probe, "proc", probe.proc_mounts);
    match probe.proc {
        FsProvision::Fresh => plan.step("mount a proc", call::Mount::new("proc", ".", NO_SUID_DEV_EXEC)),
        FsProvision::Bind => plan.step(
            "show the caller's proc, which belongs to a PID namespace above",
            call::Mount::bind("/proc", ".", MsFlags::MS_REC),
        ),
        FsProvision::Skip => {}
    }
    mask::cover(plan, new_root, &probe.masks, "proc");
}

/// sysfs, read-only.
pub fn sys(plan: &mut Plan, new_root: FdSlot, probe: &Probe) {
    match probe.sysfs {
        FsProvision::Fresh => {
            chdir_inside(plan, new_root, "sys");
            uncover(plan, new_root, probe, "sys", probe.sys_mounts);
            let flags = NO_SUID_DEV_EXEC | MsFlags::MS_RDONLY;
            plan.step("mount sysfs read-only", call::Mount::new("sysfs", ".", flags));
            if probe.cgroup2 {
                chdir_inside(plan, new_root, "sys/fs/cgroup");
                plan.step("show the own control group", call::Mount::new("cgroup2", ".", flags));
            }
        }
        FsProvision::Bind => {
            chdir_inside(plan, new_root, "sys");
            let slot = plan.slot("sys");
            plan.step("take a copy of the caller's /sys", call::OpenTree { path: "/sys".into(), slot });
            plan.step("make the copy read-only", call::ReadOnlyTree(slot));
            plan.step("show it inside", call::MoveMount { slot, target: ".".into() });
        }
        FsProvision::Skip => return,
    }
    mask::cover(plan, new_root, &probe.masks, "sys");
}

/// Takes away, in our copy of the new root, what is mounted on `dir` already: a proc there may show
/// processes outside to who takes ours away, and the kernel mounts no file system on itself (EBUSY).
///
/// In a user namespace a mount from outside cannot be taken away: mount_namespaces(7). There an empty
/// one comes in between.
fn uncover(plan: &mut Plan, new_root: FdSlot, probe: &Probe, dir: &str, mounts: usize) {
    if !probe.can_unmount && mounts > 0 {
        let empty = tmpfs(".", NO_SUID_DEV_EXEC | MsFlags::MS_RDONLY, "mode=755,size=4k");
        plan.step(format!("cover what is mounted on /{dir} already"), empty);
        chdir_inside(plan, new_root, dir);
        return;
    }
    for _ in 0..mounts {
        plan.step(
            format!("take away what is mounted on /{dir} already"),
            call::Unmount { target: ".".into(), flags: MntFlags::MNT_DETACH },
        );
        chdir_inside(plan, new_root, dir);
    }
}

/// A small dev of its own: devices that hold nothing, terminals, shared memory.
pub fn dev(plan: &mut Plan, new_root: FdSlot, probe: &Probe) {
    chdir_inside(plan, new_root, "dev");
    plan.step("mount a tmpfs for devices", tmpfs(".", MsFlags::MS_NOSUID, "mode=755,size=64k"));
    chdir_inside(plan, new_root, "dev");
    plan.step("give devices exactly their modes", call::Umask(0));
    for (name, major, minor) in DEVICES {
        device(plan, probe.devices, name, (major, minor));
    }
    for (target, link) in LINKS {
        plan.step(format!("make /dev/{link}"), call::Symlink { target: target.into(), link: link.into() });
    }
    if let Some(terminal) = &probe.terminal {
        console(plan, terminal);
    }
    let terminals = if probe.tty_group {
        "newinstance,ptmxmode=0666,mode=0620,gid=5"
    } else {
        "newinstance,ptmxmode=0666,mode=0620"
    };
    let no_suid_exec = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    below_dev(
        plan,
        "pts",
        "mount pseudo-terminals of its own",
        call::Mount::new("devpts", "pts", no_suid_exec).with_data(terminals),
    );
    below_dev(plan, "shm", "mount shared memory of its own", tmpfs("shm", NO_SUID_DEV_EXEC, "mode=1777"));
    if probe.mqueue {
        below_dev(
            plan,
            "mqueue",
            "mount message queues",
            call::Mount::new("mqueue", "mqueue", NO_SUID_DEV_EXEC),
        );
    }
    plan.step("take the umask back", call::Umask(probe.umask));
}

fn device(plan: &mut Plan, how: Devices, name: &str, number: (u64, u64)) {
    match how {
        Devices::Make => {
            plan.step(format!("make /dev/{name}"), call::Mknod::char_device(name, 0o666, number))
        }
        Devices::Bind => bind_file(plan, Path::new("/dev").join(name).as_path(), name),
    }
}

/// The caller's terminal as /dev/console: devpts is new, so ttyname(3) would find no name for it.
fn console(plan: &mut Plan, terminal: &Path) {
    bind_file(plan, terminal, "console");
}

/// A device cannot be made in a user namespace, but the one outside can be bound on an empty file.
fn bind_file(plan: &mut Plan, source: &Path, name: &str) {
    plan.step(format!("make a place for /dev/{name}"), call::Mknod::file(name, 0o666));
    plan.step(format!("show {} there", source.display()), call::Mount::bind(source, name, MsFlags::empty()));
}

fn below_dev(plan: &mut Plan, name: &str, reason: &'static str, mount: call::Mount) {
    plan.step(format!("make /dev/{name}"), call::Mkdir { path: name.into(), mode: 0o755 });
    plan.step(reason, mount);
}

fn tmpfs(target: &str, flags: MsFlags, data: &str) -> call::Mount {
    call::Mount::new("tmpfs", target, flags).with_data(data)
}

/// Makes the directory the root of this process's mounts, and forgets the old one.
pub fn pivot(plan: &mut Plan, new_root: FdSlot, old_root: OldRoot) {
    plan.step("go to the new root", call::Enter { slot: new_root, dir: "".into() });
    if old_root == OldRoot::Covered {
        // as switch_root(8) does
        plan.step("move it over the old root", call::Mount::move_to(".", "/"));
        plan.step("make it the root", call::Chroot(".".into()));
        plan.step("start at the root", call::Chdir("/".into()));
        return;
    }
    // old root and new root stacked in one place: pivot_root(2), "pivot_root(".", ".")"
    plan.step("make it the root", call::PivotRoot { new_root: ".".into(), put_old: ".".into() });
    plan.step("let go of the old root", call::Unmount { target: ".".into(), flags: MntFlags::MNT_DETACH });
    plan.step("start at the root", call::Chdir("/".into()));
}

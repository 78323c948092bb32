// SPDX-License-Identifier: MIT OR Apache-2.0
//! The whole plan, from the caller's root to the command.

use std::path::PathBuf;

use chain::call::{self, ForkOptions};
use chain::reporter::quoted;
use chain::{Plan, idmap};
use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use crate::make_directories::MakeDirectories;
use crate::root::Root;
use crate::setup::{PivotSetup, Setup, Strategy};
use crate::{descriptors, root};

/// Every step between now and the command.
///
/// A step that limits what the command may do belongs after the root has changed. One that needs
/// root's rights belongs before the credentials, which give them up.
pub fn plan(setup: Setup) -> Plan {
    let mut plan = Plan::new(setup.command);
    match setup.strategy {
        Strategy::Plain { skip_chdir } => {
            plan.step("change the root directory", call::Chroot(setup.root.path));
            if !skip_chdir {
                plan.step("start at the root", call::Chdir("/".into()));
            }
        }
        Strategy::Pivot(pivot) => plan_pivot(&mut plan, setup.root, *pivot),
    }
    plan_missing_workdir(&mut plan, setup.missing_workdir);
    setup.credentials.plan(&mut plan);
    if let Some(path) = setup.path {
        plan.step("look for programs where they usually are", call::SetPath(path));
    }
    setup.environment.plan(&mut plan);
    if let Some(dir) = setup.workdir {
        plan.step(format!("start in {}", quoted(&dir)), call::Chdir(dir));
    }
    plan
}

/// Makes a working directory, as root still, with those above it that are missing: docker makes it, too.
fn plan_missing_workdir(plan: &mut Plan, missing: Option<PathBuf>) {
    let Some(dir) = missing else { return };
    let reason = format!("make {}, which the image starts in", quoted(&dir));
    plan.step(reason, MakeDirectories(dir));
}

/// A new mount namespace, the new root as a mount in it, the file systems inside, then pivot_root(2).
fn plan_pivot(plan: &mut Plan, root: Root, pivot: PivotSetup) {
    descriptors::plan_close_on_exec(plan, pivot.escaping_fds);
    let new_root = plan.attach_fd("new root", root.dir);
    if pivot.root_mount.has_open_tree {
        root::chdir_to_root(plan, new_root);
    }
    plan_namespaces(plan, pivot.map_to_root, pivot.new_pid);
    plan.step("keep mounts from spreading outside", call::Mount::propagate("/", MsFlags::MS_PRIVATE));
    pivot.root_mount.plan(plan, new_root, pivot.write_mode, &root.path);
    pivot.kernel_mounts.plan_proc(plan, new_root);
    pivot.kernel_mounts.plan_sys(plan, new_root);
    if let Some(dev) = pivot.dev {
        dev.plan(plan, new_root);
    }
    for mount in pivot.extra_mounts {
        mount.plan(plan, new_root);
    }
    pivot.root_mount.plan_pivot(plan, new_root);
}

/// Enters a mount namespace, a user namespace in which the user and group `map_to_root` are root, and a
/// PID namespace. The child that begins a PID namespace carries on with the plan.
fn plan_namespaces(plan: &mut Plan, map_to_root: Option<(u32, u32)>, new_pid: bool) {
    let mut flags = CloneFlags::CLONE_NEWNS;
    flags.set(CloneFlags::CLONE_NEWUSER, map_to_root.is_some());
    flags.set(CloneFlags::CLONE_NEWPID, new_pid);
    let reason = match (map_to_root, new_pid) {
        (Some(_), true) => "enter new user, mount and PID namespaces",
        (Some(_), false) => "enter new user and mount namespaces",
        (None, true) => "enter new mount and PID namespaces",
        (None, false) => "enter a new mount namespace",
    };
    plan.step(reason, call::Unshare(flags));
    if let Some(caller) = map_to_root {
        idmap::map_one(plan, (0, 0), caller);
    }
    if new_pid {
        let reason = "start process 1, so that no process outside is in sight, and wait for it";
        plan.fork(reason, ForkOptions { into: None, child_is_init: true });
    }
}

#[cfg(test)]
mod tests;

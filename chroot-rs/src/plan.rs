//! The whole plan, from the caller's root to the command.

use std::path::{Path, PathBuf};

use chain::call;
use chain::plan::Step;
use chain::process_one;
use chain::reporter::quoted;
use chain::user_namespace::FreeIds;
use chain::{Plan, ProcessOne, idmap};
use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use crate::cli::TOOL;
use crate::make_directories::MakeDirectories;
use crate::rights::Rights;
use crate::root::Root;
use crate::setup::{PivotSetup, Setup, Strategy};
use crate::{descriptors, free_ids, root, sealed_copy, standard_pipes};

const OUTSIDE: &str = "the working directory is not in the new root: a symbolic link leads out of it";

/// Every step from here to the command.
///
/// A step that limits the command's rights belongs after the change of root. A step that needs root's rights
/// belongs before the credentials, which give them up.
pub fn plan(setup: Setup) -> Plan {
    let is_init = process_one::is_init(&setup.command);
    let mut plan = Plan::new(setup.command);
    if setup.becomes_copy {
        sealed_copy::plan(&mut plan);
    }
    let left = setup.handover.map(|handover| handover.plan(&mut plan)).unwrap_or_default();
    match setup.strategy {
        Strategy::Plain { skip_chdir } => {
            left.plan_namespace(&mut plan);
            if let Some(ids) = left.user_namespace {
                ids.plan_entry(&mut plan);
            }
            plan.step("change the root directory", call::Chroot(setup.root.path));
            if !skip_chdir {
                plan.step("start in the root directory", call::Chdir("/".into()));
            }
        }
        Strategy::Pivot(pivot) => {
            if is_init && pivot.process_1 == Some(ProcessOne::Reaper) {
                process_one::plan_advice(&mut plan, TOOL.name);
            }
            let is_in_sight = pivot.is_in_sight;
            let inherited = pivot.escaping_fds.iter().map(|escaping| escaping.fd).collect();
            plan_pivot(&mut plan, setup.root, *pivot, &setup.rights, left.user_namespace);
            // from here on, paths are in the new root, whose links can lead to /proc/self/fd
            plan.close_all_but(left.slots(), inherited);
            if is_in_sight {
                // a process of another container may have the rights that this one will have
                plan.step(
                    "keep other processes from tracing this one until it becomes the command",
                    call::KeepOutOfReach,
                );
            }
        }
    }
    plan_missing_workdir(&mut plan, setup.missing_workdir);
    if let Some(uid) = setup.credentials.uid {
        standard_pipes::plan_owner(&mut plan, &setup.pipes, uid);
    }
    setup.rights.plan_limits(&mut plan);
    setup.rights.plan_before_credentials(&mut plan);
    setup.credentials.plan(&mut plan);
    setup.rights.plan_capabilities(&mut plan);
    for variable in setup.mended {
        variable.plan(&mut plan);
    }
    setup.environment.plan(&mut plan);
    if let Some(dir) = setup.workdir {
        let step = Step::new(format!("start in {}", quoted(&dir)), call::Chdir(dir));
        // getcwd(2): a directory that cannot be reached from the root has no path
        plan.add(step.verify(|_| std::env::current_dir().map(drop).map_err(|_| OUTSIDE.to_string())));
    }
    left.plan_pid_file(&mut plan);
    plan
}

/// Creates a working directory and its missing parents while still root: docker does this, too.
fn plan_missing_workdir(plan: &mut Plan, missing: Option<PathBuf>) {
    let Some(dir) = missing else { return };
    let reason = format!("create {}, the working directory of the image", quoted(&dir));
    plan.step(reason, MakeDirectories(dir));
}

/// A new mount namespace, the new root as a mount in it, the file systems inside, then pivot_root(2).
fn plan_pivot(plan: &mut Plan, root: Root, pivot: PivotSetup, rights: &Rights, free_ids: Option<FreeIds>) {
    descriptors::plan_close_on_exec(plan, pivot.escaping_fds);
    let free_ids = free_ids.or_else(|| pivot.has_free_ids.then(|| FreeIds::plan_creation(plan)));
    let new_root = plan.attach_fd("new root", root.dir);
    if pivot.root_mount.has_open_tree {
        root::chdir_to_root(plan, new_root);
    }
    let place = Path::new(pivot.root_mount.place);
    if let Some(ids) = free_ids {
        free_ids::plan(plan, ids, new_root, pivot.limits, place);
    }
    // the new root is now that mount
    let place = if free_ids.is_some() { Path::new(".") } else { place };
    if let Some(overlay) = &pivot.overlay {
        overlay.plan_directory(plan, pivot.root_mount.umask);
    }
    plan_namespaces(plan, pivot.map_caller, pivot.process_1, rights);
    if pivot.process_1.is_none() && pivot.overlay.as_ref().is_some_and(|overlay| overlay.changes.is_some()) {
        plan.fork("start a child, and stay as the parent to hold the lock", call::ForkOptions::default());
    }
    let (reason, propagation) = if pivot.follows_outside {
        ("let mounts spread in but not out", MsFlags::MS_SLAVE)
    } else {
        ("keep mounts from spreading outside", MsFlags::MS_PRIVATE)
    };
    plan.step(reason, call::Mount::propagate("/", propagation));
    let extra_mounts = pivot.extra_mounts.into_iter().map(|mount| mount.plan_source(plan, pivot.limits));
    let extra_mounts: Vec<_> = extra_mounts.collect();
    let kept = pivot.overlay.as_ref().and_then(|overlay| overlay.plan_kept(plan));
    pivot.root_mount.plan(plan, new_root, pivot.write_mode, &root.path);
    if let Some(overlay) = pivot.overlay {
        pivot.root_mount.plan_overlay(plan, new_root, &overlay, kept, place);
    }
    pivot.limits.plan_root(plan, new_root);
    pivot.kernel_mounts.plan_proc(plan, new_root);
    pivot.kernel_mounts.plan_sys(plan, new_root);
    if let Some(dev) = pivot.dev {
        dev.plan(plan, new_root);
    }
    if let Some(hosts) = pivot.hosts {
        hosts.plan(plan, new_root, pivot.root_mount.umask);
    }
    for mount in extra_mounts {
        mount.plan(plan, new_root, pivot.root_mount.umask);
    }
    pivot.root_mount.plan_pivot(plan, new_root);
}

/// Enters a mount namespace, a user namespace with the caller's ids inside and outside, and a PID namespace,
/// so that no process outside is visible. The child in it continues the plan. Capabilities leave the bounding
/// set before there are two processes that would both have to drop them.
fn plan_namespaces(
    plan: &mut Plan,
    map_caller: Option<((u32, u32), (u32, u32))>,
    process_1: Option<ProcessOne>,
    rights: &Rights,
) {
    let mut flags = CloneFlags::CLONE_NEWNS;
    flags.set(CloneFlags::CLONE_NEWUSER, map_caller.is_some());
    flags.set(CloneFlags::CLONE_NEWPID, process_1.is_some());
    let reason = match (map_caller, process_1) {
        (Some(_), Some(_)) => "enter new user, mount and PID namespaces",
        (Some(_), None) => "enter new user and mount namespaces",
        (None, Some(_)) => "enter new mount and PID namespaces",
        (None, None) => "enter a new mount namespace",
    };
    plan.step(reason, call::Unshare(flags));
    if let Some((inside, outside)) = map_caller {
        idmap::map_one(plan, inside, outside);
    }
    rights.plan_bounding_set(plan);
    if let Some(process_1) = process_1 {
        process_1.plan(plan, |plan| rights.plan_reaper(plan));
    }
}

#[cfg(test)]
mod tests;

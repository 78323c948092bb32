//! The plan: everything that unshare-rs does.

use std::path::PathBuf;

use chain::Plan;
use chain::call::{self, ForkOptions, PidFile};
use chain::command::Command;
use chain::handover::{self, HandOver};
use chain::idmap::map_own_id;
use chain::plan::{Reason, Step};
use chain::process_one::{self, ProcessOne};
use chain::reporter::quoted;
use chain::user_namespace::FreeIds;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;
use system::idmap::IdKind;

use crate::cli::{SetgroupsRule, TOOL};
use crate::filesystem::{BinfmtMount, Propagate};
use crate::ids::{IdSetup, MapWrite};
use crate::namespaces::Namespaces;
use crate::newuidmap;
use crate::persist::PersistedNamespace;
use crate::setup::{Hostname, LeftToNext, Setup};

/// The usual flags for proc and other file systems without programs.
const NO_EXEC: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

const SAME_HOSTNAME: &str = "the hostname is unchanged: the kernel refused sethostname(2), perhaps because of a \
    container's seccomp filter";

const NO_NEW_PROC: &str = "the processes outside stay visible: a part of /proc is covered, so the kernel refuses a new \
    one; if this is a container, start it with --security-opt systempaths=unconfined (docker), unmask=ALL (podman), \
    procMount: Unmasked (Kubernetes)";

/// Every step, in order. The function is long because it leaves nothing out.
///
/// Steps that need the caller's namespaces are made by a helper that stays in them.
pub fn plan(setup: Setup, command: Command) -> Plan {
    let Setup { pid, namespaces, ids, process, filesystem, .. } = setup;
    let is_init = process_one::is_init(&command);
    let mut plan = Plan::new(command);
    if is_init && process.process_1 == Some(ProcessOne::Reaper) {
        process_one::plan_advice(&mut plan, TOOL.name);
    }
    let pid_file = process.pid_file.map(|path| open_pid_file(&mut plan, path));
    if let Some((uid, gid)) = ids.owner {
        plan.step("drop the supplementary groups", call::SetGroups(Vec::new()));
        plan.step(format!("become group {gid}, which owns the namespace"), call::SetGroup(gid));
        plan.step(format!("become user {uid}, who owns the namespace"), call::SetUser(uid));
    }
    if setup.free_ids {
        FreeIds::plan_creation(&mut plan).plan_entry(&mut plan);
    }
    let maps_last = ids.are_mapped_by_programs() && setup.persisted.is_empty();
    let user = Namespaces::NONE.with(CloneFlags::CLONE_NEWUSER);
    if maps_last {
        // the programs take time, and the next steps need no ids
        plan.add(enter(user).begins_early());
        let rest = namespaces.without(user);
        if !rest.is_empty() {
            plan.add(enter(rest));
        }
    } else {
        if !namespaces.is_empty() {
            plan.add(enter(namespaces));
        }
        map_ids(&mut plan, &ids, pid);
    }
    let (with_child, at_once): (Vec<_>, _) = setup.persisted.into_iter().partition(|it| it.needs_child());
    persist(&mut plan, at_once, pid);
    if let Some((reason, flags)) = filesystem.propagation {
        plan.step(reason, Propagate(call::Mount::propagate("/", flags)));
    }
    if let Some(Hostname { name, is_default }) = setup.hostname {
        let step = Step::new("set the hostname", call::SetHostname(name));
        plan.add(if is_default { step.or_else(&[Errno::EPERM], SAME_HOSTNAME, Vec::new()) } else { step });
    }
    plan.step_if_some("bring up lo", setup.loopback.then_some(call::BringUp("lo")));
    for (clock, offset) in setup.clocks {
        let offset = call::Write::new("/proc/self/timens_offsets", format!("{clock} {offset}"));
        plan.step(format!("move the {clock} clock"), offset);
    }
    if maps_last {
        map_ids(&mut plan, &ids, pid);
    }
    match process.process_1 {
        Some(process_1) => process_1.plan(&mut plan, |_| {}),
        None if process.has_parent => plan.fork("start a child and wait for it", ForkOptions::default()),
        None => {}
    }
    if let Some((reason, signo)) = process.death_signal {
        plan.step(reason, call::DeathSignal(signo));
    }
    persist(&mut plan, with_child, pid);
    register_interpreter(&mut plan, filesystem.binfmt_outside_root);
    if let Some(root) = filesystem.root {
        plan.step("change the root directory", call::Chroot(root));
        plan.step("enter the new root directory", call::Chdir("/".into()));
    }
    if let Some(proc) = filesystem.proc {
        let mount = call::Mount::new("proc", proc.dir, NO_EXEC);
        let step = Step::new("mount a proc that shows the processes inside", mount);
        let is_default = proc.is_default;
        plan.add(if is_default { step.or_else(&[Errno::EPERM], NO_NEW_PROC, Vec::new()) } else { step });
    }
    register_interpreter(&mut plan, filesystem.binfmt);
    plan.step_if_some("enter the working directory", filesystem.workdir.map(call::Chdir));
    if let Some(gid) = ids.gid {
        let drop_groups = ids.can_drop_groups.then(|| call::SetGroups(Vec::new()));
        plan.step_if_some("drop the supplementary groups", drop_groups);
        plan.step(format!("become group {gid}"), call::SetGroup(gid));
    }
    if let Some(uid) = ids.uid {
        plan.step(format!("become user {uid}"), call::SetUser(uid));
    }
    let keep_capabilities = ids.keep_capabilities.then_some(call::KeepCapabilities);
    plan.step_if_some("let the command keep its capabilities", keep_capabilities);
    if let Some(names) = setup.environment {
        let reason = if names.is_empty() { "clear the environment" } else { "keep only named variables" };
        plan.step(reason, call::KeepEnvironment(names));
    }
    hand_over(&mut plan, setup.left_to_next, pid_file);
    plan
}

fn enter(namespaces: Namespaces) -> Step {
    Step::new(namespaces.reason(), call::Unshare(namespaces.flags()))
}

/// Opens the PID file while paths are still the caller's, and the /proc that has the PID.
fn open_pid_file(plan: &mut Plan, path: PathBuf) -> PidFile {
    let slots = PidFile { file: plan.slot("pid file"), proc: plan.slot("proc") };
    let reason = format!("open {} for the PID of the command", quoted(&path));
    plan.step(reason, call::OpenPidFile { path, slot: slots.file });
    plan.step("open the proc that shows the PID", call::OpenOwnProc(slots.proc));
    slots
}

/// Leaves to the next tool what it takes over, and does the rest here.
fn hand_over(plan: &mut Plan, left: LeftToNext, pid_file: Option<PidFile>) {
    let (process_1, handed_file) = (left.process_1, pid_file.filter(|_| left.pid_file));
    let LeftToNext { mount, free_ids: userns, .. } = left;
    let namespaces = handover::left_namespaces(process_1, mount, userns);
    if namespaces.is_some() || handed_file.is_some() {
        let proc = if process_1.is_some() { " and the proc" } else { "" };
        let reason: Reason = match namespaces {
            Some(which) => format!("leave {which}{proc} to the next tool").into(),
            None => "leave writing the PID to the next tool".into(),
        };
        plan.step(reason, HandOver { process_1, mount, userns, pid_file: handed_file });
    }
    if handed_file.is_none() {
        handover::plan_pid_file(plan, pid_file);
    }
}

/// Maps users and groups, and denies or allows setgroups(2), for the process `pid`.
fn map_ids(plan: &mut Plan, ids: &IdSetup, pid: u32) {
    let setgroups = |process: &str, rule| call::Write::new(format!("/proc/{process}/setgroups"), rule);
    match (ids.setgroups, ids.owner) {
        (Some(SetgroupsRule::Deny), None) => {
            plan.step("deny setgroups(2) inside", setgroups("self", "deny"));
        }
        (Some(SetgroupsRule::Deny), Some(_)) => {
            // after --owner, the files in /proc/self belong to root: proc(5), PR_SET_DUMPABLE(2const)
            let deny = setgroups(&pid.to_string(), "deny");
            plan.add(Step::in_helper("deny setgroups(2) inside", deny));
        }
        _ => {}
    }
    for (kind, map) in [(IdKind::User, &ids.users), (IdKind::Group, &ids.groups)] {
        let reason = format!("map {} ids", kind.noun());
        match map {
            None => {}
            Some(MapWrite::ByItself { inside, outside }) => map_own_id(plan, kind, *inside, *outside),
            Some(MapWrite::ByRoot(map)) => {
                let file = format!("/proc/{pid}/{}", kind.map_file());
                plan.add(Step::in_helper(reason, call::Write::new(file, map.to_string())));
            }
            Some(MapWrite::ByProgram { program, map, alone }) => {
                let step = Step::early_in_helper(reason, newuidmap::call(kind, program, pid, map));
                plan.add(match alone {
                    None => step,
                    Some(own) => {
                        let (noun, program) = (kind.noun(), newuidmap::name(kind));
                        let note = format!("only {noun} 0 exists inside: {program} refused the other ids");
                        step.or_else(&[Errno::EPERM], note, newuidmap::alone(kind, pid, *own))
                    }
                });
            }
        }
    }
    if ids.setgroups == Some(SetgroupsRule::Allow) {
        plan.step("allow setgroups(2) inside", setgroups("self", "allow"));
    }
}

/// Persists namespaces of the process `pid` in files, and undoes that if a later step fails.
fn persist(plan: &mut Plan, namespaces: Vec<PersistedNamespace>, pid: u32) {
    for namespace in namespaces {
        let source = namespace.source(pid);
        let PersistedNamespace { kind, file, create } = namespace;
        let name = kind.name;
        if create {
            let reason = format!("create a file for the {name} namespace");
            let step = Step::in_helper(reason, call::Mknod::file(&file, 0o600));
            plan.add(step.undo_if_failed("remove its file", call::Unlink(file.clone())));
        }
        let mount = call::Mount::bind(source, &file, MsFlags::empty());
        let step = Step::in_helper(format!("keep the {name} namespace in a file"), mount);
        let unmount = call::Unmount { target: file, flags: MntFlags::MNT_DETACH };
        plan.add(step.undo_if_failed(format!("release the {name} namespace"), unmount));
    }
}

/// Mounts binfmt_misc, the user namespace's table of interpreters, and adds an entry to it.
fn register_interpreter(plan: &mut Plan, binfmt: Option<BinfmtMount>) {
    let Some(BinfmtMount { dir, entry }) = binfmt else { return };
    plan.step("mount a table of interpreters", call::Mount::new("binfmt_misc", &dir, NO_EXEC));
    let entry = entry.map(|entry| call::Write::new(dir.join("register"), entry.into_encoded_bytes()));
    plan.step_if_some("register an interpreter", entry);
}

#[cfg(test)]
mod tests;

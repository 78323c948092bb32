// SPDX-License-Identifier: MIT OR Apache-2.0
//! chroot-rs: change the root directory so that nothing inside can see out, then become the next command.
#![forbid(unsafe_code)]
// nothing read from outside may end in a panic: CONTRIBUTING.md, "No panic"
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unimplemented,
        clippy::unreachable
    )
)]

pub mod account_files;
pub mod cli;
pub mod credentials;
pub mod descriptors;
pub mod extra_mount;
pub mod ids;
pub mod mask;
pub mod mount_request;
pub mod mount_target;
pub mod mounts;
pub mod probe;
pub mod root;
pub mod root_mount;
pub mod walk;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use chain::args::{self, Parsed};
use chain::call::ForkOptions;
use chain::exec::Command;
use chain::handles::FdSlot;
use chain::reporter::{ErrnoText, quoted};
use chain::search::unsearchable_parent;
use chain::{FAILED, Plan, Reporter, call, idmap, sys};
use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use crate::cli::{Options, TOOL};
use crate::extra_mount::ExtraMount;
use crate::ids::Ids;
use crate::mount_target::TargetResolver;
use crate::probe::{FsProvision, Probe, Processes, Strategy, WhyPlain};
use crate::root::{DirState, Root};
use crate::root_mount::WriteMode;

/// Runs the tool with its argument vector; becomes the command and does not return.
pub fn run(argv: Vec<OsString>) -> ! {
    let Parsed { options, verbosity, mut operands } = args::parse::<Options>(&TOOL, argv);
    let reporter = Reporter::new(TOOL.name, verbosity);
    if operands.is_empty() {
        args::exit_usage(&reporter, "missing operand: NEWROOT", "chroot-rs ubuntu-fs /bin/bash");
    }
    let command = operands.split_off(1);
    let path = operands.pop().map(PathBuf::from).unwrap_or_default();
    let root = match Root::open(path.clone()) {
        Ok(root) => root,
        Err(errno) => {
            reporter.message(format_args!(
                "cannot change root directory to {}: {}",
                quoted(&path),
                ErrnoText(errno)
            ));
            if let Some(dir) = std::path::absolute(&path).ok().and_then(|path| unsearchable_parent(&path)) {
                let user = sys::effective_ids().0;
                reporter
                    .hint(format_args!("user {user} may not enter {}: chmod, or be its owner", quoted(&dir)));
            }
            sys::exit(FAILED)
        }
    };
    if options.skip_chdir && !root.is_current_root() {
        let wrong = "option --skip-chdir only permitted if NEWROOT is old '/'";
        args::exit_usage(&reporter, wrong, "--workdir=DIR starts in a directory of the new root");
    }
    let mut credentials = match options.credentials.resolve(&root) {
        Ok(credentials) => credentials,
        Err(wrong) => {
            args::exit_usage(&reporter, &wrong, "names are those of NEWROOT's own etc/passwd and etc/group")
        }
    };
    let usual_path = usual_path(&root, std::env::var_os("PATH"));
    let command = Command::from_operands(command).unwrap_or_else(|| interactive_shell(&root));
    let command = if root.is_current_root() { command } else { command.inside(&path) };
    let probe = probe(&reporter, &root, &options);
    if credentials.are_requested() {
        let ids = probe.as_ref().map_or_else(Ids::here, |probe| probe.ids.clone());
        if let Err((wrong, advice)) = credentials.fit(&ids) {
            args::exit_usage(&reporter, &wrong, &advice);
        }
    }
    if let Some(warning) = &credentials.warning {
        reporter.message(warning);
    }
    let mut plan = match probe {
        Some(probe) => {
            let extra_mounts =
                TargetResolver::new(&root, options.ephemeral, &probe).resolve_all(&options.requests);
            let extra_mounts =
                extra_mounts.unwrap_or_else(|(wrong, advice)| args::exit_usage(&reporter, &wrong, &advice));
            plan(root, &probe, options.write_mode(), extra_mounts, command)
        }
        None => plain(root, &options, command),
    };
    credentials.plan(&mut plan);
    if let Some(path) = usual_path {
        plan.step("look for programs where they usually are", call::SetPath(path));
    }
    if let Some(dir) = options.workdir {
        plan.step(format!("start in {}", quoted(&dir)), call::Chdir(dir));
    }
    plan.execute(&reporter)
}

/// What decides the plan; nothing where it is chroot(2) alone.
fn probe(reporter: &Reporter, root: &Root, options: &Options) -> Option<Probe> {
    if options.plain {
        return None;
    }
    let mut probe = Probe::of(root);
    if options.ephemeral {
        // an overlay shows the directories of the root, not what is mounted on them
        (probe.proc_mounts, probe.sys_mounts) = (0, 0);
    }
    if let (Strategy::Plain(because), true) = (probe.strategy, options.want_mounts()) {
        args::exit_usage(reporter, "a mount was asked for, and none can be made here", because.advice());
    }
    say_what_is_left_out(reporter, &probe, options);
    if matches!(probe.strategy, Strategy::Plain(_)) {
        return None;
    }
    if options.share_pid && probe.processes == Processes::Own {
        probe.processes = Processes::Callers;
        probe.proc = probe.callers_proc;
    }
    if options.unmask {
        probe.masks.clear();
    }
    if options.keep_fds {
        probe.escaping_fds.clear();
    }
    if options.no_mount {
        (probe.proc_dir, probe.sys_dir, probe.dev_dir) =
            (DirState::Missing, DirState::Missing, DirState::Missing);
    }
    Some(probe)
}

/// The story: an own mount namespace, the new root in it, the kernel's file systems, pivot.
pub fn plan(
    root: Root,
    probe: &Probe,
    write_mode: WriteMode,
    extra_mounts: Vec<ExtraMount>,
    command: Command,
) -> Plan {
    let mut plan = Plan::new(command);
    for way in &probe.escaping_fds {
        let reason = format!("keep descriptor {} from the command: {} leads out", way.fd, way.kind);
        plan.step(reason, call::CloseOnExec { fd: way.fd, path: way.shown.clone() });
    }
    let new_root = if probe.open_tree {
        let slot = plan.attach_fd("new root", root.dir);
        plan.step("go to the new root", call::Enter { slot, dir: "".into() });
        slot
    } else {
        plan.slot("new root")
    };
    enter_namespaces(&mut plan, probe);
    plan.step("keep mounts from spreading outside", call::Mount::propagate("/", MsFlags::MS_PRIVATE));
    root_mount::mount(&mut plan, new_root, probe, write_mode, &root.path);
    if probe.proc_dir == DirState::Directory {
        mounts::proc(&mut plan, new_root, probe);
    }
    if probe.sys_dir == DirState::Directory {
        mounts::sys(&mut plan, new_root, probe);
    }
    if probe.dev_dir == DirState::Directory {
        mounts::dev(&mut plan, new_root, probe);
    }
    for extra in extra_mounts {
        extra.plan(&mut plan, new_root);
    }
    mounts::pivot(&mut plan, new_root, probe.old_root);
    plan
}

/// The namespaces that the new root needs, and the child that a PID namespace begins with.
fn enter_namespaces(plan: &mut Plan, probe: &Probe) {
    let as_user = probe.strategy == Strategy::PivotAsUser;
    let own_pid = probe.processes == Processes::Own;
    let mut flags = CloneFlags::CLONE_NEWNS;
    flags.set(CloneFlags::CLONE_NEWUSER, as_user);
    flags.set(CloneFlags::CLONE_NEWPID, own_pid);
    let reason = match (as_user, own_pid) {
        (true, true) => "enter new user, mount and PID namespaces",
        (true, false) => "enter new user and mount namespaces",
        (false, true) => "enter new mount and PID namespaces",
        (false, false) => "enter a new mount namespace",
    };
    plan.step(reason, call::Unshare(flags));
    if as_user {
        idmap::map_one(plan, (0, 0), probe.caller);
    }
    if own_pid {
        let reason = "start process 1, so that no process outside is in sight, and wait for it";
        plan.fork(reason, ForkOptions { into: None, child_is_init: true });
    }
}

/// Exactly what chroot(1) does.
fn plain(root: Root, options: &Options, command: Command) -> Plan {
    let mut plan = Plan::new(command);
    plan.step("change the root directory", call::Chroot(root.path));
    if !options.skip_chdir {
        plan.step("start at the root", call::Chdir("/".into()));
    }
    plan
}

/// Makes a directory below the new root the working directory.
fn chdir_inside(plan: &mut Plan, new_root: FdSlot, dir: impl AsRef<Path>) {
    let dir = dir.as_ref();
    plan.step(format!("go to /{} inside", dir.display()), call::Enter { slot: new_root, dir: dir.into() });
}

/// The usual PATH where the caller's leads nowhere inside, as on a machine that keeps its
/// programs elsewhere.
fn usual_path(root: &Root, path: Option<OsString>) -> Option<OsString> {
    let leads_nowhere = path.is_some_and(|path| !root.has_one_of(&path));
    leads_nowhere.then(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into())
}

fn interactive_shell(root: &Root) -> Command {
    let program = root.shell(std::env::var_os("SHELL"));
    Command { argv: vec![program.clone(), "-i".into()], ..Command::shell(program) }
}

/// What a default wanted and is not there, one line each.
fn say_what_is_left_out(reporter: &Reporter, probe: &Probe, options: &Options) {
    match probe.strategy {
        // "/" needs no more, and there is nothing to say about it
        Strategy::Plain(WhyPlain::SameRoot) => return,
        Strategy::Plain(because) => {
            let why = because.advice();
            reporter
                .message(format_args!("plain chroot(2), no mounts, and root inside could get out: {why}"));
            return;
        }
        Strategy::Pivot | Strategy::PivotAsUser => {}
    }
    if probe.proc_is_covered && !options.share_pid {
        let why = "a part of /proc is covered, so the kernel gives no new one";
        reporter.message(format_args!(
            "the processes outside stay in sight, and root inside could get out: {why}"
        ));
    }
    if options.no_mount {
        return;
    }
    if probe.proc_mounts > 0 && !probe.can_unmount {
        let danger = "is covered, and root inside could uncover it and get out: umount it before";
        reporter.message(format_args!("what is mounted on /proc in the new root already {danger}"));
    }
    for (name, place) in [("proc", probe.proc_dir), ("sys", probe.sys_dir), ("dev", probe.dev_dir)] {
        match place {
            DirState::Symlink => {
                reporter.message(format_args!("left out /{name}: it is a symbolic link in the new root"))
            }
            DirState::Refused(errno) => {
                reporter.message(format_args!("left out /{name}: {}", ErrnoText(errno)))
            }
            DirState::Directory | DirState::Missing => {}
        }
    }
    if probe.sysfs == FsProvision::Skip && probe.sys_dir == DirState::Directory {
        reporter.message("left out /sys: to make it read-only here takes mount_setattr(2), Linux 5.12");
    }
}

#[cfg(test)]
mod tests;

//! The plans of chroot-rs, as text: no right and no kernel is needed.

mod command;
mod dev;
mod hosts;
mod kernel_mounts;
mod left_out;
mod overlay;
mod pivot;

use chain::Failure;
use chain::command::Command;
use clap::{Args as _, FromArgMatches as _};

use super::*;
use crate::capabilities::Capabilities;
use crate::cgroup_view::CgroupProbe;
use crate::cli::Options;
use crate::dev::Dev;
use crate::ids::MappedIds;
use crate::kernel_mounts::ExistingMounts;
use crate::overlay::OverlayProbe;
use crate::probe::{MountProbe, Privilege, Probe, WhyPlain};
use crate::rights::CallerRights;
use crate::root::DirState;
use crate::root_mount::RootMount;
use crate::seccomp;
use system::accounts::AccountFiles;

/// All 41 capabilities.
fn root_of_the_machine() -> CallerRights {
    let known = Capabilities((1 << 41) - 1);
    CallerRights {
        known,
        permitted: known,
        inheritable: Capabilities::default(),
        ambient: Capabilities::default(),
        uid: 0,
        has_host_root: true,
        filter: seccomp::Privilege::Machine,
    }
}

/// Root of the machine, as process 1, with a complete new root.
fn machine() -> MountProbe {
    MountProbe {
        privilege: Privilege::Machine,
        rights: root_of_the_machine(),
        caller: (1000, 1000),
        inside: (0, 0),
        escaping_fds: Vec::new(),
        is_pid_1: true,
        proc_is_covered: false,
        lacks_proc: false,
        lacks_sys: false,
        owns_pid: true,
        owns_net: true,
        cgroup: CgroupProbe::default(),
        has_mount_setattr: true,
        masks: Vec::new(),
        sys_parts: Vec::new(),
        proc_dir: DirState::Directory,
        sys_dir: DirState::Directory,
        dev_dir: DirState::Directory,
        existing: ExistingMounts { can_unmount: true, ..ExistingMounts::default() },
        root_mount: RootMount {
            has_open_tree: true,
            mode: 0o755,
            umask: 0o22,
            userxattr: false,
            covers_old_root: false,
            place: ".",
        },
        dev: Dev {
            mknod: true,
            has_host_root: true,
            is_limited: true,
            terminal: None,
            tty_group: true,
            mqueue: true,
            umask: 0o22,
        },
        hosts: None,
        has_unmapped_files: false,
        overlay: OverlayProbe::default(),
        is_slave: false,
    }
}

fn setup(words: &[&str], mounts: Result<MountProbe, WhyPlain>) -> Result<Setup, Failure> {
    resolve(words, probe_of(mounts))
}

fn resolve(words: &[&str], probe: Probe) -> Result<Setup, Failure> {
    let command = Options::augment_args(clap::Command::new("chroot-rs").no_binary_name(true));
    let options = Options::from_arg_matches(&command.try_get_matches_from(words).unwrap()).unwrap();
    Setup::resolve(&options, probe, Command::shell("/bin/sh".into()))
}

fn probe_of(mounts: Result<MountProbe, WhyPlain>) -> Probe {
    Probe {
        root: Root { path: "fs".into(), ..Root::open("/".into()).unwrap() },
        is_current_root: false,
        accounts: AccountFiles::default(),
        ids: MappedIds::default(),
        broken_variables: Vec::new(),
        closed_home: None,
        uid: 0,
        standard_pipes: Vec::new(),
        mounts,
        handover: None,
    }
}

/// The lines without those about rights, which rights/tests.rs has.
fn lines_with(words: &[&str], probe: &MountProbe) -> Vec<String> {
    let mut lines = plan(setup(words, Ok(probe.clone())).unwrap()).lines();
    let about_rights = ["keyctl(", "prctl(PR_CAP", "prctl(PR_SET_KEEPCAPS", "seccomp(", "capset("];
    lines.retain(|line| !about_rights.iter().any(|start| line.starts_with(start)));
    lines
}

fn lines(probe: &MountProbe) -> Vec<String> {
    lines_with(&[], probe)
}

fn notes(words: &[&str], probe: MountProbe) -> Vec<String> {
    setup(words, Ok(probe)).unwrap().notes
}

/// The machine with another /dev.
fn with_dev(change: impl FnOnce(&mut Dev)) -> MountProbe {
    let mut probe = machine();
    change(&mut probe.dev);
    probe
}

fn position(lines: &[String], start: &str) -> usize {
    lines
        .iter()
        .position(|line| line.starts_with(start))
        .unwrap_or_else(|| panic!("no {start} in {lines:#?}"))
}

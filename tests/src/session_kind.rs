//! Where a session of a page runs, and what it can use there: the word after `console`.

use std::ffi::OsString;
use std::path::PathBuf;

/// Where a session runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// `console`: by anyone on any Linux, so no namespace and no group is made.
    Anyone,
    /// `console root`: by root.
    Root,
    /// `console user`: by an ordinary user.
    User,
    /// `console login`: by an ordinary user in a login session of systemd's, with control groups of version 2.
    Login,
    /// `console vm`: by root in a VM with cgroup v2 alone.
    Vm,
    /// `console systemd`: by root on a machine with systemd and cgroup v2 alone.
    Systemd,
    /// `console registry`: by root and by an ordinary user, with `$REGISTRY`, a registry on this machine.
    Registry,
    /// `console engine`: by root, with a Docker engine behind `$DOCKER_HOST`.
    Engine,
    /// `console mirror`: by root, with a mirror of Debian's packages.
    Mirror,
    /// `console cluster`: by an ordinary user on a machine with systemd, Slurm, a second host and user-mode networks.
    Cluster,
    /// `console cluster-root`: there, by root.
    ClusterRoot,
}

impl SessionKind {
    /// The one with this word after `console`.
    pub fn named(word: &str) -> Option<Self> {
        Some(match word {
            "root" => Self::Root,
            "user" => Self::User,
            "login" => Self::Login,
            "vm" => Self::Vm,
            "systemd" => Self::Systemd,
            "registry" => Self::Registry,
            "engine" => Self::Engine,
            "mirror" => Self::Mirror,
            "cluster" => Self::Cluster,
            "cluster-root" => Self::ClusterRoot,
            _ => return None,
        })
    }
}

/// What a session can use beside the tools.
#[derive(Clone, Debug, Default)]
pub struct SessionEnv {
    /// Where other programs are.
    pub programs: Vec<PathBuf>,
    /// Variables of the environment.
    pub variables: Vec<(&'static str, OsString)>,
}

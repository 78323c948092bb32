//! The worlds.

use crate::session::{Session, SessionKind};

/// A machine, and who runs the sessions there.
#[derive(Debug)]
pub struct World {
    /// Its name in `tests/worlds/known` and for the scripts.
    pub name: &'static str,
    /// Its description.
    pub what: &'static str,
    who: Who,
    /// Only the pages whose path starts with one of these.
    pages: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Root,
    /// Root, with systemd as the manager of cgroup v2.
    RootOfSystemd,
    /// Root, without a hierarchy of only cgroup v2.
    RootOfV1,
    User,
    /// A user with their own systemd.
    Login,
    /// Only the sessions that need a second host.
    ClusterRoot,
    ClusterUser,
}

const EVERY: &[&str] = &[""];
/// How the login to a machine can make a difference: by the parent process, the control group, the terminal.
const CHAIN: &[&str] = &[
    "README.md",
    "unshare-rs/README.md",
    "cgexec-rs/README.md",
    "chroot-rs/README.md",
    "docs/course/09-",
    "docs/course/10-",
    "docs/course/12-",
    "docs/course/13-",
    "tests/options/cgexec-rs/memory.md",
    "tests/options/cgexec-rs/pids-limit.md",
];

const fn world(name: &'static str, who: Who, pages: &'static [&'static str], what: &'static str) -> World {
    World { name, what, who, pages }
}

/// All of them.
pub static WORLDS: &[World] = &[
    world(
        "debian-root",
        Who::RootOfSystemd,
        EVERY,
        "Debian 12, its kernel 6.1 and systemd: root logs in with ssh, on a terminal",
    ),
    world("debian-user", Who::Login, EVERY, "the same: a user with subordinate ids logs in"),
    world("debian-bob", Who::Login, CHAIN, "the same: a user without subordinate ids"),
    world(
        "testing-root",
        Who::RootOfSystemd,
        EVERY,
        "the kernel of Debian testing (7.2), the rest as in debian-root",
    ),
    world("testing-user", Who::Login, EVERY, "the same kernel, the rest as in debian-user"),
    world(
        "apparmor",
        Who::Login,
        CHAIN,
        "the same kernel, a user whose programs cannot create user namespaces, as on Ubuntu, with the AppArmor \
         profiles of our packages",
    ),
    world(
        "terminal",
        Who::Login,
        CHAIN,
        "debian-user, in a desktop's terminal: a scope of the user's systemd with TasksMax",
    ),
    world("tmux", Who::Login, CHAIN, "debian-user, in tmux"),
    world("cron", Who::User, CHAIN, "debian-user, from cron: no terminal, no XDG_RUNTIME_DIR"),
    world("sudo", Who::RootOfSystemd, CHAIN, "debian-user becomes root by sudo, with its secure_path"),
    world(
        "openrc-root",
        Who::Root,
        EVERY,
        "the same disk without systemd: control groups of version 2, which are root's",
    ),
    world("openrc-user", Who::User, CHAIN, "the same, a user"),
    world("v1-root", Who::RootOfV1, CHAIN, "the same disk without systemd, with control groups of version 1"),
    world("v1-user", Who::User, CHAIN, "the same, a user"),
    world(
        "host-root",
        Who::RootOfV1,
        EVERY,
        "the machine that runs the tests; here without systemd, with control groups of both versions",
    ),
    world("host-user", Who::User, EVERY, "the same, a user with subordinate ids"),
    world(
        "runc-root",
        Who::Root,
        CHAIN,
        "on that machine, in a container as `runc spec` describes it, root inside",
    ),
    world("runc-user", Who::User, CHAIN, "the same, a user inside"),
    world(
        "pod",
        Who::Root,
        CHAIN,
        "in runc as in a pod: /sys/fs/cgroup read-only, a control group namespace, no terminal, another process 1, Docker's capabilities",
    ),
    world("podman-root", Who::Root, CHAIN, "in root's podman with its defaults, root inside"),
    world("podman-user", Who::User, CHAIN, "the same, a user inside"),
    world("rootless", Who::Root, CHAIN, "in a user's podman with its defaults, root inside"),
    world("docker-root", Who::Root, CHAIN, "in Docker with its defaults, root inside"),
    world("docker-user", Who::User, CHAIN, "the same, a user inside"),
    world("chain-root", Who::Root, CHAIN, "in a container of our own chain, started by root"),
    world("chain-user", Who::Root, CHAIN, "the same, started by a user, root inside"),
    world(
        "host-runc",
        Who::RootOfV1,
        CHAIN,
        "on the machine that runs the tests, in a container as `runc spec` describes it, root inside",
    ),
    world("host-docker", Who::RootOfV1, CHAIN, "there, in Docker with its defaults, root inside"),
    world("host-podman", Who::RootOfV1, CHAIN, "there, in podman with its defaults, root inside"),
    world(
        "cluster-root",
        Who::ClusterRoot,
        EVERY,
        "Debian 12 with systemd, Slurm, a second host in a network namespace, pasta and slirp4netns: root logs in",
    ),
    world("cluster-user", Who::ClusterUser, EVERY, "the same: a user with subordinate ids logs in"),
];

impl World {
    /// The world of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        WORLDS.iter().find(|world| world.name == name)
    }

    pub(super) fn has(&self, session: &Session) -> bool {
        let runs = match session.kind() {
            SessionKind::Anyone => !matches!(self.who, Who::ClusterRoot | Who::ClusterUser),
            SessionKind::Root => {
                !matches!(self.who, Who::User | Who::Login | Who::ClusterRoot | Who::ClusterUser)
            }
            SessionKind::User => matches!(self.who, Who::User | Who::Login),
            SessionKind::Login => self.who == Who::Login,
            SessionKind::Vm => matches!(self.who, Who::Root | Who::RootOfSystemd),
            SessionKind::Systemd => self.who == Who::RootOfSystemd,
            SessionKind::Cluster => self.who == Who::ClusterUser,
            SessionKind::ClusterRoot => self.who == Who::ClusterRoot,
            SessionKind::Registry | SessionKind::Engine | SessionKind::Mirror => false,
        };
        runs && self.pages.iter().any(|start| session.page().starts_with(start))
    }
}

//! A real Docker engine with private mounts, which writes everything to one directory.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::daemon::{self, Daemon};
use crate::engine_group::EngineGroup;
use crate::run::Run;
use crate::scratch::Scratch;

/// An engine that runs as long as this value lives: no network, no packet rules, no bridge.
#[derive(Debug)]
pub struct Engine {
    // dropped in this order: the groups of containers that have ended
    _daemon: Daemon,
    _group: EngineGroup,
    scratch: Scratch,
}

impl Engine {
    /// Starts one without images.
    #[track_caller]
    pub fn start() -> Self {
        let scratch = Scratch::new();
        let dockerd = daemon::program("dockerd");
        let places = [daemon::program("containerd"), daemon::program("runc"), dockerd.clone()];
        let places = places.iter().filter_map(|program| program.parent()).map(|place| place.display());
        let path =
            places.map(|place| format!("{place}:")).collect::<String>() + "/usr/sbin:/usr/bin:/sbin:/bin";
        fs::write(scratch.path("settings.json"), "{}").expect("the engine's settings");
        // its mounts end with it; sockets for plugins are always created in /run, so that is an empty
        // directory
        let mut command = Command::new("unshare");
        command.args(["--mount", "--", "sh", "-c", "mount -t tmpfs tmpfs /run && exec \"$@\"", "sh"]);
        command.arg(dockerd).env_clear().env("PATH", path).env("HOME", scratch.path(""));
        // containerd(8) writes its stacks there if it answers late
        command.env("TMPDIR", scratch.path(""));
        let mut place = |option: &str, name: &str| {
            command.arg(option).arg(scratch.path(name));
        };
        place("--config-file", "settings.json");
        place("--data-root", "data");
        place("--exec-root", "exec");
        place("--pidfile", "pid");
        command.arg("--host").arg(format!("unix://{}", scratch.path("socket").display()));
        command.args(["--bridge=none", "--iptables=false", "--ip6tables=false"]);
        command.args(["--ip-forward=false", "--ip-masq=false"]);
        let group = EngineGroup::of(&scratch);
        command.arg(format!("--cgroup-parent={}", group.path()));
        let mut daemon = Daemon::start(command, scratch.path("log"));
        daemon.until("the engine to listen", |said| said.contains("API listen on").then_some(()));
        Self { _daemon: daemon, _group: group, scratch }
    }

    /// docker(1) as its client.
    pub fn docker(&self) -> Run {
        let docker = Run::new(daemon::program("docker")).patience(Duration::from_secs(60));
        docker.env("DOCKER_HOST", self.address()).env("HOME", self.scratch.path(""))
    }

    /// The value of `$DOCKER_HOST` for it.
    pub fn address(&self) -> String {
        format!("unix://{}", self.scratch.path("socket").display())
    }
}

//! A real Docker engine, with everything it writes in one directory, and mounts of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::daemon::{self, Daemon};
use crate::deadline;
use crate::run::Run;
use crate::scratch::Scratch;
use crate::snapshot::{ENGINE_GROUP_PREFIX, cgroup_mounts, directories};

/// An engine that runs as long as this lives: no network, no rules for packets, no bridge.
#[derive(Debug)]
pub struct Engine {
    daemon: Option<Daemon>,
    scratch: Scratch,
}

impl Drop for Engine {
    /// The engine leaves the groups of its containers, so they are removed here.
    fn drop(&mut self) {
        self.daemon = None;
        let groups = self.groups();
        let gone = || {
            let _ = groups.iter().map(fs::remove_dir).collect::<Vec<_>>();
            groups.iter().all(|group| !group.exists()).then_some(())
        };
        let removed = deadline::wait("the engine's control groups to go", deadline::EVENT_TIMEOUT, gone);
        assert!(removed.is_ok() || std::thread::panicking(), "the engine's control groups stay: {groups:?}");
    }
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
        // its mounts go with it, whatever ends it; sockets for plugins are made in /run whatever it
        // is told, so that is an empty one
        let mut command = Command::new("unshare");
        command.args(["--mount", "--", "sh", "-c", "mount -t tmpfs tmpfs /run && exec \"$@\"", "sh"]);
        command.arg(dockerd).env_clear().env("PATH", path).env("HOME", scratch.path(""));
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
        command.arg(format!("--cgroup-parent=/{}", group_name(&scratch)));
        let mut daemon = Daemon::start(command, scratch.path("log"));
        daemon.until("the engine to listen", |said| said.contains("API listen on").then_some(()));
        Self { daemon: Some(daemon), scratch }
    }

    /// Its groups in each hierarchy, those below before those above.
    fn groups(&self) -> Vec<PathBuf> {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").expect("/proc/self/mountinfo");
        let tops = cgroup_mounts(&mountinfo).into_iter().map(|root| root.join(group_name(&self.scratch)));
        tops.flat_map(|top| directories(&top).into_iter().chain([top])).collect()
    }

    /// docker(1), talking to it.
    pub fn docker(&self) -> Run {
        let docker = Run::new(daemon::program("docker")).patience(Duration::from_secs(60));
        docker.env("DOCKER_HOST", self.address()).env("HOME", self.scratch.path(""))
    }

    /// What `$DOCKER_HOST` must be for it.
    pub fn address(&self) -> String {
        format!("unix://{}", self.scratch.path("socket").display())
    }
}

/// The control group of an engine, named after its directory, which no other has.
fn group_name(scratch: &Scratch) -> String {
    let dir = scratch.path("");
    let name = dir.components().next_back().map(|name| name.as_os_str().to_string_lossy().into_owned());
    format!("{ENGINE_GROUP_PREFIX}{}", name.unwrap_or_default())
}

//! What the commands need: a root to enter, groups to join, a bundle for the OCI runtimes, a mount namespace
//! that they accept, an engine for docker.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use tests::engine::Engine;

/// Where a pair is started.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum StartedIn {
    /// Here, unchanged.
    Here,
    /// Where newuidmap(1) gains no rights, so that only the caller's own id exists inside: PR_SET_NO_NEW_PRIVS(2const).
    WithOneId,
    /// Without the version 2 hierarchy of a hybrid machine, which crun refuses.
    WithoutUnified,
    /// With a Docker engine to use.
    WithEngine,
    /// With about this many additional mounts.
    WithMounts(usize),
}

/// What the command lines refer to.
pub struct Fixtures {
    /// The directory of the tools.
    pub tools: PathBuf,
    /// A directory with `root`, `floor`, `bundle`, `limited` and `state`.
    pub work: PathBuf,
    /// A directory of a version 2 hierarchy.
    pub groups: PathBuf,
    /// The path of a group that cgexec(1) joins, in each hierarchy that it needs.
    pub group: String,
    /// Whether we are root.
    pub is_root: bool,
    /// The process that keeps the mount namespace.
    keeper: Option<(Child, File)>,
    /// Mount namespaces with 1,000 and 4,000 mounts.
    mounts: [OnceLock<Option<(Child, File)>>; 2],
    engine: OnceLock<Result<Engine, String>>,
}

impl Fixtures {
    /// Creates what is missing; it is removed with the value.
    pub fn prepare(tools: PathBuf, work: PathBuf) -> Self {
        let is_root = nix::unistd::geteuid().is_root();
        let unified = PathBuf::from("/sys/fs/cgroup/unified");
        let groups = if unified.is_dir() { unified } else { PathBuf::from("/sys/fs/cgroup") };
        let group = format!("start-{}", std::process::id());
        let mounts = [OnceLock::new(), OnceLock::new()];
        let mut fixtures =
            Self { tools, work, groups, group, is_root, keeper: None, mounts, engine: OnceLock::new() };
        if is_root {
            fixtures.make_groups();
            fixtures.make_bundle();
            fixtures.keeper = keep_mount_namespace();
        }
        fixtures
    }

    fn group_directories(&self) -> Vec<PathBuf> {
        let v1 = ["pids", "memory"].map(|name| PathBuf::from("/sys/fs/cgroup").join(name));
        let tops = if v1.iter().all(|top| top.is_dir()) { v1.to_vec() } else { vec![self.groups.clone()] };
        tops.into_iter().map(|top| top.join(&self.group)).collect()
    }

    fn make_groups(&self) {
        for directory in self.group_directories() {
            fs::create_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        }
    }

    /// The configuration of `crun spec`, for our root and without a terminal; and the same with a memory
    /// limit.
    fn make_bundle(&self) {
        let bundle = self.work.join("bundle");
        fs::create_dir_all(&bundle).expect("the bundle");
        let made = Command::new("crun").arg("spec").current_dir(&bundle).status();
        if !made.is_ok_and(|status| status.success()) {
            return;
        }
        let path = bundle.join("config.json");
        let text = fs::read_to_string(&path).expect("config.json");
        let mut config: Value = serde_json::from_str(&text).expect("JSON of crun");
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(["/bin/true"]);
        config["root"] = json!({ "path": self.work.join("root"), "readonly": false });
        fs::write(path, config.to_string()).expect("config.json");
        config["linux"]["resources"]["memory"]["limit"] = json!(50 << 20);
        let limited = self.work.join("limited");
        fs::create_dir_all(&limited).expect("the bundle with a limit");
        fs::write(limited.join("config.json"), config.to_string()).expect("config.json");
    }

    /// A command, started in its place.
    pub fn command(&self, place: StartedIn, words: &[String]) -> Result<Command, String> {
        let [program, arguments @ ..] = words else { return Err("no command".to_string()) };
        let mut command = Command::new(program);
        command.args(arguments);
        match place {
            StartedIn::Here => {}
            StartedIn::WithOneId => {
                // SAFETY: prctl is a single system call, which is allowed between fork and exec.
                unsafe { command.pre_exec(|| Ok(nix::sys::prctl::set_no_new_privs()?)) };
            }
            StartedIn::WithoutUnified | StartedIn::WithMounts(_) => {
                let keeper = match place {
                    StartedIn::WithMounts(1000) => {
                        self.mounts[0].get_or_init(|| keep_mounts(&self.work, 1000))
                    }
                    StartedIn::WithMounts(_) => self.mounts[1].get_or_init(|| keep_mounts(&self.work, 4000)),
                    _ => &self.keeper,
                };
                let (_, namespace) = keeper.as_ref().ok_or("no mount namespace")?;
                let namespace = namespace.as_raw_fd();
                // SAFETY: setns is a single system call, which is allowed between fork and exec.
                unsafe { command.pre_exec(move || enter(namespace)) };
            }
            StartedIn::WithEngine => {
                let engine = self.engine.get_or_init(|| engine(self)).as_ref().map_err(Clone::clone)?;
                if program == "docker" {
                    command = Command::new(tests::daemon::program("docker"));
                    command.args(arguments).env("DOCKER_HOST", engine.address());
                }
            }
        }
        Ok(command)
    }
}

impl Drop for Fixtures {
    fn drop(&mut self) {
        let mounts = self.mounts.iter_mut().filter_map(|kept| kept.take().flatten());
        for (mut keeper, _) in self.keeper.take().into_iter().chain(mounts) {
            let _ = keeper.kill();
            let _ = keeper.wait();
        }
        if self.is_root {
            for directory in self.group_directories() {
                let _ = fs::remove_dir(directory);
            }
        }
    }
}

fn enter(namespace: i32) -> std::io::Result<()> {
    // SAFETY: setns takes two numbers and touches no memory.
    let result = unsafe { libc::setns(namespace, libc::CLONE_NEWNS) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// A mount namespace whose version 2 hierarchy is covered.
fn keep_mount_namespace() -> Option<(Child, File)> {
    keep("test ! -d /sys/fs/cgroup/unified || mount -t tmpfs none /sys/fs/cgroup/unified", "", 0)
}

/// A mount namespace with about this many additional mounts: fifty, and copies of them.
fn keep_mounts(work: &Path, count: usize) -> Option<(Child, File)> {
    let script =
        "set -e; mkdir -p \"$1/mounts\"; cd \"$1/mounts\"; mount -t tmpfs none .; cd .; cd \"$1/mounts\"
        mkdir a; mount -t tmpfs none a; for i in $(seq 49); do mkdir a/$i; mount --bind a/$i a/$i; done
        for i in $(seq 2 $(($2 / 50))); do mkdir c$i; mount --rbind a c$i; done";
    keep(script, work.to_str()?, count)
}

/// A process in a private mount namespace after this script, and that namespace.
fn keep(script: &str, directory: &str, count: usize) -> Option<(Child, File)> {
    let script = format!("{script}; echo; exec cat");
    let mut keeper = Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            &script,
            "sh",
            directory,
            &count.to_string(),
        ])
        // it ends with this process, whatever ends that
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut said = [0];
    std::io::Read::read_exact(keeper.stdout.as_mut()?, &mut said).ok()?;
    let namespace = File::open(format!("/proc/{}/ns/mnt", keeper.id())).ok()?;
    Some((keeper, namespace))
}

/// An engine with an image `box`, which is our root.
fn engine(fixtures: &Fixtures) -> Result<Engine, String> {
    if tests::daemon::find("dockerd").is_none() {
        return Err("no Docker engine: tests/run unpacks one".to_string());
    }
    let engine = Engine::start();
    let archive = fixtures.work.join("root.tar");
    let packed = Command::new("tar")
        .arg("-C")
        .arg(fixtures.work.join("root"))
        .arg("-cf")
        .arg(&archive)
        .arg(".")
        .status();
    if !packed.is_ok_and(|status| status.success()) {
        return Err("tar failed".to_string());
    }
    engine.docker().arg("import").arg(archive).arg("box").end().ended(tests::End::Exit(0));
    Ok(engine)
}

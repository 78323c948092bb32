//! A machine of our own, in qemu(1): a kernel with one cgroup v2 hierarchy and nothing
//! else, or with those of version 1 alone, a busybox root, and the test programs that run there.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::cpio::Cpio;
use crate::run::Run;
use crate::scratch::{Scratch, busybox};

/// What the kernel of each of our machines is started with.
const MARK: &str = "chain.vm";

/// Ends a test that would set the clock, freeze groups or end services of a machine that is not ours.
///
/// # Panics
/// On any other machine.
#[track_caller]
pub fn only_here() {
    let command_line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    assert!(
        command_line.split_whitespace().any(|word| word == MARK),
        "this runs in a VM alone: tests/run vm systemd"
    );
}

/// The account of the machine's ordinary user.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n";
const SUBIDS: &str = "user:100000:65536\n";

/// Who runs a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// root, in the root of the hierarchy.
    Root,
    /// An ordinary user with subordinate ids and no cgroup of their own.
    User,
    /// The same user as the owner of a cgroup with controllers.
    Delegated,
}

impl Who {
    /// The shell function of the VM's init.
    fn function(self) -> &'static str {
        match self {
            Self::Root => "as_root",
            Self::User => "as_user",
            Self::Delegated => "delegated",
        }
    }
}

/// A machine that is being described.
#[derive(Debug)]
pub struct Vm {
    kernel: PathBuf,
    root: Cpio,
    programs: Vec<PathBuf>,
    jobs: String,
    count: usize,
    command_line: &'static str,
}

/// Which hierarchies of control groups the machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hierarchies {
    /// One of version 2.
    V2,
    /// One of version 1 for each controller.
    V1,
}

impl Vm {
    /// A machine with busybox and nothing to do.
    ///
    /// `kernel` is a `boot/vmlinuz-VERSION` with its `lib/modules/VERSION` beside it.
    #[track_caller]
    pub fn new(kernel: &Path, hierarchies: Hierarchies) -> Self {
        let mut root = Cpio::default();
        let directories = ["bin", "dev", "etc", "home", "home/user", "lib", "mnt", "modules", "proc"];
        for path in directories.iter().chain(&["root", "run", "sys", "tests", "tmp", "tools", "usr"]) {
            root.directory(path, 0o755);
        }
        root.device("dev/console", 0o600, (5, 1));
        root.device("dev/null", 0o666, (1, 3));
        root.file("bin/busybox", 0o755, &read(busybox()));
        for applet in Run::new(busybox()).arg("--list").end().ok().lines() {
            if applet != "busybox" {
                root.link(&format!("bin/{applet}"), "busybox");
            }
        }
        root.file("init", 0o755, include_bytes!("vm/init.sh"));
        root.file("bin/second-init", 0o755, include_bytes!("vm/second-init.sh"));
        root.file("bin/mounts.sh", 0o644, include_bytes!("../worlds/mounts.sh"));
        root.file("etc/passwd", 0o644, PASSWD.as_bytes());
        root.file("etc/group", 0o644, b"root:x:0:\ntty:x:5:\nuser:x:1000:\n");
        root.file("etc/subuid", 0o644, SUBIDS.as_bytes());
        root.file("etc/subgid", 0o644, SUBIDS.as_bytes());
        let command_line = match hierarchies {
            Hierarchies::V2 => "cgroup_no_v1=all",
            Hierarchies::V1 => "chain.v1",
        };
        let (programs, jobs, count) = (Vec::new(), String::new(), 0);
        let mut vm = Self { kernel: kernel.into(), root, programs, jobs, count, command_line };
        vm.module("fs/overlayfs/overlay");
        vm.module("drivers/block/loop");
        vm
    }

    /// Puts a static program into `/tools`, which is where tests find the tools.
    #[track_caller]
    pub fn tool(&mut self, program: &Path) {
        self.root.file(&format!("tools/{}", name(program)), 0o755, &read(program));
    }

    /// Puts a program of this host into `/bin`, before busybox' own, with the libraries it needs,
    /// if this host has it.
    pub fn program(&mut self, program: &str) {
        let places = ["/usr/bin", "/usr/sbin"].map(|place| Path::new(place).join(program));
        let Some(path) = places.into_iter().find(|path| path.is_file()) else { return };
        let meta = fs::metadata(&path).expect("a file that is there");
        let mode = meta.permissions().mode() & 0o7777;
        self.root.file(&format!("bin/{program}"), mode, &read(&path));
        // "name => /path (address)", and the loader's "/path (address)"
        let needed = Run::new("ldd").arg(&path).end().out();
        let libraries = needed.split_whitespace().filter(|word| word.starts_with('/'));
        for library in libraries.map(PathBuf::from) {
            self.library(&library);
        }
    }

    /// Adds a test program that `who` runs with `args`.
    #[track_caller]
    pub fn job(&mut self, who: Who, program: &Path, args: &[String]) {
        let place = format!("tests/{}", name(program));
        if !self.programs.contains(&program.into()) {
            self.root.file(&place, 0o755, &read(program));
            self.programs.push(program.into());
        }
        let quoted = args.iter().map(|arg| format!(" '{}'", arg.replace('\'', r"'\''")));
        self.jobs += &format!("job {} /{place}{}\n", who.function(), quoted.collect::<String>());
        self.count += 1;
    }

    /// Starts the machine, hands each line of its console to `show`, and stops it at
    /// its end or after `patience`.
    ///
    /// # Errors
    /// What it waited for, if a job did not end; the console has said why.
    ///
    /// # Panics
    /// Without qemu.
    pub fn boot(mut self, patience: Duration, mut show: impl FnMut(&str)) -> Result<Vec<i32>, String> {
        self.root.file("jobs", 0o755, self.jobs.as_bytes());
        let scratch = Scratch::new();
        let initramfs = scratch.path("initramfs");
        fs::write(&initramfs, self.root.finish()).expect("the initramfs written");
        let qemu = Qemu::start(&self.kernel, &initramfs, self.command_line, &[], &scratch.path(""));
        let mut statuses = Vec::new();
        let stopped = qemu.watch(patience, |line| {
            show(line);
            // what is no status is a failure, too
            statuses.extend(line.strip_prefix("[vm] ended: ").map(|status| status.parse().unwrap_or(-1)));
        });
        if statuses.len() == self.count {
            return Ok(statuses);
        }
        let why = stopped.err().unwrap_or_else(|| "the VM stopped before its end".to_string());
        Err(format!("{why}: {} of {} jobs ended", statuses.len(), self.count))
    }

    /// A part of the kernel, if it comes as a module.
    fn module(&mut self, module: &str) {
        let version = name(&self.kernel).trim_start_matches("vmlinuz-").to_string();
        let base = self.kernel.ancestors().nth(2).unwrap_or(Path::new("/"));
        let inside = format!("lib/modules/{version}/kernel/{module}.ko");
        if let Ok(content) = fs::read(base.join(inside)) {
            self.root.file(&format!("modules/{}.ko", name(Path::new(module))), 0o644, &content);
        }
    }

    fn library(&mut self, library: &PathBuf) {
        if self.programs.contains(library) {
            return;
        }
        let above: Vec<_> = library.ancestors().skip(1).collect();
        for directory in above.iter().rev().filter(|directory| directory.parent().is_some()) {
            self.root.directory(&directory.to_string_lossy(), 0o755);
        }
        self.root.file(&library.to_string_lossy(), 0o755, &read(library));
        self.programs.push(library.clone());
    }
}

/// The emulator, which ends with this value.
#[derive(Debug)]
pub(crate) struct Qemu(Child);

impl Qemu {
    pub(crate) fn start(
        kernel: &Path,
        initramfs: &Path,
        words: &str,
        options: &[String],
        temporary: &Path,
    ) -> Self {
        // panic=-1 and -no-reboot: a kernel that panics ends qemu at once;
        // the emulated CPU has no 16-byte compare-and-swap that newer kernels survive
        let qemu = Command::new("qemu-system-x86_64")
            .args(["-accel", "tcg", "-cpu", "qemu64,-cx16", "-m", "3G", "-smp", "2"])
            .args(["-display", "none", "-monitor", "none", "-serial", "stdio", "-nodefaults", "-no-reboot"])
            .args(["-append", &format!("console=ttyS0 loglevel=3 panic=-1 {MARK} {words}")])
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(initramfs)
            .args(options)
            .env("TMPDIR", temporary)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        Self(qemu.expect("qemu-system-x86_64: apt-get install qemu-system-x86"))
    }

    /// Hands each line of the console to `show` until the machine stops; `Err` after `patience`.
    pub(crate) fn watch(mut self, patience: Duration, mut show: impl FnMut(&str)) -> Result<(), String> {
        let (send, lines) = mpsc::channel();
        let console = BufReader::new(self.0.stdout.take().expect("a pipe"));
        thread::spawn(move || {
            for line in console.split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_string();
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let end = Instant::now() + patience;
        loop {
            match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => show(&line),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("the VM was stopped after {} s", patience.as_secs()));
                }
            }
        }
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // both fail where it has ended, which is the usual case
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The last part of a path.
pub(crate) fn name(path: &Path) -> String {
    path.file_name().expect("a file's name").to_string_lossy().into_owned()
}

/// A file of this host.
#[track_caller]
pub(crate) fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|why| panic!("cannot read {}: {why}", path.display()))
}

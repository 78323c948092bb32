//! A virtual machine in qemu(1): a kernel with only one cgroup v2 hierarchy, or with only those of version 1,
//! a busybox root, and the test programs that run there.

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

/// The kernel command line of each of our machines.
const MARK: &str = "chain.vm";

/// More words for the kernel, which save a third of the emulator's time. With random addresses, the emulator translates
/// a program anew for each process; the other two words switch off protection against attackers.
const FASTER: &str = "norandmaps mitigations=off init_on_alloc=0";

/// Ends a test that would set the clock, freeze groups or stop services on a machine that is not ours.
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

/// The user of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// root, in the root of the hierarchy.
    Root,
    /// An ordinary user with subordinate ids, but without a control group.
    User,
    /// The same user, as the owner of a control group with controllers.
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

/// A machine, being configured.
#[derive(Debug)]
pub struct Vm {
    kernel: PathBuf,
    /// The root directory of the system whose programs and libraries are put into the machine.
    system: PathBuf,
    root: Cpio,
    programs: Vec<PathBuf>,
    jobs: String,
    count: usize,
    command_line: &'static str,
    processors: &'static str,
}

/// The control group hierarchies of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hierarchies {
    /// One of version 2.
    V2,
    /// One of version 1 for each controller.
    V1,
    /// One of version 2, in a kernel started without the memory controller.
    WithoutMemory,
}

impl Vm {
    /// A machine with busybox and no jobs.
    ///
    /// `kernel` is a `boot/vmlinuz-VERSION` with its `lib/modules/VERSION` beside it. `system` is the root directory of
    /// the system whose programs the machine has: this host's, or one for the processor of `kernel`.
    #[track_caller]
    pub fn new(kernel: &Path, system: &Path, hierarchies: Hierarchies) -> Self {
        let mut root = Cpio::default();
        let directories = ["bin", "dev", "etc", "home", "home/user", "lib", "mnt", "modules", "proc"];
        for path in directories.iter().chain(&["root", "run", "sys", "tests", "tmp", "tools", "usr"]) {
            root.directory(path, 0o755);
        }
        root.device("dev/console", 0o600, (5, 1));
        root.device("dev/null", 0o666, (1, 3));
        root.file("bin/busybox", 0o755, &read(&within(system, busybox())));
        for applet in Run::new(busybox()).arg("--list").end().ok().lines() {
            if applet != "busybox" {
                root.link(&format!("bin/{applet}"), "busybox");
            }
        }
        root.file("init", 0o755, include_bytes!("vm/init.sh"));
        root.file("bin/second-init", 0o755, include_bytes!("vm/second-init.sh"));
        root.file("bin/again", 0o755, include_bytes!("../again"));
        root.file("bin/mounts.sh", 0o644, include_bytes!("../worlds/mounts.sh"));
        root.file("etc/passwd", 0o644, PASSWD.as_bytes());
        root.file("etc/group", 0o644, b"root:x:0:\ntty:x:5:\nuser:x:1000:\n");
        root.file("etc/subuid", 0o644, SUBIDS.as_bytes());
        root.file("etc/subgid", 0o644, SUBIDS.as_bytes());
        let command_line = match hierarchies {
            Hierarchies::V2 => "cgroup_no_v1=all",
            Hierarchies::V1 => "chain.v1",
            Hierarchies::WithoutMemory => "cgroup_no_v1=all cgroup_disable=memory",
        };
        let (programs, jobs, count) = (Vec::new(), String::new(), 0);
        let (kernel, system) = (kernel.into(), system.into());
        let mut vm = Self { kernel, system, root, programs, jobs, count, command_line, processors: "2" };
        vm.module("fs/overlayfs/overlay");
        vm.module("drivers/block/loop");
        vm
    }

    /// Gives the machine one processor instead of two, which the emulator runs with a quarter less work.
    pub fn one_processor(&mut self) {
        self.processors = "1";
    }

    /// Copies a static program into `/tools`, where tests find the tools.
    #[track_caller]
    pub fn tool(&mut self, program: &Path) {
        self.root.file(&format!("tools/{}", name(program)), 0o755, &read(program));
    }

    /// Puts a program of the system into `/bin`, before busybox' own, with the libraries it needs,
    /// if the system has it.
    pub fn program(&mut self, program: &str) {
        let places =
            ["usr/bin", "usr/sbin", "bin", "sbin"].map(|place| self.system.join(place).join(program));
        let Some(path) = places.into_iter().find(|path| path.is_file()) else { return };
        let meta = fs::metadata(&path).expect("a file that is there");
        let mode = meta.permissions().mode() & 0o7777;
        self.root.file(&format!("bin/{program}"), mode, &read(&path));
        for library in self.libraries_of(&path) {
            self.library(&library);
        }
    }

    /// The paths, in the machine, of the libraries that a program needs, and of the loader.
    fn libraries_of(&self, program: &Path) -> Vec<PathBuf> {
        if self.system == Path::new("/") {
            // "name => /path (address)", and the loader's "/path (address)"
            let needed = Run::new("ldd").arg(program).end().out();
            return needed
                .split_whitespace()
                .filter(|word| word.starts_with('/'))
                .map(PathBuf::from)
                .collect();
        }
        // ldd(1) runs the loader, which can be for another processor, so all libraries are listed
        let all =
            Run::new("find").arg(&self.system).args(["-name", "ld-linux-*", "-o", "-path", "*/lib/*.so.*"]);
        let found = all.end().ok();
        found
            .lines()
            .map(|path| {
                Path::new("/")
                    .join(path.trim_start_matches(&*self.system.to_string_lossy()).trim_start_matches('/'))
            })
            .collect()
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

    /// Starts the machine, passes each line of its console to `show`, and stops it at its end or after
    /// `patience`.
    ///
    /// # Errors
    /// The job that did not end; the console shows why.
    ///
    /// # Panics
    /// If there is no qemu.
    pub fn boot(mut self, patience: Duration, mut show: impl FnMut(&str)) -> Result<Vec<i32>, String> {
        self.root.file("jobs", 0o755, self.jobs.as_bytes());
        let scratch = Scratch::new();
        let initramfs = scratch.path("initramfs");
        fs::write(&initramfs, self.root.finish()).expect("the initramfs written");
        let options = ["-smp".to_string(), self.processors.to_string()];
        let qemu = Qemu::start(&self.kernel, &initramfs, self.command_line, &options, &scratch.path(""));
        let mut statuses = Vec::new();
        let stopped = qemu.watch(patience, |line| {
            show(line);
            // any other output is a failure
            statuses.extend(line.strip_prefix("[vm] ended: ").map(|status| status.parse().unwrap_or(-1)));
        });
        if statuses.len() == self.count {
            return Ok(statuses);
        }
        let why = stopped.err().unwrap_or_else(|| "the VM stopped before its end".to_string());
        Err(format!("{why}: {} of {} jobs ended", statuses.len(), self.count))
    }

    /// A part of the kernel, if it is a module.
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
        self.root.file(&library.to_string_lossy(), 0o755, &read(&within(&self.system, library)));
        self.programs.push(library.clone());
    }
}

/// The kind of processor.
enum Processor {
    X86,
    Arm,
}

impl Processor {
    /// The kind that a kernel is built for, with 64 bits.
    fn of(kernel: &Path) -> Self {
        // the kernel's Documentation/arch/arm64/booting.rst
        let is_arm = read(kernel).get(56..60) == Some(b"ARM\x64");
        if is_arm { Self::Arm } else { Self::X86 }
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
        let (program, processor, console) = match Processor::of(kernel) {
            // newer kernels crash with the emulated CPU's 16-byte compare-and-swap
            Processor::X86 => ("qemu-system-x86_64", &["-cpu", "qemu64,-cx16"][..], "ttyS0"),
            Processor::Arm => {
                ("qemu-system-aarch64", &["-machine", "virt", "-cpu", "cortex-a72"][..], "ttyAMA0")
            }
        };
        // One thread for all processors: with a thread for each, the emulator sometimes runs an instruction that
        // the kernel has just replaced on another processor ("Oops: int3" in Linux 7.2).
        // panic=-1 and -no-reboot: a kernel that panics ends qemu at once;
        // no_timer_check: on a busy host a timer that comes late is not one that does not work
        let qemu = Command::new(program)
            .args(processor)
            .args(["-accel", "tcg,thread=single", "-m", "3G"])
            .args(["-display", "none", "-monitor", "none", "-serial", "stdio", "-nodefaults", "-no-reboot"])
            .args([
                "-append",
                &format!("console={console} loglevel=3 panic=-1 no_timer_check {FASTER} {MARK} {words}"),
            ])
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(initramfs)
            .args(options)
            .env("TMPDIR", temporary)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        Self(qemu.unwrap_or_else(|why| {
            panic!("{program}: {why}: apt-get install qemu-system-x86 qemu-system-arm")
        }))
    }

    /// Passes each line of the console to `show` until the machine stops; `Err` after `patience`.
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
        // both fail if qemu has ended, which is the usual case
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A path of a system, below its root directory.
fn within(system: &Path, path: &Path) -> PathBuf {
    system.join(path.strip_prefix("/").unwrap_or(path))
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

//! A normal machine in qemu(1): Debian on a disk, which `tests/worlds/image` creates, started by its systemd
//! or by an init of ours.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cpio::Cpio;
use crate::run::{End, Run};
use crate::scratch::{Scratch, busybox};
use crate::vm::{self, Qemu};

/// The modules of the disk's driver, in loading order; newer kernels have some of them built in.
const DRIVER: [&str; 7] = [
    "virtio",
    "virtio_ring",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "virtio_blk",
    "virtio-rng",
];

/// A machine to boot.
#[derive(Debug)]
pub struct Machine {
    kernel: PathBuf,
    disk: PathBuf,
    initramfs: Cpio,
    command_line: String,
}

impl Machine {
    /// A machine with this disk, which is not changed. The kernel has its modules beside it, as in Debian's
    /// package.
    #[track_caller]
    pub fn new(kernel: &Path, disk: &Path) -> Self {
        let mut initramfs = Cpio::default();
        for path in ["bin", "dev", "disk", "modules", "proc", "sys", "world", "world/tools"] {
            initramfs.directory(path, 0o755);
        }
        initramfs.device("dev/console", 0o600, (5, 1));
        initramfs.device("dev/null", 0o666, (1, 3));
        initramfs.file("bin/busybox", 0o755, &vm::read(busybox()));
        initramfs.link("bin/sh", "busybox");
        initramfs.file("init", 0o755, include_bytes!("vm/disk-init.sh"));
        let mut machine = Self {
            kernel: kernel.into(),
            disk: disk.into(),
            initramfs,
            // an emulated processor that waits for its turn is not a lockup; the kernel would report one in
            // the middle of our lines
            command_line: "systemd.show_status=0 nowatchdog".to_string(),
        };
        for (number, module) in DRIVER.iter().enumerate() {
            machine.module(number, module);
        }
        machine
    }

    /// Adds a file to `/world`.
    #[track_caller]
    pub fn file(&mut self, name: &str, file: &Path) {
        self.initramfs.file(&format!("world/{name}"), 0o755, &vm::read(file));
    }

    /// Adds a static program to `/world/tools`.
    #[track_caller]
    pub fn tool(&mut self, program: &Path) {
        self.file(&format!("tools/{}", vm::name(program)), program);
    }

    /// Adds words for the kernel and for the machine's scripts.
    pub fn words(&mut self, words: &str) {
        self.command_line.push(' ');
        self.command_line.push_str(words);
    }

    /// Starts the machine and passes each line of its console to `show`, until it stops or `patience` runs
    /// out.
    ///
    /// # Errors
    /// If it did not finish.
    ///
    /// # Panics
    /// Without qemu.
    pub fn boot(self, patience: Duration, mut show: impl FnMut(&str)) -> Result<(), String> {
        let scratch = Scratch::new();
        let initramfs = scratch.path("initramfs");
        fs::write(&initramfs, self.initramfs.finish()).expect("the initramfs written");
        // the disk twice: once for the machine, whose changes go to a temporary file, and once for containers
        let disk = |kept: &str| format!("if=virtio,format=raw,file={},{kept}", self.disk.display());
        let drives = [disk("snapshot=on,cache=unsafe"), disk("readonly=on,file.locking=off")]
            .map(|drive| ["-drive".to_string(), drive]);
        let mut options: Vec<String> = drives.concat();
        options.extend(["-smp", "2", "-device", "virtio-rng-pci"].map(String::from));
        let qemu =
            Qemu::start(&self.kernel, &initramfs, &self.command_line, &options, scratch.path("").as_path());
        let mut is_over = false;
        qemu.watch(patience, |line| {
            is_over |= line == "[vm] over";
            show(line);
        })?;
        if is_over { Ok(()) } else { Err("the machine stopped before its end".to_string()) }
    }

    /// Adds a kernel module, decompressed, if it is not built in.
    fn module(&mut self, number: usize, module: &str) {
        let found =
            Run::new("find").arg(modules(&self.kernel)).args(["-name", &format!("{module}.ko*")]).end().out();
        let Some(path) = found.lines().next() else { return };
        let content = match path.rsplit('.').next() {
            Some("xz") => Run::new("xz").args(["-dc", path]).end().ended(End::Exit(0)).stdout,
            Some("zst") => Run::new("zstd").args(["-dcq", path]).end().ended(End::Exit(0)).stdout,
            _ => vm::read(Path::new(path)),
        };
        self.initramfs.file(&format!("modules/{number}.ko"), 0o644, &content);
    }
}

/// The directory of a kernel's modules: beside its vmlinuz, or below the directory that contains `boot`.
fn modules(kernel: &Path) -> PathBuf {
    let beside = kernel.parent().unwrap_or(Path::new("/"));
    match vm::name(kernel).strip_prefix("vmlinuz-") {
        Some(version) => beside.join("../lib/modules").join(version),
        None => beside.to_path_buf(),
    }
}

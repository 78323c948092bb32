//! A small /dev for the new root: harmless devices, terminals, shared memory.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use chain::handles::FdSlot;
use chain::{Plan, call};
use nix::mount::MsFlags;
use nix::sys::stat::{fstat, stat};

use crate::kernel_mounts::read_only_device;
use crate::root::chdir_inside;
use crate::root_mount::NO_SUID_DEV_EXEC;

/// The devices that programs expect, with major and minor number:
/// Documentation/admin-guide/devices.txt.
const DEVICES: [(&str, u64, u64); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

/// How /dev is filled on this system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dev {
    /// Whether mknod(2) creates the devices, which needs root outside every user namespace. Otherwise the
    /// caller's devices are bound onto empty files.
    pub mknod: bool,
    /// Whether the machine's user 0, who owns the devices, exists inside.
    pub has_host_root: bool,
    /// Whether all other devices are forbidden there.
    pub is_limited: bool,
    /// The caller's terminal, which becomes /dev/console: in a new devpts, ttyname(3) finds no name for it.
    pub terminal: Option<PathBuf>,
    /// Whether group 5, tty, exists.
    pub tty_group: bool,
    /// Whether a message queue file system can be mounted.
    pub mqueue: bool,
    /// The caller's umask, which would change the modes of devices.
    pub umask: u32,
}

impl Dev {
    /// The names in it.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let devices = DEVICES.iter().map(|(name, _, _)| *name);
        let console = self.terminal.is_some().then_some("console");
        let directories = self.directories().map(|(name, _)| name);
        devices.chain(LINKS.iter().map(|(_, name)| *name)).chain(directories).chain(console)
    }

    /// The directories in it, with the modes of what is mounted on them.
    pub fn directories(&self) -> impl Iterator<Item = (&'static str, u32)> {
        [("pts", 0o755), ("shm", 0o1777)].into_iter().chain(self.mqueue.then_some(("mqueue", 0o1777)))
    }

    pub fn plan(&self, plan: &mut Plan, new_root: FdSlot) {
        chdir_inside(plan, new_root, "dev");
        let limited = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        // a new node is bound from here, and the bind mount has these flags
        let flags = if self.is_limited && !self.mknod { limited } else { MsFlags::MS_NOSUID };
        let devices = call::Mount::new("tmpfs", ".", flags).with_data("mode=755,size=64k");
        plan.step("mount a tmpfs for devices", devices);
        chdir_inside(plan, new_root, "dev");
        plan.step("clear the umask, so that devices get their exact modes", call::Umask(0));
        for (name, major, minor) in DEVICES {
            if self.mknod {
                let device = call::Mknod::char_device(name, 0o666, (major, minor));
                plan.step(format!("create /dev/{name}"), device);
                if self.is_limited {
                    let itself = call::Mount::bind(name, name, MsFlags::empty());
                    plan.step(format!("create a mount of /dev/{name}"), itself);
                }
            } else {
                bind_file(plan, &Path::new("/dev").join(name), name);
                if self.is_limited && self.has_host_root {
                    plan.step(
                        format!("keep the mode of /dev/{name} from being changed"),
                        read_only_device(name),
                    );
                }
            }
        }
        for (target, link) in LINKS {
            let symlink = call::Symlink { target: target.into(), link: link.into() };
            plan.step(format!("create /dev/{link}"), symlink);
        }
        if let Some(terminal) = &self.terminal {
            bind_file(plan, terminal, "console");
        }
        self.plan_mounts(plan);
        if self.is_limited && self.mknod {
            let remount = call::Mount::remount(".", limited | MsFlags::MS_BIND);
            plan.step("forbid opening other devices there", remount);
        }
        plan.step("restore the umask", call::Umask(self.umask));
    }

    fn plan_mounts(&self, plan: &mut Plan) {
        let mut mount = |name: &str, reason: &'static str, call: call::Mount| {
            plan.step(format!("create /dev/{name}"), call::Mkdir { path: name.into(), mode: 0o755 });
            plan.step(reason, call);
        };
        let group = if self.tty_group { ",gid=5" } else { "" };
        let options = format!("newinstance,ptmxmode=0666,mode=0620{group}");
        let devpts =
            call::Mount::new("devpts", "pts", MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC).with_data(options);
        mount("pts", "mount separate pseudo-terminals", devpts);
        let memory = call::Mount::new("tmpfs", "shm", NO_SUID_DEV_EXEC).with_data("mode=1777");
        mount("shm", "mount separate shared memory", memory);
        if self.mqueue {
            let queues = call::Mount::new("mqueue", "mqueue", NO_SUID_DEV_EXEC);
            mount("mqueue", "mount message queues", queues);
        }
    }
}

/// Binds a device onto an empty file.
fn bind_file(plan: &mut Plan, source: &Path, name: &str) {
    plan.step(format!("create a mount point for /dev/{name}"), call::Mknod::file(name, 0o666));
    plan.step(format!("mount {} there", source.display()), call::Mount::bind(source, name, MsFlags::empty()));
}

/// The terminal on standard input or output, with a path that still leads to it.
pub fn terminal() -> Option<PathBuf> {
    let (stdin, stdout) = (std::io::stdin(), std::io::stdout());
    [stdin.as_fd(), stdout.as_fd()].into_iter().find_map(|fd| {
        let path = nix::unistd::ttyname(fd).ok()?;
        let (by_fd, by_path) = (fstat(fd).ok()?, stat(&path).ok()?);
        (by_fd.st_rdev == by_path.st_rdev).then_some(path)
    })
}

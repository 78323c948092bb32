//! `ways_out [HANDLE]`: tries, from inside, each known way out of a container, or to change the machine, and
//! prints a line for each: its name, and whether it is open. It only asks and opens, and changes nothing.
//! HANDLE is a file outside, from [`tests::file_handle`].
//!
//! `ways_out --with-key COMMAND [ARG]...` becomes COMMAND with a session keyring that holds a key.

use std::ffi::{CString, c_long};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

/// Whether a way is open; None if there is nothing to try it on.
type Outcome = Option<bool>;

/// linux/socket.h
const AF_VSOCK: c_long = 40;

const PLACE: &str = "/tmp/ways_out";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|first| first == "--with-key") {
        return with_key(&args[1..]);
    }
    fs::create_dir_all(PLACE).expect("a place to try mounts");
    let handle = args.first().map(String::as_str);
    let ways: [(&str, Outcome); 25] = [
        ("make a device node (kernel log) and open it", Some(opens_own_node(1, 11))),
        ("the same with fuse or tun", Some(fuse_or_tun())),
        ("open an existing device node in NEWROOT", node_of_root()),
        ("mount a disk", Some(is_let(mount_at("none", "ext4")))),
        ("mount devtmpfs, debugfs, tracefs, securityfs or bpf", Some(kernel_file_systems())),
        ("mount a cgroup hierarchy", Some(mounts("cgroup2") || mounts("cgroup"))),
        ("write a sysctl (core_pattern) as it is shown", Some(opens("/proc/sys/kernel/core_pattern"))),
        ("the same with drop_caches, sysrq-trigger or an interrupt", Some(files_of_root())),
        ("write it after mounting a new proc", Some(after_new_proc())),
        ("remount /proc/sys or a read-only bind writable", Some(remounts())),
        ("the same in a user namespace of its own", in_child(nested_remounts)),
        (
            "write to a cgroup, by cgroup.kill or cgroup.procs",
            Some(writes_cgroup(Path::new("/sys/fs/cgroup"), 4)),
        ),
        ("load BPF", Some(bpf())),
        ("watch the whole machine: perf", Some(perf())),
        ("read the kernel's log", Some(is_let(call(libc::SYS_syslog, [9, 0, 0, 0, 0])))),
        ("set the clock, swap, accounting", Some(switches())),
        ("reboot", Some(is_let(call(libc::SYS_reboot, [0, 0, 0, 0, 0])))),
        ("open a file outside by its handle", handle.map(|handle| tests::file_handle::open(handle).is_ok())),
        ("watch a whole file system: fanotify", Some(fanotify())),
        ("read the caller's session key", Some(session_key())),
        ("open a socket to the hypervisor", Some(is_let(call(libc::SYS_socket, [AF_VSOCK, 1, 0, 0, 0])))),
        ("userfaultfd", Some(call(libc::SYS_userfaultfd, [1, 0, 0, 0, 0]).is_ok())),
        ("io_uring", Some(io_uring())),
        (
            "call TIOCSTI, which types into a terminal",
            Some(is_let(call(libc::SYS_ioctl, [-1, 0x5412, 0, 0, 0]))),
        ),
        ("make a user namespace", in_child(|| unshare(CloneFlags::CLONE_NEWUSER).is_ok())),
    ];
    for (way, outcome) in ways {
        println!(
            "{way}\t{}",
            match outcome {
                Some(true) => "can",
                Some(false) => "cannot",
                None => "-",
            }
        );
    }
}

/// A system call with numbers alone.
fn call(number: c_long, [a, b, c, d, e]: [c_long; 5]) -> Result<c_long, Errno> {
    // SAFETY: the callers pass numbers, or pointers to what lives through the call.
    Errno::result(unsafe { libc::syscall(number, a, b, c, d, e) })
}

/// Whether the kernel got as far as checking a call's arguments.
fn is_let<T>(result: Result<T, Errno>) -> bool {
    !matches!(result, Err(Errno::EPERM | Errno::EACCES | Errno::ENOSYS | Errno::EROFS))
}

fn opens(path: &str) -> bool {
    OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path).is_ok()
}

fn reads(path: &str) -> bool {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).is_ok()
}

fn opens_own_node(major: u64, minor: u64) -> bool {
    let node = "/tmp/ways_out-node";
    let made = mknod(node, SFlag::S_IFCHR, Mode::S_IRUSR, makedev(major, minor));
    let open = made.is_ok() && reads(node);
    let _ = fs::remove_file(node);
    open
}

/// linux/miscdevice.h
fn fuse_or_tun() -> bool {
    [229, 200].into_iter().any(|minor| opens_own_node(10, minor))
}

/// Files of /proc that the kernel opens for the machine's user 0, whatever its capabilities are.
fn files_of_root() -> bool {
    let interrupts = fs::read_dir("/proc/irq").into_iter().flatten().flatten();
    ["/proc/sys/vm/drop_caches", "/proc/sysrq-trigger"].into_iter().any(opens)
        || interrupts
            .map(|entry| entry.path().join("smp_affinity"))
            .any(|path| opens(&path.to_string_lossy()))
}

fn node_of_root() -> Outcome {
    Path::new("/node").exists().then(|| reads("/node"))
}

fn mount_at(source: &str, fstype: &str) -> Result<(), Errno> {
    mount(Some(source), PLACE, Some(fstype), MsFlags::empty(), None::<&str>)
}

fn mounts(fstype: &str) -> bool {
    let mounted = mount_at("none", fstype).is_ok();
    if mounted {
        let _ = umount2(PLACE, MntFlags::MNT_DETACH);
    }
    mounted
}

fn kernel_file_systems() -> bool {
    ["devtmpfs", "debugfs", "tracefs", "securityfs", "bpf"].into_iter().any(mounts)
}

fn after_new_proc() -> bool {
    if mount_at("proc", "proc").is_err() {
        return false;
    }
    let open = opens("/tmp/ways_out/sys/kernel/core_pattern");
    let _ = umount2(PLACE, MntFlags::MNT_DETACH);
    open
}

fn remounts() -> bool {
    let remount = |at: &str| {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
        mount(None::<&str>, at, None::<&str>, flags, None::<&str>).is_ok()
    };
    ["/proc/sys", "/sys", "/read-only"].into_iter().filter(|at| Path::new(at).exists()).any(remount)
}

fn nested_remounts() -> bool {
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).is_ok() && remounts()
}

/// Whether a file that controls a group is writable.
fn writes_cgroup(dir: &Path, depth: u32) -> bool {
    let orders = ["cgroup.kill", "cgroup.procs", "memory.max", "tasks"];
    if orders.iter().any(|name| opens(&dir.join(name).to_string_lossy())) {
        return true;
    }
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let below = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    depth > 0 && entries.filter(below).any(|entry| writes_cgroup(&entry.path(), depth - 1))
}

fn bpf() -> bool {
    // BPF_MAP_CREATE of BPF_MAP_TYPE_HASH: key, value and number of entries
    let map = [1_u32, 4, 4, 1, 0, 0, 0, 0];
    call(libc::SYS_bpf, [0, map.as_ptr() as c_long, size_of_val(&map) as c_long, 0, 0]).is_ok()
}

fn perf() -> bool {
    // PERF_TYPE_SOFTWARE, its size, PERF_COUNT_SW_CPU_CLOCK, of all processes on one processor
    let mut attributes = [0_u32; 16];
    (attributes[0], attributes[1]) = (1, 64);
    call(libc::SYS_perf_event_open, [attributes.as_ptr() as c_long, -1, 0, -1, 0]).is_ok()
}

fn switches() -> bool {
    let nowhere = CString::new("/nowhere").expect("no NUL");
    let path = nowhere.as_ptr() as c_long;
    // SAFETY: all zero is a valid timex.
    let mut clock: libc::timex = unsafe { std::mem::zeroed() };
    // with an impossible tick
    clock.modes = libc::ADJ_TICK;
    let adjust = call(libc::SYS_adjtimex, [&raw mut clock as c_long, 0, 0, 0, 0]);
    is_let(adjust)
        || is_let(call(libc::SYS_swapon, [path, 0, 0, 0, 0]))
        || is_let(call(libc::SYS_acct, [path, 0, 0, 0, 0]))
}

fn fanotify() -> bool {
    let Ok(group) = call(libc::SYS_fanotify_init, [0, 0, 0, 0, 0]) else { return false };
    let root = CString::new("/").expect("no NUL");
    // FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN
    call(libc::SYS_fanotify_mark, [group, 0x101, 0x20, libc::AT_FDCWD.into(), root.as_ptr() as c_long])
        .is_ok()
}

const KEY: [&std::ffi::CStr; 2] = [c"user", c"ways_out"];
const SESSION_KEYRING: c_long = -3;

fn session_key() -> bool {
    const KEYCTL_SEARCH: c_long = 10;
    let [kind, name] = KEY.map(|text| text.as_ptr() as c_long);
    call(libc::SYS_keyctl, [KEYCTL_SEARCH, SESSION_KEYRING, kind, name, 0]).is_ok()
}

fn with_key(words: &[String]) {
    const KEYCTL_JOIN_SESSION_KEYRING: c_long = 1;
    let [kind, name] = KEY.map(|text| text.as_ptr() as c_long);
    call(libc::SYS_keyctl, [KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0]).expect("a session keyring");
    call(libc::SYS_add_key, [kind, name, c"secret".as_ptr() as c_long, 6, SESSION_KEYRING]).expect("a key");
    let (program, args) = words.split_first().expect("--with-key COMMAND");
    panic!("{program}: {}", std::process::Command::new(program).args(args).exec());
}

fn io_uring() -> bool {
    let mut parameters = [0_u32; 30];
    call(libc::SYS_io_uring_setup, [1, parameters.as_mut_ptr() as c_long, 0, 0, 0]).is_ok()
}

/// Tries in a child process what cannot be reversed.
fn in_child(way: impl FnOnce() -> bool) -> Outcome {
    // SAFETY: one thread.
    match unsafe { fork() }.expect("a process") {
        ForkResult::Child => system::sys::exit(i32::from(!way())),
        ForkResult::Parent { child } => Some(waitpid(child, None) == Ok(WaitStatus::Exited(child, 0))),
    }
}

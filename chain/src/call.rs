// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel's vocabulary as values: each call a plan can hold.
//!
//! A [`Call`] is data. How it is shown (strace(1)'s notation, descriptor numbers
//! left out), its page and how it is made stand here side by side, so that what
//! is told cannot drift from what is done.
//! This file is long because the vocabulary is: three matches over one enum.

use std::ffi::OsString;
use std::fmt::{self, Display};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, SFlag};
use nix::unistd::UnlinkatFlags;

use crate::helper::{self, Helper};
use crate::reporter::{Quoted, quoted};
use crate::{cgroup, flags, sys};

/// The name under which a plan opens a descriptor and later calls use it.
pub type Opened = &'static str;

/// One change of the process or the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// New namespaces: unshare(2).
    Unshare(CloneFlags),
    /// mount(2).
    Mount {
        /// What is mounted: a path, a name the file system shows, or nothing.
        source: Option<PathBuf>,
        /// Where; "." is the working directory, which no one can swap for a symlink.
        target: PathBuf,
        /// The file system's type.
        fstype: Option<&'static str>,
        /// MS_* flags.
        flags: MsFlags,
        /// The file system's own options.
        data: Option<String>,
    },
    /// umount2(2).
    Unmount {
        /// The mount point.
        target: PathBuf,
        /// MNT_* flags.
        flags: MntFlags,
    },
    /// A copy of the mounts at `path`, attached nowhere yet: open_tree(2), Linux 5.2.
    OpenTree {
        /// The top of the tree.
        path: PathBuf,
        /// The name of the copy from here on.
        opened: Opened,
    },
    /// A file system that is mounted nowhere yet: fsopen(2), Linux 5.2.
    FsOpen {
        /// Its type.
        fstype: &'static str,
        /// Its name from here on.
        opened: Opened,
    },
    /// Makes the mount of it, attached nowhere yet, with default options: fsconfig(2), fsmount(2).
    FsMount(Opened),
    /// Makes a tree that is attached nowhere read-only, all of it: mount_setattr(2), Linux 5.12.
    ReadOnlyTree(Opened),
    /// Attaches a tree: move_mount(2), Linux 5.2.
    MoveMount {
        /// The tree.
        opened: Opened,
        /// Where.
        target: PathBuf,
    },
    /// Makes a directory below an open one the working directory, crossing no symlink:
    /// openat2(2) and fchdir(2).
    Enter {
        /// The open directory.
        opened: Opened,
        /// Below it; empty for itself.
        dir: PathBuf,
    },
    /// Makes a directory the working directory and opens it: for kernels without open_tree(2).
    Reopen {
        /// Its path.
        path: PathBuf,
        /// Its name from here on.
        opened: Opened,
    },
    /// pivot_root(2).
    PivotRoot {
        /// The new root.
        new_root: PathBuf,
        /// Where the old one is put.
        put_old: PathBuf,
    },
    /// chroot(2).
    Chroot(PathBuf),
    /// chdir(2).
    Chdir(PathBuf),
    /// sethostname(2).
    SetHostname(OsString),
    /// One write(2) to a file of the kernel, opened for it and never created.
    Write {
        /// The file.
        path: PathBuf,
        /// The whole value.
        data: Vec<u8>,
    },
    /// mkdirat(2).
    Mkdir {
        /// The directory.
        path: PathBuf,
        /// Its mode before the umask.
        mode: u32,
    },
    /// mknodat(2): a device, or an empty file to bind one on.
    Mknod {
        /// The node.
        path: PathBuf,
        /// S_IFCHR or S_IFREG.
        kind: SFlag,
        /// Its mode before the umask.
        mode: u32,
        /// Major and minor number of a device.
        device: (u64, u64),
    },
    /// symlinkat(2).
    Symlink {
        /// What the link says.
        target: PathBuf,
        /// The link.
        link: PathBuf,
    },
    /// Removes a file: unlinkat(2).
    Unlink(PathBuf),
    /// umask(2).
    Umask(u32),
    /// Sets IFF_UP on an interface: SIOCSIFFLAGS, netdevice(7).
    BringUp(&'static str),
    /// Keeps an inherited descriptor from the command: FD_CLOEXEC, fcntl(2).
    CloseOnExec {
        /// Its number.
        fd: RawFd,
        /// What it leads to.
        path: PathBuf,
    },
    /// Where programs are looked for from here on, and by the command: environ(7). No system call,
    /// the one entry of this vocabulary that strace(1) does not see.
    SetPath(OsString),
    /// The supplementary groups: setgroups(2).
    SetGroups(Vec<u32>),
    /// Real, effective and saved group: setresgid(2). What the parent's death sends stays.
    SetGroup(u32),
    /// Real, effective and saved user, with no way back: setresuid(2). What the parent's death sends stays.
    SetUser(u32),
    /// Makes a control group and holds a lock that says it is in use: mkdir(2), flock(2).
    CreateCgroup {
        /// Its directory.
        path: PathBuf,
        /// Its name from here on.
        opened: Opened,
    },
    /// Removes the control groups that a killed run left, the first at last, unless somebody holds a lock.
    RemoveStaleCgroups(Vec<PathBuf>),
    /// Removes a control group in which nothing runs any more, unless somebody holds its lock.
    RemoveEmptyCgroup(PathBuf),
    /// Kills every process of a control group: cgroup.kill, or one by one where the kernel lacks it.
    KillCgroup(PathBuf),
    /// Kills every process of a version 1 control group, frozen meanwhile where the freezer has it: kill(2).
    KillCgroupV1(PathBuf),
    /// Removes a control group and those the command made below it: rmdir(2).
    RemoveCgroup(PathBuf),
    /// A child goes on with the plan, the parent stays until it has ended: fork(2), clone3(2).
    Fork(ForkOptions),
    /// A helper stays in the namespaces of now and makes these calls there, when asked: fork(2).
    Helper {
        /// All that it may be asked for.
        calls: Vec<Self>,
        /// Its name from here on.
        opened: Opened,
    },
    /// A call of a helper.
    InHelper {
        /// The helper.
        helper: Opened,
        /// What it is asked for.
        call: Box<Self>,
    },
    /// Runs a program to its end: fork(2), execve(2), waitpid(2).
    RunProgram {
        /// Its path.
        program: PathBuf,
        /// Its arguments, the zeroth included.
        argv: Vec<OsString>,
    },
    /// Makes or empties a file and writes the number of this process into it, as /proc has it now.
    WritePid(PathBuf),
    /// What this process is sent when its parent dies, or 0 for nothing: PR_SET_PDEATHSIG(2const).
    DeathSignal(i32),
    /// An environment of these variables alone, as far as they are set: clearenv(3).
    KeepEnvironment(Vec<OsString>),
    /// Lets the capabilities of now outlive execve(2): PR_CAP_AMBIENT(2const), capabilities(7).
    KeepCapabilities,
}

/// How a parent stays behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForkOptions {
    /// An open cgroup v2 directory in which the child starts.
    pub into: Option<Opened>,
    /// The child is PID 1 of a new PID namespace, for which the kernel drops signals it does not catch.
    pub child_is_init: bool,
}

/// The descriptors that earlier calls opened for later ones.
#[derive(Debug, Default)]
pub struct Handles(Vec<(Opened, OwnedFd)>, Vec<(Opened, Helper)>);

impl Handles {
    pub(crate) fn hold(&mut self, name: Opened, fd: OwnedFd) {
        self.0.retain(|(held, _)| *held != name);
        self.0.push((name, fd));
    }

    fn attach_helper(&mut self, name: Opened, helper: Helper) {
        self.1.push((name, helper));
    }

    /// Lets the helpers end: nothing will be asked of them any more, nor taken back by them.
    pub(crate) fn settle(&mut self) {
        self.1.iter_mut().for_each(|(_, helper)| helper.settle());
        self.1.clear();
    }

    /// Leaves the helpers to the other side of a fork.
    pub(crate) fn leave_helpers(&mut self) {
        self.1.drain(..).for_each(|(_, helper)| helper.leave());
    }

    fn helper(&mut self, name: Opened) -> Result<&mut Helper, Errno> {
        self.1.iter_mut().find(|(held, _)| *held == name).map(|(_, helper)| helper).ok_or(Errno::EBADF)
    }

    /// # Errors
    /// `EBADF` where the plan names what it never opened.
    pub(crate) fn get(&self, name: Opened) -> Result<BorrowedFd<'_>, Errno> {
        self.0.iter().find(|(held, _)| *held == name).map(|(_, fd)| fd.as_fd()).ok_or(Errno::EBADF)
    }
}

impl Call {
    /// mount(2) without a file system's own options.
    pub fn mount(source: &str, target: &str, fstype: &'static str, flags: MsFlags) -> Self {
        Self::Mount {
            source: Some(source.into()),
            target: target.into(),
            fstype: Some(fstype),
            flags,
            data: None,
        }
    }

    /// mount(2) that makes a file or directory visible at a second place.
    pub fn bind(source: impl Into<PathBuf>, target: impl Into<PathBuf>, flags: MsFlags) -> Self {
        Self::Mount {
            source: Some(source.into()),
            target: target.into(),
            fstype: None,
            flags: flags | MsFlags::MS_BIND,
            data: None,
        }
    }

    /// mount(2) that changes how mounts below `target` propagate: mount_namespaces(7).
    pub fn propagate(target: &str, flags: MsFlags) -> Self {
        Self::Mount {
            source: None,
            target: target.into(),
            fstype: None,
            flags: flags | MsFlags::MS_REC,
            data: None,
        }
    }

    /// mount(2) that changes the flags of what is mounted already.
    pub fn remount(target: impl Into<PathBuf>, flags: MsFlags) -> Self {
        Self::Mount {
            source: None,
            target: target.into(),
            fstype: None,
            flags: flags | MsFlags::MS_REMOUNT,
            data: None,
        }
    }

    /// A write of a value to a file of the kernel.
    pub fn write(path: impl Into<PathBuf>, data: impl Into<Vec<u8>>) -> Self {
        Self::Write { path: path.into(), data: data.into() }
    }

    /// The manual page to read.
    pub fn page(&self) -> &'static str {
        match self {
            Self::Unshare(_) => "unshare(2)",
            Self::Mount { .. } => "mount(2)",
            Self::Unmount { .. } => "umount2(2)",
            Self::OpenTree { .. } => "open_tree(2)",
            Self::FsOpen { .. } => "fsopen(2)",
            Self::FsMount(_) => "fsmount(2)",
            Self::ReadOnlyTree(_) => "mount_setattr(2)",
            Self::MoveMount { .. } => "move_mount(2)",
            Self::Enter { .. } => "openat2(2), fchdir(2)",
            Self::Reopen { .. } => "chdir(2)",
            Self::PivotRoot { .. } => "pivot_root(2)",
            Self::Chroot(_) => "chroot(2)",
            Self::Chdir(_) => "chdir(2)",
            Self::SetHostname(_) => "sethostname(2)",
            Self::Write { path, .. } => page_of_file(path),
            Self::Mkdir { .. } => "mkdirat(2)",
            Self::Mknod { .. } => "mknodat(2)",
            Self::Symlink { .. } => "symlinkat(2)",
            Self::Unlink(_) => "unlinkat(2)",
            Self::Umask(_) => "umask(2)",
            Self::BringUp(_) => "netdevice(7)",
            Self::CloseOnExec { .. } => "fcntl(2)",
            Self::SetPath(_) => "setenv(3)",
            Self::SetGroups(_) => "setgroups(2)",
            Self::SetGroup(_) => "setresgid(2)",
            Self::SetUser(_) => "setresuid(2)",
            Self::CreateCgroup { .. } | Self::RemoveStaleCgroups(_) | Self::RemoveEmptyCgroup(_) => {
                "cgroups(7)"
            }
            Self::KillCgroup(_) | Self::RemoveCgroup(_) => "cgroups(7)",
            Self::KillCgroupV1(_) => "kill(2)",
            Self::Fork(stay) if stay.into.is_some() => "clone3(2)",
            Self::Fork(_) | Self::Helper { .. } => "fork(2)",
            Self::InHelper { call, .. } => call.page(),
            Self::RunProgram { program, .. } => page_of_program(program),
            Self::WritePid(_) => "write(2)",
            Self::DeathSignal(_) => "PR_SET_PDEATHSIG(2const)",
            Self::KeepEnvironment(_) => "clearenv(3)",
            Self::KeepCapabilities => "capabilities(7)",
        }
    }

    /// Makes the call. [`Call::Fork`] is made by the plan, which then has two sides.
    ///
    /// # Errors
    /// The errno of the system call, as its page lists them.
    pub(crate) fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        match self {
            Self::Unshare(flags) => nix::sched::unshare(*flags),
            Self::Mount { source, target, fstype, flags, data } => {
                nix::mount::mount(source.as_deref(), target.as_path(), *fstype, *flags, data.as_deref())
            }
            Self::Unmount { target, flags } => nix::mount::umount2(target.as_path(), *flags),
            Self::OpenTree { path, opened } => sys::open_tree(path).map(|fd| handles.hold(opened, fd)),
            Self::FsOpen { fstype, opened } => sys::fs_open(fstype).map(|fd| handles.hold(opened, fd)),
            Self::FsMount(opened) => sys::fs_mount(handles.get(opened)?).map(|fd| handles.hold(opened, fd)),
            Self::ReadOnlyTree(opened) => sys::read_only_tree(handles.get(opened)?),
            Self::MoveMount { opened, target } => sys::move_mount(handles.get(opened)?, target),
            Self::Enter { opened, dir } if dir.as_os_str().is_empty() => {
                nix::unistd::fchdir(handles.get(opened)?)
            }
            Self::Enter { opened, dir } => {
                nix::unistd::fchdir(sys::open_without_symlinks(handles.get(opened)?, dir)?)
            }
            Self::Reopen { path, opened } => {
                nix::unistd::chdir(path.as_path())?;
                let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
                nix::fcntl::open(".", flags, Mode::empty()).map(|fd| handles.hold(opened, fd))
            }
            Self::PivotRoot { new_root, put_old } => {
                nix::unistd::pivot_root(new_root.as_path(), put_old.as_path())
            }
            Self::Chroot(path) => nix::unistd::chroot(path.as_path()),
            Self::Chdir(path) => nix::unistd::chdir(path.as_path()),
            Self::SetHostname(name) => nix::unistd::sethostname(name),
            Self::Write { path, data } if path.ends_with("cgroup.subtree_control") => {
                cgroup::hand_on(path, data)
            }
            Self::Write { path, data } => sys::write_file(path, data),
            Self::Mkdir { path, mode } => {
                nix::sys::stat::mkdirat(AT_FDCWD, path.as_path(), Mode::from_bits_truncate(*mode))
            }
            Self::Mknod { path, kind, mode, device: (major, minor) } => nix::sys::stat::mknodat(
                AT_FDCWD,
                path.as_path(),
                *kind,
                Mode::from_bits_truncate(*mode),
                nix::sys::stat::makedev(*major, *minor),
            ),
            Self::Symlink { target, link } => {
                nix::unistd::symlinkat(target.as_path(), AT_FDCWD, link.as_path())
            }
            Self::Unlink(path) => nix::unistd::unlinkat(AT_FDCWD, path.as_path(), UnlinkatFlags::NoRemoveDir),
            Self::Umask(mask) => {
                nix::sys::stat::umask(Mode::from_bits_truncate(*mask));
                Ok(())
            }
            Self::BringUp(name) => sys::bring_up(name),
            Self::CloseOnExec { fd, .. } => sys::close_on_exec(*fd),
            Self::SetPath(path) => sys::set_variable("PATH", path),
            Self::SetGroups(groups) => sys::set_groups(groups),
            Self::SetGroup(gid) => sys::set_group(*gid),
            Self::SetUser(uid) => sys::set_user(*uid),
            Self::CreateCgroup { path, opened } => cgroup::make(path).map(|fd| handles.hold(opened, fd)),
            Self::RemoveStaleCgroups(paths) => cgroup::collect(paths),
            Self::RemoveEmptyCgroup(path) => cgroup::collect_empty(path),
            Self::KillCgroup(path) | Self::KillCgroupV1(path) => cgroup::kill(path),
            Self::RemoveCgroup(path) => cgroup::remove(path),
            Self::Fork(_) => Err(Errno::ENOSYS),
            Self::Helper { calls, opened } => {
                helper::start(calls).map(|helper| handles.attach_helper(opened, helper))
            }
            Self::InHelper { helper, call } => handles.helper(helper)?.ask(call),
            Self::RunProgram { program, argv } => helper::run(program, argv),
            Self::WritePid(path) => sys::write_pid(path),
            Self::DeathSignal(signo) => sys::set_death_signal(*signo),
            Self::KeepEnvironment(names) => sys::keep_environment(names),
            Self::KeepCapabilities => sys::keep_capabilities(),
        }
    }
}

/// Programs that are run have a page of their own.
fn page_of_program(program: &Path) -> &'static str {
    match program.file_name().map(|name| name.as_bytes()) {
        Some(b"newuidmap") => "newuidmap(1)",
        Some(b"newgidmap") => "newgidmap(1)",
        _ => "execve(2)",
    }
}

fn page_of_file(path: &Path) -> &'static str {
    let bytes = path.as_os_str().as_bytes();
    if bytes.ends_with(b"_map") || bytes.ends_with(b"/setgroups") {
        "user_namespaces(7)"
    } else if bytes.ends_with(b"/timens_offsets") {
        "time_namespaces(7)"
    } else if bytes.starts_with(b"/proc/") {
        "proc(5)"
    } else {
        "cgroups(7)"
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unshare(flags) => write!(f, "unshare({})", flags::Clone(*flags)),
            Self::Mount { source, target, fstype, flags, data } => write!(
                f,
                "mount({}, {}, {}, {}, {})",
                OrNull(source.as_deref()),
                quoted(target),
                OrNull(fstype.map(Path::new)),
                flags::Mount(*flags),
                OrNull(data.as_deref().map(Path::new)),
            ),
            Self::Unmount { target, flags } => {
                write!(f, "umount2({}, {})", quoted(target), flags::Unmount(*flags))
            }
            Self::OpenTree { path, .. } => write!(
                f,
                "open_tree(AT_FDCWD, {}, OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE)",
                quoted(path)
            ),
            Self::FsOpen { fstype, .. } => write!(f, "fsopen(\"{fstype}\", FSOPEN_CLOEXEC)"),
            Self::FsMount(opened) => write!(f, "fsmount(<{opened}>, FSMOUNT_CLOEXEC, 0)"),
            Self::ReadOnlyTree(opened) => write!(
                f,
                "mount_setattr(<{opened}>, \"\", AT_EMPTY_PATH|AT_RECURSIVE, \
                 {{attr_set=MOUNT_ATTR_RDONLY, attr_clr=0, propagation=0 /* MS_??? */, userns_fd=0}}, 32)"
            ),
            Self::MoveMount { opened, target } => write!(
                f,
                "move_mount(<{opened}>, \"\", AT_FDCWD, {}, MOVE_MOUNT_F_EMPTY_PATH)",
                quoted(target)
            ),
            Self::Enter { opened, dir } if dir.as_os_str().is_empty() => write!(f, "fchdir(<{opened}>)"),
            Self::Enter { opened, dir } => write!(f, "fchdir(<{opened}/{}>)", dir.display()),
            Self::PivotRoot { new_root, put_old } => {
                write!(f, "pivot_root({}, {})", quoted(new_root), quoted(put_old))
            }
            Self::Chroot(path) => write!(f, "chroot({})", quoted(path)),
            Self::Reopen { path, .. } | Self::Chdir(path) => write!(f, "chdir({})", quoted(path)),
            Self::SetHostname(name) => write!(f, "sethostname({}, {})", quoted(name), name.len()),
            Self::Write { path, data } => {
                write!(f, "write(<{}>, {}, {})", path.display(), Quoted(data), data.len())
            }
            Self::Mkdir { path, mode } => write!(f, "mkdirat(AT_FDCWD, {}, 0{mode:o})", quoted(path)),
            Self::Mknod { path, kind, mode, device: (major, minor) } if *kind == SFlag::S_IFCHR => write!(
                f,
                "mknodat(AT_FDCWD, {}, S_IFCHR|0{mode:o}, makedev({}, {}))",
                quoted(path),
                Hex(*major),
                Hex(*minor)
            ),
            Self::Mknod { path, mode, .. } => {
                write!(f, "mknodat(AT_FDCWD, {}, S_IFREG|0{mode:o})", quoted(path))
            }
            Self::Symlink { target, link } => {
                write!(f, "symlinkat({}, AT_FDCWD, {})", quoted(target), quoted(link))
            }
            Self::Unlink(path) => write!(f, "unlinkat(AT_FDCWD, {}, 0)", quoted(path)),
            Self::Umask(mask) => write!(f, "umask(0{mask:02o})"),
            Self::BringUp(name) => {
                write!(f, "ioctl(<socket>, SIOCSIFFLAGS, {{ifr_name=\"{name}\", ifr_flags=IFF_UP}})")
            }
            Self::CloseOnExec { fd, path } => {
                write!(f, "fcntl({fd}<{}>, F_SETFD, FD_CLOEXEC)", path.display())
            }
            Self::SetPath(path) => write!(f, "setenv(\"PATH\", {}, 1)", quoted(path)),
            Self::SetGroups(groups) => {
                let list: Vec<String> = groups.iter().map(u32::to_string).collect();
                write!(f, "setgroups({}, [{}])", groups.len(), list.join(", "))
            }
            Self::SetGroup(gid) => write!(f, "setresgid({gid}, {gid}, {gid})"),
            Self::SetUser(uid) => write!(f, "setresuid({uid}, {uid}, {uid})"),
            Self::CreateCgroup { path, .. } => write!(f, "mkdirat(AT_FDCWD, {}, 0700)", quoted(path)),
            Self::KillCgroupV1(path) => write!(f, "kill(<each process of {}>, SIGKILL)", path.display()),
            Self::KillCgroup(path) => write!(f, "write(<{}/cgroup.kill>, \"1\", 1)", path.display()),
            Self::RemoveCgroup(path) | Self::RemoveEmptyCgroup(path) => {
                write!(f, "unlinkat(AT_FDCWD, {}, AT_REMOVEDIR)", quoted(path))
            }
            Self::RemoveStaleCgroups(paths) => {
                let path = paths.first().map(PathBuf::as_path).unwrap_or(Path::new(""));
                write!(f, "unlinkat(AT_FDCWD, {}, AT_REMOVEDIR)", quoted(path))
            }
            Self::Fork(ForkOptions { into: Some(group), .. }) => write!(
                f,
                "clone3({{flags=CLONE_INTO_CGROUP, exit_signal=SIGCHLD, stack=NULL, stack_size=0, cgroup=<{group}>}}, 88)"
            ),
            Self::Fork(_) | Self::Helper { .. } => f.write_str("fork()"),
            Self::InHelper { call, .. } => call.fmt(f),
            Self::RunProgram { program, argv } => {
                let argv: Vec<String> = argv.iter().map(|arg| quoted(arg).to_string()).collect();
                write!(f, "execve({}, [{}], environ)", quoted(program), argv.join(", "))
            }
            Self::WritePid(path) => write!(f, "write(<{}>, \"<pid>\\n\")", path.display()),
            Self::DeathSignal(signo) => write!(f, "prctl(PR_SET_PDEATHSIG, {})", signal_name(*signo)),
            Self::KeepEnvironment(_) => f.write_str("clearenv()"),
            Self::KeepCapabilities => {
                f.write_str("prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, <each>, 0, 0)")
            }
        }
    }
}

/// A number as strace(1) shows a part of a device number.
struct Hex(u64);

impl Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { f.write_str("0") } else { write!(f, "{:#x}", self.0) }
    }
}

fn signal_name(signo: i32) -> String {
    Signal::try_from(signo).map_or_else(|_| signo.to_string(), |signal| signal.as_str().to_string())
}

struct OrNull<'a>(Option<&'a Path>);

impl Display for OrNull<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(text) => quoted(text).fmt(f),
            None => f.write_str("NULL"),
        }
    }
}

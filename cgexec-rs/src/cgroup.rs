//! A control group from mkdir(2) to rmdir(2), which a later run removes if the run that created it is killed.
//!
//! A run holds the lock of its group's directory as long as it lives. So a group with a free lock belongs to
//! a run that could not clean up. Written by hand for these locks, for killing version 1 groups while they
//! are frozen, and for removing the groups of a killed run.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::UnlinkatFlags;

use system::sys;

/// How long killed processes can take to leave a group. A process that is stuck in the kernel may never
/// leave.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for processes of another run, for which this run has to wait.
const REMOVE_STALE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long other runs can look whether a new group is stale.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Creates a group and locks it. If another run considers it stale and removes it before it is locked, it is
/// created again.
///
/// Its mode lets no other user open it before it is locked: a user who can open it can lock it.
///
/// # Errors
/// `EEXIST` if it exists, `EACCES`, `EPERM`, `EROFS`, `EAGAIN` at cgroup.max.depth
/// or cgroup.max.descendants.
pub fn make(path: &Path) -> Result<OwnedFd, Errno> {
    let mut made = false;
    let deadline = Instant::now() + LOCK_TIMEOUT;
    while Instant::now() < deadline {
        match nix::sys::stat::mkdirat(AT_FDCWD, path, Mode::from_bits_truncate(0o700)) {
            Ok(()) => made = true,
            Err(Errno::EEXIST) if made => {}
            Err(errno) => return Err(errno),
        }
        // any user may read the command's limits
        let locked = sys::try_lock_dir(path);
        match locked.and_then(|fd| sys::set_mode(fd.as_fd(), 0o755).map(|()| fd)) {
            Ok(fd) => return Ok(fd),
            Err(Errno::ENOENT | Errno::ENODEV) => {}
            Err(Errno::EWOULDBLOCK) => std::thread::sleep(Duration::from_millis(1)),
            Err(errno) => {
                // the first failure is the one to report
                let _ = remove_once(path);
                return Err(errno);
            }
        }
    }
    // a run that looks for stale groups does not hold the lock that long, so another run has the group
    Err(Errno::EEXIST)
}

/// Creates the group for the command, below the locked one: mkdir(2), open(2).
///
/// # Errors
/// Those of [`make`].
pub fn make_level(path: &Path) -> Result<OwnedFd, Errno> {
    nix::sys::stat::mkdirat(AT_FDCWD, path, Mode::from_bits_truncate(0o755))?;
    sys::open_directory(path).inspect_err(|_| {
        // the first failure is the one to report
        let _ = remove_once(path);
    })
}

/// Whether the group itself has no process.
pub fn holds_no_process(group: &Path) -> bool {
    fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|procs| procs.is_empty())
}

/// Whether the group itself has no other process.
pub fn is_alone_in(group: &Path) -> bool {
    let own = std::process::id().to_string();
    // 0 means a process of another PID namespace, so this process is not alone
    fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|procs| procs.lines().all(|pid| pid == own))
}

/// Whether the run that created the group has ended.
pub fn is_stale(path: &Path) -> bool {
    sys::try_lock_dir(path).is_ok()
}

/// Kills and removes the groups of one killed run, unless a run uses one of them now. Processes are killed in
/// the first group, which is removed last: a later run finds the other groups by its name.
///
/// # Errors
/// Those of [`kill`] and [`remove`].
pub fn collect(groups: &[PathBuf]) -> Result<(), Errno> {
    // held until the groups are removed, so that no run can start to use them
    let mut held = Vec::new();
    for path in groups {
        match sys::try_lock_dir(path) {
            Ok(lock) => held.push((path, lock)),
            Err(Errno::EWOULDBLOCK) => return Ok(()),
            // a run that creates it again is another run
            Err(Errno::ENOENT | Errno::ENODEV) => {}
            Err(errno) => return Err(errno),
        }
    }
    let deadline = Instant::now() + REMOVE_STALE_TIMEOUT;
    if let Some((first, _)) = held.first() {
        kill_until(first, deadline)?;
    }
    held.iter().rev().try_for_each(|(path, _)| remove_until(path, deadline))
}

/// Removes a group without processes, unless a run uses it now.
///
/// # Errors
/// Those of open(2), flock(2) and unlinkat(2); a group that is gone or in use is not an error.
pub fn collect_empty(path: &Path) -> Result<(), Errno> {
    let removed = sys::try_lock_dir(path).and_then(|_lock| remove_once(path));
    match removed {
        Err(Errno::EWOULDBLOCK | Errno::EBUSY | Errno::ENOENT | Errno::ENODEV) => Ok(()),
        removed => removed,
    }
}

/// Writes to cgroup.subtree_control. The kernel can report a group as busy whose last process has just left
/// it, so that error is retried for a few milliseconds.
///
/// # Errors
/// Those of open(2) and write(2): `EBUSY` if the group holds processes, `ENOENT` if the parent does not
/// enable a controller, `EINVAL` for an unknown controller.
pub fn write_subtree_control(path: &Path, data: &[u8]) -> Result<(), Errno> {
    for _ in 0..10 {
        match sys::write_file(path, data) {
            Err(Errno::EBUSY) => std::thread::sleep(Duration::from_millis(1)),
            result => return result,
        }
    }
    Err(Errno::EBUSY)
}

/// Kills every process in the group and below.
///
/// cgroup.kill (Linux 5.14) reaches all at once. Without it (older kernels, version 1) the processes are
/// killed one by one until none is left that could fork. In a group of version 1's freezer they are frozen
/// meanwhile, so that none can fork.
///
/// # Errors
/// Those of open(2) and write(2) for cgroup.kill; a group that is gone is not an error.
///
/// # Source
/// Documentation/admin-guide/cgroup-v2.rst, "cgroup.kill"; cgroup-v1/freezer-subsystem.rst.
pub fn kill(path: &Path) -> Result<(), Errno> {
    kill_until(path, Instant::now() + REMOVE_TIMEOUT)
}

fn kill_until(path: &Path, deadline: Instant) -> Result<(), Errno> {
    match sys::write_file(&path.join("cgroup.kill"), b"1") {
        Err(Errno::ENOENT) if path.is_dir() => kill_one_by_one(path, deadline),
        Err(Errno::ENOENT | Errno::ENODEV) => Ok(()),
        other => other,
    }
}

fn kill_one_by_one(path: &Path, deadline: Instant) -> Result<(), Errno> {
    let mut pause = Duration::from_micros(200);
    loop {
        freeze(path);
        let mut found = 0;
        each_group(path, &mut |Visited { group, .. }| {
            for pid in processes_of(group) {
                found += 1;
                // a process that has ended in between is fine
                let _ = sys::kill(pid, Signal::SIGKILL as i32);
            }
            // a frozen process of version 1 dies when it is thawed; no freezer has no such file
            let _ = sys::write_at(group, "freezer.state", b"THAWED");
        });
        if found == 0 || Instant::now() > deadline {
            return Ok(());
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Freezes everything in a group of version 1's freezer and below; in other groups nothing happens.
///
/// Some processes cannot be frozen at once, and a fork bomb on a slow machine has thousands. So the write is
/// repeated for a while; processes that are still not frozen are killed all the same.
fn freeze(path: &Path) {
    let state = path.join("freezer.state");
    for _ in 0..200 {
        // the state is written again each time: the next write finds processes that forked meanwhile
        if sys::write_file(&state, b"FROZEN").is_err()
            || fs::read(&state).is_ok_and(|state| state.starts_with(b"FROZEN"))
        {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Removes the group with the groups below it, and waits for processes that are about to end.
///
/// # Errors
/// `EBUSY` if processes stay in it, else those of unlinkat(2); a group that is gone is not an error.
pub fn remove(path: &Path) -> Result<(), Errno> {
    remove_until(path, Instant::now() + REMOVE_TIMEOUT)
}

fn remove_until(path: &Path, deadline: Instant) -> Result<(), Errno> {
    let mut pause = Duration::from_micros(200);
    let mut tries = 0;
    loop {
        tries += 1;
        match remove_once(path) {
            Ok(()) | Err(Errno::ENOENT | Errno::ENODEV) => return Ok(()),
            Err(errno) if tries < 3 || (errno == Errno::EBUSY && Instant::now() < deadline) => {
                // a process can have moved out of the group in which the others were killed
                if tries > 2 {
                    kill_until(path, deadline)?;
                }
                // the command may have made groups of its own, which stand in the way
                each_group(path, &mut |Visited { place, .. }| {
                    if let Some((above, name)) = place {
                        // tried again with the whole tree until the deadline
                        let _ = nix::unistd::unlinkat(above, name, UnlinkatFlags::RemoveDir);
                    }
                });
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(50));
            }
            Err(errno) => return Err(errno),
        }
    }
}

fn remove_once(path: &Path) -> Result<(), Errno> {
    nix::unistd::unlinkat(AT_FDCWD, path, UnlinkatFlags::RemoveDir)
}

/// The processes of a group and of those below it, except those of other PID namespaces, which have no number
/// here.
pub fn processes(path: &Path) -> Vec<i32> {
    let mut pids = Vec::new();
    each_group(path, &mut |Visited { group, .. }| pids.extend(processes_of(group)));
    pids
}

/// A group of a tree.
struct Visited<'a> {
    group: BorrowedFd<'a>,
    /// The group above and the name there; nothing for the top.
    place: Option<(BorrowedFd<'a>, &'a OsStr)>,
}

/// Calls `with` for each group of the tree, the deepest first. The command may have created more levels than fit in a
/// path, or than this process can have open descriptors.
fn each_group(top: &Path, with: &mut dyn FnMut(Visited<'_>)) {
    let Ok(mut group) = sys::open_directory(top) else { return };
    // those above, each with the names in it that are still to be visited
    let mut above: Vec<(OsString, Vec<OsString>)> = Vec::new();
    let mut names = sys::directories_in(group.as_fd()).unwrap_or_default();
    loop {
        if let Some(name) = names.pop() {
            // removed in between
            let Ok(inner) = sys::open_directory_at(group.as_fd(), &name) else { continue };
            let below = sys::directories_in(inner.as_fd()).unwrap_or_default();
            above.push((name, std::mem::replace(&mut names, below)));
            group = inner;
            continue;
        }
        let Some((name, others)) = above.pop() else {
            return with(Visited { group: group.as_fd(), place: None });
        };
        let Ok(outer) = sys::open_directory_at(group.as_fd(), OsStr::new("..")) else { return };
        with(Visited { group: group.as_fd(), place: Some((outer.as_fd(), &name)) });
        (group, names) = (outer, others);
    }
}

/// The processes of a group that can be named here: 0 stands for one of another PID namespace.
fn processes_of(group: BorrowedFd<'_>) -> Vec<i32> {
    let procs = sys::read_at(group, "cgroup.procs").unwrap_or_default();
    let procs = String::from_utf8_lossy(&procs);
    procs.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// flock(2) and mkdir(2) behave the same on every file system
    fn place(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("chain-group-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_group_that_another_run_has_just_made_is_not_ours_too() {
        let path = place("twice");
        let first = make(&path).unwrap();
        assert_eq!(make(&path).unwrap_err(), Errno::EEXIST);
        assert!(!is_stale(&path));
        drop(first);
        // even if the run has ended
        assert_eq!(make(&path).unwrap_err(), Errno::EEXIST);
        assert!(is_stale(&path));
        fs::remove_dir(path).unwrap();
    }

    #[test]
    fn of_the_groups_of_a_killed_run_the_first_goes_last() {
        let (first, other) = (place("first"), place("other"));
        fs::create_dir(&first).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(other.join("in-the-way"), "").unwrap();
        let both = [first.clone(), other.clone()];
        assert_eq!(collect(&both), Err(Errno::ENOTEMPTY));
        assert!(first.is_dir());
        fs::remove_file(other.join("in-the-way")).unwrap();
        let used = sys::try_lock_dir(&other).unwrap();
        assert_eq!(collect(&both), Ok(()));
        assert!(first.is_dir() && other.is_dir());
        drop(used);
        assert_eq!(collect(&both), Ok(()));
        assert!(!first.exists() && !other.exists());
    }

    #[test]
    fn a_tree_deeper_than_a_path_can_be_long_is_removed() {
        let top = place("deep");
        let name = "d".repeat(250);
        let mut dir = make(&top).unwrap();
        for _ in 0..2000 {
            for name in [name.as_str(), "beside"] {
                nix::sys::stat::mkdirat(&dir, name, Mode::S_IRWXU).unwrap();
            }
            dir = sys::open_directory_at(dir.as_fd(), OsStr::new(&name)).unwrap();
        }
        assert_eq!(remove(&top), Ok(()));
        assert!(!top.exists());
    }

    #[test]
    fn who_opened_a_group_that_was_made_anew_since_does_not_take_the_new_one_for_a_stale_one() {
        let path = place("anew");
        fs::create_dir(&path).unwrap();
        let opened = sys::open_directory(&path).unwrap();
        fs::remove_dir(&path).unwrap();
        let ours = make(&path).unwrap();
        assert_eq!(sys::lock_opened(opened, &path).unwrap_err(), Errno::ENOENT);
        drop(ours);
        fs::remove_dir(path).unwrap();
    }

    #[test]
    fn a_group_that_was_taken_for_a_stale_one_before_its_lock_was_there_is_made_again() {
        let path = place("again");
        // a collector holds the lock, then removes what it locked
        fs::create_dir(&path).unwrap();
        let lock = sys::try_lock_dir(&path).unwrap();
        fs::remove_dir(&path).unwrap();
        let ours = make(&path).unwrap();
        drop(lock);
        assert!(!is_stale(&path));
        drop(ours);
        fs::remove_dir(path).unwrap();
    }
}

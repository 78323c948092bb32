//! A control group from mkdir(2) to rmdir(2), even if the run that created it is killed.
//!
//! A run holds the lock of its group's directory as long as it lives, so a group whose lock is free
//! was left by a run that could not clean up. Kept by hand for these locks, for
//! killing version 1 groups while they are frozen, and for removing what a killed run left.

use std::fs;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::UnlinkatFlags;

use system::sys;

/// How long killed processes may take to leave a group. One that waits in the kernel may never leave.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for processes of another run, which delay this run.
const REMOVE_STALE_TIMEOUT: Duration = Duration::from_secs(1);

/// Creates a group and locks it. If another run takes it for a stale group and removes it before it is
/// locked, it is created again.
///
/// Its mode lets no other user open it before it is locked: a user who can open it can lock it.
///
/// # Errors
/// `EEXIST` if it exists, `EACCES`, `EPERM`, `EROFS`, `EAGAIN` at cgroup.max.depth
/// or cgroup.max.descendants.
pub fn make(path: &Path) -> Result<OwnedFd, Errno> {
    let mut made = false;
    for _ in 0..100 {
        match nix::sys::stat::mkdirat(AT_FDCWD, path, Mode::from_bits_truncate(0o700)) {
            Ok(()) => made = true,
            Err(Errno::EEXIST) if made => {}
            Err(errno) => return Err(errno),
        }
        // any user may read the limits of the command
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
    // a run that looks for stale groups holds the lock for a moment only: another run has the group
    Err(Errno::EEXIST)
}

/// Creates the group in which a command runs, below the one that is locked: mkdir(2), open(2).
///
/// # Errors
/// As [`make`].
pub fn make_level(path: &Path) -> Result<OwnedFd, Errno> {
    nix::sys::stat::mkdirat(AT_FDCWD, path, Mode::from_bits_truncate(0o755))?;
    sys::open_directory(path)
}

/// Whether no process is in the group itself.
pub fn holds_no_process(group: &Path) -> bool {
    fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|procs| procs.is_empty())
}

/// Whether no other process is in the group itself.
pub fn is_alone_in(group: &Path) -> bool {
    let own = std::process::id().to_string();
    // 0 stands for a process of another PID namespace: not alone
    fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|procs| procs.lines().all(|pid| pid == own))
}

/// Whether the run that made the group is gone.
pub fn is_stale(path: &Path) -> bool {
    sys::try_lock_dir(path).is_ok()
}

/// Kills and removes the groups of one killed run, unless a run uses one of them now. Processes are
/// killed in the first group, which is removed last: a later run finds the others by its name.
///
/// # Errors
/// As [`kill`] and [`remove`].
pub fn collect(groups: &[PathBuf]) -> Result<(), Errno> {
    // held until the groups are removed, so that no run can use them
    let mut held = Vec::new();
    for path in groups {
        match sys::try_lock_dir(path) {
            Ok(lock) => held.push((path, lock)),
            Err(Errno::EWOULDBLOCK) => return Ok(()),
            // a run that creates it again is not the run that was killed
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
/// As open(2), flock(2) and unlinkat(2); a group that is gone or in use is not an error.
pub fn collect_empty(path: &Path) -> Result<(), Errno> {
    let removed = sys::try_lock_dir(path).and_then(|_lock| remove_once(path));
    match removed {
        Err(Errno::EWOULDBLOCK | Errno::EBUSY | Errno::ENOENT | Errno::ENODEV) => Ok(()),
        removed => removed,
    }
}

/// Writes to cgroup.subtree_control. The kernel may call a group busy that its last process has
/// just left, so that answer is asked for again for a few milliseconds.
///
/// # Errors
/// As open(2) and write(2): `EBUSY` where the group holds processes, `ENOENT` where the group
/// above does not hand a controller on, `EINVAL` for none of the kernel's.
pub fn hand_on(path: &Path, data: &[u8]) -> Result<(), Errno> {
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
/// cgroup.kill (Linux 5.14) reaches all at once; where it is missing (older kernels,
/// v1) the processes are killed one by one until none is left to fork another. In a group of
/// version 1's freezer they are frozen meanwhile, so that none can.
///
/// # Errors
/// As open(2) and write(2) of cgroup.kill; a group that is gone is not an error.
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
        each_group(path, &mut |group| {
            let procs = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
            // 0 stands for a process of another PID namespace, which we cannot name
            for pid in procs.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0) {
                found += 1;
                // gone in between is as good as killed
                let _ = sys::kill(pid, Signal::SIGKILL as i32);
            }
            // a frozen process of version 1 dies when it is thawed; no freezer has no such file
            let _ = sys::write_file(&group.join("freezer.state"), b"THAWED");
        });
        if found == 0 || Instant::now() > deadline {
            return Ok(());
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Stops everything in a group of version 1's freezer and below; elsewhere nothing happens.
///
/// Some processes cannot be stopped at once, and a fork bomb on a slow machine has thousands, so it
/// is asked for a while; those that are still not frozen then are killed all the same.
fn freeze(path: &Path) {
    let state = path.join("freezer.state");
    for _ in 0..200 {
        // read again each time: a process that forked meanwhile is found by the next write
        if sys::write_file(&state, b"FROZEN").is_err()
            || fs::read(&state).is_ok_and(|state| state.starts_with(b"FROZEN"))
        {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Removes the group, deepest first, and waits for processes that are still on their way out.
///
/// # Errors
/// `EBUSY` when processes stay in it, else as unlinkat(2); a group that is gone is not an error.
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
                // a process may have left the group in which the others were killed
                if tries > 2 {
                    kill_until(path, deadline)?;
                }
                // the command may have made groups of its own, which stand in the way
                each_group(path, &mut |group| {
                    if group != path {
                        // tried again with the whole tree until the deadline
                        let _ = remove_once(group);
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

/// The processes of a group and of those below, but for those of other PID namespaces, which cannot be
/// named here.
pub fn processes(path: &Path) -> Vec<i32> {
    let mut pids = Vec::new();
    each_group(path, &mut |group| {
        let procs = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        pids.extend(procs.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
    });
    pids
}

/// Calls `with` for each group of the tree, the deepest first.
fn each_group(path: &Path, with: &mut dyn FnMut(&Path)) {
    if let Ok(entries) = fs::read_dir(path) {
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                each_group(&entry.path(), with);
            }
        }
    }
    with(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// flock(2) and mkdir(2) are the same on any file system.
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
        // also one that its run has left
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

//! A fingerprint of all that a tool could leave behind on the machine.
//!
//! Taken before, compared after: mounts, cgroups, processes, temporary files. Temporary files are those in a
//! directory that only this process and its children use.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::{deadline, scratch};

/// How the names of the control groups begin that hold the containers of [`crate::engine::Engine`].
pub(crate) const ENGINE_GROUP_PREFIX: &str = "chain-engine-";

/// The machine before a test, to be taken first in it: when the test is over, and everything
/// that it made is dropped, the machine has to be the same, or the test fails.
///
/// Tests that take one run one after the other, since each would see what another does.
#[derive(Debug)]
pub struct Snapshot {
    before: BTreeSet<String>,
    _alone: MutexGuard<'static, ()>,
}

/// The turn of a test that takes no snapshot but would be seen by one of another test in its program.
pub fn turn() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // a test that failed spoils nothing for the next: it compares for itself
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Snapshot {
    /// Waits for its turn and looks at the machine.
    ///
    /// From here on what loses its parent becomes our child, so that no process
    /// can get out of sight.
    pub fn take() -> Self {
        let alone = turn();
        become_subreaper();
        scratch::own_temporary_directory();
        Self { before: machine(), _alone: alone }
    }

    /// Waits until nothing that this test started runs any more: a kill takes a moment to reach
    /// the last of a chain.
    #[track_caller]
    pub fn all_ended(&self) {
        let alive = || descendants(process::id());
        let ended = deadline::wait("all processes to end", deadline::EVENT_TIMEOUT, || {
            alive().is_empty().then_some(())
        });
        if let Err(why) = ended {
            panic!("{why}: {:#?}", alive());
        }
    }

    /// Fails if anything is left that was not there before, or the other way round.
    ///
    /// The kernel takes processes, mounts and groups apart in the background; it
    /// gets [`deadline::EVENT_TIMEOUT`].
    #[track_caller]
    pub fn unchanged(&self) {
        if let Some(left) = self.left() {
            panic!("the machine is not as it was before:\n{left}");
        }
    }

    /// What [`Self::unchanged`] fails with, if anything.
    pub fn left(&self) -> Option<String> {
        let same = || difference(&self.before, &machine()).is_empty().then_some(());
        let settled = deadline::wait("the machine to be as before", deadline::EVENT_TIMEOUT, same);
        settled.is_err().then(|| difference(&self.before, &machine()))
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // a test that failed is not blamed for what it left
        if !thread::panicking() {
            self.unchanged();
        }
    }
}

fn become_subreaper() {
    // SAFETY: PR_SET_CHILD_SUBREAPER takes a flag and touches no memory.
    let set = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
    assert_eq!(set, 0, "prctl(PR_SET_CHILD_SUBREAPER): {}", std::io::Error::last_os_error());
}

/// Everything that counts, a line for each thing; a test's own scratch directories do not.
fn machine() -> BTreeSet<String> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").expect("/proc/self/mountinfo");
    let mounts = mountinfo.lines().map(|line| format!("mount: {line}"));
    let groups = cgroup_mounts(&mountinfo).into_iter().flat_map(|root| directories(&root));
    // a group with a process that is not a descendant of ours belongs to another run
    let ours = descendants(process::id());
    let groups = groups.filter(|dir| !inhabited_by_others(dir, &ours) && !is_engines(dir));
    let groups = groups.map(|dir| format!("cgroup: {}", dir.display()));
    let processes = ours.values().map(|what| format!("process: {what}"));
    let files = fs::read_dir(env::temp_dir()).into_iter().flatten().flatten();
    let own = |name: &OsStr| name.as_bytes().starts_with(scratch::prefix().as_bytes());
    let files = files.filter(|entry| !own(&entry.file_name()));
    let files = files.map(|entry| format!("file: {}", entry.path().display()));
    mounts.chain(groups).chain(processes).chain(files).collect()
}

fn difference(before: &BTreeSet<String>, after: &BTreeSet<String>) -> String {
    // what an earlier, killed run had to leave is collected by the next one
    let collected = |line: &&String| line.starts_with("cgroup: ") && line.contains("/cgexec-");
    // another test's, which has ended since
    let ended = |line: &&String| line.starts_with("process: ");
    let gone = before
        .difference(after)
        .filter(|line| !collected(line) && !ended(line))
        .map(|line| format!("- {line}"));
    let new = after.difference(before).map(|line| format!("+ {line}"));
    gone.chain(new).collect::<Vec<_>>().join("\n")
}

/// Whether a control group is an engine's: it comes and goes while other tests look at the machine, and the
/// engine sees to it that it goes.
fn is_engines(group: &Path) -> bool {
    group.components().any(|part| part.as_os_str().as_bytes().starts_with(ENGINE_GROUP_PREFIX.as_bytes()))
}

/// Where cgroup hierarchies are mounted: `proc_pid_mountinfo(5)`, the type comes after ` - `.
pub fn cgroup_mounts(mountinfo: &str) -> Vec<PathBuf> {
    let of_cgroups = |line: &&str| {
        let kind = line.split(" - ").nth(1).and_then(|rest| rest.split(' ').next());
        matches!(kind, Some("cgroup" | "cgroup2"))
    };
    let place = |line: &str| line.split(' ').nth(4).map(PathBuf::from);
    mountinfo.lines().filter(of_cgroups).filter_map(place).collect()
}

/// All directories below one, without it.
pub(crate) fn directories(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    // a group may go while we look
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(directories(&entry.path()));
            found.push(entry.path());
        }
    }
    found
}

/// Whether a process lives in a group, or in one below it, that is none of `ours`.
fn inhabited_by_others(group: &Path, ours: &BTreeMap<u32, String>) -> bool {
    let lives_in = |group: &Path| {
        let processes = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        processes.lines().filter_map(|pid| pid.parse().ok()).any(|pid: u32| !ours.contains_key(&pid))
    };
    lives_in(group) || directories(group).iter().any(|below| lives_in(below))
}

/// The living processes below one, and what each of them runs.
pub fn descendants(ancestor: u32) -> BTreeMap<u32, String> {
    reap_adopted();
    let parents: BTreeMap<u32, (u32, String)> = fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, alive(pid)?)))
        .collect();
    let descends = |mut pid: u32| {
        while let Some((parent, _)) = parents.get(&pid) {
            if *parent == ancestor {
                return true;
            }
            pid = *parent;
        }
        false
    };
    let below = parents.iter().filter(|(pid, _)| descends(**pid));
    below.map(|(pid, (_, what))| (*pid, format!("{pid} {what}"))).collect()
}

/// Reaps the commands of killed supervisors, which came to us: until then the kernel keeps the process 1
/// of their PID namespace. Nobody here waits for a child of another PID namespace.
fn reap_adopted() {
    let is_elsewhere = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        numbers.is_some_and(|numbers| numbers.split_whitespace().count() > 1)
    };
    let own = process::id();
    let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
    for pid in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
        if is_elsewhere(pid) {
            let _ = waitpid(Pid::from_raw(pid.cast_signed()), Some(WaitPidFlag::WNOHANG));
        }
    }
}

/// The parent of a process that is not a zombie, and its command: `proc_pid_stat(5)`.
fn alive(pid: u32) -> Option<(u32, String)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // the name is in parentheses and may contain some
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = words.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    (!matches!(state, "Z" | "X")).then(|| (parent, format!("{name}: {}", words.join(" ").trim_end())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Run;

    #[test]
    fn what_is_left_and_what_is_gone_is_shown() {
        let lines = |text: &str| text.split(' ').map(String::from).collect();
        assert_eq!(difference(&lines("a b"), &lines("b c")), "- a\n+ c");
    }

    #[test]
    fn a_file_and_a_process_that_stay_are_seen() {
        let before = Snapshot::take();
        let file = env::temp_dir().join(format!("left-behind-{}", process::id()));
        fs::write(&file, "").unwrap();
        let process = Run::new("sleep").arg("1000").start();
        // until execve(2) is complete, it is that of this program, and then empty
        let line = format!("/proc/{}/cmdline", process.pid());
        deadline::until("its command line", || {
            fs::read(&line).ok().filter(|line| line.starts_with(b"sleep"))
        });
        let seen = difference(&before.before, &machine());
        nix::sys::signal::kill(process.pid(), nix::sys::signal::SIGKILL).unwrap();
        process.end();
        fs::remove_file(file).unwrap();
        assert!(seen.contains("/left-behind-"), "{seen}");
        assert!(seen.contains("sleep: sleep 1000"), "{seen}");
    }

    #[test]
    fn all_cgroup_hierarchies_are_found() {
        let mountinfo = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:5 - cgroup2 cgroup2 rw\n";
        let found = cgroup_mounts(mountinfo);
        assert_eq!(found, [Path::new("/sys/fs/cgroup/pids"), Path::new("/sys/fs/cgroup/unified")]);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What to type inside to see what a call did: the second line that `--explain=see` gives.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use crate::call::Call;
use crate::flags::CLONE_NEWTIME;
use crate::reporter::quoted;

/// Shell words that show the effect of a call from inside, once the command runs.
///
/// `here` is where relative paths of the call will be found then. Nothing for a call whose effect cannot be
/// seen any more, because it only served the next one.
pub(crate) fn inspection_command(call: &Call, here: &Path) -> Option<String> {
    let at = |path: &Path| word(&plain(&here.join(path)));
    Some(match call {
        Call::Unshare(flags) => links(*flags),
        Call::Mount { target, flags, .. } if flags.intersects(PROPAGATION) => {
            format!("findmnt -o TARGET,PROPAGATION {}", at(target))
        }
        Call::Mount { target, .. } | Call::MoveMount { target, .. } => format!("findmnt {}", at(target)),
        Call::PivotRoot { .. } => "findmnt /".to_string(),
        Call::Chroot(_) => "ls -id / /..".to_string(),
        Call::Chdir(_) => "pwd".to_string(),
        Call::SetHostname(_) => "uname -n".to_string(),
        Call::Write { path, .. } => format!("cat {}", word(path)),
        Call::Mkdir { path, .. } | Call::Mknod { path, .. } | Call::Symlink { link: path, .. } => {
            format!("ls -ld {}", at(path))
        }
        Call::Umask(_) => "umask".to_string(),
        Call::BringUp(name) => format!("ip address show {name}"),
        Call::CloseOnExec { .. } => "ls -l /proc/self/fd".to_string(),
        Call::SetPath(_) => "echo \"$PATH\"".to_string(),
        Call::SetGroups(_) | Call::SetGroup(_) | Call::SetUser(_) => "id".to_string(),
        Call::Fork(stay) if stay.into.is_some() => "cat /proc/self/cgroup".to_string(),
        Call::Fork(_) => "ps -o pid,ppid,comm".to_string(),
        Call::InHelper { call, .. } => return inspection_command(call, here),
        Call::RunProgram { program, .. } if program.ends_with("newuidmap") => {
            "cat /proc/self/uid_map".to_string()
        }
        Call::RunProgram { program, .. } if program.ends_with("newgidmap") => {
            "cat /proc/self/gid_map".to_string()
        }
        Call::WritePid(path) => format!("cat {}", word(path)),
        Call::KeepEnvironment(_) => "env".to_string(),
        Call::KeepCapabilities => "grep CapAmb /proc/self/status".to_string(),
        _ => return None,
    })
}

/// Where the paths of later calls are found, once this one is made.
pub(crate) fn track_cwd(call: &Call, here: PathBuf) -> PathBuf {
    match call {
        Call::Enter { dir, .. } => Path::new("/").join(dir),
        _ => here,
    }
}

const PROPAGATION: MsFlags =
    MsFlags::MS_PRIVATE.union(MsFlags::MS_SLAVE).union(MsFlags::MS_SHARED).union(MsFlags::MS_UNBINDABLE);

/// The links in /proc that have changed.
fn links(flags: CloneFlags) -> String {
    let kinds = [
        (CloneFlags::CLONE_NEWUSER, "user"),
        (CloneFlags::CLONE_NEWNS, "mnt"),
        (CloneFlags::CLONE_NEWUTS, "uts"),
        (CloneFlags::CLONE_NEWIPC, "ipc"),
        (CloneFlags::CLONE_NEWPID, "pid"),
        (CloneFlags::CLONE_NEWNET, "net"),
        (CloneFlags::CLONE_NEWCGROUP, "cgroup"),
        (CLONE_NEWTIME, "time"),
    ];
    let asked = kinds.into_iter().filter(|(kind, _)| flags.contains(*kind));
    let names: Vec<_> = asked.map(|(_, name)| format!("/proc/self/ns/{name}")).collect();
    format!("readlink {}", names.join(" "))
}

/// A path as a shell reads it.
fn word(path: &Path) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    match path.to_str() {
        Some(text) if path.as_os_str().as_bytes().iter().all(is_plain) => text.to_string(),
        _ => quoted(path).to_string(),
    }
}

/// A path without its `.` parts.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_mount_did_is_seen_where_it_will_be() {
        let enter = Call::Enter { opened: "new root", dir: "dev/pts".into() };
        let here = track_cwd(&enter, PathBuf::from("/"));
        let mount = Call::mount("devpts", ".", "devpts", MsFlags::empty());
        assert_eq!(inspection_command(&mount, &here).as_deref(), Some("findmnt /dev/pts"));
        assert_eq!(inspection_command(&enter, &here), None);
    }

    #[test]
    fn new_namespaces_are_seen_by_their_links() {
        let call = Call::Unshare(CloneFlags::CLONE_NEWUTS | CLONE_NEWTIME);
        let shown = inspection_command(&call, Path::new("/"));
        assert_eq!(shown.as_deref(), Some("readlink /proc/self/ns/uts /proc/self/ns/time"));
    }
}

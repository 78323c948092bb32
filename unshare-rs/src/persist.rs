//! Namespaces that a file keeps after their last process: the FILE of `--net=FILE`.
//!
//! A bind mount of /proc/PID/ns/net on FILE does this. It is made outside, because a mount made inside would
//! vanish with the mount namespace: namespaces(7), "The /proc/pid/ns/ directory".

use std::path::{Path, PathBuf};

use chain::Failure;
use nix::sched::CloneFlags;
use system::namespace::NamespaceKind;

use crate::namespaces::{NamespaceOption, Namespaces};

/// A namespace to persist in a file.
#[derive(Clone, Debug)]
pub struct PersistedNamespace {
    /// The kind of namespace.
    pub kind: NamespaceKind,
    /// The file to mount it on.
    pub file: PathBuf,
    /// Whether the file must be created first.
    pub create: bool,
}

impl PersistedNamespace {
    /// The namespace and the file of `--net=FILE`.
    ///
    /// # Errors
    /// docker's `--net=host`, `--user=1000` and similar, which would create files with these names.
    pub fn from_option((option, file): &(&NamespaceOption, PathBuf)) -> Result<Self, Failure> {
        reject_docker_syntax(option, file)?;
        Ok(Self { kind: option.kind, file: file.clone(), create: !file.exists() })
    }

    /// Whether it exists only once it has a process: pid_namespaces(7).
    pub fn needs_child(&self) -> bool {
        self.kind.flag == CloneFlags::CLONE_NEWPID
    }

    /// The kernel's file for it.
    pub fn source(&self, pid: u32) -> PathBuf {
        // the process that creates a PID or time namespace does not enter it: namespaces(7)
        let children = if Namespaces::NONE.with(self.kind.flag).need_child() { "_for_children" } else { "" };
        format!("/proc/{pid}/ns/{}{children}", self.kind.file).into()
    }
}

/// Rejects docker's and podman's words for a network or another namespace. A word without a meaning for this
/// namespace is a file, if that file exists.
fn reject_docker_syntax(option: &NamespaceOption, file: &Path) -> Result<(), Failure> {
    let (name, long) = (option.kind.name, option.long);
    let Some(word) = file.to_str() else { return Ok(()) };
    let instead = match word.split(':').next().unwrap_or_default() {
        "host" => format!("to share the machine's: --share {long}"),
        "none" => format!("to enter a new one without a file: --{long}"),
        _ if file.exists() => return Ok(()),
        "private" | "shareable" => format!("to enter a new one without a file: --{long}"),
        "bridge" | "default" | "pasta" | "slirp4netns" if option.kind.flag == CloneFlags::CLONE_NEWNET => {
            "for a connected network: 'pasta --config-net -- unshare-rs --share net,user --'".to_string()
        }
        "container" | "ns" => {
            format!("to enter the namespace of a process, as root: 'nsenter --{long} --target PID'")
        }
        id if option.kind.flag == CloneFlags::CLONE_NEWUSER && id.parse::<u64>().is_ok() => {
            let group = word.split_once(':').map_or(id, |(_, group)| group);
            format!("to run as this user: 'chroot-rs --userspec {id}:{group} ubuntu-fs'")
        }
        "keep-id" | "auto" | "nomap" if option.kind.flag == CloneFlags::CLONE_NEWUSER => {
            "to keep your own id: --map-current-user; for all of /etc/subuid: --map-auto".to_string()
        }
        _ => return Ok(()),
    };
    Err(Failure::new(format!("--{long}={word} keeps a new {name} namespace in a file named {word}"))
        .hint(format!("{instead}; for the file: --{long}=./{word}")))
}

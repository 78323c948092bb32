//! Namespaces that a file keeps when no process is left in them: the FILE of `--net=FILE`.
//!
//! A bind mount of /proc/PID/ns/net on FILE does so. It is made outside, because a mount made
//! inside would go with the mount namespace: namespaces(7), "The /proc/pid/ns/ directory".

use std::path::{Path, PathBuf};

use chain::Failure;
use nix::sched::CloneFlags;
use system::namespace::Kind;

use crate::namespaces::{NamespaceOption, Namespaces};

/// A namespace to persist in a file.
#[derive(Clone, Debug)]
pub struct PersistedNamespace {
    /// Which.
    pub kind: Kind,
    /// The file to mount it on.
    pub file: PathBuf,
    /// Whether the file has to be created first.
    pub create: bool,
}

impl PersistedNamespace {
    /// The namespace and the file of `--net=FILE`.
    ///
    /// # Errors
    /// docker's `--net=host`, `--net=bridge` and the like, which here would create files of these names.
    pub fn from_option((option, file): &(&NamespaceOption, PathBuf)) -> Result<Self, Failure> {
        reject_docker_syntax(option, file)?;
        Ok(Self { kind: option.kind, file: file.clone(), create: !file.exists() })
    }

    /// Whether it exists only once its first process does: pid_namespaces(7).
    pub fn needs_child(&self) -> bool {
        self.kind.flag == CloneFlags::CLONE_NEWPID
    }

    /// The file of the kernel that stands for it.
    pub fn source(&self, pid: u32) -> PathBuf {
        // the process that makes a PID or time namespace does not enter it: namespaces(7)
        let children = if Namespaces::NONE.with(self.kind.flag).need_child() { "_for_children" } else { "" };
        format!("/proc/{pid}/ns/{}{children}", self.kind.file).into()
    }
}

/// Refuses a word of docker's or podman's for a network or another namespace; one that is no network is a
/// file all the same if there is a file of this name.
fn reject_docker_syntax(option: &NamespaceOption, file: &Path) -> Result<(), Failure> {
    let (name, long) = (option.kind.name, option.long);
    let Some(word) = file.to_str() else { return Ok(()) };
    let instead = match word.split(':').next().unwrap_or_default() {
        "host" => format!("to use that of the machine: --share {long}"),
        "none" => format!("to enter a new one without a file: --{long}"),
        _ if file.exists() => return Ok(()),
        "private" | "shareable" => format!("to enter a new one without a file: --{long}"),
        "bridge" | "default" | "pasta" | "slirp4netns" if option.kind.flag == CloneFlags::CLONE_NEWNET => {
            "for a network with a connection: 'pasta --config-net -- unshare-rs --share net,user --'"
                .to_string()
        }
        "container" | "ns" => format!("to enter the one of a process: 'nsenter --{long} --target PID'"),
        "keep-id" | "auto" | "nomap" if option.kind.flag == CloneFlags::CLONE_NEWUSER => {
            "to keep your own id: --map-current-user; for all of /etc/subuid: --map-auto".to_string()
        }
        _ => return Ok(()),
    };
    Err(Failure::new(format!("--{long}={word} keeps a new {name} namespace in a file named {word}"))
        .hint(format!("{instead}; for the file: --{long}=./{word}")))
}

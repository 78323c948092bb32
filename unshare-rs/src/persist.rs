// SPDX-License-Identifier: MIT OR Apache-2.0
//! Namespaces that a file keeps when no process is left in them: the FILE of `--net=FILE`.
//!
//! A bind mount of /proc/PID/ns/net on FILE does so. It is made outside, because a mount made
//! inside would go with the mount namespace: namespaces(7), "The /proc/pid/ns/ directory".

use std::path::PathBuf;

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
    /// docker's `--net=host` and `--net=none`, which here would create files of these names.
    pub fn from_option((option, file): &(&NamespaceOption, PathBuf)) -> Result<Self, Failure> {
        reject_docker_syntax(option, file.to_str())?;
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

fn reject_docker_syntax(option: &NamespaceOption, file: Option<&str>) -> Result<(), Failure> {
    let (name, long) = (option.kind.name, option.long);
    let (file, instead) = match file {
        Some(file @ "host") => (file, format!("to leave that of the machine: --share {long}")),
        Some(file @ "none") => (file, format!("to enter it and no more: --{long}")),
        _ => return Ok(()),
    };
    Err(Failure::new(format!("--{long}={file} keeps a new {name} namespace in a file named {file}"))
        .hint(format!("{instead}; if the file is meant: --{long}=./{file}")))
}

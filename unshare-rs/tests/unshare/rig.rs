// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs unshare-rs as its users do, and what came of it.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// The built tool: in `CHAIN_TOOLS`, as tests/run has it, or where cargo put it.
pub fn tool() -> PathBuf {
    match std::env::var_os("CHAIN_TOOLS") {
        Some(dir) => PathBuf::from(dir).join("unshare-rs"),
        None => PathBuf::from(env!("CARGO_BIN_EXE_unshare-rs")),
    }
}

/// How a command ended and what it said.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    /// As a shell has it: 128+N for signal N.
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// A command that must succeed and say nothing on standard error.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!((self.status, self.err.as_str()), (0, ""), "{}", self.out);
        self.out
    }

    /// A tool that failed before the command ran, with these lines.
    #[track_caller]
    pub fn refused(self, lines: &[&str]) {
        assert_eq!((self.status, self.out.as_str()), (125, ""), "{}", self.err);
        assert_eq!(self.err.lines().collect::<Vec<_>>(), lines);
    }
}

/// Runs a program to its end.
pub fn run(program: impl AsRef<OsStr>, args: &[&str]) -> Ran {
    let mut command = Command::new(program);
    // what a caller of the tests has set must not make the tool talk
    command.args(args).env("LC_ALL", "C").env_remove("CHAIN_EXPLAIN").stdin(Stdio::null());
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|why| panic!("cannot start {command:?}: {why}"));
    Ran {
        status: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()),
        out: String::from_utf8_lossy(&stdout).into_owned(),
        err: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// Runs unshare-rs.
pub fn unshare(args: &[&str]) -> Ran {
    run(tool(), args)
}

/// Runs a script of sh(1) in which `$T` is unshare-rs.
pub fn script(text: &str) -> Ran {
    let tool = tool();
    run("timeout", &["20", "sh", "-c", &format!("T={}\n{text}", tool.display())])
}

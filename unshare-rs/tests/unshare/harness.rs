//! Runs unshare-rs as its users do, and reports the result.

use std::ffi::OsStr;
use std::path::PathBuf;

use tests::{End, Run};

/// The built tool: from `CHAIN_TOOLS`, set by tests/run, or where cargo put it.
pub fn tool() -> PathBuf {
    match std::env::var_os("CHAIN_TOOLS") {
        Some(dir) => PathBuf::from(dir).join("unshare-rs"),
        None => PathBuf::from(env!("CARGO_BIN_EXE_unshare-rs")),
    }
}

/// How a command ended, and what it printed.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    /// As in a shell: 128+N for signal N.
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Asserts that the command succeeded with an empty standard error, and returns its output.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!((self.status, self.err.as_str()), (0, ""), "{}", self.out);
        self.out
    }

    /// Asserts that the tool failed before the command ran, with these lines.
    #[track_caller]
    pub fn refused(self, lines: &[&str]) {
        assert_eq!((self.status, self.out.as_str()), (125, ""), "{}", self.err);
        assert_eq!(self.err.lines().collect::<Vec<_>>(), lines);
    }
}

/// Runs a program and waits for it.
#[track_caller]
pub fn run(program: impl AsRef<OsStr>, args: &[&str]) -> Ran {
    ran(Run::new(program).args(args))
}

/// The result of a run.
#[track_caller]
pub fn ran(run: Run) -> Ran {
    // variables of the caller must not make the tool print more
    let run = run.env("LC_ALL", "C").with(|run| {
        run.env_remove("CHAIN_EXPLAIN").env_remove("CHAIN_DRY_RUN");
    });
    let ended = run.end();
    let status = match ended.end {
        End::Exit(status) => status,
        End::Signal(signal) => 128 + signal,
    };
    Ran { status, out: ended.out(), err: ended.err() }
}

/// Runs unshare-rs.
pub fn unshare(args: &[&str]) -> Ran {
    run(tool(), args)
}

/// Runs a script of sh(1) in which `$T` is unshare-rs.
#[track_caller]
pub fn script(text: &str) -> Ran {
    run("sh", &["-c", &format!("T={}\n{text}", tool().display())])
}

//! Library shared by the tools of a chain: plans, calls, exec, messages.
//!
//! Each tool is one sentence: read the options, read the system, make a
//! [`Plan`](plan::Plan), carry it out, become the command. This crate is the
//! grammar of that sentence, on top of `system`; it knows no tool's options.
//!
//! # The contract of a link
//!
//! A link is called as `TOOL [OPTION]... [--] COMMAND [ARG]...`. Options stop at
//! the first operand; a long option may be shortened as long as it stays the
//! only one meant.
//!
//! | exit status | meaning |
//! | --- | --- |
//! | 125 | the tool failed before the command ran, also by wrong usage |
//! | 126 | the command was found and could not be run |
//! | 127 | the command was not found |
//! | any other | the command's own |
//!
//! Where a parent stays behind the command and a signal ended the command, the
//! parent ends by the same signal, or exits with 128+N if it is
//! PID 1, which a signal it does not handle cannot end: [`supervise`].
//!
//! What a link was not asked to change, it passes on untouched: the bytes of the
//! arguments, the environment, open descriptors, umask, working directory, the
//! signal mask and dispositions, the terminal, session and niceness. std's
//! runtime would change some of these before `main` (SIGPIPE, closed standard
//! descriptors), so a link's `main` is the C entry point: `system::main!`.
//!
//! What the user asked for by an option either happens or the tool ends with 125
//! and has changed nothing. What a default wanted and the machine cannot give is
//! left out, with one line that says what is missing. That is decided while the
//! plan is made, by looking; a call of the plan that then fails is an error.
//!
//! Standard output belongs to the command. The tool speaks on standard error, in
//! lines that start with its name: [`reporter`].

pub mod args;
pub mod call;
pub mod chain_dry_run;
pub mod exec;
mod execution;
pub mod exit;
pub mod failure;
pub mod flags;
pub mod handles;
pub mod handover;
mod helper;
pub mod idmap;
pub mod plan;
pub mod process_one;
pub mod reporter;
mod step;
pub mod supervise;
pub mod user_namespace;

pub use call::Call;
pub use exit::{FAILED, NOT_FOUND, NOT_RUNNABLE};
pub use failure::Failure;
pub use plan::Plan;
pub use process_one::ProcessOne;
pub use reporter::{Reporter, Verbosity};

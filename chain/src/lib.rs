//! Library shared by the tools of a chain: plans, calls, exec, messages.
//!
//! Each tool does the same five things: it reads its options, reads the system, makes a
//! [`Plan`](plan::Plan), executes it, and becomes the command. This crate contains what the
//! tools share for this, on top of `system`. It knows no tool's options.
//!
//! # The contract of a link
//!
//! A link is called as `TOOL [OPTION]... [--] COMMAND [ARG]...`. Options stop at
//! the first operand. A long option can be shortened as long as only one option
//! begins that way.
//!
//! | exit status | meaning |
//! | --- | --- |
//! | 125 | the tool failed before the command ran, or was used wrongly |
//! | 126 | the command was found and could not be run |
//! | 127 | the command was not found |
//! | any other | the command's own |
//!
//! If a parent waits for the command and a signal ends the command, the
//! parent ends by the same signal. If the parent is process 1, which a signal without
//! a handler cannot end, it exits with 128+N: [`supervise`].
//!
//! A link changes only what it was asked to change. It passes on the bytes of the
//! arguments, the environment, open descriptors, umask, working directory, the
//! signal mask and dispositions, the terminal, session and niceness. std's
//! runtime would change some of these before `main` (SIGPIPE, closed standard
//! descriptors), so a link's `main` is the C entry point: `system::main!`.
//!
//! If an option cannot be applied, the tool exits with 125 and has changed nothing. If a
//! default cannot be applied on this machine, the tool skips it and prints one line.
//! It decides this while it makes the plan, from what it reads. A call
//! of the plan that then fails is an error.
//!
//! Standard output belongs to the command. The tool prints its lines on standard error,
//! each after its name: [`reporter`].

pub mod args;
pub mod call;
pub mod chain_dry_run;
pub mod command;
mod execution;
pub mod exit;
pub mod failure;
pub mod flags;
pub mod handles;
pub mod handover;
mod helper;
pub mod idmap;
mod layout;
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
pub use reporter::{Detail, Reporter, Verbosity};

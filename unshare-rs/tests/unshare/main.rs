//! unshare-rs as users run it: the built program against the kernel.
//!
//! A module's name says who runs its tests: `as_root`, `as_user` (an ordinary user with subordinate ids),
//! `as_anyone` (both), `in_vm` (root in the VM, where no other module of these runs). They run only with
//! `--include-ignored`.
#![cfg(test)]

mod callers;
mod harness;
mod hints;
mod kernel_switch_hints;
mod namespace_subsets;
mod persisted_namespaces;
mod same_as_util_linux;
mod terminal;

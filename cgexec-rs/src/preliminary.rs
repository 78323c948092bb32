// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls that are made before there is a plan, because the plan depends on what they answer.

use std::fmt::Display;

use chain::{Reporter, Verbosity};

/// Shows a call as a step and makes it; a dry run does not make it and gets nothing.
pub fn make<T>(
    reason: &str,
    call: &impl Display,
    page: &str,
    reporter: &Reporter,
    make: impl FnOnce() -> T,
) -> Option<T> {
    reporter.step(reason, call, page);
    (reporter.verbosity() != Verbosity::DryRun).then(make)
}

//! Why a tool stopped before its command ran, as the user reads it.

use std::fmt::{self, Display};

use crate::exit::FAILED;

/// One line that says what failed, at most one hint, and the exit status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What failed, on what and why, without the tool's name.
    pub message: String,
    /// What the user can do, as an imperative.
    pub hint: Option<String>,
    /// The exit status of the process.
    pub status: i32,
}

impl Failure {
    /// A failure without a hint, with the status 125 of a link in a chain.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, status: FAILED }
    }

    /// The same failure with a hint.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same failure with another exit status.
    #[must_use]
    pub fn status(self, status: i32) -> Self {
        Self { status, ..self }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

//! The part of D-Bus that is needed to ask systemd for a scope: a method call, its reply, one signal.
//!
//! Written by hand: a library brings 18 to 85 crates. zbus, for example, sends the inner user id from inside
//! a user namespace, which systemd refuses, and starts a thread.
//!
//! # Source
//! https://dbus.freedesktop.org/doc/dbus-specification.html

pub mod connection;
pub mod wire;

pub use connection::Connection;
pub use wire::{Body, Message};

/// Why communication failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// An error of the socket.
    Io(std::io::ErrorKind),
    /// The peer refused the authentication.
    Rejected,
    /// The peer sent an invalid answer.
    Malformed(&'static str),
    /// The peer refused the request: the error's name and text.
    Refused(String, String),
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.kind())
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                f.write_str("it does not answer")
            }
            Self::Io(kind) => write!(f, "{kind}"),
            Self::Rejected => f.write_str("it refused the authentication"),
            Self::Malformed(what) => write!(f, "it sent an invalid answer: {what}"),
            Self::Refused(name, text) => write!(f, "{text} ({name})"),
        }
    }
}

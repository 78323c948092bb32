//! The options about rights: `--cap-add` and others, spelled as in docker.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::capabilities::Capabilities;

/// The value of `--seccomp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeccompChoice {
    /// The built-in table.
    Default,
    /// Allows every call, except typing into the terminal.
    Unconfined,
    /// A docker profile in a file.
    File(PathBuf),
}

impl SeccompChoice {
    // any other word is a file name
    fn parse(text: OsString) -> Result<Self, Infallible> {
        Ok(match text.to_str() {
            Some("default") => Self::Default,
            Some("unconfined") => Self::Unconfined,
            _ => Self::File(text.into()),
        })
    }
}

/// The options that change the command's rights.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RightsOptions {
    /// Keep all capabilities, allow all system calls and leave kernel settings writable; root inside can get out
    #[arg(long, conflicts_with_all = ["plain", "cap_drop", "seccomp"])]
    pub privileged: bool,

    /// Also keep this capability, such as NET_ADMIN, or ALL; the user of --userspec can then use it, too
    #[arg(long, value_name = "CAP", value_delimiter = ',', conflicts_with = "plain")]
    pub cap_add: Vec<Capabilities>,

    /// Also drop this capability, such as NET_RAW, or ALL
    #[arg(long, value_name = "CAP", value_delimiter = ',', conflicts_with = "plain")]
    pub cap_drop: Vec<Capabilities>,

    /// Ignore set-user-ID bits and file capabilities in NEWROOT and in bound directories
    #[arg(long, conflicts_with = "plain")]
    pub nosuid: bool,

    /// Keep programs such as su and sudo from giving more rights than their caller has
    #[arg(long, conflicts_with = "plain")]
    pub no_new_privs: bool,

    /// Refuse the usual system calls (default), those that a docker profile in FILE refuses, or none (unconfined)
    #[arg(long, value_name = "default|unconfined|FILE", conflicts_with = "plain",
        value_parser = parser())]
    pub seccomp: Option<SeccompChoice>,
}

fn parser() -> impl clap::builder::TypedValueParser<Value = SeccompChoice> {
    use clap::builder::{OsStringValueParser, TypedValueParser as _};
    OsStringValueParser::new().try_map(SeccompChoice::parse)
}

impl RightsOptions {
    /// Whether an option changes the command's rights.
    pub const fn are_requested(&self) -> bool {
        self.changes_capabilities() || self.no_new_privs || self.nosuid || self.seccomp.is_some()
    }

    /// Whether the command can keep a capability that the caller has.
    pub fn keep(&self, capability: u32) -> bool {
        let wanted = Capabilities::default_set().changed(&self.cap_add, &self.cap_drop);
        self.privileged || wanted.has(capability)
    }

    /// Whether an option names a capability.
    pub const fn changes_capabilities(&self) -> bool {
        !self.cap_add.is_empty() || !self.cap_drop.is_empty()
    }
}

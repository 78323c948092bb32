//! The options about rights: `--cap-add` and the like, in docker's spelling.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::capabilities::Capabilities;

/// `--seccomp` as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeccompChoice {
    /// The table of this program.
    Default,
    /// Every call passes, but for typing into the terminal.
    Unconfined,
    /// A profile of docker's in a file.
    File(PathBuf),
}

impl SeccompChoice {
    // any other word is the name of a file
    fn parse(text: OsString) -> Result<Self, Infallible> {
        Ok(match text.to_str() {
            Some("default") => Self::Default,
            Some("unconfined") => Self::Unconfined,
            _ => Self::File(text.into()),
        })
    }
}

/// What the command may do, where an option says so.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RightsOptions {
    /// Keep all capabilities, allow all system calls and leave kernel settings writable; root inside can get out
    #[arg(long, conflicts_with_all = ["plain", "cap_drop", "seccomp"])]
    pub privileged: bool,

    /// Keep this capability as well, such as NET_ADMIN, or ALL; it is then also effective for the user of --userspec
    #[arg(long, value_name = "CAP", value_delimiter = ',', conflicts_with = "plain")]
    pub cap_add: Vec<Capabilities>,

    /// Give up this capability as well, such as NET_RAW, or ALL
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
    /// Whether an option changes what the command may do.
    pub const fn are_requested(&self) -> bool {
        self.changes_capabilities() || self.no_new_privs || self.nosuid || self.seccomp.is_some()
    }

    /// Whether the command may keep a capability that the caller has.
    pub fn keep(&self, capability: u32) -> bool {
        let wanted = Capabilities::default_set().changed(&self.cap_add, &self.cap_drop);
        self.privileged || wanted.has(capability)
    }

    /// Whether an option names a capability.
    pub const fn changes_capabilities(&self) -> bool {
        !self.cap_add.is_empty() || !self.cap_drop.is_empty()
    }
}

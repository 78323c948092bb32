//! The options of unshare-rs.

use std::ffi::OsString;

use chain::args::Tool;
use clap::builder::{OsStringValueParser, TypedValueParser as _};

use crate::clock::Offset;
use crate::namespaces::{NamespaceOptions, Namespaces};

pub use environment::EnvironmentOptions;
pub use filesystem::{BINFMT_DIR, BinfmtOptions, FilesystemOptions, Propagation};
pub use ids::{IdOptions, MapSource, SetgroupsRule, Userns};
pub use process::ProcessOptions;

mod environment;
mod filesystem;
mod ids;
mod process;

/// The name, the help text and the version.
pub const TOOL: Tool = Tool {
    name: "unshare-rs",
    about: "Enter new namespaces, then become COMMAND.\n\n\
        Without options that name namespaces, COMMAND runs in a container: new mount, UTS, IPC, \
        network and PID namespaces (and a user namespace for an ordinary user), the hostname \
        'container', lo up, and a new /proc.",
    operands: "[--] [COMMAND [ARG]...]",
    version: env!("CARGO_PKG_VERSION"),
    usage_error: chain::FAILED,
    write_error: chain::FAILED,
    advice: hints::advice,
};

/// All options.
#[derive(Debug, Default, clap::Args)]
pub struct Options {
    /// The namespaces, and files that keep them.
    #[command(flatten, next_help_heading = "Namespaces")]
    pub namespaces: NamespaceOptions,

    /// The child, and the parent that waits for it.
    #[command(flatten, next_help_heading = "Processes")]
    pub process: ProcessOptions,

    /// Mounts, root and working directory.
    #[command(flatten, next_help_heading = "Mounts and directories")]
    pub filesystem: FilesystemOptions,

    /// The environment.
    #[command(flatten, next_help_heading = "Environment")]
    pub environment: EnvironmentOptions,

    /// Interpreters of foreign programs.
    #[command(flatten, next_help_heading = "Interpreters")]
    pub binfmt: BinfmtOptions,

    /// Users, groups and capabilities.
    #[command(flatten, next_help_heading = "Users, groups and capabilities")]
    pub ids: IdOptions,

    /// Set the hostname; implies --uts with options that name namespaces
    #[arg(long, help_heading = "Namespaces", value_name = "NAME", value_parser = OsStringValueParser::new().try_map(hostname))]
    pub hostname: Option<OsString>,

    /// Share namespaces with the caller instead of creating new ones: net, ipc, ...
    #[arg(long, help_heading = "Namespaces", value_name = "NAMESPACE[,...]", value_parser = str::parse::<Namespaces>)]
    pub share: Option<Namespaces>,

    /// Leave lo down in a new network namespace
    #[arg(long, help_heading = "Namespaces")]
    pub no_loopback: bool,

    /// Move the monotonic clock by SECONDS; implies --time
    #[arg(long, help_heading = "Namespaces", value_name = "SECONDS", allow_hyphen_values = true, value_parser = str::parse::<Offset>)]
    pub monotonic: Option<Offset>,

    /// Move the boot clock by SECONDS; implies --time
    #[arg(long, help_heading = "Namespaces", value_name = "SECONDS", allow_hyphen_values = true, value_parser = str::parse::<Offset>)]
    pub boottime: Option<Offset>,
}

/// Accepts what the kernel accepts: sethostname(2), __NEW_UTS_LEN.
fn hostname(name: OsString) -> Result<OsString, String> {
    match name.len() {
        0 => Err("expected at least one byte".to_string()),
        1..=64 => Ok(name),
        len => Err(format!("expected at most 64 bytes, got {len}")),
    }
}

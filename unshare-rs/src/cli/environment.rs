//! The options about environment variables.

use std::ffi::OsString;

/// The options about environment variables.
#[derive(Debug, Default, clap::Args)]
pub struct EnvironmentOptions {
    /// Give COMMAND an empty environment
    #[arg(long)]
    pub clear_env: bool,

    /// Give COMMAND only these variables
    #[arg(long, value_name = "NAME[,...]", value_delimiter = ',')]
    pub whitelist_env: Vec<OsString>,
}

impl EnvironmentOptions {
    /// The variables to keep, unless all of them are kept.
    pub fn kept(&self) -> Option<Vec<OsString>> {
        (self.clear_env || !self.whitelist_env.is_empty()).then(|| self.whitelist_env.clone())
    }
}

//! The groups of `-g`, in libcgroup's notation: `CONTROLLERS:PATH`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use crate::group_path::below_root;

/// A group to join, and the hierarchies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub controllers: Controllers,
    /// The path from the top of the hierarchy.
    pub path: PathBuf,
}

/// The hierarchies that an option names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Controllers {
    /// `*`: every hierarchy that has this group.
    All,
    /// An empty list: version 2, whatever its controllers are.
    V2,
    Named(Vec<String>),
}

impl TryFrom<OsString> for Target {
    type Error = &'static str;

    fn try_from(text: OsString) -> Result<Self, Self::Error> {
        let mut parts = text.as_bytes().splitn(2, |byte| *byte == b':');
        let (Some(list), Some(path)) = (parts.next(), parts.next()) else {
            return Err("expected CONTROLLERS:PATH: memory,pids:my/group");
        };
        let path = below_root(OsStr::from_bytes(path))?;
        let controllers = match list {
            b"*" => Controllers::All,
            b"" => Controllers::V2,
            list => {
                Controllers::Named(String::from_utf8_lossy(list).split(',').map(str::to_string).collect())
            }
        };
        Ok(Self { controllers, path })
    }
}

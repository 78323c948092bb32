// SPDX-License-Identifier: MIT OR Apache-2.0
//! What SOURCE names.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// Where the root directory comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A tar archive in a file.
    File(PathBuf),
    /// A tar archive on standard input.
    Stdin,
    /// The host's own programs: these, or, without any, what a person expects.
    Host(Vec<OsString>),
}

impl Source {
    /// Reads the operand. A path with a slash before its colon is always a path.
    pub fn parse(operand: &OsStr) -> Self {
        let bytes = operand.as_bytes();
        if bytes == b"-" {
            return Self::Stdin;
        }
        if let Some(programs) = bytes.strip_prefix(b"host:") {
            let programs = programs.split(|&byte| byte == b',').filter(|program| !program.is_empty());
            return Self::Host(programs.map(|program| OsStr::from_bytes(program).to_owned()).collect());
        }
        Self::File(PathBuf::from(operand))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operand_is_a_path_unless_it_names_a_transport() {
        assert_eq!(Source::parse(OsStr::new("-")), Source::Stdin);
        assert_eq!(Source::parse(OsStr::new("./host:x")), Source::File("./host:x".into()));
        assert_eq!(Source::parse(OsStr::new("host:")), Source::Host(Vec::new()));
        assert_eq!(
            Source::parse(OsStr::new("host:bash,/bin/ls")),
            Source::Host(vec!["bash".into(), "/bin/ls".into()])
        );
    }
}

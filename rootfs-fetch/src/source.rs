// SPDX-License-Identifier: MIT OR Apache-2.0
//! What SOURCE names.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use crate::image::{Form, Reference};

/// The transports of containers-transports(5) that need no network.
const IMAGES: [(&str, Form); 3] = [
    ("oci:", Form::OciDirectory),
    ("oci-archive:", Form::OciArchive),
    ("docker-archive:", Form::DockerArchive),
];

/// Where the root directory comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A tar archive in a file.
    File(PathBuf),
    /// A tar archive on standard input.
    Stdin,
    /// A container image.
    Image(Reference),
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
        for (prefix, form) in IMAGES {
            if let Some(rest) = bytes.strip_prefix(prefix.as_bytes()) {
                return Self::Image(Reference::parse(form, OsStr::from_bytes(rest)));
            }
        }
        let path = PathBuf::from(operand);
        if path.join("oci-layout").is_file() {
            return Self::Image(Reference { form: Form::OciDirectory, path, tag: None });
        }
        Self::File(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operand_is_a_path_unless_it_names_a_transport() {
        assert_eq!(Source::parse(OsStr::new("-")), Source::Stdin);
        assert_eq!(Source::parse(OsStr::new("./host:x")), Source::File("./host:x".into()));
        let image = |form, path: &str, tag: &str| {
            Source::Image(Reference { form, path: path.into(), tag: Some(tag.into()) })
        };
        assert_eq!(Source::parse(OsStr::new("oci:no/dir:v1")), image(Form::OciDirectory, "no/dir", "v1"));
        assert_eq!(
            Source::parse(OsStr::new("docker-archive:no.tar:ubuntu:24.04")),
            image(Form::DockerArchive, "no.tar", "ubuntu:24.04")
        );
        assert_eq!(Source::parse(OsStr::new("host:")), Source::Host(Vec::new()));
        assert_eq!(
            Source::parse(OsStr::new("host:bash,/bin/ls")),
            Source::Host(vec!["bash".into(), "/bin/ls".into()])
        );
    }
}

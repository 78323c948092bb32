// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the caller wants mounted besides: `--bind`, `--tmpfs` and `--resolv-conf`, in the order
//! in which they were written, because a later one may lie on an earlier one.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Arg, ArgAction, ArgMatches, Command};

/// One mount that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountRequest {
    /// A file or directory of the caller's.
    Bind(Bind),
    /// An empty file system in memory.
    Tmpfs(Tmpfs),
    /// The caller's resolver.
    ResolvConf,
}

/// `SRC[:DST[:ro]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// An absolute path outside.
    pub source: PathBuf,
    /// An absolute path inside.
    pub target: PathBuf,
    /// Whether it can only be read.
    pub read_only: bool,
}

/// `DST[:SIZE]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tmpfs {
    /// An absolute path inside.
    pub target: PathBuf,
    /// As tmpfs(5) reads it: bytes with k, m or g, or a part of the memory with %.
    pub size: Option<String>,
}

impl Bind {
    fn parse(text: OsString) -> Result<Self, String> {
        let mut parts = split(&text).into_iter();
        let source = parts.next().unwrap_or_default();
        if source.is_empty() {
            return Err("SRC is empty".to_string());
        }
        let source = std::path::absolute(&source).map_err(|why| why.to_string())?;
        let target = match parts.next() {
            Some(target) if !target.is_empty() => PathBuf::from(target),
            _ => source.clone(),
        };
        let read_only = match parts.next().as_deref().map(OsStr::as_bytes) {
            None | Some(b"rw") => false,
            Some(b"ro") => true,
            Some(_) => {
                return Err("after DST comes 'ro' or 'rw'; a colon in a path is written '\\:'".to_string());
            }
        };
        if parts.next().is_some() {
            return Err("it has a part too many; a colon in a path is written '\\:'".to_string());
        }
        Ok(Self { source, target: inside(target)?, read_only })
    }
}

impl Tmpfs {
    fn parse(text: OsString) -> Result<Self, String> {
        let mut parts = split(&text).into_iter();
        let target = inside(PathBuf::from(parts.next().unwrap_or_default()))?;
        let size = parts.next().map(|size| kernels_size(&size.to_string_lossy()));
        match &size {
            Some(size) if !is_size(size) => {
                Err("a size is a number with k, m or g, or with % of the memory".to_string())
            }
            _ if parts.next().is_some() => Err("it has a part too many".to_string()),
            _ => Ok(Self { target, size }),
        }
    }
}

/// `10MB` and `10MiB`, as docker takes them, are the kernel's `10M`.
fn kernels_size(size: &str) -> String {
    let without = size.strip_suffix("iB").or_else(|| size.strip_suffix('B'));
    let units = ['k', 'K', 'm', 'M', 'g', 'G'];
    without.filter(|number| number.ends_with(units)).unwrap_or(size).to_string()
}

fn is_size(size: &str) -> bool {
    let digits = size.trim_end_matches(['k', 'K', 'm', 'M', 'g', 'G', '%']);
    size.len() - digits.len() <= 1 && digits.parse::<u64>().is_ok_and(|number| number > 0)
}

fn inside(target: PathBuf) -> Result<PathBuf, String> {
    match (target.is_absolute(), target.components().nth(1)) {
        (false, _) => Err("DST starts with '/': it is a path in the new root".to_string()),
        (true, None) => Err("DST is the new root itself".to_string()),
        (true, Some(_)) => Ok(target),
    }
}

/// The parts between colons; `\:` is a colon.
fn split(text: &OsStr) -> Vec<OsString> {
    let mut parts = vec![Vec::new()];
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = match after.strip_prefix(b":") {
            Some(after) if byte == b'\\' => (Some(b':'), after),
            _ => (Some(byte).filter(|byte| *byte != b':'), after),
        };
        match (byte, parts.last_mut()) {
            (Some(byte), Some(part)) => part.push(byte),
            _ => parts.push(Vec::new()),
        }
        rest = after;
    }
    parts.into_iter().map(OsString::from_vec).collect()
}

/// All requests, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountRequests(pub Vec<MountRequest>);

impl clap::Args for MountRequests {
    fn augment_args(command: Command) -> Command {
        let many =
            |name: &'static str| Arg::new(name).long(name).action(ArgAction::Append).conflicts_with("plain");
        command
            .arg(
                many("bind")
                    .value_name("SRC[:DST[:ro]]")
                    .value_parser(OsStringValueParser::new().try_map(Bind::parse))
                    .help("Show a file or directory inside, at DST or its own path; repeatable"),
            )
            .arg(
                many("tmpfs")
                    .value_name("DST[:SIZE]")
                    .value_parser(OsStringValueParser::new().try_map(Tmpfs::parse))
                    .help("Mount an empty file system in memory; repeatable, in order with --bind"),
            )
            .arg(
                Arg::new("resolv-conf")
                    .long("resolv-conf")
                    .action(ArgAction::SetTrue)
                    .conflicts_with("plain")
                    .help("Show the caller's /etc/resolv.conf inside, read-only"),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for MountRequests {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut found: Vec<(usize, MountRequest)> = Vec::new();
        let binds = matches.get_many::<Bind>("bind").into_iter().flatten().cloned().map(MountRequest::Bind);
        found.extend(matches.indices_of("bind").into_iter().flatten().zip(binds));
        let tmpfs =
            matches.get_many::<Tmpfs>("tmpfs").into_iter().flatten().cloned().map(MountRequest::Tmpfs);
        found.extend(matches.indices_of("tmpfs").into_iter().flatten().zip(tmpfs));
        found.sort_by_key(|(at, _)| *at);
        let mut requests: Vec<MountRequest> = found.into_iter().map(|(_, request)| request).collect();
        if matches.get_flag("resolv-conf") {
            requests.push(MountRequest::ResolvConf);
        }
        Ok(Self(requests))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Where the caller's resolver is written: resolv.conf(5).
pub const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The caller's resolver, through its links: often one into /run, of systemd-resolved(8).
pub fn resolver() -> Option<PathBuf> {
    Path::new(RESOLV_CONF).canonicalize().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(text: &str) -> Result<(String, String, bool), String> {
        let bind = Bind::parse(text.into())?;
        let text = |path: PathBuf| path.into_os_string().into_string().unwrap();
        Ok((text(bind.source), text(bind.target), bind.read_only))
    }

    fn three(source: &str, target: &str, read_only: bool) -> (String, String, bool) {
        (source.into(), target.into(), read_only)
    }

    #[test]
    fn a_bind_is_a_source_a_target_and_ro() {
        assert_eq!(bind("/a").unwrap(), three("/a", "/a", false));
        assert_eq!(bind("/a:/b").unwrap(), three("/a", "/b", false));
        assert_eq!(bind("/a:/b:ro").unwrap(), three("/a", "/b", true));
        assert_eq!(bind("/a::ro").unwrap(), three("/a", "/a", true));
        assert_eq!(bind("/a\\:x:/b\\:y:rw").unwrap(), three("/a:x", "/b:y", false));
        assert_eq!(bind("/a\\b").unwrap(), three("/a\\b", "/a\\b", false));
    }

    #[test]
    fn a_relative_source_is_the_callers_and_a_relative_target_nobodys() {
        let here = std::env::current_dir().unwrap().into_os_string().into_string().unwrap();
        assert_eq!(bind("src:/b").unwrap(), three(&format!("{here}/src"), "/b", false));
        for wrong in ["/a:b", "/a:/", ":/b", "", "/a:/b:x", "/a:/b:ro:ro", "/a:/b/c:"] {
            assert!(bind(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_tmpfs_has_a_size_that_the_kernel_can_read() {
        let parse = |text: &str| Tmpfs::parse(text.into());
        assert_eq!(parse("/run").unwrap(), Tmpfs { target: "/run".into(), size: None });
        assert_eq!(parse("/run:64m").unwrap().size.unwrap(), "64m");
        // as docker has it
        assert_eq!(parse("/run:10MB").unwrap().size.unwrap(), "10M");
        assert_eq!(parse("/run:1GiB").unwrap().size.unwrap(), "1G");
        assert_eq!(parse("/run:50%").unwrap().size.unwrap(), "50%");
        for wrong in [
            "run",
            "/",
            "",
            "/run:",
            "/run:0",
            "/run:k",
            "/run:1kk",
            "/run:1B",
            "/run:-1",
            "/run:1,uid=0",
            "/run:1:2",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}

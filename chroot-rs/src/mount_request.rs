//! The mounts that options ask for: `--bind`, `--bind-try`, `--tmpfs` and `--resolv-conf`, in the order of
//! the command line, because a later mount can be inside an earlier one.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Arg, ArgAction, ArgMatches, Command};

/// A mount that an option asks for. Sources are absolute paths outside, targets absolute paths inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountRequest {
    /// `--bind SRC[:DST[:OPTIONS]]`; also `--bind-try`, where SRC can be missing.
    Bind { source: PathBuf, target: PathBuf, options: BindOptions, may_be_missing: bool },
    /// `--tmpfs DST[:SIZE]`; the size as in tmpfs(5): bytes with k, m or g, or % of the memory.
    Tmpfs { target: PathBuf, size: Option<String> },
    /// `--resolv-conf`
    ResolvConf,
}

/// The options of `--bind`, with the names of podman's `--volume` and mount(8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindOptions {
    /// `ro`
    pub read_only: bool,
    /// `noexec`
    pub no_exec: bool,
    /// `rbind`: with the mounts below the source. `bind` is without them.
    pub recursive: bool,
}

impl Default for BindOptions {
    fn default() -> Self {
        Self { read_only: false, no_exec: false, recursive: true }
    }
}

impl BindOptions {
    fn parse(text: &OsStr) -> Result<Self, String> {
        let mut options = Self::default();
        for word in text.as_bytes().split(|byte| *byte == b',') {
            match word {
                b"ro" => options.read_only = true,
                b"rw" => options.read_only = false,
                b"noexec" => options.no_exec = true,
                b"exec" => options.no_exec = false,
                b"bind" => options.recursive = false,
                b"rbind" => options.recursive = true,
                _ => {
                    return Err(format!("expected ro, rw, noexec, exec, bind or rbind after DST; {COLON}"));
                }
            }
        }
        Ok(options)
    }
}

const COLON: &str = "write a colon in a path as '\\:'";

impl MountRequest {
    fn parse_bind(text: OsString) -> Result<Self, String> {
        Self::parse_any_bind(&text, false)
    }

    fn parse_bind_try(text: OsString) -> Result<Self, String> {
        Self::parse_any_bind(&text, true)
    }

    fn parse_any_bind(text: &OsStr, may_be_missing: bool) -> Result<Self, String> {
        let mut parts = split(text).into_iter();
        let source = parts.next().unwrap_or_default();
        if source.is_empty() {
            return Err("SRC is empty".to_string());
        }
        let source = std::path::absolute(&source).map_err(|why| why.to_string())?;
        let target = match parts.next() {
            Some(target) if !target.is_empty() => PathBuf::from(target),
            _ => source.clone(),
        };
        let options = parts.next().map(|words| BindOptions::parse(&words)).transpose()?.unwrap_or_default();
        if parts.next().is_some() {
            return Err(format!("expected at most SRC:DST:OPTIONS; {COLON}"));
        }
        let target = inside(target).map_err(|why| format!("{why}; {COLON}"))?;
        Ok(Self::Bind { source, target, options, may_be_missing })
    }

    fn parse_tmpfs(text: OsString) -> Result<Self, String> {
        let mut parts = split(&text).into_iter();
        let target = inside(PathBuf::from(parts.next().unwrap_or_default()))?;
        let size = parts.next().map(|size| size.to_string_lossy().into_owned());
        let size = size.map(|size| parse_size(&size).ok_or_else(|| not_a_size(&size))).transpose()?;
        if parts.next().is_some() {
            return Err("expected at most DST:SIZE".to_string());
        }
        Ok(Self::Tmpfs { target, size })
    }
}

/// Why a word is not a size; docker has the size among other words: `rw,size=64m`.
fn not_a_size(words: &str) -> String {
    match words.split(',').find_map(|word| word.strip_prefix("size=")).and_then(parse_size) {
        Some(size) => format!("expected the size alone: {size}"),
        None => "expected a number of bytes with k, m or g, or a share of the memory with %".to_string(),
    }
}

/// A size as in tmpfs(5): a number of bytes that the kernel can count, or a percentage of the memory.
/// docker's `10MB` and `10MiB` become `10M`.
pub fn parse_size(text: &str) -> Option<String> {
    let units = ['k', 'K', 'm', 'M', 'g', 'G'];
    let without = text.strip_suffix("iB").or_else(|| text.strip_suffix('B'));
    let size = without.filter(|size| size.ends_with(units)).unwrap_or(text);
    let digits = size.strip_suffix(units).or_else(|| size.strip_suffix('%')).unwrap_or(size);
    let unit: u64 = match size.as_bytes().last() {
        Some(b'k' | b'K') => 1 << 10,
        Some(b'm' | b'M') => 1 << 20,
        Some(b'g' | b'G') => 1 << 30,
        // the kernel converts a percentage to bytes, and no machine has a hundredth of this
        Some(b'%') => 1 << 46,
        _ => 1,
    };
    // the kernel rounds it up to pages, and the size of a file is signed
    let bytes = digits.parse::<u64>().ok()?.checked_mul(unit)?;
    (1..=i64::MAX as u64 - (64 << 10)).contains(&bytes).then(|| size.to_string())
}

fn inside(target: PathBuf) -> Result<PathBuf, String> {
    match (target.is_absolute(), target.components().nth(1)) {
        (false, _) => Err("expected DST to start with '/': it is a path in the new root".to_string()),
        (true, None) => Err("expected DST below the new root, not the root itself".to_string()),
        (true, Some(_)) => Ok(target),
    }
}

/// The parts between colons; `\:` is a literal colon.
fn split(text: &OsStr) -> Vec<OsString> {
    let mut parts = vec![Vec::new()];
    let mut bytes = text.as_bytes().iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let escaped = byte == b'\\' && bytes.next_if_eq(&b':').is_some();
        match parts.last_mut() {
            Some(part) if escaped || byte != b':' => part.push(if escaped { b':' } else { byte }),
            _ => parts.push(Vec::new()),
        }
    }
    parts.into_iter().map(OsString::from_vec).collect()
}

/// All requests in the order of the command line. clap's derive does not keep the order of different options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountRequests(pub Vec<MountRequest>);

impl MountRequests {
    /// Whether a path inside could be in one of the mounts.
    pub fn may_show(&self, path: &Path) -> bool {
        self.0.iter().any(|request| match request {
            MountRequest::Bind { target, .. } | MountRequest::Tmpfs { target, .. } => {
                path.starts_with(target)
            }
            MountRequest::ResolvConf => false,
        })
    }

    /// Whether the mounts show a path inside: a new tmpfs contains only mount points. None if it depends on the root.
    pub fn show(&self, path: &Path) -> Option<bool> {
        self.0.iter().rev().find_map(|request| match request {
            MountRequest::Bind { target, .. } | MountRequest::Tmpfs { target, .. }
                if target.starts_with(path) =>
            {
                Some(true)
            }
            MountRequest::Bind { target, .. } => path.starts_with(target).then_some(true),
            MountRequest::Tmpfs { target, .. } => path.starts_with(target).then_some(false),
            MountRequest::ResolvConf => None,
        })
    }

    /// The hint if DST follows SRC as a separate word, as for bwrap(1): then DST is parsed as NEWROOT, and NEWROOT as
    /// COMMAND.
    pub fn joined(&self, newroot: &Path, command: Option<&OsString>) -> Option<String> {
        let MountRequest::Bind { source, target, .. } = self.0.last()? else { return None };
        let is_second = source == target && newroot.is_absolute();
        (is_second && Path::new(command?).is_dir())
            .then(|| format!("join DST to SRC: '--bind {}:{}'", source.display(), newroot.display()))
    }

    /// The paths outside that are opened.
    pub fn sources(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().filter_map(|request| match request {
            MountRequest::Bind { source, .. } => Some(source.as_path()),
            MountRequest::Tmpfs { .. } => None,
            MountRequest::ResolvConf => Some(Path::new("/etc/resolv.conf")),
        })
    }

    /// Whether something from outside is shown.
    pub fn have_bind(&self) -> bool {
        self.0.iter().any(|request| matches!(request, MountRequest::Bind { .. }))
    }
}

impl clap::Args for MountRequests {
    fn augment_args(command: Command) -> Command {
        let option = |name: &'static str| Arg::new(name).long(name).conflicts_with("plain");
        let bind = option("bind")
            .action(ArgAction::Append)
            .value_name("SRC[:DST[:OPTION,...]]")
            .value_parser(OsStringValueParser::new().try_map(MountRequest::parse_bind))
            .help("Show a file or directory inside, at DST or its own path; options: ro, noexec, bind (without mounts below); repeatable");
        let bind_try = option("bind-try")
            .action(ArgAction::Append)
            .value_name("SRC[:DST[:OPTION,...]]")
            .value_parser(OsStringValueParser::new().try_map(MountRequest::parse_bind_try))
            .help("Like --bind, but do nothing if SRC does not exist");
        let tmpfs = option("tmpfs")
            .action(ArgAction::Append)
            .value_name("DST[:SIZE]")
            .value_parser(OsStringValueParser::new().try_map(MountRequest::parse_tmpfs))
            .help("Mount an empty file system in memory; repeatable, in order with --bind");
        let resolv_conf = option("resolv-conf")
            .action(ArgAction::SetTrue)
            .help("Show the caller's /etc/resolv.conf inside, read-only");
        command.args([bind, bind_try, tmpfs, resolv_conf])
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for MountRequests {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut found: Vec<(usize, MountRequest)> = Vec::new();
        for name in ["bind", "bind-try", "tmpfs"] {
            let requests = matches.get_many(name).into_iter().flatten().cloned();
            found.extend(matches.indices_of(name).into_iter().flatten().zip(requests));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(written: &str) -> Result<(String, String, BindOptions), String> {
        let text = |path: PathBuf| path.into_os_string().into_string().unwrap();
        match MountRequest::parse_bind(written.into())? {
            MountRequest::Bind { source, target, options, .. } => Ok((text(source), text(target), options)),
            other => panic!("{other:?}"),
        }
    }

    fn three(source: &str, target: &str, read_only: bool) -> (String, String, BindOptions) {
        (source.into(), target.into(), BindOptions { read_only, ..BindOptions::default() })
    }

    #[test]
    fn a_bind_is_a_source_a_target_and_ro() {
        assert_eq!(bind("/a").unwrap(), three("/a", "/a", false));
        assert_eq!(bind("/a:/b").unwrap(), three("/a", "/b", false));
        assert_eq!(bind("/a:/b:ro").unwrap(), three("/a", "/b", true));
        assert_eq!(bind("/a::ro").unwrap(), three("/a", "/a", true));
        assert_eq!(bind("/a\\:x:/b\\:y:rw").unwrap(), three("/a:x", "/b:y", false));
        assert_eq!(bind("/a\\b").unwrap(), three("/a\\b", "/a\\b", false));
        let all = BindOptions { read_only: true, no_exec: true, recursive: false };
        assert_eq!(bind("/a:/b:ro,bind,noexec").unwrap().2, all);
        assert_eq!(bind("/a:/b:bind,rbind,noexec,exec").unwrap().2, BindOptions::default());
        assert!(bind("/etc/a:b").unwrap_err().contains("in a path as '\\:'"));
    }

    #[test]
    fn a_tmpfs_shows_only_itself_and_what_is_mounted_on_it_later() {
        let bind = |written: &str| MountRequest::parse_bind(written.into()).unwrap();
        let tmpfs = |target: &str| MountRequest::Tmpfs { target: target.into(), size: None };
        for (requests, path, shown) in [
            (vec![tmpfs("/home")], "/home/a", Some(false)),
            (vec![tmpfs("/home")], "/home", Some(true)),
            (vec![tmpfs("/home")], "/homes", None),
            (vec![tmpfs("/home"), bind("/x:/home/a/b")], "/home/a", Some(true)),
            (vec![tmpfs("/home"), bind("/x:/home/a")], "/home/a/c", Some(true)),
            (vec![bind("/x:/home/a"), tmpfs("/home")], "/home/a", Some(false)),
            (vec![MountRequest::ResolvConf], "/etc/resolv.conf", None),
        ] {
            assert_eq!(MountRequests(requests.clone()).show(Path::new(path)), shown, "{requests:?} {path}");
        }
    }

    #[test]
    fn two_words_for_a_bind_are_recognised_by_the_root_as_the_command() {
        let requests = |written: &str| MountRequests(vec![MountRequest::parse_bind(written.into()).unwrap()]);
        let joined = |written, newroot, command: &str| {
            requests(written).joined(Path::new(newroot), Some(&command.into()))
        };
        assert_eq!(joined("/a", "/b", "/").as_deref(), Some("join DST to SRC: '--bind /a:/b'"));
        for (written, newroot, command) in [("/a:/b", "/c", "/"), ("/a", "b", "/"), ("/a", "/b", "sh")] {
            assert_eq!(joined(written, newroot, command), None, "{written} {newroot} {command}");
        }
        assert_eq!(requests("/a").joined(Path::new("/b"), None), None);
    }

    #[test]
    fn a_relative_source_is_the_callers_and_a_relative_target_is_refused() {
        let here = std::env::current_dir().unwrap().into_os_string().into_string().unwrap();
        assert_eq!(bind("src:/b").unwrap(), three(&format!("{here}/src"), "/b", false));
        for wrong in ["/a:b", "/a:/", ":/b", "", "/a:/b:x", "/a:/b:ro:ro", "/a:/b/c:"] {
            assert!(bind(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_tmpfs_has_a_size_that_the_kernel_can_read() {
        let parse = |text: &str| match MountRequest::parse_tmpfs(text.into())? {
            MountRequest::Tmpfs { target, size } if target == Path::new("/run") => Ok(size),
            other => Err(format!("{other:?}")),
        };
        assert_eq!(parse("/run").unwrap(), None);
        // as docker writes it
        for (written, size) in [("64m", "64m"), ("10MB", "10M"), ("1GiB", "1G"), ("50%", "50%")] {
            assert_eq!(parse(&format!("/run:{written}")).unwrap().unwrap(), size);
        }
        for wrong in [
            "run",
            "/",
            "",
            "/run:",
            "/run:0",
            "/run:k",
            "/run:1kk",
            "/run:9223372036854775809",
            "/run:9007199254740992k",
            "/run:131073%",
            "/run:1B",
            "/run:-1",
            "/run:1,uid=0",
            "/run:1:2",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}

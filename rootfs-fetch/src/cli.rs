//! The options of rootfs-fetch.

pub mod operands;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use chain::Reporter;
use chain::args::Tool;
use clap::Parser as _;
use clap::builder::TypedValueParser as _;

use crate::config::{ChecksumsFile, FetchConfig, Output};
use crate::destination::IfExists;
use crate::digest::Digest;
use crate::failure::Kind;
use crate::net::client::Rules;
use crate::net::url::Url;
use crate::oci::cache::CacheLocation;
use crate::oci::platform::{Platform, WantedPlatform};
use crate::source::ABOUT;
use crate::tree::name::Name;
use crate::unpack::policy::{DEFAULT_MAX_ENTRIES, Devices, Owners, Policy};
use crate::unpack::selection::{Pattern, Selection};

/// Name, help text and usage status of the tool.
pub const TOOL: Tool = Tool {
    name: "rootfs-fetch",
    about: ABOUT,
    operands: "SOURCE DIRECTORY",
    version: env!("CARGO_PKG_VERSION"),
    usage_error: Kind::Usage.status(),
    write_error: Kind::Io.status(),
    advice: hints::advice,
};

/// The options.
#[derive(clap::Parser, Clone, Debug)]
pub struct Options {
    /// Print only errors
    #[arg(short, long)]
    pub quiet: bool,

    /// Print each entry as it is unpacked
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,

    /// Print the distributions of distro:, with some releases and the server of each
    #[arg(long, conflicts_with_all = ["print_digest", "config"], help_heading = "Source")]
    pub list: bool,

    /// Use this mirror of the distribution instead of its own server
    #[arg(long, value_name = "URL", value_parser = Url::from_str, help_heading = "Source")]
    pub mirror: Option<Url>,

    /// Use the image for this platform instead of this machine's
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", help_heading = "Source")]
    pub platform: Option<Platform>,

    /// Write the image's configuration to this file; without DIRECTORY, do nothing else
    #[arg(long, value_name = "FILE", help_heading = "Source")]
    pub config: Option<PathBuf>,

    /// Print the digest, for --digest or after @, and create nothing
    #[arg(long, conflicts_with = "config", help_heading = "Source")]
    pub print_digest: bool,

    /// Fail unless the archive, or the image's manifest, has this digest
    #[arg(long, value_name = "sha256:HEX", help_heading = "Checks")]
    pub digest: Option<Digest>,

    /// Check the archive against this file of checksums, such as SHA256SUMS or ARCHIVE.sha256
    #[arg(long, value_name = "URL|FILE", conflicts_with = "digest", value_parser = clap::builder::OsStringValueParser::new().try_map(ChecksumsFile::parse), help_heading = "Checks")]
    pub checksums: Option<ChecksumsFile>,

    /// Fail unless the checksums are signed by a key in this file; needs gpgv(1)
    #[arg(long, value_name = "FILE", help_heading = "Checks")]
    pub keyring: Option<PathBuf>,

    /// Refuse an archive that unpacks to more than BYTES
    #[arg(long, value_name = "BYTES", default_value = "256G", value_parser = system::size::bytes, help_heading = "Checks")]
    pub max_size: u64,

    /// Refuse an archive with more than COUNT entries
    #[arg(long, value_name = "COUNT", default_value_t = DEFAULT_MAX_ENTRIES, value_parser = count::<u64>, help_heading = "Checks")]
    pub max_files: u64,

    /// Also trust the certificate authorities in this PEM file
    #[arg(long, value_name = "FILE", help_heading = "Network and cache")]
    pub cacert: Option<PathBuf>,

    /// Allow plain HTTP with every server; the default allows it only with this machine
    #[arg(long, help_heading = "Network and cache")]
    pub insecure_http: bool,

    /// Allow plain HTTP with this registry and, with --insecure-tls, any certificate
    #[arg(long, value_name = "HOST[:PORT]", help_heading = "Network and cache")]
    pub insecure_registry: Vec<String>,

    /// Accept any certificate from the registries that --insecure-registry names
    #[arg(long, requires = "insecure_registry", help_heading = "Network and cache")]
    pub insecure_tls: bool,

    /// Fail if a server sends nothing, or almost nothing, for this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = seconds, help_heading = "Network and cache")]
    pub timeout: u64,

    /// Keep downloads from registries in this directory
    #[arg(long, value_name = "DIR", help_heading = "Network and cache")]
    pub cache_dir: Option<PathBuf>,

    /// Neither read nor write the cache
    #[arg(long, conflicts_with = "cache_dir", help_heading = "Network and cache")]
    pub no_cache: bool,

    /// Strip this many leading components from each path
    #[arg(long, value_name = "COUNT", default_value_t = 0, value_parser = count::<usize>, help_heading = "What is unpacked")]
    pub strip_components: usize,

    /// Unpack only what is below this directory of the archive
    #[arg(long, value_name = "DIR", default_value = "", value_parser = name, hide_default_value = true, help_heading = "What is unpacked")]
    pub subdir: Name,

    /// Skip entries that match, and everything below them
    #[arg(long, value_name = "PATTERN", help_heading = "What is unpacked")]
    pub exclude: Vec<String>,

    /// Create device nodes, for their owner alone or, with =keep-mode, with the archive's mode; root only; they
    /// are skipped by default
    #[arg(long, value_name = "keep-mode", num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = devices, help_heading = "What is unpacked")]
    pub devices: Option<Devices>,

    /// Turn long runs of zeros in files into holes; always done for images
    #[arg(short = 'S', long, help_heading = "What is unpacked")]
    pub sparse: bool,

    /// Replace an existing DIRECTORY with the new tree, and delete the old one
    #[arg(long, help_heading = "Directory")]
    pub replace: bool,

    /// Unpack into an existing DIRECTORY; only files that the archive also has are replaced
    #[arg(long, conflicts_with = "replace", help_heading = "Directory")]
    pub into: bool,

    /// Give DIRECTORY itself this mode, in octal; the default is the archive's, less the umask
    #[arg(long, value_name = "MODE", value_parser = mode, help_heading = "Directory")]
    pub mode: Option<u32>,

    /// Make yourself the owner of everything, even as root
    #[arg(long, help_heading = "Owners")]
    pub no_same_owner: bool,

    /// Make yourself the owner of entries whose owner is not mapped in this user namespace, instead of failing
    #[arg(long, conflicts_with = "no_same_owner", help_heading = "Owners")]
    pub squash: bool,
}

fn name(text: &str) -> Result<Name, String> {
    Name::parse(text.as_bytes()).map_err(|_| "expected a name inside the archive, without \"..\"".to_string())
}

fn devices(text: &str) -> Result<Devices, String> {
    match text {
        "" => Ok(Devices::Make),
        "keep-mode" => Ok(Devices::KeepMode),
        _ => Err("expected nothing or =keep-mode".into()),
    }
}

fn mode(text: &str) -> Result<u32, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| digits && *mode <= 0o7777);
    mode.ok_or_else(|| "expected a mode in octal, such as 0755".to_string())
}

/// The longest wait: a day.
const MAX_TIMEOUT_SECONDS: u64 = 86_400;

fn seconds(text: &str) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|seconds| (1..=MAX_TIMEOUT_SECONDS).contains(seconds))
        .ok_or_else(|| format!("expected a whole number of seconds from 1 to {MAX_TIMEOUT_SECONDS}"))
}

fn count<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "expected a whole number".to_string())
}

impl Default for Options {
    fn default() -> Self {
        Self::parse_from([TOOL.name])
    }
}

impl Options {
    /// How servers are reached.
    pub fn net_rules(&self, reporter: Reporter) -> Rules {
        Rules {
            authorities: self.cacert.clone(),
            insecure_http: self.insecure_http,
            insecure_registries: self.insecure_registry.clone(),
            insecure_tls: self.insecure_tls,
            patience: Duration::from_secs(self.timeout),
            reporter: (!self.quiet).then_some(reporter),
        }
    }

    /// What the options ask of a fetch.
    pub fn into_config(self) -> FetchConfig {
        FetchConfig {
            platform: self.platform.clone().map_or_else(WantedPlatform::host, WantedPlatform::Named),
            cache: match &self.cache_dir {
                _ if self.no_cache => CacheLocation::Nowhere,
                Some(path) => CacheLocation::Directory(path.clone()),
                None => CacheLocation::Default,
            },
            if_exists: match (self.replace, self.into) {
                (true, _) => IfExists::Replace,
                (_, true) => IfExists::Merge,
                _ => IfExists::Refuse,
            },
            output: match (self.quiet, self.verbose) {
                (true, _) => Output::Quiet,
                (_, true) => Output::Entries,
                _ => Output::Summary,
            },
            policy: self.policy(),
            digest: self.digest,
            checksums: self.checksums,
            keyring: self.keyring,
            mirror: self.mirror,
            max_bytes: self.max_size,
            image_config: self.config,
        }
    }

    fn policy(&self) -> Policy {
        let caller = Policy::for_caller();
        Policy {
            owners: match caller.owners {
                _ if self.no_same_owner => Owners::Caller,
                Owners::Keep if self.squash => Owners::Squash,
                owners => owners,
            },
            devices: self.devices.unwrap_or(Devices::LeaveOut),
            root_mode: self.mode,
            sparse: self.sparse,
            max_entries: self.max_files,
            max_copied_bytes: self.max_size,
            verbose: self.verbose,
            selection: Selection {
                below: self.subdir.clone(),
                strip: self.strip_components,
                exclude: self.exclude.iter().map(|pattern| Pattern::new(pattern)).collect(),
            },
            ..caller
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_octal() {
        assert_eq!((mode("0755"), mode("700"), mode("1777")), (Ok(0o755), Ok(0o700), Ok(0o1777)));
        for wrong in ["", "888", "u+x", "-1", "+7", "17777", "0x1"] {
            assert_eq!(mode(wrong), Err("expected a mode in octal, such as 0755".into()), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_number_is_told_what_it_must_be() {
        assert_eq!((seconds("1"), seconds("86400")), (Ok(1), Ok(MAX_TIMEOUT_SECONDS)));
        for wrong in ["5s", "0", "86401", "-1", "", "1.5"] {
            assert_eq!(seconds(wrong), Err("expected a whole number of seconds from 1 to 86400".into()));
        }
        assert_eq!(count::<usize>("2"), Ok(2));
        for wrong in ["-1", "two", "", "99999999999999999999"] {
            assert_eq!(count::<u64>(wrong), Err("expected a whole number".into()));
        }
    }
}

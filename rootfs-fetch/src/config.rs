//! What a fetch is to do: the options of a run, as the types that implement them.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use chain::reporter::quoted;

use crate::destination::IfExists;
use crate::digest::Digest;
use crate::net::url::Url;
use crate::oci::cache::CacheLocation;
use crate::oci::platform::WantedPlatform;
use crate::unpack::policy::Policy;

/// Everything but the source and the directory.
#[derive(Clone, Debug)]
pub struct FetchConfig {
    /// The digest that the archive, or the manifest of the image, must have.
    pub digest: Option<Digest>,
    /// A file with the digest of the archive.
    pub checksums: Option<ChecksumsFile>,
    /// A keyring; one of its keys must have signed the checksums.
    pub keyring: Option<PathBuf>,
    /// A server to use instead of the distribution's own.
    pub mirror: Option<Url>,
    /// The platform of an image.
    pub platform: WantedPlatform,
    /// The cache for blobs of registries.
    pub cache: CacheLocation,
    /// The most bytes that an archive can unpack to.
    pub max_bytes: u64,
    /// The file for the image's configuration; `-` is standard output.
    pub image_config: Option<PathBuf>,
    /// What to do if DIRECTORY exists.
    pub if_exists: IfExists,
    /// How entries become files.
    pub policy: Policy,
    /// What is printed besides failures.
    pub output: Output,
}

/// What is printed besides failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Nothing.
    Quiet,
    /// The progress, and a summary.
    Summary,
    /// Each entry, and a summary.
    Entries,
}

/// The location of a file of checksums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChecksumsFile {
    /// At a URL.
    Url(Url),
    /// On this machine.
    File(PathBuf),
}

impl ChecksumsFile {
    /// Parses text with `://` as a URL, and anything else as a path.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub fn parse(text: OsString) -> Result<Self, String> {
        match text.to_str().filter(|text| text.contains("://")) {
            Some(url) => url.parse().map(Self::Url),
            None => Ok(Self::File(text.into())),
        }
    }

    /// The last component of its path.
    pub fn name(&self) -> String {
        match self {
            Self::Url(url) => url.name(),
            Self::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }

    /// The file next to it whose name has this extension added.
    pub fn sibling(&self, extension: &str) -> Self {
        match self {
            Self::Url(url) => Self::Url(url.with_suffix(extension)),
            Self::File(path) => {
                let mut name = path.clone().into_os_string();
                name.push(format!(".{extension}"));
                Self::File(name.into())
            }
        }
    }
}

impl fmt::Display for ChecksumsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => write!(f, "{url}"),
            Self::File(path) => write!(f, "{}", quoted(path)),
        }
    }
}

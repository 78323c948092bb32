//! The parts of images, wherever they are stored.

use serde_json::Value;

use crate::digest::Digest;
use crate::failure::{Failure, Kind, Result};
use crate::oci::platform::{Platform, WantedPlatform};

/// The size limit of registries for a manifest.
pub const MAX_JSON_BYTES: u64 = 4 << 20;

/// A layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The file with the layer.
    pub path: String,
    /// The digest and size in bytes of that file.
    pub stored: Option<(Digest, u64)>,
    /// The digest of the decompressed tar archive.
    pub content: Option<Digest>,
}

/// Which of several images to choose.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// Its name or position.
    pub image: ImageChoice<'a>,
    /// The platform.
    pub platform: &'a WantedPlatform,
    /// SOURCE without a name or position, for hints.
    pub source: &'a str,
}

/// Which of the images that are stored together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageChoice<'a> {
    /// The only one.
    Only,
    /// One of this name or tag.
    Named(&'a str),
    /// The one at this position, counted from 0: `@1`.
    At(usize),
}

/// A place that stores an image's documents.
pub trait Documents {
    /// The bytes of a document, not verified; None if it is missing.
    ///
    /// # Errors
    /// I/O, network; damaged, if it is larger than [`MAX_JSON_BYTES`].
    fn document(&self, digest: &Digest, what: DocumentKind) -> Result<Option<Vec<u8>>>;
}

/// The kind of a document; registries have different URLs for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// An index or a manifest.
    Manifest,
    /// The configuration of an image.
    Config,
}

/// The chosen image.
#[derive(Clone, Debug)]
pub struct ResolvedImage {
    /// Its layers, the lowest first.
    pub layers: Vec<Layer>,
    /// Its configuration, as it is stored.
    pub config: Vec<u8>,
    /// The platform that the configuration names.
    pub platform: Option<Platform>,
    /// The digests of the documents that lead to it, its manifest's last.
    pub digests: Vec<Digest>,
}

/// Parses a JSON document of the image.
///
/// # Errors
/// Damaged.
pub fn parse(data: &[u8], name: &str) -> Result<Value> {
    serde_json::from_slice(data)
        .map_err(|error| Failure::damaged(format_args!("{name} of the image: {error}")))
}

/// A part that the image refers to is missing.
pub fn missing(part: &str) -> Failure {
    Failure::damaged(format_args!("the image is not complete: {part:?} is missing"))
}

/// A list in a JSON object. Go writes an empty one as null, which counts as missing.
pub fn list<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).filter(|list| !list.is_null())
}

/// The image has no such tag or platform; the hint lists the existing ones.
pub fn not_found(what: &str, instead: &[String]) -> Failure {
    let failure = Failure::new(Kind::NotFound, format_args!("the image does not have {what}"));
    if instead.is_empty() { failure } else { failure.hint(format_args!("it has {}", instead.join(", "))) }
}

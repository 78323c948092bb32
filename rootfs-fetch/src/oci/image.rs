//! Container images: layers on top of each other, each verified by its digest.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use chain::reporter::quoted;
use serde_json::Value;

use crate::digest::{CheckedReader, Digest};
use crate::failure::{Failure, Kind, Result};
use crate::interrupt::Interrupt;
use crate::oci::docker_archive;
use crate::oci::layout::{BlobReader, Layout};
use crate::oci::manifest;
use crate::oci::model::MAX_JSON_BYTES;
use crate::oci::model::{ImageChoice, Layer, Query, ResolvedImage, not_found};
use crate::oci::platform::{Platform, WantedPlatform};
use crate::oci::reference::Reference;
use crate::oci::registry::download::{Blob, Downloads};
use crate::oci::registry::repository::Repository;
use crate::progress::Progress;

/// The format of an image on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFormat {
    /// `oci:`, an image layout in a directory.
    OciDirectory,
    /// `oci-archive:`, an image layout in a tar archive.
    OciArchive,
    /// `docker-archive:`, what `docker save` writes.
    DockerArchive,
}

impl ImageFormat {
    /// The format of an image with these files; None for a root directory or anything else.
    pub fn detect(files: &Layout) -> Option<Self> {
        // an unreadable file, a directory or a large file is not part of an image
        let read = |name| files.read(name, MAX_JSON_BYTES).ok().flatten();
        // since version 25, docker save writes both lists, and the layout has the digests
        if read("oci-layout").is_some() && read("index.json").is_some_and(|data| is_index(&data)) {
            return Some(Self::OciArchive);
        }
        let is_list = read(docker_archive::MANIFEST).is_some_and(|data| docker_archive::is_manifest(&data));
        let is_docker_archive =
            is_list || read(docker_archive::REPOSITORIES).is_some_and(|data| is_object(&data));
        is_docker_archive.then_some(Self::DockerArchive)
    }

    /// The prefix of SOURCE.
    pub fn transport(self) -> &'static str {
        match self {
            Self::OciDirectory => "oci:",
            Self::OciArchive => "oci-archive:",
            Self::DockerArchive => "docker-archive:",
        }
    }
}

fn is_index(data: &[u8]) -> bool {
    let value: Option<Value> = serde_json::from_slice(data).ok();
    value.is_some_and(|value| value.get("manifests").is_some_and(|list| list.is_array() || list.is_null()))
}

fn is_object(data: &[u8]) -> bool {
    serde_json::from_slice::<Value>(data).is_ok_and(|value| value.is_object())
}

/// An image on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalImage {
    /// Its format.
    pub format: ImageFormat,
    /// Its path.
    pub path: PathBuf,
    /// Its name or tag, or `@` and its position, if there are several images.
    pub tag: Option<OsString>,
}

impl LocalImage {
    /// Splits `PATH[:TAG]`; an existing path has no tag.
    pub fn parse(format: ImageFormat, text: &OsStr) -> Self {
        let whole = || Self { format, path: PathBuf::from(text), tag: None };
        if Path::new(text).exists() {
            return whole();
        }
        let bytes = text.as_bytes();
        match bytes.iter().position(|&byte| byte == b':') {
            Some(at) => Self {
                format,
                path: PathBuf::from(OsStr::from_bytes(bytes.get(..at).unwrap_or_default())),
                tag: Some(OsStr::from_bytes(bytes.get(at + 1..).unwrap_or_default()).to_owned()),
            },
            None => whole(),
        }
    }
}

impl LocalImage {
    /// SOURCE, without its tag.
    fn source(&self) -> String {
        format!("{}{}", self.format.transport(), self.path.display())
    }

    /// The failure to open something that is not a directory; with a hint if the transport is the wrong one.
    fn wrong_path(&self, failure: Failure) -> Failure {
        let path = self.path.display();
        if self.path.is_file() {
            return failure.hint(format_args!("for a layout in an archive, use 'oci-archive:{path}'"));
        }
        // as in helm
        let name = self.path.to_str().and_then(|path| path.strip_prefix("//"));
        let tag = self.tag.as_ref().map_or_else(String::new, |tag| format!(":{}", tag.display()));
        match name.map(|name| format!("{name}{tag}")).filter(|name| name.parse::<Reference>().is_ok()) {
            Some(name) => failure.hint(format_args!("for an image in a registry, use 'docker://{name}'")),
            None => failure,
        }
    }

    /// The failure if a directory is given where an archive is expected.
    fn is_directory(&self) -> Failure {
        let line = format_args!("{} is a directory, not an archive", quoted(&self.path));
        Failure::new(Kind::Usage, line)
            .hint(format_args!("for a layout in a directory, use 'oci:{}'", self.path.display()))
    }

    /// The failure to find an image; with a hint if the files belong to another format, or to a plain
    /// archive.
    fn wrong_format(&self, failure: Failure, files: &Layout) -> Failure {
        if !failure.is(Kind::NotFound) || failure.report().hint.is_some() {
            return failure;
        }
        let path = self.path.display();
        match (self.format, ImageFormat::detect(files)) {
            (ImageFormat::OciArchive, Some(other @ ImageFormat::DockerArchive))
            | (ImageFormat::DockerArchive, Some(other @ ImageFormat::OciArchive)) => {
                failure.hint(format_args!("use '{}{path}'", other.transport()))
            }
            (ImageFormat::OciArchive | ImageFormat::DockerArchive, None) => {
                failure.hint(format_args!("to unpack an archive that is not an image, use '{path}' alone"))
            }
            _ => failure,
        }
    }
}

/// The image that a tag means: `@1` is a position.
fn choice(tag: Option<&str>) -> ImageChoice<'_> {
    let Some(tag) = tag else { return ImageChoice::Only };
    match tag.strip_prefix('@').and_then(|position| position.parse().ok()) {
        Some(position) => ImageChoice::At(position),
        None => ImageChoice::Named(tag),
    }
}

/// An image whose manifest was read.
#[derive(Debug)]
pub struct Image {
    store: Store,
    found: ResolvedImage,
}

/// The location of the blobs.
#[derive(Debug)]
enum Store {
    Here(Layout),
    Registry(Repository),
}

/// The layers of an image, to be read in order.
#[derive(Debug)]
pub enum Layers<'a> {
    /// On this machine.
    Here(&'a Layout, Progress),
    /// From a registry.
    Coming(Downloads),
}

impl Image {
    /// Reads indexes and manifests; a compressed archive is decoded into a file in `temp_dir`.
    ///
    /// # Errors
    /// Not found, damaged, I/O.
    pub fn open(
        reference: &LocalImage,
        platform: &WantedPlatform,
        temp_dir: &Path,
        max_bytes: u64,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let blobs = match reference.format {
            ImageFormat::OciDirectory => {
                Layout::directory(&reference.path).map_err(|failure| reference.wrong_path(failure))?
            }
            ImageFormat::OciArchive | ImageFormat::DockerArchive if reference.path.is_dir() => {
                return Err(reference.is_directory());
            }
            ImageFormat::OciArchive | ImageFormat::DockerArchive => {
                Layout::archive(&reference.path, temp_dir, max_bytes, interrupt)?
            }
        };
        let tag = reference.tag.as_deref().map(OsStr::to_string_lossy);
        let query = Query { image: choice(tag.as_deref()), platform, source: &reference.source() };
        match resolve(&blobs, reference.format, query) {
            Ok(found) => Ok(Self { store: Store::Here(blobs), found }),
            Err(failure) => Err(reference.wrong_format(failure, &blobs)),
        }
    }

    /// The image in the files of a stream.
    ///
    /// # Errors
    /// Not found, damaged, I/O.
    pub fn of_files(blobs: Layout, format: ImageFormat, platform: &WantedPlatform) -> Result<Self> {
        let source = format!("{}FILE", format.transport());
        let query = Query { image: ImageChoice::Only, platform, source: &source };
        resolve(&blobs, format, query).map(|found| Self { store: Store::Here(blobs), found })
    }

    /// Gets the manifest from a registry; no layer is fetched yet.
    ///
    /// # Errors
    /// Not found, denied, network; damaged, also if the layers claim more than `max_bytes` bytes.
    pub fn from_registry(repository: Repository, platform: &WantedPlatform, max_bytes: u64) -> Result<Self> {
        let (data, digest) = repository.top()?;
        let found = manifest::registry(&repository, &data, digest, platform)?;
        check_platform(&found, platform)?;
        let image = Self { store: Store::Registry(repository), found };
        if image.size().is_none_or(|size| size > max_bytes) {
            return Err(Failure::damaged(format_args!("refused: the image has more than {max_bytes} bytes"))
                .hint("raise the limit with --max-size"));
        }
        Ok(image)
    }

    /// The digest of the manifest, if the format has one.
    pub fn digest(&self) -> Option<&Digest> {
        self.found.digests.last()
    }

    /// The digests that identify the image: its manifest's, and those of the indexes that lead to it.
    pub fn digests(&self) -> &[Digest] {
        &self.found.digests
    }

    /// The layers, lowest first.
    pub fn layers(&self) -> &[Layer] {
        &self.found.layers
    }

    /// Stored bytes of all layers, if known.
    pub fn size(&self) -> Option<u64> {
        let sizes = self.layers().iter().map(|layer| layer.stored.as_ref().map(|(_, size)| *size));
        sizes.into_iter().try_fold(0_u64, |sum, size| sum.checked_add(size?))
    }

    /// The configuration document.
    pub fn config(&self) -> &[u8] {
        &self.found.config
    }

    /// Its platform, from its configuration.
    pub fn platform(&self) -> Option<&Platform> {
        self.found.platform.as_ref()
    }

    /// Starts fetching layers from a registry, into files in `temp_dir` if there is no cache.
    pub fn begin(&self, temp_dir: &Path, progress: &Progress) -> Result<Layers<'_>> {
        match &self.store {
            Store::Here(blobs) => Ok(Layers::Here(blobs, progress.clone())),
            Store::Registry(repository) => {
                let mut blobs: Vec<Blob> = Vec::new();
                for (digest, size) in self.layers().iter().filter_map(|layer| layer.stored.clone()) {
                    match blobs.iter().find(|blob| blob.digest == digest) {
                        None => blobs.push(Blob { digest, size }),
                        Some(blob) if blob.size == size => {}
                        Some(_) => return Err(Failure::damaged("the image gives one layer two sizes")),
                    }
                }
                Downloads::begin(repository.clone(), blobs, temp_dir, progress).map(Layers::Coming)
            }
        }
    }

    /// Verifies the image's blobs in the cache and removes damaged ones. Returns whether there were any.
    pub fn forget_damaged(&self) -> Result<bool> {
        let Store::Registry(repository) = &self.store else { return Ok(false) };
        let Some(cache) = repository.cache() else { return Ok(false) };
        let mut damaged = false;
        for (digest, size) in self.layers().iter().filter_map(|layer| layer.stored.as_ref()) {
            damaged |= !cache.check(digest, *size)?;
        }
        Ok(damaged)
    }
}

/// The image in these files that the query means.
fn resolve(files: &Layout, format: ImageFormat, query: Query<'_>) -> Result<ResolvedImage> {
    let found = match format {
        ImageFormat::DockerArchive => docker_archive::find(files, query)?,
        ImageFormat::OciDirectory | ImageFormat::OciArchive => manifest::oci(files, query)?,
    };
    check_platform(&found, query.platform).map(|()| found)
}

/// Checks the image against the platform that the user named.
fn check_platform(found: &ResolvedImage, wanted: &WantedPlatform) -> Result<()> {
    match (wanted, &found.platform) {
        (WantedPlatform::Named(wanted), Some(platform)) if wanted.distance(platform).is_none() => {
            Err(not_found(&format!("the platform {wanted}"), &[platform.to_string()]))
        }
        _ => Ok(()),
    }
}

impl Layers<'_> {
    /// Declares that the layers before this one have been applied.
    pub fn begin(&self, layer: &Layer) {
        if let (Layers::Coming(downloads), Some((digest, _))) = (self, &layer.stored) {
            downloads.begin_layer(digest);
        }
    }

    /// The bytes of a layer, verified while they are read. Reading can wait for [`Self::begin`].
    ///
    /// # Errors
    /// Damaged, if the layer is missing; I/O.
    pub fn open(&self, layer: &Layer) -> Result<BlobReader> {
        match (self, &layer.stored) {
            (Layers::Coming(downloads), Some((digest, _))) => downloads.open(digest),
            (Layers::Coming(_), None) => Err(Failure::damaged("a layer of the image has no digest")),
            (Layers::Here(blobs, progress), stored) => {
                let Some((part, _)) = blobs.open(&layer.path)? else {
                    return Err(Failure::damaged(format_args!(
                        "the image is not complete: {:?} is missing",
                        layer.path
                    )));
                };
                let part = progress.count(part);
                Ok(match stored {
                    Some((digest, size)) => Box::new(CheckedReader::new(part, digest.clone(), Some(*size))),
                    None => part,
                })
            }
        }
    }
}

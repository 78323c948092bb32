// SPDX-License-Identifier: MIT OR Apache-2.0
//! Container images: layers on top of each other, each verified by its digest.

use std::ffi::{OsStr, OsString};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::AtFlags;

use crate::digest::{CheckedReader, Digest};
use crate::failure::{Failure, Result};
use crate::interrupt::Interrupt;
use crate::oci::docker_archive;
use crate::oci::layout::{BlobReader, Layout};
use crate::oci::manifest;
use crate::oci::model::MAX_JSON_BYTES;
use crate::oci::model::{ConfigLocation, DocumentKind, Layer, Query, ResolvedImage};
use crate::oci::platform::Platform;
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
    /// The format of an image that was unpacked into a directory; nothing for a root directory.
    pub fn detect(root: BorrowedFd<'_>) -> Option<Self> {
        let has = |name| rustix::fs::statat(root, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        // docker save writes both since version 25, and the layout has the digests
        if has("oci-layout") && has("index.json") && has("blobs") {
            return Some(Self::OciArchive);
        }
        // a root directory has etc, an image does not
        let is_docker_archive = has("repositories") || has("manifest.json") && has("blobs");
        (is_docker_archive && !has("etc")).then_some(Self::DockerArchive)
    }
}

/// An image on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalImage {
    /// Its format.
    pub format: ImageFormat,
    /// Its path.
    pub path: PathBuf,
    /// Its tag, if there are several images.
    pub tag: Option<OsString>,
}

impl LocalImage {
    /// Splits `PATH[:TAG]`; what exists as a path has no tag.
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

/// An image whose manifest was read.
#[derive(Debug)]
pub struct Image {
    store: Store,
    found: ResolvedImage,
}

/// Where the blobs are.
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
        platform: &Platform,
        temp_dir: &Path,
        max_bytes: u64,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let blobs = match reference.format {
            ImageFormat::OciDirectory => Layout::directory(&reference.path)?,
            ImageFormat::OciArchive | ImageFormat::DockerArchive => {
                Layout::archive(&reference.path, temp_dir, max_bytes, interrupt)?
            }
        };
        let tag = reference.tag.as_deref().map(OsStr::to_string_lossy);
        Self::of_blobs(blobs, reference.format, Query { tag: tag.as_deref(), platform })
    }

    /// The image in an archive that was unpacked to `root`.
    ///
    /// # Errors
    /// Not found, damaged, I/O.
    pub fn unpacked(root: OwnedFd, format: ImageFormat, platform: &Platform) -> Result<Self> {
        Self::of_blobs(Layout::Directory(root), format, Query { tag: None, platform })
    }

    fn of_blobs(blobs: Layout, format: ImageFormat, query: Query<'_>) -> Result<Self> {
        let found = match format {
            ImageFormat::DockerArchive => docker_archive::find(&blobs, query)?,
            ImageFormat::OciDirectory | ImageFormat::OciArchive => manifest::oci(&blobs, query)?,
        };
        Ok(Self { store: Store::Here(blobs), found })
    }

    /// Gets the manifest from a registry; no layer is fetched yet.
    ///
    /// # Errors
    /// Not found, denied, network; damaged, also if the layers claim more than `max_bytes` bytes.
    pub fn from_registry(repository: Repository, platform: &Platform, max_bytes: u64) -> Result<Self> {
        let (data, digest) = repository.top()?;
        let found = manifest::registry(&repository, &data, digest, platform)?;
        let image = Self { store: Store::Registry(repository), found };
        if image.size().is_none_or(|size| size > max_bytes) {
            return Err(Failure::damaged(format_args!("refused: the image has more than {max_bytes} bytes"))
                .hint("--max-size allows more"));
        }
        Ok(image)
    }

    /// The digest of the manifest, where the format has one.
    pub fn digest(&self) -> Option<&Digest> {
        self.found.digests.last()
    }

    /// The digests that identify the image: its manifest's, and those of the
    /// indexes that lead to it.
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
    ///
    /// # Errors
    /// Damaged, if it is missing or does not have its digest; as reading or fetching.
    pub fn config(&self) -> Result<Vec<u8>> {
        match (&self.found.config, &self.store) {
            (ConfigLocation::Blob(digest, size), Store::Here(blobs)) => {
                manifest::checked(blobs, digest, *size, DocumentKind::Config)
            }
            (ConfigLocation::Blob(digest, size), Store::Registry(repository)) => {
                manifest::checked(repository, digest, *size, DocumentKind::Config)
            }
            (ConfigLocation::File(name), Store::Here(blobs)) => {
                let data = blobs.read(name, MAX_JSON_BYTES)?;
                data.ok_or_else(|| Failure::damaged("the image is not complete: it has no configuration"))
            }
            (ConfigLocation::File(_), Store::Registry(_)) => {
                Err(Failure::damaged("the image has no configuration"))
            }
        }
    }

    /// Starts to fetch layers that are in a registry, into files in `temp_dir` if
    /// there is no cache.
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

    /// Verifies the image's blobs in the cache and removes damaged ones;
    /// whether there were any.
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

impl Layers<'_> {
    /// The bytes of a layer, verified while they are read.
    ///
    /// # Errors
    /// Damaged, if the layer is missing; I/O, network.
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

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Container images: layers, one over the other, each checked against its digest.

pub mod blobs;
pub mod manifest;
pub mod platform;
pub mod saved;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::digest::{Checked, Digest};
use crate::failure::{Failure, Result};
use crate::image::blobs::{Blobs, Part};
use crate::image::manifest::{Layer, Wanted};
use crate::image::platform::Platform;
use crate::interrupt::Interrupt;

/// How an image is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `oci:`, an image layout in a directory.
    OciDirectory,
    /// `oci-archive:`, an image layout in a tar archive.
    OciArchive,
    /// `docker-archive:`, what `docker save` writes.
    DockerArchive,
}

/// Where an image is, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// How it is kept.
    pub form: Form,
    /// Where it is.
    pub path: PathBuf,
    /// Which of several.
    pub tag: Option<OsString>,
}

impl Reference {
    /// Splits `PATH[:TAG]`; a path that exists is all path.
    pub fn parse(form: Form, text: &OsStr) -> Self {
        let whole = || Self { form, path: PathBuf::from(text), tag: None };
        if Path::new(text).exists() {
            return whole();
        }
        let bytes = text.as_bytes();
        match bytes.iter().position(|&byte| byte == b':') {
            Some(at) => Self {
                form,
                path: PathBuf::from(OsStr::from_bytes(bytes.get(..at).unwrap_or_default())),
                tag: Some(OsStr::from_bytes(bytes.get(at + 1..).unwrap_or_default()).to_owned()),
            },
            None => whole(),
        }
    }
}

/// An image whose parts are known.
#[derive(Debug)]
pub struct Image {
    blobs: Blobs,
    layers: Vec<Layer>,
    digest: Option<Digest>,
}

impl Image {
    /// Reads indexes and manifests; a compressed archive is decoded into a file in `beside`.
    ///
    /// # Errors
    /// Not found, damaged, I/O.
    pub fn open(
        reference: &Reference,
        platform: &Platform,
        beside: &Path,
        most: u64,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let blobs = match reference.form {
            Form::OciDirectory => Blobs::directory(&reference.path)?,
            Form::OciArchive | Form::DockerArchive => {
                Blobs::archive(&reference.path, beside, most, interrupt)?
            }
        };
        let tag = reference.tag.as_deref().map(OsStr::to_string_lossy);
        let wanted = Wanted { tag: tag.as_deref(), platform };
        let (layers, digest) = match reference.form {
            Form::DockerArchive => (manifest::docker(&blobs, wanted)?, None),
            Form::OciDirectory | Form::OciArchive => {
                let (layers, digest) = manifest::oci(&blobs, wanted)?;
                (layers, Some(digest))
            }
        };
        Ok(Self { blobs, layers, digest })
    }

    /// The digest of the manifest, where the form has one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The layers, the lowest first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Bytes of all layers as they are stored, where that is known.
    pub fn size(&self) -> Option<u64> {
        self.layers.iter().map(|layer| layer.stored.as_ref().map(|(_, size)| *size)).sum()
    }

    /// The bytes of a layer, checked as they stream.
    ///
    /// # Errors
    /// Damaged, if the layer is missing; I/O.
    pub fn part(&self, layer: &Layer) -> Result<Part> {
        let Some((part, _)) = self.blobs.open(&layer.part)? else {
            return Err(Failure::damaged(format_args!(
                "the image is not complete: {:?} is missing",
                layer.part
            )));
        };
        Ok(match &layer.stored {
            Some((digest, size)) => Box::new(Checked::new(part, digest.clone(), Some(*size))),
            None => part,
        })
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a tag to the layers of one platform: indexes, manifests, docker's list.
//!
//! # Source
//! OCI image-spec: image-layout.md, image-index.md, manifest.md; docker save's manifest.json.

use serde_json::Value;

use crate::digest::Digest;
use crate::failure::{Failure, Kind, Result};
use crate::oci::docker_archive;
use crate::oci::layout::Layout;
use crate::oci::platform::Platform;

/// What registries allow a manifest to be.
pub const MAX_JSON_BYTES: u64 = 4 << 20;
/// An index may list indexes; deeper than this is a trick.
const MAX_INDEX_DEPTH: usize = 4;

/// A layer, and what its bytes must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The name of the part that holds it.
    pub path: String,
    /// The digest and size of the part as it is stored.
    pub stored: Option<(Digest, u64)>,
    /// The digest of the tar archive in it.
    pub content: Option<Digest>,
}

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The tag, if one was given.
    pub tag: Option<&'a str>,
    /// The platform.
    pub platform: &'a Platform,
}

/// Where the documents of an image are.
pub trait Documents {
    /// The bytes of one; nothing if it is not there. They are checked by who asks.
    ///
    /// # Errors
    /// I/O, network; damaged, if it is larger than [`MAX_JSON_BYTES`].
    fn document(&self, digest: &Digest, what: DocumentKind) -> Result<Option<Vec<u8>>>;
}

/// What a document is, for registries keep them in two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// An index or a manifest.
    Manifest,
    /// The configuration of an image.
    Config,
}

impl Documents for Layout {
    fn document(&self, digest: &Digest, _: DocumentKind) -> Result<Option<Vec<u8>>> {
        self.read(&digest.blob(), MAX_JSON_BYTES)
    }
}

/// The image that was found.
#[derive(Clone, Debug)]
pub struct ResolvedImage {
    /// Its layers, the lowest first.
    pub layers: Vec<Layer>,
    /// Its configuration.
    pub config: ConfigLocation,
    /// The digests of the documents that lead to it, its manifest's the last.
    pub digests: Vec<Digest>,
}

/// Where the configuration of an image is.
#[derive(Clone, Debug)]
pub enum ConfigLocation {
    /// A document of this digest and size.
    Blob(Digest, u64),
    /// A part of this name, unchecked.
    File(String),
}

/// The bytes of a document that must have this digest and size.
///
/// # Errors
/// Damaged, if it is missing or another one.
pub fn checked(documents: &dyn Documents, digest: &Digest, size: u64, what: DocumentKind) -> Result<Vec<u8>> {
    let name = digest.blob();
    let data = documents.document(digest, what)?.ok_or_else(|| missing(&name))?;
    if data.len() as u64 != size || !digest.matches(&data) {
        return Err(Failure::damaged(format_args!("{name} is not what its digest says")));
    }
    Ok(data)
}

/// A reference to another part, with its digest and size.
#[derive(Clone, Debug)]
struct Descriptor {
    digest: Digest,
    size: u64,
    media_type: String,
    platform: Option<Platform>,
    tag: Option<String>,
}

impl Descriptor {
    fn read(value: &Value) -> Result<Self> {
        let wrong = || Failure::damaged("the image refers to a part without a digest or size");
        let text = |at: &str| value.pointer(at).and_then(Value::as_str).map(str::to_owned);
        let digest = text("/digest").ok_or_else(wrong)?;
        let platform = match (text("/platform/os"), text("/platform/architecture")) {
            (Some(os), Some(architecture)) => {
                Some(Platform { os, architecture, variant: text("/platform/variant") })
            }
            _ => None,
        };
        Ok(Self {
            digest: digest.parse().map_err(|wrong| Failure::damaged(format_args!("{digest:?}: {wrong}")))?,
            size: value.get("size").and_then(Value::as_u64).ok_or_else(wrong)?,
            media_type: text("/mediaType").unwrap_or_default(),
            platform,
            tag: text("/annotations/org.opencontainers.image.ref.name"),
        })
    }

    /// The JSON it refers to, checked.
    fn json(&self, documents: &dyn Documents) -> Result<Value> {
        let name = self.digest.blob();
        let data = checked(documents, &self.digest, self.size, DocumentKind::Manifest)?;
        let value = parse(&data, &name)?;
        let inside = value.get("mediaType").and_then(Value::as_str);
        if inside.is_some_and(|inside| !self.media_type.is_empty() && inside != self.media_type) {
            return Err(Failure::damaged(format_args!(
                "{name} says that it is something else than what refers to it"
            )));
        }
        Ok(value)
    }
}

/// An image in an OCI layout.
///
/// # Errors
/// Not found, for a tag or platform that is not there; damaged.
pub fn oci(layout: &Layout, query: Query<'_>) -> Result<ResolvedImage> {
    let data = layout.read("index.json", MAX_JSON_BYTES)?;
    let data =
        data.ok_or_else(|| Failure::new(Kind::NotFound, "there is no image: index.json is missing"))?;
    let all = descriptors(&parse(&data, "index.json")?)?;
    let tagged: Vec<Descriptor> = match query.tag {
        None => all,
        Some(tag) => {
            let tags: Vec<String> = all.iter().filter_map(|one| one.tag.clone()).collect();
            let chosen: Vec<Descriptor> =
                all.into_iter().filter(|one| one.tag.as_deref() == Some(tag)).collect();
            if chosen.is_empty() {
                return Err(not_there(&format!("the tag {tag:?}"), &tags));
            }
            chosen
        }
    };
    let mut tags: Vec<String> = tagged.iter().filter_map(|one| one.tag.clone()).collect();
    tags.dedup();
    if query.tag.is_none() && tags.len() > 1 {
        return Err(Failure::new(Kind::NotFound, "the layout has several images, and no tag was given")
            .hint(format_args!("its tags: {}", tags.join(", "))));
    }
    resolve(layout, tagged, query.platform, Vec::new())
}

/// The image that a document of a registry leads to.
///
/// # Errors
/// As [`oci`].
pub fn registry(
    documents: &dyn Documents,
    data: &[u8],
    digest: Digest,
    platform: &Platform,
) -> Result<ResolvedImage> {
    let value = parse(data, &digest.blob())?;
    inside(documents, &value, platform, vec![digest])
}

fn resolve(
    documents: &dyn Documents,
    offers: Vec<Descriptor>,
    platform: &Platform,
    mut path: Vec<Digest>,
) -> Result<ResolvedImage> {
    let chosen = choose(offers, platform)?;
    if path.contains(&chosen.digest) || path.len() == MAX_INDEX_DEPTH {
        return Err(Failure::damaged("indexes of the image refer to indexes without end"));
    }
    let value = chosen.json(documents)?;
    path.push(chosen.digest);
    inside(documents, &value, platform, path)
}

/// What a document says: more documents, or an image.
fn inside(
    documents: &dyn Documents,
    value: &Value,
    platform: &Platform,
    path: Vec<Digest>,
) -> Result<ResolvedImage> {
    if value.get("schemaVersion").and_then(Value::as_u64) == Some(1) {
        return Err(Failure::damaged(
            "refused: its manifest is of schema 1, which names no layer by a digest of its own",
        )
        .hint("push the image again with a tool of this decade"));
    }
    match (value.get("manifests"), value.get("layers")) {
        (Some(_), None) => resolve(documents, descriptors(value)?, platform, path),
        (None, Some(layers)) => {
            let layers =
                layers.as_array().ok_or_else(|| Failure::damaged("the layers of the image are no list"))?;
            let kind = value.pointer("/config/mediaType").and_then(Value::as_str).unwrap_or_default();
            if !(kind.contains("image.config") || kind.contains("container.image")) {
                return Err(Failure::damaged(format_args!("this is no image of a root, but {kind:?}")));
            }
            let config = Descriptor::read(value.get("config").unwrap_or(&Value::Null))?;
            let layers = layers.iter().map(|layer| Descriptor::read(layer).and_then(|it| stored(&it)));
            Ok(ResolvedImage {
                layers: layers.collect::<Result<_>>()?,
                config: ConfigLocation::Blob(config.digest, config.size),
                digests: path,
            })
        }
        // CVE-2021-41190: a document that can be read as either
        _ => Err(Failure::damaged("a manifest of the image is neither an index nor an image, or both")),
    }
}

fn stored(layer: &Descriptor) -> Result<Layer> {
    if layer.media_type.contains("foreign") || layer.media_type.contains("nondistributable") {
        return Err(Failure::damaged(format_args!(
            "refused: a layer of the image may not be passed on, so it is somewhere else: {:?}",
            layer.media_type
        )));
    }
    if !layer.media_type.contains("tar") {
        return Err(Failure::damaged(format_args!(
            "a layer of the image is no tar archive: {:?}",
            layer.media_type
        )));
    }
    Ok(Layer { path: layer.digest.blob(), stored: Some((layer.digest.clone(), layer.size)), content: None })
}

/// The offer for a platform; one without a platform is for all.
fn choose(offers: Vec<Descriptor>, platform: &Platform) -> Result<Descriptor> {
    let mut names: Vec<String> =
        offers.iter().filter_map(|offer| offer.platform.as_ref()).map(Platform::to_string).collect();
    names.retain(|name| name != "unknown/unknown");
    let best = offers
        .into_iter()
        .filter_map(|offer| {
            let distance =
                offer.platform.as_ref().map_or(Some(u32::MAX), |offered| platform.distance(offered));
            distance.map(|distance| (distance, offer))
        })
        .min_by_key(|(distance, _)| *distance);
    best.map(|(_, offer)| offer).ok_or_else(|| not_there(&format!("the platform {platform}"), &names))
}

/// An image in a `docker save` archive.
///
/// # Errors
/// As [`oci`].
pub fn docker(layout: &Layout, query: Query<'_>) -> Result<ResolvedImage> {
    let Some(data) = layout.read("manifest.json", MAX_JSON_BYTES)? else {
        return docker_archive::image(layout, query.tag);
    };
    let list = parse(&data, "manifest.json")?;
    let images = list.as_array().ok_or_else(|| Failure::damaged("manifest.json is no list of images"))?;
    let tags = |image: &Value| -> Vec<String> {
        let tags = image.get("RepoTags").and_then(Value::as_array).into_iter().flatten();
        tags.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let named = |image: &&Value| query.tag.is_none_or(|tag| tags(image).iter().any(|one| names(one, tag)));
    let mut chosen = images.iter().filter(named);
    let all: Vec<String> = images.iter().flat_map(tags).collect();
    let image = match (chosen.next(), chosen.next()) {
        (Some(image), None) => image,
        (None, _) => return Err(not_there(&format!("the image {:?}", query.tag.unwrap_or_default()), &all)),
        (Some(_), Some(_)) => {
            return Err(Failure::new(
                Kind::NotFound,
                "the archive has several images, and no name was given",
            )
            .hint(format_args!("its names: {}", all.join(", "))));
        }
    };
    docker_layers(layout, image)
}

/// `ubuntu` names `ubuntu:latest`, as everywhere.
pub(super) fn names(full: &str, asked: &str) -> bool {
    full == asked || full.strip_suffix(":latest") == Some(asked)
}

fn docker_layers(layout: &Layout, image: &Value) -> Result<ResolvedImage> {
    let wrong = || Failure::damaged("manifest.json does not describe its image");
    let part = image.get("Config").and_then(Value::as_str).ok_or_else(wrong)?;
    let layers = image.get("Layers").and_then(Value::as_array).ok_or_else(wrong)?;
    let data = layout.read(part, MAX_JSON_BYTES)?.ok_or_else(|| missing(part))?;
    let config = parse(&data, part)?;
    let contents = config.pointer("/rootfs/diff_ids").and_then(Value::as_array).ok_or_else(wrong)?;
    if contents.len() != layers.len() {
        return Err(wrong());
    }
    let pairs = layers.iter().zip(contents);
    let layers = pairs
        .map(|(path, content)| {
            let content = content.as_str().and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
            Ok(Layer {
                path: path.as_str().ok_or_else(wrong)?.to_owned(),
                stored: None,
                content: Some(content),
            })
        })
        .collect::<Result<_>>()?;
    Ok(ResolvedImage { layers, config: ConfigLocation::File(part.to_owned()), digests: Vec::new() })
}

fn descriptors(index: &Value) -> Result<Vec<Descriptor>> {
    if index.get("layers").is_some() {
        return Err(Failure::damaged("a manifest of the image is neither an index nor an image, or both"));
    }
    let list = index.get("manifests").and_then(Value::as_array);
    list.ok_or_else(|| Failure::damaged("the index of the image has no list"))?
        .iter()
        .map(Descriptor::read)
        .collect()
}

pub(super) fn parse(data: &[u8], name: &str) -> Result<Value> {
    serde_json::from_slice(data)
        .map_err(|error| Failure::damaged(format_args!("{name} of the image: {error}")))
}

pub(super) fn missing(part: &str) -> Failure {
    Failure::damaged(format_args!("the image is not complete: {part:?} is missing"))
}

pub(super) fn not_there(what: &str, instead: &[String]) -> Failure {
    let failure = Failure::new(Kind::NotFound, format_args!("the image has not {what}"));
    if instead.is_empty() { failure } else { failure.hint(format_args!("it has {}", instead.join(", "))) }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a tag to the layers for one platform: indexes and manifests.
//!
//! # Source
//! OCI image-spec: image-layout.md, image-index.md, manifest.md.

use serde_json::Value;

use crate::digest::Digest;
use crate::failure::{Failure, Kind, Result};
use crate::oci::layout::Layout;
use crate::oci::model::{
    ConfigLocation, DocumentKind, Documents, Layer, MAX_JSON_BYTES, Query, ResolvedImage, missing, not_found,
    parse,
};
use crate::oci::platform::Platform;

/// How deep indexes may be nested.
const MAX_INDEX_DEPTH: usize = 4;

impl Documents for Layout {
    fn document(&self, digest: &Digest, _: DocumentKind) -> Result<Option<Vec<u8>>> {
        self.read(&digest.blob(), MAX_JSON_BYTES)
    }
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

/// An OCI descriptor: a reference to another document.
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
                return Err(not_found(&format!("the tag {tag:?}"), &tags));
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

/// Reads an index or an image manifest.
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

/// The best offer for a platform; an offer without one fits every platform.
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
    best.map(|(_, offer)| offer).ok_or_else(|| not_found(&format!("the platform {platform}"), &names))
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

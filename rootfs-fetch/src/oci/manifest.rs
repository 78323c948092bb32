//! From a tag to the layers for one platform: indexes and manifests.
//!
//! # Source
//! OCI image-spec: image-layout.md, image-index.md, manifest.md.

use serde_json::Value;

use crate::digest::Digest;
use crate::failure::{Failure, Kind, Result};
use crate::oci::choice::{Listed, choose, nearest, only};
use crate::oci::docker_archive;
use crate::oci::layout::Layout;
use crate::oci::model::{
    DocumentKind, Documents, ImageChoice, Layer, MAX_JSON_BYTES, Query, ResolvedImage, list, missing, parse,
};
use crate::oci::platform::{Platform, WantedPlatform};

/// The maximum nesting of indexes.
const MAX_INDEX_DEPTH: usize = 4;
/// The maximum number of images whose configuration is read to find their platform.
const MAX_CONFIGURATIONS: usize = 64;
/// Types of a configuration besides the regular ones, because Docker 1.10 and some registries lost the type.
/// The list is docker's own, from moby's distribution/registry.go.
const LOST_TYPES: [&str; 4] = ["application/octet-stream", "application/json", "text/html", ""];

impl Documents for Layout {
    fn document(&self, digest: &Digest, _: DocumentKind) -> Result<Option<Vec<u8>>> {
        self.read(&digest.blob(), MAX_JSON_BYTES)
    }
}

/// The bytes of a document, checked against its digest and size.
///
/// # Errors
/// Damaged, if it is missing or does not match.
pub fn checked(documents: &dyn Documents, digest: &Digest, size: u64, what: DocumentKind) -> Result<Vec<u8>> {
    let name = digest.blob();
    let data = documents.document(digest, what)?.ok_or_else(|| missing(&name))?;
    if data.len() as u64 != size || !digest.matches(&data) {
        return Err(Failure::damaged(format_args!("{name} does not match its digest")));
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
    names: Vec<String>,
    /// Whether it is an attestation of another image, not an image.
    is_attestation: bool,
}

impl Descriptor {
    fn read(value: &Value) -> Result<Self> {
        let wrong = || Failure::damaged("the image refers to a part without a digest or size");
        let text = |at: &str| value.pointer(at).and_then(Value::as_str).map(str::to_owned);
        let digest = text("/digest").ok_or_else(wrong)?;
        let platform = value.get("platform").and_then(Platform::of_json);
        let is_attestation = text("/annotations/vnd.docker.reference.type").is_some()
            || platform.as_ref().is_some_and(|platform| platform.to_string() == "unknown/unknown");
        // containerd writes the full name, and the tag beside it
        let names = text("/annotations/io.containerd.image.name").into_iter();
        let names = names.chain(text("/annotations/org.opencontainers.image.ref.name"));
        Ok(Self {
            digest: parse_digest(&digest)?,
            size: value.get("size").and_then(Value::as_u64).ok_or_else(wrong)?,
            media_type: text("/mediaType").unwrap_or_default(),
            platform,
            names: names.collect(),
            is_attestation,
        })
    }

    /// The JSON document that it refers to, checked.
    fn json(&self, documents: &dyn Documents) -> Result<Value> {
        let name = self.digest.blob();
        let data = checked(documents, &self.digest, self.size, DocumentKind::Manifest)?;
        let value = parse(&data, &name)?;
        let inside = value.get("mediaType").and_then(Value::as_str);
        if inside.is_some_and(|inside| !self.media_type.is_empty() && inside != self.media_type) {
            return Err(Failure::damaged(format_args!(
                "{name} has a different type from the reference to it"
            )));
        }
        Ok(value)
    }
}

/// A digest in a document. The specification only allows lower case, and stores compare the text.
fn parse_digest(text: &str) -> Result<Digest> {
    let wrong = |why: &str| Failure::damaged(format_args!("{text:?}: {why}"));
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(wrong("a digest in an image must be in lower case"));
    }
    text.parse().map_err(|why: String| wrong(&why))
}

/// An image in an OCI layout.
///
/// # Errors
/// Not found, for a name or platform that does not exist, or a name that several images have; damaged.
pub fn oci(layout: &Layout, query: Query<'_>) -> Result<ResolvedImage> {
    let data = layout.read("index.json", MAX_JSON_BYTES)?;
    let data =
        data.ok_or_else(|| Failure::new(Kind::NotFound, "there is no image: index.json is missing"))?;
    let index = parse(&data, "index.json")?;
    if list(&index, "manifests").is_none() && layout.open(docker_archive::MANIFEST)?.is_some() {
        // Docker 25.0 wrote no list when it saved an image by its id
        return docker_archive::find(layout, query);
    }
    let chosen = choose(offers(&index)?, query)?;
    resolve(layout, chosen, Criteria { query, one_of_several: only }, Vec::new())
}

/// The image that a document from a registry leads to.
///
/// # Errors
/// Those of [`oci`].
pub fn registry(
    documents: &dyn Documents,
    data: &[u8],
    digest: Digest,
    platform: &WantedPlatform,
) -> Result<ResolvedImage> {
    let value = parse(data, &digest.blob())?;
    let query = Query { image: ImageChoice::Only, platform, source: "" };
    inside(documents, &value, Criteria { query, one_of_several: first }, vec![digest])
}

/// The query, and how to choose between several images for the same platform.
#[derive(Clone, Copy)]
struct Criteria<'a> {
    query: Query<'a>,
    one_of_several: fn(Vec<Listed<Descriptor>>, Query<'_>) -> Result<Listed<Descriptor>>,
}

/// The first of several for the same platform: image-spec, image-index.md.
fn first(mut images: Vec<Listed<Descriptor>>, query: Query<'_>) -> Result<Listed<Descriptor>> {
    images.truncate(1);
    only(images, query)
}

fn resolve(
    documents: &dyn Documents,
    offers: Vec<Listed<Descriptor>>,
    asked: Criteria<'_>,
    path: Vec<Digest>,
) -> Result<ResolvedImage> {
    let with_platform = |offer: Listed<Descriptor>| {
        let platform = offer.image.platform.clone();
        (offer, platform)
    };
    let near = nearest(offers.into_iter().map(with_platform).collect(), asked.query)?;
    let says_nothing = near.iter().all(|offer| offer.image.platform.is_none());
    let near =
        if near.len() > 1 && says_nothing { by_configuration(documents, near, asked, &path)? } else { near };
    let chosen = (asked.one_of_several)(near, asked.query)?;
    at(documents, chosen.image, asked, path)
}

/// The nearest of several images whose index has no platforms: their configurations have them.
fn by_configuration(
    documents: &dyn Documents,
    images: Vec<Listed<Descriptor>>,
    asked: Criteria<'_>,
    path: &[Digest],
) -> Result<Vec<Listed<Descriptor>>> {
    if images.len() > MAX_CONFIGURATIONS {
        return Ok(images);
    }
    let mut found = Vec::new();
    let mut without = None;
    for image in images {
        match at(documents, image.image.clone(), asked, path.to_vec()) {
            Ok(resolved) => found.push((image, resolved.platform)),
            // an index without the platform
            Err(failure) if failure.is(Kind::NotFound) => without = Some(failure),
            Err(failure) => return Err(failure),
        }
    }
    match (found.is_empty(), without) {
        (true, Some(failure)) => Err(failure),
        _ => nearest(found, asked.query),
    }
}

/// The image that a descriptor leads to.
fn at(
    documents: &dyn Documents,
    descriptor: Descriptor,
    asked: Criteria<'_>,
    mut path: Vec<Digest>,
) -> Result<ResolvedImage> {
    if path.contains(&descriptor.digest) || path.len() == MAX_INDEX_DEPTH {
        return Err(Failure::damaged("the indexes of the image are nested too deeply"));
    }
    let value = descriptor.json(documents)?;
    path.push(descriptor.digest);
    inside(documents, &value, asked, path)
}

/// Reads an index or an image manifest.
fn inside(
    documents: &dyn Documents,
    value: &Value,
    asked: Criteria<'_>,
    path: Vec<Digest>,
) -> Result<ResolvedImage> {
    if value.get("schemaVersion").and_then(Value::as_u64) == Some(1) {
        return Err(Failure::damaged("refused: its manifest has schema 1, in which layers have no digests")
            .hint("push the image again with a current tool"));
    }
    match (list(value, "manifests"), list(value, "layers")) {
        (Some(_), None) => {
            let asked = Criteria { one_of_several: first, ..asked };
            resolve(documents, offers(value)?, asked, path)
        }
        (None, Some(Value::Array(layers))) => image(documents, value, layers, path),
        (None, Some(_)) => Err(Failure::damaged("the layers of the image are not a list")),
        // an image of FROM scratch only, as Go writes it
        (None, None) if value.get("config").is_some() => image(documents, value, &[], path),
        // CVE-2021-41190: a document that can be read as either
        _ => Err(Failure::damaged("a manifest of the image is neither an index nor an image, or both")),
    }
}

/// Reads an image manifest, and the configuration it refers to.
fn image(
    documents: &dyn Documents,
    manifest: &Value,
    layers: &[Value],
    path: Vec<Digest>,
) -> Result<ResolvedImage> {
    let kind = manifest.pointer("/config/mediaType").and_then(Value::as_str).unwrap_or_default();
    let no_image = || Failure::damaged(format_args!("this is not a container image, but {kind:?}"));
    if !(kind.contains("image.config") || kind.contains("container.image") || LOST_TYPES.contains(&kind)) {
        return Err(no_image());
    }
    let config = Descriptor::read(manifest.get("config").unwrap_or(&Value::Null))?;
    let layers = layers.iter().map(|layer| Descriptor::read(layer).and_then(|it| stored(&it)));
    let layers = layers.collect::<Result<_>>()?;
    let data = checked(documents, &config.digest, config.size, DocumentKind::Config)?;
    let about = match parse(&data, "the configuration") {
        // with a type that any document can have, its contents must look like a configuration
        Ok(about) if about.is_object() || !LOST_TYPES.contains(&kind) => about,
        Err(failure) if !LOST_TYPES.contains(&kind) => return Err(failure),
        _ => return Err(no_image()),
    };
    Ok(ResolvedImage { layers, platform: Platform::of_json(&about), config: data, digests: path })
}

fn stored(layer: &Descriptor) -> Result<Layer> {
    if layer.media_type.contains("foreign") || layer.media_type.contains("nondistributable") {
        return Err(Failure::damaged(format_args!(
            "refused: a layer of the image is not distributable and is stored elsewhere: {:?}",
            layer.media_type
        )));
    }
    if !layer.media_type.contains("tar") {
        return Err(Failure::damaged(format_args!(
            "a layer of the image is not a tar archive: {:?}",
            layer.media_type
        )));
    }
    Ok(Layer { path: layer.digest.blob(), stored: Some((layer.digest.clone(), layer.size)), content: None })
}

/// The images in an index, without documents about images.
fn offers(index: &Value) -> Result<Vec<Listed<Descriptor>>> {
    if list(index, "layers").is_some() {
        return Err(Failure::damaged("a manifest of the image is neither an index nor an image, or both"));
    }
    let list = index.get("manifests").and_then(Value::as_array);
    let list = list.ok_or_else(|| Failure::damaged("the index of the image has no list"))?;
    let descriptors: Vec<Descriptor> = list.iter().map(Descriptor::read).collect::<Result<_>>()?;
    let offers = descriptors.into_iter().enumerate().filter(|(_, image)| !image.is_attestation);
    let listed = offers.map(|(position, mut image)| Listed {
        position,
        names: std::mem::take(&mut image.names),
        identity: image.digest.to_string(),
        image,
    });
    Ok(listed.collect())
}

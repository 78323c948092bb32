//! `docker save` archives.
//!
//! Since version 1.10, `manifest.json` lists images with their layers, and each image's configuration has the
//! digests of their contents. Before, `repositories` named the topmost layer of each image, and each layer's
//! `json` the one below it. There are no digests then, so such an image is only as trustworthy as a plain
//! archive.
//!
//! # Source
//! moby's image/spec: v1.2.md, "Combined Image JSON + Filesystem Changeset Format"; v1.md.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use crate::failure::{Failure, Kind, Result};
use crate::oci::choice::{Listed, choose, nearest, only};
use crate::oci::layout::Layout;
use crate::oci::model::{Layer, MAX_JSON_BYTES, Query, ResolvedImage, list, missing, parse};
use crate::oci::platform::Platform;

/// The list of images.
pub const MANIFEST: &str = "manifest.json";
/// The file that lists images by name and tag.
pub const REPOSITORIES: &str = "repositories";

/// Whether the bytes are docker's `manifest.json`, not another file with this name.
pub fn is_manifest(data: &[u8]) -> bool {
    let value: Option<Value> = serde_json::from_slice(data).ok();
    let is_image = |image: &Value| {
        image.get("Config").is_some_and(Value::is_string)
            && image.get("Layers").is_some_and(|layers| layers.is_array() || layers.is_null())
    };
    let images = value.as_ref().and_then(Value::as_array);
    images.is_some_and(|images| !images.is_empty() && images.iter().all(is_image))
}

/// An image in a `docker save` archive.
///
/// # Errors
/// Not found, damaged.
pub fn find(layout: &Layout, query: Query<'_>) -> Result<ResolvedImage> {
    let Some(data) = layout.read(MANIFEST, MAX_JSON_BYTES)? else {
        return legacy(layout, query);
    };
    let images = parse(&data, MANIFEST)?;
    let images =
        images.as_array().ok_or_else(|| Failure::damaged("manifest.json is not a list of images"))?;
    let tags = |image: &Value| -> Vec<String> {
        let tags = image.get("RepoTags").and_then(Value::as_array).into_iter().flatten();
        tags.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let part = |image: &Value, name| image.get(name).map_or_else(String::new, Value::to_string);
    let listed = images.iter().enumerate().map(|(position, image)| Listed {
        position,
        names: tags(image),
        identity: format!("{} {}", part(image, "Config"), part(image, "Layers")),
        image,
    });
    let mut chosen = choose(listed.collect(), query)?;
    if chosen.len() > 1 {
        let mut offers = Vec::new();
        for one in chosen {
            let platform = described(layout, one.image)?.platform;
            offers.push((one, platform));
        }
        chosen = nearest(offers, query)?;
    }
    described(layout, only(chosen, query)?.image)
}

/// The image that an entry of `manifest.json` describes.
fn described(layout: &Layout, image: &Value) -> Result<ResolvedImage> {
    let wrong = || Failure::damaged("manifest.json does not describe its image");
    let part = image.get("Config").and_then(Value::as_str).ok_or_else(wrong)?;
    let data = layout.read(part, MAX_JSON_BYTES)?.ok_or_else(|| missing(part))?;
    let config = parse(&data, part)?;
    // an image without layers may have no list
    let layers = array(list(image, "Layers")).ok_or_else(wrong)?;
    let contents = config.get("rootfs").and_then(|rootfs| list(rootfs, "diff_ids"));
    let contents = array(contents).ok_or_else(wrong)?;
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
    Ok(ResolvedImage { layers, platform: Platform::of_json(&config), config: data, digests: Vec::new() })
}

/// A list, empty if it is missing; None for another type.
fn array(value: Option<&Value>) -> Option<&[Value]> {
    match value {
        None => Some(&[]),
        Some(value) => value.as_array().map(Vec::as_slice),
    }
}

/// An image of an archive without `manifest.json`.
fn legacy(layout: &Layout, query: Query<'_>) -> Result<ResolvedImage> {
    let data = layout.read(REPOSITORIES, MAX_JSON_BYTES)?;
    let data =
        data.ok_or_else(|| Failure::new(Kind::NotFound, "there is no image: manifest.json is missing"))?;
    let list = parse(&data, REPOSITORIES)?;
    let mut next = Some(topmost(&list, query)?);
    // the topmost layer's file also describes the image
    let mut config = None;
    let mut seen = HashSet::new();
    let mut layers = Vec::new();
    while let Some(id) = next {
        let about = format!("{id}/json");
        let data = layout.read(&about, MAX_JSON_BYTES)?.ok_or_else(|| missing(&about))?;
        let described = parse(&data, &about)?;
        let parent = described.get("parent").and_then(Value::as_str).map(str::to_owned);
        config.get_or_insert((data, Platform::of_json(&described)));
        layers.push(Layer { path: format!("{id}/layer.tar"), stored: None, content: None });
        if !seen.insert(id) {
            return Err(Failure::damaged("the layers of the image form a cycle"));
        }
        // docker wrote an empty parent or none
        next = parent.filter(|parent| !parent.is_empty());
    }
    layers.reverse();
    let (config, platform) = config.unwrap_or_default();
    Ok(ResolvedImage { layers, config, platform, digests: Vec::new() })
}

/// The id of the topmost layer of the image.
fn topmost(list: &Value, query: Query<'_>) -> Result<String> {
    let wrong = || Failure::damaged("repositories does not name images");
    // one image can have several names
    let mut images: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (repository, tags) in list.as_object().ok_or_else(wrong)? {
        let tags: &Map<String, Value> = tags.as_object().ok_or_else(wrong)?;
        for (tag, id) in tags {
            let id = id.as_str().ok_or_else(wrong)?.to_owned();
            images.entry(id).or_default().push(format!("{repository}:{tag}"));
        }
    }
    let listed = images.into_iter().enumerate().map(|(position, (id, names))| Listed {
        position,
        names,
        identity: id.clone(),
        image: id,
    });
    Ok(only(choose(listed.collect(), query)?, query)?.image)
}

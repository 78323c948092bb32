// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `docker save` writes.
//!
//! Since version 1.10 `manifest.json` lists images with their layers, and each image's configuration
//! has the digests of their contents. Before, `repositories` names the topmost layer of each image, and
//! each layer's `json` the one below it; there are no digests, so such an image is as trustworthy as a
//! plain archive.
//!
//! # Source
//! moby's image/spec: v1.2.md, "Combined Image JSON + Filesystem Changeset Format"; v1.md.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::failure::{Failure, Kind, Result};
use crate::oci::layout::Layout;
use crate::oci::model::{
    ConfigLocation, Layer, MAX_JSON_BYTES, Query, ResolvedImage, missing, names, not_found, parse,
};

/// The file that lists images by name and tag.
const REPOSITORIES: &str = "repositories";

/// An image in a `docker save` archive.
///
/// # Errors
/// Not found, damaged.
pub fn find(layout: &Layout, query: Query<'_>) -> Result<ResolvedImage> {
    let Some(data) = layout.read("manifest.json", MAX_JSON_BYTES)? else {
        return legacy(layout, query.tag);
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
        (None, _) => return Err(not_found(&format!("the image {:?}", query.tag.unwrap_or_default()), &all)),
        (Some(_), Some(_)) => {
            return Err(Failure::new(
                Kind::NotFound,
                "the archive has several images, and no name was given",
            )
            .hint(format_args!("its names: {}", all.join(", "))));
        }
    };
    layers_of(layout, image)
}

fn layers_of(layout: &Layout, image: &Value) -> Result<ResolvedImage> {
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

/// An image of an archive without `manifest.json`.
fn legacy(layout: &Layout, name: Option<&str>) -> Result<ResolvedImage> {
    let data = layout.read(REPOSITORIES, MAX_JSON_BYTES)?;
    let data =
        data.ok_or_else(|| Failure::new(Kind::NotFound, "there is no image: manifest.json is missing"))?;
    let list = parse(&data, REPOSITORIES)?;
    let top = topmost(&list, name)?;
    // it describes both the image and its topmost layer
    let config = ConfigLocation::File(format!("{top}/json"));
    let mut next = Some(top);
    let mut seen = HashSet::new();
    let mut layers = Vec::new();
    while let Some(id) = next {
        let about = format!("{id}/json");
        let data = layout.read(&about, MAX_JSON_BYTES)?.ok_or_else(|| missing(&about))?;
        let parent = parse(&data, &about)?.get("parent").and_then(Value::as_str).map(str::to_owned);
        layers.push(Layer { path: format!("{id}/layer.tar"), stored: None, content: None });
        if !seen.insert(id) {
            return Err(Failure::damaged("the layers of the image stand upon each other in a circle"));
        }
        // docker wrote an empty parent as well as none
        next = parent.filter(|parent| !parent.is_empty());
    }
    layers.reverse();
    Ok(ResolvedImage { layers, config, digests: Vec::new() })
}

/// The id of the topmost layer of the image.
fn topmost(list: &Value, name: Option<&str>) -> Result<String> {
    let wrong = || Failure::damaged("repositories does not name images");
    let mut images = Vec::new();
    for (repository, tags) in list.as_object().ok_or_else(wrong)? {
        let tags: &Map<String, Value> = tags.as_object().ok_or_else(wrong)?;
        for (tag, id) in tags {
            images.push((format!("{repository}:{tag}"), id.as_str().ok_or_else(wrong)?.to_owned()));
        }
    }
    let all: Vec<String> = images.iter().map(|(image, _)| image.clone()).collect();
    images.retain(|(image, _)| name.is_none_or(|name| names(image, name)));
    // one image may have several names
    images.dedup_by(|one, other| one.1 == other.1);
    match (images.len(), images.pop()) {
        (1, Some((_, id))) => Ok(id),
        (0, _) => Err(not_found(&format!("the image {:?}", name.unwrap_or_default()), &all)),
        _ => Err(Failure::new(Kind::NotFound, "the archive has several images, and no name was given")
            .hint(format_args!("its names: {}", all.join(", ")))),
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `docker save` wrote before version 1.10: no manifest, but a directory for each layer, and
//! in it the name of the layer below.
//!
//! There are no digests to check. What such an archive holds is as trustworthy as a plain one.
//!
//! # Source
//! moby's image/spec/v1.md, "Combined Image JSON + Filesystem Changeset Format".

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::failure::{Failure, Kind, Result};
use crate::oci::layout::Layout;
use crate::oci::manifest::{
    ConfigLocation, Layer, MAX_JSON_BYTES, ResolvedImage, missing, names, not_there, parse,
};

/// The list of images by name and tag.
const REPOSITORIES: &str = "repositories";

/// An image by name.
///
/// # Errors
/// Not found, damaged.
pub fn image(layout: &Layout, name: Option<&str>) -> Result<ResolvedImage> {
    let data = layout.read(REPOSITORIES, MAX_JSON_BYTES)?;
    let data =
        data.ok_or_else(|| Failure::new(Kind::NotFound, "there is no image: manifest.json is missing"))?;
    let list = parse(&data, REPOSITORIES)?;
    let top = top(&list, name)?;
    // it describes the image as well as its uppermost layer
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
        // an empty one is none: docker wrote both
        next = parent.filter(|parent| !parent.is_empty());
    }
    layers.reverse();
    Ok(ResolvedImage { layers, config, digests: Vec::new() })
}

/// The uppermost layer of the image that is meant.
fn top(list: &Value, name: Option<&str>) -> Result<String> {
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
        (0, _) => Err(not_there(&format!("the image {:?}", name.unwrap_or_default()), &all)),
        _ => Err(Failure::new(Kind::NotFound, "the archive has several images, and no name was given")
            .hint(format_args!("its names: {}", all.join(", ")))),
    }
}

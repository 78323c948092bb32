//! What is said of a value in the wrong place.

use crate::foreign::find;
use crate::{docker, own};

/// Values of docker's options that are neither a number nor have a colon.
const WORDS: [&str; 8] = ["host", "none", "bridge", "private", "shareable", "default", "auto", "keep-id"];

/// What is said where `value` is not found as a command and stands behind an option of `tool` that takes a
/// value only with `=`: `unshare-rs --net host`, `-u 1000`, `-p 8080:80`.
pub fn unjoined(tool: &str, option: &str, value: &str) -> Option<String> {
    // first what costs nothing: this runs at every start, before it is known whether there is a command
    if !looks_like_a_value(value) {
        return None;
    }
    let name = match option.strip_prefix("--") {
        Some(_) => option.to_string(),
        // the last of several letters is the one before the value
        None => format!("-{}", option.strip_prefix('-')?.chars().next_back()?),
    };
    if !own::takes_joined_value(tool, &name) {
        return None;
    }
    Some(match find(docker::FLAGS, &name) {
        Some(here) => here.advice(tool, &name, "docker"),
        None => format!("a value is joined to its option: '{name}={value}'"),
    })
}

fn looks_like_a_value(value: &str) -> bool {
    let first = value.chars().next().unwrap_or_default();
    first.is_ascii_digit()
        || first.is_ascii_uppercase()
        || value.contains([':', '='])
        || WORDS.contains(&value)
}

/// What is said where NEWROOT is not there and may be the name of an image; `-fs` as in this project's
/// pages is not part of it.
pub fn image_for_directory(path: &str) -> Option<String> {
    let is_name = |each: char| each.is_ascii_lowercase() || each.is_ascii_digit() || "._-/:@".contains(each);
    let starts_well = path.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    if !starts_well || !path.chars().all(is_name) || path.ends_with('/') {
        return None;
    }
    let image = path.strip_suffix("-fs").unwrap_or(path);
    let last = image.rsplit('/').next().unwrap_or(image);
    let name = last.split([':', '@']).next().unwrap_or(last);
    let directory = if image == path { format!("{name}-fs") } else { path.to_string() };
    Some(format!(
        "an image becomes a directory first: 'rootfs-fetch docker://{image} {directory}', then chroot-rs {directory}"
    ))
}

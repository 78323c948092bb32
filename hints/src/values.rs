//! Hints about a value in the wrong place.

use crate::foreign::find;
use crate::{docker, own};

/// Values of docker's options that are not numbers and contain no colon.
const WORDS: [&str; 8] = ["host", "none", "bridge", "private", "shareable", "default", "auto", "keep-id"];

/// Values of our options that are words in small letters.
const OWN_WORDS: [(&str, &[&str]); 5] = [
    ("--explain", &["short", "see"]),
    ("--list", &["text", "json"]),
    ("--apply", &["unchanged", "force"]),
    ("--report", &["human", "json", "runexec"]),
    ("--devices", &["keep-mode"]),
];

/// The hint if the command `value` is not found and the option before it accepts a value only after `=`:
/// `unshare-rs --net host`, `-u 1000`, `-p 8080:80`.
pub fn unjoined(tool: &str, option: &str, value: &str) -> Option<String> {
    // the cheap check first: this runs at every start, before it is known whether the command exists
    let is_own = OWN_WORDS.iter().any(|(name, values)| *name == option && values.contains(&value));
    if !is_own && !looks_like_a_value(value) {
        return None;
    }
    let name = match option.strip_prefix("--") {
        Some(_) => option.to_string(),
        // of several letters in one word, the last one is the option before the value
        None => format!("-{}", option.strip_prefix('-')?.chars().next_back()?),
    };
    if !own::takes_joined_value(tool, &name) {
        return None;
    }
    Some(match find(docker::FLAGS, &name) {
        Some(flag) => flag.advice(tool, &name, value, "docker"),
        None => format!("join the value to its option: '{name}={value}'"),
    })
}

/// The same without the option, which can be anywhere before the value: `rootfs-fetch --devices keep-mode`.
pub fn unjoined_word(tool: &str, value: &str) -> Option<String> {
    let mut own = OWN_WORDS.iter().filter(|(_, values)| values.contains(&value));
    let (option, _) = own.find(|(option, _)| own::takes_joined_value(tool, option))?;
    unjoined(tool, option, value)
}

fn looks_like_a_value(value: &str) -> bool {
    let first = value.chars().next().unwrap_or_default();
    first.is_ascii_digit()
        || first.is_ascii_uppercase()
        || value.contains([':', '='])
        || WORDS.contains(&value)
}

/// The hint if `command` is not found: it is a value of the option before it, a command of docker, or an
/// image.
pub fn for_command(tool: &str, last_option: Option<&str>, command: &str) -> Option<String> {
    let value = last_option.and_then(|option| unjoined(tool, option, command));
    let image = || command.starts_with("docker://").then(|| image_for_directory(command)).flatten();
    value.or_else(|| docker_command(command)).or_else(image)
}

/// The hint for a docker command as an operand: `rootfs-fetch pull ubuntu`.
pub fn docker_command(word: &str) -> Option<String> {
    let (_, same) = docker::COMMANDS.iter().find(|(commands, _)| commands.contains(&word))?;
    Some(format!("docker's {word} is {same}"))
}

/// The prefixes of a SOURCE of rootfs-fetch. An image name without a prefix is docker's.
const TRANSPORTS: [&str; 6] = ["docker://", "distro:", "host:", "oci:", "oci-archive:", "docker-archive:"];

/// The hint if NEWROOT does not exist and its name could be an image. A final `-fs`, as in this project's
/// pages, is not part of the image's name.
pub fn image_for_directory(path: &str) -> Option<String> {
    let is_name = |each: char| each.is_ascii_lowercase() || each.is_ascii_digit() || "._-/:@".contains(each);
    let starts_well = path.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    if !starts_well || !path.chars().all(is_name) || path.ends_with('/') {
        return None;
    }
    let transport = TRANSPORTS.iter().find(|transport| path.starts_with(**transport));
    let image = path.strip_prefix(transport.unwrap_or(&"")).unwrap_or(path);
    let image = image.strip_suffix("-fs").unwrap_or(image);
    let last = image.rsplit('/').next().unwrap_or(image);
    let name = last.split([':', '@']).next().filter(|name| !name.is_empty()).unwrap_or("ubuntu");
    let directory = if path.ends_with("-fs") { path.to_string() } else { format!("{name}-fs") };
    let transport = transport.unwrap_or(&"docker://");
    Some(format!(
        "unpack the image into a directory first: 'rootfs-fetch {transport}{image} {directory}', then chroot-rs {directory}"
    ))
}

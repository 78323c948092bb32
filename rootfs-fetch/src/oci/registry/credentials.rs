// SPDX-License-Identifier: MIT OR Apache-2.0
//! The credentials that `docker login`, `podman login` or `skopeo login` stored for a registry.
//!
//! Kept by hand: docker_credential reads one file, has neither registrytoken nor keys of
//! repositories, and waits for a credential helper without a limit.
//!
//! # Source
//! containers-auth.json(5); docker's credential helper protocol.

use std::fmt;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chain::reporter::quoted;
use serde_json::Value;

use crate::failure::{Failure, Kind, Result};
use crate::oci::reference::Reference;

/// What Docker calls its own registry in these files.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// A helper may ask its user to unlock something.
const HELPER_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_HELPER_OUTPUT_BYTES: u64 = 1 << 20;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a registry is told, and is never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// `user:password`.
    Password(String),
    /// A token that is changed for others at the registry's token server.
    Identity(String),
    /// A token for the registry itself.
    Token(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// Finds the credentials for an image; nothing if there are none.
///
/// # Errors
/// Damaged, denied or I/O, for a file that is there and cannot be read; denied, for a helper
/// that fails.
pub fn find(reference: &Reference) -> Result<Option<Credentials>> {
    for path in files() {
        if let Some(file) = read(&path)? {
            let found = in_file(&file, reference).map_err(|failure| failure.within(quoted(&path)))?;
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    Ok(None)
}

/// The files that may have them; one that is named in the environment is the only one.
fn files() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(only) = variable("REGISTRY_AUTH_FILE") {
        return vec![only];
    }
    let home = variable("HOME");
    let below = |directory: Option<PathBuf>, name: &str| directory.map(|directory| directory.join(name));
    let config = variable("XDG_CONFIG_HOME").or_else(|| below(home.clone(), ".config"));
    let docker = variable("DOCKER_CONFIG").or_else(|| below(home, ".docker"));
    let files = [
        below(variable("XDG_RUNTIME_DIR"), "containers/auth.json"),
        below(config, "containers/auth.json"),
        below(docker, "config.json"),
    ];
    files.into_iter().flatten().collect()
}

fn read(path: &Path) -> Result<Option<Value>> {
    let data = match std::fs::read(path) {
        Ok(data) => data,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => {
            return Err(Failure::call("read the credentials", format_args!("open({})", quoted(path)), error));
        }
    };
    // what is wrong in it is not quoted: it may be a password
    let parsed = serde_json::from_slice(&data);
    parsed.map(Some).map_err(|_| Failure::damaged(format_args!("{} is no JSON", quoted(path))))
}

fn in_file(file: &Value, reference: &Reference) -> Result<Option<Credentials>> {
    let key = if reference.registry == "docker.io" { HUB_KEY } else { reference.registry.as_str() };
    let helper = file.pointer("/credHelpers").and_then(Value::as_object);
    let helper = helper.and_then(|helpers| helpers.get(&reference.registry).or_else(|| helpers.get(key)));
    if let Some(helper) = helper.and_then(Value::as_str) {
        return by_helper(helper, key);
    }
    if let Some(found) = file.get("auths").and_then(Value::as_object).and_then(|auths| best(auths, reference))
    {
        // with a store, the entry is there and empty
        let found = entry(found)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    match file.get("credsStore").and_then(Value::as_str) {
        Some(store) => by_helper(store, key),
        None => Ok(None),
    }
}

/// The entry for the image: that of its repository, of what it is in, of its registry.
fn best<'a>(auths: &'a serde_json::Map<String, Value>, reference: &Reference) -> Option<&'a Value> {
    let full = format!("{}/{}", reference.registry, reference.repository);
    let mut wanted = full.as_str();
    loop {
        if let Some(found) = auths.get(wanted) {
            return Some(found);
        }
        match wanted.rsplit_once('/') {
            Some((shorter, _)) => wanted = shorter,
            None => break,
        }
    }
    let hub: &[&str] =
        if reference.registry == "docker.io" { &["index.docker.io", "registry-1.docker.io"] } else { &[] };
    auths
        .iter()
        .find(|(key, _)| host(key) == reference.registry || hub.contains(&host(key)))
        .map(|(_, value)| value)
}

/// Docker once wrote `https://host/v1/`.
fn host(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    // a path without a scheme is a repository, and not this one
    key.map_or("", |key| key.split('/').next().unwrap_or_default())
}

fn entry(entry: &Value) -> Result<Option<Credentials>> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(token) = text("identitytoken") {
        return Ok(Some(Credentials::Identity(token.to_owned())));
    }
    if let Some(token) = text("registrytoken") {
        return Ok(Some(Credentials::Token(token.to_owned())));
    }
    if let (Some(user), Some(password)) = (text("username"), text("password")) {
        return Ok(Some(Credentials::Password(format!("{user}:{password}"))));
    }
    let Some(auth) = text("auth") else { return Ok(None) };
    let wrong = || Failure::damaged("an entry in it is no user and password in base64");
    let plain =
        BASE64.decode(auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(wrong)?;
    let plain = plain.trim_end_matches('\0').to_owned();
    if plain.contains(':') { Ok(Some(Credentials::Password(plain))) } else { Err(wrong()) }
}

/// Sends the server to a helper and reads its answer; nothing after the timeout.
fn exchange(child: &mut Child, server: &str) -> Option<Vec<u8>> {
    if let Some(mut input) = child.stdin.take() {
        // a helper that does not read does not answer either
        let _ = input.write_all(server.as_bytes());
    }
    let (sender, answer) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        let read = move || {
            let mut text = Vec::new();
            let _ = output.take(MAX_HELPER_OUTPUT_BYTES).read_to_end(&mut text);
            let _ = sender.send(text);
        };
        drop(thread::Builder::new().spawn(read));
    }
    answer.recv_timeout(HELPER_TIMEOUT).ok()
}

/// Asks `docker-credential-NAME get`.
fn by_helper(name: &str, server: &str) -> Result<Option<Credentials>> {
    let program = format!("docker-credential-{name}");
    let failed =
        |why: &str| Failure::new(Kind::Denied, format_args!("cannot ask {program} for credentials: {why}"));
    if name.is_empty() || name.contains('/') {
        return Err(failed("that is no name of a helper"));
    }
    let mut command = Command::new(&program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| failed(&crate::net::error::why(&error)))?;
    let Some(answer) = exchange(&mut child, server) else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(failed("it does not answer"));
    };
    let status = child.wait().map_err(|error| failed(&crate::net::error::why(&error)))?;
    if !status.success() {
        let none = String::from_utf8_lossy(&answer).contains("credentials not found");
        return if none { Ok(None) } else { Err(failed(&format!("it ended with {status}"))) };
    }
    let value: Value = serde_json::from_slice(&answer).map_err(|_| failed("its answer is no JSON"))?;
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(match (text("Username"), text("Secret")) {
        (_, secret) if secret.is_empty() => None,
        (user, secret) if user == "<token>" => Some(Credentials::Identity(secret)),
        (user, secret) => Some(Credentials::Password(format!("{user}:{secret}"))),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(file: &Value, reference: &str) -> Option<Credentials> {
        in_file(file, &reference.parse().expect("a reference")).expect("a good file")
    }

    fn password(text: &str) -> Option<Credentials> {
        Some(Credentials::Password(text.into()))
    }

    #[test]
    fn the_entry_nearest_to_the_repository_counts() {
        // a:1, b:2, c:3
        let file = json!({"auths": {
            "r.example": {"auth": "YTox"}, "r.example/team": {"auth": "Yjoy"}, "r.example/team/app": {"auth": "Yzoz"},
        }});
        assert_eq!(found(&file, "r.example/x"), password("a:1"));
        assert_eq!(found(&file, "r.example/team/x"), password("b:2"));
        assert_eq!(found(&file, "r.example/team/app"), password("c:3"));
        assert_eq!(found(&file, "r.example/team/app2"), password("b:2"));
        assert_eq!(found(&file, "r.example:5000/x"), None);
        assert_eq!(found(&file, "ubuntu"), None);
    }

    #[test]
    fn the_hub_has_an_old_name() {
        let file = json!({"auths": {HUB_KEY: {"auth": "YTox"}, "https://old.example/v1/": {"auth": "Yjoy"}}});
        assert_eq!(found(&file, "ubuntu"), password("a:1"));
        assert_eq!(found(&file, "old.example/x"), password("b:2"));
        assert_eq!(found(&json!({"auths": {"docker.io": {"auth": "YTox"}}}), "a/b"), password("a:1"));
    }

    #[test]
    fn tokens_and_plain_passwords_are_taken_too() {
        let file = json!({"auths": {
            "i.example": {"auth": "YTox", "identitytoken": "it"}, "t.example": {"registrytoken": "rt"},
            "p.example": {"username": "u", "password": "p"}, "e.example": {},
        }});
        assert_eq!(found(&file, "i.example/x"), Some(Credentials::Identity("it".into())));
        assert_eq!(found(&file, "t.example/x"), Some(Credentials::Token("rt".into())));
        assert_eq!(found(&file, "p.example/x"), password("u:p"));
        assert_eq!(found(&file, "e.example/x"), None);
    }

    #[test]
    fn what_is_wrong_is_told_without_the_secret() {
        let file = json!({"auths": {"r.example": {"auth": "c2VjcmV0"}}});
        let reference = "r.example/x".parse().expect("a reference");
        let line = in_file(&file, &reference).expect_err("it is refused").to_string();
        assert_eq!(line, "an entry in it is no user and password in base64");
        assert_eq!(format!("{:?}", password("a:1")), "Some(Credentials)");
    }
}

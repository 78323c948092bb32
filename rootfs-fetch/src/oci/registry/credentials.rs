//! The credentials that `docker login`, `podman login` or `skopeo login` stored for a registry.
//!
//! Written by hand: docker_credential reads only one file, supports neither registrytoken nor keys for
//! repositories, and waits for a credential helper without a limit.
//!
//! # Source
//! containers-auth.json(5); docker's credential helper protocol.

use std::fmt;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chain::reporter::quoted;
use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::oci::reference::Reference;

/// Docker's key for its own registry in these files.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// A helper can ask its user to unlock something.
const HELPER_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_HELPER_OUTPUT_BYTES: u64 = 1 << 20;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Secrets for a registry, never printed.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// `user:password`.
    Password(String),
    /// A token that the registry's token server exchanges for others.
    Identity(String),
    /// A token for the registry itself.
    Token(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// The result for an image.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Its credentials, if there are any.
    pub credentials: Option<Credentials>,
    /// A line for each failed helper. The run continues, because most images are public.
    pub failed_helpers: Vec<String>,
}

/// Finds the credentials for an image.
///
/// # Errors
/// Damaged, denied or I/O, for an existing but unreadable file.
pub fn find(reference: &Reference) -> Result<Found> {
    let mut found = Found::default();
    for path in files() {
        if let Some(file) = read(&path)? {
            let failed = &mut found.failed_helpers;
            let mut ask = |name: &str, server: &str| {
                by_helper(name, server).unwrap_or_else(|why| {
                    failed.push(format!(
                        "cannot run docker-credential-{name}, which {} asks for: {why}; \
                         continuing without credentials",
                        quoted(&path)
                    ));
                    None
                })
            };
            found.credentials =
                in_file(&file, reference, &mut ask).map_err(|failure| failure.within(quoted(&path)))?;
            if found.credentials.is_some() {
                break;
            }
        }
    }
    Ok(found)
}

/// Asks the helper with this name for the credentials of a server.
type Ask<'a> = &'a mut dyn FnMut(&str, &str) -> Option<Credentials>;

/// The files that can contain them. A file named in the environment is the only one.
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
    // the error is not quoted: it could contain a password
    let parsed = serde_json::from_slice(&data);
    parsed.map(Some).map_err(|_| Failure::damaged(format_args!("{} is not JSON", quoted(path))))
}

fn in_file(file: &Value, reference: &Reference, ask: Ask<'_>) -> Result<Option<Credentials>> {
    let key = if reference.registry == "docker.io" { HUB_KEY } else { reference.registry.as_str() };
    let helpers = file.pointer("/credHelpers").and_then(Value::as_object);
    let helper = helpers.and_then(|helpers| {
        let named = |(name, _): &(&String, &Value)| is_registry(host(name).unwrap_or(name), reference);
        helpers.iter().find(named).and_then(|(_, helper)| helper.as_str())
    });
    if let Some(helper) = helper.filter(|helper| !helper.is_empty())
        && let Some(found) = ask(helper, key)
    {
        return Ok(Some(found));
    }
    if let Some(found) = file.get("auths").and_then(Value::as_object).and_then(|auths| best(auths, reference))
    {
        // with a store, the entry exists but is empty
        let found = entry(found)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    let store = file.get("credsStore").and_then(Value::as_str).filter(|store| !store.is_empty());
    // a helper for this registry takes precedence over the one for all
    Ok(store.filter(|_| helper.is_none()).and_then(|store| ask(store, key)))
}

/// Whether a host in a file is the image's registry; docker.io has had several.
fn is_registry(host: &str, reference: &Reference) -> bool {
    let hub = ["docker.io", "index.docker.io", "registry-1.docker.io"];
    host.eq_ignore_ascii_case(&reference.registry) || reference.registry == "docker.io" && hub.contains(&host)
}

/// The entry for the image: of its repository, of a parent path, or of its registry.
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
    let of_registry =
        |(key, _): &(&String, &Value)| host(key).is_some_and(|host| is_registry(host, reference));
    auths.iter().find(of_registry).map(|(_, value)| value)
}

/// The host of a key: Docker used to write `https://host/v1/`.
fn host(key: &str) -> Option<&str> {
    let after_scheme = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let (host, path) = match after_scheme.unwrap_or(key).split_once('/') {
        Some((host, path)) => (host, path.trim_end_matches('/')),
        None => (after_scheme.unwrap_or(key), ""),
    };
    // any other path without a scheme is a repository, and not this one
    (after_scheme.is_some() || matches!(path, "" | "v1" | "v2")).then_some(host)
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
    let wrong = || Failure::damaged("an entry is not a user and password in base64");
    let plain =
        BASE64.decode(auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(wrong)?;
    let plain = plain.trim_end_matches('\0').to_owned();
    if plain.contains(':') { Ok(Some(Credentials::Password(plain))) } else { Err(wrong()) }
}

/// Sends the server's name to a helper and reads its response; None if it has not ended in time.
fn exchange(child: &mut Child, server: &str) -> Option<(Vec<u8>, ExitStatus)> {
    let deadline = Instant::now() + HELPER_TIMEOUT;
    if let Some(mut input) = child.stdin.take() {
        // a helper that does not read the name does not respond either
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
    let answer = answer.recv_timeout(HELPER_TIMEOUT).ok()?;
    // it can have closed its output without ending
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some((answer, status)),
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            _ => return None,
        }
    }
}

/// Runs `docker-credential-NAME get`; None if it has no credentials for this server.
///
/// # Errors
/// Why it could not be used.
fn by_helper(name: &str, server: &str) -> std::result::Result<Option<Credentials>, String> {
    if name.contains('/') {
        return Err("not the name of a helper".into());
    }
    let mut command = Command::new(format!("docker-credential-{name}"));
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| crate::net::error::why(&error))?;
    let Some((answer, status)) = exchange(&mut child, server) else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("no answer in {} s", HELPER_TIMEOUT.as_secs()));
    };
    if !status.success() {
        let none = String::from_utf8_lossy(&answer).contains("credentials not found");
        return if none { Ok(None) } else { Err(format!("it ended with {status}")) };
    }
    if answer.trim_ascii().is_empty() {
        return Err("its answer is empty".into());
    }
    let value: Value = serde_json::from_slice(&answer).map_err(|_| "its answer is not JSON".to_string())?;
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
        let reference = reference.parse().expect("a reference");
        in_file(file, &reference, &mut |_, _| None).expect("a good file")
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
    fn a_registry_has_keys_with_a_scheme_and_without() {
        for key in [
            "docker.io",
            "https://docker.io",
            "index.docker.io",
            "https://index.docker.io/v1/",
            "http://index.docker.io",
            "index.docker.io/v1/",
            "registry-1.docker.io",
            "https://registry-1.docker.io/v2/",
        ] {
            assert_eq!(found(&json!({"auths": {key: {"auth": "YTox"}}}), "ubuntu"), password("a:1"), "{key}");
        }
        for key in ["R.example", "https://r.example", "http://r.example/", "r.example/v2/", "r.example/"] {
            let file = json!({"auths": {key: {"auth": "YTox"}}});
            assert_eq!(found(&file, "r.example/x"), password("a:1"), "{key}");
        }
        for key in ["r.example/team", "https://other.example", "r.example:5000", "docker.io.evil.example"] {
            let file = json!({"auths": {key: {"auth": "YTox"}}});
            assert_eq!((found(&file, "r.example/x"), found(&file, "ubuntu")), (None, None), "{key}");
        }
    }

    #[test]
    fn a_helper_for_one_registry_comes_before_that_for_all() {
        let file =
            json!({"credHelpers": {"r.example": "one", "index.docker.io": "hub"}, "credsStore": "all"});
        let asked = |reference: &str| {
            let mut asked = Vec::new();
            let reference = reference.parse().expect("a reference");
            let mut ask = |name: &str, server: &str| {
                asked.push(format!("{name} {server}"));
                None
            };
            assert_eq!(in_file(&file, &reference, &mut ask).expect("a good file"), None);
            asked
        };
        assert_eq!(asked("r.example/x"), ["one r.example"]);
        assert_eq!(asked("ubuntu"), [format!("hub {HUB_KEY}")]);
        assert_eq!(asked("other.example/x"), ["all other.example"]);
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
        let line = in_file(&file, &reference, &mut |_, _| None).expect_err("it is refused").to_string();
        assert_eq!(line, "an entry is not a user and password in base64");
        assert_eq!(format!("{:?}", password("a:1")), "Some(Credentials)");
    }
}

//! The places to ask for an image: mirrors and other locations in the host's configuration.
//!
//! Names without a registry belong to docker.io, as everywhere here. unqualified-search-registries is
//! ignored, because it lets one name mean several images.
//!
//! # Source
//! containers-registries.conf(5), version 2; dockerd(8), `registry-mirrors`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use chain::reporter::quoted;
use serde_json::Value as Json;
use toml::{Table, Value};

use crate::failure::{Failure, Kind, Result};
use crate::net::url::{Scheme, Url};
use crate::oci::reference::Reference;

const SYSTEM: &str = "/etc/containers";
const DOCKER: &str = "/etc/docker/daemon.json";

/// A place that can have an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The image, as this place calls it.
    pub reference: Reference,
    /// Whether it is a mirror: if it fails, the next place is tried.
    pub is_mirror: bool,
    /// Whether the configuration allows plain HTTP with it.
    pub plain_http: bool,
}

/// The places for an image, in the order in which they are tried.
///
/// # Errors
/// Denied, if the configuration blocks it; damaged or I/O, for an unreadable file.
pub fn candidates(reference: &Reference) -> Result<Vec<Candidate>> {
    let mut rules = Vec::new();
    for path in files() {
        if let Some(text) = read(&path)? {
            let table: Table = text.parse().map_err(|error: toml::de::Error| {
                Failure::damaged(format_args!("{}: {}", quoted(&path), error.message()))
            })?;
            rules.extend(of_table(&table).into_iter().map(|rule| (path.clone(), rule)));
        }
    }
    let name = format!("{}/{}", reference.registry, reference.repository);
    // of two rules for one prefix, the later file's applies; of several prefixes, the longest
    let fitting = rules.iter().filter(|(_, rule)| matched(&rule.prefix, &name).is_some());
    match fitting.max_by_key(|(_, rule)| rule.prefix.len()) {
        Some((path, rule)) => rule.candidates(&name, reference, path),
        None => Ok(by_docker(reference)?.into_iter().chain([itself(reference)]).collect()),
    }
}

fn itself(reference: &Reference) -> Candidate {
    Candidate { reference: reference.clone(), is_mirror: false, plain_http: false }
}

/// The files, later ones before earlier ones.
fn files() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(only) = variable("CONTAINERS_REGISTRIES_CONF") {
        return vec![only];
    }
    let own = variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
    let own = own.map(|config| config.join("containers"));
    let directories: Vec<PathBuf> = [PathBuf::from(SYSTEM)].into_iter().chain(own).collect();
    // the user's own file replaces the system's
    let main = directories.iter().rev().map(|directory| directory.join("registries.conf"));
    let mut files: Vec<PathBuf> = main.filter(|path| path.exists()).take(1).collect();
    for directory in directories {
        let entries = std::fs::read_dir(directory.join("registries.conf.d")).into_iter().flatten().flatten();
        let mut more: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        more.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
        more.sort();
        files.extend(more);
    }
    files
}

fn read(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let call = format!("open({})", quoted(path));
            Err(Failure::call("read the configuration of registries", call, error).kind(Kind::Io))
        }
    }
}

/// A `[[registry]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rule {
    prefix: String,
    location: String,
    mirrors: Vec<Mirror>,
    blocked: bool,
    insecure: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Mirror {
    location: String,
    insecure: bool,
    by_digest: bool,
    by_tag: bool,
}

fn of_table(table: &Table) -> Vec<Rule> {
    let text = |table: &Table, name: &str| {
        let value = table.get(name).and_then(Value::as_str).unwrap_or_default();
        value.trim_end_matches('/').to_owned()
    };
    let is = |table: &Table, name: &str| table.get(name).and_then(Value::as_bool).unwrap_or_default();
    let list = |table: &Table, name: &str| -> Vec<Table> {
        let list = table.get(name).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_table).cloned().collect()
    };
    let rule = |registry: Table| {
        let location = text(&registry, "location");
        let prefix = match text(&registry, "prefix") {
            prefix if prefix.is_empty() => location.clone(),
            prefix => prefix,
        };
        let digest_only = is(&registry, "mirror-by-digest-only");
        let mirror = |mirror: Table| {
            let pull = text(&mirror, "pull-from-mirror");
            Mirror {
                location: text(&mirror, "location"),
                insecure: is(&mirror, "insecure"),
                by_digest: pull != "tag-only",
                by_tag: pull != "digest-only" && !digest_only,
            }
        };
        let mirrors = list(&registry, "mirror").into_iter().map(mirror).collect();
        Rule {
            prefix,
            location,
            mirrors,
            blocked: is(&registry, "blocked"),
            insecure: is(&registry, "insecure"),
        }
    };
    let rules = list(table, "registry").into_iter().map(rule);
    rules.filter(|rule| !rule.prefix.is_empty()).collect()
}

/// The rest of the name after a prefix that it matches: `*.example.org` matches every host below.
fn matched<'a>(prefix: &str, name: &'a str) -> Option<&'a str> {
    if let Some(domain) = prefix.strip_prefix('*') {
        let (host, _) = name.split_once('/')?;
        let host_name = host.split(':').next().unwrap_or_default();
        return host_name.ends_with(domain).then(|| name.get(host.len()..)).flatten();
    }
    name.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Rule {
    fn candidates(&self, name: &str, reference: &Reference, path: &Path) -> Result<Vec<Candidate>> {
        if self.blocked {
            let line = format_args!("{reference} is blocked by {}", quoted(path));
            return Err(Failure::new(Kind::Denied, line));
        }
        let rest = matched(&self.prefix, name).unwrap_or_default();
        let by_digest = reference.digest.is_some();
        let mirrors = self.mirrors.iter().filter(|it| if by_digest { it.by_digest } else { it.by_tag });
        let at = |location: &str, is_mirror, plain_http| {
            let reference = in_repository(reference, &format!("{location}{rest}"))
                .map_err(|failure| failure.within(quoted(path)))?;
            Ok(Candidate { reference, is_mirror, plain_http })
        };
        let mut candidates: Vec<Candidate> =
            mirrors.map(|mirror| at(&mirror.location, true, mirror.insecure)).collect::<Result<_>>()?;
        candidates.push(match self.location.as_str() {
            "" => Candidate { plain_http: self.insecure, ..itself(reference) },
            location => at(location, false, self.insecure)?,
        });
        Ok(candidates)
    }
}

/// The same image in another repository: `HOST[:PORT]/PATH`.
fn in_repository(reference: &Reference, name: &str) -> Result<Reference> {
    let wrong = || Failure::damaged(format_args!("{name:?} is not a repository"));
    let (registry, repository) = name.split_once('/').ok_or_else(wrong)?;
    Url::of_authority(Scheme::Https, registry, "/").map_err(|_| wrong())?;
    // a location can contain what a name can contain
    format!("x.invalid/{repository}").parse::<Reference>().map_err(|_| wrong())?;
    Ok(Reference { registry: registry.to_owned(), repository: repository.to_owned(), ..reference.clone() })
}

/// The mirrors of docker.io in docker's configuration.
fn by_docker(reference: &Reference) -> Result<Vec<Candidate>> {
    if reference.registry != "docker.io" {
        return Ok(Vec::new());
    }
    let path = Path::new(DOCKER);
    let Ok(Some(text)) = read(path) else { return Ok(Vec::new()) };
    in_daemon_json(&text, reference).map_err(|failure| failure.within(quoted(path)))
}

fn in_daemon_json(text: &str, reference: &Reference) -> Result<Vec<Candidate>> {
    let wrong = |why: &dyn std::fmt::Display| Failure::damaged(format_args!("registry-mirrors: {why}"));
    let value: Json = serde_json::from_str(text).map_err(|error| wrong(&error))?;
    let mirrors = value.get("registry-mirrors").and_then(Json::as_array).into_iter().flatten();
    let place = |mirror: &str| {
        let url: Url = mirror.parse().map_err(|why: String| wrong(&why))?;
        let path = url.path().trim_end_matches('/').to_owned();
        let name = format!("{}{path}/{}", url.origin.authority(), reference.repository);
        let plain_http = url.origin.scheme == Scheme::Http;
        Ok(Candidate { reference: in_repository(reference, &name)?, is_mirror: true, plain_http })
    };
    mirrors.filter_map(Json::as_str).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(conf: &str, name: &str) -> Vec<String> {
        let reference: Reference = name.parse().expect("a reference");
        let rules = of_table(&conf.parse().expect("TOML"));
        let name = format!("{}/{}", reference.registry, reference.repository);
        let fitting = rules.iter().filter(|rule| matched(&rule.prefix, &name).is_some());
        let Some(rule) = fitting.max_by_key(|rule| rule.prefix.len()) else { return Vec::new() };
        match rule.candidates(&name, &reference, Path::new("registries.conf")) {
            Ok(candidates) => candidates.iter().map(|place| place.reference.to_string()).collect(),
            Err(failure) => vec![failure.to_string()],
        }
    }

    const CONF: &str = r#"
        unqualified-search-registries = ["evil.example"]
        [[registry]]
        location = "docker.io"
        [[registry.mirror]]
        location = "mirror.example:5000/hub"
        [[registry.mirror]]
        location = "digests.example"
        pull-from-mirror = "digest-only"
        [[registry]]
        prefix = "r.example/old"
        location = "new.example/team"
        [[registry]]
        prefix = "*.corp.example"
        blocked = true
        [[registry]]
        prefix = "one.corp.example/open"
    "#;

    #[test]
    fn an_image_is_asked_for_at_its_mirrors_and_then_at_its_place() {
        assert_eq!(
            shown(CONF, "ubuntu:24.04"),
            ["mirror.example:5000/hub/library/ubuntu:24.04", "docker.io/library/ubuntu:24.04"]
        );
        let digest = format!("sha256:{}", "a".repeat(64));
        let by_digest = shown(CONF, &format!("ubuntu@{digest}"));
        assert_eq!(by_digest.len(), 3);
        assert_eq!(by_digest.get(1), Some(&format!("digests.example/library/ubuntu@{digest}")));
        assert_eq!(shown(CONF, "r.example/old/app:1"), ["new.example/team/app:1"]);
        assert_eq!(shown(CONF, "r.example/older:1"), Vec::<String>::new());
        let blocked = "two.corp.example/x:latest is blocked by \"registries.conf\"";
        assert_eq!(shown(CONF, "two.corp.example/x"), [blocked]);
        assert_eq!(shown(CONF, "one.corp.example/open/x"), ["one.corp.example/open/x:latest"]);
    }

    #[test]
    fn a_location_that_is_no_repository_is_refused() {
        for location in ["m.example/../x", "m.example/a b", "user@m.example", "m.example?x", ""] {
            let conf =
                format!("[[registry]]\nprefix=\"docker.io\"\n[[registry.mirror]]\nlocation={location:?}");
            let said = shown(&conf, "ubuntu").concat();
            assert!(said.ends_with("is not a repository"), "{location}: {said}");
        }
    }

    #[test]
    fn docker_has_mirrors_of_its_own_registry() {
        let reference: Reference = "ubuntu".parse().expect("a reference");
        let text = r#"{"registry-mirrors": ["https://m.example/", "http://10.0.0.1:5000"]}"#;
        let candidates = in_daemon_json(text, &reference).expect("mirrors");
        let shown: Vec<(String, bool)> =
            candidates.iter().map(|place| (place.reference.to_string(), place.plain_http)).collect();
        let expected = [
            ("m.example/library/ubuntu:latest".to_owned(), false),
            ("10.0.0.1:5000/library/ubuntu:latest".to_owned(), true),
        ];
        assert_eq!(shown, expected);
        assert_eq!(in_daemon_json("{}", &reference).expect("none"), []);
        assert!(in_daemon_json("{", &reference).is_err());
    }
}

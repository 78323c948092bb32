//! The parts of an image in a registry, or in the cache if they were fetched before.
//!
//! A part with a digest is never requested twice. A tag can mean another image today, so it is checked each
//! time, first with HEAD: if the manifest is in the cache, this is the only request, and it does not count as
//! a pull.

use std::sync::Arc;

use reqwest::Method;
use serde_json::Value;

use crate::digest::Digest;
use crate::failure::{Failure, Result};
use crate::net::request::Request;
use crate::net::response::Response;
use crate::net::transfer::{Expected, Transfer, refusal};
use crate::oci::cache::Cache;
use crate::oci::model::{DocumentKind, Documents, MAX_JSON_BYTES};
use crate::oci::registry::session::Session;

/// The supported document types; a client must list all of them.
const KINDS: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];
const MAX_REASON_BYTES: u64 = 64 * 1024;

/// An image's repository.
#[derive(Clone, Debug)]
pub struct Repository {
    session: Arc<Session>,
    cache: Option<Arc<Cache>>,
}

impl Repository {
    /// A repository, without any request yet.
    pub fn new(session: Session, cache: Option<Arc<Cache>>) -> Self {
        Self { session: Arc::new(session), cache }
    }

    /// The cache.
    pub fn cache(&self) -> Option<&Arc<Cache>> {
        self.cache.as_ref()
    }

    /// The document that the reference names.
    ///
    /// # Errors
    /// Not found, denied, network, damaged.
    pub fn top(&self) -> Result<(Vec<u8>, Digest)> {
        let reference = self.session.reference();
        let known = match &reference.digest {
            Some(digest) => Some(digest.clone()),
            // in an empty cache, it cannot be found
            None if self.cache.as_ref().is_some_and(|cache| !cache.is_empty()) => self.current()?,
            None => None,
        };
        if let Some(digest) = &known
            && let Some(data) = self.cached(digest)
        {
            return Ok((data, digest.clone()));
        }
        let data = self.manifest(&reference.version())?;
        let digest = match &reference.digest {
            Some(digest) if digest.matches(&data) => digest.clone(),
            Some(digest) => {
                return Err(Failure::damaged(format_args!(
                    "the manifest of {reference} has the digest {}",
                    Digest::of(&data)
                ))
                .within(format_args!("refused a manifest other than {digest}")));
            }
            None => Digest::of(&data),
        };
        self.keep(&digest, &data);
        Ok((data, digest))
    }

    /// The current digest of a tag; None if the registry does not send it.
    fn current(&self) -> Result<Option<Digest>> {
        let mut request = self.asking(&self.session.reference().version())?;
        request.method = Method::HEAD;
        let response = self.session.send(&request)?;
        let digest = response.head.one("docker-content-digest").filter(|_| response.head.status == 200);
        let digest = digest.and_then(|digest| digest.parse().ok());
        response.finish();
        Ok(digest)
    }

    fn asking(&self, version: &str) -> Result<Request> {
        let request = Request::get(self.session.url(&format!("manifests/{version}"))?);
        // one field for each type: some registries read only one value per field
        Ok(KINDS.into_iter().fold(request, |request, kind| request.with("Accept", kind)))
    }

    fn manifest(&self, version: &str) -> Result<Vec<u8>> {
        let response = self.session.send(&self.asking(version)?).and_then(file)?;
        let kind = response.head.one("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let url = response.url.clone();
        let data = response.document(MAX_JSON_BYTES)?;
        let value: Option<Value> = serde_json::from_slice(&data).ok();
        let inside = value.as_ref().and_then(|value| value.get("mediaType")).and_then(Value::as_str);
        let is = |name| value.as_ref().is_some_and(|value| value.get(name).is_some());
        if !KINDS.contains(&kind.as_str()) && !["manifests", "layers", "schemaVersion"].into_iter().any(is) {
            return Err(Failure::damaged(format_args!("{url} is not a manifest, but {kind:?}")));
        }
        // CVE-2021-41190; a document that the server labels application/json can still be right
        if KINDS.contains(&kind.as_str()) && inside.is_some_and(|inside| inside != kind) {
            return Err(Failure::damaged("the manifest and the registry give different media types"));
        }
        Ok(data)
    }

    /// Starts fetching a layer.
    ///
    /// # Errors
    /// Not found, denied, network; damaged, if it has another size.
    pub fn blob(&self, digest: &Digest, size: u64) -> Result<Transfer> {
        let session = self.session.clone();
        let url = session.url(&format!("blobs/{digest}"))?;
        let open = move |fields| {
            let mut request = Request::get(url.clone());
            request.fields = fields;
            session.send(&request).and_then(file).map(|response| response.without_coding(size))
        };
        let expected = Expected { size: Some(size), checked: true };
        Transfer::start(self.session.net(), expected, Box::new(open))
    }

    fn cached(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.cache.as_ref()?.document(digest, MAX_JSON_BYTES)
    }

    /// Caches a checked document; a full or missing cache is not a failure here.
    fn keep(&self, digest: &Digest, data: &[u8]) {
        if let Some(cache) = &self.cache
            && cache.keep_document(digest, data).is_err()
        {
            cache.give_up();
        }
    }
}

impl Documents for Repository {
    fn document(&self, digest: &Digest, what: DocumentKind) -> Result<Option<Vec<u8>>> {
        if let Some(data) = self.cached(digest) {
            return Ok(Some(data));
        }
        let data = match what {
            DocumentKind::Manifest => self.manifest(&digest.to_string())?,
            DocumentKind::Config => {
                let request = Request::get(self.session.url(&format!("blobs/{digest}"))?);
                self.session.send(&request).and_then(file)?.document(MAX_JSON_BYTES)?
            }
        };
        if digest.matches(&data) {
            self.keep(digest, &data);
        }
        Ok(Some(data))
    }
}

/// A response with the file. Any other is a failure, with the registry's explanation.
fn file(response: Response) -> Result<Response> {
    if matches!(response.head.status, 200 | 206) {
        return Ok(response);
    }
    let (head, url) = (response.head.clone(), response.url.clone());
    let body = response.all(MAX_REASON_BYTES).unwrap_or_default();
    let failure = refusal(&head, &url, reason(&body).as_deref());
    let failure = failure.unwrap_or_else(|| Failure::damaged("the server sent no file"));
    Err(match head.status {
        401 => {
            failure.hint("there is no such image, or it needs a login: use 'docker login' or 'skopeo login'")
        }
        _ => failure,
    })
}

/// Formats `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}` as one line.
fn reason(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let error = value.pointer("/errors/0")?;
    let text = |name| error.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let text = text("message").or_else(|| text("code"))?;
    Some(text.chars().take(200).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_quoted_in_a_line() {
        let body = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{}}]}"#;
        assert_eq!(reason(body).as_deref(), Some("manifest unknown"));
        assert_eq!(reason(br#"{"errors":[{"code":"DENIED"}]}"#).as_deref(), Some("DENIED"));
        assert_eq!(reason(br#"{"errors":[]}"#), None);
        assert_eq!(reason(b"<html>"), None);
        let long = format!(r#"{{"errors":[{{"message":"{}"}}]}}"#, "x".repeat(1000));
        assert_eq!(reason(long.as_bytes()).map(|text| text.len()), Some(200));
    }
}

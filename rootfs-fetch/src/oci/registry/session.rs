//! Requests to one registry, authenticated if it asks for that.
//!
//! A request goes out without credentials at first. If a server asks for a token, it gets one from a token
//! server. Tokens and passwords only go to the registry and to the token server that it names; redirects do
//! not carry them.
//!
//! Written by hand: oci-client has no rules about which server may see which secret.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use chain::Reporter;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::Value;

use crate::failure::{Failure, Kind, Result};
use crate::net::client::Net;
use crate::net::error::{RequestError, broken, cannot_get};
use crate::net::request::{Request, basic};
use crate::net::response::{Head, Response};
use crate::net::url::{Scheme, Url};
use crate::oci::reference::Reference;
use crate::oci::registry::challenge::{self, Challenge};
use crate::oci::registry::credentials::{self, Credentials};

/// The maximum size; a token has one or two kilobytes.
const MAX_TOKEN_BYTES: u64 = 256 * 1024;
/// How long to wait for a TLS response from a server on this machine.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a request is repeated because of a 401.
const MAX_AUTH_ROUNDS: usize = 2;

/// A registry we talk to.
#[derive(Debug)]
pub struct Session {
    net: Arc<Net>,
    reference: Reference,
    /// The start of its API.
    base: OnceLock<Result<Url>>,
    credentials: OnceLock<Result<Option<Credentials>>>,
    /// Prints which credential helpers failed.
    reporter: Reporter,
    /// The header field that was accepted last.
    authorization: Mutex<Option<String>>,
}

impl Session {
    /// A session, without any request yet.
    pub fn new(net: Arc<Net>, reference: Reference, reporter: Reporter) -> Self {
        let (base, credentials) = (OnceLock::new(), OnceLock::new());
        Self { net, reference, base, credentials, reporter, authorization: Mutex::default() }
    }

    /// The network.
    pub fn net(&self) -> &Arc<Net> {
        &self.net
    }

    /// The image.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The URL of a part of the repository: `manifests/latest`.
    ///
    /// # Errors
    /// Network, if there is no registry.
    pub fn url(&self, part: &str) -> Result<Url> {
        let base = self.base.get_or_init(|| self.find_base()).as_ref().map_err(Clone::clone)?;
        Ok(base.with_path(&format!("/v2/{}/{part}", self.reference.repository)))
    }

    /// Finds out whether the registry speaks TLS, if plain HTTP is allowed.
    fn find_base(&self) -> Result<Url> {
        let server = self.reference.server();
        let wrong = |_| Failure::new(Kind::Usage, format_args!("{server:?} is not the name of a registry"));
        let of = |scheme| Url::of_authority(scheme, server, "/v2/").map_err(wrong);
        let (plain, secure) = (of(Scheme::Http)?, of(Scheme::Https)?);
        let rules = self.net.rules();
        if plain.origin.is_loopback() && rules.authorities.is_none() && !rules.insecure_tls {
            // the connection does not leave this machine
            return Ok(if self.speaks_plain_http(&plain, &secure)? { plain } else { secure });
        }
        if self.net.allows_plain(&plain.origin) {
            return match self.net.ask(&Request::get(secure.clone())) {
                // without proof, we believe that it has no TLS: that much is allowed
                Err(
                    RequestError::NotTls
                    | RequestError::NotHttp(_)
                    | RequestError::Broken(_)
                    | RequestError::Unreachable(_),
                ) => Ok(plain),
                Err(error @ (RequestError::NoTunnel(_) | RequestError::Final(_))) => {
                    Err(error.into_failure(&secure))
                }
                Ok(_) => Ok(secure),
            };
        }
        Ok(secure)
    }

    /// Whether a server on this machine speaks HTTP without TLS. A TLS server closes the connection, with or
    /// without an alert, or responds with 400.
    fn speaks_plain_http(&self, plain: &Url, secure: &Url) -> Result<bool> {
        match self.net.ask(&Request::get(plain.clone())) {
            Ok(response) => {
                let plainly = response.head.status != 400;
                response.finish();
                Ok(plainly)
            }
            Err(RequestError::Broken(error)) if error.kind() == io::ErrorKind::TimedOut => {
                Err(broken(plain, &error))
            }
            Err(RequestError::Broken(_)) => Ok(false),
            // an alert, or another protocol
            Err(RequestError::NotHttp(_)) => {
                let secured = self.net.ask_within(&Request::get(secure.clone()), PROBE_TIMEOUT);
                Ok(!matches!(secured, Ok(_) | Err(RequestError::Final(_))))
            }
            Err(error) => Err(error.into_failure(plain)),
        }
    }

    /// Sends a request, and authenticates if the registry asks for that.
    ///
    /// # Errors
    /// Network; denied, if the server accepts none of the supported ways.
    pub fn send(&self, request: &Request) -> Result<Response> {
        let mut round = 0;
        loop {
            let authorization = self.authorization().clone();
            let mut asking = request.clone();
            if let Some(value) = &authorization {
                asking = asking.with("Authorization", value.clone());
            }
            let response = self.net.fetch(&asking)?;
            // a 401 from a redirect's target must not get the registry's credentials
            let asks = response.head.status == 401 && response.url.origin == request.url.origin;
            if !asks
                || round == MAX_AUTH_ROUNDS
                || !self.log_in(&response.head, authorization.as_deref(), &request.url)?
            {
                return Ok(response);
            }
            response.finish();
            round += 1;
        }
    }

    fn find_credentials(&self) -> Result<Option<Credentials>> {
        let found = credentials::find(&self.reference)?;
        found.failed_helpers.iter().for_each(|line| self.reporter.message(line));
        Ok(found.credentials)
    }

    fn authorization(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.authorization.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gets the authorization for the next request. Returns whether to try again.
    fn log_in(&self, head: &Head, authorization: Option<&str>, url: &Url) -> Result<bool> {
        let mut current = self.authorization();
        if current.as_deref() != authorization {
            // another thread was faster
            return Ok(true);
        }
        let mut challenges = challenges(head);
        if challenges.is_empty() {
            challenges = self.challenges_at_root(url);
        }
        let find = |scheme: &str| challenges.iter().find(|one| one.scheme == scheme);
        let credentials = self.credentials.get_or_init(|| self.find_credentials());
        let credentials = credentials.as_ref().map_err(Clone::clone)?.as_ref();
        let value = match (find("bearer"), find("basic"), credentials) {
            (Some(_), _, Some(Credentials::Token(token))) => Some(format!("Bearer {token}")),
            (Some(bearer), _, credentials) => {
                Some(format!("Bearer {}", self.token(bearer, credentials, url)?))
            }
            (None, Some(_), Some(Credentials::Password(password))) => Some(basic(password)),
            _ => None,
        };
        // a refused password is not sent again; a token may only have expired
        let again = value.is_some() && (value.as_deref() != authorization || find("bearer").is_some());
        if again {
            *current = value;
        }
        Ok(again)
    }

    /// The challenges at the root of the registry's API: docker and skopeo start there, and some registries
    /// send them nowhere else. A scope there is for no repository, or an example: ghcr.io's is
    /// `repository:user/image:pull`.
    fn challenges_at_root(&self, url: &Url) -> Vec<Challenge> {
        let Ok(response) = self.net.fetch(&Request::get(url.with_path("/v2/"))) else { return Vec::new() };
        // the target of a redirect does not speak for the registry
        let is_registry = response.url.origin == url.origin;
        let mut found = if is_registry { challenges(&response.head) } else { Vec::new() };
        found = found.into_iter().map(|challenge| challenge.without("scope")).collect();
        response.finish();
        found
    }

    /// Requests a token from the token server in a challenge.
    fn token(&self, bearer: &Challenge, credentials: Option<&Credentials>, url: &Url) -> Result<String> {
        let wrong =
            |why: &str| cannot_get(url, format_args!("it asks for a token, but {why}")).kind(Kind::Denied);
        let realm = bearer.parameter("realm").ok_or_else(|| wrong("names no token server"))?;
        let realm: Url =
            realm.parse().map_err(|why: String| wrong(&format!("its token server is not a URL: {why}")))?;
        if realm.origin.scheme == Scheme::Http && url.origin.scheme == Scheme::Https {
            return Err(wrong("its token server uses plain HTTP"));
        }
        if self.net.leads_inside(&url.origin, &realm.origin)? {
            return Err(wrong("its token server is this machine"));
        }
        let request = self.token_request(realm, bearer, credentials);
        let response = self.net.fetch(&request)?;
        let (at, status) = (response.url.clone(), response.head.status);
        match status {
            200..=299 => {}
            401 | 403 => {
                let who = if credentials.is_some() { "the credentials are" } else { "anonymous access is" };
                let line = format_args!(
                    "cannot get a token for {}: {who} not accepted by {at} (HTTP {status})",
                    self.reference
                );
                return Err(Failure::new(Kind::Denied, line)
                    .hint("log in again with 'docker login' or 'skopeo login'"));
            }
            status => return Err(cannot_get(&at, format_args!("the token server answers {status}"))),
        }
        token_in(&response.all(MAX_TOKEN_BYTES)?)
            .ok_or_else(|| cannot_get(&at, "the token server gives no token"))
    }

    fn token_request(
        &self,
        mut realm: Url,
        bearer: &Challenge,
        credentials: Option<&Credentials>,
    ) -> Request {
        let pull = format!("repository:{}:pull", self.reference.repository);
        let mut form = Vec::new();
        form.extend(bearer.parameter("service").map(|service| ("service", service)));
        form.push(("scope", bearer.parameter("scope").unwrap_or(&pull)));
        if let Some(Credentials::Identity(token)) = credentials {
            form.extend([
                ("grant_type", "refresh_token"),
                ("client_id", "rootfs-fetch"),
                ("refresh_token", token),
            ]);
            let mut request = Request::get(realm).with("Content-Type", "application/x-www-form-urlencoded");
            request.method = Method::POST;
            request.body = encode(&form).into_bytes();
            return request;
        }
        realm.add_query(&encode(&form));
        let request = Request::get(realm);
        match credentials {
            Some(Credentials::Password(password)) => request.with("Authorization", basic(password)),
            _ => request,
        }
    }
}

fn challenges(head: &Head) -> Vec<Challenge> {
    head.all("www-authenticate").flat_map(challenge::parse).collect()
}

/// The token in the response of a token server.
fn token_in(answer: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(answer).ok()?;
    let text = |name| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    text("token").or_else(|| text("access_token")).map(str::to_owned)
}

/// The characters to escape in a query and in application/x-www-form-urlencoded.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn encode(form: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| format!("{name}={}", utf8_percent_encode(value, ESCAPED));
    form.iter().map(pair).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_no_character_that_means_something() {
        assert_eq!(
            encode(&[("a", "x y&z=1"), ("scope", "repository:a/b:pull")]),
            "a=x%20y%26z%3D1&scope=repository%3Aa%2Fb%3Apull"
        );
    }
}

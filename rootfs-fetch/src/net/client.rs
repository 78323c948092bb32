// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests as the rest of the program makes them: connections are shared, redirects followed,
//! and what passes by itself is tried again.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::ClientConfig;

use crate::failure::{Failure, Kind, Result};
use crate::interrupt::Interrupt;
use crate::net::body::Body;
use crate::net::connect::{Watched, connect, why};
use crate::net::http::{Connection, Head, Pipe, Request, Via};
use crate::net::proxy::Proxies;
use crate::net::resolve::resolve;
use crate::net::retry::{Tries, is_passing, pause};
use crate::net::tls::{self, Refused};
use crate::net::url::{Origin, Scheme, Url};

/// The body of a redirect, or of a refusal: not worth a connection if it is larger.
const MOST_IGNORED: u64 = 64 * 1024;
const MOST_REDIRECTS: usize = 10;
/// Connections kept for one server.
const MOST_IDLE: usize = 4;
/// Nobody waits longer for a connection, however patient with what comes on it.
const CONNECT: Duration = Duration::from_secs(15);

/// How the network may be used.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Authorities to trust beside the system's.
    pub authorities: Option<PathBuf>,
    /// Plain HTTP to anybody, not to this machine alone.
    pub insecure_http: bool,
    /// How long each step may take.
    pub patience: Duration,
}

/// The network.
#[derive(Debug)]
pub struct Net {
    rules: Rules,
    proxies: Proxies,
    interrupt: Interrupt,
    trust: OnceLock<Result<Arc<ClientConfig>>>,
    addresses: Mutex<HashMap<String, Vec<IpAddr>>>,
    idle: Mutex<HashMap<Origin, Vec<Connection>>>,
}

/// Why a request has no answer.
#[derive(Debug)]
pub enum Trouble {
    /// The server does not speak TLS.
    NotTls,
    /// There is no connection.
    Unreachable(Failure),
    /// The connection failed, which may pass.
    Broken(io::Error),
    /// Another try would be no better.
    Final(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Final(failure)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Failure>()) {
            Some(failure) => Self::Final(failure.clone()),
            None => Self::Broken(error),
        }
    }
}

/// An answer; its body is read from it.
#[derive(Debug)]
pub struct Response {
    /// What the server says of it.
    pub head: Head,
    /// Where it came from in the end.
    pub url: Url,
    body: Option<Body<Connection>>,
    net: Arc<Net>,
}

impl Response {
    /// The bytes of the body, where the server said how many.
    pub fn length(&self) -> Option<u64> {
        self.body.as_ref().map_or(Some(0), Body::left)
    }

    /// Passes over a small body that nobody wants, so that its connection can be used again.
    pub fn finish(self) {
        // what cannot be read to its end is closed
        let _ = io::copy(&mut self.take(MOST_IGNORED), &mut io::sink());
    }

    /// All of a small body.
    ///
    /// # Errors
    /// Network; damaged, if it is not small.
    pub fn all(mut self, most: u64) -> Result<Vec<u8>> {
        let too_large = |url: &Url| Failure::damaged(format_args!("refused {url}: larger than {most} bytes"));
        if self.length().is_some_and(|length| length > most) {
            return Err(too_large(&self.url));
        }
        let mut data = Vec::new();
        let read = self.by_ref().take(most + 1).read_to_end(&mut data);
        read.map_err(|error| broken(&self.url, &error))?;
        if data.len() as u64 > most { Err(too_large(&self.url)) } else { Ok(data) }
    }
}

impl Read for Response {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(body) = &mut self.body else { return Ok(0) };
        let count = body.read(into)?;
        if body.left() == Some(0)
            && let Some(connection) = self.body.take().and_then(Body::finish)
        {
            self.net.keep(&self.url.origin, connection);
        }
        Ok(count)
    }
}

/// `cannot get URL: why`, for what happened on the way.
pub fn broken(url: &Url, error: &io::Error) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Failure>()) {
        Some(failure) => failure.clone(),
        None => cannot_get(url, why(error)),
    }
}

/// `cannot get URL: why`.
pub fn cannot_get(url: &Url, why: impl std::fmt::Display) -> Failure {
    Failure::new(Kind::Network, format_args!("cannot get {url}: {why}"))
}

/// `Basic …`, as RFC 7617 has it.
pub fn basic(user_and_password: &str) -> String {
    format!("Basic {}", BASE64.encode(user_and_password))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // a thread that panicked has ended the process
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Net {
    /// The network under these rules, with the proxies of the environment.
    pub fn new(rules: Rules, interrupt: &Interrupt) -> Arc<Self> {
        Arc::new(Self {
            rules,
            proxies: Proxies::of_environment(),
            interrupt: interrupt.clone(),
            trust: OnceLock::new(),
            addresses: Mutex::default(),
            idle: Mutex::default(),
        })
    }

    /// Reads whom to trust, where the user named a file for it: a wrong one is told at once.
    ///
    /// # Errors
    /// Not found, I/O or damaged.
    pub fn check(&self) -> Result<()> {
        if self.rules.authorities.is_some() { self.trust().map(drop) } else { Ok(()) }
    }

    fn trust(&self) -> Result<&Arc<ClientConfig>> {
        let trust = self.trust.get_or_init(|| tls::config(self.rules.authorities.as_deref()));
        trust.as_ref().map_err(Clone::clone)
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether a signal asked us to end.
    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Sends a request, follows redirects, and tries again what may pass. Any status but
    /// a redirect's is an answer.
    ///
    /// # Errors
    /// Network, and whatever forbids to ask.
    pub fn fetch(self: &Arc<Self>, request: &Request) -> Result<Response> {
        let mut tries = Tries::default();
        loop {
            let next = match self.follow(request) {
                Err(Trouble::Final(failure) | Trouble::Unreachable(failure)) => return Err(failure),
                Err(Trouble::NotTls) => {
                    return Err(cannot_get(&request.url, "the server does not speak TLS"));
                }
                Err(Trouble::Broken(error)) => {
                    let slow = error.kind() == io::ErrorKind::TimedOut;
                    tries.failed(slow).ok_or_else(|| broken(&request.url, &error))?
                }
                Ok(response) if is_passing(response.head.status) => match tries.refused(&response.head) {
                    Some(next) => next,
                    None => return Ok(response),
                },
                Ok(response) => return Ok(response),
            };
            pause(next, &self.interrupt)?;
        }
    }

    /// Sends a request once, and those that redirects ask for.
    ///
    /// # Errors
    /// [`Trouble`].
    fn follow(self: &Arc<Self>, request: &Request) -> std::result::Result<Response, Trouble> {
        let mut request = request.clone();
        let first = request.url.origin.clone();
        for _ in 0..=MOST_REDIRECTS {
            let response = self.ask(&request)?;
            let redirect =
                matches!(response.head.status, 301 | 302 | 303 | 307 | 308) && request.method != "POST";
            let Some(location) = response.head.one("location").filter(|_| redirect) else {
                return Ok(response);
            };
            let location = location.to_owned();
            response.finish();
            let from = &request.url;
            let to = from
                .join(&location)
                .map_err(|why| cannot_get(from, format_args!("it is redirected: {why}")))?;
            if let Some(why) = forbidden(&first, &from.origin, &to.origin) {
                return Err(
                    cannot_get(from, format_args!("refused to follow it to {}: {why}", to.origin)).into()
                );
            }
            if to.origin != request.url.origin {
                // what was said to one is nobody else's business
                request.fields.retain(|(name, _)| *name != "Authorization");
            }
            request.url = to;
        }
        Err(cannot_get(&request.url, "it is redirected without end").into())
    }

    /// One request and its answer. On a connection that was idle, another try is made on a new one.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn ask(self: &Arc<Self>, request: &Request) -> std::result::Result<Response, Trouble> {
        let origin = &request.url.origin;
        if let Some(mut connection) = self.reuse(origin)
            && let Ok(head) = connection.ask(request)
        {
            return self.response(connection, head, request);
        }
        self.interrupt.check()?;
        let mut connection = self.connect(origin)?;
        let head = connection.ask(request)?;
        self.response(connection, head, request)
    }

    fn response(
        self: &Arc<Self>,
        connection: Connection,
        head: Head,
        request: &Request,
    ) -> std::result::Result<Response, Trouble> {
        let body = Body::new(connection, &head, request.method)?;
        Ok(Response { head, url: request.url.clone(), body: Some(body), net: self.clone() })
    }

    fn reuse(&self, origin: &Origin) -> Option<Connection> {
        lock(&self.idle).get_mut(origin)?.pop()
    }

    fn keep(&self, origin: &Origin, connection: Connection) {
        let mut idle = lock(&self.idle);
        let kept = idle.entry(origin.clone()).or_default();
        if kept.len() < MOST_IDLE {
            kept.push(connection);
        }
    }

    fn connect(&self, origin: &Origin) -> std::result::Result<Connection, Trouble> {
        if origin.scheme == Scheme::Http && !origin.is_loopback() && !self.rules.insecure_http {
            return Err(Failure::new(
                Kind::Network,
                format_args!("refused {origin}: plain HTTP is read and changed by anybody on the way"),
            )
            .hint("use https://, or allow it with --insecure-http")
            .into());
        }
        let Some(proxy) = self.proxies.for_origin(origin)? else {
            let socket = self.socket(origin).map_err(unreachable)?;
            return Ok(Connection::new(self.secured(origin, socket)?, Via::Nobody));
        };
        let socket = self.socket(&proxy.origin).map_err(unreachable)?;
        let pipe = Connection::new(Pipe::Plain(socket), Via::Proxy(proxy.user.as_deref().map(basic)));
        if origin.scheme == Scheme::Http {
            return Ok(pipe);
        }
        let authority = format!("{}:{}", origin.bracketed(), origin.port);
        let tunnel = pipe.tunnel(&authority).map_err(|error| {
            cannot_get(
                &Url::with_path(origin, "/".into()),
                format_args!("by the proxy {}: {}", proxy.origin, why(&error)),
            )
        })?;
        let Pipe::Plain(socket) = tunnel else { return Err(Trouble::NotTls) };
        Ok(Connection::new(self.secured(origin, socket)?, Via::Nobody))
    }

    fn socket(&self, origin: &Origin) -> Result<Watched> {
        let known = lock(&self.addresses).get(&origin.host).cloned();
        let addresses = match known {
            Some(addresses) => addresses,
            None => {
                let found = resolve(&origin.host, self.rules.patience.min(CONNECT), &self.interrupt)?;
                lock(&self.addresses).insert(origin.host.clone(), found.clone());
                found
            }
        };
        let patience = self.rules.patience;
        let mut socket =
            connect(&origin.authority(), &addresses, origin.port, patience.min(CONNECT), &self.interrupt)?;
        socket.be_patient(patience);
        Ok(socket)
    }

    fn secured(&self, origin: &Origin, socket: Watched) -> std::result::Result<Pipe, Trouble> {
        if origin.scheme == Scheme::Http {
            return Ok(Pipe::Plain(socket));
        }
        match tls::handshake(self.trust()?, &origin.host, socket) {
            Ok(secured) => Ok(Pipe::Tls(Box::new(secured))),
            Err(Refused::NotTls) => Err(Trouble::NotTls),
            Err(Refused::Broken(error)) => Err(error.into()),
            Err(Refused::Untrusted(why)) => {
                let failure = Failure::new(Kind::Network, format_args!("cannot trust {origin}: {why}"));
                Err(failure.hint("--cacert FILE trusts the authority in it too").into())
            }
        }
    }
}

/// A signal is one everywhere.
fn unreachable(failure: Failure) -> Trouble {
    if failure.by_signal().is_some() { Trouble::Final(failure) } else { Trouble::Unreachable(failure) }
}

/// Why a redirect is not followed.
fn forbidden(first: &Origin, from: &Origin, to: &Origin) -> Option<&'static str> {
    if (from.scheme, to.scheme) == (Scheme::Https, Scheme::Http) {
        Some("that is plain HTTP")
    } else if to.is_inside() && !first.is_inside() {
        Some("that is an address of this machine's own")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        text.parse::<Url>().expect("a URL").origin
    }

    #[test]
    fn a_redirect_does_not_lead_out_of_tls_nor_into_this_machine() {
        let refused = |from, to| forbidden(&origin(from), &origin(from), &origin(to)).is_some();
        assert!(!refused("https://a", "https://b"));
        assert!(!refused("http://127.0.0.1:1", "http://127.0.0.1:2"));
        assert!(!refused("http://localhost", "https://cdn.example"));
        assert!(refused("https://a", "http://a"));
        for inside in [
            "https://127.0.0.1",
            "https://localhost",
            "https://169.254.169.254",
            "https://[fe80::1]",
            "https://0.0.0.0",
        ] {
            assert!(refused("https://a", inside), "{inside}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        let rules = Rules { authorities: None, insecure_http: false, patience: Duration::from_secs(1) };
        let net = Net::new(rules, &Interrupt::default());
        let request = Request::get("http://192.0.2.1/x".parse().expect("a URL"));
        let Err(failure) = net.fetch(&request) else { panic!("it was asked") };
        let line = failure.to_string();
        assert_eq!(line, "refused http://192.0.2.1: plain HTTP is read and changed by anybody on the way");
    }

    #[test]
    fn a_name_and_password_are_encoded() {
        assert_eq!(basic("Aladdin:open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }
}

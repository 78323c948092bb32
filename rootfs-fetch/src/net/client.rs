//! Sends requests, follows redirects by our own rules, and retries transient failures.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use chain::Reporter;
use reqwest::{Client, Method};

use crate::failure::{Failure, Kind, Result};
use crate::interrupt::Interrupt;
use crate::net::addresses::Addresses;
use crate::net::error::{RequestError, cannot_get};
use crate::net::host_tls::HostFiles;
use crate::net::origin::is_inside;
use crate::net::proxy::{Proxies, Proxy, why_no_tunnel};
use crate::net::request::Request;
use crate::net::response::Response;
use crate::net::retry::{LONG_PAUSE, RetryPolicy, is_transient, pause};
use crate::net::runtime::Runtime;
use crate::net::tls::{self, Trust};
use crate::net::url::{Origin, Scheme, Url};

const MAX_REDIRECTS: usize = 10;
/// Idle connections kept for one server.
const MAX_IDLE: usize = 4;
/// The maximum number of header fields in a response; registries send about twenty.
const MAX_FIELDS: usize = 128;
/// The longest time to connect, however long --timeout allows a response to take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How the network may be used.
#[derive(Clone, Debug)]
pub struct Rules {
    /// A file of certificate authorities to trust in addition to the system's.
    pub authorities: Option<PathBuf>,
    /// Allow plain HTTP with every server, not only with this machine.
    pub insecure_http: bool,
    /// The registries, with their ports, with which plain HTTP is allowed.
    pub insecure_registries: Vec<String>,
    /// Whether any certificate from these registries is accepted.
    pub insecure_tls: bool,
    /// The time limit of each step.
    pub patience: Duration,
    /// Prints what takes long.
    pub reporter: Option<Reporter>,
}

impl Rules {
    /// Whether plain HTTP is allowed with a server.
    pub fn allows_plain(&self, origin: &Origin) -> bool {
        self.insecure_http || self.is_insecure_registry(origin)
    }

    fn is_insecure_registry(&self, origin: &Origin) -> bool {
        origin.is_one_of(&self.insecure_registries)
    }
}

/// The network.
#[derive(Debug)]
pub struct Net {
    rules: Rules,
    proxies: Proxies,
    interrupt: Interrupt,
    addresses: Arc<Addresses>,
    runtime: OnceLock<Result<Arc<Runtime>>>,
    /// Without TLS: reading the certificate authorities takes time.
    plain: OnceLock<Result<Client>>,
    secure: OnceLock<Result<Client>>,
    /// The servers with which the host's configuration allows plain HTTP.
    plain_servers: Mutex<Vec<String>>,
    /// The clients for servers with their own settings, by host and port.
    special: Mutex<HashMap<String, Result<Option<Client>>>>,
}

impl Net {
    /// The network with these rules, and with the proxies in the environment.
    pub fn new(rules: Rules, interrupt: &Interrupt) -> Arc<Self> {
        let addresses = Arc::new(Addresses::new(rules.patience.min(CONNECT_TIMEOUT)));
        Arc::new(Self {
            rules,
            proxies: Proxies::of_environment(),
            interrupt: interrupt.clone(),
            addresses,
            runtime: OnceLock::new(),
            plain: OnceLock::new(),
            secure: OnceLock::new(),
            plain_servers: Mutex::default(),
            special: Mutex::default(),
        })
    }

    /// Reads the file of certificate authorities if the user named one, so that an error is reported at once.
    ///
    /// # Errors
    /// Not found, I/O or damaged.
    pub fn check(&self) -> Result<()> {
        if self.rules.authorities.is_some() { self.secure().map(drop) } else { Ok(()) }
    }

    fn secure(&self) -> Result<&Client> {
        let authorities: Vec<PathBuf> = self.rules.authorities.iter().cloned().collect();
        let trust = Trust { authorities: &authorities, ..Trust::default() };
        self.secure.get_or_init(|| self.build(tls::config(trust)?)).as_ref().map_err(Clone::clone)
    }

    fn client(&self, origin: &Origin, proxy: Option<&Proxy>) -> Result<Client> {
        if origin.scheme == Scheme::Http {
            if proxy.is_some_and(Proxy::has_tls) {
                return self.secure().cloned();
            }
            let plain = self.plain.get_or_init(|| self.build(tls::without_authorities()?));
            return plain.clone();
        }
        let mut special = self.special.lock().unwrap_or_else(PoisonError::into_inner);
        let own = special.entry(origin.authority_with_port()).or_insert_with(|| self.own_client(origin));
        match own.clone()? {
            // its trust and the client's certificate would also apply to the proxy
            Some(_) if proxy.is_some_and(Proxy::has_tls) => {
                let server = origin.authority();
                Err(Failure::new(
                    Kind::Usage,
                    format_args!(
                        "{server} has TLS settings of its own, which do not work with an https:// proxy"
                    ),
                )
                .hint(format_args!("use an http:// proxy, or add {server} to no_proxy")))
            }
            Some(client) => Ok(client),
            None => self.secure().cloned(),
        }
    }

    /// The client for a server with its own settings.
    fn own_client(&self, origin: &Origin) -> Result<Option<Client>> {
        let files = HostFiles::find(origin)?;
        let any_certificate = self.rules.insecure_tls && self.rules.is_insecure_registry(origin);
        if files.is_empty() && !any_certificate {
            return Ok(None);
        }
        if let Some(reporter) = self.rules.reporter.filter(|_| any_certificate) {
            reporter.message(format_args!(
                "the certificate of {} is not verified: an attacker can impersonate it, read everything \
                 and change what has no digest",
                origin.authority()
            ));
        }
        let authorities: Vec<PathBuf> =
            self.rules.authorities.iter().chain(&files.authorities).cloned().collect();
        let trust = Trust { authorities: &authorities, client: files.client.as_ref(), any_certificate };
        self.build(tls::config(trust)?).map(Some)
    }

    fn build(&self, tls: rustls::ClientConfig) -> Result<Client> {
        let proxies = self.proxies.clone();
        // `ask` has reported an invalid proxy before
        let proxy = move |url: &url::Url| {
            let url: Url = url.as_str().parse().ok()?;
            proxies.for_origin(&url.origin).ok()?.map(|proxy| proxy.url)
        };
        let mut fields = reqwest::header::HeaderMap::new();
        fields.insert("Accept-Encoding", reqwest::header::HeaderValue::from_static("identity"));
        let builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(self.addresses.clone())
            .proxy(reqwest::Proxy::custom(proxy))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(self.connect_timeout())
            .pool_max_idle_per_host(MAX_IDLE)
            .http1_title_case_headers()
            .http1_max_headers(MAX_FIELDS)
            .user_agent(concat!("rootfs-fetch/", env!("CARGO_PKG_VERSION")))
            .default_headers(fields);
        builder
            .build()
            .map_err(|error| Failure::new(Kind::Network, format_args!("cannot use the network: {error}")))
    }

    #[cfg(test)]
    pub(crate) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    fn runtime(&self) -> Result<&Arc<Runtime>> {
        let runtime = self.runtime.get_or_init(|| Runtime::new(&self.interrupt).map(Arc::new));
        runtime.as_ref().map_err(Clone::clone)
    }

    fn connect_timeout(&self) -> Duration {
        self.rules.patience.min(CONNECT_TIMEOUT)
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Allows plain HTTP with a server, `host` or `host:port`.
    pub fn allow_plain(&self, server: &str) {
        self.plain_servers.lock().unwrap_or_else(PoisonError::into_inner).push(server.to_owned());
    }

    /// Whether plain HTTP is allowed with another machine.
    pub fn allows_plain(&self, origin: &Origin) -> bool {
        let servers = self.plain_servers.lock().unwrap_or_else(PoisonError::into_inner);
        self.rules.allows_plain(origin) || origin.is_one_of(&servers)
    }

    /// Whether a signal asked us to end.
    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Sends a request, follows redirects, and retries transient failures. Returns any response except a
    /// redirect.
    ///
    /// # Errors
    /// Network, and what forbids the request.
    pub fn fetch(&self, request: &Request) -> Result<Response> {
        let mut policy = RetryPolicy::default();
        loop {
            let next = match self.follow(request) {
                Err(RequestError::Broken(error)) => {
                    let slow = error.kind() == io::ErrorKind::TimedOut;
                    let broken = || RequestError::Broken(error).into_failure(&request.url);
                    policy.failed(slow).ok_or_else(broken)?
                }
                Err(error) => return Err(error.into_failure(&request.url)),
                Ok(response) if is_transient(response.head.status) => {
                    match policy.refused(&response.head, self.rules.patience) {
                        Some(next) => self.print_pause(&response, next),
                        None => return Ok(response),
                    }
                }
                Ok(response) => return Ok(response),
            };
            pause(next, &self.interrupt)?;
        }
    }

    /// Prints a line if a server asks for a long pause.
    fn print_pause(&self, response: &Response, pause: Duration) -> Duration {
        if let Some(reporter) = self.rules.reporter.filter(|_| pause >= LONG_PAUSE) {
            let (server, status) = (response.url.origin.authority(), response.head.status);
            let seconds = pause.as_secs();
            reporter.message(format_args!(
                "{server} is busy (HTTP {status}): trying again in {seconds} s, as it asks"
            ));
        }
        pause
    }

    /// Sends a request once, and follows redirects.
    fn follow(&self, request: &Request) -> std::result::Result<Response, RequestError> {
        let mut request = request.clone();
        let first = request.url.origin.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.ask(&request)?;
            let redirect =
                matches!(response.head.status, 301 | 302 | 303 | 307 | 308) && request.method != Method::POST;
            let Some(location) = response.head.one("location").filter(|_| redirect) else {
                return Ok(response);
            };
            let location = location.to_owned();
            response.finish();
            let from = &request.url;
            let to = from
                .join(&location)
                .map_err(|why| cannot_get(from, format_args!("it is redirected: {why}")))?;
            if let Some(why) = self.forbidden(&first, &from.origin, &to.origin)? {
                return Err(
                    cannot_get(from, format_args!("refused to follow it to {}: {why}", to.origin)).into()
                );
            }
            if to.origin != request.url.origin {
                // credentials for one server must not reach another
                request.fields.retain(|(name, _)| *name != "Authorization");
            }
            request.url = to;
        }
        Err(cannot_get(&request.url, "it is redirected endlessly").into())
    }

    /// Why a redirect is not followed.
    pub(crate) fn forbidden(
        &self,
        first: &Origin,
        from: &Origin,
        to: &Origin,
    ) -> Result<Option<&'static str>> {
        if (from.scheme, to.scheme) == (Scheme::Https, Scheme::Http) {
            return Ok(Some("that is plain HTTP"));
        }
        let inside = self.leads_inside(first, to)?;
        Ok(inside.then_some("it is an address of this machine"))
    }

    /// Whether a server that is elsewhere leads to this machine or its link.
    ///
    /// # Errors
    /// Network, if a name has no address.
    pub fn leads_inside(&self, from: &Origin, to: &Origin) -> Result<bool> {
        Ok(self.is_inside(to)? && !self.is_inside(from)?)
    }

    /// Checks the addresses that will be used, not the name. A proxy looks up names itself.
    fn is_inside(&self, origin: &Origin) -> Result<bool> {
        if origin.is_inside() || self.proxies.for_origin(origin)?.is_some_and(|proxy| !proxy.resolves_here())
        {
            return Ok(origin.is_inside());
        }
        let addresses = self.addresses.find(&origin.host, &self.interrupt)?;
        Ok(addresses.into_iter().any(is_inside))
    }

    /// One request and its response, without redirects and retries.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn ask(&self, request: &Request) -> std::result::Result<Response, RequestError> {
        self.ask_within(request, self.connect_timeout() + self.rules.patience)
    }

    /// The same, with another time limit for the connection and the response.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn ask_within(
        &self,
        request: &Request,
        limit: Duration,
    ) -> std::result::Result<Response, RequestError> {
        let origin = &request.url.origin;
        self.permit(origin)?;
        let proxy = self.proxies.for_origin(origin)?;
        let peer = proxy.as_ref().map_or(origin, |proxy| &proxy.origin);
        self.addresses.find(&peer.host, &self.interrupt).map_err(unreachable)?;
        if proxy.as_ref().is_some_and(Proxy::resolves_here) {
            self.addresses.find(&origin.host, &self.interrupt).map_err(unreachable)?;
        }
        let client = self.client(origin, proxy.as_ref())?;
        let (runtime, sent) = (self.runtime()?, client.execute(request.build()?));
        let sent = async {
            // twice: first to see the kernel's events, then to act on them; idle connections may have been
            // closed
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            sent.await
        };
        let connect = self.connect_timeout();
        let patience = self.rules.patience;
        match runtime.run(sent, limit)? {
            Some(Ok(response)) => Response::new(response, &request.url, runtime.clone(), patience),
            Some(Err(error)) => {
                let error = RequestError::of_request(&error, origin, peer, connect.as_secs());
                match (error, &proxy) {
                    (RequestError::NoTunnel(why), Some(proxy)) => {
                        let addresses = self.addresses.find(&peer.host, &self.interrupt)?;
                        let why = why_no_tunnel(proxy, &addresses, origin, why);
                        let url = request.url.with_path("/");
                        let at = proxy.origin.authority();
                        Err(cannot_get(&url, format_args!("by the proxy {at}: {why}")).into())
                    }
                    (error, _) => Err(error),
                }
            }
            None => {
                let why = format!("no answer in {} s", patience.as_secs());
                Err(RequestError::Broken(io::Error::new(io::ErrorKind::TimedOut, why)))
            }
        }
    }

    /// Refuses plain HTTP to other machines, unless it is allowed.
    fn permit(&self, origin: &Origin) -> Result<()> {
        if origin.scheme == Scheme::Https || origin.is_loopback() || self.allows_plain(origin) {
            return Ok(());
        }
        let line = format_args!("refused {origin}: plain HTTP can be read and changed on the way");
        Err(Failure::new(Kind::Network, line).hint("use https://, or allow it with --insecure-http"))
    }
}

/// A signal is not a failed connection.
fn unreachable(failure: Failure) -> RequestError {
    if failure.by_signal().is_some() {
        RequestError::Final(failure)
    } else {
        RequestError::Unreachable(failure)
    }
}

//! Proxies in the environment: http_proxy, https_proxy, all_proxy, no_proxy.
//!
//! Written by hand: reqwest reads HTTP_PROXY in capitals, has no ports in no_proxy, and would use a proxy for
//! this machine.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use ipnet::IpNet;

use crate::failure::{Failure, Kind, Result};
use crate::net::request::basic;
use crate::net::url::{Origin, Scheme, Url};

const PROXY_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_STATUS_LINE_BYTES: u64 = 1024;
const SOCKS_PORT: u16 = 1080;

/// Which proxy to use for which server.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<String>,
    https: Option<String>,
    except: String,
}

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// The protocol to use with it.
    pub kind: ProxyKind,
    /// Its address; the scheme says whether TLS protects the connection to it.
    pub origin: Origin,
    /// The URL for reqwest, with user and password.
    pub url: url::Url,
    user: Option<String>,
}

/// The protocol of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// HTTP, and CONNECT for servers with TLS.
    Http,
    /// SOCKS 5; this machine looks up the servers.
    Socks5,
    /// SOCKS 5; the proxy looks up the servers.
    Socks5h,
}

impl Proxy {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let kind = match scheme {
            "http" | "https" => ProxyKind::Http,
            "socks5" => ProxyKind::Socks5,
            "socks5h" => ProxyKind::Socks5h,
            _ => return Err("expected http://, https://, socks5:// or socks5h://".into()),
        };
        let url_of = |scheme: &str| format!("{scheme}://{rest}").parse::<Url>();
        if kind == ProxyKind::Http {
            let url = url_of(scheme)?;
            return Ok(Self { kind, user: url.user(), url: url.whole().clone(), origin: url.origin });
        }
        let like_http = url_of("http")?;
        // a port that is the default of one scheme is written out for the other
        let port = [&like_http, &url_of("https")?].iter().find_map(|url| url.whole().port());
        let port = port.unwrap_or(SOCKS_PORT);
        let mut url = url::Url::parse(&format!("{scheme}://{rest}")).map_err(|error| error.to_string())?;
        url.set_port(Some(port)).map_err(|()| "it has no host".to_string())?;
        let origin = Origin { port, ..like_http.origin.clone() };
        Ok(Self { kind, origin, url, user: like_http.user() })
    }

    /// Whether this machine looks up the servers that the proxy connects to.
    pub fn resolves_here(&self) -> bool {
        self.kind == ProxyKind::Socks5
    }

    /// Whether TLS protects the connection to it.
    pub fn has_tls(&self) -> bool {
        self.origin.scheme == Scheme::Https
    }
}

impl Proxies {
    /// Reads the environment; a name in lower case takes precedence.
    pub fn of_environment() -> Self {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let one = |names: &[&str]| {
            names.iter().find_map(|name| variable(name).map(|value| value.trim().to_owned()))
        };
        let set = |value: Option<String>| value.filter(|value| !value.is_empty());
        Self {
            // in a CGI program, HTTP_PROXY is the Proxy header of the request
            http: set(one(&["http_proxy", "all_proxy", "ALL_PROXY"])),
            https: set(one(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])),
            except: one(&["no_proxy", "NO_PROXY"]).unwrap_or_default(),
        }
    }

    /// The proxy for a server, if there is one. Requests to this machine never use a proxy.
    ///
    /// # Errors
    /// Usage, for a kind of proxy that is not supported.
    pub fn for_origin(&self, origin: &Origin) -> Result<Option<Proxy>> {
        let proxy = match origin.scheme {
            Scheme::Http => &self.http,
            Scheme::Https => &self.https,
        };
        let Some(proxy) = proxy.as_deref().filter(|_| !origin.is_loopback() && !self.is_excluded(origin))
        else {
            return Ok(None);
        };
        let wrong = |why| Failure::new(Kind::Usage, format_args!("the proxy of the environment: {why}"));
        Proxy::parse(proxy).map(Some).map_err(wrong)
    }

    /// Whether no_proxy lists the server: a name covers its subdomains, and an address can be a network.
    fn is_excluded(&self, origin: &Origin) -> bool {
        self.except.split([',', ' ']).map(str::trim).filter(|rule| !rule.is_empty()).any(|rule| {
            if rule == "*" {
                return true;
            }
            let rule = rule.to_ascii_lowercase();
            if let Some(address) = origin.address() {
                let (rule, address) = (rule.trim_matches(['[', ']']), address.to_canonical());
                return rule.parse() == Ok(address)
                    || rule.parse::<IpNet>().is_ok_and(|network| network.contains(&address));
            }
            let (rule, port) = rule
                .rsplit_once(':')
                .map_or((rule.as_str(), None), |(host, port)| (host, port.parse::<u16>().ok()));
            let rule = rule.trim_start_matches("*.").trim_start_matches('.');
            let below =
                origin.host.strip_suffix(rule).is_some_and(|head| head.is_empty() || head.ends_with('.'));
            below && port.is_none_or(|port| port == origin.port)
        })
    }
}

/// Why a proxy does not connect to a server. reqwest only reports that the response to CONNECT was not 200,
/// so an HTTP proxy is asked once more for its status. For other proxies, `why` is the reason.
pub fn why_no_tunnel(proxy: &Proxy, addresses: &[IpAddr], server: &Origin, why: String) -> String {
    if proxy.kind != ProxyKind::Http || proxy.has_tls() {
        return format!("the proxy does not connect to it: {why}");
    }
    let status = addresses.first().and_then(|&address| {
        connect_status(SocketAddr::new(address, proxy.origin.port), proxy.user.as_deref(), server).ok()
    });
    match status.as_deref().and_then(|line| line.split(' ').nth(1)?.parse::<u16>().ok()) {
        Some(status) => format!("the proxy answers {status}"),
        None => "the proxy does not answer in HTTP".into(),
    }
}

/// The first line of the response to CONNECT.
fn connect_status(proxy: SocketAddr, user: Option<&str>, server: &Origin) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&proxy, PROXY_TIMEOUT)?;
    stream.set_read_timeout(Some(PROXY_TIMEOUT))?;
    let authority = server.authority_with_port();
    let user = user.map(|user| format!("Proxy-Authorization: {}\r\n", basic(user))).unwrap_or_default();
    let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{user}\r\n");
    stream.write_all(request.as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_STATUS_LINE_BYTES)).read_line(&mut line)?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let find =
            |name: &str| variables.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned());
        let url: Url = url.parse().expect("a URL");
        let proxy = Proxies::read(find).for_origin(&url.origin).expect("a good proxy");
        proxy.map(|proxy| proxy.origin.to_string())
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let both = [("http_proxy", "http://a:1"), ("HTTPS_PROXY", "b:2")];
        assert_eq!(proxy(&both, "http://x/").as_deref(), Some("http://a:1"));
        assert_eq!(proxy(&both, "https://x/").as_deref(), Some("http://b:2"));
        assert_eq!(proxy(&[("HTTP_PROXY", "a:1")], "http://x/"), None);
        assert_eq!(proxy(&[("all_proxy", "a:1")], "http://x/").as_deref(), Some("http://a:1"));
        assert_eq!(proxy(&[("https_proxy", "")], "https://x/"), None);
    }

    #[test]
    fn some_are_reached_without() {
        let with = |except| [("https_proxy", "http://p:1"), ("no_proxy", except)];
        for (except, host) in [
            ("*", "x.org"),
            ("x.org", "x.org"),
            (".x.org", "a.x.org"),
            ("y, x.org", "a.x.org"),
            ("x.org:443", "x.org"),
            ("10.0.0.0/8", "10.1.2.3"),
            ("192.168.1.1", "192.168.1.1"),
            ("fd00::/8", "[fd12::1]"),
            ("", "127.0.0.1"),
            ("", "localhost"),
        ] {
            assert_eq!(proxy(&with(except), &format!("https://{host}/")), None, "{except} {host}");
        }
        for (except, host) in [
            ("x.org", "ax.org"),
            ("x.org:80", "x.org"),
            ("10.0.0.0/8", "11.0.0.1"),
            ("10.0.0.0/99", "10.0.0.1"),
        ] {
            assert!(proxy(&with(except), &format!("https://{host}/")).is_some(), "{except} {host}");
        }
    }

    #[test]
    fn a_proxy_is_read_with_its_kind_and_port() {
        for (text, kind, address) in [
            ("p", ProxyKind::Http, "http://p"),
            ("https://p", ProxyKind::Http, "https://p"),
            ("socks5://p", ProxyKind::Socks5, "http://p:1080"),
            ("socks5h://u:s%40@p:80/", ProxyKind::Socks5h, "http://p"),
            ("socks5h://[::1]:443", ProxyKind::Socks5h, "http://[::1]:443"),
        ] {
            let proxy = Proxy::parse(text).expect("a proxy");
            assert_eq!((proxy.kind, proxy.origin.to_string()), (kind, address.into()), "{text}");
        }
        let proxy = Proxy::parse("socks5h://u:s%40@p").expect("a proxy");
        assert_eq!((proxy.url.as_str(), proxy.user.as_deref()), ("socks5h://u:s%40@p:1080", Some("u:s@")));
    }

    #[test]
    fn a_proxy_of_another_kind_is_refused() {
        for wrong in ["socks4://p:1", "quic://p:1", "http://", "socks5h://", "socks5h://a b"] {
            let proxies = Proxies { https: Some(wrong.into()), ..Proxies::default() };
            let url: Url = "https://x/".parse().expect("a URL");
            assert!(proxies.for_origin(&url.origin).is_err(), "{wrong}");
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Proxies, as the environment names them: http_proxy, https_proxy, all_proxy, no_proxy.

use std::net::IpAddr;

use crate::failure::{Failure, Kind, Result};
use crate::net::url::{Origin, Scheme, Url};

/// Who goes through which proxy.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<String>,
    https: Option<String>,
    except: String,
}

impl Proxies {
    /// Reads the environment; a name in lower case comes first.
    pub fn of_environment() -> Self {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let one = |names: &[&str]| {
            names.iter().find_map(|name| variable(name).map(|value| value.trim().to_owned()))
        };
        let set = |value: Option<String>| value.filter(|value| !value.is_empty());
        Self {
            // HTTP_PROXY in capitals is a request's Proxy header where a web server runs us
            http: set(one(&["http_proxy", "all_proxy", "ALL_PROXY"])),
            https: set(one(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])),
            except: one(&["no_proxy", "NO_PROXY"]).unwrap_or_default(),
        }
    }

    /// The proxy for a server, if there is one. This machine is never asked for by one.
    ///
    /// # Errors
    /// Usage, for a proxy of a kind we do not speak to.
    pub fn for_origin(&self, origin: &Origin) -> Result<Option<Url>> {
        let proxy = match origin.scheme {
            Scheme::Http => &self.http,
            Scheme::Https => &self.https,
        };
        let Some(proxy) = proxy.as_deref().filter(|_| !origin.is_loopback() && !self.excepts(origin)) else {
            return Ok(None);
        };
        let wrong =
            |why: &str| Failure::new(Kind::Usage, format_args!("the proxy of the environment: {why}"));
        let text = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
        if text.starts_with("socks") {
            return Err(wrong("SOCKS is not spoken here, only HTTP"));
        }
        let proxy: Url = text.parse().map_err(|why: String| wrong(&why))?;
        if proxy.origin.scheme == Scheme::Https {
            return Err(wrong("it must be an http:// one; TLS goes through it to the server"));
        }
        Ok(Some(proxy))
    }

    /// Names mean themselves and what is below them, addresses themselves or their network.
    fn excepts(&self, origin: &Origin) -> bool {
        self.except.split([',', ' ']).map(str::trim).filter(|rule| !rule.is_empty()).any(|rule| {
            if rule == "*" {
                return true;
            }
            let rule = rule.to_ascii_lowercase();
            if let Some(address) = origin.address() {
                return network_has(rule.trim_matches(['[', ']']), address);
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

/// `10.0.0.1` or `10.0.0.0/8`.
fn network_has(rule: &str, address: IpAddr) -> bool {
    let (network, bits) = rule.split_once('/').map_or((rule, None), |(network, bits)| (network, Some(bits)));
    let prefix = |network: u128, address: u128, width: u32| {
        let bits = bits.map_or(Ok(width), str::parse::<u32>).unwrap_or(u32::MAX);
        bits <= width && (bits == 0 || (network ^ address) >> (width - bits) == 0)
    };
    match (network.parse::<IpAddr>(), address.to_canonical()) {
        (Ok(IpAddr::V4(network)), IpAddr::V4(address)) => {
            prefix(u32::from(network).into(), u32::from(address).into(), 32)
        }
        (Ok(IpAddr::V6(network)), IpAddr::V6(address)) => prefix(network.into(), address.into(), 128),
        _ => false,
    }
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
    fn a_proxy_that_is_not_spoken_to_is_refused() {
        for wrong in ["socks5://p:1", "https://p:1", "http://"] {
            let proxies = Proxies { https: Some(wrong.into()), ..Proxies::default() };
            let url: Url = "https://x/".parse().expect("a URL");
            assert!(proxies.for_origin(&url.origin).is_err(), "{wrong}");
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who is spoken to, and how: a scheme, a host and a port.

use std::fmt;
use std::net::IpAddr;

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// By TLS.
    Https,
}

/// Who is spoken to: what is meant for one origin is not said to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// How.
    pub scheme: Scheme,
    /// A name or an address, in lower case, an IPv6 address without its brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl Origin {
    /// Whether nobody else can be on the way.
    pub fn is_loopback(&self) -> bool {
        match self.address() {
            Some(address) => address.to_canonical().is_loopback(),
            None => self.host == "localhost" || self.host.ends_with(".localhost"),
        }
    }

    /// Whether only this machine, or its own link, can mean it: no server elsewhere has a say there.
    pub fn is_inside(&self) -> bool {
        let own = |address: IpAddr| match address.to_canonical() {
            // where clouds keep their secrets
            IpAddr::V4(address) => address.is_link_local() || address.is_unspecified(),
            IpAddr::V6(address) => address.is_unicast_link_local() || address.is_unspecified(),
        };
        self.is_loopback() || self.address().is_some_and(own)
    }

    /// The host, where it is an address and no name.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// As a Host header has it: the port only where it is not the scheme's own.
    pub fn authority(&self) -> String {
        let usual = match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        if self.port == usual { self.bracketed() } else { format!("{}:{}", self.bracketed(), self.port) }
    }

    /// The host as URLs have it, with brackets about an IPv6 address.
    pub fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use crate::net::url::Url;

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    #[test]
    fn loopback_is_this_machine_by_name_or_address() {
        for host in ["localhost", "x.localhost", "127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]"] {
            let origin = url(&format!("http://{host}/")).origin;
            assert!(origin.is_loopback() && origin.is_inside(), "{host}");
        }
        for host in ["localhost.org", "128.0.0.1", "[::2]", "notlocalhost"] {
            let origin = url(&format!("http://{host}/")).origin;
            assert!(!origin.is_loopback() && !origin.is_inside(), "{host}");
        }
        for host in ["169.254.169.254", "[fe80::1]", "0.0.0.0", "[::ffff:169.254.169.254]"] {
            let origin = url(&format!("http://{host}/")).origin;
            assert!(!origin.is_loopback() && origin.is_inside(), "{host}");
        }
    }
}

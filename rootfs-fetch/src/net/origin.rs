//! A server: scheme, host and port.

use std::fmt;
use std::net::IpAddr;

/// The protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

/// A server. Credentials for one origin are never sent to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The protocol.
    pub scheme: Scheme,
    /// A name or an address, in lower case, an IPv6 address without its brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl Origin {
    /// Whether the connection cannot leave this machine.
    pub fn is_loopback(&self) -> bool {
        match self.address() {
            Some(address) => address.to_canonical().is_loopback(),
            None => self.host == "localhost" || self.host.ends_with(".localhost"),
        }
    }

    /// Whether its name means this machine or its link, so that no other server may lead to it.
    pub fn is_inside(&self) -> bool {
        self.is_loopback() || self.address().is_some_and(is_inside)
    }

    /// The host, if it is an address and not a name.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// `host` or `host:port`: the port only if it is not the scheme's default.
    pub fn authority(&self) -> String {
        let default = match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        if self.port == default { self.bracketed_host() } else { self.authority_with_port() }
    }

    /// Whether it is in a list of `host` and `host:port`.
    pub fn is_one_of(&self, servers: &[String]) -> bool {
        let names = [self.authority(), self.authority_with_port()];
        servers.iter().any(|one| names.iter().any(|name| name.eq_ignore_ascii_case(one)))
    }

    /// `host:port`, always.
    pub fn authority_with_port(&self) -> String {
        format!("{}:{}", self.bracketed_host(), self.port)
    }

    /// The host as in URLs, with an IPv6 address in brackets.
    fn bracketed_host(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

/// Whether an address belongs to this machine or its link.
pub fn is_inside(address: IpAddr) -> bool {
    // clouds serve their secrets at a link-local address
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local() || address.is_unspecified(),
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unicast_link_local() || address.is_unspecified()
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority())
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

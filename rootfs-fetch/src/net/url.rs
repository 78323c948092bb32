// SPDX-License-Identifier: MIT OR Apache-2.0
//! URLs: parsed once, shown without what is secret in them.

use std::fmt;
use std::str::FromStr;

pub use crate::net::origin::{Origin, Scheme};

/// Longer ones are made to exhaust something.
const LONGEST: usize = 16 * 1024;

/// An `http:` or `https:` URL. Displayed, it has no user, no password and no query: a
/// query may be a signature, which is as good as a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Who is asked.
    pub origin: Origin,
    /// What for: path and query, as they stand in a request.
    pub path: String,
    /// `user:password`, if the URL has them.
    pub user: Option<String>,
}

impl Url {
    /// Another path on the same server.
    pub fn with_path(origin: &Origin, path: String) -> Self {
        Self { origin: origin.clone(), path, user: None }
    }

    /// The last part of the path, as a file is called that is saved from there.
    pub fn name(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        unescape(path.rsplit('/').next().unwrap_or_default())
    }

    /// What lies beside it under the same name and `.END`.
    pub fn beside(&self, end: &str) -> Self {
        let (path, query) = self.path.split_at(self.path.find('?').unwrap_or(self.path.len()));
        Self { path: format!("{path}.{end}{query}"), ..self.clone() }
    }

    /// Where a Location header leads.
    ///
    /// # Errors
    /// A reason, if it leads nowhere.
    pub fn join(&self, location: &str) -> Result<Self, String> {
        let location = location.split('#').next().unwrap_or_default();
        let scheme = match self.origin.scheme {
            Scheme::Http => "http:",
            Scheme::Https => "https:",
        };
        if location.starts_with("//") {
            return format!("{scheme}{location}").parse();
        }
        // a colon before any slash or query ends a scheme
        let head = location.split(['/', '?']).next().unwrap_or_default();
        if head.contains(':') {
            return location.parse();
        }
        let path = self.path.split('?').next().unwrap_or_default();
        let joined = match location.as_bytes().first() {
            None => self.path.clone(),
            Some(b'/') => location.to_owned(),
            Some(b'?') => format!("{path}{location}"),
            Some(_) => {
                let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
                format!("{directory}/{location}")
            }
        };
        Ok(Self { origin: self.origin.clone(), path: clean(&joined)?, user: None })
    }
}

/// Resolves `.` and `..`, and escapes what a request line cannot hold.
fn clean(path: &str) -> Result<String, String> {
    if path.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err("a URL has no control characters".into());
    }
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(part) = rest.next() {
        match part {
            "." | ".." => {
                if part == ".." {
                    parts.pop();
                }
                if rest.peek().is_none() {
                    parts.push("");
                }
            }
            part => parts.push(part),
        }
    }
    let mut cleaned = String::with_capacity(path.len() + 1);
    escape(&format!("/{}", parts.join("/")), &mut cleaned);
    if let Some(query) = query {
        cleaned.push('?');
        escape(query, &mut cleaned);
    }
    Ok(cleaned)
}

fn escape(text: &str, into: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}') => {
                into.push(char::from(byte));
            }
            _ => into.push_str(&format!("%{byte:02X}")),
        }
    }
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("a URL has at most {LONGEST} bytes"));
        }
        let (scheme, rest) = text.split_once("://").ok_or("a URL begins with https:// or http://")?;
        let (scheme, usual) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Scheme::Http, 80),
            "https" => (Scheme::Https, 443),
            _ => return Err("a URL begins with https:// or http://".into()),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(unescape(user)), authority),
            None => (None, authority),
        };
        let (host, port) = host_and_port(authority).ok_or("a URL has a host, and a port is a number")?;
        let path = clean(if path.is_empty() { "/" } else { path })?;
        Ok(Self { origin: Origin { scheme, host, port: port.unwrap_or(usual) }, path, user })
    }
}

/// `host`, `host:port`, `[::1]:port`, and nothing else.
pub fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (address, port.strip_prefix(':').map_or((port.is_empty(), None), |port| (true, Some(port))))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, (true, Some(port))),
            None => (authority, (true, None)),
        },
    };
    let (true, port) = port else { return None };
    let port = match port {
        None | Some("") => None,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
        Some(_) => return None,
    };
    let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let good = authority.starts_with('[')
        || (!host.is_empty() && host.len() <= 253 && !host.starts_with('-') && host.bytes().all(named));
    good.then(|| (host.to_ascii_lowercase(), port))
}

/// `%40` is `@`, as a password in a URL needs it.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
        match digits.and_then(|pair| std::str::from_utf8(pair).ok()).filter(|_| byte == b'%') {
            Some(pair) => {
                plain.push(u8::from_str_radix(pair, 16).unwrap_or_default());
                at += 3;
            }
            None => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path.split('?').next().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    #[test]
    fn a_url_is_shown_without_user_password_and_query() {
        let secret = url("https://me:p%40ss@Example.org:8443/a/b.tar?sig=123#top");
        assert_eq!(secret.to_string(), "https://example.org:8443/a/b.tar");
        assert_eq!(secret.path, "/a/b.tar?sig=123");
        assert_eq!(secret.user.as_deref(), Some("me:p@ss"));
        assert_eq!(url("http://h").to_string(), "http://h/");
        assert_eq!(url("https://[::1]:5000/x").origin.authority(), "[::1]:5000");
    }

    #[test]
    fn a_file_has_a_name_and_files_beside_it() {
        assert_eq!(url("https://h/a/b%20c.tar?x=/y").name(), "b c.tar");
        assert_eq!(url("https://h").name(), "");
        assert_eq!(url("https://me:x@h/a/SUMS?t=1").beside("gpg"), url("https://me:x@h/a/SUMS.gpg?t=1"));
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for wrong in [
            "ftp://h/x",
            "h/x",
            "https://",
            "https:///x",
            "https://h:port/",
            "https://h:99999/",
            "https://[::1",
            "https://[::1]x/",
            "https://a b/",
            "https://-h/",
            "https://h/\n",
            "https://[nonsense]/",
        ] {
            assert!(wrong.parse::<Url>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_location_is_seen_from_where_it_was_found() {
        let base = url("https://h:1/a/b?q=1");
        let joined = |location| base.join(location).expect("a place").path;
        assert_eq!(base.join("//other/x").expect("a place").to_string(), "https://other/x");
        assert_eq!(base.join("http://other/x").expect("a place").origin.scheme, Scheme::Http);
        assert_eq!(joined("/x?y"), "/x?y");
        assert_eq!(joined("c"), "/a/c");
        assert_eq!(joined("../../c/./d"), "/c/d");
        assert_eq!(joined("?z"), "/a/b?z");
        assert_eq!(joined("c d\u{e9}"), "/a/c%20d%C3%A9");
        assert!(base.join("file:/etc/passwd").is_err());
        assert!(base.join("/a\r\nb").is_err());
    }
}

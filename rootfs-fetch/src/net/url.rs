//! URLs: parsed once, printed without their secrets.
//!
//! The `url` crate parses like browsers: `2130706433` and `127.1` are 127.0.0.1. Some URLs that browsers
//! tolerate are refused here.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use url::{Host, Position};

pub use crate::net::origin::{Origin, Scheme};

const MAX_URL_BYTES: usize = 16 * 1024;
const BAD_SCHEME: &str = "a URL begins with https:// or http://";
const BAD_HOST: &str = "a URL has a host of letters, digits, '.', '-' and '_'";
/// The longest name that DNS can hold.
const MAX_HOST_BYTES: usize = 253;

/// An `http:` or `https:` URL. Display and Debug omit user, password and query: a query can contain a
/// signature, which is as good as a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// The server.
    pub origin: Origin,
    url: url::Url,
}

impl Url {
    /// A path on the server `authority`, which is `host` or `host:port`.
    ///
    /// # Errors
    /// The reason, if it is invalid.
    pub fn of_authority(scheme: Scheme, authority: &str, path: &str) -> Result<Self, String> {
        if authority.contains(['/', '?', '#', '@']) {
            return Err("expected a host without a path or user".into());
        }
        format!("{scheme}://{authority}{path}").parse()
    }

    /// Another path on the same server, without user and query.
    pub fn with_path(&self, path: &str) -> Self {
        let mut url = self.without_user();
        url.url.set_query(None);
        url.url.set_path(path);
        url
    }

    /// The same with the user and password of another URL.
    pub fn with_user_of(mut self, other: &Self) -> Self {
        // fails only for a URL without a host
        let _ = self.url.set_username(other.url.username());
        let _ = self.url.set_password(other.url.password());
        self
    }

    /// The same, with a slash at the end of the path, so that names are resolved below it.
    pub fn as_directory(mut self) -> Self {
        if !self.url.path().ends_with('/') {
            self.url.set_path(&format!("{}/", self.url.path()));
        }
        self
    }

    fn without_user(&self) -> Self {
        let mut url = self.clone();
        // fails only for a URL without a host
        let _ = url.url.set_username("");
        let _ = url.url.set_password(None);
        url
    }

    /// Adds `name=value&…`, already escaped, to the query.
    pub fn add_query(&mut self, pairs: &str) {
        let query = match self.url.query() {
            Some(query) => format!("{query}&{pairs}"),
            None => pairs.to_owned(),
        };
        self.url.set_query(Some(&query));
    }

    /// The URL to request: without user and password, which are in a header field.
    pub fn target(&self) -> url::Url {
        self.without_user().url
    }

    /// The complete URL, with its secrets.
    pub fn whole(&self) -> &url::Url {
        &self.url
    }

    /// Path and query, as in a request.
    pub fn path(&self) -> &str {
        &self.url[Position::BeforePath..Position::AfterQuery]
    }

    /// `user:password`, if the URL has a user.
    pub fn user(&self) -> Option<String> {
        let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, password) = (self.url.username(), self.url.password());
        let some = !user.is_empty() || password.is_some();
        some.then(|| format!("{}:{}", plain(user), plain(password.unwrap_or_default())))
    }

    /// The last component of the path: the name for the file.
    pub fn name(&self) -> String {
        let last = self.url.path().rsplit('/').next().unwrap_or_default();
        percent_decode_str(last).decode_utf8_lossy().into_owned()
    }

    /// The file in the same directory with `.END` added to its name.
    pub fn with_suffix(&self, end: &str) -> Self {
        let mut url = self.clone();
        url.url.set_path(&format!("{}.{end}", self.url.path()));
        url
    }

    /// Resolves a Location header.
    ///
    /// # Errors
    /// The reason, if it is invalid.
    pub fn join(&self, location: &str) -> Result<Self, String> {
        let location = location.trim();
        if location.starts_with("//") {
            let url: Self = format!("{}:{location}", self.origin.scheme).parse()?;
            return Ok(url.without_user());
        }
        // a colon before any slash ends a scheme
        if location.split(['/', '?', '#']).next().is_some_and(|first| first.contains(':')) {
            return location.parse::<Self>().map(|url| url.without_user());
        }
        check_characters(location)?;
        let url = self.url.join(location).map_err(|error| error.to_string())?;
        checked(url).map(|url| url.without_user())
    }
}

fn check_characters(text: &str) -> Result<(), String> {
    if text.len() > MAX_URL_BYTES {
        return Err(format!("a URL has at most {MAX_URL_BYTES} bytes"));
    }
    // the crate would drop line breaks, and read a backslash as a slash
    if text.chars().any(|char| char.is_control() || char == '\\') {
        return Err("a URL cannot contain control characters or backslashes".into());
    }
    Ok(())
}

/// Applies our rules in addition to those of the `url` crate.
fn checked(mut url: url::Url) -> Result<Url, String> {
    let scheme = match url.scheme() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return Err(BAD_SCHEME.into()),
    };
    url.set_fragment(None);
    let host = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).to_string(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).to_string(),
        Some(Host::Domain(name)) if is_name(name) => name.to_owned(),
        _ => return Err(BAD_HOST.into()),
    };
    let port = url.port_or_known_default().unwrap_or_default();
    Ok(Url { origin: Origin { scheme, host, port }, url })
}

/// Whether getent(1) accepts it: a leading '-' would be an option.
fn is_name(host: &str) -> bool {
    let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    host.len() <= MAX_HOST_BYTES && !host.starts_with('-') && host.bytes().all(named)
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        check_characters(text)?;
        // url would take a scheme without slashes
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(BAD_SCHEME.into());
        }
        // url would skip more slashes, decode escapes, and convert letters beyond ASCII
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        if host.is_empty() || !host.is_ascii() || host.contains('%') {
            return Err(BAD_HOST.into());
        }
        checked(url::Url::parse(text).map_err(|error| error.to_string())?)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.url.path())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
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
        assert!(!format!("{secret:?}").contains("ss"));
        assert_eq!(secret.path(), "/a/b.tar?sig=123");
        assert_eq!(secret.user().as_deref(), Some("me:p@ss"));
        assert_eq!(secret.target().as_str(), "https://example.org:8443/a/b.tar?sig=123");
        assert_eq!(url("http://h").to_string(), "http://h/");
        assert_eq!(url("https://[::1]:5000/x").origin.authority(), "[::1]:5000");
    }

    #[test]
    fn an_address_is_the_same_however_it_is_spelled() {
        for spelling in ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1"] {
            assert_eq!(url(&format!("http://{spelling}:81/")).origin.host, "127.0.0.1", "{spelling}");
        }
        assert_eq!(url("http://xn--mnchen-3ya.de/").origin.host, "xn--mnchen-3ya.de");
    }

    #[test]
    fn a_file_has_a_name_and_files_beside_it() {
        assert_eq!(url("https://h/a/b%20c.tar?x=/y").name(), "b c.tar");
        assert_eq!(url("https://h").name(), "");
        assert_eq!(url("https://me:x@h/a/SUMS?t=1").with_suffix("gpg"), url("https://me:x@h/a/SUMS.gpg?t=1"));
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
            "https://h\\@i/",
            "https://[nonsense]/",
            "https://M\u{fc}nchen.de/",
            "https://%31.de/",
            "https:h/://i",
            "https:%31.de/?://i",
            "https:M\u{fc}nchen.de/://i",
        ] {
            assert!(wrong.parse::<Url>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        let origin = |text| Url::of_authority(Scheme::Http, text, "/v2/").map(|url| url.origin.to_string());
        assert_eq!(origin("h:443").as_deref(), Ok("http://h:443"));
        assert_eq!(origin("[::1]:80").as_deref(), Ok("http://[::1]"));
        for wrong in ["", "h/x", "me@h", "h:x", "-h", "h?x", "a b"] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_location_is_seen_from_where_it_was_found() {
        let base = url("https://h:1/a/b?q=1");
        let joined = |location| base.join(location).expect("a place").path().to_owned();
        assert_eq!(base.join("//other/x").expect("a place").to_string(), "https://other/x");
        assert_eq!(base.join("http://other/x").expect("a place").origin.scheme, Scheme::Http);
        assert_eq!(joined("/x?y"), "/x?y");
        assert_eq!(joined("c"), "/a/c");
        assert_eq!(joined("../../c/./d"), "/c/d");
        assert_eq!(joined("?z"), "/a/b?z");
        assert_eq!(joined("c d\u{e9}"), "/a/c%20d%C3%A9");
        for wrong in ["file:/etc/passwd", "http:other", "///other/x", "//M\u{fc}nchen.de/", "//", "/\\other"]
        {
            assert!(base.join(wrong).is_err(), "{wrong}");
        }
        assert!(base.join("/a\r\nb").is_err());
    }
}

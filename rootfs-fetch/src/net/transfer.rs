//! The transfer of a file: after a broken connection, another one continues it.

use std::io::{self, Read};
use std::sync::Arc;

use reqwest::StatusCode;

use crate::failure::{Failure, Kind, Result};
use crate::net::client::Net;
use crate::net::error::{broken, cannot_get};
use crate::net::request::{Request, basic};
use crate::net::response::{Head, Response};
use crate::net::retry::{RetryPolicy, pause};
use crate::net::url::Url;

/// After this much progress, earlier breaks no longer count.
const MIN_PROGRESS_BYTES: u64 = 64 * 1024;
/// The maximum number of breaks of a file, despite progress.
const MAX_BREAKS: u32 = 50;

/// Header fields of a request.
pub type Fields = Vec<(&'static str, String)>;
/// Requests the file with additional header fields; the response contains the file, or a part of it.
pub type Open = Box<dyn Fn(Fields) -> Result<Response> + Send>;

/// What is known about a file in advance.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected {
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Whether the digest is checked later: then it does not matter if parts come from two versions.
    pub checked: bool,
}

/// A transfer in progress.
pub struct Transfer {
    open: Open,
    net: Arc<Net>,
    response: Response,
    expected: Expected,
    /// The length of the file, if it is known.
    length: Option<u64>,
    /// Identifies this version of the file.
    validator: Option<String>,
    at: u64,
    retries: RetryPolicy,
    broke_at: u64,
    breaks: u32,
}

impl std::fmt::Debug for Transfer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transfer")
            .field("url", &self.response.url)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl Transfer {
    /// Requests the file.
    ///
    /// # Errors
    /// Those of `open`; damaged, if its size is not the expected one.
    pub fn start(net: &Arc<Net>, expected: Expected, open: Open) -> Result<Self> {
        let response = open(Vec::new())?;
        if response.head.status != 200 {
            return Err(cannot_get(&response.url, "the server sent a part instead of the whole file"));
        }
        let announced = response.length();
        if let (Some(announced), Some(size)) = (announced, expected.size)
            && announced != size
        {
            return Err(Failure::damaged(format_args!("{} has {announced} bytes, not {size}", response.url)));
        }
        Ok(Self {
            open,
            net: net.clone(),
            length: announced.or(expected.size),
            validator: validator(&response.head),
            response,
            expected,
            at: 0,
            retries: RetryPolicy::default(),
            broke_at: 0,
            breaks: 0,
        })
    }

    /// Requests the file at a URL.
    ///
    /// # Errors
    /// Those of [`Self::start`].
    pub fn of_url(net: &Arc<Net>, url: &Url, expected: Expected) -> Result<Self> {
        let (asked, url) = (net.clone(), url.clone());
        let open = move |fields| {
            let mut request = Request::get(url.clone());
            request.fields = fields;
            if let Some(user) = url.user() {
                request = request.with("Authorization", basic(&user));
            }
            let response = asked.fetch(&request)?;
            match refusal(&response.head, &response.url, None) {
                Some(failure) => Err(failure),
                None => Ok(response),
            }
        };
        Self::start(net, expected, Box::new(open))
    }

    /// The length of the file in bytes, if it is known.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Continues after a broken connection.
    fn resume(&mut self, error: &io::Error) -> Result<()> {
        self.breaks += 1;
        if self.at - self.broke_at >= MIN_PROGRESS_BYTES && self.breaks < MAX_BREAKS {
            self.retries.reset();
        }
        self.broke_at = self.at;
        let broke = || match self.length {
            Some(length) => format!("it broke off after {} of {length} bytes", self.at),
            None => format!("it broke off after {} bytes", self.at),
        };
        let slow = error.kind() == io::ErrorKind::TimedOut;
        let next =
            self.retries.failed(slow).ok_or_else(|| broken(&self.response.url, error).within(broke()))?;
        pause(next, self.net.interrupt())?;
        let mut fields = Vec::new();
        // a part of the compressed body is not a part of the file
        if self.at > 0 && !self.response.is_decoded() {
            if self.validator.is_none() && !self.expected.checked {
                // the rest could belong to another version
                return Err(broken(&self.response.url, error).within(broke()));
            }
            fields.push(("Range", format!("bytes={}-", self.at)));
            if let Some(validator) = self.validator.clone().filter(|_| !self.expected.checked) {
                fields.push(("If-Range", validator));
            }
        }
        self.response = (self.open)(fields)?;
        self.find_place()
    }

    /// Moves to our position: the server can start again at another one.
    fn find_place(&mut self) -> Result<()> {
        let head = &self.response.head;
        if head.status == 206 {
            let range = head.one("content-range").and_then(begin);
            return match range {
                Some((from, whole))
                    if from == self.at && whole.is_none_or(|it| self.length.is_none_or(|len| len == it)) =>
                {
                    Ok(())
                }
                _ => {
                    Err(cannot_get(&self.response.url, "the server sent a part other than the requested one"))
                }
            };
        }
        if self.at > 0 && !self.expected.checked && validator(head) != self.validator {
            return Err(cannot_get(&self.response.url, "it changed during the download"));
        }
        let mut skip = self.at;
        let mut nowhere = vec![0; 64 * 1024];
        while skip > 0 {
            let most = usize::try_from(skip).unwrap_or(usize::MAX).min(nowhere.len());
            match self.response.read(nowhere.get_mut(..most).unwrap_or_default()) {
                Ok(0) => return Err(cannot_get(&self.response.url, "it became shorter during the download")),
                Ok(count) => skip -= count as u64,
                Err(error) => return self.resume(&error),
            }
        }
        Ok(())
    }
}

impl Read for Transfer {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            let error = match self.response.read(into) {
                // a body without a length is complete when it ends; with a length, it may not be
                Ok(0) if self.length.is_some_and(|length| self.at < length) => {
                    io::ErrorKind::UnexpectedEof.into()
                }
                Ok(count) => {
                    self.at += count as u64;
                    return Ok(count);
                }
                Err(error) if error.get_ref().is_some_and(|inner| inner.is::<Failure>()) => {
                    return Err(error);
                }
                Err(error) => error,
            };
            self.resume(&error).map_err(Failure::into_io)?;
        }
    }
}

/// A complete small file at a URL.
///
/// # Errors
/// Those of [`Transfer::start`]; damaged, if it has more than `most` bytes.
pub fn document(net: &Arc<Net>, url: &Url, most: u64) -> Result<Vec<u8>> {
    let transfer = Transfer::of_url(net, url, Expected::default())?;
    let mut data = Vec::new();
    let read = transfer.take(most + 1).read_to_end(&mut data);
    read.map_err(Failure::read)?;
    if data.len() as u64 > most {
        return Err(Failure::damaged(format_args!("refused {url}: larger than {most} bytes")));
    }
    Ok(data)
}

/// A value for If-Range: a strong ETag, or the date of the last change.
fn validator(head: &Head) -> Option<String> {
    let tag = head.one("etag").filter(|tag| tag.starts_with('"'));
    tag.or_else(|| head.one("last-modified")).map(str::to_owned)
}

/// `bytes 100-199/200`: the start of the part, and the length of the whole.
fn begin(range: &str) -> Option<(u64, Option<u64>)> {
    let (part, whole) = range.strip_prefix("bytes ")?.split_once('/')?;
    let (from, _) = part.split_once('-')?;
    Some((from.trim().parse().ok()?, whole.trim().parse().ok()))
}

/// The failure for a response without the file; `why` is the server's explanation.
pub fn refusal(head: &Head, url: &Url, why: Option<&str>) -> Option<Failure> {
    let kind = match head.status {
        200 | 206 => return None,
        401 | 403 | 407 => Kind::Denied,
        404 | 410 => Kind::NotFound,
        _ => Kind::Network,
    };
    let status = head.status;
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    // the phrase of RFC 9110; the server's own could be anything
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let reason = reason.unwrap_or_default();
    let failure = cannot_get(url, format_args!("the server answers {status} {reason}{why}"));
    Some(
        match head.one("retry-after") {
            Some(after) => failure.hint(format_args!(
                "it asks to come back after {after}{}; --timeout SECONDS waits longer",
                unit(after)
            )),
            None => failure,
        }
        .kind(kind),
    )
}

fn unit(after: &str) -> &'static str {
    if after.bytes().all(|byte| byte.is_ascii_digit()) { " s" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_says_where_it_begins() {
        assert_eq!(begin("bytes 100-199/200"), Some((100, Some(200))));
        assert_eq!(begin("bytes 0-1/*"), Some((0, None)));
        for wrong in ["", "bytes */200", "pages 1-2/3", "bytes x-2/3"] {
            assert_eq!(begin(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_weak_tag_tells_nothing() {
        let validator = |fields: &[(&str, &str)]| validator(&Head::of(200, fields));
        assert_eq!(validator(&[("etag", "\"x\"")]).as_deref(), Some("\"x\""));
        assert_eq!(validator(&[("etag", "W/\"x\"")]), None);
        assert_eq!(validator(&[("etag", "W/\"x\""), ("last-modified", "then")]).as_deref(), Some("then"));
    }
}

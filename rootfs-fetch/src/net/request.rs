//! A request, as the rest of the program writes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Method;
use reqwest::header::HeaderValue;

use crate::failure::{Failure, Result};
use crate::net::error::cannot_get;
use crate::net::url::Url;

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// GET, HEAD or POST.
    pub method: Method,
    /// The resource.
    pub url: Url,
    /// Header fields, added to those of every request.
    pub fields: Vec<(&'static str, String)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

impl Request {
    /// A request for a file.
    pub fn get(url: Url) -> Self {
        Self { method: Method::GET, url, fields: Vec::new(), body: Vec::new() }
    }

    /// The same, with another header field.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Converts it for reqwest.
    ///
    /// # Errors
    /// Network, for a field that HTTP cannot carry: a line break would start another one.
    pub fn build(&self) -> Result<reqwest::Request> {
        let mut request = reqwest::Request::new(self.method.clone(), self.url.target());
        for (name, value) in &self.fields {
            let wrong = |_| -> Failure {
                cannot_get(&self.url, format_args!("the field {name} would have control characters"))
            };
            request.headers_mut().append(*name, HeaderValue::from_str(value).map_err(wrong)?);
        }
        if !self.body.is_empty() {
            *request.body_mut() = Some(self.body.clone().into());
        }
        Ok(request)
    }
}

/// `Basic …`, RFC 7617.
pub fn basic(user_and_password: &str) -> String {
    format!("Basic {}", BASE64.encode(user_and_password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_no_field_that_was_not_meant() {
        let get = || Request::get("http://me:secret@h:81/a?b".parse().expect("a URL"));
        let request = get().with("Accept", "x").build().expect("a request");
        assert_eq!(request.url().as_str(), "http://h:81/a?b");
        assert_eq!(request.headers().len(), 1);
        let twice = get().with("Accept", "x").with("Accept", "y").build().expect("a request");
        assert_eq!(twice.headers().get_all("accept").iter().count(), 2);
        assert!(get().with("Accept", "x\r\nEvil: y").build().is_err());
    }

    #[test]
    fn a_name_and_password_are_encoded() {
        assert_eq!(basic("Aladdin:open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }
}

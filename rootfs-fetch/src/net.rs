//! HTTP for fetching files, by reqwest, behind blocking readers.
//!
//! [`client::Net`] sends requests, follows redirects and retries; [`transfer::Transfer`] resumes a file after
//! a broken connection; [`response::Response`] is a reader with time limits. We follow redirects by our own
//! rules, so that credentials for one server never reach another, and no server leads to this machine. The C
//! library's resolver is never called: in a static program it would load the host's modules. Async code is
//! only in this module.

pub mod addresses;
pub mod client;
pub mod error;
pub mod host_tls;
pub mod origin;
pub mod proxy;
pub mod request;
pub mod resolve;
pub mod response;
pub mod retry;
pub mod runtime;
#[cfg(test)]
mod tests;
pub mod tls;
pub mod transfer;
pub mod url;

// SPDX-License-Identifier: MIT OR Apache-2.0
//! HTTP, as much of it as it takes to fetch files: requests on connections that are watched.
//!
//! A request goes name → address → TCP → TLS → answer → body, and each of these ends in
//! time: [`connect::Watched`] sits under TLS and sees a server that is silent or drips.
//! Redirects are followed by hand, so that what is said to one host is not said to
//! another; the C library's resolver is never called, for in a static program it would
//! load modules of the host's.

pub mod body;
pub mod client;
pub mod connect;
pub mod http;
pub mod origin;
pub mod proxy;
pub mod resolve;
pub mod retry;
pub mod tls;
pub mod transfer;
pub mod url;

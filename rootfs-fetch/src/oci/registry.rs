//! Registries: images over HTTP, each part asked for by its digest.
//!
//! # Source
//! OCI distribution-spec v1.1; docker's token authentication.

pub mod challenge;
pub mod credentials;
pub mod download;
pub mod mirrors;
pub mod repository;
pub mod session;

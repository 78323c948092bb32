//! Registries: images over HTTP, each part requested by its digest.
//!
//! # Source
//! OCI distribution-spec v1.1; docker's token authentication.

pub mod challenge;
pub mod credentials;
pub mod download;
pub mod mirrors;
pub mod repository;
pub mod session;

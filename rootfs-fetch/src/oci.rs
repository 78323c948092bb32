//! Container images: in a registry, in an image layout, in a `docker save` archive.

pub mod cache;
pub mod choice;
pub mod docker_archive;
pub mod image;
pub mod layout;
pub mod manifest;
pub mod model;
pub mod platform;
pub mod reference;
pub mod registry;

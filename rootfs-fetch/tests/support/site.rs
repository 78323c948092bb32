// SPDX-License-Identifier: MIT OR Apache-2.0
//! A server with files, archives to put on it, and the tool as its client.

use rootfs_fetch::digest::Digest;
use serde_json::json;

use super::scratch::feed;
use super::{As, Outcome, Scratch, Server, Tar, answer};

/// Paths on a server and what is there.
pub type Files = Vec<(String, Vec<u8>)>;

pub fn run(scratch: &Scratch, args: &[&str]) -> Outcome {
    let mut command = scratch.command(As::Caller);
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command.env("HOME", scratch.path("home")).args(args);
    feed(command, b"")
}

pub fn serve(files: Files) -> Server {
    Server::start(move |head| {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let found = files.iter().find(|(known, _)| format!("/{known}") == path);
        Some(found.map_or_else(|| answer("404 No", "", b"no"), |(_, data)| answer("200 OK", "", data)))
    })
}

/// A root archive whose note says which it is.
pub fn archive(note: &str) -> Vec<u8> {
    Tar::new().dir("etc", 0o755).file("etc/note", note.as_bytes()).end()
}

pub fn sha256(data: &[u8]) -> String {
    Digest::of(data).hex()
}

pub fn file(path: &str, data: impl Into<Vec<u8>>) -> (String, Vec<u8>) {
    (path.to_string(), data.into())
}

/// An image in the form of OCI whose one layer is an archive.
pub fn oci_archive(note: &str) -> Vec<u8> {
    let layer = archive(note);
    let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [Digest::of(&layer).to_string()]}});
    let config = config.to_string().into_bytes();
    let describe = |data: &[u8], kind: &str| json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": Digest::of(data).to_string(), "size": data.len()});
    let manifest = json!({"schemaVersion": 2, "config": describe(&config, "config.v1+json"), "layers": [describe(&layer, "layer.v1.tar")]});
    let manifest = manifest.to_string().into_bytes();
    let index =
        json!({"schemaVersion": 2, "manifests": [describe(&manifest, "manifest.v1+json")]}).to_string();
    let mut tar = Tar::new().file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    tar = tar.file("index.json", index.as_bytes());
    for part in [&layer, &config, &manifest] {
        tar = tar.file(Digest::of(part).blob(), part);
    }
    tar.end()
}

//! A server with files, archives to serve, and the tool as its client.

use serde_json::json;

use super::{As, Outcome, Scratch, feed};
use crate::layout::{hex, media};
use crate::server::{Server, answer};
use crate::tar::Tar;

/// Paths on a server and what is there.
pub type Files = Vec<(String, Vec<u8>)>;

/// Runs the tool without the proxies of the caller.
pub fn run(scratch: &Scratch, args: &[&str]) -> Outcome {
    let mut command = scratch.command(As::Caller);
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command.env("HOME", scratch.path("home")).args(args);
    feed(command, b"")
}

/// A server that has these files.
pub fn serve(files: Files) -> Server {
    Server::bytes(move |head| {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let found = files.iter().find(|(known, _)| format!("/{known}") == path);
        Some(found.map_or_else(|| answer("404 No", "", b"no"), |(_, data)| answer("200 OK", "", data)))
    })
}

/// A root archive, recognisable by its note.
pub fn archive(note: &str) -> Vec<u8> {
    Tar::new().dir("etc", 0o755).file("etc/note", note.as_bytes()).end()
}

/// A file to serve.
pub fn file(path: &str, data: impl Into<Vec<u8>>) -> (String, Vec<u8>) {
    (path.to_string(), data.into())
}

/// An archive of an OCI layout; its only layer is an archive with this note.
pub fn oci_archive(note: &str) -> Vec<u8> {
    let layer = archive(note);
    let describe = |data: &[u8], kind: &str| json!({"mediaType": kind, "digest": format!("sha256:{}", hex(data)), "size": data.len()});
    let rootfs = json!({"type": "layers", "diff_ids": [format!("sha256:{}", hex(&layer))]});
    let config = json!({"os": "linux", "architecture": "amd64", "rootfs": rootfs}).to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "config": describe(&config, media::CONFIG),
        "layers": [describe(&layer, media::LAYER)],
    });
    let manifest = manifest.to_string().into_bytes();
    let index = json!({"schemaVersion": 2, "manifests": [describe(&manifest, media::MANIFEST)]}).to_string();
    let mut tar = Tar::new().file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    tar = tar.file("index.json", index.as_bytes());
    for part in [&layer, &config, &manifest] {
        tar = tar.file(format!("blobs/sha256/{}", hex(part)), part);
    }
    tar.end()
}

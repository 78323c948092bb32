//! An image, and the responses of a well-behaved registry for it: distribution-spec.

use std::collections::BTreeMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::{Answer, Request};
use crate::layout::{hex, media};
use crate::tar::Tar;

/// An image in memory, with one or more layers.
#[derive(Clone, Debug, Default)]
pub struct Image {
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, (Vec<u8>, String)>,
    layers: Vec<Value>,
    contents: Vec<String>,
}

impl Image {
    /// An image of one layer: `etc/motd`, and a file of `size` bytes that do not compress.
    pub fn new(size: usize) -> Self {
        let archive = Tar::new().dir("etc/", 0o755).file("etc/motd", b"hello\n");
        Self::default().with(&archive.file("noise", &noise(size)).end()).finished()
    }

    /// Adds a layer, compressed with gzip.
    pub fn with(mut self, archive: &[u8]) -> Self {
        let packed = gzip(archive);
        let descriptor = self.blob(&packed, &format!("{}+gzip", media::LAYER));
        self.contents.push(format!("sha256:{}", hex(archive)));
        self.layers.push(descriptor);
        self
    }

    /// Adds its manifest, with the tag `latest`.
    pub fn finished(self) -> Self {
        let layers = json!(self.layers);
        self.with_layers(&layers)
    }

    /// The same, with a manifest that lists these layers.
    pub fn with_layers(mut self, layers: &Value) -> Self {
        let rootfs = json!({"type": "layers", "diff_ids": self.contents});
        let config = json!({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs});
        let config = self.blob(config.to_string().as_bytes(), media::CONFIG);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media::MANIFEST, "config": config, "layers": layers,
        });
        self.manifest("latest", manifest.to_string().as_bytes(), media::MANIFEST);
        self
    }

    /// Keeps bytes, and returns their descriptor.
    pub fn blob(&mut self, data: &[u8], media_type: &str) -> Value {
        let digest = format!("sha256:{}", hex(data));
        self.blobs.insert(digest.clone(), data.to_vec());
        json!({"mediaType": media_type, "digest": digest, "size": data.len()})
    }

    /// Answers for this manifest under this tag and under its digest.
    pub fn manifest(&mut self, tag: &str, data: &[u8], media_type: &str) -> Value {
        let digest = format!("sha256:{}", hex(data));
        for name in [tag, &digest] {
            self.manifests.insert(name.to_string(), (data.to_vec(), media_type.to_string()));
        }
        json!({"mediaType": media_type, "digest": digest, "size": data.len()})
    }

    /// The descriptor of a layer.
    pub fn layer(&self, number: usize) -> &Value {
        &self.layers[number]
    }

    /// The bytes of a layer.
    pub fn packed(&self, number: usize) -> &[u8] {
        self.blobs[self.layers[number]["digest"].as_str().expect("a digest")].as_slice()
    }

    /// The path of a layer: `/v2/it/blobs/sha256:…`.
    pub fn path(&self, number: usize) -> String {
        format!("/v2/it/blobs/{}", self.layers[number]["digest"].as_str().expect("a digest"))
    }

    /// The response to any request for the image `it`.
    pub fn answer(&self, request: &Request) -> Answer {
        let unknown = |code| Answer::error(404, code, "there is no such thing");
        if request.path() == "/v2/" {
            return Answer::ok("{}");
        }
        let Some(rest) = request.path().strip_prefix("/v2/it/") else { return unknown("NAME_UNKNOWN") };
        match rest.split_once('/') {
            Some(("manifests", name)) => match self.manifests.get(name) {
                Some((data, media_type)) => {
                    let digest = format!("sha256:{}", hex(data));
                    let answer = Answer::ok(data.as_slice()).header("Content-Type", media_type);
                    answer.header("Docker-Content-Digest", digest)
                }
                None => unknown("MANIFEST_UNKNOWN"),
            },
            Some(("blobs", digest)) => match self.blobs.get(digest) {
                Some(data) => part(data, request),
                None => unknown("BLOB_UNKNOWN"),
            },
            _ => unknown("UNSUPPORTED"),
        }
    }
}

/// All bytes, or those from the requested offset on.
fn part(data: &[u8], request: &Request) -> Answer {
    let answer = Answer::ok(data).header("Content-Type", "application/octet-stream");
    match request.from() {
        None => answer.header("Accept-Ranges", "bytes"),
        Some(from) if from < data.len() => {
            let range = format!("bytes {from}-{}/{}", data.len() - 1, data.len());
            Answer::new(206).body(&data[from..]).header("Content-Range", range)
        }
        Some(_) => Answer::new(416),
    }
}

/// gzip(1), in memory.
pub fn gzip(data: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(data).expect("a Vec takes all");
    packer.finish().expect("a Vec takes all")
}

/// Bytes that do not compress, always the same: a xorshift generator.
pub fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(size);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Image layouts made by hand, so that they can be wrong in any way.

use std::fs;
use std::path::PathBuf;

use rootfs_fetch::digest::Digest;
use serde_json::{Value, json};

use super::{As, Scratch};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// An image layout that grows in a directory.
pub struct Layout(pub PathBuf);

impl Layout {
    pub fn new(directory: PathBuf) -> Self {
        fs::create_dir_all(directory.join("blobs/sha256")).unwrap();
        fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self(directory)
    }

    pub fn blob(&self, data: &[u8], media_type: &str) -> Value {
        let digest = Digest::of(data);
        fs::write(self.0.join(digest.blob()), data).unwrap();
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": data.len()})
    }

    pub fn json(&self, value: &Value, media_type: &str) -> Value {
        self.blob(value.to_string().as_bytes(), media_type)
    }

    pub fn image(&self, layers: &[Vec<u8>]) -> Value {
        let layers: Vec<Value> = layers.iter().map(|layer| self.blob(layer, LAYER)).collect();
        self.manifest(&json!(layers))
    }

    pub fn manifest(&self, layers: &Value) -> Value {
        let config = self.json(&json!({"architecture": "amd64", "os": "linux"}), CONFIG);
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        self.json(&manifest, MANIFEST)
    }

    pub fn index(&self, manifests: &[Value]) {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        fs::write(self.0.join("index.json"), index.to_string()).unwrap();
    }
}

pub fn with(mut descriptor: Value, key: &str, value: Value) -> Value {
    descriptor[key] = value;
    descriptor
}

pub fn tagged(descriptor: Value, tag: &str) -> Value {
    with(descriptor, "annotations", json!({"org.opencontainers.image.ref.name": tag}))
}

pub fn for_platform(descriptor: Value, architecture: &str) -> Value {
    with(descriptor, "platform", json!({"os": "linux", "architecture": architecture}))
}

/// Makes an image that must be refused, with this code and line, leaving nothing.
pub fn refused(prepare: impl Fn(&Layout), code: i32, line: &str) {
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.work().join("image"));
    prepare(&layout);
    let outcome = scratch.feed(As::Caller, b"", &["oci:image", "root"]);
    assert_eq!(outcome.code, Some(code), "{outcome:?}");
    assert!(outcome.stderr.contains(line), "{outcome:?}");
    assert_eq!(scratch.left(), ["image"]);
}

/// Runs a script in `work/`.
pub fn shell(scratch: &Scratch, script: &str) {
    let output =
        std::process::Command::new("sh").args(["-c", script]).current_dir(scratch.work()).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The contents of a file.
pub fn text(path: PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

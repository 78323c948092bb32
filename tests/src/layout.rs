//! Images in an OCI layout, created byte by byte: image-spec's image-layout.md.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::run::Run;

/// The media types of the parts of an image.
pub mod media {
    /// An index of images.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// An image.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// A configuration.
    pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// A layer, without a suffix or with `+gzip` or `+zstd`.
    pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
}

/// The compression of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// By gzip(1).
    Gzip,
    /// By zstd(1).
    Zstd,
}

/// A layer: the stored blob, and the digest of the archive in it.
#[derive(Clone, Debug)]
pub struct Layer {
    descriptor: Value,
    content: String,
}

/// A layout in a directory, to which images can be added.
#[derive(Clone, Debug)]
pub struct Layout(PathBuf);

impl Layout {
    /// An empty layout in a new directory.
    pub fn new(directory: PathBuf) -> Self {
        fs::create_dir_all(directory.join("blobs/sha256")).expect("a directory of blobs");
        fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("its mark");
        let layout = Self(directory);
        layout.write_index(&[]);
        layout
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Stores bytes, and returns their descriptor.
    pub fn blob(&self, data: &[u8], media_type: &str) -> Value {
        let digest = hex(data);
        fs::write(self.0.join("blobs/sha256").join(&digest), data).expect("a blob");
        json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": data.len()})
    }

    /// Stores a layer.
    #[track_caller]
    pub fn layer(&self, archive: &[u8], packing: Packing) -> Layer {
        let (words, media_type) = match packing {
            Packing::Gzip => (["gzip", "-nc"], "+gzip"),
            Packing::Zstd => (["zstd", "-qc"], "+zstd"),
        };
        let [program, options] = words;
        let packed = Run::new(program).arg(options).stdin(archive).end();
        assert!(!packed.stdout.is_empty(), "{program}: {}", packed.err());
        let descriptor = self.blob(&packed.stdout, &format!("{}{media_type}", media::LAYER));
        Layer { descriptor, content: format!("sha256:{}", hex(archive)) }
    }

    /// Stores a layer with a file `zeros` of `size` zeros, without ever holding it in memory.
    #[track_caller]
    pub fn layer_of_zeros(&self, size: u64) -> Layer {
        let folder = self.0.join("work");
        fs::create_dir(&folder).expect("a directory");
        File::create(folder.join("zeros")).and_then(|file| file.set_len(size)).expect("a file of holes");
        let script = "set -e; tar -cf - zeros | tee archive.tar | gzip -1n > packed; \
            sha256sum < archive.tar; sha256sum < packed; stat -c %s packed";
        let sums = Run::new("bash").args(["-o", "pipefail", "-c", script]);
        let sums = sums.with(|bash| {
            bash.current_dir(&folder);
        });
        let said = sums.patience(std::time::Duration::from_secs(120)).end().ok();
        let mut words = said.split_whitespace().filter(|word| *word != "-");
        let mut word = || words.next().expect("two digests and a size").to_string();
        let (content, stored, length) = (word(), word(), word());
        fs::rename(folder.join("packed"), self.0.join("blobs/sha256").join(&stored)).expect("the blob");
        fs::remove_dir_all(folder).expect("its directory");
        let length: u64 = length.parse().expect("a size");
        let media_type = format!("{}+gzip", media::LAYER);
        Layer {
            descriptor: json!({"mediaType": media_type, "digest": format!("sha256:{stored}"), "size": length}),
            content: format!("sha256:{content}"),
        }
    }

    /// Stores an image with these archives as uncompressed layers.
    pub fn image_of(&self, archives: &[Vec<u8>]) -> Value {
        let layers: Vec<Value> = archives.iter().map(|archive| self.blob(archive, media::LAYER)).collect();
        self.manifest(&json!(layers))
    }

    /// Stores a manifest with these layers, valid or not.
    pub fn manifest(&self, layers: &Value) -> Value {
        let config = self.json(&json!({"architecture": "amd64", "os": "linux"}), media::CONFIG);
        let manifest =
            json!({"schemaVersion": 2, "mediaType": media::MANIFEST, "config": config, "layers": layers});
        self.json(&manifest, media::MANIFEST)
    }

    /// Stores an image with layers for one architecture, and returns its descriptor.
    pub fn image(&self, layers: &[Layer], architecture: &str) -> Value {
        let config = json!({
            "Env": ["PATH=/bin", "GREETING=hello there"],
            "Cmd": ["/bin/sh", "-c", "echo \"$GREETING\""],
            "WorkingDir": "/tmp",
        });
        self.image_that_runs(layers, architecture, &config)
    }

    /// The same, with a configuration of how to run it.
    pub fn image_that_runs(&self, layers: &[Layer], architecture: &str, run: &Value) -> Value {
        let contents: Vec<&String> = layers.iter().map(|layer| &layer.content).collect();
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": run,
            "rootfs": {"type": "layers", "diff_ids": contents},
        });
        let stored: Vec<&Value> = layers.iter().map(|layer| &layer.descriptor).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media::MANIFEST,
            "config": self.json(&config, media::CONFIG),
            "layers": stored,
        });
        for_platform(self.json(&manifest, media::MANIFEST), architecture)
    }

    /// Stores an index of images.
    pub fn index(&self, images: &[Value]) -> Value {
        let index = json!({"schemaVersion": 2, "mediaType": media::INDEX, "manifests": images});
        self.json(&index, media::INDEX)
    }

    /// Gives an image a name.
    pub fn tag(&self, descriptor: Value, tag: &str) {
        let text = fs::read(self.0.join("index.json")).expect("the list of names");
        let index: Value = serde_json::from_slice(&text).expect("the list of names in JSON");
        let mut all = index["manifests"].as_array().cloned().unwrap_or_default();
        all.push(tagged(descriptor, tag));
        self.write_index(&all);
    }

    /// Stores a JSON document.
    pub fn json(&self, value: &Value, media_type: &str) -> Value {
        self.blob(value.to_string().as_bytes(), media_type)
    }

    /// Replaces the layout's index.
    pub fn write_index(&self, all: &[Value]) {
        let index = json!({"schemaVersion": 2, "mediaType": media::INDEX, "manifests": all});
        fs::write(self.0.join("index.json"), index.to_string()).expect("the list of names");
    }
}

/// A descriptor with another value in one field.
pub fn with(mut descriptor: Value, key: &str, value: Value) -> Value {
    descriptor[key] = value;
    descriptor
}

/// A descriptor with a tag.
pub fn tagged(descriptor: Value, tag: &str) -> Value {
    with(descriptor, "annotations", json!({"org.opencontainers.image.ref.name": tag}))
}

/// A descriptor of an image for one architecture.
pub fn for_platform(descriptor: Value, architecture: &str) -> Value {
    with(descriptor, "platform", json!({"os": "linux", "architecture": architecture}))
}

/// The SHA-256 of bytes, in hexadecimal.
pub fn hex(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The tree that `umoci raw unpack` creates from an image in a layout: the expected one.
///
/// # Errors
/// umoci's error output.
pub fn unpacked_by_umoci(layout: &Path, tag: &str, directory: &Path) -> io::Result<()> {
    let mut umoci = Command::new("umoci");
    umoci.args(["raw", "unpack", "--image"]).arg(format!("{}:{tag}", layout.display()));
    if !nix::unistd::geteuid().is_root() {
        umoci.arg("--rootless");
    }
    let done = umoci.arg(directory).stdin(Stdio::null()).output()?;
    if done.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&done.stderr).into_owned()))
}

//! The programs under test, found or built once.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The directory with the built programs.
#[derive(Debug)]
pub struct Tools {
    dir: PathBuf,
}

/// The programs in `CHAIN_TOOLS`, or else those of this workspace, built now in this test's profile.
#[track_caller]
pub fn tools() -> &'static Tools {
    static TOOLS: OnceLock<Tools> = OnceLock::new();
    TOOLS.get_or_init(|| match env::var_os("CHAIN_TOOLS") {
        Some(dir) => Tools { dir: dir.into() },
        None => Tools::build(),
    })
}

impl Tools {
    /// Their directory, for a PATH.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// unshare-rs.
    pub fn unshare(&self) -> PathBuf {
        self.program("unshare-rs")
    }

    /// cgexec-rs.
    pub fn cgexec(&self) -> PathBuf {
        self.program("cgexec-rs")
    }

    /// chroot-rs.
    pub fn chroot(&self) -> PathBuf {
        self.program("chroot-rs")
    }

    /// rootfs-fetch.
    pub fn fetch(&self) -> PathBuf {
        self.program("rootfs-fetch")
    }

    /// The program that prints what it received.
    pub fn report(&self) -> PathBuf {
        self.program("report")
    }

    /// The program that tries to get out of a root.
    pub fn escape(&self) -> PathBuf {
        self.program("escape")
    }

    /// The program that tries each way out of a container.
    pub fn ways_out(&self) -> PathBuf {
        self.program("ways_out")
    }

    /// The program that asks the filters of system calls.
    pub fn decisions(&self) -> PathBuf {
        self.program("decisions")
    }

    fn program(&self, name: &str) -> PathBuf {
        let path = self.dir.join(name);
        assert!(path.is_file(), "{} is not built: cargo build --workspace --bins", path.display());
        path
    }

    /// Test programs are in `target/TARGET/PROFILE/deps`, the tools one directory above.
    fn build() -> Self {
        let test = env::current_exe().expect("the path of this test program");
        let dir = test.ancestors().nth(2).map(Path::to_path_buf).expect("a folder above deps");
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
        // cargo calls the folder of its dev profile debug
        let profile = match dir.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(profile) => profile,
        };
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--quiet", "--workspace", "--bins", "--profile", profile, "--manifest-path"])
            .arg(manifest)
            .status()
            .expect("cargo, or CHAIN_TOOLS with the folder of the built tools");
        assert!(built.success(), "the tools did not build");
        Self { dir }
    }
}

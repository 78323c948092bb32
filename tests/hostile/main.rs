//! rootfs-fetch against servers that lie, break off, are slow or never end: it reports the right error, in
//! time, and leaves nothing. It retries what only goes wrong once.

mod bodies;
mod manifests;
mod manners;
mod secrets;
mod signatures;
mod trust;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tests::layout::hex;
use tests::server::{Answer, Image, Request, Server};
use tests::{End, Ended, Run, Scratch, tools};

/// The time limit for a fetch without slow servers.
const SOON: Duration = Duration::from_secs(15);

/// A directory to fetch into, with a separate cache and temporary directory.
struct Client {
    scratch: Scratch,
}

impl Client {
    fn new() -> Self {
        let scratch = Scratch::new();
        for name in ["work", "cache", "tmp", "home"] {
            fs::create_dir(scratch.path(name)).unwrap();
        }
        Self { scratch }
    }

    fn run(&self) -> Run {
        let run = Run::new(tools().fetch()).env("XDG_CACHE_HOME", self.scratch.path("cache"));
        let run = run.env("TMPDIR", self.scratch.path("tmp")).env("HOME", self.scratch.path("home"));
        run.with(|run| {
            run.env_remove("XDG_RUNTIME_DIR").env_remove("DOCKER_CONFIG").env_remove("REGISTRY_AUTH_FILE");
        })
    }

    /// Fetches the image `it` from a server.
    fn fetch(&self, server: &Server, args: &[&str]) -> Ended {
        let source = format!("docker://{}/it", server.address());
        self.run().args(args).arg(source).arg(self.tree()).patience(3 * SOON).end()
    }

    /// Asserts that the fetch fails with this status, soon, and leaves nothing. Returns its output.
    #[track_caller]
    fn refused(&self, server: &Server, args: &[&str], status: i32) -> String {
        self.refused_within(SOON, server, args, status)
    }

    #[track_caller]
    fn refused_within(&self, bound: Duration, server: &Server, args: &[&str], status: i32) -> String {
        let started = Instant::now();
        let ended = self.fetch(server, args).ended(End::Exit(status));
        let took = started.elapsed();
        assert!(took < bound, "it took {} s: {}", took.as_secs(), ended.err());
        self.nothing_left();
        let lines: Vec<String> = ended.err().lines().map(str::to_string).collect();
        let told = lines.iter().filter(|line| !line.starts_with("rootfs-fetch: hint: ")).count();
        assert_eq!(told, 1, "one line says what is wrong: {}", ended.err());
        ended.err()
    }

    /// Asserts that the fetch succeeds, and that the tree is that of [`Image::new`].
    #[track_caller]
    fn fetched(&self, server: &Server, args: &[&str]) -> Ended {
        let ended = self.fetch(server, args).ended(End::Exit(0));
        assert_eq!(fs::read_to_string(self.tree().join("etc/motd")).unwrap(), "hello\n");
        ended
    }

    fn tree(&self) -> PathBuf {
        self.scratch.path("work/tree")
    }

    /// Asserts that nothing is left but the cache, and that all files in it match their names.
    #[track_caller]
    fn nothing_left(&self) {
        for name in ["work", "tmp", "home"] {
            let left: Vec<PathBuf> = files(&self.scratch.path(name));
            assert!(left.is_empty(), "left in {name}: {left:?}");
        }
        for file in files(&self.scratch.path("cache")) {
            let data = fs::read(&file).unwrap();
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            assert!(data.is_empty() || name == hex(&data), "left in the cache: {}", file.display());
        }
    }
}

/// The files below a directory, and its empty directories.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// A server for an image; `layer` answers requests for its layer, all other responses are correct.
fn with_layer(image: &Image, layer: impl Fn(&Image, &Request) -> Answer + Send + Sync + 'static) -> Server {
    let image = image.clone();
    let path = image.path(0);
    Server::start(
        move |request| {
            if request.path() == path { layer(&image, request) } else { image.answer(request) }
        },
    )
}

/// The number of requests that the server got.
fn count(server: &Server) -> usize {
    server.requests().len()
}

#[test]
fn a_server_that_means_well_is_understood() {
    let image = Image::new(100_000);
    let server = Server::start(move |request| image.answer(request));
    let client = Client::new();
    client.fetched(&server, &[]);
    let asked = server.requests();
    let manifest = asked.iter().find(|request| request.path().contains("/manifests/")).unwrap();
    let accepted = manifest.headers.iter().filter(|(name, _)| name == "accept");
    let accepted: Vec<&str> = accepted.map(|(_, kind)| kind.as_str()).collect();
    for kind in [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ] {
        // each in a field of its own
        assert!(accepted.contains(&kind), "{accepted:?}");
    }
    for request in &asked {
        assert_eq!(request.header("host"), Some(server.address().as_str()), "{request:?}");
        assert_eq!(request.header("authorization"), None, "{request:?}");
        assert!(request.header("user-agent").is_some(), "{request:?}");
    }
}

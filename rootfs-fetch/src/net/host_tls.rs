//! Settings for one server: authorities and a client certificate in `certs.d`, as in docker and podman, and
//! `--insecure-registry` with `--insecure-tls`.
//!
//! # Source
//! containers-certs.d(5); docker's "Verify repository client with certificates".

use std::path::{Path, PathBuf};

use chain::reporter::quoted;

use crate::failure::{Failure, Result};
use crate::net::origin::Origin;

/// The system's directories; the first one with an entry for the server is used.
const SYSTEM: [&str; 2] = ["/etc/containers/certs.d", "/etc/docker/certs.d"];

/// The files for one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFiles {
    /// `*.crt`: certificate authorities to trust for it.
    pub authorities: Vec<PathBuf>,
    /// `NAME.cert` and `NAME.key`: the client certificate, if it asks for one.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl HostFiles {
    /// The files for a server: from the user's directory, or else from the system's.
    ///
    /// # Errors
    /// An unreadable directory, or a client certificate without its key.
    pub fn find(origin: &Origin) -> Result<Self> {
        let config = std::env::var_os("XDG_CONFIG_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
        let home = std::env::var_os("HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
        let config = config.or_else(|| home.map(|home| home.join(".config")));
        let own = config.into_iter().flat_map(|config| {
            ["containers/certs.d", "docker/certs.d"].map(|directory| config.join(directory))
        });
        Self::find_in(origin, own.chain(SYSTEM.map(PathBuf::from)))
    }

    fn find_in(origin: &Origin, directories: impl IntoIterator<Item = PathBuf>) -> Result<Self> {
        // such a name is not the name of a directory
        if origin.host.starts_with('.') || origin.host.contains('/') {
            return Ok(Self::default());
        }
        let names = [origin.authority_with_port(), origin.authority()];
        for directory in directories {
            for directory in names.iter().map(|name| directory.join(name)) {
                if directory.is_dir() {
                    return Self::read(&directory);
                }
            }
        }
        Ok(Self::default())
    }

    fn read(directory: &Path) -> Result<Self> {
        let entries = std::fs::read_dir(directory).map_err(|error| {
            Failure::call("read the certificates", format_args!("open({})", quoted(directory)), error)
        })?;
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let mut files = Self::default();
        for path in paths {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => files.authorities.push(path),
                Some("cert") => {
                    let key = path.with_extension("key");
                    if !key.exists() {
                        let line = format_args!("{} has no key beside it: {}", quoted(&path), quoted(&key));
                        return Err(Failure::damaged(line));
                    }
                    // of several, the last one, as in docker
                    files.client = Some((path, key));
                }
                _ => {}
            }
        }
        Ok(files)
    }

    /// Whether there are no files for the server.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::url::Url;

    #[test]
    fn a_server_has_its_own_directory_by_name_and_port() {
        let top = std::env::temp_dir().join(format!("rootfs-fetch-certs-{}", std::process::id()));
        let write = |name: &str| {
            let path = top.join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(path, "").expect("a file");
        };
        let client = ["h:5000/client.cert", "h:5000/client.key"];
        ["h:5000/ca.crt", "h/a.crt", "h/b.txt", "alone/x.cert"]
            .iter()
            .chain(&client)
            .for_each(|name| write(name));
        let find = |authority: &str| {
            let url: Url = format!("https://{authority}/").parse().expect("a URL");
            HostFiles::find_in(&url.origin, [top.join("none"), top.clone()])
        };
        let files = find("h:5000").expect("files");
        assert_eq!(files.authorities, [top.join("h:5000/ca.crt")]);
        assert_eq!(files.client, Some((top.join("h:5000/client.cert"), top.join("h:5000/client.key"))));
        assert_eq!(find("h").expect("files").authorities, [top.join("h/a.crt")]);
        assert_eq!(find("h:443").expect("files").authorities, [top.join("h/a.crt")]);
        for none in ["h:5001", "other"] {
            assert!(find(none).expect("none").is_empty(), "{none}");
        }
        assert!(find("alone").expect_err("no key").to_string().contains("has no key beside it"));
        std::fs::remove_dir_all(top).expect("it goes");
    }

    #[test]
    fn a_host_that_is_a_path_has_no_directory() {
        let top = std::env::temp_dir().join(format!("rootfs-fetch-paths-{}", std::process::id()));
        let inside = top.join("certs.d/x");
        std::fs::create_dir_all(&inside).expect("a directory");
        for directory in [&top, &top.join("certs.d"), &inside] {
            std::fs::write(directory.join("ca.crt"), "").expect("a file");
        }
        for host in ["..", ".", "../certs.d/x", "x/..", "/", "x/"] {
            let url: Url = "https://h/".parse().expect("a URL");
            let origin = Origin { host: host.into(), ..url.origin };
            let found = HostFiles::find_in(&origin, [top.join("certs.d")]).expect("nothing");
            assert!(found.is_empty(), "{host}: {found:?}");
        }
        std::fs::remove_dir_all(top).expect("it goes");
    }
}

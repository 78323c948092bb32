//! Hints for an operand that is neither a file nor a transport.

use std::path::Path;

use crate::oci::reference::Reference;
use crate::source::distro::table;
use crate::source::spelling::nearest;

const ARCHIVES: [&str; 8] = [".tar", ".gz", ".tgz", ".xz", ".zst", ".bz2", ".lz4", ".txz"];
/// The transports that end with a colon; docker's ends with `://`.
pub const TRANSPORTS: [&str; 5] = ["distro", "host", "oci", "oci-archive", "docker-archive"];

const A_URL: &str = "a URL must begin with https:// or http://";

/// A hint for a path that does not exist.
pub fn suggestion(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    if let Some((scheme, rest)) = text.split_once("://") {
        return scheme_of(&scheme.to_ascii_lowercase(), rest);
    }
    if let Some(hint) = of_another_tool(text) {
        return Some(hint);
    }
    if text.split_once(':').is_some_and(|(scheme, _)| matches!(scheme, "http" | "https")) {
        return Some(A_URL.into());
    }
    if text.starts_with(['.', '/']) || ARCHIVES.iter().any(|end| text.ends_with(end)) {
        return None;
    }
    if let Some((word, rest)) = text.split_once(':') {
        if matches!(word, "docker.io" | "registry") || nearest(word, ["docker"].into_iter()).is_some() {
            return image(rest.trim_start_matches('/'));
        }
        if let Some(near) = nearest(word, TRANSPORTS.into_iter()) {
            return Some(format!("use '{near}:{rest}'"));
        }
    }
    let (name, release) = text.split_once(':').unwrap_or((text, ""));
    match nearest(name, table::all().iter().map(|known| known.name)) {
        Some(known) if release.is_empty() || release == "latest" => {
            Some(both(known, text.replacen(name, known, 1), ""))
        }
        Some(known) => Some(both(known, format!("{known}:{release}"), &format!(":{release}"))),
        None => image(text),
    }
}

/// Transports of containers-transports(5) that are not supported.
fn of_another_tool(text: &str) -> Option<String> {
    if text == "host" {
        return Some("use 'host:' for this machine's own programs".into());
    }
    let (transport, rest) = text.split_once(':').filter(|(_, rest)| !rest.is_empty())?;
    match transport {
        "docker-daemon" => Some(format!("use 'docker save {rest} | rootfs-fetch - DIRECTORY'")),
        "containers-storage" => Some(format!("use 'podman save {rest} | rootfs-fetch - DIRECTORY'")),
        "dir" => Some(format!("use 'skopeo copy {text} oci:IMAGE', then 'oci:IMAGE'")),
        _ => None,
    }
}

fn scheme_of(scheme: &str, rest: &str) -> Option<String> {
    match nearest(scheme, ["docker", "https", "http", "file"].into_iter()) {
        Some("docker") => image(rest),
        Some("file") => Some("use the path alone".into()),
        // the rest of a URL can contain a password
        Some(_) => Some(A_URL.into()),
        None => Some("for a remote source, use docker://NAME, https://URL or distro:NAME".into()),
    }
}

fn image(name: &str) -> Option<String> {
    name.parse::<Reference>().ok()?;
    Some(format!("for an image in a registry, use 'docker://{name}'"))
}

fn both(known: &str, image: String, release: &str) -> String {
    format!(
        "use 'docker://{image}' for an image in a registry, or 'distro:{known}{release}' for the distribution's own archive"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(path: &str) -> Option<String> {
        suggestion(Path::new(path))
    }

    #[test]
    fn a_name_of_an_image_is_told_from_a_path() {
        for (path, name) in [
            ("postgres", "postgres"),
            ("postgres:17", "postgres:17"),
            ("docker:a/b", "a/b"),
            ("docker:/a/b", "a/b"),
            ("dockr://x", "x"),
            ("DOCKER://x", "x"),
            ("dokcer:x", "x"),
            ("quay.io/a/b", "quay.io/a/b"),
            ("registry.example/x:1", "registry.example/x:1"),
            ("localhost:5000/x", "localhost:5000/x"),
        ] {
            assert_eq!(
                hint(path),
                Some(format!("for an image in a registry, use 'docker://{name}'")),
                "{path}"
            );
        }
        for path in ["./ubuntu", "/srv/x", "debian.tar.xz", "x.tar.lz4", "Debian Root"] {
            assert_eq!(hint(path), None, "{path}");
        }
    }

    #[test]
    fn a_distribution_may_be_an_image_or_an_archive() {
        for (path, image, archive) in [
            ("ubuntu", "ubuntu", "ubuntu"),
            ("ubuntu:24.04", "ubuntu:24.04", "ubuntu:24.04"),
            ("alpine:latest", "alpine:latest", "alpine"),
            ("ubunto", "ubuntu", "ubuntu"),
        ] {
            let said = hint(path).expect("a hint");
            assert!(said.starts_with(&format!("use 'docker://{image}' ")), "{said}");
            assert!(said.contains(&format!(" 'distro:{archive}' ")), "{said}");
        }
    }

    #[test]
    fn what_only_other_tools_read_is_said_how_to_get() {
        for (path, said) in [
            ("containers-storage:x:1", "use 'podman save x:1 | rootfs-fetch - DIRECTORY'"),
            ("docker-daemon:x:1", "use 'docker save x:1 | rootfs-fetch - DIRECTORY'"),
            ("dir:/x", "use 'skopeo copy dir:/x oci:IMAGE', then 'oci:IMAGE'"),
            ("host", "use 'host:' for this machine's own programs"),
        ] {
            assert_eq!(hint(path).as_deref(), Some(said), "{path}");
        }
    }

    #[test]
    fn a_transport_that_is_nearly_one_is_spelled() {
        assert_eq!(hint("distr:alpine").as_deref(), Some("use 'distro:alpine'"));
        assert_eq!(hint("hots:bash").as_deref(), Some("use 'host:bash'"));
        assert_eq!(hint("oci-archve:x:1").as_deref(), Some("use 'oci-archive:x:1'"));
        for url in ["htps://me:secret@h/x", "https:/h/x.tar", "http:h/x"] {
            assert_eq!(hint(url).as_deref(), Some("a URL must begin with https:// or http://"), "{url}");
        }
        assert_eq!(hint("file:///x.tar").as_deref(), Some("use the path alone"));
        assert_eq!(
            hint("s3://x/y").as_deref(),
            Some("for a remote source, use docker://NAME, https://URL or distro:NAME")
        );
    }
}

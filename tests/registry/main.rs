//! rootfs-fetch and a real registry: the result is that of other tools with the same image.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use images::{FORTY, ONE, PLATFORMS, ZSTD, images};
use tests::layout::unpacked_by_umoci;
use tests::registry::{Door, Registry};
use tests::tree::assert_same;
use tests::{End, Run, Scratch, tools};

mod images;
mod logins;

/// rootfs-fetch as a client of a registry, with a separate cache.
fn fetch(registry: &Registry, scratch: &Scratch) -> Run {
    let fetch = Run::new(tools().fetch()).env("REGISTRY_AUTH_FILE", registry.credentials());
    let fetch = fetch.env("XDG_CACHE_HOME", scratch.path("cache")).env("HOME", scratch.path("home"));
    let fetch = fetch.patience(Duration::from_secs(120));
    match registry.authority() {
        Some(authority) => fetch.arg("--cacert").arg(authority),
        None => fetch,
    }
}

/// The requests for layers and configurations.
fn blobs(requests: &[String]) -> Vec<&String> {
    requests.iter().filter(|request| request.starts_with("GET ") && request.contains("/blobs/")).collect()
}

/// The names below a directory.
fn names(directory: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<OsString> = entries.map(|entry| entry.file_name()).collect();
    names.sort();
    names
}

mod with_registry {
    use super::*;

    #[test]
    #[ignore = "needs umoci"]
    fn a_layout_becomes_the_tree_that_umoci_makes_of_it() {
        let scratch = Scratch::new();
        let layout = images(&scratch);
        for tag in [ONE, FORTY] {
            let (found, wanted) = (scratch.path(tag), scratch.path(format!("{tag}-by-umoci")));
            unpacked_by_umoci(layout.path(), tag, &wanted).expect("umoci unpacks it");
            let source = format!("oci:{}:{tag}", layout.path().display());
            Run::new(tools().fetch()).arg(source).arg(&found).end().ok();
            assert_same(&found, &wanted);
        }
    }

    #[test]
    #[ignore = "needs docker-registry, skopeo, umoci, openssl and htpasswd"]
    fn each_image_becomes_the_tree_that_umoci_makes_of_it() {
        let scratch = Scratch::new();
        let layout = images(&scratch);
        let registry = Registry::start(Door::Guarded);
        for (tag, like, options) in
            [(ONE, ONE, &[][..]), (FORTY, FORTY, &[]), (PLATFORMS, ONE, &["--all"]), (ZSTD, FORTY, &[])]
        {
            registry.push(layout.path(), tag, tag, options);
            let wanted = scratch.path(format!("{tag}-by-umoci"));
            unpacked_by_umoci(layout.path(), like, &wanted).expect("umoci unpacks it");
            let found = scratch.path(tag);
            fetch(&registry, &scratch).arg(registry.source(tag)).arg(&found).end().ok();
            assert_same(&found, &wanted);
        }
    }

    #[test]
    #[ignore = "needs docker-registry, skopeo, openssl and htpasswd"]
    fn an_image_in_dockers_own_format_is_the_same() {
        let scratch = Scratch::new();
        let layout = images(&scratch);
        let registry = Registry::start(Door::Open);
        registry.push(layout.path(), FORTY, "library/oci:1", &[]);
        registry.push(layout.path(), FORTY, "library/docker:1", &["--format", "v2s2"]);
        for name in ["oci", "docker"] {
            let source = registry.source(&format!("library/{name}:1"));
            fetch(&registry, &scratch).arg(source).arg(scratch.path(name)).end().ok();
        }
        assert_same(&scratch.path("docker"), &scratch.path("oci"));
    }

    #[test]
    #[ignore = "needs docker-registry, skopeo, openssl and htpasswd"]
    fn the_platform_that_is_asked_for_comes_and_the_others_are_told() {
        let scratch = Scratch::new();
        let layout = images(&scratch);
        let registry = Registry::start(Door::Open);
        registry.push(layout.path(), PLATFORMS, "it:1", &["--all"]);
        let source = registry.source("it:1");
        for architecture in ["amd64", "arm64", "s390x"] {
            let platform = format!("--platform=linux/{architecture}");
            let found = scratch.path(architecture);
            fetch(&registry, &scratch).arg(platform).arg(&source).arg(&found).end().ok();
            let name = fs::read_to_string(found.join("etc/architecture")).expect("a file of the image");
            assert_eq!(name, architecture);
        }
        let other = fetch(&registry, &scratch).arg("--platform=linux/mips").arg(&source);
        let ended = other.arg(scratch.path("other")).end().ended(End::Exit(3));
        assert!(
            ended.err().contains("linux/arm64") && ended.err().contains("linux/s390x"),
            "{}",
            ended.err()
        );
        assert!(!scratch.path("other").exists());
    }

    #[test]
    #[ignore = "needs docker-registry, skopeo, openssl and htpasswd"]
    fn a_second_fetch_of_an_image_asks_for_no_part_of_it() {
        let scratch = Scratch::new();
        let layout = images(&scratch);
        let registry = Registry::start(Door::Guarded);
        registry.push(layout.path(), FORTY, "it:1", &[]);
        let before = blobs(&registry.requests()).len();
        let source = registry.source("it:1");
        fetch(&registry, &scratch).arg(&source).arg(scratch.path("first")).end().ok();
        let first = blobs(&registry.requests()).len() - before;
        // forty layers and, if it is needed, the configuration
        assert!((40..=41).contains(&first), "{first} requests for parts: {:#?}", registry.requests());
        fetch(&registry, &scratch).arg(&source).arg(scratch.path("second")).end().ok();
        let second = blobs(&registry.requests()).len() - before - first;
        assert_eq!(second, 0, "{:#?}", registry.requests());
        assert_same(&scratch.path("second"), &scratch.path("first"));
    }

    #[test]
    #[ignore = "needs docker-registry, skopeo, openssl and htpasswd"]
    fn a_cache_that_was_tampered_with_is_noticed() {
        let scratch = Scratch::new();
        let layout = images(&scratch);
        let registry = Registry::start(Door::Open);
        registry.push(layout.path(), ONE, "it:1", &[]);
        let source = registry.source("it:1");
        fetch(&registry, &scratch).arg(&source).arg(scratch.path("first")).end().ok();
        let changed = change_each_file(&scratch.path("cache"));
        assert!(changed > 0, "nothing was kept");
        fetch(&registry, &scratch).arg(&source).arg(scratch.path("second")).end().ok();
        assert_same(&scratch.path("second"), &scratch.path("first"));
    }

    #[test]
    #[ignore = "needs docker-registry, skopeo, openssl and htpasswd"]
    fn of_two_fetches_at_once_the_killed_one_spoils_neither_the_other_nor_the_cache() {
        let scratch = Scratch::new();
        let layout = images(&scratch);
        let registry = Registry::start(Door::Guarded);
        registry.push(layout.path(), FORTY, "it:1", &[]);
        let source = registry.source("it:1");
        let (survivor, killed) = (scratch.path("survivor"), scratch.path("killed"));
        // at different moments of the work: the first ones have hardly begun
        for moment in [5, 20, 60, 150] {
            let first = fetch(&registry, &scratch).arg(&source).arg(&killed).start();
            let second = fetch(&registry, &scratch).arg(&source).arg(&survivor).start();
            std::thread::sleep(Duration::from_millis(moment));
            // it may already have ended
            let _ = nix::sys::signal::kill(first.pid(), nix::sys::signal::SIGKILL);
            first.end();
            second.end().ok();
            let third = scratch.path("third");
            fetch(&registry, &scratch).arg("--replace").arg(&source).arg(&third).end().ok();
            assert_same(&third, &survivor);
            let clear = "for each; do [ ! -e \"$each\" ] || chmod -R u+rwX \"$each\"; rm -rf \"$each\"; done";
            Run::new("sh").args(["-c", clear, "sh"]).args([&survivor, &killed]).end().ok();
            Run::new("rm").arg("-rf").arg(scratch.path("cache")).end().ok();
        }
        // and what the killed run left, the next run removes
        fetch(&registry, &scratch).arg(&source).arg(&killed).end().ok();
        let partial = |name: &OsString| name.to_string_lossy().starts_with("killed.");
        assert!(!names(&scratch.path("")).iter().any(partial), "{:?}", names(&scratch.path("")));
    }

    #[test]
    #[ignore = "needs docker-registry, skopeo, openssl and htpasswd"]
    fn nobody_gets_in_without_the_password() {
        let scratch = Scratch::new();
        let layout = images(&scratch);
        let registry = Registry::start(Door::Guarded);
        registry.push(layout.path(), ONE, "it:1", &[]);
        let wrong = scratch.path("wrong.json");
        let entry = tests::login::base64(b"somebody:guessed");
        let text = format!(r#"{{"auths": {{"{}": {{"auth": "{entry}"}}}}}}"#, registry.address());
        fs::write(&wrong, text).unwrap();
        fs::write(scratch.path("none.json"), "{}").unwrap();
        for file in ["none.json", "wrong.json"] {
            let run = fetch(&registry, &scratch).env("REGISTRY_AUTH_FILE", scratch.path(file));
            let ended = run.arg(registry.source("it:1")).arg(scratch.path("it")).end().ended(End::Exit(5));
            assert!(!ended.err().contains("guessed") && !ended.err().contains(&entry), "{}", ended.err());
            assert!(!scratch.path("it").exists());
        }
    }

    #[test]
    #[ignore = "needs docker-registry, skopeo, openssl and htpasswd"]
    fn a_certificate_of_nobody_is_refused_and_one_of_ones_own_is_taken_when_named() {
        let scratch = Scratch::new();
        let layout = images(&scratch);
        for door in [Door::Guarded, Door::SelfSigned] {
            let registry = Registry::start(door);
            registry.push(layout.path(), ONE, "it:1", &[]);
            let (source, found) = (registry.source("it:1"), scratch.path(format!("it-{door:?}")));
            let unnamed = Run::new(tools().fetch()).env("REGISTRY_AUTH_FILE", registry.credentials());
            let unnamed = unnamed.env("XDG_CACHE_HOME", scratch.path("cache")).arg(&source).arg(&found);
            unnamed.end().ended(End::Exit(6));
            assert!(!found.exists());
            fetch(&registry, &scratch).arg(&source).arg(&found).end().ok();
        }
    }

    #[test]
    #[ignore = "needs docker-registry, skopeo, openssl and htpasswd"]
    fn what_is_not_there_is_told_with_its_own_status() {
        let scratch = Scratch::new();
        let layout = images(&scratch);
        let registry = Registry::start(Door::Guarded);
        registry.push(layout.path(), ONE, "it:1", &[]);
        for name in ["it:2", "other", &format!("it@sha256:{}", "0".repeat(64))] {
            let ended = fetch(&registry, &scratch).arg(registry.source(name)).arg(scratch.path("it")).end();
            let ended = ended.ended(End::Exit(3));
            assert!(ended.err().contains(name.split([':', '@']).next().unwrap()), "{}", ended.err());
        }
        assert!(!scratch.path("it").exists());
    }

    #[test]
    #[ignore = "needs docker-registry, skopeo, openssl and htpasswd"]
    fn a_layer_of_a_gigabyte_of_holes_takes_no_memory() {
        let scratch = Scratch::new();
        let layout = images::gigabyte(&scratch);
        let registry = Registry::start(Door::Guarded);
        registry.push(layout.path(), "big", "big:1", &[]);
        let found = scratch.path("big");
        let script = "\"$@\" & pid=$!; most=0; while [ -e /proc/$pid/exe ] && \
            now=$(sed -n 's/^VmHWM:[[:space:]]*\\([0-9]*\\) kB$/\\1/p' /proc/$pid/status); do \
            [ \"${now:-0}\" -le $most ] || most=$now; sleep 0.02; done; wait $pid && echo $most";
        let authority = registry.authority().expect("a guarded door");
        let run =
            Run::new("sh").args(["-c", script, "sh"]).arg(tools().fetch()).arg("--cacert").arg(authority);
        let run = run.env("REGISTRY_AUTH_FILE", registry.credentials());
        let run = run.env("XDG_CACHE_HOME", scratch.path("cache")).patience(Duration::from_secs(300));
        let said = run.arg(registry.source("big:1")).arg(&found).end().ok();
        let kibibytes: u64 = said.trim().parse().expect("the highest VmHWM");
        assert!((1..48 * 1024).contains(&kibibytes), "{kibibytes} KiB");
        assert_eq!(fs::metadata(found.join("zeros")).expect("the file").len(), 1 << 30);
    }
}

/// Changes a byte in each file.
fn change_each_file(directory: &Path) -> usize {
    let mut changed = 0;
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            changed += change_each_file(&path);
        } else if let Ok(mut data) = fs::read(&path)
            && let Some(byte) = data.last_mut()
        {
            *byte ^= 0xff;
            fs::remove_file(&path).expect("removed");
            fs::write(&path, data).expect("written again");
            changed += 1;
        }
    }
    changed
}

//! Each format in which `docker login` and others store a login, with a registry that asks for passwords and
//! one that asks for tokens; and the same image by tag, digest and mirror.

use std::path::PathBuf;

use serde_json::{Value, json};
use tests::login::{PASSWORD, USER, base64, password};
use tests::token_server::{IDENTITY, TokenServer};

use super::*;

/// A directory for PATH with a credential helper, which records the servers that it is asked for.
fn helper(scratch: &Scratch, login: &Value) -> PathBuf {
    let bin = scratch.path("bin");
    fs::create_dir_all(&bin).unwrap();
    let script = format!("#!/bin/sh\ncat >>\"$0.asked\"\necho '{login}'\n");
    let path = bin.join("docker-credential-test");
    tests::scratch::write_script(&path, &script);
    bin
}

/// Fetches an image from a registry, with these logins as docker's `config.json`.
#[track_caller]
fn with_logins(registry: &Registry, scratch: &Scratch, logins: &Value, status: i32) {
    let config = scratch.path("docker");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("config.json"), logins.to_string()).unwrap();
    let path = format!("{}:{}", scratch.path("bin").display(), std::env::var("PATH").unwrap());
    let run = fetch(registry, scratch).env("DOCKER_CONFIG", config).env("PATH", path);
    let run = run.with(|run| {
        run.env_remove("REGISTRY_AUTH_FILE").env_remove("XDG_RUNTIME_DIR").env_remove("XDG_CONFIG_HOME");
    });
    let root = scratch.path("root");
    let ended = run.args(["--no-cache", "--replace"]).arg(registry.source("some/it:1")).arg(&root).end();
    assert_eq!(ended.end, End::Exit(status), "{logins}: {}", ended.err());
    assert_eq!(root.join("etc/architecture").exists(), status == 0, "{logins}");
    for secret in [PASSWORD, IDENTITY, &base64(password().as_bytes())] {
        assert!(!ended.err().contains(secret), "{}", ended.err());
    }
    let _ = fs::remove_dir_all(root);
}

mod with_registry {
    use super::*;

    #[test]
    #[ignore = "needs docker-registry, skopeo, openssl and htpasswd"]
    fn a_password_is_found_in_each_place_and_under_each_key() {
        let scratch = Scratch::new();
        let layout = images(&scratch);
        let registry = Registry::start(Door::Guarded);
        registry.push(layout.path(), ONE, "some/it:1", &[]);
        let at = registry.address();
        let auth = json!({ "auth": base64(password().as_bytes()) });
        for key in [
            at.to_string(),
            format!("https://{at}"),
            format!("http://{at}"),
            format!("https://{at}/v1/"),
            format!("{at}/v2/"),
            format!("{at}/some"),
            format!("{at}/some/it"),
        ] {
            with_logins(&registry, &scratch, &json!({ "auths": { &key: auth } }), 0);
        }
        let plain = json!({ "username": USER, "password": PASSWORD });
        with_logins(&registry, &scratch, &json!({ "auths": { at: plain } }), 0);
        for key in ["127.0.0.1".to_string(), format!("{at}/other"), format!("https://{at}.invalid")] {
            with_logins(&registry, &scratch, &json!({ "auths": { &key: auth } }), 5);
        }
        let bin = helper(&scratch, &json!({ "Username": USER, "Secret": PASSWORD }));
        with_logins(&registry, &scratch, &json!({ "credHelpers": { at: "test" } }), 0);
        let store = json!({ "auths": { at: {} }, "credsStore": "test" });
        with_logins(&registry, &scratch, &store, 0);
        let asked = fs::read_to_string(bin.join("docker-credential-test.asked")).unwrap();
        assert_eq!(asked.trim(), at.repeat(2));
    }

    #[test]
    #[ignore = "needs docker-registry, skopeo and openssl"]
    fn a_token_is_had_by_password_and_by_identity_and_may_be_there_already() {
        let scratch = Scratch::new();
        let layout = images(&scratch);
        let tokens = TokenServer::start("some/it");
        let registry = Registry::with_tokens(&tokens);
        registry.push(layout.path(), ONE, "some/it:1", &[]);
        let at = registry.address();
        let auth = json!({ "auth": base64(password().as_bytes()) });
        with_logins(&registry, &scratch, &json!({ "auths": { at: auth } }), 0);
        with_logins(&registry, &scratch, &json!({ "auths": { at: { "identitytoken": IDENTITY } } }), 0);
        // the name under which a helper returns an identity token
        helper(&scratch, &json!({ "Username": "<token>", "Secret": IDENTITY }));
        with_logins(&registry, &scratch, &json!({ "credHelpers": { at: "test" } }), 0);
        let before = tokens.requests().len();
        let own = json!({ "registrytoken": tokens.token() });
        with_logins(&registry, &scratch, &json!({ "auths": { at: own } }), 0);
        assert_eq!(tokens.requests().len(), before);
        with_logins(&registry, &scratch, &json!({}), 5);
        with_logins(&registry, &scratch, &json!({ "auths": { at: { "identitytoken": "wrong" } } }), 5);
    }

    #[test]
    #[ignore = "needs docker-registry, skopeo, openssl and htpasswd"]
    fn an_image_is_the_same_by_tag_digest_and_mirror() {
        let scratch = Scratch::new();
        let layout = images(&scratch);
        let registry = Registry::start(Door::Guarded);
        registry.push(layout.path(), FORTY, "mirrored/it:1", &[]);
        let by_tag = registry.source("mirrored/it:1");
        let digest = fetch(&registry, &scratch).arg("--print-digest").arg(&by_tag).end().ok();
        let by_digest = registry.source(&format!("mirrored/it@{}", digest.trim()));
        let rules = format!(
            "[[registry]]\nprefix = \"registry.invalid/team\"\nlocation = \"registry.invalid/team\"\n\
             [[registry.mirror]]\nlocation = \"{}/mirrored\"\n",
            registry.address()
        );
        fs::write(scratch.path("registries.conf"), rules).unwrap();
        let by_mirror = "docker://registry.invalid/team/it:1".to_string();
        for (name, source) in [("tag", by_tag), ("digest", by_digest), ("mirror", by_mirror)] {
            let run = fetch(&registry, &scratch).arg("--no-cache").arg(source).arg(scratch.path(name));
            run.env("CONTAINERS_REGISTRIES_CONF", scratch.path("registries.conf")).end().ok();
        }
        assert_same(&scratch.path("digest"), &scratch.path("tag"));
        assert_same(&scratch.path("mirror"), &scratch.path("tag"));
    }
}

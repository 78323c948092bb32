//! Tokens and passwords: which servers may see them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tests::login::base64;

use super::*;

const TOKEN: &str = "a-token-for-the-registry-alone";
const PASSWORD: &str = "a-password-for-the-realm-alone";

/// A registry that requires a token, and the token server that gives it for the password.
struct Guarded {
    realm: Server,
    registry: Server,
    tokens: Arc<AtomicUsize>,
}

impl Guarded {
    /// `blob` answers for the layer, once the request has the token.
    fn start(image: &Image, blob: impl Fn(&Image, &Request) -> Answer + Send + Sync + 'static) -> Self {
        let tokens = Arc::new(AtomicUsize::new(0));
        let given = tokens.clone();
        let realm = Server::elsewhere(move |request| {
            let known = format!("Basic {}", base64(format!("somebody:{PASSWORD}").as_bytes()));
            if request.header("authorization") != Some(known.as_str()) {
                return Answer::error(401, "UNAUTHORIZED", "who are you");
            }
            let number = given.fetch_add(1, Ordering::Relaxed);
            Answer::ok(format!(r#"{{"token":"{TOKEN}-{number}","expires_in":60}}"#))
        });
        let challenge = challenge(&realm);
        let image = image.clone();
        let path = image.path(0);
        let registry = Server::start(move |request| {
            let known = request.header("authorization").is_some_and(|token| token.contains(TOKEN));
            match (known, request.path() == path) {
                (false, _) => Answer::error(401, "UNAUTHORIZED", "a token first")
                    .header("WWW-Authenticate", challenge.as_str()),
                (true, true) => blob(&image, request),
                (true, false) => image.answer(request),
            }
        });
        Self { realm, registry, tokens }
    }
}

fn challenge(realm: &Server) -> String {
    let address = realm.address();
    format!(r#"Bearer realm="http://{address}/token",service="the registry",scope="repository:it:pull""#)
}

/// A client with the password of a server.
fn knowing(server: &Server) -> Client {
    let client = Client::new();
    let entry = base64(format!("somebody:{PASSWORD}").as_bytes());
    let text = format!(r#"{{"auths":{{"{}":{{"auth":"{entry}"}}}}}}"#, server.address());
    fs::write(client.scratch.path("auth.json"), text).unwrap();
    client
}

fn fetch(client: &Client, server: &Server, args: &[&str]) -> Ended {
    let run = client.run().env("REGISTRY_AUTH_FILE", client.scratch.path("auth.json")).args(args);
    run.arg(format!("docker://{}/it", server.address())).arg(client.tree()).patience(3 * SOON).end()
}

/// Asserts that no request to the server contained one of these.
#[track_caller]
fn never_saw(server: &Server, secrets: &[&str]) {
    for request in server.requests() {
        for secret in secrets {
            assert!(!request.text().contains(secret), "{}", request.text());
        }
    }
}

#[test]
fn the_token_goes_to_the_registry_and_the_password_to_the_realm() {
    let guarded = Guarded::start(&Image::new(1000), Image::answer);
    let client = knowing(&guarded.registry);
    fetch(&client, &guarded.registry, &[]).ended(End::Exit(0));
    let password = base64(format!("somebody:{PASSWORD}").as_bytes());
    never_saw(&guarded.realm, &[TOKEN]);
    never_saw(&guarded.registry, &[PASSWORD, &password]);
    let asked = guarded.realm.requests();
    assert!(asked.iter().all(|request| request.target.contains("scope=repository")), "{asked:?}");
    assert!(asked.iter().all(|request| request.target.contains("service=the")), "{asked:?}");
    assert!(guarded.tokens.load(Ordering::Relaxed) <= 2, "a token is used again");
}

#[test]
fn neither_goes_where_a_redirect_leads() {
    let image = Image::new(1000);
    let other = {
        let image = image.clone();
        Server::elsewhere(move |request| image.answer(request))
    };
    let target = format!("http://{}{}?signature=secret-of-the-url", other.address(), image.path(0));
    let guarded = Guarded::start(&image, move |_, _| Answer::redirect(&target));
    let client = knowing(&guarded.registry);
    fetch(&client, &guarded.registry, &[]).ended(End::Exit(0));
    assert_eq!(count(&other), 1);
    let password = base64(format!("somebody:{PASSWORD}").as_bytes());
    never_saw(&other, &[TOKEN, PASSWORD, &password, "authorization"]);
}

#[test]
fn a_challenge_may_stand_at_the_root_of_the_api_alone() {
    let password = base64(format!("somebody:{PASSWORD}").as_bytes());
    let refused = || Answer::error(401, "UNAUTHORIZED", "who are you");
    let image = Image::new(1000);
    let known = format!("Basic {password}");
    let registry = Server::start(move |request| {
        if request.header("authorization") == Some(known.as_str()) {
            return image.answer(request);
        }
        match request.path() == "/v2/" {
            true => refused().header("WWW-Authenticate", "Basic realm=\"r\""),
            false => refused(),
        }
    });
    fetch(&knowing(&registry), &registry, &[]).ended(End::Exit(0));
    // the challenge of a redirect's target is not the registry's
    let other = Server::elsewhere(move |_| refused().header("WWW-Authenticate", "Basic realm=\"o\""));
    let target = format!("http://{}/v2/", other.address());
    let registry =
        Server::start(
            move |request| {
                if request.path() == "/v2/" { Answer::redirect(&target) } else { refused() }
            },
        );
    fetch(&knowing(&registry), &registry, &[]).ended(End::Exit(5));
    never_saw(&registry, &[PASSWORD, &password]);
    never_saw(&other, &[PASSWORD, &password]);
    assert!(count(&registry) < 10, "{} requests", count(&registry));
}

#[test]
fn the_scope_of_a_challenge_at_the_root_of_the_api_is_not_asked_for() {
    let image = Image::new(1000);
    let tokens = Server::elsewhere(|_| Answer::ok(format!(r#"{{"token":"{TOKEN}"}}"#)));
    let realm = format!("http://{}/token", tokens.address());
    let registry = Server::start(move |request| {
        if request.header("authorization") == Some(format!("Bearer {TOKEN}").as_str()) {
            return image.answer(request);
        }
        let refused = Answer::error(401, "UNAUTHORIZED", "who are you");
        match request.path() == "/v2/" {
            true => refused.header(
                "WWW-Authenticate",
                format!("Bearer realm=\"{realm}\",service=\"s\",scope=\"repository:user/image:pull\""),
            ),
            false => refused,
        }
    });
    fetch(&Client::new(), &registry, &[]).ended(End::Exit(0));
    let asked: Vec<String> = tokens.requests().iter().map(|request| request.target.clone()).collect();
    assert!(
        !asked.is_empty() && asked.iter().all(|target| target.contains("repository%3Ait%3Apull")),
        "{asked:?}"
    );
}

#[test]
fn a_mirror_does_not_get_the_registrys_password() {
    let image = Image::new(1000);
    let mirror = Server::elsewhere(|_| {
        Answer::error(401, "UNAUTHORIZED", "who are you").header("WWW-Authenticate", "Basic realm=\"m\"")
    });
    let registry = Server::start(move |request| {
        let known = format!("Basic {}", base64(format!("somebody:{PASSWORD}").as_bytes()));
        if request.header("authorization") == Some(known.as_str()) {
            return image.answer(request);
        }
        Answer::error(401, "UNAUTHORIZED", "who are you").header("WWW-Authenticate", "Basic realm=\"r\"")
    });
    let client = knowing(&registry);
    let rules = format!(
        "[[registry]]\nlocation = \"{}\"\n[[registry.mirror]]\nlocation = \"{}\"\n",
        registry.address(),
        mirror.address()
    );
    fs::write(client.scratch.path("registries.conf"), rules).unwrap();
    let run = client.run().env("REGISTRY_AUTH_FILE", client.scratch.path("auth.json"));
    let run = run.env("CONTAINERS_REGISTRIES_CONF", client.scratch.path("registries.conf"));
    let source = format!("docker://{}/it", registry.address());
    run.arg(source).arg(client.tree()).patience(3 * SOON).end().ended(End::Exit(0));
    assert!(count(&mirror) > 0);
    let password = base64(format!("somebody:{PASSWORD}").as_bytes());
    never_saw(&mirror, &[PASSWORD, &password, "authorization"]);
}

#[test]
fn another_port_of_the_same_host_is_another_host() {
    let image = Image::new(1000);
    let other = {
        let image = image.clone();
        Server::start(move |request| image.answer(request))
    };
    let target = format!("http://{}{}", other.address(), image.path(0));
    let guarded = Guarded::start(&image, move |_, _| Answer::redirect(&target));
    let client = knowing(&guarded.registry);
    fetch(&client, &guarded.registry, &[]).ended(End::Exit(0));
    never_saw(&other, &[TOKEN, PASSWORD, "authorization"]);
}

#[test]
fn a_redirect_back_to_the_registry_does_not_bring_the_token_along_the_way() {
    // registry -> other host -> registry: a request that comes from elsewhere must not get the token
    let image = Image::new(1000);
    let way = Arc::new(std::sync::Mutex::new(String::new()));
    let back = way.clone();
    let other = Server::elsewhere(move |_| Answer::redirect(back.lock().unwrap().as_str()));
    let target = format!("http://{}/there", other.address());
    let guarded = Guarded::start(&image, move |_, _| Answer::redirect(&target));
    *way.lock().unwrap() = format!("http://{}/v2/stolen", guarded.registry.address());
    let client = knowing(&guarded.registry);
    let ended = fetch(&client, &guarded.registry, &[]);
    assert!(matches!(ended.end, End::Exit(3..=6)), "{:?} {}", ended.end, ended.err());
    never_saw(&other, &[TOKEN, PASSWORD, "authorization"]);
}

#[test]
fn a_token_that_expires_is_renewed() {
    let image = Image::new(1000);
    let asked = AtomicUsize::new(0);
    let realm = Server::elsewhere(|_| Answer::ok(r#"{"access_token":"fresh"}"#));
    let challenge = challenge(&realm);
    let path = image.path(0);
    let registry = Server::start(move |request| {
        let known = request.header("authorization") == Some("Bearer fresh");
        // the server reports the layer's first token as expired
        let stale = request.path() == path && asked.fetch_add(1, Ordering::Relaxed) == 0;
        if known && !stale {
            return image.answer(request);
        }
        Answer::error(401, "UNAUTHORIZED", "a token first").header("WWW-Authenticate", challenge.as_str())
    });
    let client = Client::new();
    client.fetched(&registry, &[]);
    assert_eq!(count(&realm), 2);
}

#[test]
fn a_registry_that_is_never_content_is_left() {
    let realm = Server::elsewhere(|_| Answer::ok(r#"{"token":"never good enough"}"#));
    let challenge = challenge(&realm);
    let registry = Server::start(move |_| {
        Answer::error(401, "UNAUTHORIZED", "another one").header("WWW-Authenticate", challenge.as_str())
    });
    let client = Client::new();
    client.refused(&registry, &[], 5);
    assert!(count(&registry) + count(&realm) < 12, "{} and {}", count(&registry), count(&realm));
}

#[test]
fn a_realm_that_never_ends_or_makes_no_sense_is_left() {
    for answer in [
        Answer::ok(" ".repeat(1 << 20)).undeclared().for_ever(),
        Answer::ok("{}"),
        Answer::ok("no token today"),
        Answer::ok(format!(r#"{{"token":"{}"}}"#, "x".repeat(10 << 20))),
        Answer::ok(r#"{"token":"x\r\nX-Injected: yes"}"#),
    ] {
        let realm = Server::elsewhere(move |_| answer.clone());
        let challenge = challenge(&realm);
        let registry = Server::start(move |_| {
            Answer::error(401, "UNAUTHORIZED", "a token first").header("WWW-Authenticate", challenge.as_str())
        });
        let client = Client::new();
        let ended = client.fetch(&registry, &[]);
        assert!(matches!(ended.end, End::Exit(4..=6)), "{:?} {}", ended.end, ended.err());
        client.nothing_left();
        never_saw(&registry, &["x-injected"]);
    }
}

#[test]
fn challenges_that_make_no_sense_are_told() {
    for challenge in
        ["", "Bearer", "Bearer realm=", "Bearer realm=\"not a url\"", "Digest realm=\"x\"", "Basic"]
    {
        let registry = Server::start(move |_| Answer::new(401).header("WWW-Authenticate", challenge));
        let client = Client::new();
        let ended = client.fetch(&registry, &[]);
        assert!(matches!(ended.end, End::Exit(4..=6)), "{challenge}: {:?} {}", ended.end, ended.err());
        client.nothing_left();
    }
}

#[test]
fn what_is_secret_in_a_url_is_not_told() {
    let image = Image::new(1000);
    let other = Server::elsewhere(|_| Answer::error(403, "DENIED", "expired"));
    let target = format!("http://{}/x?signature=secret-of-the-url", other.address());
    let server = with_layer(&image, move |_, _| Answer::redirect(&target));
    let client = Client::new();
    for verbosity in ["--quiet", "--verbose", "--explain"] {
        let ended = client.fetch(&server, &[verbosity]);
        assert!(matches!(ended.end, End::Exit(5 | 6)), "{:?} {}", ended.end, ended.err());
        assert!(!ended.err().contains("secret-of-the-url"), "{}", ended.err());
        client.nothing_left();
    }
}

//! A token server for a registry: docker's token specification, with keys from openssl(1).

use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::{Value, json};

use crate::certificates::Certificates;
use crate::login::{base64, password};
use crate::run::Run;
use crate::scratch::Scratch;
use crate::server::{Answer, Request, Server};

/// The registry's name in its tokens.
pub const SERVICE: &str = "a-registry";
/// The token server's name.
pub const ISSUER: &str = "a-token-server";
/// What is exchanged for a token instead of a password.
pub const IDENTITY: &str = "an identity token";

/// A server that issues tokens for one repository, in exchange for the password or [`IDENTITY`].
#[derive(Debug)]
pub struct TokenServer {
    server: Server,
    certificate: PathBuf,
    token: String,
    // the registry reads the certificate from here
    _scratch: Scratch,
}

impl TokenServer {
    /// Starts one for a repository.
    #[track_caller]
    pub fn start(repository: &str) -> Self {
        let scratch = Scratch::new();
        let keys = Certificates::signed_with(&scratch, &["-newkey", "rsa:2048"]);
        let token = signed(&keys, repository);
        let answered = token.clone();
        let server = Server::start(move |request| answer(request, &answered));
        Self { server, certificate: keys.authority, token, _scratch: scratch }
    }

    /// The realm in the registry's challenges.
    pub fn url(&self) -> String {
        self.server.url("token")
    }

    /// The issuer of the tokens that the registry accepts.
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }
}

fn answer(request: &Request, token: &str) -> Answer {
    let basic = format!("Basic {}", base64(password().as_bytes()));
    let body = String::from_utf8_lossy(&request.body);
    let by_identity = body.split('&').any(|pair| pair == "refresh_token=an%20identity%20token");
    if request.header("authorization") != Some(&basic) && !by_identity {
        return Answer::new(401);
    }
    Answer::new(200).body(json!({ "token": token }).to_string())
}

/// A JSON Web Token with all rights for a repository, from 2001 to 2100.
fn signed(keys: &Certificates, repository: &str) -> String {
    let der = Run::new("openssl").args(["x509", "-outform", "DER", "-in"]).arg(&keys.server).end();
    let head = json!({ "typ": "JWT", "alg": "RS256", "x5c": [BASE64_STANDARD.encode(der.stdout)] });
    let access = json!([{ "type": "repository", "name": repository, "actions": ["pull", "push"] }]);
    let claims = json!({
        "iss": ISSUER, "sub": "", "aud": SERVICE, "jti": "1", "access": access,
        "nbf": 1_000_000_000, "iat": 1_000_000_000, "exp": 4_102_444_800_u64,
    });
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&head), part(&claims));
    let sign =
        Run::new("openssl").args(["dgst", "-sha256", "-sign"]).arg(&keys.key).stdin(text.clone()).end();
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(sign.stdout))
}

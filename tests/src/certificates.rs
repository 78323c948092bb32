//! A certificate authority for one test, and a certificate of it for this machine's loopback, created by
//! openssl(1).

use std::path::PathBuf;

use crate::run::Run;
use crate::scratch::Scratch;

/// The names of a server on this machine.
const NAMES: &str = "subjectAltName=IP:127.0.0.1,DNS:localhost";

/// PEM files.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The authority's certificate, for `--cacert`.
    pub authority: PathBuf,
    /// The server's certificate.
    pub server: PathBuf,
    /// The server's private key.
    pub key: PathBuf,
}

impl Certificates {
    /// Makes an authority and lets it sign the server's certificate.
    #[track_caller]
    pub fn signed(scratch: &Scratch) -> Self {
        Self::signed_with(scratch, &P256)
    }

    /// The same with other keys and signatures, by options of openssl-req(1).
    #[track_caller]
    pub fn signed_with(scratch: &Scratch, options: &[&str]) -> Self {
        let authority = scratch.path("authority.pem");
        let authority_key = scratch.path("authority.key");
        let made = Self { authority, server: scratch.path("server.pem"), key: scratch.path("server.key") };
        let request = ask_with("the test's authority", options).args(["-keyout"]).arg(&authority_key);
        request.arg("-out").arg(&made.authority).end().ok();
        let request = ask_with("localhost", options).args(["-addext", NAMES]);
        let request = request.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        let request = request.arg("-CA").arg(&made.authority).arg("-CAkey").arg(&authority_key);
        request.arg("-keyout").arg(&made.key).arg("-out").arg(&made.server).end().ok();
        made
    }

    /// A client's certificate, signed by the authority of [`Self::signed`], and its private key.
    #[track_caller]
    pub fn client(&self, scratch: &Scratch) -> (PathBuf, PathBuf) {
        let (certificate, key) = (scratch.path("client.pem"), scratch.path("client.key"));
        let request = ask("a client").args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        let request = request.arg("-CA").arg(&self.authority);
        let request = request.arg("-CAkey").arg(scratch.path("authority.key"));
        request.arg("-keyout").arg(&key).arg("-out").arg(&certificate).end().ok();
        (certificate, key)
    }

    /// A self-signed server certificate, as in instructions for a private registry: openssl marks it as an
    /// authority, too.
    #[track_caller]
    pub fn self_signed(scratch: &Scratch) -> Self {
        let server = scratch.path("server.pem");
        let key = scratch.path("server.key");
        let request = ask("localhost").args(["-addext", NAMES]);
        request.arg("-keyout").arg(&key).arg("-out").arg(&server).end().ok();
        Self { authority: server.clone(), server, key }
    }
}

/// The default kind of key.
const P256: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

fn ask(name: &str) -> Run {
    ask_with(name, &P256)
}

fn ask_with(name: &str, options: &[&str]) -> Run {
    let run = Run::new("openssl").args(["req", "-x509", "-nodes"]).args(options);
    run.args(["-days", "2", "-subj"]).arg(format!("/CN={name}"))
}

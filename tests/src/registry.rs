//! A real registry: Debian's docker-registry on a free port of the loopback, filled by skopeo(1).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::certificates::Certificates;
use crate::daemon::{self, Daemon};
use crate::login::{PASSWORD, USER, base64, password};
use crate::run::Run;
use crate::scratch::Scratch;
use crate::token_server::{ISSUER, SERVICE, TokenServer};

/// How a registry admits clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Plain HTTP, for everyone.
    Open,
    /// TLS with its own authority, and a password.
    Guarded,
    /// TLS with a self-signed certificate, and a password.
    SelfSigned,
}

/// A registry that runs as long as this value lives.
#[derive(Debug)]
pub struct Registry {
    daemon: Daemon,
    address: String,
    certificates: Option<Certificates>,
    is_guarded: bool,
    scratch: Scratch,
}

impl Registry {
    /// Starts one without images.
    #[track_caller]
    pub fn start(door: Door) -> Self {
        let scratch = Scratch::new();
        let certificates = match door {
            Door::Open => None,
            Door::Guarded => Some(Certificates::signed(&scratch)),
            Door::SelfSigned => Some(Certificates::self_signed(&scratch)),
        };
        let mut auth = String::new();
        if certificates.is_some() {
            let known = Run::new("htpasswd").args(["-Bbn", "-C", "4", USER, PASSWORD]).end().ok();
            let passwords = scratch.path("passwords");
            fs::write(&passwords, known).expect("a file of passwords");
            auth = format!("{{htpasswd: {{realm: the test's, path: {}}}}}", passwords.display());
        }
        Self::serve(scratch, certificates, &auth)
    }

    /// Starts one without TLS that admits clients with a token of this server.
    #[track_caller]
    pub fn with_tokens(tokens: &TokenServer) -> Self {
        let auth = format!(
            "{{token: {{realm: {}, service: {SERVICE}, issuer: {ISSUER}, rootcertbundle: {}}}}}",
            tokens.url(),
            tokens.certificate().display()
        );
        Self::serve(Scratch::new(), None, &auth)
    }

    #[track_caller]
    fn serve(scratch: Scratch, certificates: Option<Certificates>, auth: &str) -> Self {
        let mut lines = format!(
            "version: 0.1\n\
             log: {{level: info}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\n",
            scratch.path("data").display()
        );
        lines += "http:\n  addr: 127.0.0.1:0\n  secret: of this test alone\n";
        if let Some(Certificates { server, key, .. }) = &certificates {
            lines += &format!("  tls: {{certificate: {}, key: {}}}\n", server.display(), key.display());
        }
        if !auth.is_empty() {
            lines += &format!("auth: {auth}\n");
        }
        fs::write(scratch.path("settings.yml"), lines).expect("the registry's settings");
        let mut command = Command::new(daemon::program("docker-registry"));
        command.arg("serve").arg(scratch.path("settings.yml")).env_clear();
        let mut daemon = Daemon::start(command, scratch.path("log"));
        // msg="listening on 127.0.0.1:41231, tls"
        let address = daemon.until("the registry to listen", |said| {
            let (_, rest) = said.split_once("listening on ")?;
            let end = rest.find(['"', ','])?;
            rest.get(..end).map(str::to_string)
        });
        let registry = Self { daemon, address, certificates, is_guarded: !auth.is_empty(), scratch };
        registry.write_credentials();
        registry
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// An image's SOURCE: `docker://127.0.0.1:PORT/NAME`.
    pub fn source(&self, name: &str) -> String {
        format!("docker://{}/{name}", self.address)
    }

    /// The file for `--cacert`; None for an open door.
    pub fn authority(&self) -> Option<&Path> {
        self.certificates.as_ref().map(|certificates| certificates.authority.as_path())
    }

    /// A file for `$REGISTRY_AUTH_FILE`, with the password; empty for an open door.
    pub fn credentials(&self) -> PathBuf {
        self.scratch.path("auth.json")
    }

    /// The requests it has answered so far, one line each: `GET /v2/small/manifests/latest 200`.
    pub fn requests(&self) -> Vec<String> {
        // 127.0.0.1 - - [24/Nov/2026:00:10:02 +0000] "GET /v2/ HTTP/1.1" 200 2 "" "skopeo/1.9.3"
        let said = self.daemon.said();
        let line = |line: &str| {
            let mut quoted = line.split('"');
            let request = quoted.nth(1)?.strip_suffix(" HTTP/1.1")?.to_string();
            let status = quoted.next()?.split_whitespace().next()?.to_string();
            line.starts_with("127.0.0.1 - ").then(|| format!("{request} {status}"))
        };
        said.lines().filter_map(line).collect()
    }

    /// Pushes an image of a layout, with further options of skopeo-copy(1).
    #[track_caller]
    pub fn push(&self, layout: &Path, tag: &str, name: &str, options: &[&str]) {
        let certificates = self.scratch.path("certificates");
        fs::create_dir_all(&certificates).expect("a directory");
        let mut copy = Run::new("skopeo").args(["copy", "--quiet", "--insecure-policy"]).args(options);
        copy = match self.authority() {
            Some(authority) => {
                fs::copy(authority, certificates.join("authority.crt")).expect("a copy");
                copy.arg("--dest-cert-dir").arg(certificates)
            }
            None => copy.arg("--dest-tls-verify=false"),
        };
        if self.is_guarded {
            copy = copy.arg("--dest-creds").arg(password());
        }
        let copy = copy.arg(format!("oci:{}:{tag}", layout.display())).arg(self.source(name));
        // the user's settings must not affect this test
        copy.env("HOME", self.scratch.path("")).patience(Duration::from_secs(120)).end().ok();
    }

    fn write_credentials(&self) {
        let token = base64(password().as_bytes());
        let text = match self.is_guarded {
            true => format!(r#"{{"auths": {{"{}": {{"auth": "{token}"}}}}}}"#, self.address),
            false => "{}".to_string(),
        };
        fs::write(self.credentials(), text).expect("a file of credentials");
    }
}

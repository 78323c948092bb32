// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS: whom to trust, and the handshake.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chain::reporter::quoted;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme, StreamOwned,
};

use crate::failure::{Failure, Kind, Result};
use crate::net::connect::Watched;

/// Where systems keep the authorities they trust: Debian and Alpine, Fedora, openSUSE, others.
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/cacert.pem",
];

/// A connection in TLS.
pub type Secured = StreamOwned<ClientConnection, Watched>;

/// Reads whom to trust: the system's authorities, and those of `more`.
///
/// # Errors
/// Not found, I/O or damaged, for `more`; network, if there is nobody to trust.
pub fn config(more: Option<&Path>) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for path in system() {
        if let Ok(certificates) = CertificateDer::pem_file_iter(&path) {
            roots.add_parsable_certificates(certificates.flatten());
        }
    }
    if let Some(path) = more {
        for certificate in read(path)? {
            roots.add(certificate).map_err(|error| no_certificate(path, &error))?;
        }
    }
    if roots.is_empty() {
        return Err(Failure::new(Kind::Network, "no certificate authorities are installed to trust in TLS")
            .hint("install ca-certificates, or give them with --cacert FILE"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| Failure::new(Kind::Network, format_args!("TLS: {error}")))?;
    let mut config = builder.with_root_certificates(roots.clone()).with_no_client_auth();
    if let Some(path) = more {
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let inner = inner.map_err(|error| Failure::new(Kind::Network, format_args!("TLS: {error}")))?;
        config.dangerous().set_certificate_verifier(Arc::new(Pinned { inner, certificates: read(path)? }));
    }
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The certificates of a file the user named.
fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let data = std::fs::read(path).map_err(|error| {
        let errno = rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO);
        let failure = Failure::call("read the certificates", format_args!("open({})", quoted(path)), errno);
        if error.kind() == io::ErrorKind::NotFound { failure.kind(Kind::NotFound) } else { failure }
    })?;
    let read: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&data).collect();
    let certificates = read.map_err(|error| no_certificate(path, &error))?;
    if certificates.is_empty() {
        return Err(Failure::damaged(format_args!("{} has no certificate in PEM", quoted(path))));
    }
    Ok(certificates)
}

fn no_certificate(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::damaged(format_args!("{} is no certificate: {error}", quoted(path)))
}

/// Also trusts the very certificates the user named, as OpenSSL does: the recipes for a registry
/// of one's own make one that signs itself and is called an authority, which none may use.
#[derive(Debug)]
struct Pinned {
    inner: Arc<WebPkiServerVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let verified = self.inner.verify_server_cert(server, others, name, stapled, now);
        // dates, names and signatures have errors of their own; this one is what it may be used for
        let as_authority =
            matches!(&verified, Err(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(_))));
        if !as_authority || !self.certificates.iter().any(|pinned| pinned == server) {
            return verified;
        }
        rustls::client::verify_server_name(&ParsedCertificate::try_from(server)?, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        server: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, server, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        server: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, server, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// The files of the system's authorities; SSL_CERT_FILE and SSL_CERT_DIR come first, as for OpenSSL.
fn system() -> Vec<PathBuf> {
    let file = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let directory = std::env::var_os("SSL_CERT_DIR").map(PathBuf::from);
    if file.is_some() || directory.is_some() {
        return file.into_iter().chain(directory.iter().flat_map(|one| files(one))).collect();
    }
    match BUNDLES.iter().map(Path::new).find(|path| path.is_file()) {
        Some(path) => vec![path.to_path_buf()],
        None => files(Path::new("/etc/ssl/certs")),
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Why there is no TLS on a connection.
#[derive(Debug)]
pub enum Refused {
    /// The other side speaks something else.
    NotTls,
    /// It cannot be trusted.
    Untrusted(String),
    /// The connection failed.
    Broken(io::Error),
}

/// Makes the handshake.
///
/// # Errors
/// [`Refused`].
pub fn handshake(
    config: &Arc<ClientConfig>,
    host: &str,
    mut socket: Watched,
) -> std::result::Result<Secured, Refused> {
    let name =
        ServerName::try_from(host.to_owned()).map_err(|error| Refused::Untrusted(error.to_string()))?;
    let connection = ClientConnection::new(config.clone(), name);
    let mut connection = connection.map_err(|error| Refused::Untrusted(error.to_string()))?;
    socket.begin_step();
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).map_err(refused)?;
    }
    let mut secured = StreamOwned::new(connection, socket);
    // what the handshake still has to say is said with the first request
    secured.flush().map_err(refused)?;
    Ok(secured)
}

fn refused(error: io::Error) -> Refused {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidMessage(_)) => Refused::NotTls,
        Some(rustls::Error::InvalidCertificate(why)) => {
            Refused::Untrusted(format!("its certificate is not trusted: {}", certificate(why)))
        }
        Some(other) => Refused::Untrusted(other.to_string()),
        None if error.kind() == io::ErrorKind::UnexpectedEof => Refused::NotTls,
        None => Refused::Broken(error),
    }
}

fn certificate(why: &rustls::CertificateError) -> String {
    use rustls::CertificateError as Error;
    match why {
        Error::UnknownIssuer => "nobody known has signed it".into(),
        Error::Expired | Error::ExpiredContext { .. } => "it has expired".into(),
        Error::NotValidYet | Error::NotValidYetContext { .. } => "it is not valid yet".into(),
        Error::NotValidForName | Error::NotValidForNameContext { .. } => "it is for another name".into(),
        other => other.to_string(),
    }
}

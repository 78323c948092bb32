// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS: whom to trust, and the handshake.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chain::tell::quoted;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

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
        add(&mut roots, path)?;
    }
    if roots.is_empty() {
        return Err(Failure::new(Kind::Network, "no certificate authorities are installed to trust in TLS")
            .hint("install ca-certificates, or give them with --cacert FILE"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| Failure::new(Kind::Network, format_args!("TLS: {error}")))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<()> {
    let data = std::fs::read(path).map_err(|error| {
        let errno = rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO);
        let failure = Failure::call("read the certificates", format_args!("open({})", quoted(path)), errno);
        if error.kind() == io::ErrorKind::NotFound { failure.kind(Kind::NotFound) } else { failure }
    })?;
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&data) {
        let added = certificate.map_err(|error| error.to_string());
        let added = added.and_then(|one| roots.add(one).map_err(|error| error.to_string()));
        added
            .map_err(|error| Failure::damaged(format_args!("{} is no certificate: {error}", quoted(path))))?;
        count += 1;
    }
    if count == 0 {
        return Err(Failure::damaged(format_args!("{} has no certificate in PEM", quoted(path))));
    }
    Ok(())
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

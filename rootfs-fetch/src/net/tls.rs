//! TLS: which servers to trust.

mod algorithms;
mod pss;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chain::reporter::quoted;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::failure::{Failure, Kind, Result};

/// The trusted certificate authorities, and the client's certificate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trust<'a> {
    /// Files of authorities in addition to the system's.
    pub authorities: &'a [PathBuf],
    /// The client's certificate and its key.
    pub client: Option<&'a (PathBuf, PathBuf)>,
    /// Whether any certificate is accepted.
    pub any_certificate: bool,
}

/// The TLS settings that trust the system's authorities, and those in the files of `trust`. SSL_CERT_FILE and
/// SSL_CERT_DIR replace the system's, as in OpenSSL.
///
/// # Errors
/// Not found, I/O or damaged, for a file that the user named; network, if there is no authority to trust.
pub fn config(trust: Trust<'_>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    // unreadable files are skipped, because the other authorities may be enough
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let mut named = Vec::new();
    for path in trust.authorities {
        for certificate in read(path)? {
            roots.add(certificate.clone()).map_err(|error| no_certificate(path, &error))?;
            named.push(certificate);
        }
    }
    if trust.any_certificate {
        let mut config = client_config(Arc::new(roots), trust.client)?;
        config.dangerous().set_certificate_verifier(verifier(Check::Skipped));
        return Ok(config);
    }
    if roots.is_empty() {
        return Err(Failure::new(Kind::Network, "no trusted certificate authorities are installed")
            .hint("install ca-certificates, or use --cacert FILE"));
    }
    let roots = Arc::new(roots);
    let mut config = client_config(roots.clone(), trust.client)?;
    let inner = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
    let inner = inner.map_err(|error| unusable(&error))?;
    let certificate = Check::ByAuthorities { inner, pinned: named };
    config.dangerous().set_certificate_verifier(verifier(certificate));
    Ok(config)
}

/// The TLS settings of a client that does not use TLS.
///
/// # Errors
/// Network, if this build has no TLS.
pub fn without_authorities() -> Result<ClientConfig> {
    client_config(Arc::new(RootCertStore::empty()), None)
}

fn client_config(roots: Arc<RootCertStore>, client: Option<&(PathBuf, PathBuf)>) -> Result<ClientConfig> {
    let versions = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| unusable(&error))?;
    let builder = builder.with_root_certificates(roots);
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let secret = PrivateKeyDer::from_pem_slice(&contents(key)?).map_err(|error| {
                Failure::damaged(format_args!("{} is not a private key: {error}", quoted(key)))
            })?;
            builder
                .with_client_auth_cert(read(certificate)?, secret)
                .map_err(|error| no_certificate(certificate, &error))?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    let ring = rustls::crypto::ring::default_provider();
    Arc::new(CryptoProvider { signature_verification_algorithms: algorithms::supported(), ..ring })
}

fn verifier(certificate: Check) -> Arc<Verifier> {
    Arc::new(Verifier { certificate, algorithms: algorithms::supported() })
}

fn unusable(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Kind::Network, format_args!("TLS: {error}"))
}

/// The certificates in a file that the user named.
fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let data = contents(path)?;
    let read: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&data).collect();
    let certificates = read.map_err(|error| no_certificate(path, &error))?;
    if certificates.is_empty() {
        return Err(Failure::damaged(format_args!("{} has no certificate in PEM", quoted(path))));
    }
    Ok(certificates)
}

fn contents(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        let call = format!("open({})", quoted(path));
        Failure::call("read the certificates", call, error).or_not_found()
    })
}

fn no_certificate(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::damaged(format_args!("{} is not a certificate: {error}", quoted(path)))
}

/// Whether the signature's algorithm is supported, but for another kind of key.
fn is_for_other_keys(why: &CertificateError) -> bool {
    matches!(why, CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. })
}

/// Checks a server's certificate and its signatures.
#[derive(Debug)]
struct Verifier {
    certificate: Check,
    algorithms: WebPkiSupportedAlgorithms,
}

/// How a certificate is checked.
#[derive(Debug)]
enum Check {
    /// Not at all: the connection is encrypted, but the peer is unknown.
    Skipped,
    /// By the authorities. A certificate in `pinned` is itself trusted, as in OpenSSL: instructions for
    /// private registries create self-signed CA certificates, which webpki rejects as end-entity
    /// certificates.
    ByAuthorities { inner: Arc<WebPkiServerVerifier>, pinned: Vec<CertificateDer<'static>> },
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let Check::ByAuthorities { inner, pinned } = &self.certificate else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified = inner.verify_server_cert(server, others, name, stapled, now);
        // dates, names and signatures have other errors; this one is about the certificate's purpose
        let as_authority =
            matches!(&verified, Err(rustls::Error::InvalidCertificate(CertificateError::Other(_))));
        if !as_authority || !pinned.iter().any(|pinned| pinned == server) {
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
        rustls::crypto::verify_tls12_signature(message, server, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        server: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let verified = rustls::crypto::verify_tls13_signature(message, server, signature, &self.algorithms);
        if !matches!(&verified, Err(rustls::Error::InvalidCertificate(why)) if is_for_other_keys(why)) {
            return verified;
        }
        let restricted = algorithms::of_restricted_keys();
        rustls::crypto::verify_tls13_signature(message, server, signature, &restricted).or(verified)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

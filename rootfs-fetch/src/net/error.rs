//! Why a request has no response, from the chain of causes in reqwest's errors.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, ErrorKind};

use crate::failure::{Failure, Kind};
use crate::net::origin::Origin;
use crate::net::url::Url;

/// Why a request has no response.
#[derive(Debug)]
pub enum RequestError {
    /// The server does not speak TLS.
    NotTls,
    /// The server does not speak HTTP.
    NotHttp(String),
    /// The connection could not be made.
    Unreachable(Failure),
    /// The proxy does not connect to the server: the reason.
    NoTunnel(String),
    /// The connection broke, which can be transient.
    Broken(io::Error),
    /// Retrying would not help.
    Final(Failure),
}

impl From<Failure> for RequestError {
    fn from(failure: Failure) -> Self {
        Self::Final(failure)
    }
}

impl From<io::Error> for RequestError {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Failure>()) {
            Some(failure) => Self::Final(failure.clone()),
            None => Self::Broken(error),
        }
    }
}

impl RequestError {
    /// Interprets a failed request; `peer` is the server or proxy to connect to.
    pub fn of_request(error: &reqwest::Error, origin: &Origin, peer: &Origin, connect_seconds: u64) -> Self {
        if let Some(error) = find::<rustls::Error>(error) {
            return of_tls(error, origin);
        }
        if error.is_connect() {
            return of_connection(error, peer, connect_seconds);
        }
        match find::<hyper::Error>(error) {
            Some(error) if error.is_parse() => Self::NotHttp(innermost(error).to_string()),
            _ => Self::Broken(of_io(error).unwrap_or_else(|| ErrorKind::UnexpectedEof.into())),
        }
    }

    /// The failure, if the request is not retried.
    pub fn into_failure(self, url: &Url) -> Failure {
        match self {
            Self::NotTls => cannot_get(url, "the server does not speak TLS"),
            Self::NotHttp(why) => not_http(url, why),
            Self::NoTunnel(why) => cannot_get(url, format_args!("the proxy does not connect to it: {why}")),
            Self::Broken(error) => broken(url, &error),
            Self::Unreachable(failure) | Self::Final(failure) => failure,
        }
    }
}

fn of_tls(error: &rustls::Error, origin: &Origin) -> RequestError {
    let why = match error {
        rustls::Error::InvalidMessage(_) => return RequestError::NotTls,
        rustls::Error::InvalidCertificate(why) => {
            format!("its certificate is not trusted: {}", certificate(why))
        }
        rustls::Error::AlertReceived(rustls::AlertDescription::HandshakeFailure) => {
            let line = format_args!(
                "cannot connect to {}: it accepts none of the TLS ciphers, curves and signatures that are \
                 supported",
                origin.authority()
            );
            return Failure::new(Kind::Network, line).into();
        }
        rustls::Error::AlertReceived(alert) if asks_for_client(*alert) => {
            let line = format_args!(
                "cannot connect to {}: it requires a client certificate, or rejected the one it got",
                origin.authority()
            );
            let hint = format_args!(
                "put a client certificate into ~/.config/containers/certs.d/{}/ as client.cert and client.key",
                origin.authority()
            );
            return Failure::new(Kind::Denied, line).hint(hint).into();
        }
        other => other.to_string(),
    };
    let failure = Failure::new(Kind::Network, format_args!("cannot trust {origin}: {why}"));
    match error {
        rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer) => {
            failure.hint("to trust the authority that signed it, use --cacert FILE").into()
        }
        _ => failure.into(),
    }
}

fn asks_for_client(alert: rustls::AlertDescription) -> bool {
    use rustls::AlertDescription as Alert;
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::CertificateUnknown
    )
}

fn certificate(why: &rustls::CertificateError) -> String {
    use rustls::CertificateError as Error;
    match why {
        Error::UnknownIssuer => "no trusted authority has signed it".into(),
        Error::Expired | Error::ExpiredContext { .. } => "it has expired".into(),
        Error::NotValidYet | Error::NotValidYetContext { .. } => "it is not valid yet".into(),
        Error::NotValidForName | Error::NotValidForNameContext { .. } => "it is for another name".into(),
        Error::UnsupportedSignatureAlgorithmContext { .. }
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "it is signed with an algorithm that is not supported".into()
        }
        // webpki has more kinds of errors than TLS
        other => match other.to_string() {
            text if text.contains("UnsupportedCertVersion") => {
                "it has X.509 version 1, which has no server names: create a new one".into()
            }
            text => text,
        },
    }
}

fn of_connection(error: &reqwest::Error, peer: &Origin, seconds: u64) -> RequestError {
    let failed = |why: String| {
        let line = format_args!("cannot connect to {}: {why}", peer.authority());
        RequestError::Unreachable(Failure::new(Kind::Network, line))
    };
    match of_io(error) {
        Some(error) if error.raw_os_error().is_none() && error.kind() == ErrorKind::TimedOut => {
            failed(format!("no answer in {seconds} s"))
        }
        None if error.is_timeout() => failed(format!("no answer in {seconds} s")),
        // the other side closed the connection during the handshake
        Some(error) if error.kind() == ErrorKind::UnexpectedEof => RequestError::NotTls,
        Some(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
            RequestError::Broken(error)
        }
        Some(error) => failed(why(&error)),
        None => RequestError::NoTunnel(innermost(error).to_string()),
    }
}

/// Interprets a broken body. A malformed one carries a [`Failure`], and is not retried.
pub fn of_body(error: &reqwest::Error, url: &Url) -> io::Error {
    if let Some(error) = find::<rustls::Error>(error) {
        return io::Error::other(error.to_string());
    }
    match of_io(error) {
        Some(error) if error.raw_os_error().is_some() || error.kind() == ErrorKind::UnexpectedEof => error,
        Some(error) => not_http(url, error).into_io(),
        None => ErrorKind::UnexpectedEof.into(),
    }
}

fn not_http(url: &Url, why: impl Display) -> Failure {
    cannot_get(url, format_args!("the answer is not HTTP: {why}"))
}

/// An error and its causes, including those inside an [`io::Error`], which its `source` skips.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    causes(error).last().unwrap_or(error)
}

/// The innermost I/O error, as one of our own.
fn of_io(error: &(dyn Error + 'static)) -> Option<io::Error> {
    let error = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).last()?;
    Some(match (error.raw_os_error(), error.kind()) {
        (Some(errno), _) => io::Error::from_raw_os_error(errno),
        (None, ErrorKind::UnexpectedEof) => ErrorKind::UnexpectedEof.into(),
        (None, kind) => io::Error::new(kind, error.to_string()),
    })
}

/// An error as users read it: `Connection refused (ECONNREFUSED)`.
pub fn why(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => chain::reporter::ErrnoText(nix::errno::Errno::from_raw(errno)).to_string(),
        None if error.kind() == ErrorKind::UnexpectedEof => "the connection was closed too early".into(),
        None => error.to_string(),
    }
}

/// `cannot get URL: why`, for a broken connection.
pub fn broken(url: &Url, error: &io::Error) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Failure>()) {
        Some(failure) => failure.clone(),
        None => cannot_get(url, why(error)),
    }
}

/// `cannot get URL: why`.
pub fn cannot_get(url: &Url, why: impl Display) -> Failure {
    Failure::new(Kind::Network, format_args!("cannot get {url}: {why}"))
}

//! The accepted signatures in certificates and handshakes: ring's, and also P-521, SHA-512 with P-256 and
//! P-384, and RSA-PSS as OpenSSL writes it.

use std::sync::LazyLock;

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::net::tls::pss::{self, Keys};

/// A list for rustls.
type Algorithms = Vec<&'static dyn SignatureVerificationAlgorithm>;

/// Verifies a signature, from a key, a hash and the signature.
type Verify = fn(&[u8], &[u8], &[u8]) -> Option<()>;

/// ECDSA on a curve with a hash.
#[derive(Debug)]
struct Ecdsa {
    curve: AlgorithmIdentifier,
    algorithm: AlgorithmIdentifier,
    hash: fn(&[u8]) -> Vec<u8>,
    verify: Verify,
}

impl SignatureVerificationAlgorithm for Ecdsa {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.curve
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm
    }

    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        (self.verify)(key, &(self.hash)(message), signature).ok_or(InvalidSignature)
    }
}

fn sha256(message: &[u8]) -> Vec<u8> {
    Sha256::digest(message).to_vec()
}

fn sha384(message: &[u8]) -> Vec<u8> {
    Sha384::digest(message).to_vec()
}

fn sha512(message: &[u8]) -> Vec<u8> {
    Sha512::digest(message).to_vec()
}

fn verified<S>(key: Option<impl PrehashVerifier<S>>, hash: &[u8], signature: Option<S>) -> Option<()> {
    key?.verify_prehash(hash, &signature?).ok()
}

fn by_p256(key: &[u8], hash: &[u8], signature: &[u8]) -> Option<()> {
    use p256::ecdsa::{Signature, VerifyingKey};
    verified(VerifyingKey::from_sec1_bytes(key).ok(), hash, Signature::from_der(signature).ok())
}

fn by_p384(key: &[u8], hash: &[u8], signature: &[u8]) -> Option<()> {
    use p384::ecdsa::{Signature, VerifyingKey};
    verified(VerifyingKey::from_sec1_bytes(key).ok(), hash, Signature::from_der(signature).ok())
}

fn by_p521(key: &[u8], hash: &[u8], signature: &[u8]) -> Option<()> {
    use p521::ecdsa::{Signature, VerifyingKey};
    // ecdsa refuses a hash shorter than half the curve's length; leading zeros do not change its value
    let padding = P521_BYTES.saturating_sub(hash.len());
    let hash = [vec![0; padding].as_slice(), hash].concat();
    verified(VerifyingKey::from_sec1_bytes(key).ok(), &hash, Signature::from_der(signature).ok())
}

/// The length of a number on P-521.
const P521_BYTES: usize = 66;

static P256_SHA512: Ecdsa =
    Ecdsa { curve: alg_id::ECDSA_P256, algorithm: alg_id::ECDSA_SHA512, hash: sha512, verify: by_p256 };
static P384_SHA512: Ecdsa =
    Ecdsa { curve: alg_id::ECDSA_P384, algorithm: alg_id::ECDSA_SHA512, hash: sha512, verify: by_p384 };
static P521_SHA256: Ecdsa =
    Ecdsa { curve: alg_id::ECDSA_P521, algorithm: alg_id::ECDSA_SHA256, hash: sha256, verify: by_p521 };
static P521_SHA384: Ecdsa =
    Ecdsa { curve: alg_id::ECDSA_P521, algorithm: alg_id::ECDSA_SHA384, hash: sha384, verify: by_p521 };
static P521_SHA512: Ecdsa =
    Ecdsa { curve: alg_id::ECDSA_P521, algorithm: alg_id::ECDSA_SHA512, hash: sha512, verify: by_p521 };

/// The algorithms for ECDSA with SHA-512 in a handshake. TLS 1.3 accepts only the first one, on the scheme's
/// own curve; in TLS 1.2 a scheme only means a hash.
static ECDSA_SHA512: [&dyn SignatureVerificationAlgorithm; 3] = [&P521_SHA512, &P384_SHA512, &P256_SHA512];

/// The handshake schemes for each hash, for keys restricted to RSA-PSS: RFC 8446, section 4.2.3,
/// `rsa_pss_pss_sha256` and the others.
const PSS_SCHEMES: [(u16, pss::Hash); 3] =
    [(0x0809, pss::Hash::Sha256), (0x080a, pss::Hash::Sha384), (0x080b, pss::Hash::Sha512)];

/// All accepted signatures.
pub fn supported() -> WebPkiSupportedAlgorithms {
    *SUPPORTED
}

/// Handshake signatures by keys restricted to one hash of RSA-PSS: TLS 1.3 has the same scheme for these keys
/// and the others, and rustls tries one algorithm per scheme.
pub fn of_restricted_keys() -> WebPkiSupportedAlgorithms {
    *RESTRICTED
}

static SUPPORTED: LazyLock<WebPkiSupportedAlgorithms> = LazyLock::new(|| {
    let ring = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    let mut all: Algorithms = [ring.all, &ECDSA_SHA512, &[&P521_SHA384, &P521_SHA256]].concat();
    all.extend(pss::algorithms().map(|algorithm| algorithm as &dyn SignatureVerificationAlgorithm));
    let mut schemes = ring.mapping.to_vec();
    schemes.push((SignatureScheme::ECDSA_NISTP521_SHA512, &ECDSA_SHA512));
    schemes.extend(schemes_of(Keys::Any));
    WebPkiSupportedAlgorithms { all: all.leak(), mapping: schemes.leak() }
});

static RESTRICTED: LazyLock<WebPkiSupportedAlgorithms> =
    LazyLock::new(|| WebPkiSupportedAlgorithms { all: &[], mapping: schemes_of(Keys::Restricted).leak() });

fn schemes_of(keys: Keys) -> Vec<(SignatureScheme, &'static [&'static dyn SignatureVerificationAlgorithm])> {
    let scheme = |(scheme, hash)| {
        let algorithms: Algorithms = pss::of_handshake(hash, keys).map(|one| one as _).into_iter().collect();
        (SignatureScheme::from(scheme), &*algorithms.leak())
    };
    PSS_SCHEMES.map(scheme).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asserts that `algorithm` accepts a signature only for its own message, key and curve.
    fn only_verifies(algorithm: &Ecdsa, key: &[u8], signature: &[u8]) {
        assert!(algorithm.verify_signature(key, b"message", signature).is_ok());
        assert!(algorithm.verify_signature(key, b"messagE", signature).is_err());
        for at in [0, 1, 5, signature.len() / 2, signature.len() - 1] {
            let mut changed = signature.to_vec();
            changed[at] ^= 1;
            assert!(algorithm.verify_signature(key, b"message", &changed).is_err(), "byte {at}");
        }
        for wrong in [&key[..key.len() - 1], &[], &[4; 133], &[0]] {
            assert!(algorithm.verify_signature(wrong, b"message", signature).is_err());
        }
        assert!(algorithm.verify_signature(key, b"message", &[]).is_err());
    }

    macro_rules! signs {
        ($test:ident, $curve:ident, $($algorithm:ident),+) => {
            #[test]
            fn $test() {
                use $curve::ecdsa::signature::hazmat::PrehashSigner as _;
                use $curve::ecdsa::{Signature, SigningKey};
                let secret = SigningKey::from_slice(&[1; std::mem::size_of::<$curve::FieldBytes>()]);
                let secret = secret.or_else(|_| {
                    let mut small = $curve::FieldBytes::default();
                    small[1..].fill(1);
                    SigningKey::from_bytes(&small)
                });
                let secret = secret.expect("a key");
                let key = secret.verifying_key().to_sec1_point(false);
                $(
                    let mut hash = ($algorithm.hash)(b"message");
                    while hash.len() < std::mem::size_of::<$curve::FieldBytes>() {
                        hash.insert(0, 0);
                    }
                    let signature: Signature = secret.sign_prehash(&hash).expect("a signature");
                    only_verifies(&$algorithm, key.as_bytes(), signature.to_der().as_bytes());
                )+
            }
        };
    }

    signs!(sha_512_with_p_256_is_verified, p256, P256_SHA512);
    signs!(sha_512_with_p_384_is_verified, p384, P384_SHA512);
    signs!(each_hash_with_p_521_is_verified, p521, P521_SHA256, P521_SHA384, P521_SHA512);
}

//! RSA-PSS that ring does not support: keys restricted to RSA-PSS, and salts that are not as long as the
//! hash, which openssl(1) writes by default.
//!
//! Written by hand: the rsa crate would add key generation, and advisories about secret keys, which are not
//! used here. A public key is applied to public numbers, so nothing has to run in constant time.
//!
//! # Source
//! RFC 8017, sections 8.1.2 and 9.1.2; RFC 4055 for the form of the parameters.

use std::sync::LazyLock;

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use der::asn1::UintRef;
use der::{Decode as _, Reader as _, SliceReader};
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use sha2::{Digest, Sha256, Sha384, Sha512};

/// The accepted key sizes in bits, as in ring.
const KEY_BITS: std::ops::RangeInclusive<u32> = 2048..=8192;
/// The key sizes in bits for which openssl(1) chooses the longest salt.
const USUAL_KEY_BITS: [usize; 4] = [2048, 3072, 4096, 8192];
/// The salt's length if a certificate does not give it.
const DEFAULT_SALT_BYTES: usize = 20;

/// A hash, used for the message and in the mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The last number of its object identifier, 2.16.840.1.101.3.4.2.
    fn number(self) -> u8 {
        match self {
            Self::Sha256 => 1,
            Self::Sha384 => 2,
            Self::Sha512 => 3,
        }
    }

    fn digest(self, parts: &[&[u8]]) -> Vec<u8> {
        fn of<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
            parts.iter().fold(D::new(), |digest, part| digest.chain_update(part)).finalize().to_vec()
        }
        match self {
            Self::Sha256 => of::<Sha256>(parts),
            Self::Sha384 => of::<Sha384>(parts),
            Self::Sha512 => of::<Sha512>(parts),
        }
    }
}

/// RSA-PSS with one hash, one length of salt, and one kind of keys.
#[derive(Debug)]
pub struct Pss {
    hash: Hash,
    salt: usize,
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
}

/// The algorithms that ring lacks.
pub fn algorithms() -> impl Iterator<Item = &'static Pss> {
    let is_rings = |one: &&Pss| one.key == alg_id::RSA_ENCRYPTION && one.salt == one.hash.bytes();
    TABLE.iter().filter(move |one| !is_rings(one))
}

/// The algorithm of a TLS 1.3 handshake with keys restricted to RSA-PSS: the salt has the hash's length.
pub fn of_handshake(hash: Hash, keys: Keys) -> Option<&'static Pss> {
    algorithms().find(|one| {
        let is_restricted = one.key == one.signature;
        one.hash == hash && one.salt == hash.bytes() && is_restricted == (keys == Keys::Restricted)
    })
}

/// Keys restricted to RSA-PSS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// For any hash and salt.
    Any,
    /// For one hash and salt.
    Restricted,
}

static TABLE: LazyLock<Vec<Pss>> = LazyLock::new(|| {
    let mut table = Vec::new();
    for hash in Hash::ALL {
        let longest = USUAL_KEY_BITS.map(|bits| bits / 8 - hash.bytes() - 2);
        for salt in [hash.bytes(), DEFAULT_SALT_BYTES].into_iter().chain(longest) {
            let signature = identifier(Some((hash, salt)));
            // a key can be restricted to this hash and salt, with the same parameters as the signature
            for key in [identifier(None), signature, alg_id::RSA_ENCRYPTION] {
                table.push(Pss { hash, salt, key, signature });
            }
        }
    }
    table
});

impl SignatureVerificationAlgorithm for Pss {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }

    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let (encoded, bits) = opened(key, signature).ok_or(InvalidSignature)?;
        let matches = self.encodes(&encoded, bits - 1, message);
        if matches == Some(true) { Ok(()) } else { Err(InvalidSignature) }
    }
}

impl Pss {
    /// EMSA-PSS-VERIFY: whether `encoded`, of `bits` bits, encodes a message.
    fn encodes(&self, encoded: &[u8], bits: u32, message: &[u8]) -> Option<bool> {
        let length = bits.div_ceil(8) as usize;
        // if the modulus has 8n + 1 bits, the first byte is extra
        let (left_over, encoded) = encoded.split_at_checked(encoded.len().checked_sub(length)?)?;
        let (encoded, end) = encoded.split_at_checked(length.checked_sub(1)?)?;
        let (masked, hash) = encoded.split_at_checked(encoded.len().checked_sub(self.hash.bytes())?)?;
        let unused = !(0xff_u8.checked_shr(8 * u32::try_from(length).ok()? - bits)?);
        if left_over.iter().any(|byte| *byte != 0) || end != [0xbc] || masked.first()? & unused != 0 {
            return Some(false);
        }
        let mask = (0_u32..).flat_map(|count| self.hash.digest(&[hash, &count.to_be_bytes()]));
        let mut block: Vec<u8> = masked.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
        *block.first_mut()? &= !unused;
        let (padding, salt) = block.split_at_checked(block.len().checked_sub(self.salt)?)?;
        let (one, zeros) = padding.split_last()?;
        let expected = self.hash.digest(&[&[0; 8], &self.hash.digest(&[message]), salt]);
        Some(*one == 1 && zeros.iter().all(|byte| *byte == 0) && hash == expected)
    }
}

/// RSAVP1: the number in a signature, as long as the key's modulus, and the bits of the modulus.
fn opened(key: &[u8], signature: &[u8]) -> Option<(Box<[u8]>, u32)> {
    let mut reader = SliceReader::new(key).ok()?;
    let (modulus, exponent) = reader.sequence(numbers).ok()?;
    reader.finish().ok()?;
    let [modulus, exponent] = [modulus, exponent].map(|number| number.as_bytes());
    // as in ring: the exponent has at most 33 bits, which limits the time
    if signature.len() != modulus.len() || exponent.len() > 5 || exponent == [1] {
        return None;
    }
    let modulus = Odd::new(BoxedUint::from_be_slice_vartime(modulus)).into_option()?;
    let bits = modulus.bit_width_vartime();
    let signature = BoxedUint::from_be_slice(signature, modulus.bits_precision()).ok()?;
    if !KEY_BITS.contains(&bits) || signature >= *modulus {
        return None;
    }
    let bytes = bits.div_ceil(8) as usize;
    let parameters = BoxedMontyParams::new_vartime(modulus);
    let exponent = BoxedUint::from_be_slice_vartime(exponent);
    let opened = BoxedMontyForm::new(signature, &parameters).pow(&exponent).retrieve().to_be_bytes();
    // limbs can be longer than the modulus
    let start = opened.len().checked_sub(bytes)?;
    Some((opened.get(start..)?.into(), bits))
}

/// The two numbers of a key.
fn numbers<'a>(key: &mut SliceReader<'a>) -> der::Result<(UintRef<'a>, UintRef<'a>)> {
    Ok((UintRef::decode(key)?, UintRef::decode(key)?))
}

/// `id-RSASSA-PSS`, with a hash and a salt length, or without parameters.
fn identifier(parameters: Option<(Hash, usize)>) -> AlgorithmIdentifier {
    const ID_RSASSA_PSS: [u8; 11] = [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0a];
    const ID_MGF1: [u8; 11] = [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8];
    let mut words = ID_RSASSA_PSS.to_vec();
    if let Some((hash, salt)) = parameters {
        let oid = [0x06, 9, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, hash.number(), 0x05, 0x00];
        let hash = within(0x30, &oid);
        let mask = within(0x30, &[&ID_MGF1, hash.as_slice()].concat());
        let salt: Vec<u8> = match u8::try_from(salt) {
            Ok(salt) if salt < 0x80 => vec![salt],
            _ => u16::try_from(salt).unwrap_or(u16::MAX).to_be_bytes().to_vec(),
        };
        let parts = [(0xa0, hash), (0xa1, mask), (0xa2, within(0x02, &salt))];
        let parts = parts.map(|(tag, part)| within(tag, &part)).concat();
        // a salt of 20 bytes is the default, which DER omits
        let parts = if salt == [20] { parts.get(..parts.len() - 5).unwrap_or_default() } else { &parts };
        words.extend(within(0x30, parts));
    }
    AlgorithmIdentifier::from_slice(words.leak())
}

/// A value of DER that is shorter than 128 bytes, with its tag.
fn within(tag: u8, value: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(value.len()).unwrap_or(u8::MAX)], value].concat()
}

//! Keys that signatures are checked with, from a certificate or a JWK, and the algorithms that each may be used with.
//!
//! Why a type of its own: the key says which algorithms fit, not the token, so a public key is never taken for an HMAC
//! secret, and a curve never for another (RFC 8725 section 3.1). Not here: private keys (see `auth::signing`).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use super::{Algorithm, JwsError};
use crate::auth::certificate::{Certificate, KeyMaterial};

/// Shorter ones can be factored; longer ones cost more than a signature is worth.
pub const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Bytes of a public exponent: 65537 has three.
const EXPONENT_BYTES_MAX: usize = 4;

/// Members of a JWK that no public key has.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
}

/// A public key: RSA of 2048 to 8192 bits, or on P-256 or P-384.
#[derive(Clone)]
pub struct PublicKey {
    kind: Kind,
    key: DecodingKey,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PublicKey").field(&self.kind).finish()
    }
}

impl PublicKey {
    /// The key of a certificate.
    ///
    /// # Errors
    /// [`JwsError::WeakKey`] where the key is not of an accepted kind.
    pub fn from_certificate(certificate: &Certificate) -> Result<Self, JwsError> {
        match certificate.key() {
            KeyMaterial::Rsa { modulus, exponent } => Self::rsa(modulus, exponent),
            KeyMaterial::P256(point) => Self::ec(Kind::P256, point),
            KeyMaterial::P384(point) => Self::ec(Kind::P384, point),
            KeyMaterial::Other => Err(JwsError::WeakKey),
        }
    }

    /// The key of a JWK (RFC 7517, 7518) that is for checking signatures.
    ///
    /// # Errors
    /// [`JwsError::WeakKey`] where the key is not of an accepted kind, is private, or is for something else.
    pub fn from_jwk(jwk: &Value) -> Result<Self, JwsError> {
        let jwk = jwk.as_object().ok_or(JwsError::WeakKey)?;
        let key = match text(jwk, "kty")? {
            "RSA" => Self::rsa(&unsigned(jwk, "n")?, &unsigned(jwk, "e")?)?,
            "EC" => match text(jwk, "crv")? {
                "P-256" => Self::ec(Kind::P256, &point(jwk, 32)?)?,
                "P-384" => Self::ec(Kind::P384, &point(jwk, 48)?)?,
                _ => return Err(JwsError::WeakKey),
            },
            _ => return Err(JwsError::WeakKey),
        };
        if !is_for_verifying(jwk) || !key.has_algorithm_of(jwk) {
            return Err(JwsError::WeakKey);
        }
        Ok(key)
    }

    fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, JwsError> {
        let first = modulus.first().copied().unwrap_or_default();
        let bits = (modulus.len() * 8).saturating_sub(first.leading_zeros() as usize);
        let odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
        let usual = !exponent.is_empty() && exponent.len() <= EXPONENT_BYTES_MAX && exponent != [1];
        if first == 0 || !RSA_BITS.contains(&bits) || !odd(modulus) || !odd(exponent) || !usual {
            return Err(JwsError::WeakKey);
        }
        Ok(Self { kind: Kind::Rsa, key: DecodingKey::from_rsa_raw_components(modulus, exponent) })
    }

    fn ec(kind: Kind, point: &[u8]) -> Result<Self, JwsError> {
        let expected = if kind == Kind::P256 { 65 } else { 97 };
        // Uncompressed (RFC 5480 section 2.2); whether it lies on the curve is checked with every signature.
        if point.len() != expected || point.first() != Some(&4) {
            return Err(JwsError::WeakKey);
        }
        Ok(Self { kind, key: DecodingKey::from_ec_der(point) })
    }

    #[must_use]
    pub const fn fits(&self, algorithm: Algorithm) -> bool {
        matches!(
            (self.kind, algorithm),
            (Kind::Rsa, Algorithm::Rs256 | Algorithm::Rs384)
                | (Kind::P256, Algorithm::Es256)
                | (Kind::P384, Algorithm::Es384)
        )
    }

    /// A JWK that names an algorithm is for no other (RFC 7517 section 4.4).
    fn has_algorithm_of(&self, jwk: &Map<String, Value>) -> bool {
        let named = jwk.get("alg").map(|name| name.as_str().and_then(Algorithm::parse));
        named.is_none_or(|algorithm| algorithm.is_some_and(|algorithm| self.fits(algorithm)))
    }

    pub(super) fn verify(&self, algorithm: Algorithm, signed: &[u8], signature: &str) -> Result<(), JwsError> {
        if !self.fits(algorithm) {
            return Err(JwsError::KeyMismatch);
        }
        let algorithm = match algorithm {
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::Rs384 => jsonwebtoken::Algorithm::RS384,
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::Es384 => jsonwebtoken::Algorithm::ES384,
        };
        match jsonwebtoken::crypto::verify(signature, signed, &self.key, algorithm) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(JwsError::SignatureInvalid),
        }
    }
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &str) -> Result<&'a str, JwsError> {
    jwk.get(name).and_then(Value::as_str).ok_or(JwsError::WeakKey)
}

fn unsigned(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD.decode(text(jwk, name)?).map_err(|_| JwsError::WeakKey)
}

/// The uncompressed point of `x` and `y`, each as long as the curve's field (RFC 7518 section 6.2.1.2).
fn point(jwk: &Map<String, Value>, field_bytes: usize) -> Result<Vec<u8>, JwsError> {
    let (x, y) = (unsigned(jwk, "x")?, unsigned(jwk, "y")?);
    let fits = x.len() == field_bytes && y.len() == field_bytes;
    fits.then(|| [&[4][..], &x, &y].concat()).ok_or(JwsError::WeakKey)
}

/// `use` and `key_ops` where they are given (RFC 7517 sections 4.2 and 4.3), and nothing private.
fn is_for_verifying(jwk: &Map<String, Value>) -> bool {
    let signs = jwk.get("use").is_none_or(|named| named == "sig");
    let verifies = jwk.get("key_ops").is_none_or(|operations| {
        operations.as_array().is_some_and(|operations| operations.iter().any(|operation| operation == "verify"))
    });
    signs && verifies && !PRIVATE.iter().any(|name| jwk.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(bytes: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn modulus(bits: usize) -> String {
        let mut bytes = vec![0x55; bits.div_ceil(8)];
        bytes[0] = 1 << ((bits - 1) % 8);
        of(&bytes)
    }

    #[test]
    fn keys_of_the_accepted_kinds_are_taken() {
        let x = of(&[7; 32]);
        let table = [
            (json!({"kty": "RSA", "n": modulus(2048), "e": "AQAB"}), [true, true, false, false]),
            (json!({"kty": "RSA", "n": modulus(8192), "e": "Aw", "use": "sig"}), [true, true, false, false]),
            (json!({"kty": "RSA", "n": modulus(3072), "e": "AQAB", "alg": "RS384"}), [true, true, false, false]),
            (json!({"kty": "EC", "crv": "P-256", "x": x, "y": x, "key_ops": ["verify"]}), [false, false, true, false]),
            (json!({"kty": "EC", "crv": "P-384", "x": of(&[7; 48]), "y": of(&[7; 48])}), [false, false, false, true]),
        ];
        for (jwk, expected) in table {
            let key = PublicKey::from_jwk(&jwk).unwrap();
            assert_eq!(Algorithm::ALL.map(|algorithm| key.fits(algorithm)), expected, "{jwk}");
        }
    }

    #[test]
    fn keys_of_other_kinds_are_refused() {
        let x = of(&[7; 32]);
        let table = [
            json!(null),
            json!({}),
            json!({"kty": "oct", "k": x}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": x}),
            json!({"kty": "rsa", "n": modulus(2048), "e": "AQAB"}),
            json!({"kty": "RSA", "n": modulus(1024), "e": "AQAB"}),
            json!({"kty": "RSA", "n": modulus(2047), "e": "AQAB"}),
            json!({"kty": "RSA", "n": modulus(8200), "e": "AQAB"}),
            json!({"kty": "RSA", "n": of(&[0; 256]), "e": "AQAB"}),
            json!({"kty": "RSA", "n": modulus(2048), "e": "AQ"}),
            json!({"kty": "RSA", "n": modulus(2048), "e": "Ag"}),
            json!({"kty": "RSA", "n": modulus(2048), "e": ""}),
            json!({"kty": "RSA", "n": modulus(2048), "e": "AQAAAAAB"}),
            json!({"kty": "RSA", "n": modulus(2048), "e": "AQAB", "d": "AQAB"}),
            json!({"kty": "RSA", "n": modulus(2048), "e": "AQAB", "use": "enc"}),
            json!({"kty": "RSA", "n": modulus(2048), "e": "AQAB", "key_ops": ["encrypt"]}),
            json!({"kty": "RSA", "n": modulus(2048), "e": "AQAB", "alg": "ES256"}),
            json!({"kty": "RSA", "n": modulus(2048), "e": "AQAB", "alg": "PS256"}),
            json!({"kty": "RSA", "n": modulus(2048) + "=", "e": "AQAB"}),
            json!({"kty": "EC", "crv": "P-521", "x": of(&[7; 66]), "y": of(&[7; 66])}),
            json!({"kty": "EC", "crv": "secp256k1", "x": x, "y": x}),
            json!({"kty": "EC", "crv": "P-256", "x": of(&[7; 31]), "y": x}),
            json!({"kty": "EC", "crv": "P-256", "x": of(&[7; 33]), "y": of(&[7; 31])}),
            json!({"kty": "EC", "crv": "P-256", "x": x}),
        ];
        for jwk in table {
            assert_eq!(PublicKey::from_jwk(&jwk).map(|_| ()), Err(JwsError::WeakKey), "{jwk}");
        }
    }
}

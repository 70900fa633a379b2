//! Private keys, and tokens signed with them.
//!
//! What: a [`Signer`] holds one private key, RSA or EC, and signs compact JWS; [`generate`] and [`generate_rsa`] make new keys. Why a type
//! of its own: a key is parsed once, its algorithm is fixed, and nothing prints it. Signing is aws-lc-rs's, which draws its
//! own nonces. Not here: keeping keys (see `store`), what is signed.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::certificate::{Certificate, KeyMaterial};
use super::jws::{Algorithm, JwsError, PublicKey};

/// Why a private key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    #[error("not a private key in PEM or DER")]
    Malformed,
    #[error("not an RSA key of 2048 to 8192 bits, nor a key on P-256 or P-384")]
    WeakKey,
    #[error("the algorithm does not fit the key")]
    Algorithm,
    #[error("signing failed")]
    Failed,
}

/// A new private key, PKCS#8 in DER.
pub struct PrivateKey(Vec<u8>);

impl PrivateKey {
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

/// Draws a key for ES256.
///
/// # Errors
/// Where the system has no randomness.
pub fn generate() -> Result<PrivateKey, SigningError> {
    let drawn = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    drawn.map(|key| PrivateKey(key.as_ref().to_vec())).map_err(|_| SigningError::Failed)
}

/// Draws an RSA key of 2048 bits, for RS256.
///
/// # Errors
/// Where the system has no randomness.
pub fn generate_rsa() -> Result<PrivateKey, SigningError> {
    let drawn = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| SigningError::Failed)?;
    let der: Pkcs8V1Der<'_> = drawn.as_der().map_err(|_| SigningError::Failed)?;
    Ok(PrivateKey(der.as_ref().to_vec()))
}

enum Key {
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
}

/// A private key and the name that its public half is known by.
pub struct Signer {
    pub kid: String,
    pub alg: Algorithm,
    key: Key,
    /// The public half, without `kid`, `alg` and `use`.
    jwk: Map<String, Value>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("kid", &self.kid).field("alg", &self.alg).finish_non_exhaustive()
    }
}

impl Signer {
    /// Reads a key in PEM: PKCS#8, PKCS#1 (RSA) or SEC 1 (EC). The `kid` is the key's thumbprint (RFC 7638); the algorithm
    /// is ES256, ES384 or, for RSA, RS256.
    ///
    /// # Errors
    /// Where it is no such key, or too weak.
    pub fn from_pem(pem: &str) -> Result<Self, SigningError> {
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| SigningError::Malformed)?;
        Self::from_der(key.secret_der())
    }

    /// As [`Self::from_pem`], for DER.
    ///
    /// # Errors
    /// Where it is no such key, or too weak.
    pub fn from_der(der: &[u8]) -> Result<Self, SigningError> {
        if let Ok(key) = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            return Self::ec(key, Algorithm::Es256);
        }
        if let Ok(key) = EcdsaKeyPair::from_private_key_der(&ECDSA_P384_SHA384_FIXED_SIGNING, der) {
            return Self::ec(key, Algorithm::Es384);
        }
        let key = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der));
        Self::rsa(key.map_err(|_| SigningError::Malformed)?)
    }

    fn ec(key: EcdsaKeyPair, alg: Algorithm) -> Result<Self, SigningError> {
        // Uncompressed: 4, x, y.
        let point = key.public_key().as_ref();
        let (x, y) =
            point.get(1..).and_then(|rest| rest.split_at_checked(rest.len() / 2)).ok_or(SigningError::Malformed)?;
        let curve = if alg == Algorithm::Es256 { "P-256" } else { "P-384" };
        let jwk = json!({"crv": curve, "kty": "EC", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)});
        Self::new(Key::Ec(Box::new(key)), alg, jwk)
    }

    fn rsa(key: RsaKeyPair) -> Result<Self, SigningError> {
        let public = key.public_key();
        let modulus = URL_SAFE_NO_PAD.encode(public.modulus().big_endian_without_leading_zero());
        let exponent = URL_SAFE_NO_PAD.encode(public.exponent().big_endian_without_leading_zero());
        let jwk = json!({"e": exponent, "kty": "RSA", "n": modulus});
        Self::new(Key::Rsa(Box::new(key)), Algorithm::Rs256, jwk)
    }

    fn new(key: Key, alg: Algorithm, jwk: Value) -> Result<Self, SigningError> {
        // RFC 7638: the members in the order of their names, which is the order they are written in.
        let kid = URL_SAFE_NO_PAD.encode(Sha256::digest(jwk.to_string()));
        let Value::Object(jwk) = jwk else { return Err(SigningError::Malformed) };
        let signer = Self { kid, alg, key, jwk };
        signer.public_key().map_err(|_| SigningError::WeakKey)?;
        Ok(signer)
    }

    /// The same key under another name.
    #[must_use]
    pub fn with_kid(self, kid: impl Into<String>) -> Self {
        Self { kid: kid.into(), ..self }
    }

    /// The same key with another algorithm: an RSA key may sign RS384.
    ///
    /// # Errors
    /// Where the key cannot.
    pub fn with_algorithm(self, alg: Algorithm) -> Result<Self, SigningError> {
        let fits = self.public_key().is_ok_and(|key| key.fits(alg));
        if fits { Ok(Self { alg, ..self }) } else { Err(SigningError::Algorithm) }
    }

    /// The public half (RFC 7517), as a JWK set lists it.
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        let mut jwk = self.jwk.clone();
        jwk.insert("alg".to_owned(), json!(self.alg.name()));
        jwk.insert("kid".to_owned(), json!(self.kid));
        jwk.insert("use".to_owned(), json!("sig"));
        Value::Object(jwk)
    }

    /// The public half, to check signatures with.
    ///
    /// # Errors
    /// Never for a key that was read here.
    pub fn public_key(&self) -> Result<PublicKey, JwsError> {
        PublicKey::from_jwk(&Value::Object(self.jwk.clone()))
    }

    /// Whether the certificate is about this key.
    #[must_use]
    pub fn fits(&self, certificate: &Certificate) -> bool {
        match (&self.key, certificate.key()) {
            (Key::Ec(key), KeyMaterial::P256(point) | KeyMaterial::P384(point)) => key.public_key().as_ref() == point,
            (Key::Rsa(key), KeyMaterial::Rsa { modulus, exponent }) => {
                let public = key.public_key();
                public.modulus().big_endian_without_leading_zero() == modulus
                    && public.exponent().big_endian_without_leading_zero() == exponent
            }
            _ => false,
        }
    }

    /// Signs claims as a compact JWS, with the chain of certificates where there is one (FAST Security 7.1.3).
    ///
    /// # Errors
    /// Where the library cannot sign.
    pub fn sign(
        &self,
        typ: &str,
        x5c: Option<&[Vec<u8>]>,
        claims: &Map<String, Value>,
    ) -> Result<String, SigningError> {
        let mut header = json!({"alg": self.alg.name(), "kid": self.kid, "typ": typ});
        if let Some(chain) = x5c {
            header["x5c"] = chain.iter().map(|der| STANDARD.encode(der)).collect();
        }
        let claims = serde_json::to_vec(claims).map_err(|_| SigningError::Failed)?;
        let mut token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Ec(key) => key.sign(&random, message).map(|signature| signature.as_ref().to_vec()),
            Key::Rsa(key) => {
                let padding = if self.alg == Algorithm::Rs384 { &RSA_PKCS1_SHA384 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, message, &mut signature).map(|()| signature)
            }
        }
        .map_err(|_| SigningError::Failed)
    }
}

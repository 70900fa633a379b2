//! A public key infrastructure for tests: authorities, leaves with URIs, revocation lists, in every sound and unsound form.
//!
//! What: an [`Authority`] issues authorities, leaves and revocation lists; each `_with` takes a closure that changes the
//! certificate before it is signed, so that a test makes its own kind of bad. Certificates are valid from 2020 to 2099
//! and so are lists, at [`NOW_US`] and now. Not here: what is bad about which (see the tests).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use idi_match::auth::signing::Signer;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData, RevokedCertParams, SanType, SerialNumber,
    SignatureAlgorithm, date_time_ymd,
};
use serde_json::{Value, json};

/// The moment at which tests without a clock judge: 2027-01-15.
pub const NOW_US: i64 = 1_800_000_000_000_000;

pub const NOW_S: i64 = NOW_US / 1_000_000;

/// The first byte is neither zero nor negative, so that the bytes of a number are those of its DER.
static SERIAL: AtomicU64 = AtomicU64::new(0x4000_0000_0000_0000);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RSA, 2048 bits.
    Rsa,
    P256,
    P384,
    /// Not accepted anywhere.
    P521,
    /// Not accepted anywhere.
    Ed25519,
}

impl Kind {
    pub const ACCEPTED: [Self; 3] = [Self::Rsa, Self::P256, Self::P384];

    fn algorithm(self) -> &'static SignatureAlgorithm {
        match self {
            Self::Rsa => &rcgen::PKCS_RSA_SHA256,
            Self::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Self::P521 => &rcgen::PKCS_ECDSA_P521_SHA512,
            Self::Ed25519 => &rcgen::PKCS_ED25519,
        }
    }

    pub fn generate(self) -> Arc<KeyPair> {
        Arc::new(KeyPair::generate_for(self.algorithm()).unwrap())
    }
}

/// The public half of an RSA key that is too short to be generated; nobody has the private half.
pub struct ShortRsa(Vec<u8>);

impl ShortRsa {
    pub fn new(bits: usize) -> Self {
        let mut modulus = vec![0; bits / 8 + 1];
        modulus[1..].fill(0xa5);
        let both = [element(0x02, &modulus), element(0x02, &[1, 0, 1])].concat();
        Self(element(0x30, &both))
    }
}

/// One element of DER, with the shortest form of its length.
pub fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len().to_be_bytes();
    let length = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    let form = if contents.len() < 0x80 { Vec::new() } else { vec![0x80 | u8::try_from(length.len()).unwrap()] };
    [&[tag][..], &form, length, contents].concat()
}

impl PublicKeyData for ShortRsa {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

/// A certificate authority: a root, or an intermediate.
#[derive(Clone)]
pub struct Authority {
    pub der: Vec<u8>,
    pub serial: Vec<u8>,
    pub key: Arc<KeyPair>,
    params: CertificateParams,
}

impl Authority {
    pub fn root(name: &str, kind: Kind) -> Self {
        Self::root_with(name, &kind.generate(), |_| {})
    }

    pub fn root_with(name: &str, key: &Arc<KeyPair>, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = authority_params(name);
        change(&mut params);
        let certificate = params.self_signed(key.as_ref()).unwrap();
        Self::new(&certificate, params, key)
    }

    pub fn intermediate(&self, name: &str, kind: Kind) -> Self {
        self.intermediate_with(name, &kind.generate(), |_| {})
    }

    pub fn intermediate_with(
        &self,
        name: &str,
        key: &Arc<KeyPair>,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut params = authority_params(name);
        change(&mut params);
        let certificate = params.signed_by(key.as_ref(), &self.issuer()).unwrap();
        Self::new(&certificate, params, key)
    }

    fn new(certificate: &Certificate, params: CertificateParams, key: &Arc<KeyPair>) -> Self {
        let serial = params.serial_number.as_ref().unwrap().to_bytes();
        Self { der: certificate.der().to_vec(), serial, key: Arc::clone(key), params }
    }

    /// A leaf for signing, with these URIs.
    pub fn leaf(&self, uris: &[&str], kind: Kind) -> Leaf {
        self.leaf_with(uris, &kind.generate(), |_| {})
    }

    pub fn leaf_with(&self, uris: &[&str], key: &Arc<KeyPair>, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut params = leaf_params(uris);
        change(&mut params);
        let der = params.signed_by(key.as_ref(), &self.issuer()).unwrap().der().to_vec();
        Leaf { der, serial: params.serial_number.unwrap().to_bytes(), key: Arc::clone(key) }
    }

    /// The DER of a leaf whose key nobody has.
    pub fn leaf_of(&self, uris: &[&str], key: &impl PublicKeyData) -> Vec<u8> {
        leaf_params(uris).signed_by(key, &self.issuer()).unwrap().der().to_vec()
    }

    /// The DER of an authority whose key nobody has.
    pub fn intermediate_of(&self, name: &str, key: &impl PublicKeyData) -> Vec<u8> {
        authority_params(name).signed_by(key, &self.issuer()).unwrap().der().to_vec()
    }

    /// A current revocation list with these serial numbers on it.
    pub fn crl(&self, revoked: &[&[u8]]) -> Vec<u8> {
        self.crl_with(revoked, |_| {})
    }

    pub fn crl_with(&self, revoked: &[&[u8]], change: impl FnOnce(&mut CertificateRevocationListParams)) -> Vec<u8> {
        let mut params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2099, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(|serial| revocation(serial)).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        change(&mut params);
        // An authority without cRLSign is made to sign all the same; whoever reads the list has to see it.
        let mut issuer = self.params.clone();
        issuer.key_usages.clear();
        let issuer = Issuer::new(issuer, self.key.as_ref());
        params.signed_by(&issuer).unwrap().der().to_vec()
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, self.key.as_ref())
    }
}

fn revocation(serial: &[u8]) -> RevokedCertParams {
    RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial),
        revocation_time: date_time_ymd(2021, 1, 1),
        reason_code: None,
        invalidity_date: None,
    }
}

pub fn name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2099, 1, 1);
    params.distinguished_name = name(common_name);
    params.serial_number = Some(SerialNumber::from_slice(&SERIAL.fetch_add(1, Ordering::Relaxed).to_be_bytes()));
    params.use_authority_key_identifier_extension = true;
    params
}

fn authority_params(common_name: &str) -> CertificateParams {
    let mut params = params(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf_params(uris: &[&str]) -> CertificateParams {
    let mut params = params("Leaf");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
    params
}

/// Somebody's certificate and key.
#[derive(Clone)]
pub struct Leaf {
    pub der: Vec<u8>,
    pub serial: Vec<u8>,
    pub key: Arc<KeyPair>,
}

impl Leaf {
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    pub fn signer(&self) -> Signer {
        Signer::from_der(self.key.serialized_der()).unwrap()
    }

    /// The certificates of a token of this leaf, which comes first.
    pub fn chain(&self, issuers: &[&Authority]) -> Vec<Vec<u8>> {
        [vec![self.der.clone()], issuers.iter().map(|issuer| issuer.der.clone()).collect()].concat()
    }

    /// The algorithm that the key signs with.
    pub fn algorithm(&self) -> &'static str {
        if self.key.is_compatible(&rcgen::PKCS_ECDSA_P256_SHA256) {
            "ES256"
        } else if self.key.is_compatible(&rcgen::PKCS_ECDSA_P384_SHA384) {
            "ES384"
        } else {
            "RS256"
        }
    }

    /// A token with the usual header and this chain.
    pub fn token(&self, chain: &[Vec<u8>], claims: &Value) -> String {
        let x5c: Vec<String> = chain.iter().map(|der| STANDARD.encode(der)).collect();
        self.raw_token(&json!({"alg": self.algorithm(), "x5c": x5c}).to_string(), &claims.to_string())
    }

    /// A token with whatever header and claims, rightly signed by the key.
    pub fn raw_token(&self, header: &str, claims: &str) -> String {
        self.seal(&format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims)))
    }

    /// The signature of what stands before it.
    pub fn seal(&self, signed: &str) -> String {
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.sign(self.algorithm(), signed.as_bytes())))
    }

    /// A signature as it stands in a JWS (RFC 7518 section 3).
    pub fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let (random, key) = (SystemRandom::new(), self.key.serialized_der());
        let ec = |algorithm| EcdsaKeyPair::from_pkcs8(algorithm, key).unwrap().sign(&random, message).unwrap();
        match algorithm {
            "ES256" => ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).as_ref().to_vec(),
            "ES384" => ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).as_ref().to_vec(),
            "DER" if self.algorithm() == "ES384" => ec(&signature::ECDSA_P384_SHA384_ASN1_SIGNING).as_ref().to_vec(),
            "DER" => ec(&signature::ECDSA_P256_SHA256_ASN1_SIGNING).as_ref().to_vec(),
            _ => {
                let key = RsaKeyPair::from_pkcs8(key).unwrap();
                let padding: &'static dyn signature::RsaEncoding = match algorithm {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signed = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, message, &mut signed).unwrap();
                signed
            }
        }
    }
}

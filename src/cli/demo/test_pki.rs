//! Keys and certificates for trying the gate on one machine: a test authority that nobody else trusts.
//!
//! What: one authority, a certificate of the server whose URI is its base URL, certificates of clients, and a revocation list
//! with one of them on it. All say TEST in their names, hold for a week, and lie in a directory that only its owner reads,
//! the authority's key too, so that more can be issued from it. Made anew at every start: a client is known by its URI,
//! not by its key. Not here: what each client may do (see `configuration`).

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use time::{Duration, OffsetDateTime};

use super::super::CommandError;

/// What speaks to a server of today need not be valid tomorrow week.
const VALID: Duration = Duration::days(7);
/// Clocks of one machine agree; those of its containers nearly.
const SKEW: Duration = Duration::hours(1);

/// A client of the demo: the name of its files, and its URI.
pub struct Client {
    pub name: &'static str,
    pub uri: &'static str,
}

/// A covered entity that treats people.
pub const CLINIC: Client = Client { name: "clinic", uri: "https://clinic.example/idi-match-demo" };
/// An app by which people ask for themselves.
pub const APP: Client = Client { name: "app", uri: "https://app.example/idi-match-demo" };
/// An app that the community vouches for as little as it does for anybody.
pub const NEWCOMER: Client = Client { name: "newcomer", uri: "https://newcomer.example/idi-match-demo" };
/// A client whose certificate was revoked.
pub const REVOKED: Client = Client { name: "revoked", uri: "https://revoked.example/idi-match-demo" };

/// The authority, while it issues.
struct Authority {
    params: CertificateParams,
    key: KeyPair,
    now: OffsetDateTime,
    serial: u64,
}

/// Where the files are.
pub struct TestPki {
    directory: PathBuf,
}

impl TestPki {
    /// Makes everything for the server at `base_url`.
    pub fn create(directory: PathBuf, base_url: &str, now_us: i64) -> Result<Self, CommandError> {
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let pki = Self { directory };
        let mut authority = Authority::new(now_us)?;
        let certificate = authority.params.self_signed(&authority.key).map_err(|error| failed(&error))?;
        pki.write("test-ca.pem", certificate.pem())?;
        pki.write("test-ca.key", authority.key.serialize_pem())?;
        pki.issue(&mut authority, "server", base_url)?;
        let mut revoked = Vec::new();
        for client in [&CLINIC, &APP, &NEWCOMER, &REVOKED] {
            let serial = pki.issue(&mut authority, client.name, client.uri)?;
            if client.name == REVOKED.name {
                revoked.push(serial);
            }
        }
        pki.write("test-ca.crl", authority.revocation_list(revoked)?)?;
        Ok(pki)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes a file that only its owner reads, also where another one was.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> Result<(), CommandError> {
        let path = self.file(name);
        if path.exists() {
            std::fs::remove_file(&path)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(file.write_all(contents.as_ref())?)
    }

    fn issue(&self, authority: &mut Authority, name: &str, uri: &str) -> Result<SerialNumber, CommandError> {
        // RSA: UDAP metadata is signed with RS256, which every client can check and every tool can make.
        let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).map_err(|error| failed(&error))?;
        let (pem, serial) = authority.issue(name, uri, &key)?;
        self.write(&format!("{name}.pem"), pem)?;
        self.write(&format!("{name}.key"), key.serialize_pem())?;
        Ok(serial)
    }
}

fn failed(error: &rcgen::Error) -> CommandError {
    CommandError::Failed(format!("the demo's test certificates cannot be made: {error}"))
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::OrganizationName, "idi-match demo TEST ONLY");
    distinguished.push(DnType::CommonName, name);
    distinguished
}

impl Authority {
    fn new(now_us: i64) -> Result<Self, CommandError> {
        let now = OffsetDateTime::from_unix_timestamp_nanos(i128::from(now_us) * 1000)
            .map_err(|error| CommandError::Failed(error.to_string()))?;
        let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).map_err(|error| failed(&error))?;
        // Serial numbers of another start are others: they begin with its time.
        let serial = u64::try_from(now_us).unwrap_or_default();
        let mut authority = Self { params: CertificateParams::default(), key, now, serial };
        let mut params = authority.params_for("TEST ONLY community authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority.params = params;
        Ok(authority)
    }

    fn params_for(&mut self, name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = (self.now - SKEW, self.now + VALID);
        params.distinguished_name = named(name);
        self.serial += 1;
        params.serial_number = Some(SerialNumber::from(self.serial));
        params.use_authority_key_identifier_extension = true;
        params
    }

    /// A certificate with one URI, in PEM, and its number.
    fn issue(&mut self, name: &str, uri: &str, key: &KeyPair) -> Result<(String, SerialNumber), CommandError> {
        let mut params = self.params_for(&format!("TEST ONLY {name}"));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.subject_alt_names = vec![SanType::URI(uri.try_into().map_err(|error| failed(&error))?)];
        let serial = SerialNumber::from(self.serial);
        let certificate = params.signed_by(key, &self.issuer()).map_err(|error| failed(&error))?;
        Ok((certificate.pem(), serial))
    }

    fn revocation_list(&self, revoked: Vec<SerialNumber>) -> Result<String, CommandError> {
        let entry = |serial_number| RevokedCertParams {
            serial_number,
            revocation_time: self.now - SKEW,
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: self.now - SKEW,
            next_update: self.now + VALID,
            crl_number: SerialNumber::from(self.serial),
            issuing_distribution_point: None,
            revoked_certs: revoked.into_iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer()).and_then(|list| list.pem()).map_err(|error| failed(&error))
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

//! What the files of a community hold, read and checked together.
//!
//! Every error names the option and the file. Not here: when files are read, what comes from URLs (see `communities`).

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use crate::assurance::entity::EntityType;
use crate::assurance::level::{AuthenticationLevel, IdentityLevel};
use crate::auth::certificate::Certificate;
use crate::auth::community::{Community, ConsentTerms, Member, Validator};
use crate::auth::jws::Algorithm;
use crate::auth::signing::Signer;
use crate::auth::trust::{Crl, TrustStore, UnknownRevocation};
use crate::config::communities::{self as config, Revocation};
use crate::outbound::certificates::{certificates, revocation_lists};

use super::secret_file;

const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A community as its configuration and files say.
#[derive(Debug, Clone)]
pub struct Material {
    pub community: Community,
    /// Without lists from URLs.
    pub trust: TrustStore,
    pub crls: Vec<Arc<Crl>>,
    /// The server's certificate and its intermediates, as DER.
    pub server_chain: Vec<Vec<u8>>,
    pub server_certificate: Certificate,
    pub signer: Arc<Signer>,
    /// Where lists come from: as configured, and as the certificates of the configuration say.
    pub crl_urls: BTreeSet<String>,
}

/// Why a community cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("communities.{at}.{name}: {reason}")]
pub struct MaterialError {
    at: usize,
    name: &'static str,
    reason: String,
}

/// Reads one community; `at` is its number in the configuration. Metadata is signed for `base_url`.
///
/// # Errors
/// When a file cannot be read, or does not hold what it should.
pub fn read(at: usize, configured: &config::Community, base_url: &str) -> Result<Material, MaterialError> {
    let refuse = |name, reason: &dyn Display| MaterialError { at, name, reason: reason.to_string() };
    let each = |name, files: &[String], parse: fn(&[u8]) -> Option<Vec<Vec<u8>>>| {
        let lists = files.iter().map(|file| parsed(file, parse).map_err(|reason| refuse(name, &reason)));
        Ok(lists.collect::<Result<Vec<_>, _>>()?.concat())
    };
    let anchors = each("anchors", &configured.anchors, certificates)?;
    let intermediates = each("intermediates", &configured.intermediates, certificates)?;
    let crls = each("crls", &configured.crls, revocation_lists)?;
    let crls: Result<Vec<_>, _> = crls.iter().map(|der| Crl::parse(der).map(Arc::new)).collect();
    let crls = crls.map_err(|error| refuse("crls", &error))?;
    let trust = TrustStore::new(&anchors, &intermediates).map_err(|error| refuse("anchors", &error))?;
    if let Some(at) = crls.iter().position(|crl| !trust.has_signer_of(crl)) {
        return Err(refuse("crls", &format!("list {at} is signed by none of the anchors and intermediates")));
    }
    let server_chain =
        parsed(&configured.server_cert, certificates).map_err(|reason| refuse("server_cert", &reason))?;
    let leaf = server_chain.first().and_then(|der| Certificate::parse(der).ok());
    let leaf = leaf.ok_or_else(|| refuse("server_cert", &format!("{}: not usable", configured.server_cert)))?;
    let signer = signer(&configured.server_key, &leaf).map_err(|reason| refuse("server_key", &reason))?;
    check_server(&signer, &leaf, base_url)
        .map_err(|reason| refuse("server_cert", &format!("{}: {reason}", configured.server_cert)))?;
    let issuing = trust.intermediates().iter().flat_map(Certificate::crl_urls);
    let own = server_chain.iter().filter_map(|der| Certificate::parse(der).ok());
    let mut crl_urls: BTreeSet<String> = issuing.chain(&configured.crl_urls).cloned().collect();
    crl_urls.extend(own.flat_map(|certificate| certificate.crl_urls().to_vec()));
    Ok(Material {
        community: community(at, configured)?,
        trust: trust.with_unknown_revocation(match configured.unknown_revocation {
            Revocation::Refuse => UnknownRevocation::Refuse,
            Revocation::Accept => UnknownRevocation::Accept,
        }),
        crls,
        server_chain,
        server_certificate: leaf,
        signer: Arc::new(signer),
        crl_urls,
    })
}

/// Callers refuse metadata that is signed otherwise (FAST Security 2.3): with RS256, by the key of a certificate that
/// holds the base URL.
fn check_server(signer: &Signer, leaf: &Certificate, base_url: &str) -> Result<(), &'static str> {
    if signer.alg != Algorithm::Rs256 {
        return Err("its key is not RSA; signed metadata is always signed with RS256");
    }
    if !leaf.has_uri(base_url) {
        return Err("server.base_url is not among the URIs of its subject alternative names, byte for byte");
    }
    Ok(())
}

/// A chain belongs to one community, that of its anchor: which would it be of two with the same?
///
/// # Errors
/// The second community that has an authority as anchor, by any certificate of it.
pub fn check_anchors(materials: &[Material]) -> Result<(), MaterialError> {
    for (at, material) in materials.iter().enumerate() {
        let is_same =
            |one: &Certificate, other: &Certificate| one.subject() == other.subject() && one.key() == other.key();
        let shares = |earlier: &&Material| {
            let own = material.trust.anchors();
            earlier.trust.anchors().iter().any(|anchor| own.iter().any(|own| is_same(anchor, own)))
        };
        if let Some(earlier) = materials[..at].iter().find(shares) {
            let name = &earlier.community.name;
            let reason =
                format!("the community \"{name}\" has one of these anchors too; a chain belongs to one community");
            return Err(MaterialError { at, name: "anchors", reason });
        }
    }
    Ok(())
}

/// The files that a community is read from.
pub fn files(configured: &config::Community) -> impl Iterator<Item = &String> {
    let config::Community { anchors, intermediates, crls, server_cert, server_key, .. } = configured;
    anchors.iter().chain(intermediates).chain(crls).chain([server_cert, server_key])
}

fn bytes(file: &str) -> Result<Vec<u8>, String> {
    let metadata = std::fs::metadata(file).map_err(|error| format!("{file}: {error}"))?;
    if metadata.len() > FILE_BYTES_MAX {
        return Err(format!("{file}: has more than {FILE_BYTES_MAX} bytes"));
    }
    std::fs::read(file).map_err(|error| format!("{file}: {error}"))
}

fn parsed(file: &str, parse: fn(&[u8]) -> Option<Vec<Vec<u8>>>) -> Result<Vec<Vec<u8>>, String> {
    parse(&bytes(file)?).ok_or_else(|| format!("{file}: holds nothing that can be read"))
}

fn signer(file: &str, leaf: &Certificate) -> Result<Signer, String> {
    let pem = secret_file::read(file)?;
    let signer = Signer::from_pem(&pem).map_err(|error| format!("{file}: {error}"))?;
    if signer.fits(leaf) { Ok(signer) } else { Err(format!("{file}: is not the key of server_cert")) }
}

/// The community in words that cannot be wrong; the configuration has checked them.
fn community(at: usize, configured: &config::Community) -> Result<Community, MaterialError> {
    let refuse = |name| MaterialError { at, name, reason: "is not known".to_owned() };
    let identity = |text: &str| IdentityLevel::parse(text).ok_or_else(|| refuse("identity_assurance"));
    let authentication =
        |text: &str| AuthenticationLevel::parse(text).ok_or_else(|| refuse("authentication_assurance"));
    let entity = |text: &str| EntityType::parse(text).ok_or_else(|| refuse("entity_type"));
    let entity_type = entity(&configured.entity_type)?;
    let member = |member: &config::Member| {
        Ok(Member {
            uri: member.uri.clone(),
            entity_type: member.entity_type.as_deref().map_or(Ok(entity_type), entity)?,
            identity_assurance: member.identity_assurance.as_deref().map(identity).transpose()?,
            authentication_assurance: member.authentication_assurance.as_deref().map(authentication).transpose()?,
            organization_ids: member.organization_ids.clone(),
        })
    };
    Ok(Community {
        name: configured.name.clone(),
        uri: (!configured.uri.is_empty()).then(|| configured.uri.clone()),
        is_default: configured.default,
        validator: match configured.validator {
            config::Validator::Core => Validator::Core,
            config::Validator::Tefca => Validator::Tefca,
        },
        purposes: configured.purposes.clone(),
        scopes: configured.scopes.clone(),
        identity_assurance: identity(&configured.identity_assurance)?,
        authentication_assurance: authentication(&configured.authentication_assurance)?,
        entity_type,
        members: configured.members.iter().map(member).collect::<Result<_, _>>()?,
        certifiers: configured.certifiers.clone(),
        consent: ConsentTerms {
            required: configured.consent_required.clone(),
            form: (!configured.consent_form.is_empty()).then(|| configured.consent_form.clone()),
        },
    })
}

//! Which organisation a client speaks for: whom it is bound to, and what becomes of another one that it states.
//!
//! `organization_id` of `hl7-b2b` is the client's own word (FAST Security 5.2.1.1), and the audience of identity tokens: a
//! client that could state any could use a token that was made for somebody else. What binds it is what the operator has
//! configured for the member, else the home communities of the certifications that it registered with (TEFCA Facilitated
//! FHIR SOP). Not here: judging certifications (see `auth::certification`).

use serde::{Deserialize, Serialize};

use crate::auth::certification::Certification;
use crate::auth::community::Community;
use crate::auth::error::{OAuthError, Reason, Refusal};
use crate::store::client::ClientRow;

/// How an object identifier is written as a URI; certifications may leave it out.
const OID: &str = "urn:oid:";

/// A certification as it is kept with a registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub uris: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home_community_id: Option<String>,
}

impl From<Certification> for Kept {
    fn from(read: Certification) -> Self {
        Self { uris: read.uris, home_community_id: read.home_community_id }
    }
}

/// On what the organisation of a token rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Basis {
    /// The client is bound to it.
    Bound,
    /// Nobody says which organisations are the client's.
    Stated,
}

impl Basis {
    /// The code in the audit.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::Stated => "stated",
        }
    }
}

/// Whether the client may state this organisation.
///
/// # Errors
/// `invalid_grant` where it is bound to others; `server_error` where its registration cannot be read.
pub(super) fn bind(client: &ClientRow, community: &Community, stated: &str) -> Result<Basis, Refusal> {
    let configured = community.organizations_of(&client.issuer);
    let certified = homes(client)?;
    let allowed: Vec<&str> = if configured.is_empty() {
        certified.iter().map(String::as_str).collect()
    } else {
        configured.iter().map(String::as_str).collect()
    };
    if allowed.is_empty() {
        return Ok(Basis::Stated);
    }
    if allowed.into_iter().any(|one| without_scheme(one) == without_scheme(stated)) {
        return Ok(Basis::Bound);
    }
    let text = "The organization_id of hl7-b2b is not one of this client.";
    Err(Refusal::new(OAuthError::InvalidGrant, text, Reason::OrganizationMismatch))
}

fn without_scheme(id: &str) -> &str {
    id.strip_prefix(OID).unwrap_or(id)
}

/// The home communities of accepted certifications. A registration of an earlier version has their URIs alone.
fn homes(client: &ClientRow) -> Result<Vec<String>, Refusal> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Stored {
        Whole(Kept),
        Uri(#[expect(dead_code, reason = "says that it is a text")] String),
    }
    let stored: Vec<Stored> = serde_json::from_str(&client.certifications).map_err(|_| super::internal())?;
    let homes = stored.into_iter().filter_map(|one| match one {
        Stored::Whole(kept) => kept.home_community_id,
        Stored::Uri(_) => None,
    });
    Ok(homes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::auth::grant::client_credentials::tests::{client, community};
    use crate::assurance::entity::EntityType;
    use crate::auth::community::Member;

    #[test]
    fn a_client_is_bound_to_the_configured_organisations_else_to_the_certified_ones() {
        let certified = r#"[{"uris":["urn:x:1"],"home_community_id":"2.999.5"},{"uris":["urn:x:2"]}]"#;
        let table: [(&str, &[&str], &str, Option<Basis>); 10] = [
            ("[]", &[], "urn:oid:2.999.6", Some(Basis::Stated)),
            (r#"["urn:x:1"]"#, &[], "urn:oid:2.999.6", Some(Basis::Stated)),
            (r#"[{"uris":["urn:x:1"]}]"#, &[], "urn:oid:2.999.6", Some(Basis::Stated)),
            (certified, &[], "urn:oid:2.999.5", Some(Basis::Bound)),
            (certified, &[], "urn:oid:2.999.6", None),
            (certified, &["https://org.example/7"], "https://org.example/7", Some(Basis::Bound)),
            (certified, &["https://org.example/7"], "urn:oid:2.999.5", None),
            ("[]", &["https://org.example/7", "urn:oid:2.999.6"], "urn:oid:2.999.6", Some(Basis::Bound)),
            ("[]", &["https://org.example/7"], "https://org.example/7/", None),
            ("{", &[], "urn:oid:2.999.5", None),
        ];
        for (certifications, configured, stated, expected) in table {
            let mut client = client("system/Patient.rs");
            client.certifications = certifications.to_owned();
            let mut community = community();
            community.members = vec![Member {
                uri: client.issuer.clone(),
                entity_type: EntityType::CoveredEntity,
                identity_assurance: None,
                authentication_assurance: None,
                organization_ids: configured.iter().map(|&id| id.to_owned()).collect(),
            }];
            assert_eq!(bind(&client, &community, stated).ok(), expected, "{certifications} {configured:?} {stated}");
        }
    }
}

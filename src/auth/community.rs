//! What a trust community allows: the pure part of its configuration.
//!
//! A community is a set of organisations that trust the same anchors and have agreed on purposes and on how identities are
//! proofed (FAST Security 2.4, UDAP: trust community). A registration belongs to the community whose anchor its chain
//! reaches. Not here: anchors and keys (see `trust`, `signing`), reading the configuration.

use crate::assurance::entity::EntityType;
use crate::assurance::level::{AuthenticationLevel, IdentityLevel};

/// Which further rules the community's registrations and tokens are judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Validator {
    /// FAST Security and nothing beside it.
    #[default]
    Core,
    /// TEFCA: purposes in the certificate's URI, certifications, `tefca_ias`.
    Tefca,
}

impl Validator {
    /// The code in the configuration.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Tefca => "tefca",
        }
    }

    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        [Self::Core, Self::Tefca].into_iter().find(|validator| validator.code() == code)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Community {
    pub name: String,
    /// What a client writes in the `community` parameter.
    pub uri: Option<String>,
    /// Speaks for the server when no community is named.
    pub is_default: bool,
    pub validator: Validator,
    /// Codes of purposes of use. None listed, none allowed.
    pub purposes: Vec<String>,
    pub scopes: Vec<String>,
    /// The highest level that a member's word is believed for.
    pub identity_assurance: IdentityLevel,
    pub authentication_assurance: AuthenticationLevel,
    /// Of members that are not listed.
    pub entity_type: EntityType,
    pub members: Vec<Member>,
    /// URIs of those who may certify clients; none listed, every member but the client itself.
    pub certifiers: Vec<String>,
    pub consent: ConsentTerms,
}

/// What consent a community asks for (FAST Security 5.2.1.1; TEFCA Facilitated FHIR SOP 2.0, Table 1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsentTerms {
    /// Policies of which a request must state one; none listed, none is asked for.
    pub required: Vec<String>,
    /// Where it can be given.
    pub form: Option<String>,
}

/// A member about whom more is known than about members at large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The URI in its certificate.
    pub uri: String,
    pub entity_type: EntityType,
    pub identity_assurance: Option<IdentityLevel>,
    pub authentication_assurance: Option<AuthenticationLevel>,
    /// The organisations that it may speak for; none listed, none known.
    pub organization_ids: Vec<String>,
}

/// What holds for one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    pub entity_type: EntityType,
    pub identity_assurance: IdentityLevel,
    pub authentication_assurance: AuthenticationLevel,
}

/// HL7's PurposeOfUse and TEFCA's exchange purposes, as they stand before a `#`.
const PURPOSE_SYSTEMS: [&str; 2] = ["urn:oid:2.16.840.1.113883.5.8", "urn:oid:2.16.840.1.113883.3.7204.1.5.2.1"];

/// The code of a purpose of use, written with its system or without (FAST Security 5.2.1.1 prefers the system, and does not
/// require it). `None` for a code of another system: the same letters there mean something else.
#[must_use]
pub fn purpose_code(purpose: &str) -> Option<&str> {
    let code = match purpose.split_once('#') {
        Some((system, code)) => PURPOSE_SYSTEMS.contains(&system).then_some(code)?,
        None => purpose,
    };
    let is_code = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (!code.is_empty() && code.bytes().all(is_code)).then_some(code)
}

impl Community {
    /// The terms of the member with this certificate URI, compared byte for byte (FAST Security 7.1.5).
    #[must_use]
    pub fn terms_of(&self, uri: &str) -> Terms {
        let member = self.members.iter().find(|member| member.uri == uri);
        Terms {
            entity_type: member.map_or(self.entity_type, |member| member.entity_type),
            identity_assurance: member.and_then(|member| member.identity_assurance).unwrap_or(self.identity_assurance),
            authentication_assurance: member
                .and_then(|member| member.authentication_assurance)
                .unwrap_or(self.authentication_assurance),
        }
    }

    /// The organisations that are listed for the member with this certificate URI.
    #[must_use]
    pub fn organizations_of(&self, uri: &str) -> &[String] {
        let member = self.members.iter().find(|member| member.uri == uri);
        member.map_or(&[], |member| &member.organization_ids)
    }

    /// Whether requests for this purpose are taken, whichever way both sides write it.
    #[must_use]
    pub fn allows_purpose(&self, purpose: &str) -> bool {
        let Some(code) = purpose_code(purpose) else { return false };
        self.purposes.iter().any(|allowed| purpose_code(allowed) == Some(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn community() -> Community {
        Community {
            name: "test".into(),
            uri: Some("urn:oid:1.2.3".into()),
            is_default: true,
            validator: Validator::Core,
            purposes: vec!["TREAT".into(), "urn:oid:2.16.840.1.113883.3.7204.1.5.2.1#T-IAS".into()],
            scopes: vec!["system/Patient.rs".into()],
            identity_assurance: IdentityLevel::Idial1_5,
            authentication_assurance: AuthenticationLevel::Aal1,
            entity_type: EntityType::CoveredEntity,
            certifiers: Vec::new(),
            consent: ConsentTerms::default(),
            members: vec![Member {
                uri: "https://app.example/".into(),
                entity_type: EntityType::IndividualAccess,
                identity_assurance: Some(IdentityLevel::Idial1_8),
                authentication_assurance: None,
                organization_ids: Vec::new(),
            }],
        }
    }

    #[test]
    fn a_purpose_counts_with_its_system_or_without() {
        let table = [
            ("TREAT", true),
            ("urn:oid:2.16.840.1.113883.5.8#TREAT", true),
            ("T-IAS", true),
            ("urn:oid:2.16.840.1.113883.3.7204.1.5.2.1#T-IAS", true),
            ("urn:oid:1.2.3#TREAT", false),
            ("#TREAT", false),
            ("treat", false),
            ("HPAYMT", false),
            ("TREAT ", false),
            ("", false),
        ];
        for (purpose, expected) in table {
            assert_eq!(community().allows_purpose(purpose), expected, "{purpose}");
        }
    }

    #[test]
    fn a_members_own_terms_replace_those_of_the_community() {
        let terms = community().terms_of("https://app.example/");
        assert_eq!(terms.entity_type, EntityType::IndividualAccess);
        assert_eq!(terms.identity_assurance, IdentityLevel::Idial1_8);
        assert_eq!(terms.authentication_assurance, AuthenticationLevel::Aal1);
        for stranger in ["https://app.example", "https://APP.example/", ""] {
            assert_eq!(community().terms_of(stranger).entity_type, EntityType::CoveredEntity, "{stranger}");
        }
    }
}

//! Client credentials: a client asks in its own name, and says for whom and what for (FAST Security 5.2; SMART App Launch
//! 2.2, backend services).
//!
//! What: [`decide`] makes a grant of an authenticated request; values in, decision out. Not here: verifying the assertion
//! and the identity token, storing.

use serde_json::json;

use crate::assurance::level::{AuthenticationLevel, IdentityLevel};
use crate::auth::access_token::{Grant, Holder};
use crate::auth::community::{Community, ConsentTerms, Validator, purpose_code};
use crate::auth::error::{OAuthError, Reason, Refusal};
use crate::auth::extension::{Extensions, hl7_b2b, hl7_b2b_user};
use crate::auth::id_token::IdToken;
use crate::auth::scope::{self, Level, Scopes};
use crate::auth::tefca;
use crate::store::client::ClientRow;

/// FAST Security 5.2.3: sixty minutes at most.
const LIFETIME_S: i64 = 3600;
/// SMART App Launch 2.2, backend services: five minutes are recommended.
const SMART_LIFETIME_S: i64 = 300;

/// What was asked, by an authenticated client.
#[derive(Debug)]
pub struct Asked<'a> {
    pub client: &'a ClientRow,
    /// Of the request.
    pub scope: Option<&'a str>,
    /// Of the assertion: a limit to the other.
    pub scope_limit: Option<&'a str>,
    /// A fresh id for the token.
    pub token_id: String,
    pub now_us: i64,
}

/// Decides a request of a UDAP client.
///
/// # Errors
/// `invalid_grant` for its extensions, `invalid_scope` for its scopes.
pub fn decide(
    asked: &Asked<'_>,
    community: &Community,
    extensions: &Extensions,
    id_token: Option<&IdToken>,
) -> Result<Grant, Refusal> {
    let refuse = |text, reason| Refusal::new(OAuthError::InvalidGrant, text, reason);
    // FAST Security 5.2.1: no client credentials without hl7-b2b.
    let b2b = extensions.b2b.as_ref().ok_or_else(|| {
        refuse("The assertion lacks the authorization extension hl7-b2b.", Reason::ExtensionMissing(hl7_b2b::NAME))
    })?;
    if !extensions.purposes().all(|purpose| community.allows_purpose(purpose)) {
        return Err(refuse("A purpose of use is not allowed to this client.", Reason::PurposeNotAllowed));
    }
    check_purposes_agree(extensions)?;
    if community.validator == Validator::Tefca {
        tefca::check_request(&asked.client.issuer, extensions)?;
    }
    check_consent(community, extensions)?;
    let supported = supported_scopes(&community.scopes);
    let terms = community.terms_of(&asked.client.issuer);
    Ok(Grant {
        client_id: asked.client.client_id.clone(),
        community: Some(community.name.clone()),
        organization_id: Some(b2b.organization_id.clone()),
        entity_type: Some(terms.entity_type),
        purposes: b2b.purpose_of_use.iter().filter_map(|purpose| purpose_code(purpose)).map(str::to_owned).collect(),
        scopes: scopes_of(asked, Some(&supported))?,
        // The lower of what the community vouches for and what the identity token says.
        identity_level: id_token
            .map_or(terms.identity_assurance, |token| token.identity_level().min(terms.identity_assurance)),
        authentication_level: id_token.map_or(terms.authentication_assurance, |token| {
            token.authentication_level().min(terms.authentication_assurance)
        }),
        extensions: extensions.digests.clone(),
        token_id: asked.token_id.clone(),
        expires_us: asked.now_us + LIFETIME_S * 1_000_000,
        subject: None,
        patient: None,
        holder: Holder::Client,
    })
}

/// Decides a request of a client that an operator has added: it has what it was given, and nobody vouches for more.
///
/// # Errors
/// `invalid_scope`.
pub fn decide_smart(asked: &Asked<'_>) -> Result<Grant, Refusal> {
    Ok(Grant {
        client_id: asked.client.client_id.clone(),
        community: None,
        organization_id: None,
        entity_type: None,
        purposes: Vec::new(),
        scopes: scopes_of(asked, None)?,
        identity_level: IdentityLevel::default(),
        authentication_level: AuthenticationLevel::default(),
        extensions: Default::default(),
        token_id: asked.token_id.clone(),
        expires_us: asked.now_us + SMART_LIFETIME_S * 1_000_000,
        subject: None,
        patient: None,
        holder: Holder::Client,
    })
}

/// TEFCA Facilitated FHIR SOP 2.0, Table 1: a policy of consent that the community accepts must be stated, and the refusal
/// says which, and where the consent can be given.
fn check_consent(community: &Community, extensions: &Extensions) -> Result<(), Refusal> {
    let ConsentTerms { required, form } = &community.consent;
    let is_stated = |policy: &String| extensions.consent_policies().any(|stated| stated == policy);
    if required.is_empty() || required.iter().any(is_stated) {
        return Ok(());
    }
    let mut object = json!({ "consent_required": required });
    if let Some(form) = form {
        object["consent_form"] = json!(form);
    }
    let text = "The request states no consent of the person that is accepted here.";
    let refusal = Refusal::new(OAuthError::InvalidGrant, text, Reason::ConsentRequired);
    Err(refusal.with_extensions(json!({ hl7_b2b::NAME: object })))
}

/// What `hl7-b2b-user` is for must be what the organisation asks for, or nobody knows which rules hold.
fn check_purposes_agree(extensions: &Extensions) -> Result<(), Refusal> {
    let (Some(b2b), Some(user)) = (&extensions.b2b, &extensions.b2b_user) else { return Ok(()) };
    let organisation: Vec<Option<&str>> = b2b.purpose_of_use.iter().map(|purpose| purpose_code(purpose)).collect();
    if user.purpose_of_use.iter().all(|purpose| organisation.contains(&purpose_code(purpose))) {
        return Ok(());
    }
    let text = "The purposes of hl7-b2b-user are not those of hl7-b2b.";
    Err(Refusal::new(OAuthError::InvalidGrant, text, Reason::ExtensionInvalid(hl7_b2b_user::NAME)))
}

/// What of a community's scopes a client without a user can have (FAST Security 7.3).
#[must_use]
pub fn supported_scopes(scopes: &[String]) -> Scopes {
    let read = Scopes::from_list(scopes.iter().map(String::as_str)).unwrap_or_default();
    read.at_levels(&[Level::System])
}

/// What is granted of the scopes that were asked for, or of those that are registered where none were (FAST Security 7.3).
fn scopes_of(asked: &Asked<'_>, supported: Option<&Scopes>) -> Result<Scopes, Refusal> {
    let registered = Scopes::parse(&asked.client.scope)?;
    let supported = supported.unwrap_or(&registered);
    let requested = match asked.scope.or(asked.scope_limit) {
        Some(text) => Scopes::parse(text)?,
        None => registered.clone(),
    };
    let granted = scope::grant(&requested.at_levels(&[Level::System]), &registered, supported)?;
    // UDAP JWT-Based Authorization 6.5: the assertion's own scope bounds the request's.
    match asked.scope_limit {
        Some(limit) => scope::grant(&granted, &Scopes::parse(limit)?, &granted),
        None => Ok(granted),
    }
}

#[cfg(test)]
pub(in crate::app::auth) mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::assurance::entity::EntityType;
    use crate::store::client::{ACTIVE, UDAP};

    const NOW_US: i64 = 1_800_000_000_000_000;

    pub fn client(scope: &str) -> ClientRow {
        ClientRow {
            client_id: "c1".into(),
            kind: UDAP.into(),
            state: ACTIVE.into(),
            community: "test".into(),
            issuer: "https://client.example/a".into(),
            name: "Example".into(),
            grant_types: "client_credentials".into(),
            scope: scope.into(),
            registration: "{}".into(),
            certifications: "[]".into(),
            certificate: None,
            anchor_sha256: None,
            jwks: None,
            jwks_url: None,
            created_us: 0,
            updated_us: 0,
            auth_method: "private_key_jwt".into(),
            redirect_uris: "[]".into(),
            logout_uris: "[]".into(),
            origins: "[]".into(),
            compatibility: String::new(),
        }
    }

    pub fn community() -> Community {
        Community {
            name: "test".into(),
            uri: None,
            is_default: true,
            validator: Validator::Core,
            purposes: vec!["TREAT".into(), "PATRQT".into()],
            scopes: vec!["system/Patient.rs".into(), "system/Organization.rs".into(), "user/Patient.rs".into()],
            identity_assurance: IdentityLevel::Idial1_8,
            authentication_assurance: AuthenticationLevel::Aal2,
            entity_type: EntityType::CoveredEntity,
            certifiers: Vec::new(),
            consent: ConsentTerms::default(),
            members: Vec::new(),
        }
    }

    fn asked<'a>(client: &'a ClientRow, scope: Option<&'a str>, scope_limit: Option<&'a str>) -> Asked<'a> {
        Asked { client, scope, scope_limit, token_id: "t1".into(), now_us: NOW_US }
    }

    fn b2b(purposes: &Value) -> Value {
        json!({"version": "1", "organization_id": "https://org.example", "purpose_of_use": purposes})
    }

    fn user(purposes: &Value) -> Value {
        let person = json!({
            "resourceType": "Person", "name": [{"family": "Roe", "given": ["Robin"]}], "birthDate": "1980-02-29",
            "telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "a@b.example"}],
            "address": [{"line": ["1 Main St"], "city": "Springfield", "state": "IL", "postalCode": "62701"}],
        });
        json!({"version": "1", "purpose_of_use": purposes, "user_person": person})
    }

    fn decided(extensions: &Value) -> Result<Grant, Reason> {
        let client = client("system/Patient.rs");
        let extensions = Extensions::read(Some(extensions)).expect("read");
        decide(&asked(&client, None, None), &community(), &extensions, None).map_err(|refusal| {
            assert_eq!(refusal.code, OAuthError::InvalidGrant);
            refusal.log
        })
    }

    #[test]
    fn line_31_client_credentials_need_hl7_b2b_and_purposes_that_are_allowed() {
        let treat = json!(["urn:oid:2.16.840.1.113883.5.8#TREAT"]);
        let table = [
            (json!({"hl7-b2b": b2b(&treat)}), None),
            (json!({}), Some(Reason::ExtensionMissing("hl7-b2b"))),
            (json!({"hl7-b2b-user": user(&json!(["PATRQT"]))}), Some(Reason::ExtensionMissing("hl7-b2b"))),
            (json!({"hl7-b2b": b2b(&json!(["HMARKT"]))}), Some(Reason::PurposeNotAllowed)),
            (json!({"hl7-b2b": b2b(&json!(["TREAT", "HMARKT"]))}), Some(Reason::PurposeNotAllowed)),
            (json!({"hl7-b2b": b2b(&json!(["urn:oid:9.9#TREAT"]))}), Some(Reason::PurposeNotAllowed)),
            (json!({"hl7-b2b": b2b(&json!(["PATRQT"])), "hl7-b2b-user": user(&json!(["PATRQT"]))}), None),
            (
                json!({"hl7-b2b": b2b(&treat), "hl7-b2b-user": user(&json!(["PATRQT"]))}),
                Some(Reason::ExtensionInvalid("hl7-b2b-user")),
            ),
        ];
        for (extensions, expected) in table {
            assert_eq!(decided(&extensions).err(), expected, "{extensions}");
        }
    }

    #[test]
    fn line_35_the_grant_says_who_asked_for_what_and_ends_within_the_hour() {
        let grant =
            decided(&json!({"hl7-b2b": b2b(&json!(["urn:oid:2.16.840.1.113883.5.8#TREAT"]))})).expect("granted");
        assert_eq!((grant.client_id.as_str(), grant.community.as_deref()), ("c1", Some("test")));
        assert_eq!(grant.organization_id.as_deref(), Some("https://org.example"));
        assert_eq!(grant.purposes, ["TREAT"]);
        assert_eq!(grant.entity_type, Some(EntityType::CoveredEntity));
        assert_eq!(
            (grant.identity_level, grant.authentication_level),
            (IdentityLevel::Idial1_8, AuthenticationLevel::Aal2)
        );
        assert_eq!(grant.extensions.keys().collect::<Vec<_>>(), ["hl7-b2b"]);
        assert!(grant.expires_us > NOW_US && grant.expires_us <= NOW_US + 3_600_000_000);
    }

    #[test]
    fn the_lower_of_two_levels_counts() {
        let levels = |identity: &str, authentication: &str| {
            let token = IdToken {
                issuer: "i".into(),
                subject: None,
                identity: identity.into(),
                authentication: authentication.into(),
                claims: Default::default(),
            };
            let client = client("system/Patient.rs");
            let extensions = Extensions::read(Some(&json!({"hl7-b2b": b2b(&json!(["TREAT"]))}))).expect("read");
            let grant = decide(&asked(&client, None, None), &community(), &extensions, Some(&token)).expect("granted");
            (grant.identity_level.name(), grant.authentication_level.name())
        };
        assert_eq!(levels("IDIAL1.5", "AAL1"), ("IDIAL1.5", "AAL1"));
        assert_eq!(levels("IDIAL2", "AAL3"), ("IDIAL1.8", "AAL2"));
    }

    #[test]
    fn line_36_scopes_are_cut_down_silently_and_refused_only_where_nothing_is_left() {
        type Row = (&'static str, Option<&'static str>, Option<&'static str>, Result<&'static str, Reason>);
        let table: [Row; 12] = [
            ("system/Patient.rs", None, None, Ok("system/Patient.rs")),
            ("system/Patient.rs", Some("system/Patient.rs system/Task.rs"), None, Ok("system/Patient.rs")),
            ("system/Patient.rs", Some("system/Patient.r"), None, Ok("system/Patient.r")),
            ("system/Patient.rs", Some("system/Patient.read"), None, Ok("system/Patient.read")),
            ("system/Patient.read", Some("system/Patient.rs"), None, Ok("system/Patient.rs")),
            ("system/Patient.rs", Some("system/Patient.cruds"), None, Ok("system/Patient.rs")),
            ("system/Patient.rs", Some("system/Organization.rs"), None, Err(Reason::NoScopeLeft)),
            ("system/Patient.rs", Some("system/*.rs"), None, Err(Reason::WildcardNotSupported)),
            ("system/Patient.rs user/Patient.rs", Some("user/Patient.rs"), None, Err(Reason::NoScopeLeft)),
            (
                "system/Patient.rs system/Organization.rs",
                None,
                Some("system/Organization.rs"),
                Ok("system/Organization.rs"),
            ),
            (
                "system/Patient.rs system/Organization.rs",
                Some("system/Patient.rs system/Organization.rs"),
                Some("system/Organization.r"),
                Ok("system/Organization.r"),
            ),
            ("system/Patient.rs", Some("system/Patient.rs"), Some("system/Task.rs"), Err(Reason::NoScopeLeft)),
        ];
        for (registered, scope, limit, expected) in table {
            let client = client(registered);
            let extensions = Extensions::read(Some(&json!({"hl7-b2b": b2b(&json!(["TREAT"]))}))).expect("read");
            let grant = decide(&asked(&client, scope, limit), &community(), &extensions, None);
            let scopes = grant.map(|grant| grant.scopes.to_string()).map_err(|refusal| {
                assert_eq!(refusal.code, OAuthError::InvalidScope);
                refusal.log
            });
            assert_eq!(scopes, expected.map(str::to_owned), "{registered} {scope:?} {limit:?}");
        }
    }

    #[test]
    fn line_54_a_request_without_the_consent_is_told_which_and_where() {
        let consent = ConsentTerms {
            required: vec!["urn:oid:1.2.3".to_owned(), "urn:oid:1.2.4".to_owned()],
            form: Some("https://here.example/consent".to_owned()),
        };
        let community = Community { consent, ..community() };
        let client = client("system/Patient.rs");
        let judged = |policies: Value| {
            let mut object = b2b(&json!(["TREAT"]));
            if !policies.is_null() {
                object["consent_policy"] = policies;
            }
            let extensions = Extensions::read(Some(&json!({ "hl7-b2b": object }))).expect("read");
            decide(&asked(&client, None, None), &community, &extensions, None)
        };
        assert!(judged(json!(["urn:oid:1.2.4"])).is_ok());
        for policies in [Value::Null, json!(["urn:oid:9.9"])] {
            let refusal = judged(policies).expect_err("refused");
            assert_eq!((refusal.code, refusal.log), (OAuthError::InvalidGrant, Reason::ConsentRequired));
            let told = json!({"hl7-b2b": {
                "consent_required": ["urn:oid:1.2.3", "urn:oid:1.2.4"],
                "consent_form": "https://here.example/consent",
            }});
            assert_eq!(refusal.extensions, Some(told));
        }
    }

    #[test]
    fn a_backend_service_has_what_it_was_given_for_five_minutes() {
        let client = client("system/*.rs");
        let grant = decide_smart(&asked(&client, Some("system/Patient.rs"), None)).expect("granted");
        assert_eq!((grant.scopes.to_string().as_str(), grant.expires_us), ("system/Patient.rs", NOW_US + 300_000_000));
        assert_eq!((grant.identity_level, grant.purposes.len()), (IdentityLevel::Idial1, 0));
        let refusal = decide_smart(&asked(&client, Some("system/Patient.cud"), None)).expect_err("refused");
        assert_eq!(refusal.code, OAuthError::InvalidScope);
    }
}

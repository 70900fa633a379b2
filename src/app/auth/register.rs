//! Dynamic registration of UDAP clients: new, modified, cancelled (FAST Security 3, UDAP Dynamic Client Registration 4).
//!
//! A registration is known by its community and the URI of its client, and by nothing else: the same URI in another
//! community is another client, and a renewed certificate is the same one. Of any number of requests at once the unique
//! key lets one make the client; the others modify it. Not here: the rules of statements and certifications (see `auth`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::app::context::Context;
use crate::audit::{Action, AuditRecord};
use crate::auth::certificate::Certificate;
use crate::auth::certification::{CERTIFICATIONS_MAX, Certification, Holder, check_certifier, uris_of};
use crate::auth::community::Validator;
use crate::auth::error::{OAuthError, Reason, Refusal};
use crate::auth::metadata::{Offer, certifications};
use crate::auth::scope::{self, Level, Scopes};
use crate::auth::software_statement::{
    AUTHORIZATION_CODE, Demand, PRIVATE_KEY_JWT, Redirects, Registration, SoftwareStatement, Wanted,
};
use crate::auth::trust::Chain;
use crate::auth::{jws, tefca};
use crate::fhir::json::{self, Limits};
use crate::store::client::{self, ACTIVE, CANCELLED, ClientRow, DISABLED, Inserted, UDAP};
use crate::store::replay::{self, Taken};
use crate::store::{Connection, StoreError};

use super::authorize::HTTP_REDIRECT;
use super::communities::LiveCommunity;
use super::leaf::verify_with_leaf;
use super::metadata::scopes_of;
use super::organization;
use super::{Judged, audit_of, refusal_of};

/// A statement and certifications, each with its chain.
const LIMITS: Limits =
    Limits { body_bytes_max: 512 * 1024, depth_max: 4, values_max: 1_000, string_bytes_max: 64 * 1024 };

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Registered {
    pub change: Change,
    /// The answer (RFC 7591 §3.2.1).
    pub document: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Created,
    Modified,
    Cancelled,
}

impl Change {
    /// 201 for a new client; FAST Security 3.4 recommends 200 for the others.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Created => 201,
            Self::Modified | Self::Cancelled => 200,
        }
    }
}

/// The body of a request.
struct Body {
    statement: String,
    certifications: Vec<String>,
}

/// A request whose statement holds in a community.
struct Accepted {
    community: String,
    issuer: String,
    token_id: String,
    usable_until_us: i64,
    wanted: Kept,
    /// As submitted.
    statement: String,
}

enum Kept {
    Registration(Box<Draft>),
    Cancellation,
}

/// What is stored of a registration.
struct Draft {
    registration: Registration,
    scope: String,
    /// The accepted ones: what is kept of them, and as submitted.
    certified: Vec<organization::Kept>,
    certifications: Vec<String>,
    certificate: String,
    anchor_sha256: String,
}

impl App {
    /// Answers a registration request.
    ///
    /// # Errors
    /// Those of RFC 7591 §3.2.2 and UDAP Dynamic Client Registration 5.2.
    pub fn register_client(&self, ctx: &Context, body: &[u8]) -> Result<Registered, Refusal> {
        let audit = audit_of(ctx, Action::RegisterClient);
        let accepted = match self.accept_registration(body, ctx.now_us) {
            Ok(accepted) => accepted,
            Err(refusal) => return self.end(ctx, audit, Err(refusal)),
        };
        let client_id = (ctx.clock.uuid)();
        self.commit(ctx, audit, move |unit, audit| keep(unit.conn, accepted, client_id, unit.now_us, audit))
    }

    /// Signature, chain, claims, parameters, in this order (UDAP Dynamic Client Registration 4).
    fn accept_registration(&self, body: &[u8], now_us: i64) -> Result<Accepted, Refusal> {
        let body = Body::read(body)?;
        let code = OAuthError::InvalidSoftwareStatement;
        let token = jws::parse(&body.statement).map_err(|error| error.refusal(code))?;
        let signed = verify_with_leaf(token, code)?;
        let judged = self.communities.judge(&signed.verified.header.x5c);
        let trusted = judged.map_err(|error| error.refusal(OAuthError::UnapprovedSoftwareStatement))?;
        let live = trusted.community();
        let known = self.find_registration(&live.community.name, signed.verified.claims.get("iss"))?;
        let compatibility = known.map(|row| row.compatibility).unwrap_or_default();
        let demand = Demand {
            audience: &self.authorization.endpoints.registration,
            uris: signed.leaf.uris(),
            grant_types: Offer::of(&scopes_of(live)).grant_types(),
            redirects: redirects_of(&compatibility),
            now_us,
        };
        let statement = SoftwareStatement::read(&signed.verified, &demand)?;
        if live.community.validator == Validator::Tefca {
            tefca::check_registration(&statement.issuer)?;
        }
        let SoftwareStatement { issuer, token_id, usable_until_us, wanted } = statement;
        let wanted = match wanted {
            Wanted::Cancellation => Kept::Cancellation,
            Wanted::Registration(registration) => Kept::Registration(Box::new(self.draft_of(
                live,
                &trusted.chain,
                &issuer,
                registration,
                &body,
                now_us,
            )?)),
        };
        let community = live.community.name.clone();
        Ok(Accepted { community, issuer, token_id, usable_until_us, wanted, statement: body.statement })
    }

    /// The registration that a statement could modify, for what the operator lets it leave out.
    fn find_registration(&self, community: &str, issuer: Option<&Value>) -> Result<Option<ClientRow>, Refusal> {
        let Some(issuer) = issuer.and_then(Value::as_str) else { return Ok(None) };
        let mut connection = self.connection().map_err(|error| refusal_of(&error))?;
        client::find_registration(&mut connection, community, issuer).map_err(|error| refusal_of(&error.into()))
    }

    fn draft_of(
        &self,
        live: &LiveCommunity,
        chain: &Chain,
        issuer: &str,
        registration: Registration,
        body: &Body,
        now_us: i64,
    ) -> Result<Draft, Refusal> {
        let scope = scope_of(live, &registration)?;
        let holder = Holder {
            issuer,
            parameters: &registration.parameters,
            audience: &self.authorization.endpoints.registration,
        };
        let (certified, certifications) = self.accept_certifications(live, &chain.leaf, body, &holder, now_us)?;
        Ok(Draft {
            scope,
            certified,
            certifications,
            certificate: STANDARD.encode(chain.leaf.der()),
            anchor_sha256: hexadecimal(&chain.anchor_sha256),
            registration,
        })
    }

    /// The certifications that the community knows; others are ignored, and those that it asks for must be there (FAST
    /// Security 3.3).
    fn accept_certifications(
        &self,
        live: &LiveCommunity,
        certificate: &Certificate,
        body: &Body,
        holder: &Holder<'_>,
        now_us: i64,
    ) -> Result<(Vec<organization::Kept>, Vec<String>), Refusal> {
        let known = certifications(live.community.validator);
        let (mut certified, mut texts) = (Vec::new(), Vec::new());
        for text in &body.certifications {
            let code = OAuthError::InvalidCertification;
            let token = jws::parse(text).map_err(|error| error.refusal(code))?;
            if !uris_of(&token).iter().any(|uri| known.contains(uri)) {
                continue;
            }
            let signed = verify_with_leaf(token, code)?;
            check_certifier(&signed.leaf, holder.issuer, certificate, &live.community.certifiers)?;
            let judged = self.communities.judge_in(&live.community.name, &signed.verified.header.x5c);
            judged.map_err(|error| error.refusal(OAuthError::UnapprovedCertification))?;
            let read = Certification::read(&signed.verified, signed.leaf.uris(), holder, now_us)?;
            certified.push(organization::Kept::from(read));
            texts.push(text.clone());
        }
        let is_there = |required: &str| certified.iter().any(|one| one.uris.iter().any(|uri| uri == required));
        if known.iter().all(|required| is_there(required)) {
            return Ok((certified, texts));
        }
        let text = "A certification that the community asks for is missing.";
        Err(Refusal::new(OAuthError::InvalidClientMetadata, text, Reason::CertificationMissing))
    }
}

impl Body {
    /// `{"software_statement": "…", "certifications": ["…"], "udap": "1"}`; whatever else is there is ignored (UDAP Dynamic
    /// Client Registration 3).
    fn read(body: &[u8]) -> Result<Self, Refusal> {
        let refuse = |reason| {
            let text = "The body of a registration is JSON with a software_statement and udap \"1\".";
            Refusal::new(OAuthError::InvalidClientMetadata, text, reason)
        };
        let document = json::parse(body, &LIMITS).map_err(|_| refuse(Reason::Malformed))?;
        if document.text("udap") != Some("1") {
            return Err(refuse(Reason::ParameterInvalid("udap")));
        }
        let statement = document.text("software_statement");
        let statement = statement.ok_or_else(|| refuse(Reason::ParameterMissing("software_statement")))?;
        let certifications = match document.get("certifications") {
            None => Some(Vec::new()),
            Some(json::Value::Array(items)) if items.len() <= CERTIFICATIONS_MAX => {
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect()
            }
            Some(_) => None,
        };
        let certifications = certifications.ok_or_else(|| refuse(Reason::ParameterInvalid("certifications")))?;
        Ok(Self { statement: statement.to_owned(), certifications })
    }
}

/// What of the scopes is registered; an unsupported wildcard and nothing at all are errors of the metadata (FAST Security
/// 7.3).
fn scope_of(live: &LiveCommunity, registration: &Registration) -> Result<String, Refusal> {
    let in_metadata = |refusal: Refusal| refusal.as_code(OAuthError::InvalidClientMetadata);
    let requested = Scopes::parse(&registration.scope).map_err(|error| in_metadata(error.into()))?;
    let is_of_people = registration.grant_types.iter().any(|grant| grant == AUTHORIZATION_CODE);
    let levels: &[Level] = if is_of_people { &[Level::Patient, Level::User] } else { &[Level::System] };
    let requested = requested.at_levels(levels);
    let supported = scopes_of(live);
    scope::grant(&requested, &requested, &supported).map(|granted| granted.to_string()).map_err(in_metadata)
}

/// Stores what was accepted, once.
fn keep(
    connection: &mut Connection,
    accepted: Accepted,
    client_id: String,
    now_us: i64,
    audit: &mut AuditRecord,
) -> Judged<Registered> {
    let Accepted { community, issuer, token_id, usable_until_us, wanted, statement } = accepted;
    if replay::take(connection, &issuer, &token_id, usable_until_us, now_us)? == Taken::Before {
        let text = "The software statement was used before.";
        return Ok(Err(Refusal::new(OAuthError::InvalidSoftwareStatement, text, Reason::Replayed)));
    }
    let mut known = client::find_registration(connection, &community, &issuer)?;
    if let (None, Kept::Registration(draft)) = (&known, &wanted) {
        let row = row_of(draft, client_id, community.clone(), issuer.clone(), now_us);
        if client::insert(connection, &row)? == Inserted::Done {
            audit.caller.clone_from(&row.client_id);
            audit.detail.status = Change::Created.status();
            return Ok(Ok(Registered { change: Change::Created, document: document(&row, draft, &statement) }));
        }
        // Another instance was faster, and its commit is seen now.
        known = client::find_registration(connection, &community, &issuer)?;
    }
    let Some(row) = known else { return Ok(Err(nothing_to_cancel())) };
    audit.caller.clone_from(&row.client_id);
    if row.state == DISABLED {
        let text = "The registration was disabled by the operator.";
        return Ok(Err(Refusal::new(OAuthError::UnapprovedSoftwareStatement, text, Reason::ClientDisabled)));
    }
    change(connection, row, wanted, &statement, now_us).map(Ok)
}

/// Puts a statement in place of all that an earlier one said (FAST Security 3.4).
fn change(
    connection: &mut Connection,
    row: ClientRow,
    wanted: Kept,
    statement: &str,
    now_us: i64,
) -> Result<Registered, StoreError> {
    match wanted {
        Kept::Cancellation => {
            let row = ClientRow { state: CANCELLED.to_owned(), updated_us: now_us, ..row };
            client::update(connection, &row)?;
            let document = json!({
                "client_id": row.client_id, "software_statement": statement, "grant_types": Value::Array(Vec::new()),
            });
            Ok(Registered { change: Change::Cancelled, document })
        }
        Kept::Registration(draft) => {
            let created_us = row.created_us;
            let new = row_of(&draft, row.client_id.clone(), row.community.clone(), row.issuer.clone(), now_us);
            let new = ClientRow { created_us, compatibility: row.compatibility, ..new };
            client::update(connection, &new)?;
            Ok(Registered { change: Change::Modified, document: document(&new, &draft, statement) })
        }
    }
}

fn nothing_to_cancel() -> Refusal {
    let text = "There is no registration to cancel.";
    Refusal::new(OAuthError::InvalidClientMetadata, text, Reason::ClientUnknown)
}

fn row_of(draft: &Draft, client_id: String, community: String, issuer: String, now_us: i64) -> ClientRow {
    ClientRow {
        client_id,
        kind: UDAP.to_owned(),
        state: ACTIVE.to_owned(),
        community,
        issuer,
        name: draft.registration.client_name.clone(),
        grant_types: draft.registration.grant_types.join(" "),
        scope: draft.scope.clone(),
        registration: Value::Object(draft.registration.parameters.clone()).to_string(),
        certifications: json!(draft.certified).to_string(),
        certificate: Some(draft.certificate.clone()),
        anchor_sha256: Some(draft.anchor_sha256.clone()),
        jwks: None,
        jwks_url: None,
        created_us: now_us,
        updated_us: now_us,
        auth_method: PRIVATE_KEY_JWT.to_owned(),
        redirect_uris: json!(draft.registration.redirect_uris).to_string(),
        logout_uris: "[]".to_owned(),
        origins: "[]".to_owned(),
        compatibility: String::new(),
    }
}

/// The parameters as they are registered, the statement and the accepted certifications as they were submitted; neither
/// the claims of the statement nor what has no value (FAST Security 3.2.3, UDAP Certifications 6.7).
fn document(row: &ClientRow, draft: &Draft, statement: &str) -> Value {
    let mut members: Map<String, Value> = draft.registration.parameters.clone();
    members.insert("client_id".to_owned(), json!(row.client_id));
    members.insert("scope".to_owned(), json!(draft.scope));
    members.insert("software_statement".to_owned(), json!(statement));
    if !draft.certifications.is_empty() {
        members.insert("certifications".to_owned(), json!(draft.certifications));
    }
    Value::Object(members)
}

/// What a registration may leave out, as the operator has said of the one before it.
fn redirects_of(compatibility: &str) -> Redirects {
    if compatibility.split(' ').any(|word| word == HTTP_REDIRECT) { Redirects::HttpToo } else { Redirects::Https }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_14_the_body_is_json_with_a_statement_and_the_version() {
        let table = [
            (r#"{"software_statement":"a.b.c","udap":"1"}"#, None),
            (r#"{"software_statement":"a.b.c","udap":"1","certifications":["d.e.f"],"scope":"x"}"#, None),
            ("no JSON", Some(Reason::Malformed)),
            ("[]", Some(Reason::ParameterInvalid("udap"))),
            (r#"{"software_statement":"a.b.c","software_statement":"d","udap":"1"}"#, Some(Reason::Malformed)),
            (r#"{"software_statement":"a.b.c"}"#, Some(Reason::ParameterInvalid("udap"))),
            (r#"{"software_statement":"a.b.c","udap":1}"#, Some(Reason::ParameterInvalid("udap"))),
            (r#"{"software_statement":"a.b.c","udap":"2"}"#, Some(Reason::ParameterInvalid("udap"))),
            (r#"{"udap":"1"}"#, Some(Reason::ParameterMissing("software_statement"))),
            (r#"{"software_statement":5,"udap":"1"}"#, Some(Reason::ParameterMissing("software_statement"))),
            (
                r#"{"software_statement":"a","udap":"1","certifications":"b"}"#,
                Some(Reason::ParameterInvalid("certifications")),
            ),
            (
                r#"{"software_statement":"a","udap":"1","certifications":[1]}"#,
                Some(Reason::ParameterInvalid("certifications")),
            ),
        ];
        for (body, expected) in table {
            let refusal = Body::read(body.as_bytes()).err();
            assert!(refusal.as_ref().is_none_or(|refusal| refusal.code == OAuthError::InvalidClientMetadata));
            assert_eq!(refusal.map(|refusal| refusal.log), expected, "{body}");
        }
    }
}

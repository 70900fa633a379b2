//! The authorization code: once, within a minute, by the client it was made for, with the address and the proof of its request
//! (RFC 6749 §4.1.3, RFC 7636 §4.6, SMART App Launch 2.2, FAST Security 4.2).
//!
//! A code that anybody shows is used up, whatever else is wrong: it is out. One that is shown again ends all that came of it
//! (RFC 6749 §4.1.2). Not here: making codes (see `authorize`), the tokens (see `person_tokens`).

use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::app::context::Context;
use crate::audit::{Action, Detail};
use crate::auth::authorization_request::AuthorizationRequest;
use crate::auth::error::{Reason, Refusal};
use crate::auth::oauth_form::{Form, Header};
use crate::auth::pkce;
use crate::auth::scope::Scopes;
use crate::store::token_family::{self, CodeRow, FamilyRow, Used};
use crate::store::transaction;

use super::super::account::{note_client, note_grant};
use super::super::authenticate::Authenticated;
use super::super::person_tokens::{Agreement, Family, PersonDraft, digest, keep, refused};
use super::super::token::{IssuedToken, purge};
use super::super::{audit_of, internal, refusal_of};
use super::GrantType;

/// RFC 6749 recommends ten minutes at most; an app redeems its code at once.
pub const LIFETIME_US: i64 = 60_000_000;

/// What a code stands for, as it is sealed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CodeContent {
    pub request: AuthorizationRequest,
    pub agreement: Agreement,
}

/// Where the content of a code is sealed for.
pub fn place_of_code(digest: &str) -> String {
    format!("authorization_code/{digest}")
}

/// Where what was agreed to is sealed for.
pub fn place_of_family(family_id: &str) -> String {
    format!("token_family/{family_id}")
}

/// What comes of a code: a family and its first tokens.
struct Redeemed {
    family: FamilyRow,
    tokens: PersonDraft,
}

impl App {
    /// Answers a token request with a code.
    ///
    /// # Errors
    /// `invalid_grant`, and those of who sends it.
    pub(in crate::app::auth) fn redeem_code(
        &self,
        ctx: &Context,
        pairs: &[(String, String)],
        header: &Header,
    ) -> Result<IssuedToken, Refusal> {
        let mut audit = audit_of(ctx, Action::IssueToken);
        let (client, form, code) =
            match self.read_person_request(ctx, pairs, header, GrantType::AuthorizationCode, "code") {
                Ok(read) => read,
                Err(refusal) => return self.end(ctx, audit, Err(refusal)),
            };
        audit.caller.clone_from(&client.client.client_id);
        note_client(&mut audit.detail, &client.client);
        let code = digest(code);
        let found = self.find_code(&code);
        let row = match found {
            Ok(row) => row,
            Err(refusal) => return self.end(ctx, audit, Err(refusal)),
        };
        let judged = match &row {
            Some(row) => self.redeem(ctx, &client, &form, row, &mut audit.detail),
            None => Err(refused(Reason::ParameterInvalid("code"))),
        };
        let is_due = self.purge_is_due(ctx.now_us);
        self.commit(ctx, audit, move |unit, _| {
            transaction::lock_people(unit.conn)?;
            if is_due {
                purge(unit.conn, unit.now_us)?;
            }
            if let Err(refusal) = client.take(unit.conn, unit.now_us)? {
                return Ok(Err(refusal));
            }
            if let Some(row) = &row
                && token_family::use_code(unit.conn, &row.code, unit.now_us)? == Used::Before
            {
                token_family::revoke(unit.conn, &row.family_id, unit.now_us)?;
                return Ok(Err(refused(Reason::Replayed)));
            }
            match judged {
                Ok(Redeemed { family, tokens }) => {
                    token_family::insert(unit.conn, &family)?;
                    keep(unit.conn, tokens, unit.now_us).map(Ok)
                }
                Err(refusal) => Ok(Err(refusal)),
            }
        })
    }

    /// Who sends a request for a person, and the one parameter that it is about.
    pub(in crate::app::auth) fn read_person_request<'p>(
        &self,
        ctx: &Context,
        pairs: &'p [(String, String)],
        header: &Header,
        grant_type: GrantType,
        about: &'static str,
    ) -> Result<(Authenticated, Form<'p>, &'p str), Refusal> {
        let form = Form::of(pairs)?;
        let endpoint = self.authorization.endpoints.token.as_str();
        let client = self.identify(form.sender(header)?, &[endpoint], ctx.now_us)?;
        grant_type.check_registered(&client.client)?;
        let about = form.required(about)?;
        Ok((client, form, about))
    }

    fn find_code(&self, code: &str) -> Result<Option<CodeRow>, Refusal> {
        let mut connection = self.connection().map_err(|error| refusal_of(&error))?;
        token_family::find_code(&mut connection, code).map_err(|error| refusal_of(&error.into()))
    }

    fn redeem(
        &self,
        ctx: &Context,
        client: &Authenticated,
        form: &Form<'_>,
        row: &CodeRow,
        detail: &mut Detail,
    ) -> Result<Redeemed, Refusal> {
        if row.used_us.is_some() {
            return Err(refused(Reason::Replayed));
        }
        let plain = self.sealer.open_sealed(&place_of_code(&row.code), &row.content);
        let content = plain.and_then(|plain| serde_json::from_slice::<CodeContent>(&plain).ok());
        let content = content.ok_or(refused(Reason::ParameterInvalid("code")))?;
        let is_own = row.client_id == client.client.client_id;
        judge(&content.request, form, is_own.then_some(row.expires_us), ctx.now_us)?;
        if content.request.code_challenge.is_none() {
            tracing::warn!(client.id = %row.client_id, "a code is redeemed without proof of possession, as the operator allows");
        }
        let CodeContent { request, agreement } = content;
        let scopes = Scopes::parse(&agreement.scope)?;
        let family = FamilyRow {
            family_id: row.family_id.clone(),
            client_id: row.client_id.clone(),
            account_id: agreement.signed_in.account_id.clone(),
            content: self.seal_agreement(&row.family_id, &agreement)?,
            created_us: ctx.now_us,
            expires_us: self.family_end_us(&scopes, agreement.until_us, ctx.now_us),
            revoked_us: None,
        };
        let of = Family { family_id: family.family_id.clone(), expires_us: family.expires_us };
        let tokens = self.draft_for_person(ctx, &client.client, &agreement, (scopes, request.nonce.as_deref()), of)?;
        note_grant(detail, &tokens.grant);
        Ok(Redeemed { family, tokens })
    }

    fn seal_agreement(&self, family_id: &str, agreement: &Agreement) -> Result<Vec<u8>, Refusal> {
        let plain = serde_json::to_vec(agreement).map_err(|_| internal())?;
        self.sealer.seal(&place_of_family(family_id), &plain, (self.clock.secret)()).ok_or_else(internal)
    }

    pub(in crate::app::auth) fn open_agreement(&self, family: &FamilyRow) -> Option<Agreement> {
        let plain = self.sealer.open_sealed(&place_of_family(&family.family_id), &family.content)?;
        serde_json::from_slice(&plain).ok()
    }
}

/// Whether a token request may have the code of this request; `expires_us` is none where the code is another client's.
fn judge(request: &AuthorizationRequest, form: &Form<'_>, expires_us: Option<i64>, now_us: i64) -> Result<(), Refusal> {
    match expires_us {
        None => return Err(refused(Reason::ClientUnknown)),
        Some(expires_us) if expires_us <= now_us => return Err(refused(Reason::Expired)),
        Some(_) => {}
    }
    match form.get("redirect_uri") {
        Some(uri) if uri != request.redirect_uri => return Err(refused(Reason::ParameterInvalid("redirect_uri"))),
        None if request.is_uri_named => return Err(refused(Reason::ParameterMissing("redirect_uri"))),
        _ => {}
    }
    match (&request.code_challenge, form.get("code_verifier")) {
        (Some(challenge), Some(verifier)) if pkce::is_verified(challenge, verifier) => Ok(()),
        (Some(_), None) => Err(refused(Reason::ParameterMissing("code_verifier"))),
        (None, None) => Ok(()),
        // A verifier without a challenge: somebody has taken the challenge out of the request (RFC 9700 §4.8.2).
        _ => Err(refused(Reason::ParameterInvalid("code_verifier"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::authorization_request::Prompt;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const URI: &str = "https://app.example/cb";

    fn request(code_challenge: Option<&str>, is_uri_named: bool) -> AuthorizationRequest {
        AuthorizationRequest {
            client_id: "c1".into(),
            redirect_uri: URI.into(),
            is_uri_named,
            scope: "openid".into(),
            state: "s".into(),
            code_challenge: code_challenge.map(str::to_owned),
            nonce: None,
            prompt: Prompt::Needed,
            max_age_s: None,
            started_us: 0,
        }
    }

    #[test]
    fn line_25_a_code_needs_its_client_its_minute_its_address_and_its_proof() {
        let good = [("redirect_uri", URI), ("code_verifier", VERIFIER)];
        let (with, without) = (request(Some(CHALLENGE), true), request(None, true));
        let table = [
            (&with, &good[..], Some(10), None),
            (&with, &good[..], None, Some(Reason::ClientUnknown)),
            (&with, &good[..], Some(5), Some(Reason::Expired)),
            (&with, &good[1..], Some(10), Some(Reason::ParameterMissing("redirect_uri"))),
            (
                &with,
                &[("redirect_uri", "https://app.example/cb/"), good[1]][..],
                Some(10),
                Some(Reason::ParameterInvalid("redirect_uri")),
            ),
            (&with, &good[..1], Some(10), Some(Reason::ParameterMissing("code_verifier"))),
            (
                &with,
                &[good[0], ("code_verifier", CHALLENGE)][..],
                Some(10),
                Some(Reason::ParameterInvalid("code_verifier")),
            ),
            (&without, &good[..1], Some(10), None),
            (&without, &good[..], Some(10), Some(Reason::ParameterInvalid("code_verifier"))),
        ];
        for (request, parameters, expires_us, expected) in table {
            let pairs: Vec<(String, String)> =
                parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let form = Form::of(&pairs).expect("a form");
            let refused = judge(request, &form, expires_us, 5).err().map(|refusal| refusal.log);
            assert_eq!(refused, expected, "{parameters:?}");
        }
        let unnamed = request(Some(CHALLENGE), false);
        let pairs = [("code_verifier".to_owned(), VERIFIER.to_owned())];
        assert!(judge(&unnamed, &Form::of(&pairs).expect("a form"), Some(10), 5).is_ok());
    }
}

//! The refresh token: exchanged for the next one each time, until the family ends (RFC 6749 §6, RFC 9700 §4.14.2, FAST
//! Security 4.3).
//!
//! One that was exchanged before is in two hands, and nobody knows whose: the whole family ends. Of two requests at once one
//! has the token, at whichever instances they are. Not here: the tokens (see `person_tokens`).

use crate::app::App;
use crate::app::context::Context;
use crate::audit::{Action, AuditRecord};
use crate::auth::error::{Reason, Refusal};
use crate::auth::oauth_form::{Form, Header, Sender};
use crate::auth::scope::{self, Plain, Scopes};
use crate::store::client::ClientRow;
use crate::store::token_family::{self, FamilyRow, RefreshRow, Used};
use crate::store::transaction;

use super::super::account::{note_client, note_grant};
use super::super::authenticate::Authenticated;
use super::super::authorize::offer::{needs_patient, of_account};
use super::super::person_tokens::{Agreement, Family, PersonDraft, digest, keep, refused};
use super::super::token::{IssuedToken, purge};
use super::super::{audit_of, refusal_of};
use super::GrantType;

/// What is done with a token that was shown.
enum Shown {
    /// It is nobody's.
    Unknown,
    /// It is in the wrong hands.
    Stolen(FamilyRow),
    Exchanged {
        token: RefreshRow,
        draft: Box<PersonDraft>,
    },
    /// Whom it was for is not known to be the same person any more.
    Over(FamilyRow, Refusal),
    /// The request is refused, and the token is as good as before.
    Refused(Refusal),
}

impl App {
    /// Answers a token request with a refresh token.
    ///
    /// # Errors
    /// `invalid_grant`, `invalid_scope`, and those of who sends it.
    pub(in crate::app::auth) fn refresh(
        &self,
        ctx: &Context,
        pairs: &[(String, String)],
        header: &Header,
    ) -> Result<IssuedToken, Refusal> {
        let mut audit = audit_of(ctx, Action::IssueToken);
        let read = self.read_refresh(ctx, pairs, header);
        let (client, form, token) = match read {
            Ok(read) => read,
            Err(refusal) => return self.end(ctx, audit, Err(refusal)),
        };
        audit.caller.clone_from(&client.client.client_id);
        note_client(&mut audit.detail, &client.client);
        let shown = match self.find_refresh(token) {
            Ok(Some((token, family))) => self.exchange(ctx, &client, form.get("scope"), (token, family), &mut audit),
            Ok(None) => Shown::Unknown,
            Err(refusal) => return self.end(ctx, audit, Err(refusal)),
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
            let family_id = match shown {
                Shown::Unknown => return Ok(Err(refused(Reason::ParameterInvalid("refresh_token")))),
                Shown::Refused(refusal) => return Ok(Err(refusal)),
                Shown::Over(family, refusal) => {
                    token_family::revoke(unit.conn, &family.family_id, unit.now_us)?;
                    return Ok(Err(refusal));
                }
                Shown::Exchanged { token, draft } => {
                    if token_family::use_refresh(unit.conn, &token.token, unit.now_us)? == Used::Now {
                        return keep(unit.conn, *draft, unit.now_us).map(Ok);
                    }
                    token.family_id
                }
                Shown::Stolen(family) => family.family_id,
            };
            tracing::warn!(family.id = %family_id, "a refresh token was shown that was used before, or by another client: its family ends");
            token_family::revoke(unit.conn, &family_id, unit.now_us)?;
            Ok(Err(refused(Reason::Replayed)))
        })
    }

    /// Who shows a refresh token, and the token. A public client need not name itself (RFC 6749 §6; SMART App Launch 2.2, use
    /// of a refresh token); it is then the one that the token was issued to.
    fn read_refresh<'p>(
        &self,
        ctx: &Context,
        pairs: &'p [(String, String)],
        header: &Header,
    ) -> Result<(Authenticated, Form<'p>, &'p str), Refusal> {
        let form = Form::of(pairs)?;
        if !form.is_nameless(header) {
            return self.read_person_request(ctx, pairs, header, GrantType::RefreshToken, "refresh_token");
        }
        let token = form.required("refresh_token")?;
        let (_, family) = self.find_refresh(token)?.ok_or(refused(Reason::ParameterInvalid("refresh_token")))?;
        let client = self.identify(Sender::Named(&family.client_id), &[], ctx.now_us)?;
        GrantType::RefreshToken.check_registered(&client.client)?;
        Ok((client, form, token))
    }

    /// The refresh token that somebody shows, and its family.
    ///
    /// # Errors
    /// `temporarily_unavailable` when the database does not answer.
    pub(in crate::app::auth) fn find_refresh(&self, token: &str) -> Result<Option<(RefreshRow, FamilyRow)>, Refusal> {
        let mut connection = self.connection().map_err(|error| refusal_of(&error))?;
        token_family::find_refresh(&mut connection, &digest(token)).map_err(|error| refusal_of(&error.into()))
    }

    fn exchange(
        &self,
        ctx: &Context,
        client: &Authenticated,
        scope: Option<&str>,
        (token, family): (RefreshRow, FamilyRow),
        audit: &mut AuditRecord,
    ) -> Shown {
        if token.used_us.is_some() || family.client_id != client.client.client_id {
            return Shown::Stolen(family);
        }
        match self.exchanged(ctx, client, scope, &family, audit) {
            Ok(draft) => Shown::Exchanged { token, draft: Box::new(draft) },
            Err(refusal) if refusal.log == Reason::NoRecord => Shown::Over(family, refusal),
            Err(refusal) => Shown::Refused(refusal),
        }
    }

    fn exchanged(
        &self,
        ctx: &Context,
        client: &Authenticated,
        scope: Option<&str>,
        family: &FamilyRow,
        audit: &mut AuditRecord,
    ) -> Result<PersonDraft, Refusal> {
        if family.revoked_us.is_some() {
            return Err(refused(Reason::TokenRevoked));
        }
        if family.expires_us <= ctx.now_us {
            return Err(refused(Reason::Expired));
        }
        let agreement = self.open_agreement(family).ok_or(refused(Reason::ParameterInvalid("refresh_token")))?;
        let agreement = self.as_of_now(ctx, &client.client, agreement, audit)?;
        let scopes = narrowed(&Scopes::parse(&agreement.scope)?, scope)?;
        let of = Family { family_id: family.family_id.clone(), expires_us: family.expires_us };
        // OpenID Connect Core 12.2: the nonce is of the first token.
        let draft = self.draft_for_person(ctx, &client.client, &agreement, (scopes, None), of)?;
        note_grant(&mut audit.detail, &draft.grant);
        Ok(draft)
    }

    /// What of an agreement holds now: what is registered, supported and for the account's kind by now, about the person who is
    /// found again.
    fn as_of_now(
        &self,
        ctx: &Context,
        client: &ClientRow,
        agreement: Agreement,
        audit: &mut AuditRecord,
    ) -> Result<Agreement, Refusal> {
        let account = self.account_signed_in(&agreement.signed_in)?;
        let scopes = of_account(&agreement.scope, client, &self.supported_for(client), account.kind)?;
        let own = match &agreement.own {
            Some(bound) => self.find_own_record_again(ctx, &account, &agreement.signed_in, bound, audit),
            None => Ok(None),
        };
        let own = own.map_err(|error| refusal_of(&error))?;
        if own.is_none() && needs_patient(&scopes) {
            return Err(refused(Reason::NoRecord));
        }
        audit.detail.records.extend(own.iter().map(|own| own.record_id.clone()));
        let scopes = if own.is_some() { scopes } else { scopes.without(Plain::FhirUser) };
        Ok(Agreement { scope: scopes.to_string(), own, ..agreement })
    }
}

/// What of the scopes that were agreed to the request wants; all where it says nothing (RFC 6749 §6).
fn narrowed(agreed: &Scopes, scope: Option<&str>) -> Result<Scopes, Refusal> {
    let Some(text) = scope else { return Ok(agreed.clone()) };
    let granted = scope::grant(&Scopes::parse(text)?, agreed, agreed)?;
    // Without `openid` nothing is said of who the person is.
    Ok(if granted.holds(Plain::OpenId) { granted } else { granted.without(Plain::FhirUser).without(Plain::Profile) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_gives_less_and_never_more_than_was_agreed_to() {
        let agreed = Scopes::parse("openid fhirUser offline_access patient/Patient.rs").expect("scopes");
        let table = [
            (None, Some("openid fhirUser offline_access patient/Patient.rs")),
            (Some("patient/Patient.r"), Some("patient/Patient.r")),
            (Some("patient/Patient.cruds"), Some("patient/Patient.rs")),
            (Some("patient/Patient.rs fhirUser"), Some("patient/Patient.rs")),
            (Some("openid fhirUser"), Some("openid fhirUser")),
            (Some("patient/Observation.rs"), None),
            (Some("user/Patient.rs"), None),
            (Some("patient/*.rs"), None),
        ];
        for (scope, expected) in table {
            let granted = narrowed(&agreed, scope).ok().map(|scopes| scopes.to_string());
            assert_eq!(granted.as_deref(), expected, "{scope:?}");
        }
    }
}

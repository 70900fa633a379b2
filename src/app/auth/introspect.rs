//! Introspection: what a token grants, told to the client that it was issued to (RFC 7662; SMART App Launch 2.2).
//!
//! Who asks authenticates as at the token endpoint, or shows an access token of its own. Of a token of somebody else, and
//! of what is no token, the answer is the same: not active. Not here: reading tokens (see `verify`).

use serde_json::{Value, json};

use crate::app::App;
use crate::app::context::Context;
use crate::audit::{Action, Detail};
use crate::auth::access_token::Grant;
use crate::auth::error::Refusal;
use crate::auth::oauth_form::{Form, Header};

use super::account::{note_client, note_grant};
use super::audit_of;
use super::authenticate::Authenticated;

/// Who asks.
enum Asker {
    /// By an assertion, which is used up.
    Client(Box<Authenticated>),
    /// By an access token.
    Bearer(Box<Grant>),
}

impl Asker {
    fn client_id(&self) -> &str {
        match self {
            Self::Client(client) => &client.client.client_id,
            Self::Bearer(grant) => &grant.client_id,
        }
    }

    fn note(&self, detail: &mut Detail) {
        match self {
            Self::Client(client) => note_client(detail, &client.client),
            Self::Bearer(grant) => note_grant(detail, grant),
        }
    }
}

impl App {
    /// Answers an introspection request.
    ///
    /// # Errors
    /// Those of RFC 6749 §5.2, `invalid_token` for who shows a token that is not accepted.
    pub fn introspect_token(
        &self,
        ctx: &Context,
        pairs: &[(String, String)],
        header: &Header,
    ) -> Result<Value, Refusal> {
        let mut audit = audit_of(ctx, Action::IntrospectToken);
        let (asker, token) = match self.read_introspection(ctx, pairs, header) {
            Ok(read) => read,
            Err(refusal) => return self.end(ctx, audit, Err(refusal)),
        };
        asker.client_id().clone_into(&mut audit.caller);
        let granted = self.verify_access_token(token, ctx.now_us).ok().map(|granted| granted.grant);
        let described =
            if granted.is_none() { self.describe_refresh(token, asker.client_id(), ctx.now_us) } else { Ok(None) };
        let refresh = match described {
            Ok(refresh) => refresh,
            Err(refusal) => return self.end(ctx, audit, Err(refusal)),
        };
        asker.note(&mut audit.detail);
        if let Some(grant) = &granted {
            audit.detail.token = Some(grant.token_id.clone());
        }
        let own = granted.filter(|grant| grant.client_id == asker.client_id());
        if let Some(grant) = &own {
            note_grant(&mut audit.detail, grant);
        }
        let answer = own.map(|grant| self.describe(&grant)).or(refresh).unwrap_or_else(|| json!({ "active": false }));
        match asker {
            Asker::Bearer(_) => self.end(ctx, audit, Ok(answer)),
            Asker::Client(client) => {
                self.commit(ctx, audit, move |unit, _| Ok(client.take(unit.conn, unit.now_us)?.map(|()| answer)))
            }
        }
    }

    fn read_introspection<'p>(
        &self,
        ctx: &Context,
        pairs: &'p [(String, String)],
        header: &Header,
    ) -> Result<(Asker, &'p str), Refusal> {
        let form = Form::of(pairs)?;
        let asker = match header {
            Header::Bearer(token) => Asker::Bearer(Box::new(self.verify_access_token(token, ctx.now_us)?.grant)),
            _ => {
                let endpoints = &self.authorization.endpoints;
                let audience = [endpoints.token.as_str(), endpoints.introspection.as_str()];
                let client = self.authenticate(form.credentials(header)?, &audience, ctx.now_us)?;
                Asker::Client(Box::new(client))
            }
        };
        Ok((asker, form.required("token")?))
    }

    /// What a refresh token of this client is for; none that was used, revoked or has expired.
    fn describe_refresh(&self, token: &str, client_id: &str, now_us: i64) -> Result<Option<Value>, Refusal> {
        let Some((row, family)) = self.find_refresh(token)? else { return Ok(None) };
        let stands = row.used_us.is_none() && family.revoked_us.is_none() && family.expires_us > now_us;
        let agreement = self.open_agreement(&family).filter(|_| stands && family.client_id == client_id);
        Ok(agreement.map(|agreement| {
            json!({
                "active": true,
                "scope": agreement.scope,
                "client_id": client_id,
                "token_type": "refresh_token",
                "exp": family.expires_us.div_euclid(1_000_000),
                "sub": agreement.signed_in.account_id,
                "iss": self.authorization.endpoints.issuer,
                "patient": agreement.own.map(|own| own.record_id),
            })
        }))
    }

    fn describe(&self, grant: &Grant) -> Value {
        let endpoints = &self.authorization.endpoints;
        let mut document = json!({
            "active": true,
            "scope": grant.scopes.to_string(),
            "client_id": grant.client_id,
            "token_type": "Bearer",
            "exp": grant.expires_us.div_euclid(1_000_000),
            "sub": grant.subject.as_ref().unwrap_or(&grant.client_id),
            "iss": endpoints.issuer,
            "aud": endpoints.base,
            "jti": grant.token_id,
        });
        // SMART App Launch 2.2: the launch context of the token response, and who has signed in.
        if let Some(patient) = &grant.patient {
            document["patient"] = json!(patient);
        }
        if let Some(fhir_user) = self.fhir_user(grant) {
            document["fhirUser"] = json!(fhir_user);
        }
        document
    }
}

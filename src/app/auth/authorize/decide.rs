//! What comes next for a request: signing in, the question, or the way back to the app; and the person's answer.
//!
//! Consent is asked for every time, and may be skipped by an app that may show nothing (`prompt=none`) and has it already. A
//! grant about a patient needs the person's own record; without one the app is told that access is denied and the audit
//! why. Not here: pages (see `web`).

use crate::app::App;
use crate::app::context::Context;
use crate::app::people::account::{Account, AccountState};
use crate::audit::{Action, AuditRecord};
use crate::auth::authentication::Authentication;
use crate::auth::authorization_request::{AuthorizationRequest, Prompt};
use crate::auth::error::{OAuthError, Reason, Refusal};
use crate::auth::open_id::SignedIn;
use crate::auth::redirect_uri::{self, Kind, form_action, shown_host, with_answer};
use crate::auth::scope::{Plain, Scopes};
use crate::store::client::{ClientRow, SMART};
use crate::store::consent::{self, ConsentRow, Held};
use crate::store::token_family::{self, CodeRow};
use crate::store::transaction;

use super::super::account::note_client;
use super::super::grant::authorization_code::{CodeContent, LIFETIME_US, place_of_code};
use super::super::person_tokens::{Agreement, Drawn};
use super::super::{audit_of, internal, refusal_of};
use super::offer::{needs_patient, of_account};

/// What comes next.
#[derive(Debug, Clone)]
pub enum Next {
    /// The person signs in, and comes back with the same handle.
    SignIn,
    /// The person is asked.
    Ask(Box<Question>),
    /// The person goes back to the app.
    Address(String),
    /// The person is told that nothing can be granted, and goes back to the app by a link: who has just sent the form to
    /// sign in is not led elsewhere by a browser that holds redirects to that form's policy.
    Tell(String),
}

/// What a person is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The app, as it is registered.
    pub app: String,
    /// Where the answer goes.
    pub host: String,
    /// What the page must allow forms to lead to.
    pub form_action: Vec<String>,
    pub known_by: KnownBy,
    pub scopes: Scopes,
    /// How long the app may go on without the person, in days.
    pub offline_days: Option<u64>,
}

/// Why an app is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownBy {
    Operator,
    /// It has registered itself as a member of this trust community.
    Community(String),
}

impl KnownBy {
    #[must_use]
    pub fn of(client: &ClientRow) -> Self {
        if client.kind == SMART { Self::Operator } else { Self::Community(client.community.clone()) }
    }
}

/// What a person answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Allow,
    Deny,
}

/// When the person agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agreed {
    Now,
    /// On a page that said that it holds until then.
    Before {
        granted_us: i64,
        until_us: i64,
    },
}

/// A request, its client and who answers.
struct Asked {
    request: AuthorizationRequest,
    client: ClientRow,
    account: Account,
    signed_in: SignedIn,
    scopes: Scopes,
}

impl App {
    /// What comes next for the request behind a handle, given who has signed in.
    ///
    /// # Errors
    /// What the person is told where nobody can be sent back.
    pub fn continue_authorization(
        &self,
        ctx: &Context,
        handle: &str,
        signed_in: Option<&Authentication>,
    ) -> Result<Next, Refusal> {
        let mut audit = audit_of(ctx, Action::Authorize);
        let (request, client) = match self.open_with_client(ctx, handle, &mut audit) {
            Ok(opened) => opened,
            Err(refusal) => return self.end(ctx, audit, Err(refusal)),
        };
        let fresh = signed_in.filter(|one| !request.wants_sign_in(one.time_us, ctx.now_us));
        let Some(signed_in) = fresh else {
            if request.prompt == Prompt::None {
                let text = "Nobody is signed in, and nothing may be shown.";
                return self.send_back(
                    ctx,
                    audit,
                    &request,
                    Refusal::new(OAuthError::LoginRequired, text, Reason::NotSignedIn),
                );
            }
            return self.end(ctx, audit, Ok(Next::SignIn));
        };
        let asked = match self.asked(request.clone(), client, signed_in) {
            Ok(asked) => asked,
            Err(refusal) => return self.tell_person(ctx, audit, &request, refusal),
        };
        audit.detail.user = Some(asked.account.account_id.clone());
        if request.prompt != Prompt::None {
            return self.end(ctx, audit, Ok(Next::Ask(Box::new(self.question(&asked)))));
        }
        match self.agreed_before(ctx, &asked) {
            Ok(Some(agreed)) => self.allow(ctx, audit, asked, agreed),
            Ok(None) => self.send_back(ctx, audit, &request, NOT_AGREED),
            Err(refusal) => self.end(ctx, audit, Err(refusal)),
        }
    }

    /// Takes the person's answer.
    ///
    /// # Errors
    /// What the person is told where nobody can be sent back.
    pub fn answer_authorization(
        &self,
        ctx: &Context,
        handle: &str,
        signed_in: &Authentication,
        answer: Answer,
    ) -> Result<Next, Refusal> {
        let mut audit = audit_of(ctx, Action::Authorize);
        let (request, client) = match self.open_with_client(ctx, handle, &mut audit) {
            Ok(opened) => opened,
            Err(refusal) => return self.end(ctx, audit, Err(refusal)),
        };
        if request.wants_sign_in(signed_in.time_us, ctx.now_us) {
            return self.end(ctx, audit, Ok(Next::SignIn));
        }
        audit.detail.user = Some(signed_in.subject.clone());
        let asked = match (answer, self.asked(request.clone(), client, signed_in)) {
            (Answer::Deny, _) => {
                let refusal = Refusal::new(OAuthError::AccessDenied, DENIED, Reason::Denied);
                return self.send_back(ctx, audit, &request, refusal);
            }
            (Answer::Allow, Ok(asked)) => asked,
            (Answer::Allow, Err(refusal)) => return self.send_back(ctx, audit, &request, refusal),
        };
        self.allow(ctx, audit, asked, Agreed::Now)
    }

    fn open_with_client(
        &self,
        ctx: &Context,
        handle: &str,
        audit: &mut AuditRecord,
    ) -> Result<(AuthorizationRequest, ClientRow), Refusal> {
        let request = self.open_request(handle, ctx.now_us)?;
        let client = self.find_active_client(&request.client_id);
        let client = client.map_err(|refusal| refusal.as_code(OAuthError::InvalidRequest))?;
        audit.caller.clone_from(&client.client_id);
        note_client(&mut audit.detail, &client);
        // The registration may have changed since.
        let uris = ClientRow::uris(&client.redirect_uris);
        if uris.iter().any(|uri| redirect_uri::is_same(uri, &request.redirect_uri)) {
            return Ok((request, client));
        }
        let text = "The app's registration has changed. Go back to the app and begin again.";
        Err(Refusal::new(OAuthError::InvalidRequest, text, Reason::ParameterInvalid("redirect_uri")))
    }

    fn asked(
        &self,
        request: AuthorizationRequest,
        client: ClientRow,
        signed_in: &Authentication,
    ) -> Result<Asked, Refusal> {
        let account = self.account(&signed_in.subject).map_err(|error| refusal_of(&error))?;
        let account = account.filter(|account| account.state == AccountState::Active);
        let account = account.ok_or(Refusal::new(OAuthError::AccessDenied, DENIED, Reason::AccountNotUsable))?;
        let scopes = of_account(&request.scope, &client, &self.supported_for(&client), account.kind)?;
        Ok(Asked { request, client, account, signed_in: SignedIn::from(signed_in), scopes })
    }

    fn question(&self, asked: &Asked) -> Question {
        let Asked { request, client, scopes, .. } = asked;
        let is_offline = super::super::person_tokens::is_offline(scopes);
        Question {
            app: client.name.clone(),
            host: shown_host(&request.redirect_uri).to_owned(),
            form_action: form_action(&request.redirect_uri),
            known_by: KnownBy::of(client),
            scopes: scopes.clone(),
            offline_days: is_offline.then_some(self.config.auth.refresh_days),
        }
    }

    /// Whether all of it was agreed to before, where that is not over and nobody else can receive the answer: of an app
    /// without a key, only its https address says who it is (RFC 8252 §8.6).
    fn agreed_before(&self, ctx: &Context, asked: &Asked) -> Result<Option<Agreed>, Refusal> {
        let is_proven =
            !asked.client.is_public() || redirect_uri::kind_of(&asked.request.redirect_uri) == Some(Kind::Https);
        let mut connection = self.connection().map_err(|error| refusal_of(&error))?;
        let found = consent::find(&mut connection, &asked.account.account_id, &asked.client.client_id);
        let found = found.map_err(|error| refusal_of(&error.into()))?;
        let agreed = found.and_then(|row| {
            let agreed = Scopes::parse(&row.scope).ok().filter(|agreed| asked.scopes.is_within(agreed))?;
            let until_us = self.agreed_until_us(&agreed, row.granted_us);
            (is_proven && until_us > ctx.now_us).then_some(Agreed::Before { granted_us: row.granted_us, until_us })
        });
        Ok(agreed)
    }

    /// Makes the code and sends the person back with it. What was agreed to before is not agreed to anew.
    fn allow(&self, ctx: &Context, mut audit: AuditRecord, asked: Asked, agreed: Agreed) -> Result<Next, Refusal> {
        let request = asked.request.clone();
        let agreement = match self.agreement(ctx, &asked, agreed, &mut audit) {
            Ok(agreement) => agreement,
            Err(refusal) => return self.send_back(ctx, audit, &request, refusal),
        };
        let consent = (agreed == Agreed::Now).then(|| ConsentRow {
            account_id: asked.account.account_id,
            client_id: asked.client.client_id,
            scope: agreement.scope.clone(),
            granted_us: ctx.now_us,
        });
        let drawn = Drawn::of((ctx.clock.secret)());
        let content = CodeContent { request: request.clone(), agreement };
        let row = match self.code_row(ctx, &drawn, &content) {
            Ok(row) => row,
            Err(refusal) => return self.end(ctx, audit, Err(refusal)),
        };
        let issuer = self.authorization.endpoints.issuer.as_str();
        let answer = [("code", drawn.text.as_str()), ("state", request.state.as_str()), ("iss", issuer)];
        let location = with_answer(&request.redirect_uri, &answer);
        let done = self.commit(ctx, audit, move |unit, _| {
            transaction::lock_people(unit.conn)?;
            if let Agreed::Before { granted_us, .. } = agreed
                && consent::hold(unit.conn, &row.account_id, &row.client_id, granted_us)? == Held::Gone
            {
                return Ok(Err(NOT_AGREED));
            }
            token_family::insert_code(unit.conn, &row)?;
            if let Some(consent) = &consent {
                consent::put(unit.conn, consent)?;
            }
            Ok(Ok(Next::Address(location)))
        });
        match done {
            Err(refusal) if refusal.log == Reason::NotAgreed => {
                Ok(Next::Address(self.error_address(&request.redirect_uri, Some(&request.state), &refusal)))
            }
            done => done,
        }
    }

    /// What the person agrees to, with their own record where one is needed.
    fn agreement(
        &self,
        ctx: &Context,
        asked: &Asked,
        agreed: Agreed,
        audit: &mut AuditRecord,
    ) -> Result<Agreement, Refusal> {
        let Asked { scopes, account, signed_in, .. } = asked;
        let is_needed = needs_patient(scopes);
        let own = if is_needed || scopes.holds(Plain::FhirUser) {
            self.find_own_record(ctx, account, signed_in, audit).map_err(|error| refusal_of(&error))?
        } else {
            None
        };
        if is_needed && own.is_none() {
            return Err(Refusal::new(OAuthError::AccessDenied, DENIED, Reason::NoRecord));
        }
        let scopes = if own.is_some() { scopes.clone() } else { scopes.clone().without(Plain::FhirUser) };
        audit.detail.records.extend(own.iter().map(|own| own.record_id.clone()));
        let until_us = match agreed {
            Agreed::Now => self.agreed_until_us(&scopes, ctx.now_us),
            Agreed::Before { until_us, .. } => until_us,
        };
        Ok(Agreement { scope: scopes.to_string(), own, signed_in: signed_in.clone(), until_us })
    }

    fn code_row(&self, ctx: &Context, drawn: &Drawn, content: &CodeContent) -> Result<CodeRow, Refusal> {
        let plain = serde_json::to_vec(content).map_err(|_| internal())?;
        let sealed = self.sealer.seal(&place_of_code(&drawn.digest), &plain, (self.clock.secret)());
        Ok(CodeRow {
            code: drawn.digest.clone(),
            client_id: content.request.client_id.clone(),
            account_id: content.agreement.signed_in.account_id.clone(),
            family_id: (ctx.clock.uuid)(),
            content: sealed.ok_or_else(internal)?,
            expires_us: ctx.now_us + LIFETIME_US,
            used_us: None,
        })
    }

    /// Tells the person that nothing can be granted, unless nothing may be shown.
    fn tell_person(
        &self,
        ctx: &Context,
        audit: AuditRecord,
        request: &AuthorizationRequest,
        refusal: Refusal,
    ) -> Result<Next, Refusal> {
        match self.send_back(ctx, audit, request, refusal)? {
            Next::Address(address) if request.prompt != Prompt::None => Ok(Next::Tell(address)),
            next => Ok(next),
        }
    }

    /// Sends the person back with an error; what went wrong here is told here.
    fn send_back(
        &self,
        ctx: &Context,
        audit: AuditRecord,
        request: &AuthorizationRequest,
        refusal: Refusal,
    ) -> Result<Next, Refusal> {
        let location = self.error_address(&request.redirect_uri, Some(&request.state), &refusal);
        match self.end::<()>(ctx, audit, Err(refusal)) {
            Err(refusal) if refusal.code.status() >= 500 => Err(refusal),
            _ => Ok(Next::Address(location)),
        }
    }
}

/// The same whoever or whatever denies it: that somebody is not known here is not for the app to know.
const DENIED: &str = "Access was not granted.";
/// The app may show nothing, and what it asks for was not agreed to, or is not any more.
const NOT_AGREED: Refusal = Refusal::new(
    OAuthError::ConsentRequired,
    "The person has to be asked, and nothing may be shown.",
    Reason::NotAgreed,
);

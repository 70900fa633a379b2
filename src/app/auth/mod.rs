//! The authorization server: registration, tokens, their revocation and introspection; and what the gate lives on: trust
//! that changes while the server runs, keys, and secrets at rest.
//!
//! One file for each endpoint, one for each grant. Signatures and chains are judged on the request's own thread; what must
//! be durable (an id that was used, a token, a registration, the audit row) is one job of the writer, so that many requests
//! share a commit. At the other end stands the gate: `access` is the table of what each route needs, `gate` makes callers of
//! tokens and asks the table, `facts` fills what the policy decides on. Errors of the endpoints are [`Refusal`]s; those of the application become one here. Not here: rules (see `auth`), wire
//! formats (see `http::auth`).

pub mod access;
pub mod account;
pub mod allowed_apps;
pub mod asserted;
pub mod attested;
mod authenticate;
pub mod authorize;
pub mod claims;
pub mod clients;
pub mod communities;
pub mod end_session;
pub mod facts;
pub mod gate;
mod grant;
pub mod granted;
mod id_tokens;
pub mod introspect;
mod issuers;
pub mod key_commands;
mod key_sets;
pub mod keys;
mod leaf;
pub mod material;
pub mod metadata;
mod organization;
pub mod origins;
mod own_record;
pub mod person;
mod person_tokens;
pub mod register;
mod revocation;
pub mod revoke;
pub mod seal;
pub mod secret_file;
pub mod stamp;
pub mod token;
pub mod user_info;
pub mod verify;

use std::sync::atomic::AtomicI64;

use crate::audit::{Action, AuditRecord, Outcome};
use crate::auth::error::{OAuthError, Reason, Refusal};
use crate::auth::metadata::Endpoints;
use crate::config::Config;
use crate::store::{Store, StoreError, client};

use super::App;
use super::clock::Clock;
use super::context::Context;
use super::error::{AppError, ErrorKind};
use super::unit::Unit;
use super::writer::{Done, Scope};

use id_tokens::TrustedIssuer;
use key_sets::KeySets;
use keys::{Keys, KeysError};
use metadata::SignedMetadata;
use origins::Origins;
use seal::Sealer;

/// What the endpoints share.
pub struct AuthorizationServer {
    endpoints: Endpoints,
    keys: Keys,
    key_sets: KeySets,
    signed: SignedMetadata,
    issuers: Vec<TrustedIssuer>,
    origins: Origins,
    /// When expired rows were removed last.
    purged_us: AtomicI64,
}

/// Why the authorization server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AuthorizationError {
    #[error("{0}")]
    Keys(#[from] KeysError),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("id_token_issuers.{at}.jwks: {reason}")]
    Issuer { at: usize, reason: String },
}

fn read_issuers(config: &Config) -> Result<Vec<TrustedIssuer>, AuthorizationError> {
    let issuers = config.id_token_issuers.iter().enumerate();
    issuers
        .map(|(at, issuer)| TrustedIssuer::read(issuer).map_err(|reason| AuthorizationError::Issuer { at, reason }))
        .collect()
}

impl AuthorizationServer {
    /// Opens the keys.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub fn open(config: &Config, store: &Store, sealer: &Sealer, clock: Clock) -> Result<Self, AuthorizationError> {
        let mut connection = store.writer_connection()?;
        for (client_id, words) in client::list_lenient(&mut connection)? {
            tracing::warn!(client.id = %client_id, relaxed = %words, "rules are relaxed for a client: this is for test suites only");
        }
        Ok(Self {
            endpoints: Endpoints::of(&config.server.base_url),
            keys: Keys::open(&mut connection, sealer, clock)?,
            key_sets: KeySets::default(),
            signed: SignedMetadata::default(),
            issuers: read_issuers(config)?,
            origins: Origins::default(),
            purged_us: AtomicI64::new(0),
        })
    }
}

/// The label of who has not said who they are.
const NOBODY: &str = "unauthenticated";

/// The audit row of a request whose sender is not known yet.
fn audit_of(ctx: &Context, action: Action) -> AuditRecord {
    let mut audit = ctx.audit(action);
    NOBODY.clone_into(&mut audit.caller);
    audit
}

/// What a job of the writer makes of a request: done, or refused and remembered all the same.
type Judged<T> = Result<Result<T, Refusal>, StoreError>;

impl App {
    /// Commits the audit row of a request that wrote nothing else.
    fn end<T>(&self, ctx: &Context, mut audit: AuditRecord, result: Result<T, Refusal>) -> Result<T, Refusal> {
        close(&mut audit, result.as_ref().err(), (self.clock.now_us)());
        tell(ctx, &audit.caller, result.as_ref().err());
        self.writer.audit(audit).map_err(|error| refusal_of(&error))?;
        result
    }

    /// Audits a request to an endpoint that was refused before it was understood.
    #[must_use]
    pub fn refuse_authorization(&self, ctx: &Context, action: Action, refusal: Refusal) -> Refusal {
        let refused: Result<(), Refusal> = Err(refusal);
        self.end(ctx, audit_of(ctx, action), refused).err().unwrap_or_else(internal)
    }

    /// Runs what a request brings about in the next commit, with its audit row. A refusal undoes nothing: an id that was
    /// used stays used.
    fn commit<T: Send + 'static>(
        &self,
        ctx: &Context,
        audit: AuditRecord,
        work: impl FnOnce(&mut Unit<'_>, &mut AuditRecord) -> Judged<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (caller, clock) = (audit.caller.clone(), self.clock);
        let panicked = super::panicked(&audit);
        let done = self.writer.submit(Scope::Resources, panicked, move |unit| {
            let mut audit = audit;
            let judged = work(unit, &mut audit).map_err(AppError::from);
            let refusal = match &judged {
                Ok(Ok(_)) => None,
                Ok(Err(refusal)) => Some(refusal.clone()),
                Err(error) => Some(refusal_of(error)),
            };
            close(&mut audit, refusal.as_ref(), (clock.now_us)());
            Done { result: judged, audit }
        });
        let result = done.unwrap_or_else(|error| Err(refusal_of(&error)));
        tell(ctx, &caller, result.as_ref().err());
        result
    }
}

/// Fills in how a request ended.
fn close(audit: &mut AuditRecord, refusal: Option<&Refusal>, now_us: i64) {
    audit.detail.duration_us = u64::try_from(now_us.saturating_sub(audit.at_us)).unwrap_or(0);
    if audit.detail.status == 0 || refusal.is_some() {
        audit.detail.status = refusal.map_or(200, |refusal| refusal.code.status());
    }
    audit.outcome = Outcome::of_status(audit.detail.status);
    if let Some(refusal) = refusal {
        audit.detail.reasons = vec![refusal.code.code().to_owned(), refusal.log.to_string()];
    }
}

/// The log says more than the caller is told.
fn tell(ctx: &Context, client: &str, refusal: Option<&Refusal>) {
    let Some(refusal) = refusal else { return };
    tracing::info!(
        request.id = %ctx.request_id, client.id = %client, error = refusal.code.code(), reason = %refusal.log,
        "an authorization request was refused"
    );
}

/// What the endpoints say of an error of the application; its internals were logged where they arose.
fn refusal_of(error: &AppError) -> Refusal {
    match error.kind {
        ErrorKind::Overloaded | ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Full | ErrorKind::Conflict => {
            busy()
        }
        _ => internal(),
    }
}

/// What the endpoints say of a body that cannot be read, or of a server that could not look at it.
#[must_use]
pub fn refusal_of_input(error: &AppError, code: OAuthError) -> Refusal {
    match error.kind {
        ErrorKind::MediaType | ErrorKind::TooLarge | ErrorKind::Invalid => {
            Refusal::new(code, "The body is not in the format that is read here, or too large.", Reason::Malformed)
        }
        _ => refusal_of(error),
    }
}

fn busy() -> Refusal {
    let text = "The server is busy; try again shortly.";
    Refusal::new(OAuthError::TemporarilyUnavailable, text, Reason::Busy)
}

fn internal() -> Refusal {
    let text = "The server failed; the request id finds the cause in its log.";
    Refusal::new(OAuthError::ServerError, text, Reason::Internal)
}

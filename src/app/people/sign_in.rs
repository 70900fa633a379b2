//! Signing in with a password and a one-time code.
//!
//! One answer for every reason, and the same work: an unknown login is compared with a hash that nobody has. The attempt is
//! counted first, in a commit of its own; then, without any lock, the password and the code are compared; what follows is one
//! commit with the audit row. A code is used in the same statement that asks whether it was used, so it counts once, at
//! whichever instance. Not here: counting (see `attempts`), rules (see `auth`), cookies (see `web`).

use std::sync::atomic::Ordering;

use crate::app::App;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::unit::Unit;
use crate::app::writer::{Done, Scope};
use crate::assurance::level::{AuthenticationLevel, IdentityLevel};
use crate::audit::{Action, AuditRecord, Outcome};
use crate::auth::authentication::{Authentication, AuthenticationMethod};
use crate::auth::password;
use crate::auth::secret::Secret;
use crate::auth::session_token::SessionToken;
use crate::auth::totp::OneTimeCodes;
use crate::store::person_account::{self, ACTIVE, PersonAccountRow, StepTaken};
use crate::store::{StoreError, session, transaction};

use super::account::{open, totp_place};
use super::attempts::{Keys, Throttle, take_back};
use super::login::Login;
use super::session::row_of;

/// The label of whoever has not said who they are.
const NOBODY: &str = "unauthenticated";
/// How often what is over is removed.
const PURGE_EVERY_US: i64 = 60_000_000;
/// A password with a one-time code (NIST SP 800-63B-4 section 2.2).
const METHODS: [AuthenticationMethod; 2] = [AuthenticationMethod::Password, AuthenticationMethod::OneTimeCode];

/// What somebody typed.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub login: Login,
    pub password: Secret,
    pub code: Secret,
}

/// Why nobody is signed in.
#[derive(Debug, Clone)]
pub enum SignInRefusal {
    /// Which of the reasons it was stands in the audit.
    Refused,
    /// Too many have failed; nothing was compared.
    Throttled { retry_after_s: u64 },
    /// The server could not look at it.
    Failed(AppError),
}

impl From<AppError> for SignInRefusal {
    fn from(error: AppError) -> Self {
        Self::Failed(error)
    }
}

/// Why an attempt was refused, for the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    UnknownLogin,
    Disabled,
    Password,
    Code,
    /// The code was right and used before, or the account was changed meanwhile.
    UsedCode,
    Unreadable,
}

impl Reason {
    const fn code(self) -> &'static str {
        match self {
            Self::UnknownLogin => "unknown-login",
            Self::Disabled => "account-disabled",
            Self::Password => "wrong-password",
            Self::Code => "wrong-code",
            Self::UsedCode => "used-code",
            Self::Unreadable => "secret-unreadable",
        }
    }
}

/// An attempt that was counted, and what it is compared with.
struct Counted {
    account: Option<PersonAccountRow>,
}

/// Password and code are right; the code may have been used.
struct Right {
    row: PersonAccountRow,
    level: IdentityLevel,
    step: i64,
}

impl App {
    /// Signs somebody in: a new session each time, which ends `previous`.
    ///
    /// # Errors
    /// One refusal for every reason, `Throttled` where too many have failed, or why it could not be looked at.
    pub fn sign_in(
        &self,
        ctx: &Context,
        given: &Credentials,
        previous: Option<&SessionToken>,
    ) -> Result<(SessionToken, Authentication), SignInRefusal> {
        let signed_in = self.try_sign_in(ctx, given, previous);
        let outcome = match &signed_in {
            Ok(_) => "signed-in",
            Err(SignInRefusal::Refused) => "refused",
            Err(SignInRefusal::Throttled { .. }) => "throttled",
            Err(SignInRefusal::Failed(_)) => "failed",
        };
        metrics::counter!("idi_match_sign_ins_total", "outcome" => outcome).increment(1);
        signed_in
    }

    fn try_sign_in(
        &self,
        ctx: &Context,
        given: &Credentials,
        previous: Option<&SessionToken>,
    ) -> Result<(SessionToken, Authentication), SignInRefusal> {
        let mut audit = ctx.audit(Action::SignIn);
        NOBODY.clone_into(&mut audit.caller);
        let keys = Keys::of(&self.people.counting_key, &given.login, ctx.address.as_deref());
        let judged = {
            let _place = self.people.hashing.place().map_err(|error| self.refuse_with(audit.clone(), error))?;
            let counted = self.count_attempt(&given.login, &keys, ctx.now_us);
            match counted.map_err(|error| self.refuse_with(audit.clone(), error))? {
                Ok(counted) => self.compare(counted, given, ctx.now_us, &mut audit),
                Err(wait_us) => return Err(self.throttle(audit, wait_us)?),
            }
        };
        let token = SessionToken::new((self.clock.secret)());
        self.finish_sign_in(audit, judged, token, (keys, previous.map(SessionToken::sha256)))
    }

    /// Counts the attempt, or says how long to wait, in microseconds.
    fn count_attempt(&self, login: &Login, keys: &Keys, now_us: i64) -> Result<Result<Counted, i64>, AppError> {
        let (login, keys) = (login.clone(), keys.clone());
        let throttle = Throttle::of(&self.config.people);
        let is_due = self.people_purge_is_due(now_us);
        self.writer.upkeep(Scope::Resources, move |unit| {
            transaction::lock_people(unit.conn)?;
            if is_due {
                session::delete_expired(unit.conn, unit.now_us)?;
                throttle.forget(unit.conn, unit.now_us)?;
            }
            if let Some(wait_us) = throttle.count(unit.conn, &keys, unit.now_us)? {
                return Ok(Err(wait_us));
            }
            Ok(Ok(Counted { account: person_account::find_by_login(unit.conn, login.expose())? }))
        })
    }

    fn throttle(&self, mut audit: AuditRecord, wait_us: i64) -> Result<SignInRefusal, AppError> {
        close(&mut audit, 429, (self.clock.now_us)());
        audit.detail.reasons = vec!["throttled".to_owned()];
        self.writer.audit(audit)?;
        let retry_after_s = u64::try_from(wait_us).unwrap_or(0).div_ceil(1_000_000).max(1);
        Ok(SignInRefusal::Throttled { retry_after_s })
    }

    /// Compares password and code, both in any case.
    fn compare(
        &self,
        counted: Counted,
        given: &Credentials,
        now_us: i64,
        audit: &mut AuditRecord,
    ) -> Result<Right, Reason> {
        let is_known = counted.account.is_some();
        let row = counted.account.unwrap_or_else(|| self.people.nobody.clone());
        if is_known {
            audit.detail.user = Some(row.account_id.clone());
        }
        let has_password = password::is_right(&given.password, &row.password_hash);
        let codes = open(&self.sealer, &totp_place(&row.account_id), &row.totp_secret);
        let codes = codes.and_then(|secret| OneTimeCodes::of(&secret));
        let step = codes.as_ref().and_then(|codes| codes.step(&given.code, now_us));
        if codes.is_none() {
            tracing::error!(account.id = %row.account_id, "the code secret of an account cannot be opened: its key is not here");
        }
        match (IdentityLevel::parse(&row.level), step) {
            _ if !is_known => Err(Reason::UnknownLogin),
            _ if row.state != ACTIVE => Err(Reason::Disabled),
            _ if codes.is_none() => Err(Reason::Unreadable),
            _ if !has_password => Err(Reason::Password),
            (_, None) => Err(Reason::Code),
            (None, _) => Err(Reason::Unreadable),
            (Some(level), Some(step)) => Ok(Right { row, level, step }),
        }
    }

    /// What follows, in one commit with the audit row: the code is used, the session begins, the count is taken back.
    fn finish_sign_in(
        &self,
        audit: AuditRecord,
        judged: Result<Right, Reason>,
        token: SessionToken,
        (keys, previous_sha256): (Keys, Option<String>),
    ) -> Result<(SessionToken, Authentication), SignInRefusal> {
        let (token_sha256, people) = (token.sha256(), self.config.people.clone());
        let begin =
            move |unit: &mut Unit<'_>, audit: &mut AuditRecord| -> Result<Result<Authentication, Reason>, StoreError> {
                transaction::lock_people(unit.conn)?;
                let right = match judged {
                    Ok(right) => right,
                    Err(reason) => return Ok(Err(reason)),
                };
                if person_account::take_step(unit.conn, &right.row, right.step)? == StepTaken::Never {
                    return Ok(Err(Reason::UsedCode));
                }
                let authentication = authentication_of(&right, unit.now_us);
                take_back(unit.conn, &keys, unit.now_us)?;
                if let Some(previous) = &previous_sha256 {
                    session::delete(unit.conn, previous)?;
                }
                session::insert(unit.conn, &row_of(token_sha256, &authentication, &people))?;
                note(audit, &authentication);
                Ok(Ok(authentication))
            };
        let (clock, panicked) = (self.clock, crate::app::panicked(&audit));
        let done = self.writer.submit(Scope::Resources, panicked, move |unit| {
            let mut audit = audit;
            let result = begin(unit, &mut audit).map_err(AppError::from);
            let status = match &result {
                Ok(Ok(_)) => 303,
                Ok(Err(reason)) => {
                    audit.detail.reasons = vec![reason.code().to_owned()];
                    REFUSED
                }
                Err(error) => error.kind.status(),
            };
            close(&mut audit, status, (clock.now_us)());
            Done { result, audit }
        })?;
        done.map(|authentication| (token, authentication)).map_err(|_| SignInRefusal::Refused)
    }

    /// Audits a request to a page that was refused before anything was looked at.
    ///
    /// # Errors
    /// Those of the database.
    pub fn refuse_page(&self, ctx: &Context, action: Action, status: u16, reason: &str) -> Result<(), AppError> {
        let mut audit = ctx.audit(action);
        NOBODY.clone_into(&mut audit.caller);
        audit.detail.reasons = vec![reason.to_owned()];
        close(&mut audit, status, (self.clock.now_us)());
        self.writer.audit(audit)
    }

    /// Whether it is this request's turn to remove what is over.
    fn people_purge_is_due(&self, now_us: i64) -> bool {
        let last = &self.people.purged_us;
        let before = last.load(Ordering::Relaxed);
        now_us.saturating_sub(before) >= PURGE_EVERY_US
            && last.compare_exchange(before, now_us, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// The status of a page that says that nobody is signed in.
pub const REFUSED: u16 = 403;

fn authentication_of(right: &Right, now_us: i64) -> Authentication {
    Authentication {
        subject: right.row.account_id.clone(),
        idial: right.level,
        aal: AuthenticationLevel::Aal2,
        methods: METHODS.to_vec(),
        time_us: now_us,
    }
}

fn note(audit: &mut AuditRecord, authentication: &Authentication) {
    audit.caller.clone_from(&authentication.subject);
    audit.detail.user = Some(authentication.subject.clone());
    audit.detail.identity_level = Some(authentication.idial.name().to_owned());
    audit.detail.authentication_level = Some(authentication.aal.name().to_owned());
}

/// Fills in how a request ended.
pub(super) fn close(audit: &mut AuditRecord, status: u16, now_us: i64) {
    audit.detail.duration_us = u64::try_from(now_us.saturating_sub(audit.at_us)).unwrap_or(0);
    audit.detail.status = status;
    audit.outcome = Outcome::of_status(status);
}

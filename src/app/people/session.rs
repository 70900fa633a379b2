//! Sessions: who a cookie stands for, for how long, and the end.
//!
//! A session ends when nobody has used it for a while, after its time in any case, when the person signs out or in again, and
//! when the account is disabled or reset (NIST SP 800-63B-4 section 5). Not here: cookies (see `web::session`).

use crate::app::App;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::writer::{Done, Scope};
use crate::assurance::level::{AuthenticationLevel, IdentityLevel};
use crate::audit::Action;
use crate::auth::authentication::{Authentication, AuthenticationMethod};
use crate::auth::session_token::{CsrfToken, SessionToken};
use crate::config;
use crate::store::session::{self, SessionRow};
use crate::store::transaction;

use super::sign_in::close;

const MINUTE_US: i64 = 60_000_000;
/// How exactly it is known when a session was used last, as a part of the time after which it ends unused.
const SEEN_PART: i64 = 10;

/// Somebody who has signed in and not out.
#[derive(Debug, Clone)]
pub struct Session {
    pub account_id: String,
    pub authentication: Authentication,
    pub csrf: CsrfToken,
    /// In any case, used or not.
    pub expires_us: i64,
}

impl App {
    /// The session of a token, while it lasts.
    ///
    /// # Errors
    /// Those of the database.
    pub fn session(&self, ctx: &Context, token: &SessionToken) -> Result<Option<Session>, AppError> {
        let token_sha256 = token.sha256();
        let Some(row) = session::find(&mut *self.connection()?, &token_sha256)? else { return Ok(None) };
        let idle_us = i64::from(self.config.people.session_idle_minutes) * MINUTE_US;
        let unused_us = ctx.now_us.saturating_sub(row.seen_us);
        if ctx.now_us >= row.expires_us || unused_us >= idle_us {
            return Ok(None);
        }
        if unused_us >= idle_us / SEEN_PART {
            self.touch_session(token_sha256, ctx.now_us)?;
        }
        Ok(session_of(row, token))
    }

    fn touch_session(&self, token_sha256: String, now_us: i64) -> Result<(), AppError> {
        self.writer.upkeep(Scope::Resources, move |unit| {
            transaction::lock_people(unit.conn)?;
            Ok(session::touch(unit.conn, &token_sha256, now_us)?)
        })
    }

    /// Ends the session of a token, if there is one.
    ///
    /// # Errors
    /// Those of the database.
    pub fn sign_out(&self, ctx: &Context, token: &SessionToken) -> Result<(), AppError> {
        let mut audit = ctx.audit(Action::SignOut);
        let token_sha256 = token.sha256();
        let (clock, panicked) = (self.clock, crate::app::panicked(&audit));
        self.writer.submit(Scope::Resources, panicked, move |unit| {
            let result = transaction::lock_people(unit.conn).and_then(|()| {
                if let Some(row) = session::find(unit.conn, &token_sha256)? {
                    audit.caller.clone_from(&row.account_id);
                    audit.detail.user = Some(row.account_id);
                }
                session::delete(unit.conn, &token_sha256).map(|_| ())
            });
            let result = result.map_err(AppError::from);
            close(&mut audit, result.as_ref().err().map_or(303, |error| error.kind.status()), (clock.now_us)());
            Done { result, audit }
        })
    }
}

/// What is stored of a new session.
pub(super) fn row_of(token_sha256: String, by: &Authentication, people: &config::People) -> SessionRow {
    let methods: Vec<&str> = by.methods.iter().map(|method| method.code()).collect();
    SessionRow {
        token_sha256,
        account_id: by.subject.clone(),
        identity_level: by.idial.name().to_owned(),
        authentication_level: by.aal.name().to_owned(),
        methods: methods.join(" "),
        signed_in_us: by.time_us,
        seen_us: by.time_us,
        expires_us: by.time_us.saturating_add(i64::from(people.session_minutes) * MINUTE_US),
    }
}

/// `None` for a row that this program would not have written.
fn session_of(row: SessionRow, token: &SessionToken) -> Option<Session> {
    let methods: Option<Vec<AuthenticationMethod>> = row.methods.split(' ').map(AuthenticationMethod::parse).collect();
    let authentication = Authentication {
        subject: row.account_id.clone(),
        idial: IdentityLevel::parse(&row.identity_level)?,
        aal: AuthenticationLevel::parse(&row.authentication_level)?,
        methods: methods?,
        time_us: row.signed_in_us,
    };
    Some(Session { account_id: row.account_id, authentication, csrf: token.csrf(), expires_us: row.expires_us })
}

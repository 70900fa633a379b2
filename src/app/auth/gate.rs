//! The gate: from a Bearer token to a caller, and from a caller to what that caller may do.
//!
//! RFC 6750 (Bearer tokens), RFC 9068 (their shape), SMART App Launch 2.2 (scopes). A request without a token is somebody
//! unknown, who is told nothing but what this server says of itself; a token that is not in force is no token. Deny wins:
//! scope first, then the policy. Not here: issuing and revoking (see `token`), the policy itself (see `assurance`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};

use crate::assurance::decide::decide;
use crate::assurance::facts::Interaction;
use crate::assurance::policy::Policy;
use crate::assurance::verdict::Verdict;
use crate::auth::access_token::{self, Grant, OwnKey};
use crate::auth::error::{OAuthError, Reason, Refusal};
use crate::config::Config;
use crate::store::{DatabaseUrl, Store, StoreError, client};

use super::super::context::{Caller, Context};
use super::super::error::AppError;
use super::super::{App, store_options};
use super::access::{self, Ask};
use super::asserted::Asserted;
use super::granted::Granted;
use super::{facts, internal};

/// Tokens whose signature was verified and that are remembered, so that it is verified once.
const TOKENS_REMEMBERED_MAX: usize = 10_000;

/// Who is let in.
pub enum Gate {
    /// Every caller of a loopback address.
    Open,
    /// Bearers of tokens.
    Guarded(Box<Guard>),
}

/// An issuer of tokens beside this server: a test has one. No command and no configuration makes a gate of it.
pub struct Tokens {
    /// `iss` of its tokens.
    pub issuer: String,
    /// `aud` of its tokens.
    pub audience: String,
    /// The keys whose tokens may still be in force.
    pub keys: Box<dyn Fn() -> Arc<[OwnKey]> + Send + Sync>,
    /// Whether a token of this id is in force.
    pub standing: Box<dyn Fn(&str) -> Standing + Send + Sync>,
    /// What was asserted when the token of this id was issued.
    pub asserted: Box<dyn Fn(&str) -> Asserted + Send + Sync>,
}

/// What the issuer says of a token now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    InForce,
    /// Revoked, of a client that was disabled, or not known.
    Ended,
}

/// Who issues the tokens that are taken.
enum Issuer {
    /// This server.
    Own,
    Other(Tokens),
}

pub struct Guard {
    issuer: Issuer,
    policy: Arc<Policy>,
    verified: Mutex<HashMap<[u8; 32], Arc<Granted>>>,
}

impl Gate {
    /// For tokens of this server.
    #[must_use]
    pub fn guarded(policy: Arc<Policy>) -> Self {
        Self::Guarded(Box::new(Guard { issuer: Issuer::Own, policy, verified: Mutex::default() }))
    }

    /// For tokens of another issuer alone.
    #[must_use]
    pub fn guarded_by(tokens: Tokens, policy: Arc<Policy>) -> Self {
        Self::Guarded(Box::new(Guard { issuer: Issuer::Other(tokens), policy, verified: Mutex::default() }))
    }

    /// The caller of a request that says nothing of itself.
    #[must_use]
    pub const fn stranger(&self) -> Caller {
        match self {
            Self::Open => Caller::Open,
            Self::Guarded(_) => Caller::Anonymous,
        }
    }
}

impl App {
    /// The caller who bears `token`.
    ///
    /// # Errors
    /// `Unauthorized` where the token is not in force; `Unavailable` when the database does not answer.
    pub fn caller_of_token(&self, ctx: &Context, token: &str) -> Result<Caller, AppError> {
        let Gate::Guarded(guard) = &self.gate else { return Ok(Caller::Open) };
        guard.granted(self, token, ctx.now_us).map(Caller::Client).map_err(|refusal| {
            // Why, is for the log: it would help those who try.
            tracing::info!(request.id = %ctx.request_id, reason = %refusal.log, "a token is not in force");
            match refusal.code {
                OAuthError::TemporarilyUnavailable => AppError::unavailable(),
                OAuthError::ServerError => AppError::internal(),
                _ => AppError::invalid_token(),
            }
        })
    }

    /// Whether anybody could be authorised: there is a trust community, or a client that the operator has added.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub fn can_authorize(&self) -> Result<bool, AppError> {
        Ok(!self.config.communities.is_empty() || client::is_any_active(&mut *self.connection()?)?)
    }
}

/// Whether it is known before anything is opened that nobody could be authorised: no community, and no database that could
/// hold a client.
#[must_use]
pub fn authorizes_nobody(config: &Config) -> bool {
    let is_missing =
        |url: DatabaseUrl| matches!(Store::open_as_it_is(&url, &store_options(config)), Err(StoreError::NoDatabase));
    config.communities.is_empty() && DatabaseUrl::parse(config.server.database_url.expose()).is_ok_and(is_missing)
}

impl Guard {
    fn granted(&self, app: &App, token: &str, now_us: i64) -> Result<Arc<Granted>, Refusal> {
        let Ok(sum) = <[u8; 32]>::try_from(digest(&SHA256, token.as_bytes()).as_ref()) else { return Err(internal()) };
        let Some(granted) = self.remembered(&sum) else {
            let granted = self.issuer.verify(app, token, now_us)?;
            let granted = Arc::new(Granted::new(granted.0, granted.1, Arc::clone(&self.policy)));
            self.remember(sum, &granted);
            return Ok(granted);
        };
        let standing = if granted.grant.expires_us <= now_us {
            Err(ended(Reason::Expired))
        } else {
            self.issuer.check(app, &granted.grant, now_us)
        };
        if standing.is_err() {
            self.forget(&sum);
        }
        standing.map(|()| granted)
    }

    fn remembered(&self, sum: &[u8; 32]) -> Option<Arc<Granted>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).get(sum).cloned()
    }

    fn remember(&self, sum: [u8; 32], granted: &Arc<Granted>) {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        // All at once: to find the oldest costs more than to verify again.
        if verified.len() >= TOKENS_REMEMBERED_MAX {
            verified.clear();
        }
        verified.insert(sum, Arc::clone(granted));
    }

    fn forget(&self, sum: &[u8; 32]) {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).remove(sum);
    }
}

impl Issuer {
    /// A token that was not seen before: its signature, whether it is in force, and what was asserted for it.
    fn verify(&self, app: &App, token: &str, now_us: i64) -> Result<(Grant, Asserted), Refusal> {
        match self {
            Self::Own => {
                let verified = app.verify_access_token(token, now_us)?;
                let asserted = verified.context.as_ref().map(Asserted::of).unwrap_or_default();
                Ok((verified.grant, asserted))
            }
            Self::Other(tokens) => {
                let (issuer, audience) = (&tokens.issuer, &tokens.audience);
                let grant = access_token::verify(token, &(tokens.keys)(), issuer, audience, now_us)?;
                self.check(app, &grant, now_us)?;
                let asserted = (tokens.asserted)(&grant.token_id);
                Ok((grant, asserted))
            }
        }
    }

    /// Whether a token is still in force whose signature was verified before.
    fn check(&self, app: &App, grant: &Grant, now_us: i64) -> Result<(), Refusal> {
        match self {
            Self::Own => app.check_access_token(grant, now_us),
            Self::Other(tokens) if (tokens.standing)(&grant.token_id) == Standing::Ended => {
                Err(ended(Reason::TokenRevoked))
            }
            Self::Other(_) => Ok(()),
        }
    }
}

const fn ended(reason: Reason) -> Refusal {
    Refusal::new(OAuthError::InvalidToken, "The access token is not accepted.", reason)
}

/// Whether a caller may do what is asked. A match is decided where its words are known; here it is asked for its scopes.
///
/// # Errors
/// `Unauthorized` without a token; `Forbidden` where scopes or the policy do not give it.
pub fn permit(caller: &Caller, ask: &Ask<'_>) -> Result<(), AppError> {
    let granted = match caller {
        Caller::Open => return Ok(()),
        Caller::Anonymous => return Err(AppError::no_token()),
        Caller::Client(granted) => granted,
    };
    let account = granted.account_for(ask).ok_or_else(|| AppError::insufficient_scope(&ask.scope()))?;
    if ask.interaction == Interaction::Match || !ask.is_about_people() {
        return Ok(());
    }
    match decide(&facts::of(granted, account, ask.interaction), &granted.policy) {
        Verdict::Refuse(missing) => Err(AppError::not_authorized(&missing)),
        Verdict::Permit(_) | Verdict::Withhold(_) => Ok(()),
    }
}

/// The same for the request that `method` at the address `path` of the route table is, about this type.
///
/// # Errors
/// As [`permit`].
pub fn permit_route(caller: &Caller, path: &str, method: &str, resource_type: &str) -> Result<(), AppError> {
    // What is not served is refused by whoever does not serve it.
    let Some(access) = access::find(path, method) else { return Ok(()) };
    match (access.need.ask(resource_type), caller) {
        (Some(ask), _) => permit(caller, &ask),
        (None, Caller::Anonymous) if !access.need.is_public(resource_type) => Err(AppError::no_token()),
        (None, _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::app::auth::access::{Need, STEWARDSHIP, TABLE};
    use crate::app::error::ErrorKind;
    use crate::assurance::level::{AuthenticationLevel, IdentityLevel};
    use crate::assurance::policy::tests::shipped;
    use crate::auth::access_token::Holder;
    use crate::auth::scope::Scopes;

    /// Written by `scripts/access-table`, from SMART's table of interactions and not from the program's.
    const ACCESS: &str = include_str!("../../../tests/fixtures/access.tsv");
    const LEVELS: [&str; 3] = ["system", "user", "patient"];
    const LETTERS: [char; 5] = ['c', 'r', 'u', 'd', 's'];

    fn client(scopes: &str) -> Caller {
        caller(grant(scopes))
    }

    fn caller(grant: Grant) -> Caller {
        Caller::Client(Arc::new(Granted::new(grant, Asserted::default(), Arc::new(shipped()))))
    }

    fn grant(scopes: &str) -> Grant {
        Grant {
            client_id: "c1".to_owned(),
            community: None,
            organization_id: None,
            entity_type: None,
            purposes: Vec::new(),
            scopes: Scopes::parse(scopes).expect("scopes"),
            identity_level: Default::default(),
            authentication_level: Default::default(),
            extensions: BTreeMap::new(),
            token_id: "t1".to_owned(),
            expires_us: 1,
            subject: None,
            patient: None,
            holder: Holder::Client,
        }
    }

    fn rows() -> impl Iterator<Item = [&'static str; 4]> {
        ACCESS.lines().map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            cells.try_into().expect("four cells")
        })
    }

    /// Every set of letters that a scope can have, in the order of SMART.
    fn sets() -> impl Iterator<Item = String> {
        let chosen = |set: u8| LETTERS.iter().enumerate().filter(move |(at, _)| set & (1 << at) != 0);
        (1_u8..32).map(move |set| chosen(set).map(|(_, letter)| *letter).collect())
    }

    fn judged(caller: &Caller, row: &[&str; 4]) -> Option<ErrorKind> {
        let [method, path, resource_type, _] = row;
        permit_route(caller, path, method, resource_type).err().map(|error| error.kind)
    }

    #[test]
    fn the_table_names_every_route_and_type_once() {
        let mut listed: BTreeSet<(&str, &str)> = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for row in rows() {
            assert!(seen.insert((row[0], row[1], row[2])), "{row:?} is there twice");
            listed.insert((row[0], row[1]));
        }
        let served: BTreeSet<(&str, &str)> = TABLE.iter().map(|row| (row.method, row.path)).collect();
        assert_eq!(listed, served);
        for row in TABLE.iter().filter(|row| matches!(row.need, Need::OfAddress(..))) {
            for kind in ResourceKindNames::all() {
                assert!(seen.contains(&(row.method, row.path, kind)), "{} {} {kind}", row.method, row.path);
            }
        }
    }

    struct ResourceKindNames;

    impl ResourceKindNames {
        fn all() -> impl Iterator<Item = &'static str> {
            let stored =
                crate::app::incoming::ResourceKind::ALL.into_iter().map(crate::app::incoming::ResourceKind::name);
            stored.chain(crate::profile::artifact::ARTIFACT_TYPES.iter().copied()).chain(["AuditEvent"])
        }
    }

    #[test]
    fn every_scope_gives_on_every_route_what_the_table_says_and_nothing_else() {
        let types = ["Patient", "Organization", "RelatedPerson", "AuditEvent", STEWARDSHIP, "*"];
        let mut callers: Vec<(&str, &str, String, Caller)> = Vec::new();
        for level in LEVELS {
            for kind in types {
                callers.extend(sets().map(|set| {
                    let caller = client(&format!("{level}/{kind}.{set}"));
                    (level, kind, set, caller)
                }));
            }
        }
        let mut permitted = 0_usize;
        for row in rows() {
            let mut words = row[3].split(' ');
            let (letters, of, is_named) = (words.next().unwrap_or(""), words.next(), words.next().is_some());
            assert_eq!(judged(&Caller::Open, &row), None, "{row:?}");
            let of_stranger = (letters != "-").then_some(ErrorKind::Unauthorized);
            assert_eq!(judged(&Caller::Anonymous, &row), of_stranger, "{row:?}");
            for (level, kind, set, caller) in &callers {
                let fits = of.is_some_and(|of| *kind == of || (*kind == "*" && !is_named));
                let has = letters.chars().all(|letter| set.contains(letter));
                // A person's account may look at organisations, and the policy gives it nothing about people.
                let is_organization = of == Some("Organization") && matches!(letters, "r" | "s");
                let by_level =
                    *level == "system" || is_organization || row[1].ends_with("match") && !row[1].contains("explain");
                let is_permitted = of.is_none() || (fits && has && by_level);
                let expected = (!is_permitted).then_some(ErrorKind::Forbidden);
                assert_eq!(judged(caller, &row), expected, "{row:?} with {level}/{kind}.{set}");
                permitted += usize::from(is_permitted);
            }
        }
        assert!(permitted > 10_000, "{permitted}");
    }

    #[test]
    fn with_a_patient_in_context_patient_scopes_read_search_and_write_and_nothing_else() {
        let in_context = |identity_level, authentication_level| {
            let grant = Grant {
                patient: Some("p1".to_owned()),
                holder: Holder::Person,
                identity_level,
                authentication_level,
                ..grant("patient/*.cruds patient/AuditEvent.cruds patient/Stewardship.cruds")
            };
            caller(grant)
        };
        let proofed = in_context(IdentityLevel::Idial1_8, AuthenticationLevel::Aal2);
        let mut permitted = 0;
        for row in rows() {
            let access = access::find(row[1], row[0]).expect("a row");
            let ask = access.need.ask(row[2]);
            let is_own = |ask: &Ask<'_>| {
                use Interaction::{Read, Search, Write};
                matches!(ask.interaction, Read | Search | Write) && ask.resource_type != STEWARDSHIP
            };
            let is_match = row[1].ends_with("match") && !row[1].contains("explain");
            let is_permitted = ask.is_none_or(|ask| is_own(&ask)) || is_match;
            let expected = (!is_permitted).then_some(ErrorKind::Forbidden);
            assert_eq!(judged(&proofed, &row), expected, "{row:?}");
            permitted += usize::from(is_permitted && ask.is_some());
        }
        assert!(permitted > 100, "{permitted}");
        for (identity, authentication) in
            [(IdentityLevel::Idial1_6, AuthenticationLevel::Aal2), (IdentityLevel::Idial1_8, AuthenticationLevel::Aal1)]
        {
            let read = access::find("/{type}/{id}", "GET").expect("a row").need.ask("Patient").expect("an ask");
            assert!(permit(&in_context(identity, authentication), &read).is_err());
        }
    }

    #[test]
    fn user_scopes_are_for_accounts_of_the_workforce_and_system_scopes_for_clients() {
        let read = access::find("/{type}/{id}", "GET").expect("a row").need.ask("Patient").expect("an ask");
        for (scopes, holder, is_permitted) in [
            ("user/Patient.rs", Holder::Workforce, true),
            ("user/Patient.rs", Holder::Person, false),
            ("user/Patient.rs", Holder::Client, false),
            ("system/Patient.rs", Holder::Client, true),
            ("system/Patient.rs", Holder::Workforce, false),
            ("system/Patient.rs", Holder::Person, false),
            ("patient/Patient.rs", Holder::Person, false),
        ] {
            let judged = permit(&caller(Grant { holder, ..grant(scopes) }), &read);
            assert_eq!(judged.is_ok(), is_permitted, "{scopes} {holder:?}");
        }
    }

    #[test]
    fn scopes_of_two_levels_do_not_add_up() {
        let ask = access::MATCH.ask("").expect("an ask");
        assert!(permit(&client("system/Patient.rs"), &ask).is_ok());
        assert!(permit(&client("system/Patient.r system/Patient.s"), &ask).is_ok());
        let refused = permit(&client("system/Patient.r user/Patient.s"), &ask).expect_err("refused");
        let challenge = refused.challenge.expect("a challenge");
        assert_eq!(
            challenge.as_ref(),
            "Bearer realm=\"fhir\", error=\"insufficient_scope\", scope=\"system/Patient.rs\""
        );
    }
}

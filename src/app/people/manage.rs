//! Accounts in the hands of an operator: added, listed, disabled, reset.
//!
//! It opens a `Store`, never an [`App`](crate::app::App): accounts are managed while servers run, and need no index. Each
//! change is one transaction with its audit row. The secret of the one-time codes is made here and shown once. Whose account
//! it is may be said by the operator or looked for before (see `own_identity`). Not here: signing in.

use serde::Serialize;
use uuid::Builder;
use zeroize::Zeroizing;

use crate::app::StartError;
use crate::app::auth::seal::{KeyFileError, Sealer};
use crate::app::clock::{Clock, instant};
use crate::app::operator::{self, open_store};
use crate::app::rules::{Rules, RulesError};
use crate::assurance::level::IdentityLevel;
use crate::audit::{Action, AuditRecord};
use crate::auth::password;
use crate::auth::secret::Secret;
use crate::auth::totp::{OneTimeCodes, SECRET_BYTES};
use crate::config::Config;
use crate::fhir::date::Date;
use crate::fhir::issue::Severity;
use crate::fhir::json::{Limits, parse};
use crate::profile::idi::IdiProfile;
use crate::store::person_account::{self, ACTIVE, DISABLED, PersonAccountRow};
use crate::store::{Connection, Store, StoreError, identity, session, sign_in_attempt, token_family, transaction};

use super::account::{AccountKind, attributes_place, seal, totp_place};
use super::attempts::Keys;
use super::counting_key;
use super::login::Login;

/// An account to add.
#[derive(Debug, Clone)]
pub struct NewAccount {
    pub login: Login,
    pub kind: AccountKind,
    pub level: IdentityLevel,
    pub verified_on: Date,
    /// As it was given: a full date.
    pub verified_on_text: String,
    /// JSON of a Patient.
    pub attributes: String,
    pub identity_id: Option<String>,
    pub password: Secret,
}

/// What is shown once: how an authenticator comes by its codes.
#[derive(Clone, Serialize)]
pub struct Authenticator {
    pub account_id: String,
    pub otpauth_uri: String,
    pub totp_secret: String,
}

/// Shows no secret.
impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").field("account_id", &self.account_id).finish_non_exhaustive()
    }
}

/// An account as it is listed: without what was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    pub account_id: String,
    pub login: String,
    pub kind: String,
    pub state: String,
    pub level: String,
    pub verified_on: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_id: Option<String>,
    /// FHIR instants.
    pub created: String,
    pub updated: String,
}

impl From<PersonAccountRow> for Listed {
    fn from(row: PersonAccountRow) -> Self {
        Self {
            created: instant(row.created_us),
            updated: instant(row.updated_us),
            account_id: row.account_id,
            login: row.login,
            kind: row.kind,
            state: row.state,
            level: row.level,
            verified_on: row.verified_on,
            identity_id: row.identity_id,
        }
    }
}

/// What a reset replaces; without both it only ends sessions and pauses.
#[derive(Debug, Clone)]
pub struct Reset {
    pub password: Option<Secret>,
    pub codes: Codes,
}

/// What becomes of the one-time codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codes {
    Keep,
    Replace,
}

/// Why an account cannot be managed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Refused(String),
    #[error("the library of cryptography refuses")]
    Cryptography,
}

impl From<RulesError> for AccountError {
    fn from(error: RulesError) -> Self {
        Self::Start(error.into())
    }
}

impl From<KeyFileError> for AccountError {
    fn from(error: KeyFileError) -> Self {
        Self::Start(error.into())
    }
}

/// Accounts read at a time.
const PAGE_ACCOUNTS: u32 = 200;

/// Whether an account could be as it is given, without looking at the database.
///
/// # Errors
/// Why not.
pub fn check(config: &Config, clock: Clock, new: &NewAccount) -> Result<(), AccountError> {
    check_attributes(config, &new.attributes)?;
    check_date(new, (clock.now_us)())?;
    password::check(&new.password, new.login.expose()).map_err(refused)
}

/// Adds an account, and gives what its person needs to make codes.
///
/// # Errors
/// When it is not as it must be, or the database cannot be used.
pub fn add(config: &Config, clock: Clock, new: &NewAccount) -> Result<Authenticator, AccountError> {
    check(config, clock, new)?;
    let password_hash = hash(&new.password, new.login.expose(), clock)?;
    let account_id = Builder::from_random_bytes(*first(&(clock.secret)())).into_uuid().to_string();
    let store = open_store(config)?;
    let sealer = sealer(config, &store, clock)?;
    let (authenticator, totp_secret) = make_codes(config, &sealer, clock, &account_id, new.login.expose())?;
    let place = attributes_place(&account_id);
    let attributes = seal(&sealer, &place, new.attributes.as_bytes(), (clock.secret)());
    let now_us = (clock.now_us)();
    let row = PersonAccountRow {
        account_id: account_id.clone(),
        login: new.login.expose().to_owned(),
        kind: new.kind.code().to_owned(),
        state: ACTIVE.to_owned(),
        password_hash,
        totp_secret,
        totp_step: 0,
        level: new.level.name().to_owned(),
        verified_on: new.verified_on_text.clone(),
        attributes: attributes.ok_or(AccountError::Cryptography)?,
        identity_id: new.identity_id.clone(),
        created_us: now_us,
        updated_us: now_us,
    };
    write(&store, clock, |connection, audit| {
        audit.detail.user = Some(account_id);
        if person_account::find_by_login(connection, &row.login)?.is_some() {
            return Err(AccountError::Refused("there is an account of this login".to_owned()));
        }
        if let Some(identity_id) = &row.identity_id {
            if identity::find(connection, identity_id)?.is_none() {
                return Err(AccountError::Refused("there is no identity of this id".to_owned()));
            }
            audit.detail.identities.push(identity_id.clone());
        }
        Ok(person_account::insert(connection, &row)?)
    })?;
    Ok(authenticator)
}

/// Every account, in the order of their ids.
///
/// # Errors
/// When the database cannot be used.
pub fn list(config: &Config) -> Result<Vec<Listed>, AccountError> {
    let mut connection = open_store(config)?.connection()?;
    let mut accounts: Vec<Listed> = Vec::new();
    loop {
        let after = accounts.last().map_or("", |row| row.account_id.as_str()).to_owned();
        let page = person_account::list_after(&mut connection, &after, PAGE_ACCOUNTS)?;
        if page.is_empty() {
            return Ok(accounts);
        }
        accounts.extend(page.into_iter().map(Listed::from));
    }
}

/// Disables an account: its sessions and the tokens of its apps end at once, and it gets no others.
///
/// # Errors
/// When there is no such account that is active, or the database cannot be used.
pub fn disable(config: &Config, clock: Clock, login: &Login) -> Result<(), AccountError> {
    let store = open_store(config)?;
    write(&store, clock, |connection, audit| {
        let row = find(connection, login)?.filter(|row| row.state == ACTIVE);
        let row = row.ok_or_else(|| AccountError::Refused("there is no active account of this login".to_owned()))?;
        audit.detail.user = Some(row.account_id.clone());
        session::delete_of_account(connection, &row.account_id)?;
        // What apps were given for the person ends with it, and the codes that they have not redeemed.
        token_family::revoke_of_account(connection, &row.account_id, (clock.now_us)())?;
        let row = PersonAccountRow { state: DISABLED.to_owned(), updated_us: (clock.now_us)(), ..row };
        Ok(person_account::update(connection, &row)?)
    })
}

/// Gives an account another password or other codes, ends all its sessions and the tokens of its apps, and forgets how often signing in has failed. An
/// account that was disabled is active again.
///
/// # Errors
/// When there is no such account, or the password is not as it must be.
pub fn reset(
    config: &Config,
    clock: Clock,
    login: &Login,
    wanted: &Reset,
) -> Result<Option<Authenticator>, AccountError> {
    let password = &wanted.password;
    let password_hash = password.as_ref().map(|password| hash(password, login.expose(), clock)).transpose()?;
    let store = open_store(config)?;
    let sealer = sealer(config, &store, clock)?;
    let counting_key = counting_key(&mut store.writer_connection()?, clock)?;
    write(&store, clock, |connection, audit| {
        let row = find(connection, login)?;
        let row = row.ok_or_else(|| AccountError::Refused("there is no account of this login".to_owned()))?;
        audit.detail.user = Some(row.account_id.clone());
        let mut row = PersonAccountRow { state: ACTIVE.to_owned(), updated_us: (clock.now_us)(), ..row };
        if let Some(hash) = password_hash {
            row.password_hash = hash;
            audit.detail.reasons.push("password-replaced".to_owned());
        }
        let made = match wanted.codes {
            Codes::Keep => None,
            Codes::Replace => {
                let (made, sealed) = make_codes(config, &sealer, clock, &row.account_id, login.expose())?;
                row.totp_secret = sealed;
                // Steps of the other secret's codes say nothing of these.
                row.totp_step = 0;
                audit.detail.reasons.push("codes-replaced".to_owned());
                Some(made)
            }
        };
        person_account::update(connection, &row)?;
        session::delete_of_account(connection, &row.account_id)?;
        token_family::revoke_of_account(connection, &row.account_id, row.updated_us)?;
        sign_in_attempt::delete(connection, &Keys::of(&counting_key, login, None).login)?;
        Ok(made)
    })
}

fn sealer(config: &Config, store: &Store, clock: Clock) -> Result<Sealer, AccountError> {
    Ok(Sealer::open(&config.auth.key_file, &mut store.writer_connection()?, clock)?)
}

/// As [`operator::write`], while nobody signs in or is changed elsewhere.
fn write<T>(
    store: &Store,
    clock: Clock,
    work: impl FnOnce(&mut Connection, &mut AuditRecord) -> Result<T, AccountError>,
) -> Result<T, AccountError> {
    operator::write(store, clock, Action::ManageAccount, |connection, audit| {
        transaction::lock_people(connection)?;
        work(connection, audit)
    })
}

fn find(connection: &mut Connection, login: &Login) -> Result<Option<PersonAccountRow>, AccountError> {
    Ok(person_account::find_by_login(connection, login.expose())?)
}

#[allow(clippy::needless_pass_by_value, reason = "the last that is heard of it")]
fn refused(unfit: password::Unfit) -> AccountError {
    AccountError::Refused(unfit.to_string())
}

fn hash(password: &Secret, login: &str, clock: Clock) -> Result<String, AccountError> {
    password::check(password, login).map_err(refused)?;
    password::hash(password, *first(&(clock.secret)())).ok_or(AccountError::Cryptography)
}

/// A new secret of one-time codes: to show, and sealed.
fn make_codes(
    config: &Config,
    sealer: &Sealer,
    clock: Clock,
    account_id: &str,
    login: &str,
) -> Result<(Authenticator, String), AccountError> {
    let random = Zeroizing::new((clock.secret)());
    let secret: &[u8; SECRET_BYTES] = first(&random);
    let codes = OneTimeCodes::named(secret, &config.organization.name, login).ok_or(AccountError::Cryptography)?;
    let sealed = seal(sealer, &totp_place(account_id), secret, (clock.secret)());
    let authenticator = Authenticator {
        account_id: account_id.to_owned(),
        otpauth_uri: codes.uri().ok_or(AccountError::Cryptography)?,
        totp_secret: codes.base32(),
    };
    Ok((authenticator, sealed.ok_or(AccountError::Cryptography)?))
}

/// What was verified is a Patient by the guide's first profile, so that it can be matched.
fn check_attributes(config: &Config, text: &str) -> Result<(), AccountError> {
    let rules = Rules::of(config)?;
    let patient = parse(text.as_bytes(), &Limits::DEFAULT)
        .map_err(|issue| AccountError::Refused(format!("the attributes are no JSON: {}", issue.diagnostics)))?;
    if patient.text("resourceType") != Some("Patient") {
        return Err(AccountError::Refused("the attributes are no Patient".to_owned()));
    }
    let mut issues = rules.profiles.validate_base(&patient);
    issues.extend(rules.profiles.validate(&patient, &IdiProfile::Base.canonical()));
    let errors = issues.iter().filter(|issue| issue.severity <= Severity::Error);
    let lines: Vec<String> =
        errors.map(|issue| format!("{} at {}", issue.diagnostics, issue.expression.join(", "))).collect();
    if lines.is_empty() { Ok(()) } else { Err(AccountError::Refused(lines.join("\n"))) }
}

fn check_date(new: &NewAccount, now_us: i64) -> Result<(), AccountError> {
    let today = instant(now_us);
    let is_past = new.verified_on.is_full() && new.verified_on_text.as_str() <= &today[..10];
    if is_past {
        Ok(())
    } else {
        Err(AccountError::Refused("the date of verification is a day, not after today".to_owned()))
    }
}

/// The first bytes of fresh ones.
fn first<const N: usize>(random: &[u8; 32]) -> &[u8; N] {
    const { assert!(N <= 32) };
    random.first_chunk().unwrap_or(&[0; N])
}

//! An account: whose it is, as far as was verified, and how surely.
//!
//! Not here: signing in, and the commands that make accounts (see `manage`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::app::App;
use crate::app::auth::seal::Sealer;
use crate::app::error::AppError;
use crate::assurance::level::IdentityLevel;
use crate::fhir::date::Date;
use crate::store::person_account::{self, ACTIVE, PERSON, PersonAccountRow, WORKFORCE};

/// Who signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountKind {
    /// For themselves, or for whom they represent.
    Person,
    /// For the organisation that they work for.
    Workforce,
}

impl AccountKind {
    /// The word that is stored.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Person => PERSON,
            Self::Workforce => WORKFORCE,
        }
    }

    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        [Self::Person, Self::Workforce].into_iter().find(|kind| kind.code() == code)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    Active,
    Disabled,
}

/// An account as it is now.
#[derive(Clone)]
pub struct Account {
    /// Random: it names nobody.
    pub account_id: String,
    pub kind: AccountKind,
    pub state: AccountState,
    /// How the person was proofed, and when.
    pub level: IdentityLevel,
    pub verified_on: Date,
    /// A Patient with what was verified.
    pub attributes: Value,
    /// Whose account it is, as far as that was known when it was made.
    pub identity_id: Option<String>,
    /// When it was added, disabled or reset last: who signed in before has to sign in again.
    pub updated_us: i64,
}

/// Shows nothing of the person.
impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("account_id", &self.account_id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Account {
    /// Opens a stored account; `None` where its seal cannot be opened or it is not as it was written.
    #[must_use]
    pub fn open(row: &PersonAccountRow, sealer: &Sealer) -> Option<Self> {
        let attributes = open(sealer, &attributes_place(&row.account_id), &row.attributes)?;
        Some(Self {
            account_id: row.account_id.clone(),
            kind: AccountKind::parse(&row.kind)?,
            state: if row.state == ACTIVE { AccountState::Active } else { AccountState::Disabled },
            level: IdentityLevel::parse(&row.level)?,
            verified_on: Date::parse(&row.verified_on).filter(Date::is_full)?,
            attributes: serde_json::from_slice(&attributes).ok()?,
            identity_id: row.identity_id.clone(),
            updated_us: row.updated_us,
        })
    }
}

impl App {
    /// The account of this id, disabled ones too.
    ///
    /// # Errors
    /// Those of the database; `Internal` for one that cannot be opened, which the log says.
    pub fn account(&self, account_id: &str) -> Result<Option<Account>, AppError> {
        let Some(row) = person_account::find(&mut *self.connection()?, account_id)? else { return Ok(None) };
        let account = Account::open(&row, &self.sealer).ok_or_else(|| {
            tracing::error!(account.id = %row.account_id, "the attributes of an account cannot be opened: its key is not here");
            AppError::internal()
        })?;
        Ok(Some(account))
    }
}

/// Where the secret of an account's one-time codes is sealed for.
pub(super) fn totp_place(account_id: &str) -> String {
    format!("person_account/{account_id}/totp")
}

pub(super) fn attributes_place(account_id: &str) -> String {
    format!("person_account/{account_id}/attributes")
}

/// What was sealed for a place, of the base64 that is stored.
pub(super) fn open(sealer: &Sealer, place: &str, stored: &str) -> Option<Vec<u8>> {
    sealer.open_sealed(place, &STANDARD.decode(stored).ok()?)
}

/// Seals for a place, as base64.
pub(super) fn seal(sealer: &Sealer, place: &str, plain: &[u8], random: [u8; 32]) -> Option<String> {
    Some(STANDARD.encode(sealer.seal(place, plain, random)?))
}

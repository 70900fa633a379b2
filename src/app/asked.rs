//! The question of a match: who is asked for, by which rules, and how much the answer may tell of a number.
//!
//! Not here: what is found (see `match_patient`).

use crate::fhir::date::Date;
use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::match_parameters::RuleBook;
use crate::identity::discreet::{self, Numbers};
use crate::identity::{self, MemberRecord};
use crate::matching::combination::Day;
use crate::matching::model::Model;
use crate::matching::pool::IdentityMatch;
use crate::matching::record::Record;

use super::assured_match;
use super::context::Context;
use super::error::AppError;
use super::rule_book::{day_of, may_combine};

/// Identities less likely than this, and without a row of the guide's table, are neither returned (see
/// `match.probability_min`) nor close enough to make another one ambiguous: they are not read.
const READ_PROBABILITY_MIN: f64 = 0.005;

/// Who is asked for, and by which rules.
#[derive(Clone)]
pub(super) struct Asked {
    pub record: Record,
    pub rule_book: RuleBook,
    pub today: Day,
    /// The same day as a date.
    pub date: Date,
    telling: Telling,
    numbers: Numbers,
}

/// How much the answer tells of a social security number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Telling {
    /// How it compares.
    Plain,
    /// Whether it is the stored one.
    Discreet,
}

impl Asked {
    pub fn of(record: Record, ctx: &Context) -> Result<Self, AppError> {
        let date = assured_match::day(ctx.now_us).ok_or_else(AppError::internal)?;
        let telling = if ctx.caller.sees_probabilities() { Telling::Plain } else { Telling::Discreet };
        let (rule_book, today, numbers) = (RuleBook::Idi, day_of(ctx.now_us), Numbers::Kept);
        Ok(Self { record: Record::default(), rule_book, today, date, telling, numbers }.about(record))
    }

    /// The same question about somebody else.
    pub fn about(&self, record: Record) -> Self {
        let (record, numbers) = match self.telling {
            Telling::Plain => (record, Numbers::Kept),
            Telling::Discreet => discreet::one_number(record),
        };
        Self { record, numbers, ..*self }
    }

    /// The same question by this rule-book.
    pub fn by(&self, rule_book: RuleBook) -> Self {
        Self { rule_book, ..self.clone() }
    }

    pub fn is_discreet(&self) -> bool {
        self.telling == Telling::Discreet
    }

    /// What has to be said of the numbers that were sent.
    pub fn remark(&self) -> Option<Issue> {
        let text = "Of several social security numbers none takes part in matching.";
        (self.numbers == Numbers::Dropped)
            .then(|| Issue::warning(IssueCode::BusinessRule, text).at("Patient.identifier"))
    }

    pub fn evaluate(&self, id: &str, members: &[MemberRecord], model: &Model, population: usize) -> IdentityMatch {
        match self.telling {
            Telling::Plain => identity::evaluate(&self.record, id, members, model, population),
            Telling::Discreet => discreet::evaluate(&self.record, id, members, model, population),
        }
    }

    /// Whether an identity may be returned, or make another one ambiguous.
    pub fn is_worth_reading(&self, identity: &IdentityMatch) -> bool {
        let is_likely = identity.row.is_some() || identity.posterior.max(identity.probability) >= READ_PROBABILITY_MIN;
        is_likely || (self.rule_book != RuleBook::Idi && may_combine(identity, &self.record))
    }
}

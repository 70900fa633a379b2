//! The CMS combinations: a second, deterministic rule-book beside the guide's table and the matching model.
//!
//! A person is matched when one approved combination of fields agrees with exactly one identity. Which fields, how likely
//! strangers agree on them, which may differ by an edit and what never compares is data (`profiles/cms-combinations.json`,
//! see `book`); what is compared are the normalised records of a query and of each proposed identity, all values of all
//! records together. Not here: proposing identities (see `index`; `book` refuses a combination that no block key finds),
//! what becomes of the outcome (see `app::select`).

mod agreement;
mod book;
mod field;
mod values;

pub use book::Book;
pub use field::{Field, Fields};
pub use values::Day;

use super::record::Record;
use agreement::{Agreement, SuffixAgreement};
use book::Combination;
use values::Values;

/// What the rule-book says of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Exactly one identity.
    Match,
    NoMatch,
    /// Several identities: two that a person would have to tell apart, or more.
    Ambiguous,
    /// The query lacks the fields of every combination.
    InsufficientFields,
}

impl Outcome {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::NoMatch => "no-match",
            Self::Ambiguous => "ambiguous",
            Self::InsufficientFields => "insufficient-fields",
        }
    }
}

/// What the rule-book says of one identity.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// A combination holds.
    Matched(Fired),
    /// One would hold, but generational suffixes differ.
    Vetoed(Fired),
    /// A twin that a namespace id or middle name tells apart from the person asked for.
    OtherTwin(Fired),
    /// Only the fields of a household agree: this row.
    Household(String),
    Unmatched,
}

impl Verdict {
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Matched(_) => "matched",
            Self::Vetoed(_) => "suffix-veto",
            Self::OtherTwin(_) => "other-twin",
            Self::Household(_) => "household",
            Self::Unmatched => "unmatched",
        }
    }

    /// The combination that holds, or would.
    #[must_use]
    pub const fn fired(&self) -> Option<&Fired> {
        match self {
            Self::Matched(fired) | Self::Vetoed(fired) | Self::OtherTwin(fired) => Some(fired),
            Self::Household(_) | Self::Unmatched => None,
        }
    }
}

/// A combination that holds: the first one in the order of the rule-book.
#[derive(Debug, Clone, PartialEq)]
pub struct Fired {
    pub rule: String,
    /// That two strangers agree so.
    pub collision: f64,
    /// Fields used that are equal.
    pub exact: Fields,
    /// Fields used that are nearly equal.
    pub fuzzy: Fields,
}

/// The outcome, and the verdict on each identity in the order given.
#[derive(Debug, Clone, PartialEq)]
pub struct Combined {
    pub outcome: Outcome,
    pub verdicts: Vec<Verdict>,
}

/// An identity while it is judged.
struct Candidate<'r> {
    values: Values<'r>,
    agreement: Agreement,
    fired: Option<Fired>,
    is_other_twin: bool,
}

impl<'r> Candidate<'r> {
    fn new(query: &Values<'_>, records: &[&'r Record], book: &Book, today: Day) -> Self {
        let values = Values::of(records.iter().copied(), book, today);
        let agreement = Agreement::between(query, &values, book);
        Self { values, agreement, fired: None, is_other_twin: false }
    }
}

/// Judges `identities`, each a list of its records, for `query` as of `today`.
#[must_use]
pub fn combine(book: &Book, query: &Record, identities: &[Vec<&Record>], today: Day) -> Combined {
    let query = Values::of(std::iter::once(query), book, today);
    let mut candidates: Vec<Candidate<'_>> =
        identities.iter().map(|records| Candidate::new(&query, records, book, today)).collect();
    for combination in &book.combinations {
        match combination.household {
            None => judge_each(book, combination, &mut candidates),
            Some(row) => judge_household(book, combination, book.households[row].fields, &query, &mut candidates),
        }
    }
    let verdicts: Vec<Verdict> = candidates.into_iter().map(|candidate| verdict(book, candidate)).collect();
    let matched = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Matched(_))).count();
    let outcome = match matched {
        1 => Outcome::Match,
        2.. => Outcome::Ambiguous,
        0 if book.combinations.iter().all(|rule| !rule.fields.is_within(query.present)) => Outcome::InsufficientFields,
        0 => Outcome::NoMatch,
    };
    Combined { outcome, verdicts }
}

fn judge_each(book: &Book, combination: &Combination, candidates: &mut [Candidate<'_>]) {
    for candidate in candidates.iter_mut().filter(|candidate| candidate.fired.is_none()) {
        candidate.fired = fired(book, combination, combination.starred, &candidate.agreement);
    }
}

/// First the household by its equal fields, then its member: a first name must be equal where another member has the same
/// birth date, as twins have.
fn judge_household(
    book: &Book,
    combination: &Combination,
    shared: Fields,
    query: &Values<'_>,
    candidates: &mut [Candidate<'_>],
) {
    let members: Vec<usize> =
        (0..candidates.len()).filter(|at| shared.is_within(candidates[*at].agreement.exact)).collect();
    let born_alike = |at: usize| {
        let days = &candidates[at].values.birth_days;
        members
            .iter()
            .any(|other| *other != at && candidates[*other].values.birth_days.iter().any(|d| days.contains(d)))
    };
    let twins: Vec<usize> = members.iter().copied().filter(|at| born_alike(*at)).collect();
    let mut resolved = Vec::new();
    for at in members {
        let is_twin = twins.contains(&at);
        let starred = if is_twin { Fields::EMPTY } else { combination.starred };
        let held = fired(book, combination, starred, &candidates[at].agreement);
        if held.is_some() && candidates[at].agreement.suffix == SuffixAgreement::Compatible {
            resolved.push(at);
        }
        let candidate = &mut candidates[at];
        candidate.fired = candidate.fired.take().or(held);
    }
    if let [one, other] = resolved[..]
        && twins.contains(&one)
        && twins.contains(&other)
        && let Some(excluded) = other_twin(query, candidates, one, other)
    {
        candidates[excluded].is_other_twin = true;
    }
}

/// Of two twins who both agree the one who is not meant: a namespace id says so, else the middle names of all three. A
/// namespace id of the query that fits both, or neither, decides nothing, and then nothing does.
fn other_twin(query: &Values<'_>, candidates: &[Candidate<'_>], one: usize, other: usize) -> Option<usize> {
    let agree = if query.present.has(Field::NamespaceId) {
        [one, other].map(|at| candidates[at].agreement.exact.has(Field::NamespaceId))
    } else {
        let middle = [one, other].map(|at| &candidates[at].values.middle_names);
        if middle.iter().any(|names| names.is_empty()) {
            return None;
        }
        middle.map(|names| query.middle_names.iter().any(|name| names.contains(name)))
    };
    match agree {
        [true, false] => Some(other),
        [false, true] => Some(one),
        _ => None,
    }
}

/// The combination, when all its fields agree and no more are fuzzy than may be.
fn fired(book: &Book, combination: &Combination, starred: Fields, agreement: &Agreement) -> Option<Fired> {
    let fuzzy = combination.fields.without(agreement.exact);
    let counted = fuzzy.without(Fields::one(Field::BirthDate)).count();
    let holds = fuzzy.is_within(agreement.fuzzy) && fuzzy.is_within(starred) && counted <= combination.fuzzy_max;
    holds.then(|| {
        let exact = combination.fields.without(fuzzy);
        Fired { rule: combination.rule.clone(), collision: book.collision(exact, fuzzy), exact, fuzzy }
    })
}

fn verdict(book: &Book, candidate: Candidate<'_>) -> Verdict {
    let is_veto = candidate.agreement.suffix == SuffixAgreement::Different;
    match candidate.fired {
        Some(fired) if is_veto => Verdict::Vetoed(fired),
        Some(fired) if candidate.is_other_twin => Verdict::OtherTwin(fired),
        Some(fired) => Verdict::Matched(fired),
        None => {
            let household = book.households.iter().find(|row| row.fields.is_within(candidate.agreement.exact));
            household.map_or(Verdict::Unmatched, |row| Verdict::Household(row.row.clone()))
        }
    }
}

#[cfg(test)]
mod tests;

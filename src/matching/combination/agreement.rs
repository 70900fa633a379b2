//! On which fields two sides agree, exactly or nearly: any value of one side with any of the other.
//!
//! Not here: which fields must agree (see `book`), what is no value (see `values`).

use super::book::{Book, Fuzzy};
use super::field::{Field, Fields};
use super::values::Values;
use crate::matching::normalise::name::Name;
use crate::matching::similarity::osa_within;

/// The fields on which an identity agrees with the person asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Agreement {
    pub exact: Fields,
    /// Nearly, and not exactly.
    pub fuzzy: Fields,
    pub suffix: SuffixAgreement,
}

/// Generational suffixes of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum SuffixAgreement {
    /// One side has none, or both have the same.
    #[default]
    Compatible,
    Different,
}

/// How near two values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    Apart,
    Near,
    Equal,
}

impl Agreement {
    pub fn between(query: &Values<'_>, stored: &Values<'_>, book: &Book) -> Self {
        let mut agreement = Self { suffix: suffixes(query, stored), ..Self::default() };
        let fuzzy = book.fuzzy;
        agreement.note(Field::FirstName, nearest(&query.first_names, &stored.first_names, |a, b| first(a, b, fuzzy)));
        agreement.note(Field::LastName, nearest(&query.last_names, &stored.last_names, |a, b| text(a, b, fuzzy)));
        agreement.note(
            Field::BirthDate,
            nearest(&query.birth_days, &stored.birth_days, |a, b| match a.abs_diff(*b) {
                0 => Nearness::Equal,
                days if days <= u64::from(fuzzy.days_max) => Nearness::Near,
                _ => Nearness::Apart,
            }),
        );
        agreement.note(
            Field::StreetLine,
            nearest(&query.streets, &stored.streets, |a, b| {
                if a.zip == b.zip { text(a.line, b.line, fuzzy) } else { Nearness::Apart }
            }),
        );
        let lives_there = query.streets.iter().filter(|street| street.is_residence);
        for street in lives_there {
            if stored.streets.contains(street) {
                agreement.exact.add(Field::ResidenceLine);
            }
        }
        for other in &query.others {
            if stored.others.contains(other) {
                agreement.exact.add(other.field);
            }
        }
        agreement
    }

    fn note(&mut self, field: Field, nearness: Nearness) {
        match nearness {
            Nearness::Equal => self.exact.add(field),
            Nearness::Near => self.fuzzy.add(field),
            Nearness::Apart => {}
        }
    }
}

fn nearest<A, B>(one: &[A], other: &[B], compare: impl Fn(&A, &B) -> Nearness) -> Nearness {
    let mut best = Nearness::Apart;
    for a in one {
        for b in other {
            best = best.max(compare(a, b));
            if best == Nearness::Equal {
                return best;
            }
        }
    }
    best
}

/// A short form equals the names that it is a short form of, and is near what is near those. Two short forms of one name
/// are not equal: Nora and Ella are both of Eleanor, and sisters.
fn first(a: &Name, b: &Name, fuzzy: Fuzzy) -> Nearness {
    let (Some(one), Some(other)) = (&a.given, &b.given) else { return Nearness::Apart };
    let formal = |names: &[String], name: &str| names.iter().map(|formal| text(formal, name, fuzzy)).max();
    let expanded = formal(&a.formal, other).max(formal(&b.formal, one)).unwrap_or(Nearness::Apart);
    expanded.max(text(one, other, fuzzy))
}

fn text(a: &str, b: &str, fuzzy: Fuzzy) -> Nearness {
    if a == b {
        return Nearness::Equal;
    }
    let is_long = |text: &str| text.chars().count() >= fuzzy.chars_min;
    let is_near = is_long(a) && is_long(b) && osa_within(a.as_bytes(), b.as_bytes(), fuzzy.edits_max).is_some();
    if is_near { Nearness::Near } else { Nearness::Apart }
}

fn suffixes(query: &Values<'_>, stored: &Values<'_>) -> SuffixAgreement {
    let is_shared = query.suffixes.iter().any(|suffix| stored.suffixes.contains(suffix));
    if query.suffixes.is_empty() || stored.suffixes.is_empty() || is_shared {
        SuffixAgreement::Compatible
    } else {
        SuffixAgreement::Different
    }
}

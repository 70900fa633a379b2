//! The errors of an evaluation one by one: false accepts by who was taken for the person, and the worst of each side.
//!
//! Of absent people the truth says who is stored instead. Of stored people it does not say who the other is; whoever has
//! both stored records compares them ([`FalseKind::of_records`]). Not here: counting (see the parent module), reading
//! records.

use serde::Serialize;

use super::QueryKind;
use crate::matching::score::Waterfall;

/// Who was accepted in place of the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FalseKind {
    Twin,
    Relative,
    Stranger,
    /// An identity that holds records of the person and of others.
    Merged,
    /// Another stored person, and nobody compared the two.
    AnotherPerson,
}

impl FalseKind {
    pub const ALL: [Self; 5] = [Self::Twin, Self::Relative, Self::Stranger, Self::Merged, Self::AnotherPerson];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Twin => "twin",
            Self::Relative => "relative",
            Self::Stranger => "stranger",
            Self::Merged => "merged with others",
            Self::AnotherPerson => "another person, not compared",
        }
    }

    /// Of a query whose person is not stored.
    pub(super) const fn of_absent(kind: QueryKind) -> Self {
        match kind {
            QueryKind::AbsentTwin => Self::Twin,
            QueryKind::AbsentRelative => Self::Relative,
            QueryKind::AbsentRandom => Self::Stranger,
            QueryKind::Match => Self::AnotherPerson,
        }
    }

    /// By how the stored records of the person and of the other compare: address, phone, email or member number in common
    /// makes relatives; with the birth date, twins. The levels count and no weight, so that the rule is not the model's.
    #[must_use]
    pub fn of_records(waterfall: &Waterfall) -> Self {
        let level =
            |comparison: &str| waterfall.bars.iter().find(|bar| bar.comparison == comparison).map(|bar| bar.level);
        let is_any = |comparison, levels: &[&str]| level(comparison).is_some_and(|level| levels.contains(&level));
        let is_household = is_any("address", &["exact", "unit"])
            || is_any("phone", &["exact"])
            || is_any("email", &["exact"])
            || is_any("member", &["exact", "part"]);
        let is_of_one_day = is_any("birth_date", &["exact", "first_of_january"]);
        match (is_household, is_of_one_day) {
            (true, true) => Self::Twin,
            (true, false) => Self::Relative,
            (false, _) => Self::Stranger,
        }
    }
}

/// False accepts of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FalseLine {
    pub kind: FalseKind,
    /// At the threshold.
    pub accepted: u64,
    /// Candidates graded certain, at any probability.
    pub certain: u64,
}

/// One query that went wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorstError {
    pub query: String,
    pub kind: QueryKind,
    pub events: Vec<String>,
    pub error: ErrorKind,
    /// Of a false accept, that of the accepted identity; of a miss, that of the person's identity, 0 when it was not proposed.
    pub probability: f64,
    /// Of a false accept, some records of the accepted identity.
    #[serde(skip)]
    pub records: Vec<String>,
    pub true_person: Option<String>,
}

/// Which side an error is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    FalseAccept(FalseKind),
    /// The person is stored and nobody was accepted.
    Miss,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::score::Bar;

    #[test]
    fn a_household_in_common_makes_relatives_and_one_birth_date_more_makes_twins() {
        let waterfall = |levels: &[(&'static str, &'static str)]| Waterfall {
            prior: 0.0,
            bars: levels
                .iter()
                .map(|(comparison, level)| Bar { comparison, level, m: 1.0, u: 1.0, weight: 0.0 })
                .collect(),
            total: 0.0,
            probability: 0.5,
        };
        for (levels, kind) in [
            (&[("birth_date", "exact"), ("phone", "exact")][..], FalseKind::Twin),
            (&[("birth_date", "conflict"), ("address", "unit")], FalseKind::Relative),
            (&[("birth_date", "exact"), ("address", "zip"), ("family", "exact")], FalseKind::Stranger),
            (&[("phone", "absent"), ("member", "part")], FalseKind::Relative),
        ] {
            assert_eq!(FalseKind::of_records(&waterfall(levels)), kind, "{levels:?}");
        }
    }
}

//! Pairs by what is the same of them: the levels of all comparisons and the bands of name frequencies, with a count.
//!
//! Why: of millions of pairs some hundred thousand differ in what training looks at, so memory does not grow with the
//! number of pairs. One pair in five is held out. Not here: which pairs (see `index::sample`).

use std::collections::HashMap;

use crate::matching::blocking::Rule;
use crate::matching::comparison::{Comparison, Level, Pair};

/// What a person said of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    Match,
    NonMatch,
}

/// Where pairs come from: a blocking rule, chance, or a person's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Session {
    Random,
    Rule(u8),
    Labelled(Label),
}

impl Session {
    /// What pairs of the session agree on: its comparisons are decided by being in it, and so say nothing there.
    #[must_use]
    pub(super) const fn agreements(self) -> &'static [Agreement] {
        use Comparison as C;
        let Self::Rule(rule) = self else { return &[] };
        match Rule::ALL[rule as usize % Rule::COUNT] {
            Rule::BirthDateSex => const { &[DATE, agree(C::Sex, &[Level::Exact])] },
            Rule::Phone => const { &[agree(C::Phone, &[Level::Exact])] },
            Rule::Email => const { &[agree(C::Email, &[Level::Exact])] },
            Rule::Member => const { &[agree(C::Member, &[Level::Exact])] },
            Rule::MedicalRecord => const { &[agree(C::MedicalRecord, &[Level::Exact])] },
            // Licences and the like, and social security numbers; few records have both.
            Rule::Identifier => const { &[agree(C::Identifier, &[Level::Exact]), agree(C::SocialSecurity, &[])] },
            Rule::FamilyInitial => const { &[FAMILY, INITIAL] },
            Rule::FamilySoundInitialYear => const { &[FAMILY_SOUND, INITIAL, YEAR] },
            Rule::FamilyZip => {
                const { &[FAMILY, agree(C::Address, &[Level::Exact, Level::Unit, Level::Close, Level::Zip])] }
            }
            Rule::FamilySoundMonthDay => const { &[FAMILY_SOUND, MONTH_DAY] },
            Rule::GivenSoundMonthDay => const { &[agree(C::Given, &[Level::Exact, Level::Phonetic]), MONTH_DAY] },
            Rule::Last4BirthYear => const { &[agree(C::SocialSecurity, &[Level::Exact, Level::LastFour]), YEAR] },
            Rule::Line => const { &[agree(C::Address, &[Level::Exact, Level::Unit, Level::Line])] },
        }
    }

    /// Whether being in the session decides the comparison.
    #[must_use]
    pub(super) fn decides(self, comparison: Comparison) -> bool {
        self.agreements().iter().any(|agreement| agreement.comparison == comparison)
    }

    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Random => "random".to_owned(),
            Self::Rule(rule) => Rule::ALL[rule as usize % Rule::COUNT].name().to_owned(),
            Self::Labelled(Label::Match) => "labelled-match".to_owned(),
            Self::Labelled(Label::NonMatch) => "labelled-non-match".to_owned(),
        }
    }
}

/// Levels of a comparison that share a block key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Agreement {
    pub comparison: Comparison,
    /// None where the comparison is left out, but says nothing of how many agree.
    pub levels: &'static [Level],
}

const fn agree(comparison: Comparison, levels: &'static [Level]) -> Agreement {
    Agreement { comparison, levels }
}

const DATE: Agreement = agree(Comparison::BirthDate, &[Level::Exact, Level::FirstOfJanuary]);
const MONTH_DAY: Agreement = agree(Comparison::BirthDate, &[Level::Exact, Level::FirstOfJanuary, Level::MonthDay]);
const YEAR: Agreement = agree(
    Comparison::BirthDate,
    &[
        Level::Exact,
        Level::FirstOfJanuary,
        Level::Swapped,
        Level::YearMonth,
        Level::Placeholder,
        Level::Partial,
        Level::SameYear,
    ],
);
const FAMILY: Agreement = agree(Comparison::Family, &[Level::Exact]);
const FAMILY_SOUND: Agreement = agree(Comparison::Family, &[Level::Exact, Level::Close, Level::Phonetic]);
const INITIAL: Agreement = agree(
    Comparison::Given,
    &[Level::Exact, Level::Nickname, Level::Close, Level::Initial, Level::Phonetic, Level::Distorted, Level::Similar],
);

/// What training looks at of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Pattern {
    levels: [u8; Comparison::COUNT],
    /// Halves of a bit of the names' rarity.
    given_band: u8,
    family_band: u8,
}

const BANDS_PER_BIT: f32 = 2.0;

impl Pattern {
    fn of(pair: &Pair) -> Self {
        let band = |frequency: f32| (-frequency.log2() * BANDS_PER_BIT).round().clamp(0.0, 255.0) as u8;
        Self {
            levels: Comparison::ALL.map(|comparison| pair.level(comparison) as u8),
            given_band: band(pair.given_frequency),
            family_band: band(pair.family_frequency),
        }
    }

    /// A pair of this pattern.
    pub fn pair(&self) -> Pair {
        let mut pair = Pair::EMPTY;
        for (comparison, level) in Comparison::ALL.into_iter().zip(self.levels) {
            let level = comparison.levels().iter().copied().find(|known| *known as u8 == level);
            pair.set(comparison, level.unwrap_or(Level::Absent));
        }
        let frequency = |band: u8| (-f32::from(band) / BANDS_PER_BIT).exp2();
        pair.given_frequency = frequency(self.given_band);
        pair.family_frequency = frequency(self.family_band);
        pair
    }
}

/// Whether a pair takes part in fitting or judges the fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Part {
    Fitted,
    HeldOut,
}

/// Counted patterns.
#[derive(Debug, Clone, Default)]
pub struct Patterns {
    counts: HashMap<(Session, Part, Pattern), u64>,
}

/// One of this many pairs is held out.
const HELD_OUT_EVERY: u64 = 5;

impl Patterns {
    /// Counts a pair; `key` is the same for the same two records, whatever their order.
    pub fn add(&mut self, session: Session, key: u64, pair: &Pair) {
        let is_held_out = matches!(session, Session::Rule(_)) && key.is_multiple_of(HELD_OUT_EVERY);
        let part = if is_held_out { Part::HeldOut } else { Part::Fitted };
        *self.counts.entry((session, part, Pattern::of(pair))).or_default() += 1;
    }

    /// Adds those of `other`.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        let (mut all, few) = if self.counts.len() < other.counts.len() {
            (other.counts, self.counts)
        } else {
            (self.counts, other.counts)
        };
        for (pattern, count) in few {
            *all.entry(pattern).or_default() += count;
        }
        Self { counts: all }
    }

    /// In an order that does not depend on how they were collected.
    pub(super) fn sorted(&self, wanted: Part) -> Vec<(Session, Pair, f64)> {
        let mut list: Vec<_> = self.counts.iter().filter(|((_, part, _), _)| *part == wanted).collect();
        list.sort_unstable();
        list.into_iter().map(|((session, _, pattern), count)| (*session, pattern.pair(), *count as f64)).collect()
    }

    /// Those of the sessions for which `is_kept` holds.
    pub(super) fn of_sessions(&self, is_kept: impl Fn(Session) -> bool) -> Self {
        let kept = self.counts.iter().filter(|((session, ..), _)| is_kept(*session));
        Self { counts: kept.map(|(pattern, count)| (*pattern, *count)).collect() }
    }

    fn count(&self, holds: impl Fn(Session) -> bool) -> u64 {
        self.counts.iter().filter(|((session, ..), _)| holds(*session)).map(|(_, count)| count).sum()
    }

    /// Pairs that share a block key.
    #[must_use]
    pub fn pairs(&self) -> u64 {
        self.count(|session| matches!(session, Session::Rule(_)))
    }

    #[must_use]
    pub fn random_pairs(&self) -> u64 {
        self.count(|session| session == Session::Random)
    }

    #[must_use]
    pub fn labelled_pairs(&self) -> u64 {
        self.count(|session| matches!(session, Session::Labelled(_)))
    }
}

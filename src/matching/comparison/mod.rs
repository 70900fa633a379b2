//! Comparisons of a pair of records, each with a small set of comparison levels, and the evidence the grade needs.
//!
//! What: [`compare`] gives a [`Pair`]: one level per comparison, best of all values on both sides; absent where one side
//! has nothing, which is no evidence. [`Pair::join`] pools the pairs of one identity. One file per family of values has
//! its levels' rules. Not here: what a level is worth (see `model`, `score`), rows and caps (see `grade`).

mod address;
mod birth_date;
mod identifier;
mod name;

use super::dictionary::Dictionary;
use super::entry::{Query, QueryText, Tag, UNKNOWN_ID, View};
use super::normalise::name::Suffix;
use super::record::Sex;
use super::similarity::osa_within;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Comparison {
    Given,
    Family,
    Middle,
    Suffix,
    BirthDate,
    Sex,
    Address,
    Phone,
    Email,
    SocialSecurity,
    Member,
    MedicalRecord,
    Identifier,
}

/// A comparison level; the order is from best to worst within every comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    Exact,
    /// Equal, and 1 January.
    FirstOfJanuary,
    /// Sexes agree and so do given names, which mostly tell the sex.
    SameGiven,
    /// Given and family exchanged; month and day exchanged.
    Swapped,
    LastFour,
    /// Same building, other unit.
    Unit,
    Nickname,
    /// A part of a compound value agrees.
    Part,
    /// A typing error apart.
    Close,
    /// The street line alone.
    Line,
    YearMonth,
    Placeholder,
    /// Postal codes agree and there are no lines to compare.
    ZipOnly,
    Initial,
    Phonetic,
    /// A middle name used as given name.
    Middle,
    /// Two short forms of one name (Nora and Ella), or compound names of one beginning: one person's, or two children's.
    ShortForms,
    /// Near, but both are names in use.
    Confusable,
    LastFourClose,
    /// Similar, and one of them is no name in use: errors compounded.
    Distorted,
    Similar,
    Zip,
    MonthDay,
    PlaceOnly,
    Place,
    /// Years agree and more is not known.
    Partial,
    TwoDigits,
    SameYear,
    /// Sexes differ although given names agree.
    OtherGiven,
    /// Different surnames, and a woman is involved.
    Changed,
    /// Different given names, of which one is no name in use.
    Unrecognised,
    Conflict,
    /// Different birth dates, at least `birth_date::GENERATION_YEARS` apart.
    Generation,
    Absent,
}

impl Level {
    pub const COUNT: usize = Self::Absent as usize + 1;

    /// The level's name in the model file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::FirstOfJanuary => "first_of_january",
            Self::SameGiven => "same_given",
            Self::Swapped => "swapped",
            Self::LastFour => "last_four",
            Self::Unit => "unit",
            Self::Nickname => "nickname",
            Self::Part => "part",
            Self::Close => "close",
            Self::Line => "line",
            Self::YearMonth => "year_month",
            Self::Placeholder => "placeholder",
            Self::ZipOnly => "zip_only",
            Self::Initial => "initial",
            Self::Phonetic => "phonetic",
            Self::Middle => "middle",
            Self::ShortForms => "short_forms",
            Self::Confusable => "confusable",
            Self::LastFourClose => "last_four_close",
            Self::Distorted => "distorted",
            Self::Similar => "similar",
            Self::Zip => "zip",
            Self::MonthDay => "month_day",
            Self::PlaceOnly => "place_only",
            Self::Place => "place",
            Self::Partial => "partial",
            Self::TwoDigits => "two_digits",
            Self::SameYear => "same_year",
            Self::OtherGiven => "other_given",
            Self::Changed => "changed",
            Self::Unrecognised => "unrecognised",
            Self::Conflict => "conflict",
            Self::Generation => "generation",
            Self::Absent => "absent",
        }
    }
}

impl Comparison {
    pub const COUNT: usize = 13;

    pub const ALL: [Self; Self::COUNT] = [
        Self::Given,
        Self::Family,
        Self::Middle,
        Self::Suffix,
        Self::BirthDate,
        Self::Sex,
        Self::Address,
        Self::Phone,
        Self::Email,
        Self::SocialSecurity,
        Self::Member,
        Self::MedicalRecord,
        Self::Identifier,
    ];

    /// The comparison's name in the model file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Family => "family",
            Self::Middle => "middle",
            Self::Suffix => "suffix",
            Self::BirthDate => "birth_date",
            Self::Sex => "sex",
            Self::Address => "address",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::SocialSecurity => "social_security",
            Self::Member => "member",
            Self::MedicalRecord => "medical_record",
            Self::Identifier => "identifier",
        }
    }

    /// The levels it can give, best first, without [`Level::Absent`].
    #[must_use]
    pub const fn levels(self) -> &'static [Level] {
        use Level as L;
        match self {
            Self::Given => &[
                L::Exact,
                L::Swapped,
                L::Nickname,
                L::Close,
                L::Initial,
                L::Phonetic,
                L::Middle,
                L::ShortForms,
                L::Confusable,
                L::Distorted,
                L::Similar,
                L::Unrecognised,
                L::Conflict,
            ],
            Self::Family => {
                &[L::Exact, L::Swapped, L::Part, L::Close, L::Phonetic, L::Similar, L::Changed, L::Conflict]
            }
            Self::Middle => &[L::Exact, L::Close, L::Initial, L::Conflict],
            Self::Suffix => &[L::Exact, L::Conflict],
            Self::BirthDate => &[
                L::Exact,
                L::FirstOfJanuary,
                L::Swapped,
                L::Close,
                L::YearMonth,
                L::Placeholder,
                L::MonthDay,
                L::Partial,
                L::TwoDigits,
                L::SameYear,
                L::Conflict,
                L::Generation,
            ],
            Self::Sex => &[L::Exact, L::SameGiven, L::OtherGiven, L::Conflict],
            Self::Address => {
                &[L::Exact, L::Unit, L::Close, L::Line, L::ZipOnly, L::Zip, L::PlaceOnly, L::Place, L::Conflict]
            }
            Self::Phone | Self::Email | Self::MedicalRecord | Self::Identifier => &[L::Exact, L::Close, L::Conflict],
            Self::SocialSecurity => &[L::Exact, L::LastFour, L::Close, L::LastFourClose, L::Conflict],
            Self::Member => &[L::Exact, L::Part, L::Close, L::Conflict],
        }
    }
}

/// Facts of agreement and conflict that the grade asks for; the union over an identity's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evidence(u64);

impl Evidence {
    pub const FIRST: Self = Self(1 << 0);
    pub const FIRST_OR_NICKNAME: Self = Self(1 << 1);
    pub const FIRST_NEAR: Self = Self(1 << 2);
    pub const LAST: Self = Self(1 << 3);
    pub const LAST_NEAR: Self = Self(1 << 4);
    pub const BOTH_GIVEN_KNOWN: Self = Self(1 << 5);
    pub const MIDDLE: Self = Self(1 << 6);
    pub const MIDDLE_INITIAL: Self = Self(1 << 7);
    pub const BIRTH_DATE: Self = Self(1 << 8);
    pub const SEX: Self = Self(1 << 9);
    pub const LINE_AND_ZIP: Self = Self(1 << 10);
    pub const LINE_AND_PLACE: Self = Self(1 << 11);
    pub const ZIP: Self = Self(1 << 12);
    pub const PHONE: Self = Self(1 << 13);
    pub const EMAIL: Self = Self(1 << 14);
    pub const SSN: Self = Self(1 << 15);
    pub const SSN_LAST4: Self = Self(1 << 16);
    pub const SSN_CONFLICT: Self = Self(1 << 17);
    pub const MEDICAL_RECORD: Self = Self(1 << 18);
    pub const DIGITAL: Self = Self(1 << 19);
    pub const LICENCE: Self = Self(1 << 20);
    pub const LICENCE_CONFLICT: Self = Self(1 << 21);
    pub const PASSPORT: Self = Self(1 << 22);
    pub const MEMBER: Self = Self(1 << 23);
    pub const SUBSCRIBER: Self = Self(1 << 24);
    pub const MEDICARE: Self = Self(1 << 25);
    pub const MEDICARE_CONFLICT: Self = Self(1 << 26);
    pub const IMITATED: Self = Self(1 << 27);

    /// A record of one birth date and surname has another given name, and no personal identifier agrees.
    pub const SIBLING: Self = Self(1 << 28);
    /// Both have a birth sex, and they differ; a gender that differs is no such thing.
    pub const BIRTH_SEX_CONFLICT: Self = Self(1 << 29);
    /// A passport, state id or Digital Identifier differs from another of the same issuer.
    pub const IDENTIFIER_CONFLICT: Self = Self(1 << 30);
    /// A record has another birth date; beside one that agrees, the identity is mixed.
    pub const BIRTH_DATE_CONFLICT: Self = Self(1 << 31);
    /// A record has another given name; beside one that agrees, the identity is mixed.
    pub const GIVEN_CONFLICT: Self = Self(1 << 32);
    /// A short form and its formal name that are both names in use, as two children may have them (Julia, Julie).
    pub const SHORT_FORM_IN_USE: Self = Self(1 << 33);
    /// Given names a typing error apart that begin differently, or of another script, in which names in use are unknown.
    pub const NEAR_IN_DOUBT: Self = Self(1 << 34);
    /// Birth years a generation apart, be it by one digit.
    pub const GENERATION_APART: Self = Self(1 << 35);

    /// An identifier agrees that names one person, not a family.
    #[must_use]
    pub const fn is_personal(self) -> bool {
        let personal = Self::MEDICAL_RECORD.0
            | Self::DIGITAL.0
            | Self::LICENCE.0
            | Self::PASSPORT.0
            | Self::MEDICARE.0
            | Self::SSN.0
            | Self::SSN_LAST4.0;
        self.0 & personal != 0
    }

    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// What comparing a query with a record, or with the records of one identity, gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    levels: [Level; Comparison::COUNT],
    pub evidence: Evidence,
    /// Share of people with the given name on which both agree.
    pub given_frequency: f32,
    pub family_frequency: f32,
}

impl Pair {
    /// A pair of which nothing is known.
    pub const EMPTY: Self = Self {
        levels: [Level::Absent; Comparison::COUNT],
        evidence: Evidence(0),
        given_frequency: 1.0,
        family_frequency: 1.0,
    };

    #[must_use]
    pub const fn level(&self, comparison: Comparison) -> Level {
        self.levels[comparison as usize]
    }

    pub const fn set(&mut self, comparison: Comparison, level: Level) {
        self.levels[comparison as usize] = level;
    }

    /// Birth dates that are not equal, partial, month and day exchanged, one digit off, or a placeholder.
    #[must_use]
    pub const fn has_birth_date_conflict(&self) -> bool {
        matches!(
            self.level(Comparison::BirthDate),
            Level::MonthDay | Level::TwoDigits | Level::SameYear | Level::Conflict | Level::Generation
        )
    }

    /// Birth date and surname agree, and no identifier that names one person: twins are as likely as one person.
    #[must_use]
    pub const fn may_be_siblings(&self) -> bool {
        self.evidence.has(Evidence::BIRTH_DATE.with(Evidence::LAST)) && !self.evidence.is_personal()
    }

    /// Two different given names, neither close nor short forms of one.
    #[must_use]
    pub const fn has_given_conflict(&self) -> bool {
        match self.level(Comparison::Given) {
            Level::Conflict | Level::Unrecognised => true,
            Level::Similar => self.evidence.has(Evidence::BOTH_GIVEN_KNOWN),
            _ => false,
        }
    }

    /// Keeps the better level of each comparison and all evidence of both.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let mut joined = *self;
        for comparison in Comparison::ALL {
            joined.set(comparison, self.level(comparison).min(other.level(comparison)));
        }
        joined.evidence.add(other.evidence);
        joined.given_frequency = self.given_frequency.min(other.given_frequency);
        joined.family_frequency = self.family_frequency.min(other.family_frequency);
        joined
    }
}

/// Compares the query with a stored record of the same dictionary.
#[must_use]
pub fn compare(query: &Query<'_>, view: &View<'_>, dictionary: &Dictionary) -> Pair {
    let mut pair = Pair::EMPTY;
    birth_date::compare(query.birth_date, view.birth_date, &mut pair);
    compare_sex(query, view, &mut pair);
    name::compare(query, view, dictionary, &mut pair);
    pair.set(Comparison::Suffix, suffix(query.facts.suffix, view.facts.suffix));
    address::compare(query, view, dictionary, &mut pair);
    compare_telecoms(query, view, dictionary, &mut pair);
    identifier::compare(query, view, dictionary, &mut pair);
    if query.facts.is_imitated || view.facts.is_imitated {
        pair.evidence.add(Evidence::IMITATED);
    }
    if is_sibling(&pair) {
        pair.evidence.add(Evidence::SIBLING);
    }
    // Pooling keeps the better level only: that this record disagreed has to be remembered apart.
    if pair.has_birth_date_conflict() {
        pair.evidence.add(Evidence::BIRTH_DATE_CONFLICT);
    }
    if pair.has_given_conflict() {
        pair.evidence.add(Evidence::GIVEN_CONFLICT);
    }
    pair
}

fn is_sibling(pair: &Pair) -> bool {
    let other_given = match pair.level(Comparison::Given) {
        Level::Conflict | Level::Unrecognised | Level::ShortForms => true,
        Level::Close => pair.evidence.has(Evidence::NEAR_IN_DOUBT),
        Level::Phonetic | Level::Confusable | Level::Similar => pair.evidence.has(Evidence::BOTH_GIVEN_KNOWN),
        _ => false,
    };
    other_given && pair.may_be_siblings()
}

/// Birth sex where both have it, else gender where both have it (IG Patient Matching, match grades).
fn compare_sex(query: &Query<'_>, view: &View<'_>, pair: &mut Pair) {
    let both = |a: Option<Sex>, b: Option<Sex>| a.zip(b).map(|(a, b)| a == b);
    let (query, stored) = (query.facts, view.facts);
    let birth_sex = both(query.birth_sex, stored.birth_sex);
    if birth_sex == Some(false) {
        pair.evidence.add(Evidence::BIRTH_SEX_CONFLICT);
    }
    match birth_sex.or_else(|| both(query.gender, stored.gender)) {
        Some(true) => {
            pair.set(Comparison::Sex, Level::Exact);
            pair.evidence.add(Evidence::SEX);
        }
        Some(false) => pair.set(Comparison::Sex, Level::Conflict),
        None => {}
    }
}

fn suffix(query: Option<Suffix>, stored: Option<Suffix>) -> Level {
    match query.zip(stored) {
        Some((a, b)) if a.agrees_with(b) => Level::Exact,
        Some(_) => Level::Conflict,
        None => Level::Absent,
    }
}

fn compare_telecoms(query: &Query<'_>, view: &View<'_>, dictionary: &Dictionary, pair: &mut Pair) {
    let phone = best_text(&query.phones, view, Tag::Phone, dictionary, |a, b| osa_within(a, b, 1).is_some());
    let email = best_text(&query.emails, view, Tag::Email, dictionary, is_close_email);
    pair.set(Comparison::Phone, phone);
    pair.set(Comparison::Email, email);
    for (level, evidence) in [(phone, Evidence::PHONE), (email, Evidence::EMAIL)] {
        if level == Level::Exact {
            pair.evidence.add(evidence);
        }
    }
}

fn best_text(
    query: &[QueryText],
    view: &View<'_>,
    tag: Tag,
    dictionary: &Dictionary,
    is_close: impl Fn(&[u8], &[u8]) -> bool,
) -> Level {
    let mut best = Level::Absent;
    for value in query {
        for id in view.ids(tag) {
            if value.id == id {
                return Level::Exact;
            }
            let level = if is_close(&value.text, dictionary.bytes_of(id)) { Level::Close } else { Level::Conflict };
            best = best.min(level);
        }
    }
    best
}

/// One typing error apart, or the same local part at another provider.
fn is_close_email(a: &[u8], b: &[u8]) -> bool {
    let local = |address: &[u8]| address.iter().position(|byte| *byte == b'@').unwrap_or(address.len());
    (local(a) >= 5 && a[..local(a)] == b[..local(b)]) || osa_within(a, b, 1).is_some()
}

/// Whether a query value and a stored one are the same; ids that are absent or not in the dictionary equal nothing.
const fn same(query: u32, stored: u32) -> bool {
    query == stored && query != UNKNOWN_ID
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::matching::entry::Entry;
    use crate::matching::model::tests::model;
    use crate::matching::record::tests::record;

    /// Compares two Patients given as JSON members.
    pub fn pair(query: &str, stored: &str) -> Pair {
        let (model, mut dictionary) = (model(), Dictionary::default());
        let entry = Entry::new(&record(&format!("{{{stored}}}")), &mut dictionary, model);
        let query = record(&format!("{{{query}}}"));
        compare(&Query::new(&query, &dictionary, model), &entry.view(), &dictionary)
    }

    #[test]
    fn telecoms_and_sex_are_compared_by_level() {
        let telecom = |system: &str, value: &str| format!(r#""telecom":[{{"system":"{system}","value":"{value}"}}]"#);
        for (system, a, b, comparison, level) in [
            ("phone", "212-555-0142", "(212) 555-0142", Comparison::Phone, Level::Exact),
            ("phone", "212-555-0142", "212-555-0124", Comparison::Phone, Level::Close),
            ("phone", "212-555-0142", "646-555-9942", Comparison::Phone, Level::Conflict),
            ("email", "mary.ray@a.org", "Mary.Ray@a.org", Comparison::Email, Level::Exact),
            ("email", "mary.ray@a.org", "mary.ray@b.com", Comparison::Email, Level::Close),
            ("email", "mary.ray@a.org", "joe@b.com", Comparison::Email, Level::Conflict),
        ] {
            assert_eq!(pair(&telecom(system, a), &telecom(system, b)).level(comparison), level, "{a} {b}");
        }
        let pair = pair(r#""gender":"male""#, r#""gender":"female""#);
        assert_eq!(pair.level(Comparison::Sex), Level::Conflict);
        assert_eq!(pair.level(Comparison::Phone), Level::Absent);
    }

    #[test]
    fn pooled_pairs_keep_the_best_of_each_comparison() {
        let a = pair(r#""birthDate":"1980-02-03","gender":"male""#, r#""birthDate":"1980-02-03","gender":"female""#);
        let b = pair(r#""birthDate":"1980-02-03","gender":"male""#, r#""birthDate":"1970-11-21","gender":"male""#);
        let joined = a.join(&b);
        assert_eq!(joined.level(Comparison::BirthDate), Level::Exact);
        assert_eq!(joined.level(Comparison::Sex), Level::Exact);
        assert!(joined.evidence.has(Evidence::BIRTH_DATE.with(Evidence::SEX)));
        assert_eq!(joined, b.join(&a));
    }
}

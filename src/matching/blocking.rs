//! Block keys: records that share one are compared.
//!
//! What: [`stored_keys`] are those under which a record is kept, [`query_keys`] those a query looks under. Every
//! combination of the candidate guarantee has its rule, and an error in any one value leaves another rule that finds
//! the record (IG Patient Matching, minimum search sets). Not here: the lists behind the keys (see `postings`).

use super::dictionary::{Dictionary, NameForm, mix};
use super::entry::{Query, QueryName, QueryText, Tag, View, birth_parts, birth_word};
use super::normalise::identifier::Kind;
use super::record::BirthDate;
use crate::fhir::date::days_in;

/// Raised whenever the same [`super::record::Record`] would give other keys; stored keys of another version are made anew.
pub const BLOCKING_VERSION: i32 = 2;

/// A blocking rule. The order is that of storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Rule {
    BirthDateSex,
    Phone,
    Email,
    Member,
    MedicalRecord,
    /// Any other identifier, the full social security number included.
    Identifier,
    /// Family name and the initial of the given name: whatever else of the given name is misspelt.
    FamilyInitial,
    /// Sound of the family name, initial of the given name, birth year.
    FamilySoundInitialYear,
    FamilyZip,
    FamilySoundMonthDay,
    GivenSoundMonthDay,
    Last4BirthYear,
    Line,
}

impl Rule {
    pub const COUNT: usize = 13;

    /// In the order of storage.
    pub const ALL: [Self; Self::COUNT] = [
        Self::BirthDateSex,
        Self::Phone,
        Self::Email,
        Self::Member,
        Self::MedicalRecord,
        Self::Identifier,
        Self::FamilyInitial,
        Self::FamilySoundInitialYear,
        Self::FamilyZip,
        Self::FamilySoundMonthDay,
        Self::GivenSoundMonthDay,
        Self::Last4BirthYear,
        Self::Line,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BirthDateSex => "birth-date-sex",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::Member => "member",
            Self::MedicalRecord => "medical-record",
            Self::Identifier => "identifier",
            Self::FamilyInitial => "family-initial",
            Self::FamilySoundInitialYear => "family-sound-initial-year",
            Self::FamilyZip => "family-zip",
            Self::FamilySoundMonthDay => "family-sound-month-day",
            Self::GivenSoundMonthDay => "given-sound-month-day",
            Self::Last4BirthYear => "last-4-birth-year",
            Self::Line => "line",
        }
    }
}

/// A block key under its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockKey {
    pub rule: u8,
    pub hash: u32,
}

impl BlockKey {
    fn new(rule: Rule, parts: &[u64]) -> Self {
        let hash = parts.iter().fold(u64::from(rule as u8) + 1, |hash, part| mix(hash, *part));
        #[allow(clippy::cast_possible_truncation, reason = "each rule has 32 bits of its own")]
        Self { rule: rule as u8, hash: (hash >> 32) as u32 }
    }

    /// The key of the part of this block that `component` selects.
    #[must_use]
    pub fn refined(self, component: u64) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "each rule has 32 bits of its own")]
        Self { rule: self.rule, hash: (mix(u64::from(self.hash) | 1 << 40, component) >> 32) as u32 }
    }
}

/// What splits a block that has grown too large.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Components {
    birth_year: Option<u64>,
    initials: Vec<u64>,
    given: Vec<u64>,
}

impl Components {
    /// Birth year, then initials of the names; in a block of one family name the given name, then the birth year. A
    /// record without the component has none.
    #[must_use]
    pub fn at(&self, rule: u8, depth: usize) -> Vec<u64> {
        match (is_split_by_given(rule), depth) {
            (true, 0) => self.given.clone(),
            (true, _) | (false, 0) => self.birth_year.into_iter().collect(),
            (false, _) => self.initials.clone(),
        }
    }
}

/// Whether a large block of the rule is split by the given name first, and not by the birth year.
#[must_use]
pub const fn is_split_by_given(rule: u8) -> bool {
    rule == Rule::FamilyInitial as u8
}

/// Entries in one block of a rule before it is split: a family's names beyond this are looked up by the given name.
#[must_use]
pub const fn block_max(rule: u8) -> usize {
    if is_split_by_given(rule) { 96 } else { 256 }
}

/// The components of a query for looking under refined keys.
#[must_use]
pub fn components(query: &Query<'_>) -> Components {
    let given = query.given.iter().map(|name| &*name.form);
    components_of(query.birth_date, given, query.family.iter().map(|name| &*name.form))
}

/// The components of a stored record for refining its keys.
#[must_use]
pub fn stored_components(view: &View<'_>, dictionary: &Dictionary) -> Components {
    let names = |tag: Tag| view.ids(tag).map(|id| dictionary.name(id));
    components_of(view.birth_date, names(Tag::Given), names(Tag::Family))
}

fn components_of<'n>(
    birth_date: u32,
    given: impl Iterator<Item = &'n NameForm>,
    family: impl Iterator<Item = &'n NameForm>,
) -> Components {
    let year = birth_parts(birth_date).0;
    let mut initials: Vec<u64> = family.map(|name| u64::from(name.initial())).collect();
    let mut names = Vec::new();
    for name in given {
        initials.push(u64::from(name.initial()));
        // A short form and its formal name begin differently, but both carry the formal name.
        let hashes = name.formal.iter().map(|formal| formal.hash).chain([name.hash]).map(|hash| hash | 1 << 63);
        initials.extend(hashes.clone());
        // An initial is kept where every query looks.
        names.extend(hashes.filter(|_| !name.is_initial()));
    }
    for values in [&mut initials, &mut names] {
        values.sort_unstable();
        values.dedup();
    }
    Components { birth_year: (year != 0).then_some(u64::from(year)), initials, given: names }
}

/// The keys under which a record is kept.
#[must_use]
pub fn stored_keys(record: &Query<'_>) -> Vec<BlockKey> {
    let mut keys = Vec::with_capacity(20);
    let sex = record.facts.birth_sex.or(record.facts.gender).map_or(0, |sex| sex as u64 + 1);
    birth_date_sex(record.birth_date, &[sex], &mut keys);
    common_keys(record, &mut keys);
    distinct(keys)
}

/// The keys under which a query looks: those of a record, both sexes and none, and names in exchanged places.
#[must_use]
pub fn query_keys(query: &Query<'_>) -> Vec<BlockKey> {
    let mut keys = Vec::with_capacity(32);
    match query.facts.birth_sex.or(query.facts.gender) {
        Some(sex) => birth_date_sex(query.birth_date, &[sex as u64 + 1, 0], &mut keys),
        None => birth_date_sex(query.birth_date, &[0, 1, 2], &mut keys),
    }
    common_keys(query, &mut keys);
    let (given, family) = (forms(&query.given, &[]), forms(&query.family, &[]));
    // Names in exchanged places, a middle name used as given name, month and day exchanged.
    name_keys(query.birth_date, &family, &given, &mut keys);
    name_keys(query.birth_date, &forms(&query.middle, &[]), &family, &mut keys);
    if let Some(swapped) = month_day_swapped(query.birth_date) {
        month_day_keys(swapped, &given, &family, &mut keys);
    }
    // A family name with an initial alone would look into every given name of a large family.
    if query.given.iter().all(|name| name.form.is_initial()) {
        keys.retain(|key| key.rule != Rule::FamilyInitial as u8);
    }
    distinct(keys)
}

/// Whom to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// Whoever shares a block key.
    #[default]
    Blocks,
    /// Also whoever was born within a day, of any sex: the CMS combinations take no other evidence for granted.
    BornWithinADay,
}

/// The keys that a query looks under, each once.
#[must_use]
pub fn keys_within(query: &Query<'_>, reach: Reach) -> Vec<BlockKey> {
    let mut keys = query_keys(query);
    if reach == Reach::BornWithinADay {
        keys.append(&mut near_birth_date_keys(query));
        keys = distinct(keys);
    }
    keys
}

/// Further keys: all sexes on the birth date itself, on the day before and on the day after.
fn near_birth_date_keys(query: &Query<'_>) -> Vec<BlockKey> {
    let mut keys = Vec::with_capacity(9);
    for day in [Some(query.birth_date), neighbour(query.birth_date, -1), neighbour(query.birth_date, 1)] {
        birth_date_sex(day.unwrap_or_default(), &[0, 1, 2], &mut keys);
    }
    keys
}

/// The day before or after a full birth date.
fn neighbour(birth_date: u32, step: i64) -> Option<u32> {
    let (year, month, day) = birth_parts(birth_date);
    if day == 0 {
        return None;
    }
    let (year, month) = (u16::try_from(year).ok()?, u8::try_from(month).ok()?);
    let (year, month, day) = match (i64::from(day) + step, month) {
        (0, 1) => (year.checked_sub(1)?, 12, 31),
        (0, _) => (year, month - 1, days_in(year, month - 1)),
        (next, 12) if next > 31 => (year + 1, 1, 1),
        (next, _) if next > i64::from(days_in(year, month)) => (year, month + 1, 1),
        (next, _) => (year, month, u8::try_from(next).ok()?),
    };
    Some(birth_word(Some(BirthDate { year, month, day })))
}

fn distinct(mut keys: Vec<BlockKey>) -> Vec<BlockKey> {
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn birth_date_sex(birth_date: u32, sexes: &[u64], keys: &mut Vec<BlockKey>) {
    if birth_parts(birth_date).2 != 0 {
        keys.extend(sexes.iter().map(|sex| BlockKey::new(Rule::BirthDateSex, &[u64::from(birth_date), *sex])));
    }
}

/// A name in a key: its initials, those of its formal names included; its hash and sound, unless it is an initial alone.
struct KeyName {
    initials: Vec<u64>,
    whole: Option<WholeName>,
}

#[derive(Clone, Copy)]
struct WholeName {
    hash: u64,
    sound: u64,
}

fn forms(names: &[QueryName<'_>], parts: &[QueryName<'_>]) -> Vec<KeyName> {
    let key = |name: &QueryName<'_>| {
        let form = &name.form;
        let mut initials: Vec<u64> =
            form.formal.iter().map(|formal| formal.initial).chain([form.initial()]).map(u64::from).collect();
        initials.sort_unstable();
        initials.dedup();
        let whole = WholeName { hash: form.hash, sound: u64::from(form.soundex) };
        KeyName { initials, whole: (!form.is_initial()).then_some(whole) }
    };
    names.iter().chain(parts).map(key).collect()
}

fn month_day_swapped(birth_date: u32) -> Option<u32> {
    let (year, month, day) = birth_parts(birth_date);
    ((1..=12).contains(&day) && day != month).then_some(year << 9 | day << 5 | month)
}

fn common_keys(record: &Query<'_>, keys: &mut Vec<BlockKey>) {
    let given = forms(&record.given, &record.given_parts);
    let family = forms(&record.family, &record.family_parts);
    name_keys(record.birth_date, &given, &family, keys);
    let texts =
        |rule: Rule, texts: &[QueryText]| texts.iter().map(|t| BlockKey::new(rule, &[t.hash])).collect::<Vec<_>>();
    keys.extend(texts(Rule::Phone, &record.phones));
    keys.extend(texts(Rule::Email, &record.emails));
    identifier_keys(record, keys);
    address_keys(record, &family, keys);
}

fn name_keys(birth_date: u32, given: &[KeyName], family: &[KeyName], keys: &mut Vec<BlockKey>) {
    let year = u64::from(birth_parts(birth_date).0);
    for family in family.iter().filter_map(|name| name.whole) {
        for initial in given.iter().flat_map(|name| &name.initials) {
            keys.push(BlockKey::new(Rule::FamilyInitial, &[family.hash, *initial]));
            if year != 0 {
                keys.push(BlockKey::new(Rule::FamilySoundInitialYear, &[family.sound, *initial, year]));
            }
        }
    }
    month_day_keys(birth_date, given, family, keys);
}

fn month_day_keys(birth_date: u32, given: &[KeyName], family: &[KeyName], keys: &mut Vec<BlockKey>) {
    let (_, month, day) = birth_parts(birth_date);
    if day == 0 {
        return;
    }
    for (rule, names) in [(Rule::FamilySoundMonthDay, family), (Rule::GivenSoundMonthDay, given)] {
        let sounds = names.iter().filter_map(|name| name.whole);
        keys.extend(sounds.map(|name| BlockKey::new(rule, &[name.sound, u64::from(month << 5 | day)])));
    }
}

fn identifier_keys(record: &Query<'_>, keys: &mut Vec<BlockKey>) {
    let year = birth_parts(record.birth_date).0;
    for (kind, value) in &record.identifiers {
        let rule = match kind {
            Kind::Member | Kind::Subscriber => Rule::Member,
            Kind::MedicalRecord => Rule::MedicalRecord,
            Kind::SocialSecurityLast4 => {
                keys.extend(last4(&value.text, year));
                continue;
            }
            _ => Rule::Identifier,
        };
        if *kind == Kind::SocialSecurity {
            keys.extend(value.text.len().checked_sub(4).and_then(|from| last4(&value.text[from..], year)));
        }
        keys.push(BlockKey::new(rule, &[*kind as u64, value.hash]));
    }
}

fn last4(digits: &[u8], year: u32) -> Option<BlockKey> {
    (year != 0).then(|| BlockKey::new(Rule::Last4BirthYear, &[super::dictionary::hash(digits), u64::from(year)]))
}

fn address_keys(record: &Query<'_>, family: &[KeyName], keys: &mut Vec<BlockKey>) {
    for address in &record.addresses {
        if let Some(zip) = &address.zip {
            let family = family.iter().filter_map(|name| name.whole);
            keys.extend(family.map(|name| BlockKey::new(Rule::FamilyZip, &[name.hash, zip.hash])));
        }
        keys.extend(address.line.iter().map(|line| BlockKey::new(Rule::Line, &[line.hash])));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Components {
        /// Of a birth year and initials.
        pub const fn new(birth_year: Option<u64>, initials: Vec<u64>) -> Self {
            Self { birth_year, initials, given: Vec::new() }
        }
    }
    use crate::matching::model::tests::model;
    use crate::matching::record::tests::record;

    fn meets(query: &str, stored: &str) -> bool {
        let (model, dictionary) = (model(), Dictionary::default());
        let (query, stored) = (record(&format!("{{{query}}}")), record(&format!("{{{stored}}}")));
        let stored = stored_keys(&Query::new(&stored, &dictionary, model));
        query_keys(&Query::new(&query, &dictionary, model)).iter().any(|key| stored.contains(key))
    }

    const STORED: &str = r#""name":[{"family":"García López","given":["Robert","Lee"]}],"birthDate":"1980-02-13","gender":"male",
        "address":[{"line":["12 Oak St"],"city":"Troy","state":"NY","postalCode":"12180"}],
        "telecom":[{"system":"phone","value":"2125550142"},{"system":"email","value":"rg@x.org"}],
        "identifier":[{"type":{"coding":[{"code":"MB"}]},"system":"urn:p","value":"W77"},{"type":{"coding":[{"code":"MR"}]},"system":"urn:m","value":"M77"},
        {"system":"http://hl7.org/fhir/us/identity-matching/ns/HL7PersonIdentifier","value":"D77"},{"system":"http://hl7.org/fhir/sid/us-ssn","value":"219-54-1234"}]"#;

    #[test]
    fn each_combination_of_the_guarantee_finds_the_record() {
        let named = |family: &str, given: &str, rest: &str| {
            format!(r#""name":[{{"family":"{family}","given":["{given}"]}}]{rest}"#)
        };
        let birth = r#","birthDate":"1980-02-13""#;
        let line = r#","address":[{"line":["12 Oak Street"],"postalCode":"12180"}]"#;
        for query in [
            named("García López", "Robert", ""),
            named("Garcia", "Bob", ""),
            named("Lopez", "Bobby", ""),
            named("Garcialopez", "Roberto", birth),
            named("Zzyzx", "Robert", &format!("{birth},\"gender\":\"female\"")),
            named("Zzyzx", "Robert", line),
            named("Garcia", "Zoltan", r#","address":[{"postalCode":"12180"}]"#),
            named("Garica", "Rboert", birth),
            named("Robert", "Garcia", ""),
            named("Garcia", "Rxnert", ""),
            named("Garcia", r#"Xaver","Robert"#, ""),
            named("Garcialopez", "Ron", r#","birthDate":"1980-07-30""#),
            named("Garcialopes", "Robbert", r#","birthDate":"1980-04-23""#),
            named("Garcialopes", "Q", r#","birthDate":"1988-02-13""#),
            named("Garcia Lopez", "Robert", r#","birthDate":"1980-13-02""#),
            format!(r#""gender":"male"{birth}"#),
            format!(r#""gender":"unknown"{birth}"#),
            r#""telecom":[{"system":"phone","value":"+1 212 555 0142"}]"#.to_owned(),
            r#""telecom":[{"system":"email","value":"RG@X.org"}]"#.to_owned(),
            r#""identifier":[{"type":{"coding":[{"code":"MB"}]},"system":"urn:p","value":"W77"}]"#.to_owned(),
            r#""identifier":[{"type":{"coding":[{"code":"MR"}]},"system":"urn:m","value":"M77"}]"#.to_owned(),
            r#""identifier":[{"system":"http://hl7.org/fhir/us/identity-matching/ns/HL7PersonIdentifier","value":"D77"}]"#.to_owned(),
            r#""identifier":[{"system":"http://hl7.org/fhir/sid/us-ssn","value":"219541234"}]"#.to_owned(),
            r#""birthDate":"1980-07-30","identifier":[{"type":{"coding":[{"code":"SSN4"}]},"value":"1234"}]"#.to_owned(),
            r#""address":[{"line":["12 Oak Street"],"postalCode":"12180"}]"#.to_owned(),
        ] {
            assert!(meets(&query, STORED), "{query}");
        }
    }

    #[test]
    fn the_keys_are_those_of_this_version() {
        let (dictionary, stored) = (Dictionary::default(), record(&format!("{{{STORED}}}")));
        let keys = stored_keys(&Query::new(&stored, &dictionary, model()));
        let digest = keys.iter().fold(0, |digest, key| mix(mix(digest, u64::from(key.rule)), u64::from(key.hash)));
        assert_eq!(
            (BLOCKING_VERSION, digest),
            (2, 682_580_391_527_171_954),
            "other keys need another BLOCKING_VERSION"
        );
    }

    #[test]
    fn month_and_day_exchanged_still_meet_by_either_name_and_an_initial_by_the_family_name() {
        let person = |family: &str, given: &str, date: &str| {
            format!(r#""name":[{{"family":"{family}","given":["{given}"]}}],"birthDate":"{date}""#)
        };
        let stored = person("Novak", "Marzanna", "1980-02-11");
        for query in [person("Novak", "Xaver", "1980-11-02"), person("Lang", "Marzanna", "1980-11-02")] {
            assert!(meets(&query, &stored), "{query}");
        }
        assert!(!meets(&person("Lang", "Xaver", "1980-11-02"), &stored));
        assert!(meets(&person("Novak", "Marzanna", "1955-07-30"), &person("Novak", "M", "1980-02-11")));
    }

    #[test]
    fn whoever_was_born_within_a_day_meets_over_months_years_and_leap_days() {
        let born = |date: &str| record(&format!(r#"{{"birthDate":"{date}","gender":"male"}}"#));
        for (asked, stored, meets) in [
            ("1980-02-13", "1980-02-13", true),
            ("1980-02-13", "1980-02-14", true),
            ("1980-02-13", "1980-02-12", true),
            ("1980-02-13", "1980-02-15", false),
            ("1980-02-28", "1980-02-29", true),
            ("1981-02-28", "1981-03-01", true),
            ("1981-03-01", "1981-02-28", true),
            ("1980-12-31", "1981-01-01", true),
            ("1981-01-01", "1980-12-31", true),
            ("1980-02", "1980-02-01", false),
        ] {
            let dictionary = Dictionary::default();
            let (asked_record, stored_record) = (born(asked), born(stored));
            let asked_keys = near_birth_date_keys(&Query::new(&asked_record, &dictionary, model()));
            let stored_keys = stored_keys(&Query::new(&stored_record, &dictionary, model()));
            assert_eq!(asked_keys.iter().any(|key| stored_keys.contains(key)), meets, "{asked} {stored}");
        }
    }

    #[test]
    fn strangers_do_not_meet() {
        for query in [
            r#""name":[{"family":"Novak","given":["Robert"]}],"birthDate":"1975-06-30","gender":"male""#,
            r#""identifier":[{"type":{"coding":[{"code":"MR"}]},"system":"urn:other","value":"M77"}]"#,
            r#""gender":"male""#,
        ] {
            assert!(!meets(query, STORED), "{query}");
        }
    }
}

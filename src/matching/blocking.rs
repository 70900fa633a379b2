//! Block keys: records that share one are compared.
//!
//! What: [`stored_keys`] are those under which a record is kept, [`query_keys`] those a query looks under. Every
//! combination of the candidate guarantee has its rule, and an error in any one value leaves another rule that finds
//! the record (IG Patient Matching, minimum search sets). What chance alone would make large is divided by what else the
//! query says: whoever differs in that too is found by another rule, and a query that does not say it looks into all
//! [`BUCKETS`]. Not here: the lists behind the keys (see `postings`).

use super::component::{each_once, initials_of};
use super::dictionary::{NameForm, mix};
use super::entry::{Query, QueryName, QueryText, birth_parts, birth_word};
use super::normalise::identifier::Kind;
use super::record::BirthDate;
use crate::fhir::date::days_in;

/// Raised whenever the same [`super::record::Record`] would give other keys; stored keys of another version are made anew.
pub const BLOCKING_VERSION: i32 = 3;

/// A blocking rule. The order is that of storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Rule {
    /// By buckets of the initials of all names.
    BirthDateSex,
    Phone,
    Email,
    Member,
    MedicalRecord,
    /// Any other identifier, the full social security number included.
    Identifier,
    /// Family name and the initial of the given name, by buckets of the given name. A query with a birth date looks into that
    /// of its own given name; one that is misspelt is found by the year or by month and day.
    FamilyInitial,
    /// Sound of the family name, initial of the given name, birth year.
    FamilySoundInitialYear,
    FamilyZip,
    /// By the decade, and by the last digit of the year in its century: one wrong digit of the two leaves the other. A query
    /// looks into the decades of the years about its own as well.
    FamilySoundMonthDay,
    /// The same.
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

/// Parts of a block that are looked into one by one.
pub const BUCKETS: u64 = 16;

/// The part of whoever lacks what the others are divided by, or cannot rely on it.
const NO_BUCKET: u64 = BUCKETS;

/// The part of those whose given name cannot be relied upon alone: their birth date is not whole.
const NO_BIRTH_DATE: u64 = BUCKETS + 1;

const fn bucket(value: u64) -> u64 {
    mix(value, 1) >> 32 & (BUCKETS - 1)
}

/// The keys under which a record is kept.
#[must_use]
pub fn stored_keys(record: &Query<'_>) -> Vec<BlockKey> {
    let mut keys = Vec::with_capacity(28);
    let mut buckets = initial_buckets(record);
    if has_few_initials(record) {
        buckets.push(NO_BUCKET);
    }
    birth_date_sex(record.birth_date, &[stored_sex(record)], &buckets, &mut keys);
    let names = Names::of(record);
    stored_family_initial(record.birth_date, &names, &mut keys);
    common_keys(record, &names, &stored_digits(record.birth_date), &mut keys);
    distinct(keys)
}

/// The keys under which a query looks: those of a record, both sexes and none, and names in exchanged places.
#[must_use]
pub fn query_keys(query: &Query<'_>) -> Vec<BlockKey> {
    let mut keys = Vec::with_capacity(64);
    let sexes = query.facts.birth_sex.or(query.facts.gender).map_or(vec![0, 1, 2], |sex| vec![sex as u64 + 1, 0]);
    let buckets =
        if has_few_initials(query) { all_buckets() } else { [initial_buckets(query), vec![NO_BUCKET]].concat() };
    birth_date_sex(query.birth_date, &sexes, &buckets, &mut keys);
    let names = Names::of(query);
    let digits = query_digits(query.birth_date);
    common_keys(query, &names, &digits, &mut keys);
    let (given, family) = (key_names(&query.given, &[]), key_names(&query.family, &[]));
    if let Some(swapped) = month_day_swapped(query.birth_date) {
        month_day_keys(swapped, &Names { given: given.clone(), family: family.clone() }, &digits, &mut keys);
    }
    // Names in exchanged places, a middle name used as given name.
    let exchanged = Names { given: family.clone(), family: given };
    let middle = Names { given: key_names(&query.middle, &[]), family };
    // A family name with an initial alone would look into every given name of a large family.
    let is_initial_alone = query.given.iter().all(|name| name.form.is_initial());
    for names in [&exchanged, &middle] {
        name_keys(query.birth_date, names, &digits, &mut keys);
    }
    for names in [&names, &exchanged, &middle].into_iter().filter(|_| !is_initial_alone) {
        query_family_initial(query.birth_date, names, &mut keys);
    }
    distinct(keys)
}

/// The blocks of a record undivided, each as the keys of all its parts, by rule: pairs of one block are no sample of a rule
/// when what divides the block has chosen them.
#[must_use]
pub fn whole_blocks(record: &Query<'_>) -> Vec<Vec<BlockKey>> {
    let divided = [Rule::BirthDateSex, Rule::FamilyInitial, Rule::FamilySoundMonthDay, Rule::GivenSoundMonthDay];
    let is_divided = |key: &BlockKey| divided.iter().any(|rule| *rule as u8 == key.rule);
    let mut blocks: Vec<Vec<BlockKey>> =
        stored_keys(record).into_iter().filter(|key| !is_divided(key)).map(|key| vec![key]).collect();
    let mut born = Vec::new();
    birth_date_sex(record.birth_date, &[stored_sex(record)], &all_buckets(), &mut born);
    blocks.push(born);
    let names = Names::of(record);
    for (family, given) in names.pairs() {
        let keys =
            |initial: u64| all_buckets().into_iter().map(|bucket| family_initial(family, initial, bucket)).collect();
        blocks.extend(given.initials().into_iter().map(keys));
    }
    let (_, month, day) = birth_parts(record.birth_date);
    if day != 0 {
        for (rule, names) in [(Rule::FamilySoundMonthDay, &names.family), (Rule::GivenSoundMonthDay, &names.given)] {
            let key = |name: WholeName, digits: u64| month_day_key(rule, name, (month, day), digits);
            let whole = names.iter().filter_map(|name| name.whole);
            blocks.extend(whole.map(|name| YEARS.step_by(10).map(|year| key(name, decade(year))).collect()));
        }
    }
    blocks.sort_unstable();
    blocks.dedup();
    blocks.retain(|keys| !keys.is_empty());
    blocks
}

/// In which anybody was born.
const YEARS: std::ops::RangeInclusive<u64> = 1850..=2109;

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

/// Further keys: all sexes and names on the birth date itself, on the day before and on the day after.
fn near_birth_date_keys(query: &Query<'_>) -> Vec<BlockKey> {
    let mut keys = Vec::with_capacity(153);
    for day in [Some(query.birth_date), neighbour(query.birth_date, -1), neighbour(query.birth_date, 1)] {
        birth_date_sex(day.unwrap_or_default(), &[0, 1, 2], &all_buckets(), &mut keys);
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

fn stored_sex(record: &Query<'_>) -> u64 {
    record.facts.birth_sex.or(record.facts.gender).map_or(0, |sex| sex as u64 + 1)
}

const fn is_whole(birth_date: u32) -> bool {
    birth_parts(birth_date).2 != 0
}

fn birth_date_sex(birth_date: u32, sexes: &[u64], buckets: &[u64], keys: &mut Vec<BlockKey>) {
    if is_whole(birth_date) {
        let key = |sex: u64, bucket: u64| BlockKey::new(Rule::BirthDateSex, &[u64::from(birth_date), sex, bucket]);
        keys.extend(sexes.iter().flat_map(|sex| buckets.iter().map(move |bucket| key(*sex, *bucket))));
    }
}

fn all_buckets() -> Vec<u64> {
    (0..=NO_BUCKET).collect()
}

/// Whether there is no second name of another initial to go by: a given or a family name is missing (a newborn has none of
/// its own), or in a script whose letters may be written in another.
fn has_few_initials(query: &Query<'_>) -> bool {
    let is_foreign = |name: &QueryName<'_>| !name.form.text.starts_with(|first: char| first.is_ascii_alphabetic());
    query.given.is_empty() || query.family.is_empty() || query.given.iter().chain(&query.family).any(is_foreign)
}

/// The buckets of the initials of all names and their parts; none without a name.
fn initial_buckets(query: &Query<'_>) -> Vec<u64> {
    let names = [&query.given, &query.given_parts, &query.middle, &query.family, &query.family_parts];
    each_once(names.into_iter().flatten().flat_map(|name| initials_of(&name.form)).map(bucket).collect())
}

/// Names in places of given and family names.
struct Names {
    given: Vec<KeyName>,
    family: Vec<KeyName>,
}

/// A name in a key: as a given name; its hash and sound, unless it is an initial alone.
#[derive(Clone)]
struct KeyName {
    /// Itself, and each formal name that it is short for.
    forms: Vec<KeyForm>,
    whole: Option<WholeName>,
}

#[derive(Clone, Copy)]
struct KeyForm {
    initial: u64,
    bucket: u64,
}

#[derive(Clone, Copy)]
struct WholeName {
    hash: u64,
    sound: u64,
}

impl Names {
    fn of(record: &Query<'_>) -> Self {
        Self {
            given: key_names(&record.given, &record.given_parts),
            family: key_names(&record.family, &record.family_parts),
        }
    }

    /// Each whole family name with each given name.
    fn pairs(&self) -> impl Iterator<Item = (WholeName, &KeyName)> {
        let families = self.family.iter().filter_map(|name| name.whole);
        families.flat_map(|family| self.given.iter().map(move |given| (family, given)))
    }
}

impl KeyName {
    fn new(form: &NameForm) -> Self {
        let whole = WholeName { hash: form.hash, sound: u64::from(form.soundex) };
        let of = |initial: u32, bucket: u64| KeyForm { initial: u64::from(initial), bucket };
        let own = of(form.initial(), if form.is_initial() { NO_BUCKET } else { bucket(form.hash) });
        let formal = form.formal.iter().map(|formal| of(formal.initial, bucket(formal.hash)));
        Self { forms: formal.chain([own]).collect(), whole: (!form.is_initial()).then_some(whole) }
    }

    fn initials(&self) -> Vec<u64> {
        each_once(self.forms.iter().map(|form| form.initial).collect())
    }
}

fn key_names(names: &[QueryName<'_>], parts: &[QueryName<'_>]) -> Vec<KeyName> {
    names.iter().chain(parts).map(|name| KeyName::new(&name.form)).collect()
}

fn month_day_swapped(birth_date: u32) -> Option<u32> {
    let (year, month, day) = birth_parts(birth_date);
    ((1..=12).contains(&day) && day != month).then_some(year << 9 | day << 5 | month)
}

fn common_keys(record: &Query<'_>, names: &Names, digits: &[u64], keys: &mut Vec<BlockKey>) {
    name_keys(record.birth_date, names, digits, keys);
    let texts =
        |rule: Rule, texts: &[QueryText]| texts.iter().map(|t| BlockKey::new(rule, &[t.hash])).collect::<Vec<_>>();
    keys.extend(texts(Rule::Phone, &record.phones));
    keys.extend(texts(Rule::Email, &record.emails));
    identifier_keys(record, keys);
    address_keys(record, &names.family, keys);
}

/// Where a record is kept under its family and given names.
fn stored_family_initial(birth_date: u32, names: &Names, keys: &mut Vec<BlockKey>) {
    for (family, given) in names.pairs() {
        keys.extend(given.forms.iter().map(|form| family_initial(family, form.initial, form.bucket)));
        if !is_whole(birth_date) {
            keys.extend(given.initials().into_iter().map(|initial| family_initial(family, initial, NO_BIRTH_DATE)));
        }
    }
}

/// Pairs of names up to which a query looks into whole blocks; whoever says more names, or makes them up, has more keys.
const PAIRS_WHOLE_MAX: usize = 12;

/// Where a query looks for family and given names.
fn query_family_initial(birth_date: u32, names: &Names, keys: &mut Vec<BlockKey>) {
    let is_many = names.pairs().count() > PAIRS_WHOLE_MAX;
    for (family, given) in names.pairs() {
        let is_divided = is_many || is_whole(birth_date);
        if is_divided {
            keys.extend(given.forms.iter().map(|form| family_initial(family, form.initial, form.bucket)));
        }
        let buckets = if is_divided { vec![NO_BUCKET, NO_BIRTH_DATE] } else { all_buckets() };
        for initial in given.initials() {
            keys.extend(buckets.iter().map(|bucket| family_initial(family, initial, *bucket)));
        }
    }
}

fn family_initial(family: WholeName, initial: u64, bucket: u64) -> BlockKey {
    BlockKey::new(Rule::FamilyInitial, &[family.hash, initial, bucket])
}

fn name_keys(birth_date: u32, names: &Names, digits: &[u64], keys: &mut Vec<BlockKey>) {
    let year = u64::from(birth_parts(birth_date).0);
    if year != 0 {
        for (family, given) in names.pairs() {
            let key = |initial: u64| BlockKey::new(Rule::FamilySoundInitialYear, &[family.sound, initial, year]);
            keys.extend(given.initials().into_iter().map(key));
        }
    }
    month_day_keys(birth_date, names, digits, keys);
}

/// The decade of a birth year, and its last digit in its century.
fn stored_digits(birth_date: u32) -> Vec<u64> {
    let year = u64::from(birth_parts(birth_date).0);
    vec![decade(year), (year / 100 * 10 + year % 10) << 1 | 1]
}

/// The same, and the decades of the years about it: 1979 and 1980 have neither digit in common.
fn query_digits(birth_date: u32) -> Vec<u64> {
    let year = u64::from(birth_parts(birth_date).0);
    let about = [year.saturating_sub(YEARS_OFF), year + YEARS_OFF].map(decade);
    each_once([stored_digits(birth_date), about.to_vec()].concat())
}

/// By so many years a birth year is often wrong without an error in a digit.
const YEARS_OFF: u64 = 2;

const fn decade(year: u64) -> u64 {
    (year / 10) << 1
}

fn month_day_keys(birth_date: u32, names: &Names, digits: &[u64], keys: &mut Vec<BlockKey>) {
    let (_, month, day) = birth_parts(birth_date);
    if day == 0 {
        return;
    }
    for (rule, names) in [(Rule::FamilySoundMonthDay, &names.family), (Rule::GivenSoundMonthDay, &names.given)] {
        for name in names.iter().filter_map(|name| name.whole) {
            keys.extend(digits.iter().map(|digits| month_day_key(rule, name, (month, day), *digits)));
        }
    }
}

fn month_day_key(rule: Rule, name: WholeName, (month, day): (u32, u32), digits: u64) -> BlockKey {
    BlockKey::new(rule, &[name.sound, u64::from(month << 5 | day), digits])
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

    use crate::matching::dictionary::Dictionary;
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
            (3, 3_485_576_853_747_371_268),
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
    fn a_divided_block_is_met_in_one_part_and_whoever_is_in_another_by_another_rule() {
        let person = |family: &str, given: &str, birth: &str, sex: &str| {
            let birth = if birth.is_empty() { String::new() } else { format!(r#","birthDate":"{birth}""#) };
            format!(r#""name":[{{"family":"{family}","given":["{given}"]}}],"gender":"{sex}"{birth}"#)
        };
        let nameless = r#""birthDate":"1980-02-11","gender":"female""#.to_owned();
        let ella = person("Novak", "Ella", "1980-02-11", "female");
        for (asked, stored, is_met, why) in [
            (person("Lang", "Xaver", "1980-02-11", "female"), ella.clone(), false, "no initial in common"),
            (person("Novotny", "Xaver", "1980-02-11", "female"), ella.clone(), true, "an initial in common"),
            (person("Lang", "Nora", "1980-02-11", "female"), ella.clone(), true, "short forms of one name"),
            (nameless.clone(), ella.clone(), true, "a query without names"),
            (ella.clone(), nameless, true, "a record without names"),
            (person("Novak", "Exxa", "1980-07-30", "female"), ella.clone(), true, "misspelt, of that year"),
            (person("Novak", "Exxa", "1987-02-11", "female"), ella.clone(), true, "misspelt, of that day of a year"),
            (person("Novak", "Exxa", "1957-07-30", "female"), ella.clone(), false, "misspelt, and born elsewhen"),
            (person("Novak", "Ella", "1957-07-30", "female"), ella.clone(), true, "not misspelt, and born elsewhen"),
            (person("Novak", "Exxa", "", "female"), ella.clone(), true, "misspelt, without a birth date"),
            (ella.clone(), person("Novak", "Exxa", "", "female"), true, "misspelt, stored without a birth date"),
            (ella.clone(), person("Novak", "E", "1957-07-30", "female"), true, "stored with an initial"),
            (
                person("Lang", "Xaver", "1980-02-11", "female"),
                person("Novak", "Baby Boy", "1980-02-11", "female"),
                true,
                "a newborn without a name",
            ),
            (
                r#""name":[{"family":"Lang"}],"birthDate":"1980-02-11","gender":"female""#.to_owned(),
                ella.clone(),
                true,
                "a family name alone",
            ),
            (person("Lang", "Элла", "1980-02-11", "female"), ella.clone(), true, "another script"),
            (ella.clone(), person("Новак", "Элла", "1980-02-11", "female"), true, "stored in another script"),
            (person("Lang", "Ella", "1989-02-11", "male"), ella.clone(), true, "the last digit"),
            (person("Lang", "Ella", "1930-02-11", "male"), ella.clone(), true, "the digit before"),
            (person("Lang", "Ella", "1979-02-11", "male"), ella.clone(), true, "a year off"),
            (person("Lang", "Ella", "1939-02-11", "male"), ella.clone(), false, "both digits"),
        ] {
            assert_eq!(meets(&asked, &stored), is_met, "{why}");
        }
    }

    #[test]
    fn whoever_says_many_names_looks_into_no_more_than_some_thousand_blocks() {
        let name = |n: usize| {
            let of = |letter: usize| format!("{}xavier", char::from(b'a' + (letter % 26) as u8));
            format!(r#"{{"family":"{} {}","given":["{} {}","{}"]}}"#, of(n), of(n + 9), of(n + 3), of(n + 5), of(n + 7))
        };
        let names: Vec<String> = (0..200).map(name).collect();
        let (model, dictionary) = (model(), Dictionary::default());
        for birth in ["1980-02-11", "1980"] {
            let asked = record(&format!(r#"{{"name":[{}],"birthDate":"{birth}"}}"#, names.join(",")));
            let keys = query_keys(&Query::new(&asked, &dictionary, model)).len();
            assert!((100..4000).contains(&keys), "{keys}");
        }
    }

    #[test]
    fn a_whole_block_holds_all_its_parts() {
        let (model, dictionary) = (model(), Dictionary::default());
        let of = |text: &str| record(&format!("{{{text}}}"));
        let (own, other) = (of(STORED), of(&STORED.replace("Robert", "Rxnert").replace("1980", "1937")));
        let (own, other) = (Query::new(&own, &dictionary, model), Query::new(&other, &dictionary, model));
        let blocks = whole_blocks(&own);
        let holds = |keys: &[BlockKey]| blocks.iter().any(|block| keys.iter().any(|key| block.contains(key)));
        let of_rule = |rule: Rule| -> Vec<BlockKey> {
            stored_keys(&other).into_iter().filter(|key| key.rule == rule as u8).collect()
        };
        for (rule, is_held) in [
            (Rule::BirthDateSex, false),
            (Rule::FamilyInitial, true),
            (Rule::FamilySoundMonthDay, true),
            (Rule::FamilySoundInitialYear, false),
            (Rule::Phone, true),
        ] {
            assert_eq!(holds(&of_rule(rule)), is_held, "{rule:?}");
        }
        assert!(
            stored_keys(&own).iter().all(|key| holds(&[*key])
                || key.rule == Rule::GivenSoundMonthDay as u8
                || key.rule == Rule::FamilySoundMonthDay as u8),
            "every part, those by the last digit of the year beside the decades"
        );
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
